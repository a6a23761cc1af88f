//! Calls without transfers: answered, refused, given up, hung up, over a bad network (RFC 3261 §13, §15, §9).

mod world;

use std::cell::RefCell;
use std::rc::Rc;

use warmline::engine::{Cause, Command, Reply};
use warmline::phone::{CallState, EndReason, PhoneTransport};
use warmline::sip::{HeaderName, Method};
use world::{ALICE, BOB, CAROL, DAVE, EVERYBODY, Fate, World, millis, seconds};

#[test]
fn two_phones_talk_and_either_hangs_up() {
    for (caller, callee) in [(ALICE, BOB), (BOB, ALICE)] {
        for who in [caller, callee] {
            let mut world = World::new();
            world.call(caller, callee);
            assert!(world.connected(caller, callee));
            world.hang_up(who);
            world.assert_nothing_left();
        }
    }
}

#[test]
fn two_phones_talk_over_tcp() {
    let mut world = World::over(|_| PhoneTransport::Tcp);
    world.call(ALICE, BOB);
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_caller_without_offer_is_offered_one() {
    let mut world = World::new();
    let call = world.alice().call_without_offer(BOB);
    world.advance(millis(300));
    world.bob().pick_up();
    world.run();
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_refusal_reaches_the_caller_as_it_is() {
    for status in [486, 480, 603, 488] {
        let mut world = World::new();
        world.bob().rejects_with(status);
        let call = world.alice().call(BOB);
        world.run();
        assert_eq!(
            world.phone(ALICE).state(call),
            Some(CallState::Ended(EndReason::Refused(status)))
        );
        let cause = if status == 480 {
            Cause::NoAnswer
        } else {
            Cause::Refused { status }
        };
        assert_eq!(world.ends_of_calls(), [cause]);
        world.assert_nothing_left();
    }
}

#[test]
fn nobody_of_that_name_is_404_and_a_phone_that_is_not_there_480() {
    let mut world = World::new();
    let call = world.alice().call_uri("sip:nobody@example.org");
    world.run();
    let state = world.phone(ALICE).state(call);
    assert!(
        matches!(state, Some(CallState::Ended(EndReason::Refused(404 | 480)))),
        "{state:?}"
    );
    world.bob().unregister();
    world.run();
    let call = world.alice().call(BOB);
    world.run();
    let state = world.phone(ALICE).state(call);
    assert!(
        matches!(state, Some(CallState::Ended(EndReason::Refused(404 | 480)))),
        "{state:?}"
    );
    world.assert_nothing_left();
}

#[test]
fn a_call_that_nobody_answers_ends_after_the_ring_timeout() {
    let mut world = World::with(|settings| settings.ring_timeout = seconds(45));
    let call = world.alice().call(BOB);
    world.advance(seconds(44));
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Early),
        "a phone may ring longer than 64*T1"
    );
    world.advance(seconds(3));
    assert!(matches!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Refused(408 | 480 | 487)))
    ));
    assert_eq!(world.phone(BOB).live(), [], "bob's phone is quiet");
    assert_eq!(world.ends_of_calls(), [Cause::NoAnswer]);
    world.assert_nothing_left();
}

#[test]
fn a_phone_that_does_not_react_at_all_is_given_up() {
    let mut world = World::new();
    world.bob().unplug();
    let call = world.alice().call(BOB);
    world.advance(seconds(40));
    let state = world.phone(ALICE).state(call);
    assert!(
        matches!(state, Some(CallState::Ended(EndReason::Refused(408 | 480 | 503)))),
        "{state:?}"
    );
    world.assert_nothing_left();
}

#[test]
fn a_caller_gives_up_while_it_rings() {
    let mut world = World::new();
    let call = world.alice().call(BOB);
    world.advance(seconds(2));
    world.alice().cancel(call);
    world.run();
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Cancelled))
    );
    assert_eq!(world.phone(BOB).live(), []);
    assert_eq!(world.ends_of_calls(), [Cause::Party]);
    world.assert_nothing_left();
}

/// The answer and the caller's CANCEL cross at every possible place; nobody is left in a call alone.
#[test]
fn a_cancel_that_crosses_the_answer_leaves_nobody_alone() {
    for after in 0..8 {
        let mut world = World::new();
        let call = world.alice().call(BOB);
        world.advance(millis(300));
        world.bob().pick_up();
        world.advance(millis(after));
        match world.phone(ALICE).state(call) {
            Some(CallState::Connected) => world.alice().bye(call),
            _ => world.alice().cancel(call),
        }
        world.run();
        world.assert_nothing_left();
    }
}

/// The caller gives up before anything has rung.
#[test]
fn a_cancel_right_behind_the_invite_ends_the_call() {
    for after in 0..6 {
        let mut world = World::new();
        let call = world.alice().call(BOB);
        world.advance(millis(after));
        world.alice().cancel(call);
        world.run();
        assert!(
            matches!(world.phone(ALICE).state(call), Some(CallState::Ended(_))),
            "CANCEL after {after} ms"
        );
        assert_eq!(world.phone(BOB).live(), [], "CANCEL after {after} ms");
        world.assert_nothing_left();
    }
}

#[test]
fn two_calls_do_not_know_of_each_other() {
    let mut world = World::new();
    world.call(ALICE, BOB);
    world.call(CAROL, DAVE);
    assert!(world.connected(ALICE, BOB) && world.connected(CAROL, DAVE));
    world.hang_up(ALICE);
    assert!(world.connected(CAROL, DAVE));
    world.hang_up(DAVE);
    world.assert_nothing_left();
}

#[test]
fn both_hang_up_at_the_same_moment() {
    let mut world = World::new();
    let (at_alice, at_bob) = world.call(ALICE, BOB);
    world.alice().bye(at_alice);
    world.bob().bye(at_bob);
    world.run();
    world.assert_nothing_left();
}

#[test]
fn the_api_hangs_up_a_call_in_any_state() {
    for wait in [0, 2, 300, 1_000] {
        let mut world = World::new();
        world.alice().call(BOB);
        world.advance(millis(wait));
        if wait == 1_000 {
            world.bob().pick_up();
            world.run();
        }
        world.advance(millis(5));
        let call = world.call_of(ALICE).id;
        let id = world.command(Command::HangUpCall { call });
        assert!(matches!(world.reply(id), Some(Ok(Reply::Done))));
        world.run();
        assert_eq!(world.ends_of_calls(), [Cause::Command]);
        world.assert_nothing_left();
    }
}

#[test]
fn the_api_hangs_up_a_leg_and_with_it_the_call() {
    let mut world = World::new();
    world.call(ALICE, BOB);
    let leg = world.leg_of(BOB).id;
    world.command(Command::HangUpLeg { leg });
    world.run();
    for who in EVERYBODY {
        assert_eq!(world.phone(who).live(), []);
    }
    world.assert_nothing_left();
}

/// Every message of a call from INVITE to BYE is lost once, one run for each.
#[test]
fn every_message_of_a_call_may_be_lost_once() {
    for lost in 1..=22 {
        let mut world = World::new();
        let seen = Rc::new(RefCell::new(0));
        let count = seen.clone();
        world.network(move |_| {
            *count.borrow_mut() += 1;
            if *count.borrow() == lost {
                Fate::Lose
            } else {
                Fate::Deliver
            }
        });
        world.tolerate("BYE came before the ACK");
        let call = world.alice().call(BOB);
        world.advance(seconds(3));
        world.bob().pick_up();
        world.run();
        assert_eq!(
            world.phone(ALICE).state(call),
            Some(CallState::Connected),
            "message {lost} was lost"
        );
        assert!(world.connected(ALICE, BOB), "message {lost} was lost");
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

#[test]
fn every_message_of_a_call_may_come_twice() {
    let mut world = World::new();
    world.network(|_| Fate::Twice);
    world.call(ALICE, BOB);
    assert!(world.connected(ALICE, BOB));
    let invites = world.phone(BOB).requests(&Method::Invite);
    let branches: std::collections::BTreeSet<_> = invites.iter().filter_map(|invite| invite.branch()).collect();
    assert_eq!(branches.len(), 1, "bob was called once");
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_slow_network_changes_nothing() {
    let mut world = World::new();
    world.latency(millis(700));
    let call = world.alice().call(BOB);
    world.advance(seconds(4));
    world.bob().pick_up();
    world.run();
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_phone_that_vanishes_is_let_go_when_the_other_hangs_up() {
    let mut world = World::new();
    let (at_alice, _) = world.call(ALICE, BOB);
    world.bob().unplug();
    world.alice().bye(at_alice);
    world.advance(seconds(70));
    let totals = world.totals();
    assert_eq!((totals.dialogs, totals.calls, totals.transactions), (0, 0, 0));
}

#[test]
fn info_and_message_pass_to_the_other_side() {
    let mut world = World::new();
    let (at_alice, _) = world.call(ALICE, BOB);
    let body = Some(("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"));
    world.alice().request(at_alice, Method::Info, &[], body);
    world.run();
    let info = world
        .phone(BOB)
        .requests(&Method::Info)
        .pop()
        .expect("bob has the INFO");
    assert_eq!(info.body(), "Signal=5\r\nDuration=160\r\n");
    assert_eq!(info.text(HeaderName::ContentType), Some("application/dtmf-relay"));
    assert_eq!(
        world
            .phone(ALICE)
            .responses(&Method::Info)
            .pop()
            .and_then(|answer| answer.status()),
        Some(200)
    );
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_request_in_an_unknown_or_forged_dialog_is_481() {
    let mut world = World::new();
    let (at_alice, _) = world.call(ALICE, BOB);
    let target = world.phone(ALICE).remote_target(at_alice).expect("a dialog").to_owned();
    for to in [
        "<sip:bob@example.org>;tag=forged",
        "<sip:bob@example.org>;tag=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        for method in ["BYE", "INVITE", "REFER", "NOTIFY"] {
            let call_id = world.phone(ALICE).call_id(at_alice).expect("a dialog").to_owned();
            let request = format!(
                "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.14:5060;branch=z9hG4bK-x-{method}-{}\r\nMax-Forwards: 70\r\n\
                 From: <sip:dave@example.org>;tag=d\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: 9 {method}\r\n\
                 Contact: <sip:dave@10.0.0.14>\r\nRefer-To: <sip:dave@example.org>\r\nEvent: refer\r\n\
                 Subscription-State: terminated\r\nContent-Length: 0\r\n\r\n",
                to.len()
            );
            world.tolerate("481 to a");
            world.dave().send_octets(request);
            world.advance(millis(50));
            assert!(
                world.line(DAVE, &format!("< 481 {method}")).is_some(),
                "{method} with {to}"
            );
        }
    }
    assert!(world.connected(ALICE, BOB));
}

#[test]
fn a_malformed_request_is_400_and_its_reason_names_the_header() {
    let mut world = World::new();
    // The answer repeats the CSeq as it came, so dave cannot read it either.
    world.tolerate("a message that is none");
    let request = "OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.14:5060;branch=z9hG4bK-bad\r\nMax-Forwards: 70\r\n\
                   From: <sip:dave@example.org>;tag=d\r\nTo: <sip:bob@example.org>\r\nCall-ID: bad\r\nCSeq: nonsense OPTIONS\r\n\
                   Content-Length: 0\r\n\r\n";
    world.dave().send_octets(request);
    world.advance(millis(50));
    let lines = world.phone(DAVE).lines();
    let answer = lines
        .iter()
        .rev()
        .find(|line| !line.sent)
        .map(|line| String::from_utf8_lossy(&line.bytes).into_owned());
    let answer = answer.expect("an answer");
    let first = answer.lines().next().unwrap_or_default();
    assert!(first.starts_with("SIP/2.0 400 ") && first.contains("CSeq"), "{first}");
    // Silence for ACK and for responses.
    let heard = world.phone(DAVE).lines().iter().filter(|line| !line.sent).count();
    world.dave().send_octets(request.replace("OPTIONS", "ACK"));
    world
        .dave()
        .send_octets("SIP/2.0 200 OK\r\nVia: nonsense\r\nCSeq: 1 INVITE\r\n\r\n");
    world.advance(seconds(1));
    assert_eq!(
        world.phone(DAVE).lines().iter().filter(|line| !line.sent).count(),
        heard
    );
    world.assert_nothing_left();
}
