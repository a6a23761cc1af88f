//! Session timers (RFC 4028): negotiated with each party by itself, refreshed, and the dead let go.

use warmline::engine::{Cause, Command, HoldDirection};
use warmline::phone::{CallState, PhoneTimer};
use warmline::sip::{HeaderName, Message, Method};

use crate::world::{ALICE, BOB, CAROL, Who, World, millis, seconds};

const NONE: PhoneTimer = PhoneTimer {
    expires: 600,
    min_se: 90,
    refreshes: None,
    forgets: false,
};

fn with_timer(who: Who, timer: PhoneTimer) -> World {
    let mut world = World::new();
    world.seat(who).configure(|config| config.timer = Some(timer));
    world
}

fn version(message: &Message) -> String {
    let body = String::from_utf8_lossy(&message.body()).into_owned();
    body.lines()
        .find(|line| line.starts_with("o="))
        .unwrap_or_default()
        .to_owned()
}

/// §9: the smaller interval; the phone says who refreshes, as caller and as callee. The other phone knows no timers, so
/// the edge refreshes there by its own.
#[test]
fn each_leg_agrees_with_its_own_party() {
    for (refreshes, ours) in [(Some(true), true), (Some(false), false), (None, true)] {
        let mut world = with_timer(ALICE, PhoneTimer { refreshes, ..NONE });
        let (mine, _) = world.call(ALICE, BOB);
        assert_eq!(
            world.phone(ALICE).session_timer(mine),
            Some((600, ours)),
            "{refreshes:?}"
        );
        let answer = world.phone(ALICE).responses(&Method::Invite).pop().expect("the 200");
        assert!(answer.has_token(HeaderName::Require, "timer"));
        let invite = world.phone(BOB).requests(&Method::Invite).remove(0);
        assert_eq!(
            invite.text(HeaderName::SessionExpires),
            Some("1800"),
            "bob's leg is the edge's own business"
        );
        assert!(invite.has_token(HeaderName::Supported, "timer"));
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
    for (refreshes, ours) in [(Some(true), true), (None, false)] {
        let mut world = with_timer(BOB, PhoneTimer { refreshes, ..NONE });
        let (_, his) = world.call(ALICE, BOB);
        assert_eq!(world.phone(BOB).session_timer(his), Some((600, ours)), "{refreshes:?}");
        let answer = world.phone(ALICE).responses(&Method::Invite).pop().expect("the 200");
        assert_eq!(answer.text(HeaderName::SessionExpires), Some("1800;refresher=uas"));
        assert!(
            !answer.has_token(HeaderName::Require, "timer"),
            "alice never said that she knows it"
        );
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

#[test]
fn an_interval_that_is_too_small_is_422_in_both_directions() {
    let mut world = World::with(|settings| settings.min_se = 300);
    world
        .alice()
        .configure(|config| config.timer = Some(PhoneTimer { expires: 120, ..NONE }));
    let (mine, _) = world.call(ALICE, BOB);
    assert_eq!(world.count(ALICE, "< 422"), 1);
    assert_eq!(world.phone(ALICE).session_timer(mine), Some((300, true)));
    assert_eq!(world.count(BOB, "< INVITE"), 1, "nobody was called for the first");
    world.hang_up(ALICE);
    world.assert_nothing_left();

    let mut world = World::new();
    world.bob().configure(|config| {
        config.timer = Some(PhoneTimer {
            expires: 4_000,
            min_se: 3_600,
            ..NONE
        })
    });
    let (_, his) = world.call(ALICE, BOB);
    assert_eq!(world.phone(BOB).session_timer(his), Some((3_600, false)));
    let invites = world.phone(BOB).requests(&Method::Invite);
    let call_ids: Vec<_> = invites.iter().map(Message::call_id).collect();
    assert_eq!((invites.len(), call_ids[0]), (2, call_ids[1]));
    assert_eq!(invites[1].number(HeaderName::MinSe), Some(3_600));
    assert_eq!(world.count(ALICE, "< 422"), 0);
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

/// §10: after half of the interval, with nothing changed: hold stays, `o=` stays, the other side hears nothing of it.
#[test]
fn the_edge_refreshes_and_nothing_changes() {
    for held in [false, true] {
        for update in [false, true] {
            let mut world = with_timer(BOB, NONE);
            world.bob().configure(|config| config.update = update);
            let (his, mine) = world.call(BOB, ALICE);
            assert_eq!(
                world.phone(BOB).session_timer(his),
                Some((600, true)),
                "a caller that names nobody refreshes"
            );
            world.hang_up(BOB);
            // Bob as callee: the edge refreshes.
            let _ = mine;
            let (mine, his) = world.call(ALICE, BOB);
            if held {
                world.alice().hold(mine);
                world.run();
            }
            let last = world.phone(BOB).requests(&Method::Invite).pop().expect("an INVITE");
            let (invites, updates, at_alice) = (
                world.count(BOB, "< INVITE"),
                world.count(BOB, "< UPDATE"),
                world.count(ALICE, "< INVITE"),
            );
            world.advance(seconds(290));
            assert_eq!(
                world.count(BOB, "< INVITE") + world.count(BOB, "< UPDATE"),
                invites + updates,
                "not yet"
            );
            world.advance(seconds(20));
            let refreshed = (
                world.count(BOB, "< INVITE") - invites,
                world.count(BOB, "< UPDATE") - updates,
            );
            assert_eq!(refreshed, if update { (0, 1) } else { (1, 0) });
            assert_eq!(world.count(ALICE, "< INVITE"), at_alice, "alice is not asked");
            assert_eq!(world.phone(BOB).is_held(his), held);
            if !update {
                let refresh = world.phone(BOB).requests(&Method::Invite).pop().expect("the refresh");
                assert_eq!(
                    version(&refresh),
                    version(&last),
                    "RFC 3264 §8: the version of what is the same"
                );
                assert_eq!(refresh.text(HeaderName::SessionExpires), Some("600;refresher=uac"));
            }
            world.advance(seconds(3_000));
            assert_eq!(world.phone(BOB).state(his), Some(CallState::Connected));
            if held {
                world.alice().resume(mine);
                world.run();
            }
            assert!(world.connected(ALICE, BOB));
            world.hang_up(BOB);
            world.assert_nothing_left();
        }
    }
}

#[test]
fn a_phone_refreshes_and_the_other_side_is_left_in_peace() {
    let mut world = with_timer(ALICE, NONE);
    let (mine, his) = world.call(ALICE, BOB);
    world.alice().hold(mine);
    world.run();
    let before = (world.count(ALICE, "> INVITE"), world.count(BOB, "< INVITE"));
    world.advance(seconds(850));
    assert_eq!(world.count(ALICE, "> INVITE"), before.0 + 2);
    assert_eq!(world.count(BOB, "< INVITE"), before.1, "the edge answers by itself");
    assert!(world.phone(BOB).is_held(his));
    assert_eq!(world.phone(ALICE).session_timer(mine), Some((600, true)));
    world.alice().resume(mine);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// An API hold is what the edge wants; a refresh in either direction keeps it.
#[test]
fn an_api_hold_survives_the_refresh_of_either_side() {
    for refreshes in [true, false] {
        let mut world = with_timer(
            BOB,
            PhoneTimer {
                refreshes: Some(refreshes),
                ..NONE
            },
        );
        let (_, his) = world.call(ALICE, BOB);
        let leg = world.leg_of(BOB).id;
        world.command(Command::Hold {
            leg,
            direction: HoldDirection::SendOnly,
            music: None,
        });
        world.run();
        world.advance(seconds(700));
        assert!(
            world.phone(BOB).is_held(his) && world.leg_of(BOB).held,
            "refreshed by {}",
            if refreshes { "bob" } else { "the edge" }
        );
        world.command(Command::Resume { leg });
        world.run();
        assert!(world.connected(ALICE, BOB));
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

/// §10: the one that does not refresh says nothing for the whole interval less a third, at most 32 s: BYE, cause lost.
#[test]
fn a_session_that_nobody_refreshes_is_ended() {
    let mut world = with_timer(ALICE, PhoneTimer { forgets: true, ..NONE });
    let (mine, _) = world.call(ALICE, BOB);
    world.advance(seconds(560));
    assert_eq!(world.phone(ALICE).state(mine), Some(CallState::Connected));
    world.advance(seconds(10));
    assert!(world.phone(ALICE).live().is_empty() && world.phone(BOB).live().is_empty());
    assert_eq!(world.ends_of_calls(), [Cause::Lost]);
    world.assert_nothing_left();
}

/// A phone whose cable is out does not answer the refresh (RFC 3261 §14.1: 408 ends the dialog).
#[test]
fn a_phone_that_vanished_is_noticed_by_the_refresh() {
    let mut world = World::new();
    world.call(ALICE, BOB);
    world.alice().unplug();
    world.advance(seconds(980));
    assert!(world.phone(BOB).live().is_empty(), "bob is not left alone");
    assert_eq!(world.ends_of_calls(), [Cause::Lost]);
    world.advance(seconds(60));
    assert_eq!(world.totals().dialogs, 0);
}

/// A refresh that is refused is tried again; one that meets 491 waits by RFC 3261 §14.1.
#[test]
fn a_refused_refresh_is_tried_again_until_the_end() {
    for status in [491, 500, 503] {
        let mut world = with_timer(BOB, NONE);
        let (_, his) = world.call(ALICE, BOB);
        world.bob().answers_reinvite_with(status);
        world.advance(seconds(320));
        assert_eq!(world.phone(BOB).state(his), Some(CallState::Connected));
        assert!(world.connected(ALICE, BOB), "{status}");
        world.advance(seconds(300));
        assert_eq!(world.phone(BOB).state(his), Some(CallState::Connected), "{status}");
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

/// A transfer that begins while a refresh is under way waits for it and no longer.
#[test]
fn a_refresh_under_way_does_not_hold_a_transfer_up() {
    for after in [0, 1, 2, 3] {
        let mut world = World::with(|settings| settings.session_expires = 600);
        let (at_bob, customer) = world.call(BOB, ALICE);
        world.alice().hold(customer);
        world.run();
        let _ = at_bob;
        let (consult, _) = world.call(ALICE, CAROL);
        // Bob's leg was refreshed last by the hold; half of the interval later it is again.
        let lines = world.phone(BOB).lines();
        let held = lines
            .iter()
            .rfind(|line| line.summary.starts_with("INVITE"))
            .expect("the hold")
            .at;
        let sent = world.count(BOB, "< INVITE");
        world.advance(held + seconds(300) - world.now);
        for _ in 0..5 {
            if world.count(BOB, "< INVITE") == sent {
                world.advance(millis(1));
            }
        }
        assert_eq!(world.count(BOB, "< INVITE"), sent + 1, "the refresh");
        world.advance(millis(after));
        world.alice().refer_attended(customer, consult);
        world.run();
        assert!(world.connected(BOB, CAROL), "{after} ms");
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}
