//! Phones that talk to each other without an edge: what is wrong here is wrong with the phone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::sip::{HeaderName, Method};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// Three phones on one wire without latency: a request goes to the user of its Request-URI, an answer back to where the
/// Via points.
struct Wire {
    now: Instant,
    phones: Vec<Phone>,
    lose: fn(&Message) -> bool,
}

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn new() -> Wire {
        let edge = ([192, 0, 2, 1], 5060).into();
        let phone = |(n, user): (usize, &&str)| {
            let address = ([192, 0, 2, 10 + n as u8], 5060).into();
            Phone::new(PhoneConfig::new(user, "secret", "example.org", address, edge))
        };
        let phones = ["alice", "bob", "carol"].iter().enumerate().map(phone).collect();
        Wire {
            now: Instant::now(),
            phones,
            lose: |_| false,
        }
    }

    fn phone(&mut self, who: usize) -> &mut Phone {
        &mut self.phones[who]
    }

    fn settle(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for at in 0..self.phones.len() {
                let sent: VecDeque<Bytes> = std::iter::from_fn(|| self.phones[at].poll_transmit()).collect();
                for bytes in sent {
                    moved = true;
                    let message = Message::parse(bytes.clone()).unwrap();
                    let via = message.top_via().unwrap();
                    let to = |phone: &Phone| match message.request_uri() {
                        Some(uri) => uri.contains(&format!("sip:{}@", phone.config().user)),
                        None => via.host == phone.config().address.ip().to_string(),
                    };
                    if let Some(to) = self.phones.iter().position(to).filter(|_| !(self.lose)(&message)) {
                        self.phones[to].handle(self.now, bytes);
                    }
                }
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        self.settle();
        while let Some(next) = self
            .phones
            .iter()
            .filter_map(Phone::poll_timeout)
            .min()
            .filter(|next| *next <= end)
        {
            self.now = self.now.max(next);
            for phone in &mut self.phones {
                if phone.poll_timeout().is_some_and(|at| at <= self.now) {
                    phone.handle_timeout(self.now);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    fn call(&mut self, from: usize, to: usize) -> (PhoneCall, PhoneCall) {
        let now = self.now;
        let uri = self.phones[to].config().aor();
        let call = self.phone(from).call(now, &uri);
        self.settle();
        assert_eq!(self.phone(from).state(call), Some(CallState::Early));
        let answered = self.phone(to).latest().unwrap();
        self.phone(to).answer(now, answered).unwrap();
        self.settle();
        (call, answered)
    }

    fn assert_no_complaints(&self) {
        for phone in &self.phones {
            assert_eq!(phone.complaints(), &[] as &[String], "{}", phone.config().user);
        }
    }
}

#[test]
fn two_phones_call_hold_resume_and_hang_up() {
    let mut wire = Wire::new();
    let (of_alice, of_bob) = wire.call(ALICE, BOB);
    let now = wire.now;
    assert!(wire.phones[ALICE].talks_with(of_alice, &wire.phones[BOB], of_bob));
    wire.phone(ALICE).hold(now, of_alice).unwrap();
    wire.settle();
    assert!(wire.phone(ALICE).is_holding(of_alice) && wire.phone(BOB).is_held(of_bob));
    wire.phone(BOB).hold(now, of_bob).unwrap();
    wire.settle();
    assert!(wire.phone(ALICE).is_held(of_alice), "both hold: inactive");
    wire.phone(ALICE).resume(now, of_alice).unwrap();
    wire.settle();
    wire.phone(BOB).reinvite_without_offer(now, of_bob).unwrap();
    wire.settle();
    assert!(wire.phone(ALICE).is_held(of_alice));
    wire.phone(BOB).resume(now, of_bob).unwrap();
    wire.settle();
    assert!(wire.phones[ALICE].talks_with(of_alice, &wire.phones[BOB], of_bob));
    wire.phone(BOB).bye(now, of_bob).unwrap();
    wire.settle();
    assert_eq!(
        wire.phone(ALICE).state(of_alice),
        Some(CallState::Ended(EndReason::HungUpByRemote))
    );
    wire.assert_no_complaints();
}

#[test]
fn glare_is_answered_491_and_tried_again() {
    let mut wire = Wire::new();
    let (of_alice, of_bob) = wire.call(ALICE, BOB);
    let now = wire.now;
    wire.phone(ALICE).hold(now, of_alice).unwrap();
    wire.phone(BOB).hold(now, of_bob).unwrap();
    wire.advance(Duration::from_secs(5));
    assert!(
        !wire
            .phone(ALICE)
            .responses(&Method::Invite)
            .iter()
            .any(|answer| answer.status() == Some(500))
    );
    assert!(
        wire.phone(ALICE)
            .responses(&Method::Invite)
            .iter()
            .any(|answer| answer.status() == Some(491))
    );
    assert!(wire.phone(ALICE).is_holding(of_alice) && wire.phone(BOB).is_holding(of_bob));
    wire.assert_no_complaints();
}

#[test]
fn a_cancelled_call_ends_on_both_sides() {
    let mut wire = Wire::new();
    let now = wire.now;
    let call = wire.phone(ALICE).call(now, "sip:bob@example.org");
    wire.settle();
    wire.phone(ALICE).cancel(now, call).unwrap();
    wire.settle();
    assert_eq!(
        wire.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Cancelled))
    );
    assert!(wire.phone(BOB).live().is_empty());
    wire.assert_no_complaints();
}

#[test]
fn lost_messages_are_repeated() {
    let mut wire = Wire::new();
    wire.lose = |message| message.method() == &Method::Invite && message.status() == Some(200);
    let now = wire.now;
    wire.phone(BOB).script().auto_answer = Some(Duration::ZERO);
    let call = wire.phone(ALICE).call(now, "sip:bob@example.org");
    wire.advance(Duration::from_secs(2));
    assert_eq!(wire.phone(ALICE).state(call), Some(CallState::Early));
    wire.lose = |_| false;
    wire.advance(Duration::from_secs(4));
    assert_eq!(wire.phone(ALICE).state(call), Some(CallState::Connected));
    assert!(!wire.phone(BOB).is_busy(), "the ACK stopped the 200s");
    wire.assert_no_complaints();
}

#[test]
fn a_phone_obeys_refer_with_replaces() {
    let mut wire = Wire::new();
    let (of_bob, with_bob) = wire.call(BOB, ALICE);
    let (with_carol, _) = wire.call(ALICE, CAROL);
    let now = wire.now;
    wire.phone(ALICE).hold(now, with_bob).unwrap();
    wire.settle();
    wire.phone(ALICE).refer_attended(now, with_bob, with_carol).unwrap();
    wire.settle();
    assert_eq!(wire.phone(ALICE).refer_status(with_bob), Some(202));
    let last = wire.phone(ALICE).notified(with_bob).last().cloned().unwrap();
    assert_eq!((last.status, last.terminated), (Some(200), true));
    assert_eq!(
        wire.phone(ALICE).state(with_carol),
        Some(CallState::Ended(EndReason::HungUpByRemote))
    );
    wire.phone(ALICE).bye(now, with_bob).unwrap();
    wire.settle();
    assert_eq!(
        wire.phone(BOB).state(of_bob),
        Some(CallState::Ended(EndReason::HungUpByRemote))
    );
    let (bob, carol) = (wire.phone(BOB).live(), wire.phone(CAROL).live());
    assert!(wire.phones[BOB].talks_with(bob[0], &wire.phones[CAROL], carol[0]));
    wire.assert_no_complaints();
}

#[test]
fn replaces_is_refused_by_the_rules_of_rfc_3891() {
    let mut wire = Wire::new();
    let (of_alice, of_bob) = wire.call(ALICE, BOB);
    let now = wire.now;
    let right = wire.phone(ALICE).replaces(of_alice).unwrap();
    let status_of = |wire: &mut Wire, value: &str| {
        let call = wire
            .phone(CAROL)
            .invite_with(now, "sip:bob@example.org", &[(HeaderName::Replaces, value)]);
        wire.settle();
        wire.phone(CAROL).state(call)
    };
    let text = format!("{};to-tag={};from-tag={}", right.call_id, right.to_tag, right.from_tag);
    let refused = |status| Some(CallState::Ended(EndReason::Refused(status)));
    assert_eq!(
        status_of(&mut wire, &format!("{};to-tag={}", right.call_id, right.to_tag)),
        refused(400)
    );
    assert_eq!(status_of(&mut wire, &text.replace("to-tag=", "to-tag=x")), refused(481));
    assert_eq!(status_of(&mut wire, &format!("{text};early-only")), refused(486));
    assert_eq!(status_of(&mut wire, &text), Some(CallState::Connected));
    assert_eq!(wire.phone(BOB).state(of_bob), Some(CallState::Ended(EndReason::HungUp)));
    assert_eq!(status_of(&mut wire, &text), refused(603));
    wire.assert_no_complaints();
}
