//! What goes wrong elsewhere in the middle of a transfer (LESSONS 1–7), each under the name of what must happen instead.

mod world;

use warmline::engine::{Command, TransferFailure};
use warmline::phone::{CallState, EndReason};
use warmline::sip::Method;
use world::{ALICE, BOB, CAROL, EVERYBODY, Fate, Who, World, millis, seconds};

/// LESSONS 1.
#[test]
fn the_operator_is_kept_until_the_join_holds() {
    let mut world = World::new();
    let (at_bob, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(seconds(30));
    assert_eq!(
        world.phone(ALICE).state(customer),
        Some(CallState::Connected),
        "carol has rung for 30 s"
    );
    assert_eq!(world.phone(BOB).state(at_bob), Some(CallState::Connected));
    assert!(world.connected(ALICE, BOB), "they can go on talking");
    world.carol().pick_up();
    world.run();
    assert!(world.in_order(ALICE, "< NOTIFY alice says 200", "< BYE"));
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 2.
#[test]
fn an_attended_refer_joins_the_live_dialog_and_dials_nobody() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let invites = world.phone(CAROL).requests(&Method::Invite);
    assert_eq!(
        invites.iter().filter(|invite| invite.to_tag().is_none()).count(),
        1,
        "carol was called once, by alice"
    );
    assert_eq!(
        world.phone(CAROL).state(warm.at_carol),
        Some(CallState::Connected),
        "in the dialog that she had"
    );
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 3.
#[test]
fn the_operators_early_bye_leaves_the_transfer_alone() {
    for after in [0, 1, 2, 3, 5, 8, 280, 2_000] {
        let mut world = World::new();
        let warm = world.warm();
        world.alice().refer_attended(warm.customer, warm.consult);
        world.advance(millis(after));
        if world.phone(ALICE).state(warm.customer) == Some(CallState::Connected) {
            world.alice().bye(warm.customer);
        }
        world.run();
        assert!(world.connected(BOB, CAROL), "BYE {after} ms after the REFER");
        assert_eq!(world.phone(ALICE).live(), [], "BYE {after} ms after the REFER");
        assert_eq!(world.completed(), 1);
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// LESSONS 3.
#[test]
fn an_operator_who_hangs_up_both_calls_early_leaves_the_transfer_alone() {
    for after in [2, 3, 4, 6, 280] {
        let mut world = World::new();
        let warm = world.warm();
        world.alice().refer_attended(warm.customer, warm.consult);
        world.advance(millis(after));
        for call in world.phone(ALICE).live() {
            world.alice().bye(call);
        }
        world.run();
        assert!(world.connected(BOB, CAROL), "both BYEs {after} ms after the REFER");
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// LESSONS 3, blind: the customer is left with a target that rings.
#[test]
fn an_operator_may_leave_while_the_target_rings() {
    let mut world = World::new();
    let (at_bob, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(millis(280));
    world.alice().bye(customer);
    world.advance(seconds(5));
    assert_eq!(
        world.phone(BOB).state(at_bob),
        Some(CallState::Connected),
        "the customer waits for carol"
    );
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

/// LESSONS 3 and 25: the customer's own hold meets an operator who leaves, and a target that answers.
#[test]
fn a_customer_may_hold_while_the_operator_leaves() {
    for hold in [270, 279, 280, 281, 282, 283, 290, 1_000, 1_279, 1_281, 1_283] {
        let mut world = World::new();
        let (at_bob, customer) = world.call(BOB, ALICE);
        world.alice().refer(customer, CAROL);
        for elapsed in 1..=1_400 {
            world.advance(millis(1));
            match elapsed {
                280 => world.alice().bye(customer),
                1_280 => {
                    world.carol().pick_up();
                }
                _ => {}
            }
            if elapsed == hold {
                world.bob().hold(at_bob);
            }
        }
        world.run();
        assert_eq!(world.completed(), 1, "bob held {hold} ms after the REFER");
        assert!(
            world.phone(CAROL).is_held(world.the(CAROL)),
            "bob held {hold} ms after the REFER"
        );
        world.bob().resume(at_bob);
        world.run();
        assert!(world.connected(BOB, CAROL), "bob held {hold} ms after the REFER");
        world.hang_up(CAROL);
        world.assert_nothing_left();
    }
}

/// LESSONS 25: the target's own offer comes before that of the join, which waits for a hold that is under way.
#[test]
fn a_target_may_hold_before_it_is_joined() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    // Bob's answer to alice's hold is slow, so the join cannot begin.
    world.network(|packet| match packet.is_answer_from(BOB, Method::Invite, 200) {
        true => Fate::Delay(millis(300)),
        false => Fate::Deliver,
    });
    world.alice().hold(customer);
    let at_carol = world.carol().pick_up();
    world.advance(millis(100));
    world.carol().hold(at_carol);
    world.run();
    assert_eq!(world.completed(), 1);
    assert!(world.phone(BOB).is_held(world.the(BOB)), "carol holds bob now");
    world.carol().resume(at_carol);
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 3 and 4: nobody is left to give the customer back to.
#[test]
fn a_customer_whose_operator_left_and_whose_target_refuses_is_released() {
    let mut world = World::new();
    let (at_bob, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(millis(280));
    world.alice().bye(customer);
    world.advance(seconds(1));
    world.carol().reject(486);
    world.run();
    assert_eq!(
        world.phone(BOB).state(at_bob),
        Some(CallState::Ended(EndReason::HungUpByRemote))
    );
    assert_eq!(world.failures(), [(TransferFailure::TargetBusy, Some(486))]);
    world.assert_nothing_left();
}

/// When a party hangs up, by what the phones see at that moment.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The REFER is on its way.
    Referring,
    /// Blind: carol rings.
    Ringing,
    /// The customer has the join's offer.
    CustomerOffered,
    /// The consult has the join's offer.
    ConsultOffered,
    /// The operator has the last NOTIFY.
    Reported,
    /// It is all over.
    Joined,
}

/// Who has whom in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Talk(Who, Who),
    Nobody,
}

/// Goes on until the phase is reached. The answers to the join's offers take their time, so that it lasts.
fn advance_to(world: &mut World, phase: Phase, invites: (usize, usize)) {
    world.network(move |packet| {
        let to_offer = |who| packet.is_answer_from(who, Method::Invite, 200);
        let offered = match phase {
            Phase::CustomerOffered => to_offer(BOB),
            Phase::ConsultOffered => to_offer(CAROL),
            Phase::Referring | Phase::Ringing | Phase::Reported | Phase::Joined => false,
        };
        if offered {
            Fate::Delay(millis(50))
        } else {
            Fate::Deliver
        }
    });
    let reached = |world: &World| match phase {
        Phase::Referring => true,
        Phase::Ringing => world.line(CAROL, "> 180").is_some(),
        Phase::CustomerOffered => world.count(BOB, "< INVITE") > invites.0,
        Phase::ConsultOffered => world.count(CAROL, "< INVITE") > invites.1,
        Phase::Reported => world.line(ALICE, "< NOTIFY alice says 200").is_some(),
        Phase::Joined => world.line(ALICE, "< BYE").is_some(),
    };
    for _ in 0..1_000 {
        if reached(world) {
            return;
        }
        world.advance(millis(1));
    }
    panic!("{phase:?} is not reached");
}

/// Everybody who has a call has exactly one, with somebody who has it too.
fn assert_nobody_is_parked(world: &mut World, end: End) {
    match end {
        End::Talk(one, other) => {
            assert!(world.connected(one, other));
            for who in EVERYBODY.into_iter().filter(|who| *who != one && *who != other) {
                assert_eq!(world.phone(who).live(), [], "{} is free", who.user());
            }
            world.hang_up(one);
        }
        End::Nobody => {
            for who in EVERYBODY {
                assert_eq!(world.phone(who).live(), [], "{} is free", who.user());
            }
        }
    }
    world.assert_nothing_left();
}

/// LESSONS 4, attended: every party hangs up in every phase.
#[test]
fn whoever_hangs_up_in_an_attended_transfer_nobody_is_parked() {
    use End::{Nobody, Talk};
    for (who, phase, end) in [
        (ALICE, Phase::Referring, Talk(BOB, CAROL)),
        (ALICE, Phase::CustomerOffered, Talk(BOB, CAROL)),
        (ALICE, Phase::ConsultOffered, Talk(BOB, CAROL)),
        (ALICE, Phase::Reported, Talk(BOB, CAROL)),
        // Before the join holds the operator keeps whoever stays.
        (BOB, Phase::Referring, Talk(ALICE, CAROL)),
        (BOB, Phase::CustomerOffered, Talk(ALICE, CAROL)),
        (BOB, Phase::ConsultOffered, Talk(ALICE, CAROL)),
        (BOB, Phase::Reported, Nobody),
        (BOB, Phase::Joined, Nobody),
        (CAROL, Phase::Referring, Talk(ALICE, BOB)),
        (CAROL, Phase::CustomerOffered, Talk(ALICE, BOB)),
        (CAROL, Phase::ConsultOffered, Talk(ALICE, BOB)),
        (CAROL, Phase::Reported, Nobody),
        (CAROL, Phase::Joined, Nobody),
    ] {
        eprintln!("{who:?} hangs up in {phase:?}");
        let mut world = World::new();
        let warm = world.warm();
        let invites = (world.count(BOB, "< INVITE"), world.count(CAROL, "< INVITE"));
        world.alice().refer_attended(warm.customer, warm.consult);
        advance_to(&mut world, phase, invites);
        match who {
            Who::Alice => world.alice().bye(warm.customer),
            Who::Bob => world.bob().bye(warm.at_bob),
            Who::Carol | Who::Dave => world.carol().bye(warm.at_carol),
        }
        world.run();
        assert_eq!(world.completed() + world.failures().len(), 1, "one terminal event");
        if end == Talk(ALICE, BOB) {
            // The operator had put her customer on hold before she called carol.
            assert_eq!(world.phone(ALICE).live(), [warm.customer]);
            world.alice().resume(warm.customer);
            world.run();
        }
        assert_nobody_is_parked(&mut world, end);
    }
}

/// LESSONS 4, blind: every party hangs up in every phase.
#[test]
fn whoever_hangs_up_in_a_blind_transfer_nobody_is_parked() {
    use End::{Nobody, Talk};
    for (who, phase, end) in [
        (ALICE, Phase::Referring, Talk(BOB, CAROL)),
        (ALICE, Phase::Ringing, Talk(BOB, CAROL)),
        (ALICE, Phase::CustomerOffered, Talk(BOB, CAROL)),
        (BOB, Phase::Referring, Nobody),
        (BOB, Phase::Ringing, Nobody),
        (BOB, Phase::CustomerOffered, Nobody),
        (BOB, Phase::Reported, Nobody),
        (BOB, Phase::Joined, Nobody),
        (CAROL, Phase::CustomerOffered, Talk(ALICE, BOB)),
        (CAROL, Phase::Reported, Nobody),
        (CAROL, Phase::Joined, Nobody),
    ] {
        eprintln!("{who:?} hangs up in {phase:?}");
        let mut world = World::new();
        let (at_bob, customer) = world.call(BOB, ALICE);
        let invites = (world.count(BOB, "< INVITE"), 1);
        world.carol().answers_after(millis(500));
        world.alice().refer(customer, CAROL);
        advance_to(&mut world, phase, invites);
        match who {
            Who::Alice => world.alice().bye(customer),
            Who::Bob => world.bob().bye(at_bob),
            Who::Carol | Who::Dave => {
                let call = world.the(CAROL);
                world.carol().bye(call);
            }
        }
        world.run();
        assert_nobody_is_parked(&mut world, end);
    }
}

/// LESSONS 4, without names for the phases: a BYE in every millisecond of the transfer.
#[test]
fn a_bye_in_any_millisecond_leaves_nobody_parked() {
    for who in [ALICE, BOB, CAROL] {
        for after in 0..24 {
            let mut world = World::new();
            let warm = world.warm();
            world.alice().refer_attended(warm.customer, warm.consult);
            world.advance(millis(after));
            let call = match who {
                Who::Alice => warm.customer,
                Who::Bob => warm.at_bob,
                Who::Carol | Who::Dave => warm.at_carol,
            };
            if world.phone(who).state(call) == Some(CallState::Connected) {
                world.seat(who).bye(call);
            }
            world.run();
            assert_eq!(
                world.completed() + world.failures().len(),
                1,
                "{who:?} after {after} ms: one terminal event"
            );
            // Whoever has a call has it with somebody: the edge's legs come in pairs, one for each live call.
            let live: usize = EVERYBODY.into_iter().map(|who| world.phone(who).live().len()).sum();
            let calls = world.calls();
            assert_eq!(live, 2 * calls.len(), "{who:?} after {after} ms: {calls:?}");
            for who in EVERYBODY {
                for call in world.phone(who).live() {
                    if world.phone(who).state(call) == Some(CallState::Connected) {
                        world.seat(who).bye(call);
                        world.run();
                    }
                }
            }
            world.assert_nothing_left();
        }
    }
}

/// LESSONS 5.
#[test]
fn the_bye_waits_for_the_answer_to_the_last_notify() {
    let mut world = World::new();
    let warm = world.warm();
    // Every answer of alice to a NOTIFY takes 400 ms longer, shorter than the NOTIFY's retransmission.
    world.network(|packet| match packet.is_answer_from(ALICE, Method::Notify, 200) {
        true => Fate::Delay(millis(400)),
        false => Fate::Deliver,
    });
    world.alice().refer_attended(warm.customer, warm.consult);
    // The first NOTIFY's answer comes after 402 ms, and only then goes the last one.
    world.advance(millis(600));
    assert!(world.line(ALICE, "< NOTIFY alice says 200").is_some());
    assert_eq!(
        world.line(ALICE, "< BYE"),
        None,
        "the answer to the NOTIFY is still on its way"
    );
    world.run();
    assert!(world.in_order(ALICE, "< NOTIFY alice says 200", "< BYE"));
    assert_eq!(world.phone(ALICE).live(), []);
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 5 and 14: the guard timer.
#[test]
fn a_notify_that_is_never_answered_does_not_park_the_operator() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().ignores_notify();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.advance(seconds(1));
    assert_eq!(world.line(ALICE, "< BYE"), None);
    assert!(world.phone(BOB).remote_media(warm.at_bob) == Some(world.phone(CAROL).config().media.to_string()));
    world.advance(seconds(6));
    assert_eq!(world.phone(ALICE).live(), [], "the guard timer has sent the BYE");
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.advance(seconds(40));
    world.assert_nothing_left();
}

/// LESSONS 6.
#[test]
fn a_target_that_hangs_up_on_our_ack_is_matched() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().script().hang_up_on_ack = true;
    world.carol().answers_after(millis(200));
    world.alice().refer(customer, CAROL);
    world.run();
    let answers = world.phone(CAROL).responses(&Method::Bye);
    assert_eq!(
        answers.iter().map(|answer| answer.status()).collect::<Vec<_>>(),
        [Some(200)],
        "her BYE found its dialog"
    );
    assert_eq!(
        world.failures().first().map(|(reason, _)| *reason),
        Some(TransferFailure::TargetGone)
    );
    assert!(world.connected(ALICE, BOB), "the operator has her customer back");
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 6, in a call without transfer.
#[test]
fn a_callee_that_hangs_up_on_our_ack_is_matched() {
    let mut world = World::new();
    world.bob().script().hang_up_on_ack = true;
    let call = world.alice().call(BOB);
    world.advance(millis(100));
    world.bob().pick_up();
    world.run();
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::HungUpByRemote))
    );
    assert_eq!(
        world
            .phone(BOB)
            .responses(&Method::Bye)
            .first()
            .and_then(|answer| answer.status()),
        Some(200)
    );
    world.assert_nothing_left();
}

/// LESSONS 7: the phone complains when a BYE comes before the ACK that it is owed.
#[test]
fn a_bye_waits_for_the_ack_that_a_reinvite_is_owed() {
    for slow in [BOB, CAROL] {
        let mut world = World::new();
        let warm = world.warm();
        let (invites, acks) = (world.count(slow, "< INVITE"), world.count(slow, "< ACK"));
        world.network(move |packet| match packet.is_answer_from(slow, Method::Invite, 200) {
            true => Fate::Delay(millis(300)),
            false => Fate::Deliver,
        });
        world.alice().refer_attended(warm.customer, warm.consult);
        for _ in 0..100 {
            if world.count(slow, "< INVITE") == invites {
                world.advance(millis(1));
            }
        }
        // The other one hangs up while the re-INVITE's answer is on its way; so the edge lets go of both.
        world.alice().bye(warm.customer);
        world.alice().bye(warm.consult);
        match slow {
            Who::Bob => world.carol().bye(warm.at_carol),
            Who::Alice | Who::Carol | Who::Dave => world.bob().bye(warm.at_bob),
        }
        world.advance(millis(100));
        assert_eq!(world.line(slow, "< BYE"), None, "the edge owes {} an ACK", slow.user());
        world.run();
        assert_eq!(world.count(slow, "< ACK"), acks + 1);
        assert_eq!(world.phone(slow).live(), [], "and then it lets go");
        world.assert_nothing_left();
    }
}

/// LESSONS 14: both sides think that the other will hang up.
#[test]
fn a_bye_that_nobody_answers_ends_after_all() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().unplug();
    world.bob().bye(warm.at_bob);
    world.carol().bye(warm.at_carol);
    world.advance(seconds(40));
    let totals = world.totals();
    assert_eq!(
        (totals.dialogs, totals.calls, totals.transfers, totals.transactions),
        (0, 0, 0, 0)
    );
}

/// LESSONS 4: an API client is a party too.
#[test]
fn a_call_that_the_api_ends_in_mid_transfer_ends_the_transfer() {
    for wait in [1, 2, 3, 300, 2_000] {
        let mut world = World::new();
        let (_, customer) = world.call(BOB, ALICE);
        world.alice().refer(customer, CAROL);
        world.advance(millis(wait));
        let call = world.call_of(BOB).id;
        world.command(Command::HangUpCall { call });
        world.run();
        for who in EVERYBODY {
            assert_eq!(
                world.phone(who).live(),
                [],
                "{} is free, {wait} ms after the REFER",
                who.user()
            );
        }
        world.assert_nothing_left();
    }
}
