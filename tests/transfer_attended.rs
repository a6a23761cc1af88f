//! Warm transfer: REFER with Replaces (RFC 5589 §7), by whoever of the two has called, and by the API.

mod world;

use warmline::engine::{Command, Reply, TransferKind, TransferTarget};
use warmline::phone::{CallState, PhoneTransport};
use warmline::sip::Method;
use world::{ALICE, BOB, CAROL, Fate, Warm, World, millis, seconds};

/// The end of every good transfer: customer and consult talk, the operator is free and was told, nothing is left.
fn assert_transferred(world: &mut World, warm: &Warm) {
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.phone(ALICE).live(), [], "the operator is free");
    assert_eq!(world.phone(ALICE).refer_status(warm.customer), Some(202));
    assert_eq!(world.reported(ALICE).last(), Some(&200));
    assert_eq!((world.completed(), world.failures()), (1, vec![]));
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn customer_and_consult_talk_after_a_warm_transfer() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert!(world.in_order(ALICE, "< NOTIFY alice says 100", "< NOTIFY alice says 200"));
    assert_transferred(&mut world, &warm);
}

#[test]
fn an_operator_who_called_the_customer_can_transfer_him() {
    let mut world = World::new();
    let warm = world.warm_by_caller();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn an_operator_who_was_called_by_both_can_join_them() {
    let mut world = World::new();
    let (at_bob, customer) = world.call(BOB, ALICE);
    world.alice().hold(customer);
    world.run();
    let (at_carol, consult) = world.call(CAROL, ALICE);
    world.alice().refer_attended(customer, consult);
    world.run();
    assert_transferred(
        &mut world,
        &Warm {
            customer,
            consult,
            at_bob,
            at_carol,
        },
    );
}

#[test]
fn a_consult_who_was_held_too_is_taken_back_by_the_join() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().hold(warm.consult);
    world.run();
    assert!(world.phone(CAROL).is_held(warm.at_carol));
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert!(!world.phone(BOB).is_held(warm.at_bob) && !world.phone(CAROL).is_held(warm.at_carol));
    assert_transferred(&mut world, &warm);
}

#[test]
fn a_customer_who_holds_keeps_holding_through_the_join() {
    let mut world = World::new();
    let warm = world.warm();
    world.bob().hold(warm.at_bob);
    world.run();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_eq!(world.completed(), 1);
    assert!(world.phone(CAROL).is_held(warm.at_carol), "carol is held by bob now");
    world.bob().resume(warm.at_bob);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn refer_right_behind_the_hold_is_not_lost() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().hold(warm.consult);
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn the_consult_may_still_ring_when_the_operator_refers() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().hold(customer);
    world.run();
    let consult = world.alice().call(CAROL);
    world.advance(millis(300));
    world.alice().refer_attended(customer, consult);
    world.advance(seconds(2));
    assert_eq!(world.completed(), 0, "carol rings: nobody was joined");
    assert_eq!(world.phone(ALICE).state(customer), Some(CallState::Connected));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.phone(ALICE).live(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn refer_to_may_name_the_address_of_record() {
    let mut world = World::new();
    let warm = world.warm();
    let replaces = world.phone(ALICE).replaces(warm.consult).expect("a dialog");
    let refer_to = format!(
        "<{}?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
        CAROL.uri(),
        replaces.call_id.replace('@', "%40"),
        replaces.to_tag,
        replaces.from_tag
    );
    world.alice().refer_to(warm.customer, &refer_to);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn a_desk_phone_that_hangs_up_on_success_crosses_our_bye() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().script().hang_up_on_success = true;
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn a_warm_transfer_works_over_tcp() {
    let mut world = World::over(|_| PhoneTransport::Tcp);
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn a_warm_transfer_works_between_udp_and_tcp() {
    let mut world = World::over(|who| {
        if who == BOB {
            PhoneTransport::Tcp
        } else {
            PhoneTransport::Udp
        }
    });
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn the_api_can_join_the_operators_two_calls() {
    let mut world = World::new();
    world.warm();
    let legs = world.legs_of(ALICE);
    let [customer, consult] = legs.as_slice() else {
        panic!("alice has two legs")
    };
    let target = TransferTarget::Leg(consult.id);
    let command = Command::StartTransfer {
        transferor: customer.id,
        target,
        mode: None,
        ring_timeout: None,
        on_failure: None,
    };
    let id = world.command(command);
    match world.reply(id) {
        Some(Ok(Reply::Transfer(view))) => assert_eq!(view.kind, TransferKind::Attended),
        other => panic!("the transfer was not accepted: {other:?}"),
    }
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.phone(ALICE).live(), []);
    assert_eq!(
        world.reported(ALICE),
        [] as [u16; 0],
        "who did not ask by REFER gets no NOTIFY"
    );
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_refused_join_gives_both_calls_back() {
    let mut world = World::new();
    let warm = world.warm();
    world.carol().answers_reinvite_with(488);
    world.carol().answers_reinvite_with(488); // asked for its own offer, it has none either
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_eq!(world.completed(), 0);
    assert_eq!(world.failures().len(), 1);
    assert!(world.reported(ALICE).last().is_some_and(|status| *status >= 300));
    assert_eq!(world.phone(ALICE).state(warm.customer), Some(CallState::Connected));
    assert_eq!(world.phone(ALICE).state(warm.consult), Some(CallState::Connected));
    world.alice().bye(warm.consult);
    world.alice().resume(warm.customer);
    world.run();
    assert!(world.connected(ALICE, BOB), "the operator has her customer back");
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn every_message_of_a_transfer_may_be_lost_once() {
    // One run for each message after the REFER; the retransmission heals every one of them.
    for lost in 0..24 {
        let mut world = World::new();
        let warm = world.warm();
        let mut seen = 0;
        world.network(move |_| {
            seen += 1;
            if seen == lost + 1 { Fate::Lose } else { Fate::Deliver }
        });
        world.tolerate("BYE came before the ACK");
        world.alice().refer_attended(warm.customer, warm.consult);
        world.run();
        assert!(world.connected(BOB, CAROL), "message {lost} was lost");
        assert_eq!(world.phone(ALICE).live(), [], "message {lost} was lost");
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn every_message_of_a_transfer_may_come_twice() {
    let mut world = World::new();
    let warm = world.warm();
    world.network(|_| Fate::Twice);
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert_transferred(&mut world, &warm);
}

#[test]
fn two_transfers_of_the_same_customer_follow_each_other() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert!(world.connected(BOB, CAROL));
    // The consult is the operator of the second transfer, and dave its target.
    world.carol().hold(warm.at_carol);
    world.run();
    let (second, _) = world.call(CAROL, world::DAVE);
    world.carol().refer_attended(warm.at_carol, second);
    world.run();
    assert!(world.connected(BOB, world::DAVE));
    assert_eq!(world.phone(CAROL).live(), []);
    assert_eq!(world.completed(), 2);
    let bytes_of = |world: &World| world.phone(BOB).requests(&Method::Invite).len();
    assert!(bytes_of(&world) > 0);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn browsers_are_joined_by_a_fresh_offer() {
    // Each answers new ICE credentials with new ones: offering them what they said before would never come to an end.
    for by_caller in [false, true] {
        let mut world = World::of_browsers();
        let warm = if by_caller {
            world.warm_by_caller()
        } else {
            world.warm()
        };
        let before = [BOB, CAROL].map(|who| world.count(who, "< INVITE"));
        world.alice().refer_attended(warm.customer, warm.consult);
        world.run();
        assert_transferred(&mut world, &warm);
        let offers = [BOB, CAROL].map(|who| world.count(who, "< INVITE"));
        // The held one, asked for an offer, offers to listen only; a second one makes it two-way.
        assert_eq!(offers, [before[0] + 2, before[1] + 1], "{}", world.ladder());
    }
}
