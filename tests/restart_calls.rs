//! The process is killed in the middle of calls and transfers, and another one goes on (issue 6 §1). Virtual time.

mod world;

use std::collections::BTreeMap;

use warmline::engine::{Cause, Event, Settings, TransferHandle, TransferMode};
use warmline::media::describe::{Mode, Srtp};
use warmline::phone::{CallState, PhoneCall, PhoneTransport};
use warmline::sip::Method;
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

/// RFC 3261 §12.2.2, §14.2, RFC 3311 §5.2: a target refresh moves the party; whoever restores the leg calls it there.
#[test]
fn a_party_that_refreshes_its_contact_is_found_after_a_restart() {
    for by_update in [false, true] {
        let mut world = world();
        let (at_bob, _) = world.call(BOB, ALICE);
        world.bob().configure(|phone| phone.user = "bob-desk".to_owned());
        if by_update {
            // Nothing else is new, so that nothing else makes the leg be written.
            let headers = [("Contact", "<sip:bob-desk@10.0.0.12:5060>")];
            world.bob().request(at_bob, Method::Update, &headers, None);
        } else {
            world.bob().hold(at_bob);
            world.run();
            world.bob().resume(at_bob);
        }
        world.run();
        world.restart(millis(300));
        world.run();
        let customer = world.the(ALICE);
        world.alice().bye(customer);
        world.run();
        let told = world.line(BOB, "< BYE bob-desk");
        assert!(
            told.is_some(),
            "update {by_update}: {:?}\n{}",
            world.lines(BOB),
            world.ladder()
        );
        ends_clean(&mut world);
    }
}

/// Who guesses passwords and waits for a restart has won nothing.
#[test]
fn a_ban_goes_on_in_the_next_process_and_ends_in_time() {
    let mut world = World::keeping(|settings| {
        settings.open = false;
        settings.users = world::users();
    });
    let right = world.phone(DAVE).config().password.clone();
    world.dave().configure(|phone| phone.password = "guessed".to_owned());
    let banned = |world: &World| world.events().any(|event| matches!(event, Event::SourceBanned { .. }));
    for _ in 0..12 {
        world.dave().register();
        world.advance(seconds(1));
    }
    assert!(banned(&world), "{}", world.ladder());
    assert_eq!(world.kept().get("ban"), Some(&1));
    world.dave().configure(|phone| phone.password = right);
    world.restart(seconds(1));
    let answers = world.count(DAVE, "< 200") + world.count(DAVE, "< 401");
    world.dave().register();
    world.advance(seconds(40));
    assert_eq!(
        world.count(DAVE, "< 200") + world.count(DAVE, "< 401"),
        answers,
        "nothing is said to it: {}",
        world.ladder()
    );
    world.advance(seconds(900));
    world.dave().register();
    world.run();
    assert!(
        world.count(DAVE, "< 200") + world.count(DAVE, "< 401") > answers,
        "{}",
        world.ladder()
    );
    // Remembered for a day, for a second ban is longer; then the store forgets it.
    world.restart(seconds(90_000));
    assert_eq!(world.kept().get("ban"), None);
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
    assert_eq!(world.events().filter(ended).count(), 1);
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
    world.assert_paired();
    let live = |world: &World, who: Who| world.phone(who).live().len();
    let all = EVERYBODY.map(|who| live(world, who));
    match all {
        [0, 1, 1, 0] => true,
        // With the consult, or without one.
        [2, 1, 1, 0] | [1, 1, 0, 0] => false,
        _ => panic!("live calls {all:?}\n{}", world.ladder()),
    }
}

/// No transfer that observers heard of has ended more than once.
fn ended_once(world: &World) {
    let mut ends = BTreeMap::new();
    for event in world.events() {
        if let Event::TransferCompleted { transfer, .. } | Event::TransferFailed { transfer, .. } = event {
            *ends.entry(*transfer).or_insert(0) += 1;
        }
    }
    assert!(ends.values().all(|times| *times == 1), "{ends:?}\n{}", world.ladder());
    // Of each that ended they have heard that it was asked for: by the process that was killed, or the one after it.
    let begun = |handle: &&TransferHandle| {
        let named = |event: &Event| matches!(event, Event::TransferRequested { transfer, .. } if transfer == *handle);
        world.events().any(named)
    };
    assert_eq!(
        ends.keys().filter(begun).count(),
        ends.len(),
        "{ends:?}\n{}",
        world.ladder()
    );
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

/// The customer's phone called the target by itself, and its call rang when the process died: nobody answers that INVITE
/// any more. The transfer ends by its timer, and the call that there was goes on.
fn rings_in_vain(world: &mut World) -> bool {
    let unanswered = |world: &World| {
        let phone = world.phone(BOB);
        let early = |call: &PhoneCall| matches!(phone.state(*call), Some(CallState::Calling | CallState::Early));
        phone.live().into_iter().find(early)
    };
    if unanswered(world).is_none() {
        return false;
    }
    world.advance(seconds(70));
    world.run();
    assert_eq!(world.totals().transfers, 0, "{}", world.ladder());
    world.assert_paired();
    ended_once(world);
    still_answers(world, ALICE);
    for call in world.phone(ALICE).live() {
        world.alice().bye(call);
    }
    world.advance(seconds(40));
    let totals = world.totals();
    assert_eq!(
        (totals.dialogs, totals.calls, totals.transactions),
        (0, 0, 0),
        "{}",
        world.ladder()
    );
    world.bob().unplug();
    true
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
        if rings_in_vain(&mut world) {
            undone += 1;
            continue;
        }
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

fn warm(change: impl Fn(&mut Settings)) -> World {
    let mut world = World::keeping(change);
    world.warm();
    world
}

fn attended(world: &mut World) {
    let calls = world.phone(ALICE).live();
    world.alice().refer_attended(calls[0], calls[1]);
}

fn cold(change: impl Fn(&mut Settings)) -> World {
    let mut world = World::keeping(change);
    world.call(BOB, ALICE);
    world.carol().answers_after(millis(200));
    world
}

fn blind(world: &mut World) {
    let call = world.the(ALICE);
    world.alice().refer(call, CAROL);
}

#[test]
fn transfers_whose_sound_passes_through_the_edge_are_done_or_undone() {
    let relay = |settings: &mut Settings| settings.media.mode = Mode::Relay;
    let (done, _) = sweep(|| warm(relay), attended);
    assert!(done > 20, "{done}");
    let (done, undone) = sweep(|| cold(relay), blind);
    assert!(done > 5 && undone > 5, "{done} {undone}");
}

#[test]
fn transfers_by_the_parties_themselves_are_done_or_undone() {
    for mode in [TransferMode::Refer, TransferMode::Pass] {
        let by_refer = |settings: &mut Settings| settings.transfer = mode;
        for (begin, act) in [
            (warm as fn(_) -> World, attended as fn(&mut World)),
            (cold as fn(_) -> World, blind as fn(&mut World)),
        ] {
            let (done, undone) = sweep(|| begin(by_refer), act);
            assert!(done + undone > 10, "{mode:?}: {done} {undone}");
        }
    }
}

#[test]
fn a_call_killed_anywhere_in_its_setup_leaves_nothing_behind() {
    let set_up = |world: &mut World| {
        world.seat(BOB).call(ALICE);
        world.advance(millis(300));
    };
    let mut whole = world();
    let from = whole.said();
    whole.alice().answers_after(millis(100));
    set_up(&mut whole);
    whole.run();
    for after in 0..whole.said() - from {
        let mut world = world();
        world.alice().answers_after(millis(100));
        world.die_after(after);
        set_up(&mut world);
        assert!(world.is_dead());
        world.start_again();
        world.run();
        // What was answered goes on, and so does what was not: alice's phone rings anew, for the same call of bob's.
        world.advance(seconds(3));
        world.run();
        assert!(world.connected(ALICE, BOB), "killed at {after}\n{}", world.ladder());
        ends_clean(&mut world);
    }
}

#[test]
fn two_kills_are_no_worse_than_one() {
    for (first, second) in [(3, 2), (8, 4), (12, 9), (16, 3)] {
        let mut world = cold(|_| {});
        world.die_after(first);
        blind(&mut world);
        world.advance(millis(600));
        world.start_again();
        world.die_after(second);
        world.advance(millis(600));
        if !world.is_dead() {
            world.kill();
        }
        world.start_again();
        world.run();
        is_done_or_undone(&mut world);
        ends_clean(&mut world);
    }
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
