use super::*;
use crate::transport::Transport;
use bytes::Bytes;
use std::net::SocketAddr;

fn flow() -> Flow {
    let here = SocketAddr::from(([192, 0, 2, 1], 5060));
    Flow {
        transport: Transport::Udp,
        local: here,
        remote: here,
        connection: 0,
    }
}

fn message(text: &str) -> Message {
    Message::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap()
}

fn request(method: &str, cseq: u32, more: &str) -> Message {
    message(&format!(
        "{method} sip:edge SIP/2.0\nVia: SIP/2.0/UDP pc33;branch=z9hG4bK{cseq}\n\
         From: \"A; Lice\" <sip:alice@a.example;x=1>;tag=alice;y=2\nTo: <sip:bob@edge>\nCall-ID: call@pc33\n\
         CSeq: {cseq} {method}\nMax-Forwards: 70\n{more}Content-Length: 0\n\n"
    ))
}

fn invite() -> Draft {
    Draft::request(&Method::Invite, "sip:bob@pbx;user=phone")
        .header(HeaderName::From, "<sip:edge@edge>;tag=ours")
        .header(HeaderName::To, "<sip:bob@pbx>")
        .header(HeaderName::CallId, "call@edge")
        .header(HeaderName::CSeq, "7 INVITE")
}

fn response(status: u16, tag: &str, more: &str) -> Message {
    message(&format!(
        "SIP/2.0 {status} X\nVia: SIP/2.0/UDP edge;branch=z9hG4bK7\nFrom: <sip:edge@edge>;tag=ours\n\
         To: <sip:bob@pbx>{tag}\nCall-ID: call@edge\nCSeq: 7 INVITE\n{more}Content-Length: 0\n\n"
    ))
}

const TWO_PROXIES: &str = "Record-Route: <sip:p2;lr>\nRecord-Route: <sip:p1;lr;ob>, <sip:p0;lr>\n";

fn printed(draft: &Draft) -> Message {
    Message::parse(draft.print_with_via("SIP/2.0/UDP edge;branch=z9hG4bK8")).unwrap()
}

#[test]
fn a_uas_sends_by_the_requests_record_route_in_order() {
    let invite = request(
        "INVITE",
        10,
        &format!("{TWO_PROXIES}Contact: <sip:alice@pc33:5070?Subject=x>\n"),
    );
    let mut dialog = Dialog::from_uas(&invite, "ours", flow()).unwrap();
    assert_eq!(
        (dialog.role, dialog.local_cseq, dialog.remote_cseq),
        (Role::Uas, 0, Some(10))
    );
    assert_eq!(
        dialog.id,
        DialogId {
            call_id: "call@pc33".into(),
            local_tag: "ours".into(),
            remote_tag: "alice".into()
        }
    );
    let bye = printed(&dialog.next_request(&Method::Bye));
    assert_eq!(bye.request_uri(), Some("sip:alice@pc33:5070"));
    assert_eq!(
        bye.text(HeaderName::Route),
        Some("<sip:p2;lr>, <sip:p1;lr;ob>, <sip:p0;lr>")
    );
    assert_eq!(
        bye.text(HeaderName::To),
        Some("\"A; Lice\" <sip:alice@a.example;x=1>;tag=alice;y=2")
    );
    assert_eq!(bye.text(HeaderName::From), Some("<sip:bob@edge>;tag=ours"));
    assert_eq!(
        (bye.call_id(), bye.cseq(), bye.method()),
        ("call@pc33", 1, &Method::Bye)
    );
    assert_eq!(bye.text(HeaderName::MaxForwards), Some("70"));
    assert_eq!(dialog.next_hop().as_str(), "sip:p2;lr");
}

#[test]
fn a_uac_sends_by_the_responses_record_route_in_reverse() {
    let ok = response(200, ";tag=bob", &format!("{TWO_PROXIES}Contact: <sip:bob@10.0.0.9>\n"));
    let mut dialog = Dialog::from_uac(&invite(), &ok, flow()).unwrap();
    assert_eq!(
        dialog.id,
        DialogId {
            call_id: "call@edge".into(),
            local_tag: "ours".into(),
            remote_tag: "bob".into()
        }
    );
    let ack = printed(&dialog.ack_for_2xx(ok.cseq()));
    assert_eq!(
        (ack.cseq(), ack.method(), ack.request_uri()),
        (7, &Method::Ack, Some("sip:bob@10.0.0.9"))
    );
    assert_eq!(
        ack.text(HeaderName::Route),
        Some("<sip:p0;lr>, <sip:p1;lr;ob>, <sip:p2;lr>")
    );
    assert_eq!((ack.from_tag(), ack.to_tag()), (Some("ours"), Some("bob")));
    assert_eq!(printed(&dialog.next_request(&Method::Refer)).cseq(), 8);
    assert_eq!(printed(&dialog.next_request(&Method::Bye)).cseq(), 9);
    assert_eq!((dialog.role, dialog.remote_cseq), (Role::Uac, None));
}

#[test]
fn the_first_2xx_gives_the_route_set_once_more() {
    let ringing = response(180, ";tag=bob", "Record-Route: <sip:early;lr>\n");
    let mut dialog = Dialog::from_uac(&invite(), &ringing, flow()).unwrap();
    assert_eq!(
        dialog.remote_target.as_str(),
        "sip:bob@pbx;user=phone",
        "no Contact: where we called it"
    );
    dialog
        .confirm(&response(200, ";tag=bob", "Contact: <sip:bob@10.0.0.9>\n"))
        .unwrap();
    assert!(dialog.route_set.is_empty());
    let bye = printed(&dialog.next_request(&Method::Bye));
    assert_eq!(
        (bye.request_uri(), bye.header(HeaderName::Route)),
        (Some("sip:bob@10.0.0.9"), None)
    );
}

#[test]
fn a_lower_cseq_is_refused_with_500_and_changes_nothing() {
    let invite = request("INVITE", 10, "Contact: <sip:alice@pc33>\n");
    let mut dialog = Dialog::from_uas(&invite, "ours", flow()).unwrap();
    dialog.check_cseq(&request("INFO", 15, "")).unwrap();
    let error = dialog.check_cseq(&request("BYE", 14, "")).unwrap_err();
    assert_eq!((error.status(), error), (500, DialogError::OutOfOrder { received: 14 }));
    assert_eq!(dialog.remote_cseq, Some(15));
    // An ACK has the number of its INVITE, which may lie behind (RFC 3261 §13.2.2.4).
    dialog.check_cseq(&request("ACK", 10, "")).unwrap();
    assert_eq!(dialog.remote_cseq, Some(15));
}

#[test]
fn a_uac_takes_the_peers_first_number_whatever_it_is() {
    let ok = response(200, ";tag=bob", "Contact: <sip:bob@10.0.0.9>\n");
    let mut dialog = Dialog::from_uac(&invite(), &ok, flow()).unwrap();
    dialog.check_cseq(&request("BYE", 0, "")).unwrap();
    assert_eq!(dialog.remote_cseq, Some(0));
}

#[test]
fn our_sequence_stays_below_2_to_the_31() {
    let ok = response(200, ";tag=bob", "Contact: <sip:bob@10.0.0.9>\n");
    let mut dialog = Dialog::from_uac(&invite(), &ok, flow()).unwrap();
    dialog.local_cseq = LAST_CSEQ - 1;
    assert_eq!(printed(&dialog.next_request(&Method::Info)).cseq(), LAST_CSEQ);
    assert_eq!(printed(&dialog.next_request(&Method::Bye)).cseq(), LAST_CSEQ);
}

#[test]
fn only_a_target_refresh_moves_the_target_and_none_the_route_set() {
    let invite = request("INVITE", 1, &format!("{TWO_PROXIES}Contact: <sip:alice@pc33>\n"));
    let mut dialog = Dialog::from_uas(&invite, "ours", flow()).unwrap();
    let before = dialog.route_set.clone();
    let moved = "Contact: <sip:alice@pc34>\nRecord-Route: <sip:new;lr>\n";
    assert!(!dialog.refresh_target(&request("INFO", 2, moved)).unwrap());
    assert!(!dialog.refresh_target(&request("INVITE", 3, "")).unwrap());
    assert!(dialog.refresh_target(&request("UPDATE", 4, moved)).unwrap());
    assert!(
        !dialog.refresh_target(&request("INVITE", 5, moved)).unwrap(),
        "it is there already"
    );
    assert_eq!(
        (dialog.remote_target.as_str(), &dialog.route_set),
        ("sip:alice@pc34", &before)
    );
}

#[test]
fn a_strict_router_gets_the_request_and_the_target_goes_last() {
    let routes = "Record-Route: <sip:proxy1>, <sip:proxy2>, <sip:proxy3;lr>, <sip:proxy4>\n";
    let invite = request("INVITE", 1, &format!("{routes}Contact: <sip:user@remoteua>\n"));
    let mut dialog = Dialog::from_uas(&invite, "ours", flow()).unwrap();
    let bye = printed(&dialog.next_request(&Method::Bye));
    assert_eq!(bye.request_uri(), Some("sip:proxy1"));
    assert_eq!(
        bye.text(HeaderName::Route),
        Some("<sip:proxy2>, <sip:proxy3;lr>, <sip:proxy4>, <sip:user@remoteua>")
    );
}

#[test]
fn a_request_without_a_usable_contact_makes_no_dialog() {
    for more in ["", "Contact: <tel:+491234>\n", "Contact: *\n"] {
        let error = Dialog::from_uas(&request("INVITE", 1, more), "ours", flow()).unwrap_err();
        assert_eq!(error.status(), 400, "{more}");
    }
}

#[test]
fn a_peer_of_rfc_2543_has_no_tag_and_gets_none() {
    let ok = response(200, "", "Contact: <sip:bob@10.0.0.9>\n");
    let mut dialog = Dialog::from_uac(&invite(), &ok, flow()).unwrap();
    assert_eq!(dialog.id.remote_tag, "");
    assert_eq!(printed(&dialog.next_request(&Method::Bye)).to_tag(), None);
}
