//! Blind transfer (RFC 5589 §6): the target is dialled while the call goes on, and a target that does not come gives it back.

mod world;

use warmline::engine::{Command, TransferFailure, TransferTarget};
use warmline::phone::{CallState, PhoneCall};
use warmline::sip::{HeaderName, Method, Uri};
use world::{ALICE, BOB, CAROL, DAVE, World, millis, seconds};

/// Bob called alice: alice's call.
fn talking(world: &mut World) -> PhoneCall {
    world.call(BOB, ALICE).1
}

/// After a transfer that failed: the operator has her customer as before, was told, and hangs up.
fn assert_given_back(world: &mut World, reason: TransferFailure, status: u16) {
    assert_eq!(world.failures(), [(reason, Some(status))]);
    assert_eq!(world.reported(ALICE).last(), Some(&status), "the operator was told");
    assert!(world.connected(ALICE, BOB), "the call is as it was");
    assert_eq!(world.phone(CAROL).live(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_customer_talks_with_whom_he_was_sent_to() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    assert_eq!(
        world.phone(ALICE).state(customer),
        Some(CallState::Connected),
        "nothing is torn down while carol rings"
    );
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.phone(ALICE).live(), []);
    assert_eq!(world.reported(ALICE), [100, 180, 200]);
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn a_caller_can_send_the_callee_on() {
    let mut world = World::new();
    let (customer, _) = world.call(ALICE, BOB);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_held_customer_is_taken_back_by_the_target() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.alice().hold(customer);
    world.run();
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL), "nobody is held any more");
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_busy_target_gives_the_call_back() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_given_back(&mut world, TransferFailure::TargetBusy, 486);
}

#[test]
fn a_target_that_declines_gives_the_call_back() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.carol().rejects_with(603);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_given_back(&mut world, TransferFailure::TargetRefused, 603);
}

#[test]
fn a_target_that_does_not_answer_gives_the_call_back() {
    let mut world = World::with(|settings| settings.ring_timeout = seconds(20));
    let customer = talking(&mut world);
    world.alice().refer(customer, CAROL);
    world.advance(seconds(19));
    assert_eq!(world.failures(), [], "it still rings");
    world.advance(seconds(2));
    world.run();
    assert_eq!(
        world.failures().first().map(|(reason, _)| *reason),
        Some(TransferFailure::TargetNoAnswer)
    );
    assert!(world.reported(ALICE).last().is_some_and(|status| *status >= 400));
    assert!(world.connected(ALICE, BOB));
    assert_eq!(world.phone(CAROL).live(), [], "carol's phone is quiet");
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_target_that_is_unplugged_gives_the_call_back() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.carol().unplug();
    world.alice().refer(customer, CAROL);
    world.advance(seconds(40));
    world.run();
    assert_eq!(world.failures().len(), 1);
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_target_that_nobody_knows_gives_the_call_back() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.alice().refer_to(customer, "<sip:nobody@example.org>");
    world.run();
    assert_eq!(
        world.failures().first().map(|(reason, _)| *reason),
        Some(TransferFailure::TargetUnreachable)
    );
    assert!(world.connected(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_held_customer_is_still_held_when_the_transfer_fails() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.alice().hold(customer);
    world.run();
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    assert!(world.phone(ALICE).is_holding(customer));
    world.alice().resume(customer);
    world.run();
    assert_given_back(&mut world, TransferFailure::TargetBusy, 486);
}

#[test]
fn a_failed_transfer_can_be_tried_again_with_another_target() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    world.alice().refer(customer, DAVE);
    world.advance(millis(300));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    assert_eq!((world.completed(), world.failures().len()), (1, 1));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_api_can_send_a_party_on() {
    let mut world = World::new();
    talking(&mut world);
    let transferor = world.leg_of(ALICE).id;
    let target = TransferTarget::Uri(Uri::parse(&CAROL.uri()).expect("a URI"));
    world.command(Command::StartTransfer {
        transferor,
        target,
        mode: None,
        ring_timeout: Some(seconds(10)),
        on_failure: None,
    });
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_target_is_told_who_referred_and_only_by_this_refer() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    let invite = world.phone(CAROL).requests(&Method::Invite).remove(0);
    assert!(
        invite
            .text(HeaderName::ReferredBy)
            .is_some_and(|by| by.contains("sip:alice@example.org"))
    );
    // Carol sends bob on to dave by the API: no REFER, so no Referred-By, least of all alice's.
    let transferor = world.leg_of(CAROL).id;
    let target = TransferTarget::Uri(Uri::parse(&DAVE.uri()).expect("a URI"));
    world.command(Command::StartTransfer {
        transferor,
        target,
        mode: None,
        ring_timeout: None,
        on_failure: None,
    });
    world.advance(millis(300));
    let invite = world.phone(DAVE).requests(&Method::Invite).remove(0);
    assert_eq!(invite.text(HeaderName::ReferredBy), None);
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    world.hang_up(DAVE);
    world.assert_nothing_left();
}

#[test]
fn a_refer_that_names_nothing_dialable_is_refused_at_once() {
    for (refer_to, status) in [
        ("<http://example.org/>", 416),
        ("<sip:example.org>", 484),
        ("<sip:carol@example.org;method=BYE>", 501),
        ("<<<", 400),
        ("<sip:carol@example.org?Replaces=x%3Bto-tag%3Da>", 400),
        (
            "<sip:carol@example.org?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db&Replaces=y%3Bto-tag%3Da%3Bfrom-tag%3Db>",
            400,
        ),
    ] {
        let mut world = World::new();
        let customer = talking(&mut world);
        world.alice().refer_to(customer, refer_to);
        world.run();
        assert_eq!(world.phone(ALICE).refer_status(customer), Some(status), "{refer_to}");
        assert_eq!(
            world.reported(ALICE),
            [] as [u16; 0],
            "a refused REFER makes no subscription"
        );
        assert!(world.connected(ALICE, BOB));
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

#[test]
fn headers_of_refer_to_do_not_become_dialling_instructions() {
    let mut world = World::new();
    let customer = talking(&mut world);
    world.alice().refer_to(
        customer,
        "<sip:carol@example.org?Route=%3Csip:10.9.9.9%3E&Subject=hello&X-Evil=1>",
    );
    world.advance(millis(300));
    let invite = world.phone(CAROL).requests(&Method::Invite).remove(0);
    assert_eq!(invite.header(HeaderName::Route), None);
    assert_eq!(invite.header(HeaderName::Subject), None);
    assert_eq!(invite.header_named("X-Evil"), None);
    assert!(!invite.request_uri().is_some_and(|uri| uri.contains('?')));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// The join's re-INVITE follows the first ACK at once; when that ACK is lost, the 2xx comes again behind the second one's.
#[test]
fn a_lost_ack_of_the_target_is_sent_again_behind_the_join() {
    let mut world = World::new();
    world.tolerate("");
    let (_, customer) = world.call(BOB, ALICE);
    // A holding customer answers otherwise than carol was offered: she gets a re-INVITE too.
    let at_bob = world.the(BOB);
    world.bob().hold(at_bob);
    world.run();
    world.once(world::Fate::Lose, |packet| packet.is_to(CAROL, Method::Ack));
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.advance(world::seconds(40));
    world.run();
    assert_eq!(world.phone(CAROL).live().len(), 1, "carol did not give up");
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    world.everybody_leaves(&world::EVERYBODY);
    world.assert_nothing_left();
}
