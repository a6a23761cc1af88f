//! INVITE with Replaces from a phone, by the rules of RFC 3891 §3 (LESSONS 8, 16, 20).

mod world;

use std::cell::Cell;
use std::rc::Rc;

use warmline::engine::{Event, TransferKind};
use warmline::phone::{CallState, EndReason, PhoneCall};
use warmline::sip::{HeaderName, Method, Replaces};
use world::{ALICE, BOB, CAROL, DAVE, Fate, Who, World, millis};

fn value(replaces: &Replaces) -> String {
    format!(
        "{};to-tag={};from-tag={}",
        replaces.call_id, replaces.to_tag, replaces.from_tag
    )
}

/// `who` sends INVITE with this Replaces, and is answered so.
fn refused(world: &mut World, who: Who, replaces: &str) -> Option<u16> {
    let call = world
        .seat(who)
        .invite_with(&BOB.uri(), &[(HeaderName::Replaces, replaces)]);
    world.run();
    match world.phone(who).state(call) {
        Some(CallState::Ended(EndReason::Refused(status))) => Some(status),
        _ => None,
    }
}

/// Bob called alice: alice's call, and what names it.
fn talking(world: &mut World) -> (PhoneCall, Replaces) {
    let (_, call) = world.call(BOB, ALICE);
    let replaces = world.phone(ALICE).replaces(call).expect("a dialog");
    (call, replaces)
}

#[test]
fn a_newcomer_takes_its_own_users_place() {
    let mut world = World::new();
    let (old, replaces) = talking(&mut world);
    let new = world.alice().invite_with_replaces(&BOB.uri(), &replaces);
    world.run();
    assert_eq!(world.phone(ALICE).state(new), Some(CallState::Connected));
    assert_eq!(
        world.phone(ALICE).state(old),
        Some(CallState::Ended(EndReason::HungUpByRemote))
    );
    assert!(
        world.connected(ALICE, BOB),
        "one call, not a second one that nobody asked for"
    );
    let kinds: Vec<_> = world.events().filter_map(kind).collect();
    assert_eq!(
        (kinds.as_slice(), world.completed()),
        ([TransferKind::Replaced].as_slice(), 1)
    );
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// The edge called alice, so her leg has proved nothing; her binding says whose it is, and the newcomer's digest who that is.
#[test]
fn another_phone_of_the_same_user_takes_its_place() {
    for (user, taken) in [(ALICE, true), (CAROL, false)] {
        let mut world = World::with(|settings| {
            settings.open = false;
            settings.users = world::users();
        });
        let (old, replaces) = talking(&mut world);
        world.another_phone(DAVE, user);
        let new = world.dave().invite_with_replaces(&BOB.uri(), &replaces);
        world.run();
        if taken {
            assert!(world.connected(DAVE, BOB));
            let left = world.phone(ALICE).state(old);
            assert_eq!(left, Some(CallState::Ended(EndReason::HungUpByRemote)));
        } else {
            let state = world.phone(DAVE).state(new);
            assert_eq!(state, Some(CallState::Ended(EndReason::Refused(403))));
            assert!(world.connected(ALICE, BOB));
        }
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// RFC 3261 §8.2.6.2: whoever is refused gets a To tag, which its ACK and the next proxy go by.
#[test]
fn a_refusal_has_a_to_tag() {
    let mut world = World::new();
    let untagged = Rc::new(Cell::new(0));
    let seen = Rc::clone(&untagged);
    world.network(move |packet| {
        if !packet.to_edge && packet.message.status().is_some_and(|status| status > 100) {
            seen.set(seen.get() + usize::from(packet.message.to_tag().is_none()));
        }
        Fate::Deliver
    });
    assert_eq!(refused(&mut world, ALICE, "a@b;to-tag=1;from-tag=2"), Some(481));
    assert_eq!(refused(&mut world, ALICE, "a@b;to-tag=1"), Some(400));
    let nobody = world.alice().call_uri("sip:nobody@example.org");
    world.run();
    let state = world.phone(ALICE).state(nobody);
    assert_eq!(state, Some(CallState::Ended(EndReason::Refused(404))));
    assert_eq!(untagged.get(), 0);
}

fn kind(event: &Event) -> Option<TransferKind> {
    let Event::TransferRequested { kind, .. } = event else {
        return None;
    };
    Some(*kind)
}

#[test]
fn the_newcomer_is_answered_before_the_replaced_dialog_ends() {
    let mut world = World::new();
    let (_, replaces) = talking(&mut world);
    world.alice().invite_with_replaces(&BOB.uri(), &replaces);
    world.run();
    let lines = world.lines(ALICE);
    let answered = lines.iter().rposition(|line| line.starts_with("< 200 INVITE"));
    let ended = lines.iter().position(|line| line.starts_with("< BYE"));
    assert!(answered.is_some() && answered < ended, "RFC 3891 §3: 2xx, then BYE");
}

#[test]
fn nothing_that_matches_is_481() {
    let mut world = World::new();
    talking(&mut world);
    assert_eq!(
        refused(&mut world, ALICE, "nobody@example.org;to-tag=a;from-tag=b"),
        Some(481)
    );
    assert!(world.connected(ALICE, BOB));
}

/// LESSONS 20.
#[test]
fn a_call_id_alone_moves_nobody() {
    let mut world = World::new();
    let (_, right) = talking(&mut world);
    let Replaces {
        call_id,
        to_tag,
        from_tag,
        ..
    } = &right;
    for wrong in [
        format!("{call_id};to-tag=a;from-tag=b"),
        format!("{call_id};to-tag={to_tag};from-tag=b"),
        format!("{call_id};to-tag=a;from-tag={from_tag}"),
        format!("{call_id};to-tag={from_tag};from-tag={to_tag}x"),
        format!("other-{call_id};to-tag={to_tag};from-tag={from_tag}"),
        format!("{call_id};to-tag=0;from-tag=0"),
    ] {
        assert_eq!(refused(&mut world, ALICE, &wrong), Some(481), "{wrong}");
        assert!(world.connected(ALICE, BOB), "{wrong}");
    }
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_forged_tag_matches_nothing() {
    let mut world = World::new();
    let (_, right) = talking(&mut world);
    let mut forged = right.to_tag.to_string();
    let last = if forged.pop() == Some('a') { 'b' } else { 'a' };
    forged.push(last);
    let forged = Replaces {
        to_tag: forged.as_str().into(),
        ..right
    };
    assert_eq!(refused(&mut world, ALICE, &value(&forged)), Some(481));
    assert!(world.connected(ALICE, BOB));
}

#[test]
fn a_dialog_that_has_ended_is_603() {
    let mut world = World::new();
    let (call, replaces) = talking(&mut world);
    world.alice().bye(call);
    world.run();
    assert_eq!(refused(&mut world, ALICE, &value(&replaces)), Some(603));
    world.assert_nothing_left();
}

#[test]
fn a_confirmed_dialog_is_not_taken_early_only() {
    let mut world = World::new();
    let (_, replaces) = talking(&mut world);
    assert_eq!(
        refused(&mut world, ALICE, &format!("{};early-only", value(&replaces))),
        Some(486)
    );
    assert!(world.connected(ALICE, BOB));
}

#[test]
fn a_stranger_takes_nobodys_place() {
    let mut world = World::new();
    let (_, replaces) = talking(&mut world);
    assert_eq!(refused(&mut world, DAVE, &value(&replaces)), Some(403));
    assert!(world.connected(ALICE, BOB), "unchanged");
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn an_early_dialog_that_we_did_not_start_is_481() {
    let mut world = World::new();
    let call = world.alice().call(BOB);
    world.advance(millis(300));
    let replaces = world.phone(ALICE).replaces(call).expect("an early dialog");
    let new = world.alice().invite_with_replaces(&BOB.uri(), &replaces);
    world.advance(millis(300));
    assert_eq!(
        world.phone(ALICE).state(new),
        Some(CallState::Ended(EndReason::Refused(481)))
    );
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Early), "unchanged");
    world.bob().pick_up();
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_call_that_rings_is_picked_up_by_the_same_users_other_line() {
    let mut world = World::new();
    let call = world.alice().call(BOB);
    world.advance(millis(300));
    let ringing = world.the(BOB);
    let replaces = world.phone(BOB).replaces(ringing).expect("an early dialog");
    let new = world.bob().invite_with_replaces(&ALICE.uri(), &replaces);
    world.run();
    assert_eq!(world.phone(BOB).state(new), Some(CallState::Connected));
    assert_eq!(
        world.phone(BOB).state(ringing),
        Some(CallState::Ended(EndReason::Cancelled)),
        "CANCEL, not BYE"
    );
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 16.
#[test]
fn a_replaces_that_cannot_be_read_is_400_with_the_reason() {
    let mut world = World::new();
    let (_, right) = talking(&mut world);
    let Replaces {
        call_id,
        to_tag,
        from_tag,
        ..
    } = &right;
    let once = value(&right);
    for headers in [
        vec![(HeaderName::Replaces, format!("{call_id};to-tag={to_tag}"))],
        vec![(HeaderName::Replaces, format!("{call_id};from-tag={from_tag}"))],
        vec![(HeaderName::Replaces, call_id.to_string())],
        vec![(HeaderName::Replaces, format!("{once};to-tag={to_tag}"))],
        vec![
            (HeaderName::Replaces, once.clone()),
            (HeaderName::Replaces, once.clone()),
        ],
        vec![(HeaderName::Replaces, once.clone()), (HeaderName::Join, once.clone())],
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let call = world.alice().invite_with(&BOB.uri(), &headers);
        world.run();
        assert_eq!(
            world.phone(ALICE).state(call),
            Some(CallState::Ended(EndReason::Refused(400))),
            "{headers:?}"
        );
        let answer = world.phone(ALICE).responses(&Method::Invite).pop().expect("an answer");
        let reason = String::from_utf8_lossy(answer.reason_phrase().unwrap_or_default()).into_owned();
        assert!(
            reason.contains("Replaces"),
            "the reason phrase names the header: {reason}"
        );
        assert!(world.connected(ALICE, BOB), "{headers:?}");
    }
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 16.
#[test]
fn replaces_belongs_into_an_invite_only() {
    let mut world = World::new();
    let (call, replaces) = talking(&mut world);
    let text = value(&replaces);
    for method in [Method::Options, Method::Message, Method::Bye, Method::Refer] {
        world.alice().request(
            call,
            method.clone(),
            &[("Replaces", &text), ("Refer-To", "<sip:carol@example.org>")],
            None,
        );
        world.run();
        let answer = world
            .phone(ALICE)
            .responses(&method)
            .pop()
            .and_then(|answer| answer.status());
        assert_eq!(answer, Some(400), "{method}");
    }
    assert!(world.connected(ALICE, BOB));
}

#[test]
fn a_newcomer_whom_the_peer_refuses_leaves_the_dialog_as_it_was() {
    let mut world = World::new();
    let (old, replaces) = talking(&mut world);
    world.bob().answers_reinvite_with(488);
    let new = world.alice().invite_with_replaces(&BOB.uri(), &replaces);
    world.run();
    assert!(matches!(
        world.phone(ALICE).state(new),
        Some(CallState::Ended(EndReason::Refused(_)))
    ));
    assert_eq!(world.phone(ALICE).state(old), Some(CallState::Connected));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_newcomer_that_gives_up_leaves_the_dialog_as_it_was() {
    let mut world = World::new();
    let (old, replaces) = talking(&mut world);
    world.bob().leaves_reinvite_unanswered();
    let new = world.alice().invite_with_replaces(&BOB.uri(), &replaces);
    world.advance(millis(250));
    world.alice().cancel(new);
    world.advance(millis(250));
    assert_eq!(
        world.phone(ALICE).state(new),
        Some(CallState::Ended(EndReason::Cancelled))
    );
    assert_eq!(world.phone(ALICE).state(old), Some(CallState::Connected));
}

#[test]
fn a_held_call_is_taken_over_and_talks() {
    let mut world = World::new();
    let (old, replaces) = talking(&mut world);
    world.alice().hold(old);
    world.run();
    world.alice().invite_with_replaces(&BOB.uri(), &replaces);
    world.run();
    assert!(world.connected(ALICE, BOB), "the newcomer holds nobody (LESSONS 28)");
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_consult_can_be_pulled_by_replaces_after_a_transfer() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let replaces = world.phone(CAROL).replaces(warm.at_carol).expect("a dialog");
    world.carol().invite_with_replaces(&BOB.uri(), &replaces);
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.completed(), 2);
    world.hang_up(BOB);
    world.assert_nothing_left();
}
