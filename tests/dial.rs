//! Click to dial (RFC 3725 §4.3): the edge rings one party and then the other, and brings them together.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod world;

use warmline::engine::{Cause, Command, Refusal, Reply};
use warmline::phone::{CallState, EndReason};
use warmline::sip::Uri;
use world::{ALICE, BOB, CAROL, Who, World, millis, seconds};

fn dial(world: &mut World, from: Who, to: &str) -> Option<Result<Reply, Refusal>> {
    let id = world.command(Command::Dial {
        from: Uri::parse(&from.uri()).unwrap(),
        to: Uri::parse(to).unwrap(),
        ring_timeout: None,
    });
    world.advance(millis(300));
    world.reply(id).cloned()
}

#[test]
fn both_ring_in_turn_and_talk() {
    let mut world = World::new();
    let reply = dial(&mut world, ALICE, &BOB.uri());
    assert!(
        matches!(reply, Some(Ok(Reply::Call(ref call))) if call.state == "alerting"),
        "{reply:?}"
    );
    world.alice().ringing();
    assert_eq!(
        world.lines(BOB).iter().filter(|line| line.contains("INVITE")).count(),
        0
    );
    // The first waits for as long as the second likes to ring, and hears nothing meanwhile.
    let mine = world.alice().pick_up();
    world.advance(seconds(20));
    assert_eq!(world.phone(ALICE).state(mine), Some(CallState::Connected));
    world.bob().pick_up();
    world.run();
    assert!(world.connected(ALICE, BOB), "\n{}", world.ladder());
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_first_party_that_refuses_ends_it_and_the_second_never_rings() {
    let mut world = World::new();
    world.alice().rejects_with(486);
    dial(&mut world, ALICE, &BOB.uri());
    world.run();
    assert!(world.phone(BOB).latest().is_none());
    assert_eq!(world.ends_of_calls(), [Cause::Refused { status: 486 }]);
    world.assert_nothing_left();
}

#[test]
fn a_second_party_that_refuses_lets_the_first_go() {
    for (status, cause) in [(486, Cause::Refused { status: 486 }), (480, Cause::NoAnswer)] {
        let mut world = World::new();
        world.bob().rejects_with(status);
        dial(&mut world, ALICE, &BOB.uri());
        let mine = world.alice().pick_up();
        world.advance(seconds(1));
        assert_eq!(
            world.phone(ALICE).state(mine),
            Some(CallState::Ended(EndReason::HungUpByRemote))
        );
        assert_eq!(world.ends_of_calls(), [cause]);
        world.assert_nothing_left();
    }
}

#[test]
fn a_first_party_that_hangs_up_stops_the_ringing() {
    let mut world = World::new();
    dial(&mut world, ALICE, &BOB.uri());
    let mine = world.alice().pick_up();
    world.advance(millis(500));
    let his = world.bob().ringing();
    world.alice().bye(mine);
    world.advance(seconds(1));
    assert_eq!(
        world.phone(BOB).state(his),
        Some(CallState::Ended(EndReason::Cancelled))
    );
    assert_eq!(world.ends_of_calls(), [Cause::Party]);
    world.assert_nothing_left();
}

#[test]
fn nobody_answers_and_an_order_ends_it() {
    let mut world = World::new();
    dial(&mut world, ALICE, &BOB.uri());
    world.advance(seconds(100));
    assert_eq!(world.ends_of_calls(), [Cause::NoAnswer]);
    world.assert_nothing_left();

    let mut world = World::new();
    let Some(Ok(Reply::Call(call))) = dial(&mut world, ALICE, &BOB.uri()) else {
        panic!("refused")
    };
    world.alice().pick_up();
    world.advance(millis(500));
    world.command(Command::HangUpCall { call: call.id });
    world.advance(seconds(1));
    assert_eq!(world.ends_of_calls(), [Cause::Command]);
    world.assert_nothing_left();
}

#[test]
fn who_cannot_be_called_is_told_before_anybody_rings() {
    let mut world = World::new();
    let reply = dial(&mut world, ALICE, "sip:nobody@example.net");
    assert!(
        matches!(reply, Some(Err(Refusal::Invalid { field: "to", .. }))),
        "{reply:?}"
    );
    assert!(world.phone(ALICE).latest().is_none());
    world.carol().unregister();
    world.run();
    let reply = dial(&mut world, CAROL, &BOB.uri());
    assert!(
        matches!(reply, Some(Err(Refusal::Invalid { field: "from", .. }))),
        "{reply:?}"
    );
    world.assert_nothing_left();
}

#[test]
fn a_dialled_call_can_be_transferred_like_any_other() {
    let mut world = World::new();
    dial(&mut world, ALICE, &BOB.uri());
    let mine = world.alice().pick_up();
    world.advance(millis(500));
    world.bob().pick_up();
    world.run();
    world.carol().answers_after(millis(50));
    world.alice().refer(mine, CAROL);
    world.advance(seconds(2));
    assert!(world.connected(BOB, CAROL), "\n{}", world.ladder());
    world.hang_up(CAROL);
    world.assert_nothing_left();
}
