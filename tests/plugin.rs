//! Site policy as a plugin (`engine::Plugin`): examples/night_desk.rs, and what a plugin can and cannot do.

mod world;

#[path = "../examples/night_desk.rs"]
mod night_desk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use night_desk::NightDesk;
use warmline::engine::{
    CallHandle, Command, Denied, Event, NewCall, Outgoing, Plugin, Routing, TransferAsked, TransferFailure,
    TransferKind,
};
use warmline::phone::CallState;
use warmline::sip::{HeaderName, Method, Uri};
use world::{ALICE, BOB, CAROL, DAVE, World, millis};

fn desk(night: bool) -> (World, Arc<AtomicBool>) {
    let night = Arc::new(AtomicBool::new(night));
    let guard = Uri::parse(&CAROL.uri()).expect("a URI");
    let plugin = NightDesk {
        night: night.clone(),
        guard,
    };
    (World::with_plugin(|_| {}, plugin), night)
}

#[test]
fn at_night_the_guard_answers_for_the_desk() {
    let (mut world, night) = desk(true);
    world.alice().call_uri("sip:desk@example.org");
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(ALICE, CAROL));
    world.hang_up(ALICE);
    night.store(false, Ordering::Relaxed);
    let call = world.alice().call_uri("sip:desk@example.org");
    world.run();
    assert!(
        matches!(world.phone(ALICE).state(call), Some(CallState::Ended(_))),
        "by day nobody is registered there"
    );
    world.assert_nothing_left();
}

#[test]
fn a_refused_number_rings_nowhere_and_says_why() {
    let (mut world, _) = desk(false);
    world.alice().call_uri("sip:09001234@example.org");
    world.run();
    let answer = world.phone(ALICE).responses(&Method::Invite).pop().expect("an answer");
    assert_eq!(answer.status(), Some(403));
    assert!(String::from_utf8_lossy(answer.bytes()).contains("Premium Numbers Are Off"));
    world.assert_nothing_left();
}

#[test]
fn a_forbidden_transfer_is_refused_before_anybody_hears_of_it() {
    let (mut world, _) = desk(false);
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().refer_to(customer, "<sip:manager7@example.org>");
    world.run();
    let answer = world.phone(ALICE).responses(&Method::Refer).pop().expect("an answer");
    assert_eq!(answer.status(), Some(403));
    assert_eq!(world.transfers().len(), 0);
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn what_a_plugin_adds_leaves_with_the_invite() {
    let (mut world, _) = desk(false);
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    let invite = world.phone(CAROL).requests(&Method::Invite).remove(0);
    assert!(String::from_utf8_lossy(invite.bytes()).contains("X-Desk: transferred\r\n"));
    assert!(invite.text(HeaderName::ReferredBy).is_some(), "what was there stays");
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn an_order_of_the_plugin_is_carried_out_at_once() {
    let (mut world, night) = desk(false);
    let (_, customer) = world.call(BOB, ALICE);
    night.store(true, Ordering::Relaxed);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_eq!(world.failures(), [(TransferFailure::Cancelled, Some(487))]);
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// Takes whatever it gets wrong: forges headers that the edge owns, and orders something at every event.
#[derive(Debug, Default)]
struct Rogue {
    asked: Vec<TransferKind>,
}

impl Plugin for Rogue {
    fn route(&mut self, call: &NewCall<'_>) -> Routing {
        assert_ne!(call.user, Some(""));
        Routing::AsUsual
    }

    fn allow(&mut self, transfer: &TransferAsked<'_>) -> Result<(), Denied> {
        self.asked.push(transfer.kind);
        match transfer.kind {
            TransferKind::Replaced => Err(Denied::new(480, "Not Here")),
            TransferKind::Blind | TransferKind::Attended => Ok(()),
        }
    }

    fn rewrite(&mut self, invite: &mut Outgoing<'_>) {
        for (name, value) in [
            ("Via", "SIP/2.0/UDP evil"),
            ("v", "SIP/2.0/UDP evil"),
            ("Contact", "<sip:evil>"),
            ("X-Split", "a\r\nX-Evil: b"),
            ("X Y", "evil"),
            ("X-Good", "kept"),
        ] {
            invite.headers.push((name.into(), value.into()));
        }
    }

    fn observe(&mut self, _now: Instant, _event: &Event) -> Vec<Command> {
        vec![Command::HangUpCall {
            call: CallHandle {
                slot: 4_000,
                generation: 0,
            },
        }]
    }
}

#[test]
fn a_bad_plugin_breaks_no_message_and_stops_no_engine() {
    let mut world = World::with_plugin(|_| {}, Rogue::default());
    let (at_alice, _) = world.call(ALICE, BOB);
    let invite = world.phone(BOB).requests(&Method::Invite).remove(0);
    let text = String::from_utf8_lossy(invite.bytes()).into_owned();
    assert!(!text.to_lowercase().contains("evil"), "{text}");
    assert!(text.contains("X-Good: kept\r\n"));
    let replaces = world.phone(ALICE).replaces(at_alice).expect("a dialog");
    world.dave().invite_with_replaces(&ALICE.uri(), &replaces);
    world.run();
    assert!(world.connected(ALICE, BOB), "the take-over was refused");
    assert!(world.phone(DAVE).live().is_empty());
    world.hang_up(ALICE);
    world.assert_nothing_left();
}
