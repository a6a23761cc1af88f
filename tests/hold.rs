//! Hold and resume by phones and by the API, and glare (RFC 5359 §2.1, RFC 3264 §8.4, RFC 3261 §14; LESSONS 24–28).

mod world;

use warmline::engine::{Command, Event, HoldDirection, LegHandle, Refusal, Reply};
use warmline::phone::CallState;
use warmline::sdp::Direction;
use warmline::sip::Method;
use world::{ALICE, BOB, Fate, Who, World, millis, seconds};

/// Who was put on hold and taken back, by the engine's events.
fn holds(world: &World) -> Vec<(bool, LegHandle)> {
    let held = |event: &Event| matches!(event, Event::CallHeld { .. });
    let hold = |event: &Event| {
        let (Event::CallHeld { leg, .. } | Event::CallResumed { leg, .. }) = event else {
            return None;
        };
        Some((held(event), *leg))
    };
    world.events().filter_map(hold).collect()
}

fn direction(world: &World, who: Who) -> (Option<Direction>, Option<Direction>) {
    let phone = world.phone(who);
    let call = world.the(who);
    (
        phone.direction(call),
        phone.remote(call).map(|remote| remote.direction()),
    )
}

#[test]
fn a_phone_holds_and_takes_back() {
    for (caller, callee) in [(BOB, ALICE), (ALICE, BOB)] {
        let mut world = World::new();
        world.call(caller, callee);
        let (mine, his) = (world.the(ALICE), world.the(BOB));
        let leg = world.leg_of(BOB).id;
        world.alice().hold(mine);
        world.run();
        assert!(world.phone(BOB).is_held(his));
        assert_eq!(
            direction(&world, BOB),
            (Some(Direction::RecvOnly), Some(Direction::SendOnly))
        );
        assert_eq!(
            direction(&world, ALICE),
            (Some(Direction::SendOnly), Some(Direction::RecvOnly))
        );
        assert_eq!(world.call_of(BOB).state, "held");
        world.alice().resume(mine);
        world.run();
        assert!(world.connected(ALICE, BOB));
        assert_eq!(holds(&world), [(true, leg), (false, leg)]);
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn two_phones_that_hold_each_other_hear_nothing_until_both_resume() {
    let mut world = World::new();
    let (his, mine) = world.call(BOB, ALICE);
    world.alice().hold(mine);
    world.run();
    world.bob().hold(his);
    world.run();
    assert_eq!(
        direction(&world, ALICE),
        (Some(Direction::Inactive), Some(Direction::Inactive))
    );
    world.alice().resume(mine);
    world.run();
    assert!(world.phone(ALICE).is_held(mine), "bob still holds");
    world.bob().resume(his);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_api_holds_and_takes_back() {
    for (direction, heard) in [
        (HoldDirection::SendOnly, Direction::SendOnly),
        (HoldDirection::Inactive, Direction::Inactive),
    ] {
        let mut world = World::new();
        let (his, _) = world.call(BOB, ALICE);
        let leg = world.leg_of(BOB).id;
        let hold = world.command(Command::Hold {
            leg,
            direction,
            music: None,
        });
        assert!(world.reply(hold).is_none(), "the answer waits for bob's");
        world.run();
        assert!(
            matches!(world.reply(hold), Some(Ok(Reply::Done))),
            "{:?}",
            world.reply(hold)
        );
        assert_eq!(
            world.phone(BOB).remote(his).map(|remote| remote.direction()),
            Some(heard)
        );
        assert!(world.leg_of(BOB).held && world.call_of(BOB).state == "held");
        let resume = world.command(Command::Resume { leg });
        world.run();
        assert!(matches!(world.reply(resume), Some(Ok(Reply::Done))));
        assert!(world.connected(ALICE, BOB));
        assert_eq!(holds(&world), [(true, leg), (false, leg)]);
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

#[test]
fn a_party_that_refuses_to_be_held_stays_as_it_was() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    let leg = world.leg_of(BOB).id;
    world.bob().answers_reinvite_with(488);
    let hold = world.command(Command::Hold {
        leg,
        direction: HoldDirection::SendOnly,
        music: None,
    });
    world.run();
    assert!(
        matches!(world.reply(hold), Some(Err(Refusal::Party { status: 488 }))),
        "{:?}",
        world.reply(hold)
    );
    assert!(world.connected(ALICE, BOB), "RFC 6141 §3: as if it had not been asked");
    assert_eq!(holds(&world), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_hold_that_the_other_phone_refuses_is_refused_to_the_holder() {
    let mut world = World::new();
    let (_, mine) = world.call(BOB, ALICE);
    world.bob().answers_reinvite_with(488);
    world.alice().hold(mine);
    world.run();
    assert!(
        world
            .phone(ALICE)
            .responses(&Method::Invite)
            .iter()
            .any(|answer| answer.status() == Some(488))
    );
    assert!(!world.phone(ALICE).is_holding(mine));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_resume_of_what_nobody_holds_is_a_conflict() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    let leg = world.leg_of(BOB).id;
    let resume = world.command(Command::Resume { leg });
    world.run();
    assert!(matches!(world.reply(resume), Some(Err(Refusal::Conflict { .. }))));
    world.hang_up(BOB);
    let late = world.command(Command::Hold {
        leg,
        direction: HoldDirection::SendOnly,
        music: None,
    });
    assert!(matches!(world.reply(late), Some(Err(Refusal::NotFound { .. }))));
    world.assert_nothing_left();
}

/// LESSONS 26.
#[test]
fn an_offer_is_answered_within_its_mirror_even_when_the_other_phone_is_not() {
    let mut world = World::new();
    let (_, mine) = world.call(BOB, ALICE);
    world.bob().script().ignore_direction = true;
    world.alice().hold(mine);
    world.run();
    // Alice complains when her sendonly is answered with anything that sends.
    assert_eq!(
        direction(&world, ALICE),
        (Some(Direction::SendOnly), Some(Direction::RecvOnly))
    );
    world.assert_clean();
}

/// LESSONS 27.
#[test]
fn a_reinvite_without_offer_gets_what_is_wanted_now() {
    let mut world = World::new();
    let (his, mine) = world.call(BOB, ALICE);
    world.alice().hold(mine);
    world.run();
    world.bob().reinvite_without_offer(his);
    world.run();
    assert!(world.phone(BOB).is_held(his), "bob is still held");
    world.alice().resume(mine);
    world.run();
    world.bob().reinvite_without_offer(his);
    world.run();
    assert!(world.connected(ALICE, BOB), "and is not any more");
    world.alice().reinvite_without_offer(mine);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 24.
#[test]
fn both_phones_hold_at_the_same_moment() {
    let mut world = World::new();
    let (his, mine) = world.call(BOB, ALICE);
    world.alice().hold(mine);
    world.bob().hold(his);
    world.run();
    assert!(world.phone(ALICE).is_holding(mine) && world.phone(BOB).is_holding(his));
    assert_eq!(
        direction(&world, ALICE),
        (Some(Direction::Inactive), Some(Direction::Inactive))
    );
    world.alice().resume(mine);
    world.bob().resume(his);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

/// LESSONS 24 and 27: one asks for an offer while the other makes one; both are answered.
#[test]
fn an_offer_that_crosses_a_reinvite_without_one_is_answered() {
    for after in 0..5 {
        let mut world = World::new();
        let (his, mine) = world.call(BOB, ALICE);
        world.alice().hold(mine);
        world.run();
        world.bob().reinvite_without_offer(his);
        world.advance(millis(after));
        world.alice().resume(mine);
        world.run();
        assert!(world.connected(ALICE, BOB), "alice resumed {after} ms after bob asked");
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

/// LESSONS 24: the edge's own re-INVITE is answered 491 and tried again, by RFC 3261 §14.1.
#[test]
fn a_491_is_tried_again_later_by_whoever_owns_the_call_id() {
    // Alice called bob: the edge owns the Call-ID of bob's leg, alice that of her own.
    for (who, from, until) in [(BOB, 2_100, 4_000), (ALICE, 0, 2_000)] {
        let mut world = World::new();
        world.call(ALICE, BOB);
        let leg = world.leg_of(who).id;
        world.seat(who).answers_reinvite_with(491);
        let before = world.count(who, "< INVITE");
        let hold = world.command(Command::Hold {
            leg,
            direction: HoldDirection::SendOnly,
            music: None,
        });
        world.run();
        assert!(matches!(world.reply(hold), Some(Ok(Reply::Done))));
        assert!(world.count(who, "< INVITE") > before + 1);
        let lines = world.phone(who).lines();
        let refused = lines
            .iter()
            .position(|line| line.summary.starts_with("491"))
            .expect("the 491");
        let again = lines[refused..]
            .iter()
            .find(|line| line.summary.starts_with("INVITE"))
            .expect("the second try");
        let waited = again.at.duration_since(lines[refused].at).as_millis();
        // Two messages of a millisecond each lie between the two lines.
        assert!((from..=until + 2).contains(&waited), "{who:?} waited {waited} ms");
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

/// LESSONS 24, in the middle of a bridge.
#[test]
fn glare_in_the_middle_of_a_join_does_not_end_it() {
    for who in [BOB, world::CAROL] {
        let mut world = World::new();
        let warm = world.warm();
        world.seat(who).answers_reinvite_with(491);
        world.alice().refer_attended(warm.customer, warm.consult);
        world.run();
        assert!(world.connected(BOB, world::CAROL), "{who:?} answered 491 first");
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// LESSONS 24: real glare, the phone's own offer crosses that of the join.
#[test]
fn a_phone_that_holds_while_it_is_joined_is_joined_and_holds() {
    for after in 0..8 {
        let mut world = World::new();
        let warm = world.warm();
        world.alice().refer_attended(warm.customer, warm.consult);
        world.advance(millis(after));
        world.carol().hold(warm.at_carol);
        world.run();
        assert_eq!(world.completed(), 1, "carol held {after} ms after the REFER");
        assert!(
            world.phone(BOB).is_held(warm.at_bob),
            "carol held {after} ms after the REFER"
        );
        world.carol().resume(warm.at_carol);
        world.run();
        assert!(
            world.connected(BOB, world::CAROL),
            "carol held {after} ms after the REFER"
        );
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn a_hold_whose_answer_is_lost_heals() {
    let mut world = World::new();
    let (_, mine) = world.call(BOB, ALICE);
    world.once(Fate::Lose, |packet| packet.is_answer_from(BOB, Method::Invite, 200));
    world.alice().hold(mine);
    world.run();
    assert!(world.phone(ALICE).is_holding(mine));
    world.heal();
    world.alice().resume(mine);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_phone_that_stops_answering_is_let_go() {
    let mut world = World::new();
    let (_, mine) = world.call(BOB, ALICE);
    world.bob().unplug();
    world.alice().hold(mine);
    world.advance(seconds(70));
    world.run();
    // RFC 3261 §14.1: a re-INVITE that times out ends the dialog, as 408 and 481 do.
    assert!(matches!(world.phone(ALICE).state(mine), Some(CallState::Ended(_))));
    world.advance(seconds(40));
    let totals = world.totals();
    assert_eq!((totals.dialogs, totals.calls, totals.transactions), (0, 0, 0));
}

#[test]
fn hanging_up_a_held_call_ends_it_once() {
    for who in [ALICE, BOB] {
        let mut world = World::new();
        let (_, mine) = world.call(BOB, ALICE);
        world.alice().hold(mine);
        world.run();
        world.hang_up(who);
        world.assert_nothing_left();
    }
}

#[test]
fn hanging_up_while_a_hold_is_under_way_ends_the_call_once() {
    for who in [ALICE, BOB] {
        for after in 0..6 {
            let mut world = World::new();
            let (his, mine) = world.call(BOB, ALICE);
            world.alice().hold(mine);
            world.advance(millis(after));
            match who {
                Who::Alice => world.alice().bye(mine),
                Who::Bob | Who::Carol | Who::Dave => world.bob().bye(his),
            }
            world.run();
            world.assert_nothing_left();
        }
    }
}
