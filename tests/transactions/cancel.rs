//! CANCEL: RFC 3261 §9.1 and §9.2.

use crate::wire::{Side, Wire, title};
use warmline::sip::{Message, Method};
use warmline::transport::Transport;

#[test]
fn after_a_provisional_it_goes_out_at_once() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut wire = Wire::new(transport);
        let invite = wire.request(Method::Invite);
        wire.respond_soon(180);
        wire.ms(1_000);
        assert!(wire.cancel(invite));
        wire.ms(0);
        wire.respond(487);
        wire.ms(0);
        assert_eq!(
            wire.ladder,
            [
                "0 > INVITE",
                "0 < 180 INVITE",
                "1000 > CANCEL",
                "1000 < 200 CANCEL",
                "1000 < 487 INVITE",
                "1000 > ACK"
            ]
        );
        let heard: Vec<_> = wire.heard.iter().filter(|line| !line.contains("ended")).collect();
        assert_eq!(
            heard,
            [
                "0 b INVITE",
                "0 a 180 INVITE for a",
                "1000 b CANCEL of Some(0)",
                "1000 a 200 CANCEL for cancel",
                "1000 a 487 INVITE for a"
            ]
        );
        wire.assert_over();
        let ends: Vec<_> = wire.heard.iter().filter(|line| line.contains("ended")).collect();
        assert_eq!(ends.len(), 2, "one for each: {ends:?}");
    }
}

#[test]
fn before_a_provisional_it_waits_for_one() {
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    assert!(wire.cancel(invite));
    wire.ms(199);
    assert_eq!(wire.ladder, ["0 > INVITE"]);
    wire.ms(1);
    assert_eq!(
        wire.ladder,
        ["0 > INVITE", "200 < 100 INVITE", "200 > CANCEL", "200 < 200 CANCEL"]
    );
}

#[test]
fn a_final_answer_that_comes_first_makes_it_needless() {
    for status in [200, 486] {
        let mut wire = Wire::new(Transport::Udp);
        let invite = wire.request(Method::Invite);
        assert!(wire.cancel(invite));
        wire.respond_soon(status);
        wire.ms(10);
        assert!(
            !wire.ladder.iter().any(|line| line.contains("CANCEL")),
            "{:?}",
            wire.ladder
        );
        assert!(!wire.cancel(invite), "too late");
        wire.assert_over();
    }
}

#[test]
fn asking_twice_is_asking_once() {
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    wire.cancel(invite);
    wire.cancel(invite);
    wire.respond_soon(180);
    wire.ms(0);
    wire.cancel(invite);
    wire.ms(100);
    assert_eq!(wire.ladder.iter().filter(|line| line.ends_with("> CANCEL")).count(), 1);
}

#[test]
fn a_lost_cancel_is_sent_again_and_answered_again() {
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    wire.respond_soon(180);
    wire.ms(0);
    wire.lose(&[3, 5]); // the CANCEL, then its 200
    wire.cancel(invite);
    wire.ms(2_000);
    assert_eq!(
        wire.ladder[2..],
        [
            "0 > CANCEL",
            "500 > CANCEL",
            "500 < 200 CANCEL",
            "1500 > CANCEL",
            "1500 < 200 CANCEL"
        ]
    );
    let told = wire.heard.iter().filter(|line| line.contains("b CANCEL")).count();
    assert_eq!(told, 1, "B's user is told once");
}

#[test]
fn it_crosses_a_2xx() {
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    wire.respond_soon(180);
    wire.ms(0);
    wire.respond(200);
    assert!(wire.cancel(invite)); // the 200 is still underway
    wire.ms(0);
    assert_eq!(
        wire.heard[2..],
        [
            "0 a 200 INVITE for a",
            "0 b CANCEL of Some(0)",
            "0 a 200 CANCEL for cancel"
        ],
        "both stand: the caller hangs up with BYE"
    );
    assert!(!wire.respond(487), "the INVITE has its answer");
    wire.assert_over();
}

#[test]
fn an_invite_that_ignores_its_cancel_is_given_up() {
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    wire.respond_soon(180);
    wire.ms(1_000);
    wire.cancel(invite);
    wire.ms(32_000);
    assert_eq!(
        wire.heard.last().map(String::as_str),
        Some("33000 a timed out for a"),
        "64*T1 after the CANCEL"
    );
    wire.ms(1_000);
    wire.respond(487);
    wire.ms(40_000);
    assert_eq!(wire.a.live(), (0, 0));
}

#[test]
fn a_cancel_for_nothing_is_481() {
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    wire.respond_soon(180);
    wire.ms(0);
    wire.cancel(invite);
    wire.ms(0);
    let (_, request) = wire.asked[0].clone();
    let text = String::from_utf8(request.bytes().to_vec()).unwrap();
    let branch = request.branch().unwrap();
    let stray = text.replace(branch, "z9hG4bKnobody").replace("INVITE", "CANCEL");
    let before = wire.ladder.len();
    wire.inject(Side::A, stray.into());
    assert_eq!(wire.ladder[before..], ["0 < 481 CANCEL"]);
    assert_eq!(wire.heard.last().map(String::as_str), Some("0 b CANCEL of None"));
}

#[test]
fn its_200_has_the_to_tag_of_the_invites_responses() {
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    wire.respond_soon(180);
    wire.ms(0);
    wire.cancel(invite);
    wire.ms(0);
    let (_, response) = wire.answered.clone().unwrap();
    assert_eq!(
        (title(&response).as_str(), response.to_tag()),
        ("200 CANCEL", Some("b1"))
    );
    // and one of the layer's own while nobody has chosen any
    let mut wire = Wire::new(Transport::Udp);
    let invite = wire.request(Method::Invite);
    wire.cancel(invite);
    wire.ms(300);
    let (_, response) = wire.answered.clone().unwrap();
    assert_eq!(title(&response), "200 CANCEL");
    assert!(response.to_tag().is_some());
}

#[test]
fn it_shares_the_branch_and_has_a_transaction_of_its_own() {
    let mut wire = Wire::new(Transport::Tcp);
    let invite = wire.request(Method::Invite);
    wire.respond_soon(180);
    wire.ms(0);
    wire.lose(&[4]); // the CANCEL's 200
    wire.cancel(invite);
    wire.ms(0);
    let cancelled = wire.asked[0].1.clone();
    wire.respond(487);
    wire.ms(0);
    // The INVITE is over (D is zero), and still the CANCEL's answer finds its way by the INVITE's branch.
    assert!(wire.heard.contains(&"0 a ended for a".to_owned()));
    let text = String::from_utf8(cancelled.respond(200).to_tag("b1").print().to_vec()).unwrap();
    let late = Message::parse(text.replace("1 INVITE", "1 CANCEL").into()).unwrap();
    wire.inject(Side::B, late.bytes().clone());
    assert!(
        wire.heard.contains(&"0 a 200 CANCEL for cancel".to_owned()),
        "{:?}",
        wire.heard
    );
    assert_eq!(wire.a.live(), (0, 0), "the slot is free when both are over");
}
