use super::*;

fn one(document: &str) -> Verb {
    let verbs = parse(&format!("<Response>{document}</Response>")).unwrap();
    assert_eq!(verbs.len(), 1, "{verbs:?}");
    verbs.into_iter().next().unwrap()
}

#[test]
fn the_tutorials_documents_are_read() {
    let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Dial><Conference endConferenceOnExit=\"true\" \
        startConferenceOnEnter=\"false\" waitUrl=\"/conference/wait\">CA1</Conference></Dial></Response>";
    let [Verb::Dial(dial)] = &parse(document).unwrap()[..] else {
        panic!()
    };
    let DialTo::Conference(conference) = &dial.to else {
        panic!()
    };
    assert_eq!(conference.name, "CA1");
    assert!(conference.ends && !conference.starts && !conference.muted && conference.beep == (true, true));
    let Wait::Document(wait) = &conference.wait else {
        panic!()
    };
    assert_eq!((wait.url.as_str(), &wait.method), ("/conference/wait", &Method::POST));
    assert_eq!(
        (dial.timeout, dial.longest),
        (Duration::from_secs(30), Duration::from_secs(14_400))
    );
    let Verb::Play(play) = one("<Play loop=\"0\">http://a.test/x.mp3?a=1&amp;b=2</Play>") else {
        panic!()
    };
    assert_eq!((play.url.as_str(), play.times), ("http://a.test/x.mp3?a=1&b=2", 0));
}

#[test]
fn dial_has_parties_in_every_form() {
    let Verb::Dial(dial) = one("<Dial callerId=\"+1\">+1555</Dial>") else {
        panic!()
    };
    let DialTo::Parties(parties) = &dial.to else { panic!() };
    assert_eq!(
        (parties[0].to.as_str(), dial.caller_id.as_deref()),
        ("+1555", Some("+1"))
    );
    let Verb::Dial(dial) = one(
        "<Dial answerOnBridge=\"true\"><Number url=\"/w\" method=\"GET\" sendDigits=\"1w2\">+1</Number><Client><Identity>bob</Identity></Client>\
         <Client>eve</Client><Sip username=\"u\" password=\"p\">sip:x@y.test</Sip></Dial>",
    ) else {
        panic!()
    };
    let DialTo::Parties(parties) = &dial.to else { panic!() };
    let to: Vec<&str> = parties.iter().map(|party| party.to.as_str()).collect();
    assert_eq!(to, ["+1", "client:bob", "client:eve", "sip:x@y.test"]);
    assert_eq!(parties[0].whisper.as_ref().unwrap().method, Method::GET);
    assert_eq!(parties[3].credentials, Some(("u".into(), "p".into())));
    assert!(dial.answer_on_bridge);
    let Verb::Dial(dial) = one("<Dial/>") else { panic!() };
    assert_eq!(dial.to, DialTo::Nobody);
    assert!(
        parse(&format!(
            "<Response><Dial>{}</Dial></Response>",
            "<Number>1</Number>".repeat(11)
        ))
        .is_err()
    );
}

#[test]
fn gather_keeps_its_prompts_and_its_keys() {
    let Verb::Gather(gather) = one("<Gather numDigits=\"1\" action=\"/d\"><Say>Press</Say><Pause/></Gather>") else {
        panic!()
    };
    assert_eq!(
        (gather.digits, gather.finish, gather.prompts.len()),
        (Some(1), Some('#'), 2)
    );
    assert_eq!(gather.timeout, Duration::from_secs(5));
    let Verb::Gather(gather) = one("<Gather finishOnKey=\"\" input=\"dtmf speech\"/>") else {
        panic!()
    };
    assert!(gather.finish.is_none() && gather.speech && gather.digits.is_none());
}

#[test]
fn enqueue_carries_a_task() {
    let Verb::Enqueue(enqueue) =
        one("<Enqueue workflowSid=\"WW1\" waitUrl=\"\"><Task priority=\"5\">{\"a\":1}</Task></Enqueue>")
    else {
        panic!()
    };
    assert_eq!(
        (enqueue.task.as_deref(), enqueue.priority),
        (Some("{\"a\":1}"), Some(5))
    );
    assert_eq!((enqueue.name.as_str(), &enqueue.wait), ("", &Wait::Silence));
    let Verb::Enqueue(enqueue) = one("<Enqueue>support</Enqueue>") else {
        panic!()
    };
    assert_eq!((enqueue.name.as_str(), enqueue.most), ("support", 100));
}

#[test]
fn the_rest_of_the_verbs() {
    assert_eq!(one("<Hangup/>"), Verb::Hangup);
    assert_eq!(one("<Leave/>"), Verb::Leave);
    assert_eq!(one("<Reject reason=\"busy\"/>"), Verb::Reject { busy: true });
    assert_eq!(one("<Pause length=\"3\"/>"), Verb::Pause(Duration::from_secs(3)));
    assert_eq!(one("<Stream/>"), Verb::Unknown("Stream".into()));
    let Verb::Refer { to, action } = one("<Refer action=\"/r\"><Sip>sip:a@b.test</Sip></Refer>") else {
        panic!()
    };
    assert_eq!((to.as_str(), action.is_some()), ("sip:a@b.test", true));
    assert_eq!(parse("").unwrap(), []);
    assert_eq!(parse("<Response/>").unwrap(), []);
}

#[test]
fn hostile_documents_are_refused_in_bounds() {
    let bomb = "<!DOCTYPE Response [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><Response><Say>&b;</Say></Response>";
    let file = "<!DOCTYPE Response [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Response><Say>&x;</Say></Response>";
    let deep = format!("{}</Response>", "<Response>".repeat(6_000));
    let many = format!("<Response>{}</Response>", "<Hangup/>".repeat(3_000));
    let long = format!("<Response><Say>{}</Say></Response>", "x".repeat(70_000));
    for bad in [
        bomb,
        file,
        &deep,
        &many,
        &long,
        "<Response><Dial timeout=\"x\">1</Dial></Response>",
        "<Response><Dial><Bogus/></Dial></Response>",
        "<Other/>",
        "<Response>",
        "{\"json\": true}",
        "<Response><Say>&nbsp;</Say></Response>",
    ] {
        assert!(parse(bad).is_err(), "{}", &bad[..bad.len().min(80)]);
    }
}
