//! Call forwarding by the phone: 302 to our INVITE (RFC 5359 §2.7–2.9, RFC 3261 §16.7), and pick-up (RFC 5359 §2.16).

mod world;

use warmline::engine::{Event, TransferFailure};
use warmline::phone::{CallState, EndReason};
use warmline::sip::{HeaderName, Method};
use world::{ALICE, BOB, CAROL, DAVE, Fate, Who, World, millis, seconds};

/// The INVITEs that reach `who` from now on: their Diversion values.
fn diversions(world: &mut World, who: Who) -> std::rc::Rc<std::cell::RefCell<Vec<String>>> {
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let kept = std::rc::Rc::clone(&seen);
    world.network(move |packet| {
        if packet.is_to(who, Method::Invite) {
            let values = packet.message.values(HeaderName::Diversion);
            kept.borrow_mut().extend(values.map(str::to_owned));
        }
        Fate::Deliver
    });
    seen
}

fn forwarded(world: &World) -> usize {
    let is = |event: &&Event| matches!(event, Event::CallForwarded { .. });
    world.events().filter(is).count()
}

#[test]
fn a_phone_that_answers_302_sends_its_call_on() {
    for (rings, reason) in [(0, "unknown"), (2_000, "no-answer")] {
        let mut world = World::new();
        let seen = diversions(&mut world, CAROL);
        if rings == 0 {
            world.bob().forwards_to(CAROL);
        }
        let call = world.alice().call(BOB);
        world.advance(millis(300 + rings));
        if rings > 0 {
            world.bob().forward(CAROL);
        }
        world.advance(millis(300));
        world.carol().pick_up();
        world.run();
        assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
        assert!(world.connected(ALICE, CAROL));
        assert_eq!(world.phone(BOB).live(), []);
        assert_eq!(world.count(ALICE, "< 181"), 1, "the caller is told");
        assert_eq!(*seen.borrow(), [format!("<sip:bob@example.org>;reason={reason}")]);
        assert_eq!(forwarded(&world), 1);
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

/// The leg is the party's that was called in the end, by name: its REFER with Replaces is that of one party.
#[test]
fn whom_a_call_was_sent_on_to_may_transfer_it() {
    let mut world = World::with(|settings| {
        settings.open = false;
        settings.users = world::users();
    });
    world.bob().forwards_to(CAROL);
    world.alice().call(BOB);
    world.advance(millis(300));
    let sent_on = world.carol().pick_up();
    world.run();
    let (consult, _) = world.call(CAROL, DAVE);
    world.carol().refer_attended(sent_on, consult);
    world.run();
    assert!(world.connected(ALICE, DAVE));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn two_who_forward_to_each_other_are_a_circle() {
    let mut world = World::new();
    world.bob().forwards_to(CAROL);
    world.carol().forwards_to(BOB);
    let call = world.alice().call(BOB);
    world.run();
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Refused(482)))
    );
    assert_eq!(world.count(BOB, "< INVITE") + world.count(CAROL, "< INVITE"), 3);
    world.assert_nothing_left();
}

#[test]
fn a_302_that_leads_nowhere_goes_back_to_the_caller() {
    let mut world = World::new();
    world.dave().unregister();
    world.run();
    world.bob().forwards_to(DAVE);
    let call = world.alice().call(BOB);
    world.run();
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Refused(302)))
    );
    assert_eq!(forwarded(&world), 0);
    world.assert_nothing_left();
}

#[test]
fn a_caller_who_gives_up_is_given_up_where_it_rings_now() {
    let mut world = World::new();
    world.bob().forwards_to(CAROL);
    let call = world.alice().call(BOB);
    world.advance(seconds(2));
    assert_eq!(world.phone(CAROL).live().len(), 1);
    world.alice().cancel(call);
    world.run();
    assert_eq!(world.phone(CAROL).live(), []);
    world.assert_nothing_left();
}

/// The target of a blind transfer has forwarded its phone: the customer arrives where its calls go.
#[test]
fn a_transfer_follows_the_targets_forwarding() {
    let mut world = World::new();
    let (at_bob, at_alice) = world.call(BOB, ALICE);
    world.carol().forwards_to(DAVE);
    world.alice().refer(at_alice, CAROL);
    world.advance(millis(400));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    assert!(world.reported(ALICE).contains(&181), "{:?}", world.reported(ALICE));
    assert_eq!(world.phone(BOB).state(at_bob), Some(CallState::Connected));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// Alice asks carol, who has forwarded to dave, and hands bob over while dave still rings (RFC 5589 §7.6).
#[test]
fn a_semi_attended_transfer_follows_the_forwarding_that_comes_behind_it() {
    let mut world = World::new();
    let (_, at_alice) = world.call(BOB, ALICE);
    let consult = world.alice().call(CAROL);
    world.advance(millis(300));
    world.alice().refer_attended(at_alice, consult);
    world.advance(millis(300));
    world.carol().forward(DAVE);
    world.advance(millis(300));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_forwarded_target_that_is_busy_gives_the_customer_back() {
    let mut world = World::new();
    let (_, at_alice) = world.call(BOB, ALICE);
    world.carol().forwards_to(DAVE);
    world.dave().rejects_with(486);
    world.alice().refer(at_alice, CAROL);
    world.run();
    assert_eq!(world.failures(), [(TransferFailure::TargetBusy, Some(486))]);
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// Bob's phone rings for alice; carol takes the call from her desk, if the site allows it.
#[test]
fn a_ringing_call_is_picked_up_where_that_is_allowed() {
    for allowed in [true, false] {
        let mut world = World::with(|settings| {
            settings.open = false;
            settings.users = world::users();
            settings.pick_up = allowed;
        });
        let call = world.alice().call(BOB);
        world.advance(millis(300));
        let ringing = world.bob().ringing();
        let replaces = world.phone(BOB).replaces(ringing).expect("a dialog");
        let picked = world.carol().invite_with_replaces(&ALICE.uri(), &replaces);
        world.advance(seconds(1));
        if allowed {
            assert!(world.connected(ALICE, CAROL));
            assert_eq!(world.phone(BOB).live(), [], "bob's phone is quiet");
        } else {
            let state = world.phone(CAROL).state(picked);
            assert_eq!(state, Some(CallState::Ended(EndReason::Refused(403))));
            world.bob().pick_up();
            world.run();
            assert!(world.connected(ALICE, BOB), "the call is untouched");
        }
        world.alice().bye(call);
        world.run();
        world.assert_nothing_left();
    }
}
