use super::*;

fn read(body: &Value) -> Answer {
    answer(body.to_string().as_bytes()).expect("an object")
}

fn replies(list: Value) -> Answer {
    read(&json!({ "data": { "replies": list } }))
}

fn one_switch(fields: Value) -> Result<Switch, String> {
    let mut reply = json!({ "type": "switch" });
    reply
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let answer = replies(json!([reply]));
    match answer.replies.first() {
        Some(Reply::Switch(switch)) => Ok((**switch).clone()),
        _ => Err(answer.passed_over.concat()),
    }
}

#[test]
fn every_type_of_reply_is_read_in_its_order() {
    let answer = replies(json!([
        { "type": "text", "text": "Hello", "state": "/" },
        { "type": "buttons", "buttons": [{ "text": "yes" }] },
        { "type": "audio", "audioUrl": "https://bot.example.test/a.wav" },
        { "type": "carousel" },
        { "type": "hangup" },
    ]));
    let expect = [
        Reply::Text("Hello".to_owned()),
        Reply::Audio("https://bot.example.test/a.wav".to_owned()),
        Reply::Hangup,
    ];
    assert_eq!(answer.replies, expect);
    let [buttons, carousel] = &answer.passed_over[..] else {
        panic!("{answer:?}")
    };
    assert!(buttons.contains("reply 2") && buttons.contains("buttons"), "{buttons}");
    assert!(
        carousel.contains("reply 4") && carousel.contains("carousel"),
        "{carousel}"
    );
}

#[test]
fn every_field_of_switch_is_read() {
    let switch = one_switch(json!({
        "phoneNumber": "+49 (30) 1234-56", "timeout": "20", "transferChannel": "carrier",
        "headers": { "P-Asserted-Identity": "<sip:+49301@x>", "X-Attempt": 2 },
        "continueCall": true, "continueRecording": true, "method": "invite",
    }))
    .unwrap();
    let expect = Switch {
        target: Target::Number("+4930123456".to_owned()),
        timeout: Some(Duration::from_secs(20)),
        headers: vec![
            ("P-Asserted-Identity".to_owned(), "<sip:+49301@x>".to_owned()),
            ("X-Attempt".to_owned(), "2".to_owned()),
        ],
        channel: Some("carrier".to_owned()),
        continue_call: true,
        continue_recording: true,
        method: Method::Invite,
    };
    assert_eq!(switch, expect);
    let plain = one_switch(json!({ "sipUri": "sip:agent@x", "method": "REFER", "timeout": 7.2 })).unwrap();
    assert_eq!(plain.target, Target::Address("sip:agent@x".to_owned()));
    assert_eq!(
        (plain.method, plain.timeout),
        (Method::Refer, Some(Duration::from_secs(8)))
    );
    assert!(!plain.continue_call && !plain.continue_recording && plain.channel.is_none() && plain.headers.is_empty());
}

#[test]
fn a_switch_that_leads_nowhere_is_told_and_no_switch() {
    for (fields, wanted) in [
        (json!({}), "where to"),
        (json!({ "phoneNumber": "" }), "where to"),
        (json!({ "phoneNumber": "1", "sipUri": "sip:a@x" }), "exclude"),
        (json!({ "phoneNumber": "sip:a@x" }), "no number"),
        (json!({ "phoneNumber": "1\r\nRoute: <sip:x>" }), "control"),
        (json!({ "phoneNumber": { "a": 1 } }), "no text"),
        (
            json!({ "phoneNumber": "1", "method": "bye" }),
            "neither invite nor refer",
        ),
        (json!({ "phoneNumber": "1", "headers": "X: y" }), "no object"),
        (json!({ "phoneNumber": "1", "headers": { "X": ["y"] } }), "no text"),
        (json!({ "phoneNumber": "1", "timeout": "soon" }), "timeout"),
        (json!({ "phoneNumber": "1", "timeout": -5 }), "timeout"),
        (json!({ "phoneNumber": "1", "timeout": "NaN" }), "timeout"),
        (json!({ "phoneNumber": "1", "timeout": [] }), "timeout"),
        (json!({ "sipUri": "s".repeat(600) }), "512"),
    ] {
        let told = one_switch(fields.clone()).unwrap_err();
        assert!(told.contains(wanted), "{fields}: {told}");
    }
    let forever = one_switch(json!({ "phoneNumber": 4930, "timeout": 1e300, "continueCall": "true" })).unwrap();
    assert_eq!(forever.timeout, Some(Duration::from_secs(600)));
    assert!(forever.continue_call);
}

#[test]
fn hostile_bodies_are_no_panic_and_cost_only_themselves() {
    for octets in [
        &b""[..],
        b"null",
        b"[]",
        b"\"x\"",
        b"{",
        b"\xff\xfe",
        b"{\"data\":",
        &[b'['; 100_000],
    ] {
        assert!(answer(octets).is_err());
    }
    for body in [
        json!({}),
        json!({ "data": null }),
        json!({ "data": [] }),
        json!({ "data": { "replies": {} } }),
        json!({ "data": { "replies": "text" } }),
    ] {
        assert_eq!(read(&body), Answer::default(), "{body}");
    }
    let odd = replies(
        json!([null, 1, "text", [], {}, { "type": 7 }, { "type": "text" }, { "type": "text", "text": 5 },
        { "type": "audio" }, { "type": "audio", "audioUrl": [] }, { "type": "text", "text": "here" }]),
    );
    assert_eq!((odd.replies.len(), odd.passed_over.len()), (1, 10));
    let many = replies(json!(vec![json!({ "type": "text", "text": "ä".repeat(9_000) }); 100]));
    assert_eq!(many.replies.len(), MOST_REPLIES);
    assert_eq!(many.passed_over, ["36 replies more than 64"]);
    assert!(matches!(&many.replies[0], Reply::Text(text) if text.chars().count() == 4_096));
}

#[test]
fn a_turn_has_every_field_of_the_contract() {
    let who = Who {
        bot_id: "b".to_owned(),
        channel: "c".to_owned(),
        caller: "+49301".to_owned(),
        extension: "1555".to_owned(),
        headers: vec![("X-A".to_owned(), "1".to_owned())],
    };
    let body = who.request(&Turn::Query("1".to_owned()), "call-1-0", 3, "2026-11-20T10:33:34.120Z");
    let expect = json!({
        "data": {}, "version": 1, "botId": "b", "channelType": "resterisk", "channelBotId": "c", "channelUserId": "+49301",
        "questionId": "call-1-0-3", "query": "1", "timestamp": "2026-11-20T10:33:34.120Z", "userFrom": { "id": "+49301" },
        "rawRequest": { "caller": "+49301", "extension": "1555", "originateData": { "payload": {} }, "headers": { "X-A": "1" } },
    });
    assert_eq!(body, expect);
    let status = TransferStatus {
        status: "FAIL",
        hangup: false,
        number: "110".to_owned(),
    };
    let body = who.request(&Turn::Transfer(status), "call-1-0", 4, "");
    assert_eq!((&body["event"], body.get("query")), (&json!("transfer"), None));
    assert_eq!(
        body["rawRequest"]["transferStatus"],
        json!({ "status": "FAIL", "hangup": false, "number": "110" })
    );
}
