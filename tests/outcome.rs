//! What a transfer came to, and who is told (LESSONS 12, 13, 21–23): by the sipfrag, the end or the timer, never by 202.

mod world;

use warmline::engine::{Command, Event, Reply, TransferFailure, TransferHandle, TransferTarget, TransferView};
use warmline::phone::CallState;
use warmline::sip::{HeaderName, Method, Uri};
use world::{ALICE, BOB, CAROL, DAVE, Fate, World, millis, seconds};

fn view(world: &mut World, transfer: TransferHandle) -> TransferView {
    let id = world.command(Command::Transfer { transfer });
    match world.reply(id) {
        Some(Ok(Reply::Transfer(view))) => view.clone(),
        other => panic!("no transfer: {other:?}"),
    }
}

fn the_transfer(world: &World) -> TransferHandle {
    let requested = |event: &Event| {
        let Event::TransferRequested { transfer, .. } = event else {
            return None;
        };
        Some(*transfer)
    };
    world.events().find_map(requested).expect("a transfer")
}

/// LESSONS 21.
#[test]
fn accepted_is_not_completed() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(seconds(10));
    assert_eq!(world.phone(ALICE).refer_status(customer), Some(202));
    let transfer = the_transfer(&world);
    assert_eq!(view(&mut world, transfer).state, "trying");
    assert_eq!((world.completed(), world.failures().len()), (0, 0));
    assert!(
        world.reported(ALICE).iter().all(|status| *status < 200),
        "carol has not answered"
    );
    world.carol().pick_up();
    world.run();
    assert_eq!(view(&mut world, transfer).state, "completed");
    assert_eq!(world.completed(), 1);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 21: success is said when both have each other's description, not a message earlier.
#[test]
fn success_is_reported_when_the_parties_talk() {
    let mut world = World::new();
    let warm = world.warm();
    // Carol's answer to the join's offer is slow.
    world.network(|packet| match packet.is_answer_from(CAROL, Method::Invite, 200) {
        true => Fate::Delay(millis(400)),
        false => Fate::Deliver,
    });
    world.alice().refer_attended(warm.customer, warm.consult);
    world.advance(millis(300));
    assert!(world.reported(ALICE).iter().all(|status| *status < 200));
    assert_eq!(world.completed(), 0);
    world.run();
    assert_eq!(world.reported(ALICE).last(), Some(&200));
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_failed_transfer_keeps_its_reason_and_evidence() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    let transfer = the_transfer(&world);
    let view = view(&mut world, transfer);
    assert_eq!(
        (view.state, view.reason, view.status),
        ("failed", Some(TransferFailure::TargetBusy), Some(486))
    );
}

#[test]
fn every_refusal_of_the_target_has_its_kind() {
    for (status, reason) in [
        (486, TransferFailure::TargetBusy),
        (600, TransferFailure::TargetBusy),
        (408, TransferFailure::TargetNoAnswer),
        (480, TransferFailure::TargetNoAnswer),
        (403, TransferFailure::TargetRefused),
        (603, TransferFailure::TargetRefused),
        (404, TransferFailure::TargetUnreachable),
        (604, TransferFailure::TargetUnreachable),
    ] {
        let mut world = World::new();
        let (_, customer) = world.call(BOB, ALICE);
        world.carol().rejects_with(status);
        world.alice().refer(customer, CAROL);
        world.run();
        assert_eq!(world.failures(), [(reason, Some(status))]);
        assert!(world.connected(ALICE, BOB), "{status}: the call is as it was");
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

/// LESSONS 23: what becomes of a NOTIFY ends the subscription and nothing else.
#[test]
fn a_refused_notify_ends_nothing_but_the_subscription() {
    for status in [481, 405, 500] {
        let mut world = World::new();
        let warm = world.warm();
        world.alice().script().notify_answer = Some(status);
        world.alice().refer_attended(warm.customer, warm.consult);
        world.run();
        assert!(world.connected(BOB, CAROL), "NOTIFY was answered {status}");
        assert_eq!(world.count(ALICE, "< NOTIFY"), 1, "RFC 6665 §4.2.2: no more of them");
        assert_eq!(world.phone(ALICE).live(), []);
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn a_failed_transfer_whose_notify_is_never_answered_leaves_the_call() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().ignores_notify();
    world.alice().refer(customer, CAROL);
    world.advance(seconds(45));
    assert_eq!(world.phone(ALICE).state(customer), Some(CallState::Connected));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

/// LESSONS 12.
#[test]
fn whoever_refers_moves_the_other_side_of_that_call_and_nobody_else() {
    // Alice has two calls; she sends carol on, not bob.
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer(warm.consult, DAVE);
    world.advance(millis(300));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(CAROL, DAVE));
    assert_eq!(world.phone(ALICE).live(), [warm.customer], "bob's call is not touched");
    world.alice().resume(warm.customer);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(CAROL);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 12: the customer is a party as good as any other.
#[test]
fn a_customer_who_refers_moves_the_operator() {
    let mut world = World::new();
    let (at_bob, _) = world.call(BOB, ALICE);
    world.bob().refer(at_bob, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(ALICE, CAROL));
    assert_eq!(world.phone(BOB).live(), []);
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

/// LESSONS 20: Replaces in Refer-To must name the transferor's own dialog, by both tags.
#[test]
fn a_refer_cannot_join_with_a_strangers_call() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    let (at_carol, _) = world.call(CAROL, DAVE);
    let strangers = world.phone(CAROL).replaces(at_carol).expect("a dialog");
    let refer_to = |call_id: &str, to: &str, from: &str| {
        let call_id = call_id.replace('@', "%40");
        format!("<sip:dave@example.org?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>")
    };
    for text in [
        refer_to(&strangers.call_id, &strangers.to_tag, &strangers.from_tag),
        refer_to(&strangers.call_id, &strangers.to_tag, "x"),
        refer_to(&strangers.call_id, "x", &strangers.from_tag),
    ] {
        world.alice().refer_to(customer, &text);
        world.advance(seconds(3));
        assert_eq!(world.completed(), 0, "{text}");
        assert!(world.connected(CAROL, DAVE), "{text}: their call is not touched");
        assert_eq!(world.phone(ALICE).state(customer), Some(CallState::Connected), "{text}");
    }
}

#[test]
fn a_replaces_that_names_a_dead_dialog_dials_nobody() {
    let mut world = World::new();
    let warm = world.warm();
    let replaces = world.phone(ALICE).replaces(warm.consult).expect("a dialog");
    world.carol().bye(warm.at_carol);
    world.run();
    let call_id = replaces.call_id.replace('@', "%40");
    let refer_to = format!(
        "<{}?Replaces={call_id}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
        CAROL.uri(),
        replaces.to_tag,
        replaces.from_tag
    );
    let invites = world.count(CAROL, "< INVITE");
    world.alice().refer_to(warm.customer, &refer_to);
    world.run();
    assert_eq!(
        world.count(CAROL, "< INVITE"),
        invites,
        "carol's phone does not ring again (LESSONS 2)"
    );
    assert_eq!(world.completed(), 0);
    assert_eq!(world.phone(ALICE).state(warm.customer), Some(CallState::Connected));
    world.alice().resume(warm.customer);
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 13: no NOTIFY does not mean no events.
#[test]
fn refer_sub_false_silences_notify_and_not_the_events() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    let headers = [
        ("Refer-To", "<sip:carol@example.org>"),
        ("Refer-Sub", "false"),
        ("Require", "norefersub"),
    ];
    world.alice().request(customer, Method::Refer, &headers, None);
    world.advance(millis(300));
    let accepted = world.phone(ALICE).responses(&Method::Refer).pop().expect("an answer");
    assert_eq!(accepted.status(), Some(202));
    assert!(
        accepted
            .text(HeaderName::ReferSub)
            .is_some_and(|value| value.starts_with("false")),
        "RFC 4488 §4"
    );
    world.carol().pick_up();
    world.run();
    assert_eq!(world.count(ALICE, "< NOTIFY"), 0);
    assert_eq!(world.completed(), 1);
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.phone(ALICE).live(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_second_refer_waits_for_the_end_of_the_first() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    world.alice().refer(customer, DAVE);
    world.advance(millis(300));
    assert_eq!(world.phone(ALICE).refer_status(customer), Some(491));
    assert_eq!(world.line(DAVE, "< INVITE"), None);
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_second_refer_of_a_dialog_is_told_apart_by_its_id() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    world.alice().refer(customer, CAROL);
    world.run();
    let ids: Vec<_> = world
        .phone(ALICE)
        .notified(customer)
        .iter()
        .map(|notified| notified.id.clone())
        .collect();
    let (first, second) = ids.split_at(ids.len() / 2);
    assert!(
        first.iter().all(Option::is_none),
        "RFC 3515 §2.4.6: not for the first: {ids:?}"
    );
    assert!(second.iter().all(Option::is_some), "{ids:?}");
    assert_eq!(world.failures().len(), 2);
}

/// LESSONS 11.
#[test]
fn a_refer_outside_of_any_dialog_is_refused_and_not_passed_along() {
    let mut world = World::new();
    let headers = [("Refer-To", "<sip:carol@example.org>")];
    world.dave().request_outside(Method::Refer, &BOB.uri(), &headers);
    world.run();
    let answer = world
        .phone(DAVE)
        .responses(&Method::Refer)
        .pop()
        .and_then(|answer| answer.status());
    assert!(answer.is_some_and(|status| (400..700).contains(&status)), "{answer:?}");
    assert_eq!(world.line(BOB, "< REFER"), None);
    assert_eq!(world.line(CAROL, "< INVITE"), None);
    world.assert_nothing_left();
}

#[test]
fn the_api_is_told_what_stands_against_a_transfer() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    let (mine, his) = (world.leg_of(ALICE).id, world.leg_of(BOB).id);
    let start = |target| Command::StartTransfer {
        transferor: mine,
        target,
        mode: None,
        ring_timeout: None,
        on_failure: None,
    };
    let id = world.command(start(TransferTarget::Leg(his)));
    assert!(
        matches!(world.reply(id), Some(Err(_))),
        "one cannot be joined with the party that one talks with"
    );
    let id = world.command(start(TransferTarget::Uri(
        Uri::parse("http://example.org").expect("a URI"),
    )));
    assert!(matches!(world.reply(id), Some(Err(_))));
    world.alice().bye(customer);
    world.run();
    let id = world.command(start(TransferTarget::Uri(Uri::parse(&CAROL.uri()).expect("a URI"))));
    assert!(matches!(world.reply(id), Some(Err(_))), "the leg has ended");
    world.assert_nothing_left();
}
