//! Mode `refer`: the edge asks the transferee by REFER to do it (RFC 3515, RFC 5589), and its outcome is what the NOTIFYs say
//! (LESSONS 15, 21, 22).

mod world;

use warmline::engine::{Command, TransferFailure, TransferKind, TransferMode, TransferTarget};
use warmline::phone::{CallState, PhoneCall};
use warmline::sip::{HeaderName, Method, Uri};
use world::{ALICE, BOB, CAROL, World, millis, seconds};

fn world() -> World {
    World::with(|settings| settings.transfer = TransferMode::Refer)
}

/// Bob called alice: alice's call.
fn talking(world: &mut World) -> PhoneCall {
    world.call(BOB, ALICE).1
}

/// A transfer that did not happen: the operator has her customer.
fn assert_failed(world: &mut World, reason: TransferFailure, status: Option<u16>) {
    assert_eq!(world.completed(), 0);
    assert_eq!(world.failures(), [(reason, status)]);
    assert!(
        world.reported(ALICE).last().is_some_and(|status| *status >= 300),
        "the operator was told"
    );
    assert!(world.connected(ALICE, BOB), "the call is as it was");
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_customer_calls_the_target_himself() {
    let mut world = world();
    let customer = talking(&mut world);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    assert!(world.line(BOB, "< REFER").is_some());
    let refer = world.phone(BOB).requests(&Method::Refer).remove(0);
    assert!(
        refer
            .text(HeaderName::ReferredBy)
            .is_some_and(|by| by.contains("alice")),
        "LESSONS 10"
    );
    assert_eq!(world.completed(), 0, "LESSONS 21: bob's 202 is no outcome");
    world.carol().pick_up();
    world.run();
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    assert_eq!(world.phone(ALICE).live(), []);
    assert!(world.connected(BOB, CAROL), "in a call of their own");
    assert_eq!(world.reported(ALICE).last(), Some(&200));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_customer_takes_over_the_consults_dialog() {
    let mut world = world();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let refer = world.phone(BOB).requests(&Method::Refer).pop().expect("bob is asked");
    let refer_to = refer.text(HeaderName::ReferTo).expect("Refer-To").to_owned();
    let theirs = world
        .phone(CAROL)
        .call_id(warm.at_carol)
        .expect("a dialog")
        .replace('@', "%40");
    assert!(
        refer_to.contains(&theirs),
        "LESSONS 15: the dialog as carol knows it: {refer_to}"
    );
    assert_eq!(world.completed(), 2, "alice's, and the take-over that bob did for it");
    assert_eq!(world.phone(ALICE).live(), []);
    assert!(world.connected(BOB, CAROL));
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn one_transfer_can_be_asked_for_in_this_mode() {
    let mut world = World::new();
    talking(&mut world);
    let transferor = world.leg_of(ALICE).id;
    let target = TransferTarget::Uri(Uri::parse(&CAROL.uri()).expect("a URI"));
    world.command(Command::StartTransfer {
        transferor,
        target,
        mode: Some(TransferMode::Refer),
        ring_timeout: None,
        on_failure: None,
    });
    world.advance(millis(300));
    assert!(world.line(BOB, "< REFER").is_some());
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.completed(), 1);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 22.
#[test]
fn a_busy_target_is_no_reason_to_end_the_call() {
    let mut world = world();
    let customer = talking(&mut world);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_failed(&mut world, TransferFailure::TargetBusy, Some(486));
}

/// LESSONS 22.
#[test]
fn a_refer_that_is_refused_at_once_failed() {
    for status in [405, 403, 501, 603] {
        let mut world = world();
        let customer = talking(&mut world);
        world.bob().script().refer_answer = Some(status);
        world.alice().refer(customer, CAROL);
        world.run();
        assert_failed(&mut world, TransferFailure::ReferRefused, Some(status));
    }
}

/// LESSONS 22.
#[test]
fn a_subscription_that_ends_without_a_word_has_no_outcome() {
    let mut world = world();
    let customer = talking(&mut world);
    world.bob().script().refer_without_report = true;
    world.alice().refer(customer, CAROL);
    world.advance(millis(100));
    let at_bob = world.the(BOB);
    let headers = [
        ("Event", "refer"),
        ("Subscription-State", "terminated;reason=noresource"),
    ];
    world.bob().request(at_bob, Method::Notify, &headers, None);
    world.run();
    assert_failed(&mut world, TransferFailure::NoOutcome, None);
}

/// LESSONS 21: the timer.
#[test]
fn a_customer_who_never_reports_fails_by_the_timer() {
    let mut world = world();
    let customer = talking(&mut world);
    world.bob().script().refer_without_report = true;
    world.alice().refer(customer, CAROL);
    world.advance(seconds(30));
    assert_eq!(world.failures(), [], "it may still ring there");
    world.advance(seconds(60));
    world.run();
    assert_failed(&mut world, TransferFailure::NoOutcome, None);
}

#[test]
fn a_notify_that_nobody_asked_for_is_481() {
    let mut world = world();
    let customer = talking(&mut world);
    let headers = [
        ("Event", "refer"),
        ("Subscription-State", "terminated;reason=noresource"),
    ];
    let body = Some(("message/sipfrag", "SIP/2.0 200 OK\r\n"));
    world.alice().request(customer, Method::Notify, &headers, body);
    world.run();
    assert_eq!(
        world
            .phone(ALICE)
            .responses(&Method::Notify)
            .pop()
            .and_then(|answer| answer.status()),
        Some(481)
    );
    assert!(world.connected(ALICE, BOB), "LESSONS 23: and nothing else happens");
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn the_operators_early_bye_leaves_the_customer_to_his_call() {
    let mut world = world();
    let customer = talking(&mut world);
    world.alice().refer(customer, CAROL);
    world.advance(millis(280));
    world.alice().bye(customer);
    world.advance(millis(100));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.completed(), 1);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn auto_asks_who_can_and_does_it_for_who_cannot() {
    // Bob says Allow: REFER; in a blind transfer he is asked. When he refuses all the same, the edge does it (RFC 5589 §7.4).
    let mut world = World::with(|settings| settings.transfer = TransferMode::Auto);
    let customer = talking(&mut world);
    world.bob().script().refer_answer = Some(405);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    assert!(world.line(BOB, "< REFER").is_some());
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    assert_eq!(
        world
            .phone(ALICE)
            .state(customer)
            .map(|state| matches!(state, CallState::Ended(_))),
        Some(true)
    );
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// Found by the simulator: the customer's take-over borrows the consult's call from the transfer whose REFER made it. When
/// it fails, everybody has to be given back all the same.
#[test]
fn a_take_over_that_is_taken_back_gives_everybody_back() {
    let mut taken_back = 0;
    for moment in 1..16 {
        let mut world = world();
        world.tolerate("");
        let warm = world.warm();
        world.alice().refer_attended(warm.customer, warm.consult);
        world.advance(millis(moment));
        let transfers = world.transfers();
        let take_over = transfers
            .iter()
            .find(|transfer| transfer.kind == TransferKind::Replaced && transfer.state == "joining");
        let Some(take_over) = take_over else { continue };
        let id = world.command(Command::CancelTransfer { transfer: take_over.id });
        if world.reply(id).is_some_and(Result::is_err) {
            continue;
        }
        taken_back += 1;
        world.run();
        assert_eq!((world.completed(), world.failures().len()), (0, 2));
        assert_eq!(world.phone(ALICE).live().len(), 2);
        world.assert_paired();
        world.bob().bye(warm.at_bob);
        world.carol().bye(warm.at_carol);
        world.run();
        assert_eq!(
            world.phone(ALICE).live(),
            [],
            "alice's calls are calls again, and end with their parties"
        );
        world.assert_nothing_left();
    }
    assert!(taken_back > 0);
}
