//! The process is killed in the middle of calls and transfers, and another one goes on (issue 6 §1). Virtual time.

mod world;

use warmline::engine::{Cause, Event};
use warmline::media::describe::{Mode, Srtp};
use warmline::phone::{CallState, PhoneTransport};
use world::{ALICE, BOB, CAROL, DAVE, EVERYBODY, Who, World, millis, seconds};

fn world() -> World {
    World::keeping(|_| {})
}

/// Everybody hangs up, and nothing is left: neither in the edge nor in the store.
fn ends_clean(world: &mut World) {
    world.everybody_leaves(&EVERYBODY);
    world.run();
    world.advance(seconds(40));
    world.run();
    let totals = world.totals();
    let left = (
        totals.dialogs,
        totals.calls,
        totals.transfers,
        totals.transactions,
        totals.media_ports,
    );
    assert_eq!(left, (0, 0, 0, 0, 0), "{}", world.ladder());
    let kept = world.kept();
    assert_eq!(
        (kept.get("leg"), kept.get("call"), kept.get("transfer")),
        (None, None, None),
        "{kept:?}"
    );
    for who in EVERYBODY {
        assert_eq!(world.phone(who).live(), [], "{}", who.user());
    }
}

#[test]
fn either_party_hangs_up_after_a_restart() {
    for (caller, leaves) in [(ALICE, ALICE), (ALICE, BOB), (BOB, ALICE)] {
        let mut world = world();
        let callee = if caller == ALICE { BOB } else { ALICE };
        world.call(caller, callee);
        let before: Vec<_> = world
            .calls()
            .iter()
            .flat_map(|call| call.legs.iter().map(|leg| leg.id).collect::<Vec<_>>())
            .collect();
        world.restart(millis(300));
        let after: Vec<_> = world
            .calls()
            .iter()
            .flat_map(|call| call.legs.iter().map(|leg| leg.id).collect::<Vec<_>>())
            .collect();
        assert_eq!(before, after, "legs keep their handles");
        assert!(world.connected(ALICE, BOB), "{}", world.ladder());
        world.hang_up(leaves);
        assert!(world.phone(BOB).live().is_empty() && world.phone(ALICE).live().is_empty());
        ends_clean(&mut world);
    }
}

#[test]
fn a_party_holds_resumes_and_transfers_after_a_restart() {
    let mut world = world();
    let (at_bob, customer) = world.call(BOB, ALICE);
    world.restart(millis(300));
    world.alice().hold(customer);
    world.run();
    assert!(world.phone(BOB).is_held(at_bob), "{}", world.ladder());
    world.restart(millis(300));
    world.alice().resume(customer);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.restart(millis(300));
    world.carol().answers_after(millis(200));
    world.alice().refer(customer, CAROL);
    world.run();
    assert!(world.connected(BOB, CAROL), "{}", world.ladder());
    ends_clean(&mut world);
}

#[test]
fn a_warm_transfer_goes_on_after_a_restart_before_it() {
    let mut world = world();
    let warm = world.warm();
    world.restart(millis(300));
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert!(world.connected(BOB, CAROL), "{}", world.ladder());
    assert_eq!(world.completed(), 1);
    ends_clean(&mut world);
}

/// The connection of a phone is another one, and the phone registers on it.
fn back_again(world: &mut World, who: &[Who]) {
    for who in who {
        world.reconnect(*who);
        world.seat(*who).register();
    }
    world.run();
}

#[test]
fn phones_on_connections_get_their_dialogs_back_with_their_registration() {
    for transport in [PhoneTransport::Tcp, PhoneTransport::Ws] {
        let mut world = World::keeping_over(|_| {}, |_| transport);
        let (at_bob, at_alice) = world.call(BOB, ALICE);
        world.restart(millis(500));
        assert!(!world.calls().is_empty(), "the call waits for its phones");
        world.advance(seconds(2));
        back_again(&mut world, &EVERYBODY);
        world.bob().hold(at_bob);
        world.run();
        assert!(world.phone(ALICE).is_held(at_alice), "{}", world.ladder());
        world.bob().resume(at_bob);
        world.run();
        assert!(world.connected(ALICE, BOB), "{}", world.ladder());
        world.restart(millis(500));
        back_again(&mut world, &EVERYBODY);
        world.carol().answers_after(millis(200));
        world.alice().refer(at_alice, CAROL);
        world.run();
        assert!(world.connected(BOB, CAROL), "{}", world.ladder());
        ends_clean(&mut world);
    }
}

#[test]
fn a_phone_that_does_not_come_back_is_ended_and_the_other_told() {
    let mut world = World::keeping_over(
        |_| {},
        |who| {
            if who == BOB {
                PhoneTransport::Ws
            } else {
                PhoneTransport::Udp
            }
        },
    );
    let (_, at_alice) = world.call(BOB, ALICE);
    world.restart(millis(500));
    world.advance(seconds(31));
    assert_eq!(world.phone(ALICE).state(at_alice), Some(CallState::Connected));
    world.advance(seconds(3));
    world.run();
    assert!(world.phone(ALICE).live().is_empty(), "{}", world.ladder());
    let ended = |event: &&Event| matches!(event, Event::LegEnded { cause: Cause::Lost, .. });
    assert_eq!(world.events().into_iter().filter(ended).count(), 1);
    let totals = world.totals();
    assert_eq!((totals.dialogs, totals.calls), (0, 0));
}

#[test]
fn media_ports_and_who_hears_whom_come_back() {
    for srtp in [Srtp::Off, Srtp::Preferred] {
        let mut world = World::keeping(|settings| {
            settings.media.mode = Mode::Relay;
            settings.media.srtp = srtp;
        });
        let (at_bob, _) = world.call(BOB, ALICE);
        let told = |world: &World| {
            [
                world.phone(ALICE).remote_media(world.the(ALICE)),
                world.phone(BOB).remote_media(world.the(BOB)),
            ]
        };
        let before = told(&world);
        let ports = world.totals().media_ports;
        world.restart(millis(300));
        world.run();
        assert_eq!(world.totals().media_ports, ports);
        assert_eq!(
            world.count(BOB, "< INVITE"),
            0,
            "nobody is asked for anything: {}",
            world.ladder()
        );
        assert_eq!(told(&world), before);
        world.assert_paired();
        // And once more, with what the second process wrote.
        world.bob().hold(at_bob);
        world.run();
        world.restart(millis(300));
        world.run();
        world.assert_paired();
        world.bob().resume(at_bob);
        world.run();
        assert_eq!(told(&world), before, "{}", world.ladder());
        // A new call gets no port that somebody has.
        world.call(CAROL, DAVE);
        world.assert_paired();
        ends_clean(&mut world);
    }
}

#[test]
fn a_session_that_is_refreshed_is_refreshed_after_a_restart() {
    let mut world = world();
    world.call(BOB, ALICE);
    world.advance(seconds(600));
    world.restart(seconds(5));
    world.advance(seconds(2_400));
    assert!(world.connected(ALICE, BOB), "{}", world.ladder());
    ends_clean(&mut world);
}

#[test]
fn a_party_that_left_while_nobody_was_there_ends_the_call() {
    let mut world = world();
    let (at_bob, _) = world.call(BOB, ALICE);
    world.kill();
    world.bob().bye(at_bob);
    world.advance(seconds(1));
    world.start_again();
    world.run();
    assert!(world.phone(ALICE).live().is_empty(), "{}", world.ladder());
    ends_clean(&mut world);
}

/// Done or undone, and nothing in between: bob talks with carol and alice is out of it, or all is as it was.
fn is_done_or_undone(world: &mut World) -> bool {
    if world.phone(ALICE).live().is_empty() {
        assert!(world.connected(BOB, CAROL), "{}", world.ladder());
        return true;
    }
    world.assert_paired();
    false
}

/// How often each transfer that observers heard of has ended.
fn ended_once(world: &World) {
    let terminal = world
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::TransferCompleted { .. } | Event::TransferFailed { .. }))
        .count();
    assert!(terminal <= 1, "{} terminal events\n{}", terminal, world.ladder());
}

fn still_answers(world: &mut World, who: Who) {
    for call in world.phone(who).live() {
        if world.phone(who).state(call) == Some(CallState::Connected) {
            world.seat(who).hold(call);
            world.run();
            assert!(
                world.phone(who).is_holding(call),
                "{} holds\n{}",
                who.user(),
                world.ladder()
            );
            world.seat(who).resume(call);
            world.run();
        }
    }
}

/// Kills after every output of a transfer, one after the other; says how often it was done and undone.
fn sweep(begin: impl Fn() -> World, act: impl Fn(&mut World)) -> (usize, usize) {
    let mut whole = begin();
    let from = whole.said();
    act(&mut whole);
    whole.run();
    let outputs = whole.said() - from;
    let (mut done, mut undone) = (0, 0);
    for after in 0..outputs {
        let mut world = begin();
        // What a phone may complain of when the edge dies under it.
        for complaint in ["no answer", "no ACK", "timer", "a NOTIFY", "retransmission", "BYE"] {
            world.tolerate(complaint);
        }
        world.die_after(after);
        act(&mut world);
        for _ in 0..400 {
            if world.is_dead() {
                break;
            }
            world.advance(millis(10));
        }
        if !world.is_dead() {
            continue; // what was left was said by a timer much later
        }
        world.advance(millis(200));
        world.start_again();
        world.run();
        match is_done_or_undone(&mut world) {
            true => done += 1,
            false => undone += 1,
        }
        ended_once(&world);
        for who in [BOB, CAROL] {
            still_answers(&mut world, who);
        }
        ends_clean(&mut world);
    }
    println!("killed at {outputs} points: {done} done, {undone} undone");
    (done, undone)
}

#[test]
fn an_attended_transfer_killed_anywhere_is_done_or_undone() {
    let (done, undone) = sweep(
        || {
            let mut world = world();
            world.warm();
            world
        },
        |world| {
            let calls = world.phone(ALICE).live();
            world.alice().refer_attended(calls[0], calls[1]);
        },
    );
    // The consult has answered already: the join begins anew. A REFER that the first process never heard comes again.
    assert!(done > 20 && undone == 0, "{done} {undone}");
}

#[test]
fn a_blind_transfer_killed_anywhere_is_done_or_undone() {
    let (done, undone) = sweep(
        || {
            let mut world = world();
            world.call(BOB, ALICE);
            world.carol().answers_after(millis(200));
            world
        },
        |world| {
            let call = world.the(ALICE);
            world.alice().refer(call, CAROL);
        },
    );
    assert!(done > 5 && undone > 5, "{done} {undone}");
}

#[test]
fn a_hold_killed_anywhere_leaves_a_call_that_answers() {
    let mut whole = world();
    let (_, at_alice) = whole.call(BOB, ALICE);
    let from = whole.said();
    whole.alice().hold(at_alice);
    whole.run();
    for after in 0..whole.said() - from {
        let mut world = world();
        let (_, call) = world.call(BOB, ALICE);
        world.die_after(after);
        world.alice().hold(call);
        world.advance(millis(100));
        assert!(world.is_dead());
        world.advance(millis(200));
        world.start_again();
        world.run();
        world.assert_paired();
        for who in [ALICE, BOB] {
            still_answers(&mut world, who);
        }
        ends_clean(&mut world);
    }
}
