//! The vendor's orders of events, from native events that are made up here as the engine makes them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::desk::{Desk, Place};
use super::notice::Notice;
use super::people::directory;
use super::words::Reason;
use crate::engine::{
    CallHandle, Cause, Event, HubNote, LegHandle, Role, TransferFailure, TransferHandle, TransferKind, TransferMode,
};

struct World {
    desk: Desk,
    told: Vec<Notice>,
    clock: u64,
}

fn leg(slot: u32) -> LegHandle {
    LegHandle { slot, generation: 7 }
}

fn call(slot: u32) -> CallHandle {
    CallHandle { slot, generation: 0 }
}

fn transfer() -> TransferHandle {
    TransferHandle { slot: 3, generation: 1 }
}

fn sip(user: &str) -> String {
    format!("sip:{user}@example.test")
}

impl World {
    fn new() -> World {
        World {
            desk: Desk::new(Arc::new(directory()), 0xabcd, 1_000),
            told: Vec::new(),
            clock: 0,
        }
    }

    fn happens(&mut self, event: &Event) {
        self.clock += 1;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock);
        self.desk.follow(at, event);
        self.told.append(&mut self.desk.out);
    }

    fn leg_starts(&mut self, number: u32, of: Option<u32>, by: Option<TransferHandle>, user: &str) {
        self.happens(&Event::LegStarted {
            leg: leg(number),
            call: of.map(call),
            transfer: by,
            inbound: false,
            party: sip(user),
            call_id: format!("call-id-{number}"),
        });
    }

    /// A call with legs `10 n` and `10 n + 1`, up to the other phone's first sign of life.
    fn rings(&mut self, number: u32, from: &str, to: &str) {
        let (caller, callee) = (number * 10, number * 10 + 1);
        self.leg_starts(caller, Some(number), None, from);
        self.happens(&Event::CallStarted {
            call: call(number),
            leg: leg(caller),
            from: sip(from),
            to: sip(to),
        });
        self.leg_starts(callee, Some(number), None, to);
        self.happens(&Event::LegRinging {
            leg: leg(callee),
            status: 180,
        });
    }

    fn connects(&mut self, number: u32, one: u32, other: u32) {
        self.happens(&Event::CallConnected {
            call: call(number),
            legs: vec![leg(one), leg(other)],
        });
    }

    fn talk(&mut self, number: u32, from: &str, to: &str) {
        self.rings(number, from, to);
        self.connects(number, number * 10, number * 10 + 1);
    }

    fn leg_ends(&mut self, number: u32, cause: Cause) {
        self.happens(&Event::LegEnded {
            leg: leg(number),
            cause,
        });
    }

    fn call_ends(&mut self, number: u32, cause: Cause) {
        self.happens(&Event::CallEnded {
            call: call(number),
            cause,
        });
    }

    fn hangs_up(&mut self, number: u32, one: u32, other: u32) {
        self.leg_ends(one, Cause::Party);
        self.leg_ends(other, Cause::OtherParty);
        self.call_ends(number, Cause::Party);
    }

    fn asks(&mut self, kind: TransferKind, legs: (u32, u32), target: &str, target_leg: Option<u32>) {
        self.happens(&Event::TransferRequested {
            transfer: transfer(),
            kind,
            mode: TransferMode::Native,
            transferor: leg(legs.0),
            transferee: leg(legs.1),
            target: sip(target),
            target_leg: target_leg.map(leg),
        });
    }

    fn completes(&mut self, transferee: u32, target: u32, number: u32) {
        self.happens(&Event::TransferCompleted {
            transfer: transfer(),
            transferee: leg(transferee),
            target: Some(leg(target)),
            call: Some(call(number)),
        });
    }

    /// What was told of the sessions that began as this call, shortly.
    fn told(&self, number: u32) -> Vec<String> {
        let session = format!("s-{}", self.desk.tail(call(number)));
        let of = self.told.iter().filter(|notice| notice.session == session);
        of.map(|notice| {
            let text = |path: &str| {
                notice
                    .party
                    .pointer(path)
                    .and_then(|value| value.as_str())
                    .unwrap_or_default()
            };
            let number = text("/id").rsplit('-').next().unwrap_or_default();
            let reason = text("/status/reason");
            let slash = if reason.is_empty() { "" } else { "/" };
            format!("{number} {}{slash}{reason}", text("/status/code"))
        })
        .collect()
    }

    fn place(&self, number: u32, party: u8) -> Place {
        Place {
            session: self.desk.tail(call(number)),
            party,
        }
    }
}

const FROM_TRUNK: [&str; 5] = ["1 Setup", "2 Setup", "2 Proceeding", "1 Answered", "2 Answered"];
const INTERNAL: [&str; 5] = ["1 Setup", "2 Setup", "1 Answered", "2 Proceeding", "2 Answered"];
const TO_TRUNK: [&str; 5] = ["1 Setup", "2 Proceeding", "1 Proceeding", "2 Answered", "1 Answered"];
const ENDED: [&str; 2] = ["2 Disconnected", "1 Disconnected"];

#[test]
fn each_kind_of_call_has_its_order() {
    for (from, to, order) in [
        ("+1555", "agent1", FROM_TRUNK),
        ("agent1", "agent2", INTERNAL),
        ("agent1", "+1555", TO_TRUNK),
    ] {
        let mut world = World::new();
        world.talk(1, from, to);
        assert_eq!(world.told(1), order, "{from} calls {to}");
        world.hangs_up(1, 10, 11);
        assert_eq!(world.told(1), [&order[..], &ENDED[..]].concat());
        let sequences: Vec<_> = world.told.iter().map(|notice| notice.sequence).collect();
        assert_eq!(sequences, [2, 3, 4, 5, 6, 7, 8]);
        assert!(world.desk.sessions.is_empty() && world.desk.places.is_empty() && world.desk.legs.is_empty());
        assert!(world.desk.calls.is_empty());
    }
}

#[test]
fn an_answer_without_ringing_leaves_nothing_out() {
    for (from, to, order) in [("+1555", "agent1", FROM_TRUNK), ("agent1", "+1555", TO_TRUNK)] {
        let mut world = World::new();
        world.leg_starts(10, Some(1), None, from);
        let (from, to) = (sip(from), to);
        world.happens(&Event::CallStarted {
            call: call(1),
            leg: leg(10),
            from,
            to: sip(to),
        });
        world.leg_starts(11, Some(1), None, to);
        world.connects(1, 10, 11);
        assert_eq!(world.told(1), order);
    }
}

#[test]
fn hold_is_told_of_who_pressed_it() {
    let mut world = World::new();
    world.talk(1, "+1555", "agent1");
    let (held, resumed) = (
        Event::CallHeld {
            call: call(1),
            leg: leg(10),
        },
        Event::CallResumed {
            call: call(1),
            leg: leg(10),
        },
    );
    world.happens(&held);
    world.happens(&held);
    world.happens(&resumed);
    assert_eq!(world.told(1)[5..], ["2 Hold", "2 Answered"]);
}

#[test]
fn a_warm_transfer_names_its_peers_both_ways() {
    let mut world = World::new();
    world.talk(1, "+1555", "agent1");
    world.talk(2, "agent1", "agent2");
    world.asks(TransferKind::Attended, (11, 10), "agent2", Some(21));
    assert_eq!(
        world.told(1).len() + world.told(2).len(),
        10,
        "nothing is told before it is done"
    );
    world.connects(1, 10, 21);
    world.call_ends(2, Cause::Transferred);
    world.leg_ends(11, Cause::Transferred);
    world.leg_ends(20, Cause::Transferred);
    world.completes(10, 21, 1);
    assert_eq!(world.told(1)[5..], ["2 Gone/AttendedTransfer"]);
    assert_eq!(
        world.told(2)[5..],
        ["1 Gone/AttendedTransfer", "2 Answered/AttendedTransfer"]
    );
    let gone: Vec<_> = world
        .told
        .iter()
        .filter_map(|notice| notice.party.pointer("/status/peerId"))
        .collect();
    let (a, b) = (world.desk.tail(call(1)), world.desk.tail(call(2)));
    let peer = |tail: &str, number: u8| {
        let session = world.desk.sessions.get(tail).unwrap();
        serde_json::json!({ "telephonySessionId": format!("s-{tail}"), "sessionId": session.number, "partyId": format!("p-{tail}-{number}") })
    };
    assert_eq!(gone, [&peer(&b, 1), &peer(&a, 2)]);
    world.hangs_up(1, 10, 21);
    assert_eq!(world.told(1)[6..], ["1 Disconnected"]);
    assert_eq!(world.told(2)[7..], ["2 Disconnected"]);
    assert!(world.desk.sessions.is_empty());
}

#[test]
fn a_join_that_fails_has_changed_nothing() {
    let mut world = World::new();
    world.talk(1, "+1555", "agent1");
    world.talk(2, "agent1", "agent2");
    world.asks(TransferKind::Attended, (11, 10), "agent2", Some(21));
    world.happens(&Event::TransferFailed {
        transfer: transfer(),
        reason: TransferFailure::JoinRefused,
        status: None,
    });
    assert_eq!(world.told(1), FROM_TRUNK);
    assert_eq!(world.told(2), INTERNAL);
    world.hangs_up(1, 11, 10);
    assert_eq!(world.told(1)[5..], ENDED);
}

#[test]
fn a_blind_transfer_goes_on_or_comes_back() {
    let mut world = World::new();
    world.talk(1, "+1555", "agent1");
    world.asks(TransferKind::Blind, (11, 10), "agent2", None);
    world.leg_starts(12, None, Some(transfer()), "agent2");
    world.happens(&Event::LegRinging {
        leg: leg(12),
        status: 180,
    });
    world.connects(1, 10, 12);
    world.leg_ends(11, Cause::Transferred);
    world.completes(10, 12, 1);
    let gone = ["2 Disconnected/BlindTransfer", "3 Setup", "3 Proceeding", "3 Answered"];
    assert_eq!(world.told(1)[5..], gone);
    world.hangs_up(1, 10, 12);
    assert_eq!(world.told(1)[9..], ["3 Disconnected", "1 Disconnected"]);

    let mut world = World::new();
    world.talk(1, "+1555", "agent1");
    world.asks(TransferKind::Blind, (11, 10), "agent2", None);
    world.leg_starts(12, None, Some(transfer()), "agent2");
    world.leg_ends(12, Cause::Refused { status: 486 });
    world.happens(&Event::TransferFailed {
        transfer: transfer(),
        reason: TransferFailure::TargetBusy,
        status: Some(486),
    });
    assert_eq!(
        world.told(1)[6..],
        ["3 Setup", "4 Answered", "3 Disconnected/TargetBusy"]
    );
    world.hangs_up(1, 10, 11);
    assert_eq!(world.told(1)[9..], ["4 Disconnected", "1 Disconnected"]);
    assert!(world.desk.sessions.is_empty());
}

#[test]
fn who_never_answered_is_told_why() {
    for (cause, mark, reason, missed) in [
        (Cause::OtherParty, None, "Cancelled", true),
        (Cause::NoAnswer, None, "NoAnswer", true),
        (Cause::Refused { status: 486 }, None, "TargetBusy", true),
        (Cause::Refused { status: 603 }, None, "Rejected", false),
        (Cause::Command, Some(Reason::Rejected), "Rejected", false),
        (Cause::Command, Some(Reason::CallReplied), "CallReplied", false),
    ] {
        let mut world = World::new();
        world.rings(1, "+1555", "agent1");
        if let Some(mark) = mark {
            let place = world.place(1, 2);
            world.desk.marks.insert(place, mark);
        }
        world.leg_ends(11, cause);
        world.leg_ends(10, Cause::Party);
        world.call_ends(1, cause);
        assert_eq!(world.told(1)[3], format!("2 Disconnected/{reason}"));
        let party = &world.told[3].party;
        assert_eq!(party["missedCall"], missed, "{reason}");
    }
}

#[test]
fn a_phone_that_forwards_is_out_and_the_next_is_another_party() {
    let mut world = World::new();
    world.rings(1, "+1555", "agent1");
    world.leg_starts(12, Some(1), None, "agent2");
    world.happens(&Event::CallForwarded {
        call: call(1),
        leg: leg(11),
        to: sip("agent2"),
    });
    world.leg_ends(11, Cause::Command);
    world.happens(&Event::LegRinging {
        leg: leg(12),
        status: 180,
    });
    world.connects(1, 10, 12);
    let told = [
        "2 Disconnected/CallRedirected",
        "3 Setup",
        "3 Proceeding",
        "1 Answered",
        "3 Answered",
    ];
    assert_eq!(world.told(1)[3..], told);
}

#[test]
fn several_phones_of_one_extension_are_one_party() {
    let mut world = World::new();
    world.rings(1, "+1555", "agent1");
    world.leg_starts(12, Some(1), None, "agent1");
    world.leg_ends(11, Cause::Refused { status: 486 });
    world.connects(1, 10, 12);
    world.hangs_up(1, 10, 12);
    assert_eq!(world.told(1), [&FROM_TRUNK[..], &ENDED[..]].concat());
}

#[test]
fn an_application_s_caller_is_nobody_s_session() {
    let mut world = World::new();
    world.leg_starts(10, Some(1), None, "+1555");
    world.happens(&Event::CallStarted {
        call: call(1),
        leg: leg(10),
        from: sip("+1555"),
        to: sip("sales"),
    });
    world.happens(&Event::Hub(HubNote::Arrived {
        call: call(1),
        leg: leg(10),
        application: "sales".to_owned(),
        from: sip("+1555"),
        to: sip("sales"),
        headers: Vec::new(),
    }));
    world.leg_ends(10, Cause::Party);
    world.call_ends(1, Cause::Party);
    assert!(world.told.is_empty() && world.desk.sessions.is_empty());
}

#[test]
fn a_conference_has_no_number_and_names_who_came() {
    let mut world = World::new();
    world.talk(1, "+1555", "agent1");
    let tail = world.desk.conference(call(5), "conf_1");
    world.leg_starts(50, None, None, "agent1");
    world.desk.host_calls(&tail, leg(50), &sip("agent1")).unwrap();
    assert!(
        world.desk.host_calls(&tail, leg(51), &sip("agent1")).is_none(),
        "one host"
    );
    let joined = |number| {
        Event::Hub(HubNote::Joined {
            call: call(5),
            leg: leg(number),
            role: Role::default(),
        })
    };
    world.happens(&joined(50));
    let who = world.desk.party(&world.place(1, 1)).unwrap().who.clone();
    let guest = world.desk.comes_in(&tail, leg(10), who).unwrap();
    world.happens(&joined(10));
    let stays = world.place(1, 2);
    world.desk.gone(&stays, Reason::Conference, Some(&guest));
    world.leg_ends(11, Cause::Command);
    world.call_ends(1, Cause::Command);
    assert_eq!(world.told(5), ["1 Setup", "1 Answered", "2 Setup", "2 Answered"]);
    assert_eq!(world.told(1)[5..], ["2 Gone/Conference"]);
    assert!(
        world
            .told
            .iter()
            .filter(|notice| notice.session == format!("s-{tail}"))
            .all(|notice| notice.number == "0")
    );
    world.leg_ends(10, Cause::Party);
    assert_eq!(world.told(1)[6..], ["1 Disconnected"]);
    assert_eq!(world.told(5)[4..], ["2 Disconnected"]);
    world.leg_ends(50, Cause::Party);
    world.call_ends(5, Cause::Party);
    assert_eq!(world.told(5)[5..], ["1 Disconnected"]);
    assert!(world.desk.sessions.is_empty());
}

#[test]
fn ids_are_what_clients_look_for() {
    let world = World::new();
    let big = CallHandle {
        slot: u32::MAX,
        generation: u32::MAX,
    };
    let tail = world.desk.tail(big);
    assert!(
        tail.bytes()
            .all(|octet| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet) || octet == b'z'),
        "{tail}"
    );
    assert_ne!(
        world.desk.tail(call(1)),
        world.desk.tail(CallHandle { slot: 1, generation: 1 })
    );
}
