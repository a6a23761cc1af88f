//! The process is killed while calls ring, and another one goes on: nobody hangs (issue 6 §1). Virtual time.

mod world;

use warmline::engine::{Application, Cause, Event, Settings};
use warmline::phone::{CallState, EndReason, PhoneTransport};
use world::{ALICE, BOB, CAROL, EVERYBODY, Who, World, millis, seconds, users};

/// Everybody proves who they are.
fn world() -> World {
    World::keeping(|settings| {
        settings.open = false;
        settings.users = users();
    })
}

fn nothing_left(world: &mut World) {
    world.everybody_leaves(&EVERYBODY);
    world.run();
    world.advance(seconds(40));
    world.run();
    let totals = world.totals();
    assert_eq!(
        (totals.dialogs, totals.calls, totals.transactions),
        (0, 0, 0),
        "{}",
        world.ladder()
    );
    for kind in ["leg", "call", "hub", "ringing"] {
        assert_eq!(world.kept().get(kind), None, "{kind}");
    }
    for who in EVERYBODY {
        assert_eq!(world.phone(who).live(), [], "{}\n{}", who.user(), world.ladder());
    }
}

fn state(world: &World, who: Who) -> Option<CallState> {
    let phone = world.phone(who);
    phone.live().first().and_then(|call| phone.state(*call))
}

/// Bob calls alice, whose phone rings; then the process is killed and another one goes on.
fn rings_over_a_restart(world: &mut World) {
    world.bob().call(ALICE);
    world.advance(seconds(1));
    assert_eq!(
        (state(world, BOB), state(world, ALICE)),
        (Some(CallState::Early), Some(CallState::Ringing))
    );
    world.restart(millis(300));
    world.advance(seconds(1));
}

#[test]
fn a_call_that_rings_rings_on_and_is_answered() {
    let mut world = world();
    rings_over_a_restart(&mut world);
    assert_eq!(world.count(ALICE, "< CANCEL"), 1, "{}", world.ladder());
    assert_eq!(world.phone(ALICE).live().len(), 1, "one call rings, not two");
    world.alice().pick_up();
    world.run();
    assert!(world.connected(ALICE, BOB), "{}", world.ladder());
    assert_eq!(
        world.count(BOB, "> INVITE"),
        2,
        "the challenge before, and nobody asks again who he is"
    );
    nothing_left(&mut world);
}

#[test]
fn the_caller_can_cancel_after_the_restart_and_the_callee_can_refuse() {
    let mut world = world();
    rings_over_a_restart(&mut world);
    let call = world.the(BOB);
    world.bob().cancel(call);
    world.run();
    assert_eq!(
        (state(&world, BOB), state(&world, ALICE)),
        (None, None),
        "{}",
        world.ladder()
    );
    rings_over_a_restart(&mut world);
    let call = world.the(BOB);
    world.alice().reject(486);
    world.run();
    assert_eq!(
        world.phone(BOB).state(call),
        Some(CallState::Ended(EndReason::Refused(486)))
    );
    nothing_left(&mut world);
}

#[test]
fn a_phone_that_answers_while_nobody_is_there_is_released_and_rings_anew() {
    let mut world = world();
    world.tolerate("no ACK");
    world.tolerate("retransmission");
    world.bob().call(ALICE);
    world.advance(seconds(1));
    world.kill();
    let old = world.alice().pick_up();
    world.advance(millis(700));
    world.start_again();
    world.advance(seconds(5));
    assert!(
        matches!(world.phone(ALICE).state(old), Some(CallState::Ended(_)) | None),
        "{}",
        world.ladder()
    );
    world.alice().pick_up();
    world.run();
    assert!(world.connected(ALICE, BOB), "{}", world.ladder());
    nothing_left(&mut world);
}

#[test]
fn a_caller_who_waited_too_long_is_told_to_call_again() {
    let mut world = world();
    world.bob().call(ALICE);
    world.advance(seconds(1));
    world.restart(seconds(400));
    world.run();
    assert_eq!(world.count(BOB, "< 503"), 1, "{}", world.ladder());
    assert_eq!(world.totals().calls, 0);
    nothing_left(&mut world);
}

#[test]
fn a_caller_for_an_application_comes_anew() {
    let mut world = World::keeping(|settings: &mut Settings| {
        settings.applications = vec![Application {
            name: "sales".to_owned(),
            pattern: regex::Regex::new("^1555").expect("a pattern"),
        }];
    });
    world.bob().call_uri("sip:15551234@example.org");
    world.run();
    let (before, _) = world.arrived();
    world.restart(millis(300));
    world.run();
    let (after, leg) = world.arrived();
    assert_ne!(before, after);
    world
        .order(warmline::engine::Command::Reject { leg, status: 486 })
        .expect("it waits");
    world.run();
    assert_eq!(world.count(BOB, "< 486"), 1);
    let ended = |event: &&Event| {
        matches!(
            event,
            Event::CallEnded {
                cause: Cause::Refused { status: 486 },
                ..
            }
        )
    };
    assert_eq!(world.events().filter(ended).count(), 1);
    nothing_left(&mut world);
}

/// Nobody can connect to a browser: it hears that it rings for nobody when it is there again.
#[test]
fn a_phone_on_a_connection_stops_ringing_when_it_is_back() {
    for transport in [PhoneTransport::Tcp, PhoneTransport::Ws] {
        let mut world = World::keeping_over(|_| {}, |who| if who == ALICE { transport } else { PhoneTransport::Udp });
        world.bob().call(ALICE);
        world.advance(seconds(1));
        // So long that the call itself is over.
        world.restart(seconds(400));
        world.run();
        assert_eq!(state(&world, ALICE), Some(CallState::Ringing));
        world.reconnect(ALICE);
        world.alice().register();
        world.run();
        assert_eq!(world.count(ALICE, "< CANCEL"), 1, "{}", world.ladder());
        assert_eq!(state(&world, ALICE), None);
        world.call(CAROL, ALICE);
        nothing_left(&mut world);
    }
}
