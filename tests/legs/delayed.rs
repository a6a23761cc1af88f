//! Offers that come late: in the 200, in the answer to a re-INVITE without one, in a join that was refused (RFC 6337 §5).

use warmline::phone::CallState;
use warmline::sdp::Direction;
use warmline::sip::Method;

use crate::world::{ALICE, BOB, CAROL, World, millis};

/// The 200 has the callee's offer, the ACK the caller's answer, both ways through the edge.
#[test]
fn a_call_without_offer_carries_the_answer_in_both_acks() {
    let mut world = World::new();
    let call = world.alice().call_without_offer(BOB);
    world.advance(millis(300));
    let invite = world.phone(BOB).requests(&Method::Invite).remove(0);
    assert!(invite.body().is_empty(), "nothing is invented for the callee");
    world.bob().pick_up();
    world.run();
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    let ack = world.phone(BOB).requests(&Method::Ack).remove(0);
    assert!(
        String::from_utf8_lossy(&ack.body()).contains("c=IN IP4 10.0.1.11"),
        "alice's answer"
    );
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

/// LESSONS 27: what is wanted now, also of the one who holds and of the one who is held.
#[test]
fn a_reinvite_without_offer_keeps_who_holds_whom() {
    let mut world = World::new();
    let (his, mine) = world.call(BOB, ALICE);
    world.alice().hold(mine);
    world.run();
    for who in [ALICE, BOB, ALICE] {
        let call = world.the(who);
        world.seat(who).reinvite_without_offer(call);
        world.run();
        assert!(
            world.phone(ALICE).is_holding(mine) && world.phone(BOB).is_held(his),
            "{who:?} asked"
        );
        assert_eq!(
            world.phone(BOB).direction(his),
            Some(Direction::RecvOnly),
            "{who:?} asked"
        );
        assert_eq!(world.call_of(BOB).state, "held");
        world.assert_clean();
    }
    world.alice().resume(mine);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// The customer, or the consult, refuses the other's description: asked for its own offer, it agrees.
#[test]
fn a_side_that_refuses_the_others_description_is_asked_for_its_own() {
    for who in [BOB, CAROL] {
        for status in [488, 606] {
            let mut world = World::new();
            let warm = world.warm();
            world.seat(who).answers_reinvite_with(status);
            world.alice().refer_attended(warm.customer, warm.consult);
            world.run();
            assert!(world.connected(BOB, CAROL), "{who:?} said {status}");
            assert_eq!((world.completed(), world.failures().len()), (1, 0));
            let asked = world
                .phone(who)
                .requests(&Method::Invite)
                .into_iter()
                .filter(|invite| invite.body().is_empty());
            assert_eq!(asked.count(), 1, "one re-INVITE without a description");
            world.hang_up(BOB);
            world.assert_nothing_left();
        }
    }
}

/// Whoever refuses twice, and whoever refuses the offer that was asked for, ends the transfer and nothing else.
#[test]
fn only_then_is_the_join_refused() {
    for (first, second) in [(BOB, BOB), (CAROL, CAROL), (BOB, CAROL), (CAROL, BOB)] {
        let mut world = World::new();
        let warm = world.warm();
        world.seat(first).answers_reinvite_with(488);
        if first != second {
            // Of its offers before the fallback, the other side takes what comes.
            let before = if second == CAROL { 0 } else { 1 };
            for _ in 0..before {
                world
                    .seat(second)
                    .script()
                    .reinvites
                    .push_back(warmline::phone::ReinviteAnswer::Right);
            }
        }
        world.seat(second).answers_reinvite_with(488);
        world.alice().refer_attended(warm.customer, warm.consult);
        world.run();
        assert_eq!(
            (world.completed(), world.failures().len()),
            (0, 1),
            "{first:?}, then {second:?}"
        );
        assert!(world.phone(ALICE).live().len() == 2, "alice has both calls back");
        assert_eq!(world.phone(BOB).state(warm.at_bob), Some(CallState::Connected));
        assert_eq!(world.phone(CAROL).state(warm.at_carol), Some(CallState::Connected));
        let media = |world: &World, who, call| world.phone(who).remote_media(call);
        assert_eq!(media(&world, BOB, warm.at_bob).as_deref(), Some("10.0.1.11:40000"));
        assert_eq!(media(&world, CAROL, warm.at_carol).as_deref(), Some("10.0.1.11:40000"));
        world.assert_clean();
    }
}

/// The other side hangs up while an ACK is owed: the asked side gets it, and its call back.
#[test]
fn a_side_that_leaves_in_the_fallback_leaves_nobody_waiting_for_an_ack() {
    for after in 0..12 {
        let mut world = World::new();
        let warm = world.warm();
        world.bob().answers_reinvite_with(488);
        world.alice().refer_attended(warm.customer, warm.consult);
        world.advance(millis(after));
        let call = world.phone(CAROL).live().first().copied();
        if let Some(call) = call {
            world.carol().bye(call);
        }
        world.run();
        for who in [ALICE, BOB] {
            for call in world.phone(who).live() {
                world.seat(who).bye(call);
                world.run();
            }
        }
        world.assert_nothing_left();
    }
}
