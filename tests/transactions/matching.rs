//! Which message belongs to which transaction: RFC 3261 §17.1.3, §17.2.3, §8.2.2.2, §18.2; RFC 3581.

use crate::wire::{Side, Wire, draft};
use bytes::Bytes;
use warmline::sip::{HeaderName, Message, Method};
use warmline::transaction::Received;
use warmline::transport::{Flow, Transport, ViaParam};

fn text(message: &Message) -> String {
    String::from_utf8(message.bytes().to_vec()).unwrap()
}

/// A request that some other stack printed.
fn foreign(method: &Method, branch: &str) -> String {
    let via = ViaParam {
        transport: Transport::Tcp,
        sent_by: "192.0.2.1:5060",
        branch,
    };
    String::from_utf8(draft(method).print_with_via(via).to_vec()).unwrap()
}

fn new_request(wire: &mut Wire, text: &str) -> bool {
    let before = wire.asked.len();
    wire.inject(Side::A, Bytes::from(text.to_owned()));
    wire.asked.len() > before
}

#[test]
fn a_response_on_a_branch_that_is_not_ours_is_nobodys() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.ms(0);
    let response = Message::parse(wire.asked[0].1.respond(200).to_tag("b1").print()).unwrap();
    let branch = response.branch().unwrap().to_owned();
    let mut forged = vec![
        "z9hG4bK".to_owned(),
        "z9hG4bKguess".to_owned(),
        branch[..branch.len() - 1].to_owned(),
    ];
    for place in 7..branch.len() {
        let letter = if &branch[place..=place] == "a" { "b" } else { "a" };
        forged.push(format!("{}{letter}{}", &branch[..place], &branch[place + 1..]));
    }
    for forged in forged {
        wire.inject(Side::B, text(&response).replace(&branch, &forged).into());
        assert!(wire.answered.is_none(), "{forged}");
    }
    wire.inject(Side::B, response.bytes().clone());
    assert!(wire.answered.is_some());
}

#[test]
fn a_response_matches_by_its_method_too() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.ms(0);
    let response = Message::parse(wire.asked[0].1.respond(200).to_tag("b1").print()).unwrap();
    for other in ["1 BYE", "1 CANCEL", "1 OPTIONS"] {
        wire.inject(Side::B, text(&response).replace("1 INVITE", other).into());
        assert!(wire.answered.is_none(), "{other}");
    }
}

#[test]
fn the_same_request_is_asked_once_whatever_its_branch_is_like() {
    for branch in ["z9hG4bKx1", "old-style", "z9hG4bK"] {
        for method in [Method::Invite, Method::Options, Method::Refer] {
            let mut wire = Wire::new(Transport::Tcp);
            let request = foreign(&method, branch);
            assert!(new_request(&mut wire, &request), "{method} {branch}");
            assert!(!new_request(&mut wire, &request), "{method} {branch} again");
            let other = request.replace(&format!("branch={branch}"), &format!("branch={branch}other"));
            assert!(new_request(&mut wire, &other), "{method} {branch} is another request");
        }
    }
}

#[test]
fn the_bare_cookie_does_not_make_all_requests_one() {
    let mut wire = Wire::new(Transport::Tcp);
    let request = foreign(&Method::Options, "z9hG4bK");
    assert!(new_request(&mut wire, &request));
    assert!(new_request(&mut wire, &request.replace("c1", "c2")), "RFC 4475 §3.2.1");
}

#[test]
fn the_ack_of_an_old_stack_is_found_by_the_to_tag_of_the_response() {
    let mut wire = Wire::new(Transport::Udp);
    assert!(new_request(&mut wire, &foreign(&Method::Invite, "7")));
    wire.respond(486);
    let ack = foreign(&Method::Ack, "7").replace("To: <sip:b@example.com>", "To: <sip:b@example.com>;tag=b1");
    let others = ack.replace("tag=b1", "tag=other");
    wire.inject(Side::A, others.into());
    assert_eq!(
        wire.heard.last().map(String::as_str),
        Some("0 b ACK"),
        "another response's"
    );
    let heard = wire.heard.len();
    wire.inject(Side::A, ack.into());
    assert_eq!(wire.heard.len(), heard, "absorbed");
    wire.ms(1_000);
    assert_eq!(wire.ladder, ["0 < 486 INVITE"], "and G has stopped");
}

#[test]
fn a_request_that_comes_by_two_ways_is_merged() {
    let mut wire = Wire::new(Transport::Tcp);
    let request = foreign(&Method::Invite, "z9hG4bKone");
    assert!(new_request(&mut wire, &request));
    assert!(new_request(&mut wire, &request.replace("z9hG4bKone", "z9hG4bKtwo")));
    assert!(new_request(
        &mut wire,
        &request.replace("z9hG4bKone", "z9hG4bKsix").replace("c1", "c2")
    ));
    let (first, second, third) = (wire.asked[0].0, wire.asked[1].0, wire.asked[2].0);
    assert_eq!(wire.b.merged_with(first), None);
    assert_eq!(wire.b.merged_with(second), Some(first));
    assert_eq!(wire.b.merged_with(third), None);
    // Within a dialog nothing is merged.
    let inside = request.replace("To: <sip:b@example.com>", "To: <sip:b@example.com>;tag=b1");
    assert!(new_request(&mut wire, &inside.replace("z9hG4bKone", "z9hG4bKin1")));
    assert!(new_request(&mut wire, &inside.replace("z9hG4bKone", "z9hG4bKin2")));
    assert_eq!(wire.b.merged_with(wire.asked[4].0), None);
    for n in 0..5 {
        wire.respond_to(n, 482);
    }
    wire.ms(40_000);
    assert_eq!(wire.b.merged_with(second), None, "the first is over");
    assert!(new_request(&mut wire, &request.replace("z9hG4bKone", "z9hG4bKthree")));
    assert_eq!(wire.b.merged_with(wire.asked[5].0), None);
}

#[test]
fn a_response_goes_where_rfc_3581_says() {
    let source = Flow {
        transport: Transport::Udp,
        local: "192.0.2.2:5060".parse().unwrap(),
        remote: "203.0.113.7:40001".parse().unwrap(),
        connection: 0,
    };
    for (params, remote, line) in [
        (
            ";rport;a=b",
            "203.0.113.7:40001",
            "SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKn;rport=40001;a=b;received=203.0.113.7",
        ),
        (
            ";rport",
            "203.0.113.7:40001",
            "SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKn;rport=40001;received=203.0.113.7",
        ),
        (
            "",
            "203.0.113.7:5062",
            "SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKn;received=203.0.113.7",
        ),
        (
            ";maddr=224.0.1.75",
            "203.0.113.7:5062",
            "SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKn;maddr=224.0.1.75;received=203.0.113.7",
        ),
    ] {
        let mut wire = Wire::new(Transport::Udp);
        let via = format!("SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKn{params}");
        let request = Message::parse(draft(&Method::Options).print_with_via(via)).unwrap();
        let Some(Received::Request { server, message }) = wire.b.receive(wire.now, source, request.clone()) else {
            panic!("{params}")
        };
        wire.b
            .respond(wire.now, server, message.respond(200).to_tag("t").print(), 200);
        let transmit = wire.b.poll_transmit().unwrap();
        assert_eq!(
            transmit.flow,
            Flow {
                remote: remote.parse().unwrap(),
                ..source
            }
        );
        let response = Message::parse(transmit.bytes).unwrap();
        assert_eq!(response.text(HeaderName::Via), Some(line));
        // The repetition gets the same, although it was never stamped.
        assert!(wire.b.receive(wire.now, source, request).is_none());
        assert_eq!(wire.b.poll_transmit().unwrap().bytes, *response.bytes());
    }
}

#[test]
fn a_plain_request_reaches_the_user_as_it_came() {
    let mut wire = Wire::new(Transport::Tcp);
    let request = Message::parse(foreign(&Method::Options, "z9hG4bKp").into()).unwrap();
    let flow = wire.flow_of(Side::B);
    let Some(Received::Request { message, .. }) = wire.b.receive(wire.now, flow, request.clone()) else {
        panic!()
    };
    assert_eq!(message.bytes().as_ptr(), request.bytes().as_ptr(), "not copied");
}

#[test]
fn a_proxys_request_is_printed_by_the_proxy() {
    let mut wire = Wire::new(Transport::Udp);
    let flow = wire.flow_of(Side::A);
    let client = wire
        .a
        .forward(wire.now, flow, "192.0.2.1:5060", Method::Invite, "proxied", |via| {
            let text = foreign(&Method::Invite, "z9hG4bKupstream");
            text.replacen("Via: ", &format!("Via: {via}\r\nVia: "), 1).into()
        });
    wire.request(Method::Options); // collects
    wire.ms(0);
    wire.respond_to(0, 486);
    wire.ms(0);
    assert!(wire.heard.contains(&"0 a 486 INVITE for proxied".to_owned()));
    assert!(wire.ladder.contains(&"0 > ACK".to_owned()));
    assert!(!wire.cancel(client));
}
