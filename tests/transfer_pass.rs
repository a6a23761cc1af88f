//! Mode `pass`: the transferor's REFER goes end to end; the transferee accepts or refuses it, and the edge's legs follow.

mod world;

use warmline::engine::{TransferFailure, TransferMode};
use warmline::sip::{HeaderName, Method, Replaces};
use world::{ALICE, BOB, CAROL, Fate, World, millis, seconds};

fn world() -> World {
    World::with(|settings| settings.transfer = TransferMode::Pass)
}

#[test]
fn nothing_is_promised_that_the_customer_has_not_promised() {
    let mut world = world();
    let (_, customer) = world.call(BOB, ALICE);
    world.latency(millis(50));
    world.alice().refer(customer, CAROL);
    world.advance(millis(140));
    assert!(world.line(BOB, "< REFER").is_some());
    assert_eq!(world.line(ALICE, "< 202"), None, "bob's answer is still on its way");
    world.advance(millis(600));
    assert!(world.line(ALICE, "< 202").is_some());
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.phone(ALICE).live(), []);
    assert_eq!(world.reported(ALICE).last(), Some(&200));
    assert!(world.reported(ALICE).contains(&180), "bob's NOTIFYs are relayed");
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 15.
#[test]
fn replaces_is_translated_between_the_two_sides() {
    let mut world = world();
    let warm = world.warm();
    let asked = world.phone(ALICE).replaces(warm.consult).expect("alice's dialog");
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let refer = world.phone(BOB).requests(&Method::Refer).pop().expect("bob is asked");
    let refer_to = warmline::sip::ReferTo::of(&refer).expect("Refer-To");
    let told = refer_to.replaces.expect("Replaces");
    assert_ne!(told.call_id, asked.call_id, "alice's identifiers mean nothing to carol");
    let carols: Replaces = world.phone(CAROL).replaces(warm.at_carol).expect("carol's dialog");
    assert_eq!(
        (told.call_id, told.to_tag, told.from_tag),
        (carols.call_id, carols.from_tag, carols.to_tag),
        "the dialog as carol knows it"
    );
    assert!(
        refer
            .text(HeaderName::ReferredBy)
            .is_some_and(|by| by.contains("alice"))
    );
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.phone(ALICE).live(), []);
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn a_refusal_of_the_customer_is_the_answer_to_the_operator() {
    for status in [403, 405, 603] {
        let mut world = world();
        let (_, customer) = world.call(BOB, ALICE);
        world.bob().script().refer_answer = Some(status);
        world.alice().refer(customer, CAROL);
        world.run();
        let answer = world.phone(ALICE).responses(&Method::Refer).pop().expect("an answer");
        assert_eq!(answer.status(), Some(status));
        assert_eq!(world.failures(), [(TransferFailure::ReferRefused, Some(status))]);
        assert!(world.reported(ALICE).is_empty(), "no subscription, no NOTIFY");
        assert!(world.connected(ALICE, BOB));
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn a_busy_target_leaves_the_call_and_is_told() {
    let mut world = world();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_eq!(world.failures(), [(TransferFailure::TargetBusy, Some(486))]);
    assert_eq!(world.reported(ALICE).last(), Some(&486));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_customer_who_does_not_answer_the_refer_is_given_back() {
    let mut world = world();
    let (_, customer) = world.call(BOB, ALICE);
    world.network(|packet| match packet.is_to(BOB, Method::Refer) {
        true => Fate::Lose,
        false => Fate::Deliver,
    });
    world.tolerate("");
    world.alice().refer(customer, CAROL);
    world.advance(seconds(40));
    world.heal();
    world.run();
    assert_eq!(world.failures().len(), 1);
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_notify_that_overtakes_the_202_counts() {
    let mut world = world();
    let (_, customer) = world.call(BOB, ALICE);
    world.once(Fate::Delay(millis(30)), |packet| {
        packet.is_answer_from(BOB, Method::Refer, 202)
    });
    world.alice().refer(customer, CAROL);
    world.advance(millis(400));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// Anybody may hang up at any moment of it; nothing is left and there is one outcome.
#[test]
fn anybody_may_leave_at_any_moment_in_refer_and_pass() {
    for mode in [TransferMode::Refer, TransferMode::Pass] {
        for attended in [false, true] {
            for who in [ALICE, BOB, CAROL] {
                for moment in [0, 1, 2, 3, 4, 5, 7, 9, 12, 20, 40] {
                    let mut world = World::with(|settings| settings.transfer = mode);
                    world.tolerate("");
                    if attended {
                        let warm = world.warm();
                        world.alice().refer_attended(warm.customer, warm.consult);
                    } else {
                        let (_, customer) = world.call(BOB, ALICE);
                        world.carol().answers_after(millis(5));
                        world.alice().refer(customer, CAROL);
                    }
                    world.advance(millis(moment));
                    world.everybody_leaves(&[who]);
                    world.run();
                    world.everybody_leaves(&world::EVERYBODY);
                    world.assert_nothing_left();
                }
            }
        }
    }
}
