//! INVITE: RFC 3261 §17.1.1 and §17.2.1, RFC 6026.

use crate::wire::{Side, Wire};
use std::time::Duration;
use warmline::sip::Method;
use warmline::transport::Transport;

#[test]
fn a_call_that_is_answered() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.ms(100);
    wire.respond(180);
    wire.ms(2_000);
    wire.respond(200);
    wire.ms(0);
    wire.ack();
    wire.ms(40_000);
    assert_eq!(
        wire.ladder,
        ["0 > INVITE", "100 < 180 INVITE", "2100 < 200 INVITE", "2100 > ACK"]
    );
    assert_eq!(
        wire.heard,
        [
            "0 b INVITE",
            "100 a 180 INVITE for a",
            "2100 a 200 INVITE for a",
            "2100 b ACK",
            "34100 a ended for a"
        ]
    );
    wire.assert_over();
}

#[test]
fn silence_gives_a_100_and_stops_the_retransmissions() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.ms(5_000);
    wire.respond(486);
    wire.ms(1_000);
    assert_eq!(
        wire.ladder,
        ["0 > INVITE", "200 < 100 INVITE", "5000 < 486 INVITE", "5000 > ACK"]
    );
    assert_eq!(
        wire.heard,
        ["0 b INVITE", "200 a 100 INVITE for a", "5000 a 486 INVITE for a"],
        "this ACK is absorbed"
    );
    wire.assert_over();
}

#[test]
fn an_answer_within_200_ms_makes_the_100_needless() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.ms(199);
    wire.respond(183);
    wire.ms(1_000);
    assert_eq!(wire.ladder, ["0 > INVITE", "199 < 183 INVITE"]);
}

#[test]
fn a_lost_invite_is_sent_again() {
    let mut wire = Wire::new(Transport::Udp);
    wire.lose(&[1, 2]);
    wire.request(Method::Invite);
    wire.ms(1_600);
    wire.respond(180);
    wire.ms(8_000);
    assert_eq!(
        wire.ladder,
        ["0 > INVITE", "500 > INVITE", "1500 > INVITE", "1600 < 180 INVITE"]
    );
    assert_eq!(wire.heard, ["1500 b INVITE", "1600 a 180 INVITE for a"]);
}

#[test]
fn a_lost_provisional_comes_again_with_the_next_invite() {
    let mut wire = Wire::new(Transport::Udp);
    wire.lose(&[2]);
    wire.request(Method::Invite);
    wire.respond_soon(180);
    wire.ms(3_000);
    assert_eq!(
        wire.ladder,
        ["0 > INVITE", "0 < 180 INVITE", "500 > INVITE", "500 < 180 INVITE"]
    );
    assert_eq!(
        wire.heard,
        ["0 b INVITE", "500 a 180 INVITE for a"],
        "B's user is asked once"
    );
}

#[test]
fn nobody_there_is_timer_b() {
    let mut wire = Wire::new(Transport::Udp);
    wire.lose_all_after(0);
    wire.request(Method::Invite);
    wire.ms(31_999);
    assert!(wire.heard.is_empty());
    wire.ms(1);
    assert_eq!(wire.heard, ["32000 a timed out for a"]);
    assert_eq!(wire.ladder.len(), 7);
    wire.assert_over();
}

#[test]
fn a_lost_ack_of_a_refusal_is_timer_g_and_ack_again() {
    let mut wire = Wire::new(Transport::Udp);
    wire.lose(&[3, 5]);
    wire.request(Method::Invite);
    wire.respond_soon(486);
    wire.ms(10_000);
    assert_eq!(
        wire.ladder,
        [
            "0 > INVITE",
            "0 < 486 INVITE",
            "0 > ACK",
            "500 < 486 INVITE",
            "500 > ACK",
            "1500 < 486 INVITE",
            "1500 > ACK"
        ]
    );
    assert_eq!(
        wire.heard,
        ["0 b INVITE", "0 a 486 INVITE for a"],
        "the repetitions are nobody's business"
    );
    wire.assert_over();
}

#[test]
fn a_refusal_that_is_never_acknowledged_is_timer_h() {
    let mut wire = Wire::new(Transport::Udp);
    wire.lose_all_after(2);
    wire.request(Method::Invite);
    wire.respond_soon(486);
    wire.ms(32_000);
    assert_eq!(
        wire.heard,
        [
            "0 b INVITE",
            "0 a 486 INVITE for a",
            "32000 a ended for a",
            "32000 b server timed out"
        ]
    );
    wire.assert_over();
}

#[test]
fn an_ack_that_comes_twice_is_absorbed() {
    let mut wire = Wire::new(Transport::Udp);
    wire.fate(|number| {
        if number == 3 {
            crate::wire::Fate::Doubled
        } else {
            crate::wire::Fate::Arrives
        }
    });
    wire.request(Method::Invite);
    wire.respond_soon(486);
    wire.ms(10);
    assert_eq!(wire.heard, ["0 b INVITE", "0 a 486 INVITE for a"]);
}

#[test]
fn a_2xx_that_comes_again_reaches_the_leg_which_acknowledges_again() {
    let mut wire = Wire::new(Transport::Udp);
    wire.lose(&[3]);
    wire.request(Method::Invite);
    wire.respond_soon(200);
    wire.ms(0);
    let ack = wire.ack();
    wire.ms(500);
    wire.respond(200); // the leg's repetition, while no ACK has come
    wire.ms(0);
    let flow = wire.flow_of(Side::A);
    wire.a.send_stateless(flow, ack);
    wire.ms(1);
    wire.request(Method::Options); // collects what A has to send
    wire.ms(1);
    assert_eq!(
        &wire.ladder[..5],
        [
            "0 > INVITE",
            "0 < 200 INVITE",
            "0 > ACK",
            "500 < 200 INVITE",
            "501 > ACK"
        ]
    );
    assert_eq!(
        wire.heard[..4],
        [
            "0 b INVITE",
            "0 a 200 INVITE for a",
            "500 a 200 INVITE for a",
            "501 b ACK"
        ]
    );
}

#[test]
fn an_invite_that_comes_again_after_its_2xx_is_absorbed() {
    let mut wire = Wire::new(Transport::Udp);
    // The 200 is lost: A repeats its INVITE, which must not become a second call (RFC 6026 §3).
    wire.lose(&[2, 4]);
    wire.request(Method::Invite);
    wire.respond_soon(200);
    wire.ms(1_000);
    wire.respond(200); // the leg's repetition
    wire.ms(600);
    assert_eq!(
        wire.ladder,
        [
            "0 > INVITE",
            "0 < 200 INVITE",
            "500 > INVITE",
            "1000 < 200 INVITE",
            "1500 > INVITE"
        ]
    );
    assert_eq!(wire.heard, ["0 b INVITE"]);
    wire.respond(200);
    wire.ms(0);
    assert_eq!(wire.heard, ["0 b INVITE", "1600 a 200 INVITE for a"]);
}

#[test]
fn a_late_refusal_after_a_2xx_is_dropped() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.respond_soon(200);
    wire.ms(0);
    let (_, request) = &wire.asked[0];
    let refusal = request.respond(486).to_tag("other").print();
    wire.inject(Side::B, refusal);
    assert_eq!(wire.heard, ["0 b INVITE", "0 a 200 INVITE for a"]);
    assert_eq!(wire.ladder.len(), 2, "and not acknowledged");
}

#[test]
fn every_fork_that_answers_reaches_the_leg() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.ms(0);
    for tag in ["f1", "f2", "f3"] {
        let response = wire.asked[0].1.respond(200).to_tag(tag).print();
        wire.inject(Side::B, response);
        assert_eq!(
            wire.answered.as_ref().and_then(|(_, message)| message.to_tag()),
            Some(tag)
        );
    }
    wire.advance(Duration::from_secs(33));
    let late = wire.asked[0].1.respond(200).to_tag("f4").print();
    wire.inject(Side::B, late);
    assert_eq!(
        wire.answered.as_ref().and_then(|(_, message)| message.to_tag()),
        Some("f3"),
        "after M nothing"
    );
}

#[test]
fn a_second_final_answer_is_refused() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Invite);
    wire.ms(0);
    assert!(wire.respond(486));
    assert!(!wire.respond(200));
    assert!(!wire.respond(180));
    wire.ms(0);
    assert!(!wire.respond(486), "the layer repeats it, not the user");
    assert_eq!(wire.ladder, ["0 > INVITE", "0 < 486 INVITE", "0 > ACK"]);
}

#[test]
fn over_tcp_nothing_is_sent_twice() {
    let mut wire = Wire::new(Transport::Tcp);
    wire.request(Method::Invite);
    wire.ms(100);
    wire.respond(180);
    wire.ms(60_000);
    wire.respond(486);
    wire.ms(0);
    assert_eq!(
        wire.ladder,
        ["0 > INVITE", "100 < 180 INVITE", "60100 < 486 INVITE", "60100 > ACK"]
    );
    assert_eq!((wire.a.live(), wire.b.live()), ((0, 0), (0, 0)), "D and I are zero");
}

#[test]
fn over_tcp_timers_b_and_h_still_run() {
    let mut wire = Wire::new(Transport::Tcp);
    wire.lose_all_after(0);
    wire.request(Method::Invite);
    wire.ms(32_000);
    assert_eq!(
        (wire.ladder.len(), &wire.heard[..]),
        (1, &["32000 a timed out for a".to_owned()][..])
    );
    let mut wire = Wire::new(Transport::Tcp);
    wire.lose(&[3]);
    wire.request(Method::Invite);
    wire.respond_soon(486);
    wire.ms(32_000);
    assert_eq!(wire.ladder.len(), 3);
    assert_eq!(wire.heard.last().map(String::as_str), Some("32000 b server timed out"));
    wire.assert_over();
}

/// RFC 3261 §18.1.1: an ACK that is too large for a datagram goes by connection; no answer says whether it arrived, so
/// that the 2xx that comes again is taken for a no.
#[test]
fn a_large_ack_goes_by_connection_first_and_as_a_datagram_when_the_2xx_comes_again() {
    use warmline::sip::{Draft, HeaderName};
    use warmline::transaction::{Large, Timers, Transactions};
    let flow = warmline::transport::Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.2:5060".parse().unwrap(),
        connection: 0,
    };
    let ack = |length: usize| {
        Draft::request(&Method::Ack, "sip:192.0.2.2")
            .header(HeaderName::CallId, "c")
            .body("application/sdp", "x".repeat(length))
    };
    let mut here: Transactions<()> = Transactions::new(Timers::default(), [1; 16]);
    let place = Large {
        remote: flow.remote,
        local: "192.0.2.1:5070".parse().unwrap(),
        sent_by: "192.0.2.1:5070".into(),
    };
    here.large_to(vec![place]);
    let by = |here: &mut Transactions<()>| {
        let sent = here.poll_transmit().unwrap();
        let via = String::from_utf8_lossy(&sent.bytes).lines().nth(1).unwrap().to_owned();
        assert!(via.contains(sent.flow.transport.as_str()), "{via}");
        sent.flow.transport
    };
    let mut small = here.send_ack(flow, "192.0.2.1:5060", &ack(100));
    assert_eq!(by(&mut here), Transport::Udp);
    here.send_ack_again(flow, &mut small);
    assert_eq!(by(&mut here), Transport::Udp);
    let mut large = here.send_ack(flow, "192.0.2.1:5060", &ack(1_300));
    assert_eq!(by(&mut here), Transport::Tcp);
    for _ in 0..2 {
        here.send_ack_again(flow, &mut large);
        assert_eq!(by(&mut here), Transport::Udp);
    }
}
