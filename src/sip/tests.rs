//! The message layer as its users see it.

use super::*;
use bytes::Bytes;

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKabc, SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKdef\r\n\
    Max-Forwards: 70\r\n\
    From: \"Alice, A.\" <sip:alice@example.com>;tag=ft\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: a84b4c76e66710@192.0.2.1\r\n\
    CSeq: 314159 INVITE\r\n\
    Contact: <sip:alice@192.0.2.1:5062>\r\n\
    Record-Route: <sip:p1.example.com;lr>,\r\n <sip:p2.example.com;lr>\r\n\
    X-Odd: one, two\r\n\
    Supported: replaces, 100rel\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 4\r\n\
    \r\n\
    v=0\n";

fn message(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn refused(text: &str) -> ParseError {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_err()
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_invite_is_indexed() {
    let invite = message(INVITE);
    invite.validate().unwrap();
    assert_eq!(
        (invite.method(), invite.request_uri()),
        (&Method::Invite, Some("sip:bob@example.com"))
    );
    assert_eq!((invite.call_id(), invite.cseq()), ("a84b4c76e66710@192.0.2.1", 314159));
    assert_eq!(
        (invite.from_tag(), invite.to_tag(), invite.branch()),
        (Some("ft"), None, Some("z9hG4bKabc"))
    );
    let via = invite.top_via().unwrap();
    assert_eq!((via.transport, via.host, via.port), ("UDP", "192.0.2.1", Some(5062)));
    assert_eq!((via.rport(), via.received()), (Some(None), None));
    let routes: Vec<&str> = invite.values(HeaderName::RecordRoute).collect();
    assert_eq!(routes, ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]);
    assert!(invite.has_token(HeaderName::Supported, "Replaces"));
    assert_eq!(invite.from().unwrap().display.as_deref(), Some("Alice, A."));
    assert_eq!(invite.header_named("x-odd"), Some(&b"one, two"[..]));
    assert_eq!(invite.body(), "v=0\n");
    assert_eq!(invite.all_headers().count(), 12);
}

#[test]
fn leading_line_ends_go_and_trailing_octets_go() {
    let invite = message(&format!("\r\n\r\n{INVITE}garbage"));
    assert_eq!(invite.bytes(), INVITE);
}

#[test]
fn broken_messages_name_their_culprit() {
    let cases = [
        ("CSeq: 314159", "CSeq: x", 400, "Bad CSeq header"),
        ("CSeq: 314159", "CSeq: 4294967296", 400, "Bad CSeq header"),
        (
            "Call-ID: a84b4c76e66710@192.0.2.1\r\n",
            "",
            400,
            "Missing Call-ID header",
        ),
        ("Max-Forwards: 70", "To: <sip:x@y>", 400, "More than one To"),
        (
            "Content-Length: 4",
            "Content-Length: 5",
            400,
            "Body shorter than Content-Length",
        ),
        (
            "Content-Length: 4",
            "Content-Length: +4",
            400,
            "Bad Content-Length header",
        ),
        (
            "Content-Length: 4",
            "l: 4\r\nContent-Length: 3",
            400,
            "More than one Content-Length",
        ),
        ("tag=ft", "tag=ft;tag=other", 400, "Bad From header"),
        ("tag=ft", "tag=f[t", 400, "Bad From header"),
        ("tag=ft", "tag=\"ft\"", 400, "Bad From header"),
        ("tag=ft", "tag=", 400, "Bad From header"),
        ("Max-Forwards:", "Max\u{1}-Forwards:", 400, "Bad header line"),
        ("X-Odd: one", "X-Odd: o\rne", 400, "Bad header line"),
        ("X-Odd: one", "X-Odd: o\nne", 400, "Bad header line"),
        ("SIP/2.0\r\n", "SIP/3.0\r\n", 505, "Version Not Supported"),
        (
            "sip:bob@example.com SIP",
            "sip:bob@example.com  SIP",
            400,
            "Bad start line",
        ),
    ];
    for (from, to, status, reason) in cases {
        let broken = INVITE.replacen(from, to, 1);
        assert_ne!(broken, INVITE, "{from}");
        let error = refused(&broken);
        assert_eq!((error.status(), error.reason().as_str()), (status, reason), "{to}");
        let answer = text(Message::salvage(&broken).unwrap().to_tag("t").print());
        assert!(
            answer.starts_with(&format!("SIP/2.0 {status} {reason}\r\nVia: SIP/2.0/UDP 192.0.2.1:5062")),
            "{answer}"
        );
        assert!(!answer.contains("X-Odd"));
    }
}

#[test]
fn no_answer_to_ack_to_responses_or_to_noise() {
    let broken = INVITE.replace("CSeq: 314159", "CSeq: x");
    assert!(Message::salvage(broken.replace("INVITE", "ACK")).is_none());
    assert!(Message::salvage(broken.replace("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK")).is_none());
    assert!(Message::salvage(broken.replace("Via", "Vib")).is_none());
    assert!(Message::salvage("GET / HTTP/1.1\r\nVia: x\r\n\r\n").is_none());
    assert!(Message::salvage("").is_none());
}

#[test]
fn limits_hold() {
    let long = |n: usize| INVITE.replace("X-Odd: one", &format!("X-Odd: {}", "x".repeat(n)));
    assert!(Message::parse(long(8_000).into()).is_ok());
    assert_eq!(refused(&long(8_192)).status(), 513);
    assert_eq!(refused(&long(70_000)).status(), 513);
    assert_eq!(
        refused(&INVITE.replace("sip:bob", &format!("sip:{}", "b".repeat(1_024)))).status(),
        414
    );
    assert_eq!(
        refused(&INVITE.replace("X-Odd: one", &"X-Odd: one\r\n".repeat(128))).status(),
        513
    );
    assert_eq!(
        message(&INVITE.replace("X-Odd: one", "A: 1\r\n".repeat(100).trim_end()))
            .all_headers()
            .count(),
        111
    );
}

#[test]
fn a_response_copies_what_section_8_2_6_says() {
    let invite = message(&INVITE.replace("X-Odd: one", "Timestamp: 54\r\nX-Odd: one"));
    let trying = text(invite.respond(100).print());
    assert_eq!(
        trying,
        "SIP/2.0 100 Trying\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKabc, SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKdef\r\n\
         From: \"Alice, A.\" <sip:alice@example.com>;tag=ft\r\n\
         To: <sip:bob@example.com>\r\n\
         Call-ID: a84b4c76e66710@192.0.2.1\r\n\
         CSeq: 314159 INVITE\r\n\
         Timestamp: 54\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let ok = invite
        .respond(200)
        .to_tag("mine")
        .to_tag("never")
        .copy(&invite, HeaderName::RecordRoute);
    let ok = ok
        .header(HeaderName::Contact, "<sip:edge>")
        .body("application/sdp", "v=0\r\n")
        .print();
    let ok = Message::parse(ok).unwrap();
    assert_eq!(
        (ok.status(), ok.to_tag(), ok.method()),
        (Some(200), Some("mine"), &Method::Invite)
    );
    assert_eq!(ok.values(HeaderName::RecordRoute).count(), 2);
    assert_eq!(ok.body(), "v=0\r\n");
    let tagged = message(&INVITE.replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=theirs"));
    assert_eq!(
        Message::parse(tagged.respond(486).to_tag("mine").print())
            .unwrap()
            .to_tag(),
        Some("theirs")
    );
}

#[test]
fn octets_outside_utf_8_are_copied_and_forwarded_as_they_came() {
    let mut octets = INVITE.replace("Alice, A.", "J\u{1}rgen").into_bytes();
    let at = octets.iter().position(|octet| *octet == 1).unwrap();
    octets[at] = 0xfc;
    let invite = Message::parse(octets.clone().into()).unwrap();
    assert_eq!(invite.from().unwrap().display.as_deref(), Some("J\u{fffd}rgen"));
    assert_eq!(Forward::new(&invite).print(), octets);
    let answer = invite.respond(180).to_tag("t").print();
    let again = Message::parse(answer).unwrap();
    assert_eq!(again.header(HeaderName::From), invite.header(HeaderName::From));
    assert_eq!(again.to_tag(), Some("t"));
}

#[test]
fn a_value_cannot_make_a_second_header() {
    let draft = Draft::request(&Method::Options, "sip:x\r\nEvil: 1")
        .header(HeaderName::Subject, "a\r\nEvil: 2")
        .header_named("Evil 3:", "x")
        .header(HeaderName::ContentLength, 9);
    let printed = text(draft.print_with_via("SIP/2.0/UDP edge\r\nEvil: 4"));
    assert_eq!(
        printed,
        "OPTIONS sip:xEvil:1 SIP/2.0\r\nVia: SIP/2.0/UDP edge  Evil: 4\r\nSubject: a  Evil: 2\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_draft_tells_what_it_is() {
    let draft = Draft::request(&Method::Bye, "sip:bob@192.0.2.9")
        .header(HeaderName::To, "<sip:bob@x>;tag=1")
        .to_tag("2");
    assert_eq!(
        (draft.method(), draft.request_uri(), draft.status()),
        (Some(&Method::Bye), Some("sip:bob@192.0.2.9"), None)
    );
    assert_eq!(draft.get(HeaderName::To), Some("<sip:bob@x>;tag=1"));
    assert_eq!(message(INVITE).respond(486).status(), Some(486));
}

#[test]
fn a_proxy_edits_and_leaves_every_other_octet() {
    let invite = message(INVITE);
    let forward = Forward::new(&invite)
        .request_uri("sip:bob@192.0.2.77")
        .push_via("SIP/2.0/TLS edge.example;branch=z9hG4bKnew")
        .max_forwards(69)
        .push(HeaderName::RecordRoute, "<sip:edge;transport=udp;lr>")
        .push(HeaderName::RecordRoute, "<sip:edge;transport=tls;lr>")
        .remove(HeaderName::Supported);
    let wanted = INVITE
        .replace("INVITE sip:bob@example.com", "INVITE sip:bob@192.0.2.77")
        .replacen(
            "\r\nVia",
            "\r\nRecord-Route: <sip:edge;transport=tls;lr>\r\nRecord-Route: <sip:edge;transport=udp;lr>\r\n\
             Via: SIP/2.0/TLS edge.example;branch=z9hG4bKnew\r\nVia",
            1,
        )
        .replace("Max-Forwards: 70", "Max-Forwards: 69")
        .replace("Supported: replaces, 100rel\r\n", "");
    assert_eq!(text(forward.print()), wanted);
}

#[test]
fn the_top_value_pops_from_a_list_and_with_its_line() {
    let invite = message(INVITE);
    let once = Message::parse(Forward::new(&invite).pop_via().print()).unwrap();
    assert_eq!(
        once.header(HeaderName::Via),
        Some(&b"SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKdef"[..])
    );
    let routed = message(&INVITE.replace("Record-Route", "Route"));
    let one = Message::parse(Forward::new(&routed).pop_route().print()).unwrap();
    assert_eq!(
        one.values(HeaderName::Route).collect::<Vec<_>>(),
        ["<sip:p2.example.com;lr>"]
    );
    let none = Message::parse(Forward::new(&one).pop_route().print()).unwrap();
    assert_eq!(none.header(HeaderName::Route), None);
    assert_eq!(
        text(Forward::new(&none).pop_route().print()),
        text(none.bytes().clone())
    );
    let set = Forward::new(&none).set(HeaderName::Route, "<sip:a;lr>").print();
    assert_eq!(
        Message::parse(set).unwrap().header(HeaderName::Route),
        Some(&b"<sip:a;lr>"[..])
    );
}

#[test]
fn more_edits_than_fit_inline_are_all_made() {
    let invite = message(INVITE);
    let long = "x".repeat(300);
    let forward = (0..20).fold(Forward::new(&invite), |forward, n| {
        forward.push(HeaderName::Warning, format!("{n} {long}"))
    });
    let printed = Message::parse(forward.print()).unwrap();
    let warnings: Vec<&str> = printed
        .headers(HeaderName::Warning)
        .map(|v| std::str::from_utf8(v).unwrap())
        .collect();
    let wanted: Vec<String> = (0..20).rev().map(|n| format!("{n} {long}")).collect();
    assert_eq!(warnings, wanted);
}

#[test]
fn uris_come_apart() {
    let uri = Uri::parse("sips:al%69ce:pw@Example.COM:5071;transport=tcp;lr?Subject=x&Replaces=a%40b").unwrap();
    assert_eq!(
        (uri.scheme(), uri.user(), uri.host(), uri.port()),
        (Scheme::Sips, Some("al%69ce:pw"), "Example.COM", Some(5071))
    );
    assert_eq!(
        (uri.param("Transport"), uri.param("lr"), uri.param("x")),
        (Some(Some("tcp")), Some(None), None)
    );
    assert_eq!(
        (uri.header("replaces"), uri.host_port()),
        (Some("a%40b"), "Example.COM:5071")
    );
    assert_eq!(
        uri.without_headers().as_str(),
        "sips:al%69ce:pw@Example.COM:5071;transport=tcp;lr"
    );
    assert_eq!(
        uri.with_param("transport", Some("ws")).as_str(),
        "sips:al%69ce:pw@Example.COM:5071;lr;transport=ws?Subject=x&Replaces=a%40b"
    );
    let six = Uri::parse("sip:[2001:db8::1]:5070").unwrap();
    assert_eq!(
        (six.host(), six.addr()),
        ("[2001:db8::1]", Some("[2001:db8::1]:5070".parse().unwrap()))
    );
    assert_eq!(
        Uri::parse("sip:192.0.2.1").unwrap().addr(),
        Some("192.0.2.1:5060".parse().unwrap())
    );
    assert_eq!(
        Uri::parse("sip:[2001:db8:::1]").unwrap().addr(),
        Some("[2001:db8::1]:5060".parse().unwrap())
    );
    let tel = Uri::parse("tel:+4930123;phone-context=x").unwrap();
    assert_eq!(
        (tel.scheme(), tel.user(), tel.host_port(), tel.param("phone-context")),
        (Scheme::Tel, Some("+4930123"), "", Some(Some("x")))
    );
    assert_eq!(
        Uri::sip(Some("a b@c"), "192.0.2.1:5060").as_str(),
        "sip:a%20b%40c@192.0.2.1:5060"
    );
    for bad in [
        "",
        "sip:",
        "bob",
        "sip:@host",
        "sip:a b@host",
        "sip:host:99999",
        "sip:host:x",
        "sip:a@[::1",
        "sip:a@b;c@d",
        "<sip:a>",
        "tel:",
        "1:x",
    ] {
        assert!(Uri::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn equal_users_by_section_19_1_4() {
    let same = |a: &str, b: &str| Uri::parse(a).unwrap().same_user(&Uri::parse(b).unwrap());
    assert!(same("sip:%61lice@atlanta.com", "sip:alice@AtLanTa.CoM;transport=tcp"));
    assert!(!same("sip:ALICE@atlanta.com", "sip:alice@atlanta.com"));
    assert!(!same("sip:a%3Bb@x", "sip:a;b@x"));
    assert!(same("sip:a%3bb@x", "sip:a%3Bb@x"));
    assert!(!same("sip:x", "sip:a@x"));
}

#[test]
fn parties_print_what_they_read() {
    let party = NameAddr::parse("\"A \\\"B\\\" <c>\" <sip:a@b;lr>;tag=1;+sip.instance=\"<urn:uuid:1>\"").unwrap();
    assert_eq!(party.display.as_deref(), Some("A \"B\" <c>"));
    assert_eq!(party.param_unquoted("+sip.instance").as_deref(), Some("<urn:uuid:1>"));
    assert_eq!(NameAddr::parse(&party.to_string()).unwrap(), party);
    let bare = NameAddr::parse("sip:a@b;tag=2").unwrap();
    assert_eq!(
        (bare.tag(), bare.uri.as_str(), bare.to_string().as_str()),
        (Some("2"), "sip:a@b", "<sip:a@b>;tag=2")
    );
    assert_eq!(bare.with_param("tag", Some("3")).to_string(), "<sip:a@b>;tag=3");
}

#[test]
fn replaces_by_rfc_3891() {
    let text = "425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only";
    let replaces = Replaces::parse(text).unwrap();
    assert_eq!(
        (
            replaces.call_id.as_str(),
            replaces.to_tag.as_str(),
            replaces.from_tag.as_str()
        ),
        ("425928@bobster.example.org", "7743", "6472")
    );
    assert!(replaces.early_only);
    assert_eq!(replaces.to_string(), text);
    let uri = Uri::parse(&format!("sip:carol@192.0.2.5?{}", replaces.to_uri_header())).unwrap();
    assert_eq!(Replaces::in_refer_to(&uri).unwrap(), Some(replaces));
    for bad in [
        "x",
        "x;to-tag=1",
        "x;from-tag=1",
        "x;to-tag=1;to-tag=2;from-tag=3",
        ";to-tag=1;from-tag=2",
        "x;to-tag;from-tag=1",
        "x,y;to-tag=1;from-tag=2",
    ] {
        assert!(Replaces::parse(bad).is_err(), "{bad}");
    }
    let twice = Uri::parse("sip:c@d?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&replaces=x").unwrap();
    assert!(Replaces::in_refer_to(&twice).is_err());
    let invite = |lines: &str| message(&INVITE.replace("X-Odd: one, two", lines));
    assert_eq!(Replaces::of(&invite("X: 1")).unwrap(), None);
    assert!(Replaces::of(&invite(&format!("Replaces: {text}"))).unwrap().is_some());
    assert_eq!(
        Replaces::of(&invite(&format!("Replaces: {text}\r\nReplaces: {text}")))
            .unwrap_err()
            .status(),
        400
    );
}

#[test]
fn refer_to_takes_replaces_and_no_other_order() {
    let refer = ReferTo::parse(
        "\"C\" <sip:carol@192.0.2.5;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Route=%3Csip:evil%3E>",
    )
    .unwrap();
    assert_eq!(refer.target.uri.as_str(), "sip:carol@192.0.2.5;method=INVITE");
    assert_eq!(refer.method, Some(Method::Invite));
    assert_eq!(refer.replaces.unwrap().call_id, "a@b");
    let request = |lines: &str| message(&INVITE.replace("X-Odd: one, two", lines));
    assert_eq!(
        ReferTo::of(&request("X: 1")).unwrap_err().reason(),
        "Missing Refer-To header"
    );
    assert_eq!(
        ReferTo::of(&request("Refer-To: <sip:a@b>\r\nr: <sip:c@d>"))
            .unwrap_err()
            .reason(),
        "More than one Refer-To"
    );
    assert_eq!(
        ReferTo::of(&request("Refer-To: <sip:a@b>, <sip:c@d>"))
            .unwrap_err()
            .status(),
        400
    );
    assert!(ReferTo::of(&request("Refer-To: nonsense")).is_err());
    assert_eq!(
        ReferTo::of(&request("r: sip:c@d")).unwrap().target.uri.as_str(),
        "sip:c@d"
    );
}

#[test]
fn sipfrags_and_subscription_states() {
    let frag = Sipfrag::parse(b"SIP/2.0 486 Busy Here\r\nTo: x\r\n").unwrap();
    assert_eq!((frag.status, frag.reason.as_str()), (486, "Busy Here"));
    assert_eq!(Sipfrag::parse(b"SIP/2.0 200").unwrap().status, 200);
    assert_eq!(Sipfrag::new(180).to_string(), "SIP/2.0 180 Ringing\r\n");
    for bad in [&b""[..], b"INVITE x", b"SIP/2.0 99 x", b"SIP/2.0 2000 x"] {
        assert_eq!(Sipfrag::parse(bad), None);
    }
    let state = SubscriptionState::parse("Terminated ; reason=noresource;retry-after=5").unwrap();
    assert!(state.is_terminated());
    assert_eq!(
        (state.reason.as_deref(), state.retry_after, state.expires),
        (Some("noresource"), Some(5), None)
    );
    assert_eq!(SubscriptionState::active(60).to_string(), "active;expires=60");
    assert_eq!(
        SubscriptionState::terminated("noresource").to_string(),
        "terminated;reason=noresource"
    );
    assert!(SubscriptionState::parse("").is_err());
}
