//! The rows of the room's table, and the edits of what passes.

use bytes::Bytes;
use compact_str::CompactString;

use super::{Decision, OwnRoute, Proxy, ProxyConfig, Side, response_back};
use crate::sip::{ALLOW, Forward, HeaderName, Message, Uri};
use crate::transport::{Flow, FlowSeal, Transport};

const KEY: [u8; 16] = [7; 16];

fn proxy(pbx: bool) -> Proxy {
    Proxy::new(ProxyConfig {
        domain: "example.com".into(),
        edges: vec!["192.0.2.1:5060".into(), "[2001:db8::1]:5070".into()],
        pbx_host: pbx.then(|| "pbx.internal:5080".into()),
        key: KEY,
    })
}

fn seal() -> FlowSeal {
    FlowSeal::new(KEY)
}

fn phone() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "198.51.100.7:5062".parse().unwrap(),
        connection: 0,
    }
}

/// A request with these extra lines; `to_tag` puts it in a dialog.
fn request(method: &str, uri: &str, to_tag: bool, lines: &[String]) -> Message {
    let tag = if to_tag { ";tag=t" } else { "" };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bK1\r\nf: <sip:alice@example.com>;tag=f\r\n\
         To: <sip:bob@example.com>{tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{lines}X-Odd :  kept \r\nl: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn sealed_route() -> String {
    format!("Route: <sip:{}@192.0.2.1;lr>", seal().token(&phone()))
}

/// The decision in a word, with the status of an answer.
fn word(decision: &Decision) -> String {
    match decision {
        Decision::AnswerHere(draft) | Decision::Refuse(draft) => {
            let response = Message::parse(draft.print()).unwrap();
            assert!(response.to_tag().is_some());
            let status = response.status().unwrap_or_default();
            assert_eq!(
                response.text(HeaderName::Allow).is_some(),
                [200, 405, 501].contains(&status)
            );
            status.to_string()
        }
        Decision::ForwardToPbx => "pbx".into(),
        Decision::ToFlow(flow) => {
            assert_eq!(*flow, phone());
            "flow".into()
        }
        Decision::ToBinding(user) => format!("@{user}"),
        Decision::NotMine => "not mine".into(),
    }
}

/// From a phone with a PBX behind, from a phone without one, from the PBX.
fn row(message: &Message) -> [String; 3] {
    [(true, Side::Phone), (false, Side::Phone), (true, Side::Pbx)]
        .map(|(pbx, side)| word(&proxy(pbx).what_to_do(message, side, &seal())))
}

#[test]
fn what_becomes_of_a_request_outside_dialogs() {
    for (method, uri, expected) in [
        ("OPTIONS", "sip:192.0.2.1", ["200", "200", "200"]),
        ("OPTIONS", "sip:example.com:5999", ["200", "200", "200"]),
        ("OPTIONS", "sip:[2001:DB8:0::1]:5070", ["200", "200", "200"]),
        ("OPTIONS", "sip:bob@example.com", ["pbx", "@bob", "@bob"]),
        ("MESSAGE", "sip:b%6fb@example.com", ["pbx", "@bob", "@bob"]),
        ("SUBSCRIBE", "sip:bob@example.com", ["pbx", "405", "@bob"]),
        ("NOTIFY", "sip:bob@example.com", ["481", "481", "@bob"]),
        ("PUBLISH", "sip:bob@example.com", ["pbx", "405", "405"]),
        ("REFER", "sip:bob@example.com", ["403", "403", "403"]),
        ("BYE", "sip:bob@example.com", ["481", "481", "481"]),
        ("INFO", "sip:bob@example.com", ["481", "481", "481"]),
        ("FLY", "sip:bob@example.com", ["501", "501", "501"]),
        ("options", "sip:192.0.2.1", ["501", "501", "501"]),
        ("INVITE", "sip:bob@example.com", ["not mine", "not mine", "not mine"]),
        ("ACK", "sip:bob@example.com", ["not mine", "not mine", "not mine"]),
        ("CANCEL", "sip:bob@example.com", ["not mine", "not mine", "not mine"]),
        ("REGISTER", "sip:example.com", ["not mine", "not mine", "not mine"]),
        // The PBX writes the phone's own contact; a phone may not reach foreign hosts through us.
        ("MESSAGE", "sip:bob@10.0.0.7:5062", ["pbx", "404", "@bob"]),
        ("OPTIONS", "sip:example.org", ["pbx", "404", "404"]),
        ("MESSAGE", "tel:+15550100", ["pbx", "416", "416"]),
    ] {
        assert_eq!(row(&request(method, uri, false, &[])), expected, "{method} {uri}");
    }
}

#[test]
fn a_method_that_is_known_and_not_allowed_is_not_an_unknown_dialog() {
    for method in ["PRACK", "UPDATE"] {
        let expected = if ALLOW.contains(method) { "481" } else { "405" };
        assert_eq!(
            row(&request(method, "sip:bob@example.com", true, &[])),
            [expected; 3],
            "{method}"
        );
    }
}

#[test]
fn what_belongs_to_a_dialog_that_nobody_knows_gets_481() {
    for method in [
        "OPTIONS",
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "REFER",
        "BYE",
        "INFO",
    ] {
        assert_eq!(
            row(&request(method, "sip:bob@192.0.2.1", true, &[])),
            ["481"; 3],
            "{method}"
        );
    }
}

#[test]
fn a_sealed_route_leads_the_pbx_to_the_phone_and_a_phone_only_to_the_pbx() {
    for method in ["OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY"] {
        for in_dialog in [false, true] {
            let message = request(method, "sip:alice@10.0.0.7:5062", in_dialog, &[sealed_route()]);
            assert_eq!(row(&message), ["pbx", "403", "flow"], "{method}");
        }
    }
    // What acts on a leg is never passed along, whatever its Route says.
    for method in ["REFER", "BYE", "INFO"] {
        assert_eq!(
            row(&request(method, "sip:alice@10.0.0.7", true, &[sealed_route()])),
            ["481"; 3],
            "{method}"
        );
    }
}

#[test]
fn a_route_that_was_not_sealed_here_is_refused() {
    let forged = format!("Route: <sip:{}@192.0.2.1;lr>", FlowSeal::new([8; 16]).token(&phone()));
    for line in [forged, "Route: <sip:alice@192.0.2.1;lr>".into()] {
        let message = request("MESSAGE", "sip:bob@example.com", false, &[line]);
        assert_eq!(row(&message), ["403"; 3]);
        assert_eq!(
            proxy(true).forward(&message, &seal(), None).unwrap_err().status(),
            Some(403)
        );
    }
}

#[test]
fn a_route_is_ours_by_address_and_port() {
    let own = |line: &str| proxy(true).flow_of_route(&request("MESSAGE", "sip:b@c", false, &[line.into()]), &seal());
    assert_eq!(own("Route: <sip:192.0.2.1;lr>"), OwnRoute::Plain);
    assert_eq!(
        own("Route: <sip:192.0.2.1:5060;transport=tcp;lr>, <sip:pbx.internal;lr>"),
        OwnRoute::Plain
    );
    assert_eq!(own(&sealed_route()), OwnRoute::Sealed(phone()));
    for other in [
        "Route: <sip:192.0.2.1:5061;lr>",
        "Route: <sip:192.0.2.9;lr>",
        "Route: <sips:192.0.2.1;lr>",
        "Route: %",
    ] {
        assert_eq!(own(other), OwnRoute::None, "{other}");
    }
}

#[test]
fn require_that_nobody_handles_is_refused_where_the_edge_is_the_uas() {
    let lines = ["Require: 100rel".to_owned(), "Require: replaces, Foo".to_owned()];
    let decision = proxy(true).what_to_do(
        &request("OPTIONS", "sip:192.0.2.1", false, &lines),
        Side::Phone,
        &seal(),
    );
    let Decision::Refuse(draft) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(
        (draft.status(), draft.get(HeaderName::Unsupported)),
        (Some(420), Some("Foo"))
    );
    // To the PBX it is the PBX's business (RFC 3261 §16.3 step 5).
    let passing = request("MESSAGE", "sip:bob@example.com", false, &lines);
    assert!(proxy(true).forward(&passing, &seal(), None).is_ok());
}

fn register(uri: &str, lines: &[&str]) -> Message {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    request("REGISTER", uri, false, &lines)
}

fn through<'m>(message: &'m Message, flow: &Flow) -> Result<Forward<'m>, super::Refused> {
    proxy(true).register_through(message, flow, &seal(), "192.0.2.1:5060", Transport::Udp)
}

#[test]
fn a_register_goes_to_the_pbx_with_our_path_and_nothing_else_changed() {
    let message = register(
        "sip:example.com",
        &["Max-Forwards: 70", "Supported: gruu, Path", "Contact: <sip:a@10.0.0.7>"],
    );
    let sent = through(&message, &phone())
        .unwrap()
        .push_via("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        .print();
    let token = seal().token(&phone());
    let before = std::str::from_utf8(message.bytes()).unwrap();
    let expected = before
        .replacen("Via:", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nVia:", 1)
        .replacen("Max-Forwards: 70", "Max-Forwards: 69", 1)
        // White space before a colon is the one thing that never passes (LESSONS 35).
        .replacen("X-Odd :", "X-Odd:", 1);
    let path = format!("Path: <sip:{token}@192.0.2.1:5060;transport=udp;lr>\r\n");
    let sent = std::str::from_utf8(&sent).unwrap();
    assert!(sent.contains(&path), "{sent}");
    assert_eq!(sent.replacen(&path, "", 1), expected);
    // What the PBX does with it leads back to the phone.
    let back = request(
        "OPTIONS",
        "sip:a@10.0.0.7",
        false,
        &[path.trim().replacen("Path", "Route", 1)],
    );
    assert_eq!(proxy(true).flow_of_route(&back, &seal()), OwnRoute::Sealed(phone()));
}

#[test]
fn a_register_gets_what_it_lacks() {
    let message = register(
        "sip:192.0.2.1;transport=tcp",
        &["Route: <sip:192.0.2.1;lr>", "Path: <sip:first@example.net;lr>"],
    );
    let sent = Message::parse(through(&message, &phone()).unwrap().print()).unwrap();
    assert_eq!(
        sent.request_uri(),
        Some("sip:pbx.internal:5080"),
        "the edge's own host means the PBX"
    );
    assert_eq!(sent.number(HeaderName::MaxForwards), Some(70));
    assert!(sent.has_token(HeaderName::Supported, "path"));
    assert_eq!(sent.header(HeaderName::Route), None);
    let path: Vec<&str> = sent.values(HeaderName::Path).collect();
    assert_eq!(
        (path.len(), path[1]),
        (2, "<sip:first@example.net;lr>"),
        "ours is on top"
    );
    assert_eq!(
        register_uri("sip:example.com"),
        "sip:example.com",
        "another host than ours is the PBX's to judge"
    );
}

fn register_uri(uri: &str) -> String {
    let message = register(uri, &[]);
    let sent = Message::parse(through(&message, &phone()).unwrap().print()).unwrap();
    sent.request_uri().unwrap_or_default().to_owned()
}

#[test]
fn outbound_is_promised_by_the_first_hop_on_a_connection() {
    let has_ob = |flow: &Flow, lines: &[&str]| {
        let message = register("sip:example.com", lines);
        let sent = Message::parse(through(&message, flow).unwrap().print()).unwrap();
        sent.text(HeaderName::Path).unwrap().contains(";ob")
    };
    let tcp = Flow {
        transport: Transport::Tcp,
        connection: 9,
        ..phone()
    };
    assert!(has_ob(&tcp, &[]));
    assert!(!has_ob(&tcp, &["Via: SIP/2.0/TCP 203.0.113.1;branch=z9hG4bK0"]));
    assert!(!has_ob(&phone(), &[]));
}

#[test]
fn what_may_not_pass_is_refused() {
    for (lines, status) in [
        (vec!["Max-Forwards: 0"], 483),
        (vec!["Max-Forwards: many"], 400),
        (vec!["Proxy-Require: sec-agree, path"], 420),
    ] {
        let message = register("sip:example.com", &lines);
        let refusal = through(&message, &phone()).unwrap_err();
        assert_eq!(refusal.status(), Some(status), "{lines:?}");
        let unsupported = (status == 420).then_some("sec-agree");
        assert_eq!(refusal.get(HeaderName::Unsupported), unsupported);
    }
}

#[test]
fn max_forwards_goes_down_by_one_and_never_wraps() {
    for (before, after) in [("1", 0), ("70", 69), ("255", 254), ("4000000000", 254)] {
        let line = format!("Max-Forwards: {before}");
        let message = register("sip:example.com", &[&line]);
        let sent = Message::parse(through(&message, &phone()).unwrap().print()).unwrap();
        assert_eq!(sent.number(HeaderName::MaxForwards), Some(after));
    }
}

#[test]
fn a_request_to_a_binding_gets_its_contact() {
    let contact = Uri::parse("sip:alice@10.0.0.7:5062;ob").unwrap();
    let message = request("MESSAGE", "sip:alice@example.com", false, &[]);
    let sent = Message::parse(proxy(false).forward(&message, &seal(), Some(&contact)).unwrap().print()).unwrap();
    assert_eq!(sent.request_uri(), Some(contact.as_str()));
}

#[test]
fn a_subscription_is_recorded_so_that_its_notify_finds_the_phone() {
    let message = request("SUBSCRIBE", "sip:bob@example.com", false, &[]);
    let udp = (Transport::Udp, "192.0.2.1:5060".into());
    let tcp = (Transport::Tcp, "192.0.2.1:5060".into());
    let recorded = |sides: &[(Transport, CompactString); 2]| {
        let sent = proxy(true).forward_recorded(&message, &phone(), &seal(), sides, None);
        Message::parse(sent.unwrap().print()).unwrap()
    };
    // RFC 5658 §4: where the two sides differ each has its own, the next hop's on top.
    let double = recorded(&[tcp.clone(), udp.clone()]);
    let both: Vec<&str> = double.values(HeaderName::RecordRoute).collect();
    assert_eq!(both.len(), 2);
    assert!(
        both[0].contains("transport=udp") && both[1].contains("transport=tcp"),
        "{both:?}"
    );
    let back = request(
        "NOTIFY",
        "sip:alice@10.0.0.7:5062",
        true,
        &[format!("Route: {}, {}, <sip:other;lr>", both[0], both[1])],
    );
    let back = Message::parse(proxy(true).forward(&back, &seal(), None).unwrap().print()).unwrap();
    assert_eq!(
        back.text(HeaderName::Route),
        Some("<sip:other;lr>"),
        "both of ours have done their work"
    );
    let sent = recorded(&[udp.clone(), udp]);
    assert_eq!(sent.values(HeaderName::RecordRoute).count(), 1);
    let route = format!("Route: {}", sent.text(HeaderName::RecordRoute).unwrap());
    let notify = request("NOTIFY", "sip:alice@10.0.0.7:5062", true, &[route]);
    assert_eq!(row(&notify), ["pbx", "403", "flow"]);
}

#[test]
fn a_response_goes_back_without_our_via() {
    let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx, SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1\r\n\
                From: <sip:a@b>;tag=f\r\nTo: <sip:a@b>;tag=t\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nPath:   <sip:x@y>\r\n\r\n";
    let response = Message::parse(Bytes::from(text)).unwrap();
    let back = text.replace("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx, ", "");
    assert_eq!(response_back(&response), back);
}
