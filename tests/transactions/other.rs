//! Non-INVITE: RFC 3261 §17.1.2 and §17.2.2, RFC 4320.

use crate::wire::{Fate, Wire};
use std::time::Duration;
use warmline::sip::Method;
use warmline::transport::Transport;

#[test]
fn one_question_one_answer() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Bye);
    wire.respond_soon(200);
    wire.ms(10_000);
    assert_eq!(wire.ladder, ["0 > BYE", "0 < 200 BYE"]);
    assert_eq!(wire.heard, ["0 b BYE", "0 a 200 BYE for a", "5000 a ended for a"]);
    wire.assert_over();
}

#[test]
fn a_lost_answer_comes_again_with_the_question() {
    let mut wire = Wire::new(Transport::Udp);
    wire.lose(&[2, 4]);
    wire.request(Method::Refer);
    wire.respond_soon(202);
    wire.ms(10_000);
    assert_eq!(
        wire.ladder,
        [
            "0 > REFER",
            "0 < 202 REFER",
            "500 > REFER",
            "500 < 202 REFER",
            "1500 > REFER",
            "1500 < 202 REFER"
        ]
    );
    assert_eq!(wire.heard[..2], ["0 b REFER", "1500 a 202 REFER for a"]);
}

#[test]
fn an_answer_that_comes_twice_is_heard_once() {
    let mut wire = Wire::new(Transport::Udp);
    wire.fate(|_| Fate::Doubled);
    wire.request(Method::Notify);
    wire.respond_soon(200);
    wire.ms(100);
    assert_eq!(wire.heard, ["0 b NOTIFY", "0 a 200 NOTIFY for a"]);
}

#[test]
fn a_user_that_thinks_long() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Refer);
    wire.ms(20_000);
    // RFC 4320 §4.1: the 100 comes when E has come to T2; from then on A repeats every T2.
    let mut expected = vec![
        "0 > REFER",
        "500 > REFER",
        "1500 > REFER",
        "3500 > REFER",
        "3500 < 100 REFER",
        "3500 < 100 REFER",
    ];
    expected.extend(["7500 > REFER", "7500 < 100 REFER", "11500 > REFER", "11500 < 100 REFER"]);
    expected.extend([
        "15500 > REFER",
        "15500 < 100 REFER",
        "19500 > REFER",
        "19500 < 100 REFER",
    ]);
    assert_eq!(wire.ladder, expected);
    assert!(wire.respond(202));
    wire.ms(1);
    assert!(wire.heard.contains(&"20000 a 202 REFER for a".to_owned()));
    wire.assert_over();
}

#[test]
fn nobody_there_is_timer_f() {
    for (transport, sent) in [(Transport::Udp, 11), (Transport::Tcp, 1)] {
        let mut wire = Wire::new(transport);
        wire.lose_all_after(0);
        wire.request(Method::Options);
        wire.ms(32_000);
        assert_eq!(wire.heard, ["32000 a timed out for a"]);
        assert_eq!(wire.ladder.len(), sent);
        wire.assert_over();
    }
}

#[test]
fn an_answer_after_64_t1_is_not_sent() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Options);
    wire.ms(32_000);
    let before = wire.ladder.len();
    assert!(!wire.respond(200));
    assert!(wire.heard.contains(&"32000 b server timed out".to_owned()));
    wire.ms(1_000);
    assert_eq!(wire.ladder.len(), before);
    wire.assert_over();
}

#[test]
fn no_408_and_no_ringing_for_what_is_no_invite() {
    let mut wire = Wire::new(Transport::Udp);
    wire.request(Method::Options);
    wire.ms(0);
    for status in [100, 180, 183, 408] {
        assert!(!wire.respond(status), "{status}");
    }
    assert!(wire.respond(503));
    assert_eq!(wire.ladder, ["0 > OPTIONS", "0 < 503 OPTIONS"]);
}

#[test]
fn over_tcp_it_is_over_with_the_answer() {
    let mut wire = Wire::new(Transport::Tcp);
    wire.request(Method::Bye);
    wire.respond_soon(200);
    wire.ms(0);
    assert_eq!(wire.heard, ["0 b BYE", "0 a 200 BYE for a", "0 a ended for a"]);
    assert_eq!((wire.a.live(), wire.b.live()), ((0, 0), (0, 0)), "J and K are zero");
}

#[test]
fn an_answer_on_a_slow_way_is_one_answer() {
    let mut wire = Wire::new(Transport::Udp);
    wire.fate(|number| {
        if number == 2 {
            Fate::Late(Duration::from_millis(900))
        } else {
            Fate::Arrives
        }
    });
    wire.request(Method::Bye);
    wire.respond_soon(200);
    wire.ms(2_000);
    // The repetition overtakes the first answer, which then says nothing new.
    assert_eq!(wire.heard, ["0 b BYE", "500 a 200 BYE for a"]);
}
