//! Calls between two parties: from native events to the vendor's orders of events.
//!
//! ```text
//! trunk to extension      p-1 Setup · p-2 Setup · p-2 Proceeding · p-1 Answered · p-2 Answered
//! extension to extension  p-1 Setup · p-2 Setup · p-1 Answered · p-2 Proceeding · p-2 Answered
//! extension to trunk      p-1 Setup · p-2 Proceeding · p-1 Proceeding · p-2 Answered · p-1 Answered
//! the end                 p-2 Disconnected · p-1 Disconnected
//! ```
//!
//! Between extensions nothing is told while it rings: the vendor's order puts the caller's Answered before the callee's
//! Proceeding, and a caller that is told to be answered while the other phone still rings could be bridged too early.

use std::time::SystemTime;

use super::desk::{Desk, LegNote, Place, SipData};
use super::party::{Recording, Status};
use super::people::Who;
use super::session::{Order, Session};
use super::words::{Code, Direction, Origin, Reason};
use crate::engine::{CallHandle, Cause, Event, LegHandle, MediaNote};

impl Desk {
    /// Takes in what happened in the engine; what clients are to be told of it is in `out` then.
    pub(super) fn follow(&mut self, at: SystemTime, event: &Event) {
        self.now = at;
        match event {
            Event::CallStarted { call, leg, from, to } => self.call_started(*call, *leg, from, to),
            Event::CallConnected { call, legs } => self.call_connected(*call, legs),
            Event::CallHeld { leg, .. } => self.held(*leg, true),
            Event::CallResumed { leg, .. } => self.held(*leg, false),
            Event::CallForwarded { call, leg, .. } => self.forwarded(*call, *leg),
            Event::CallEnded { call, cause } => self.call_ended(*call, *cause),
            Event::LegStarted {
                leg,
                call,
                party,
                call_id,
                transfer,
                ..
            } => {
                self.leg_known(*leg, party, call_id);
                match (transfer, call) {
                    (Some(transfer), _) => self.target_started(*leg, *transfer),
                    (None, Some(call)) => self.leg_started(*leg, *call),
                    (None, None) => {}
                }
            }
            Event::LegRinging { leg, .. } => self.ringing(*leg),
            Event::LegConfirmed { leg, from_tag, to_tag } => self.confirmed(*leg, from_tag, to_tag),
            Event::LegEnded { leg, cause } => self.leg_ended(*leg, *cause),
            Event::TransferRequested { .. } | Event::TransferCompleted { .. } | Event::TransferFailed { .. } => {
                self.transfer(event);
            }
            Event::Media(note) => self.recorded(note),
            Event::Hub(note) => self.hub(note),
            Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::TransferProgress { .. }
            | Event::CallRestored { .. }
            | Event::MessageRefused { .. }
            | Event::SourceLimited { .. }
            | Event::SourceBanned { .. }
            | Event::WebhookFailed { .. } => {}
        }
    }

    fn call_started(&mut self, call: CallHandle, leg: LegHandle, from: &str, to: &str) {
        let (from, to) = (self.directory.who(from), self.directory.who(to));
        let place = self.open(call, Origin::Call);
        if let Some(session) = self.sessions.get_mut(&place.session) {
            session.add(from.clone(), Direction::Outbound, from, to);
        }
        self.seat(leg, &place);
        if let Some(party) = self.party_mut(&place) {
            party.call = Some(call);
        }
    }

    /// A session for a native call, without parties yet; gives the place of its first.
    pub(super) fn open(&mut self, call: CallHandle, origin: Origin) -> Place {
        let tail = self.tail(call);
        let number = match origin {
            Origin::Conference => "0".to_owned(),
            Origin::Call | Origin::CallOut => self.number(),
        };
        let session = Session {
            tail: tail.clone(),
            number,
            origin,
            voice_call_token: None,
            created: self.now,
            parties: Vec::new(),
            sequence: 1,
            announced: false,
            answered: false,
            call,
        };
        self.sessions.insert(tail.clone(), session);
        self.calls.insert(call, tail.clone());
        Place {
            session: tail,
            party: 1,
        }
    }

    /// Tells of the first party, once. It waits for the second, for a caller may turn out to call no person but an
    /// application; an API client's own call is told at once.
    pub(super) fn announce(&mut self, session: &str) {
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        if std::mem::replace(&mut found.announced, true) {
            return;
        }
        self.tell(&Place {
            session: session.to_owned(),
            party: 1,
        });
    }

    pub(super) fn leg_known(&mut self, leg: LegHandle, party: &str, call_id: &str) {
        let note = LegNote {
            party: party.to_owned(),
            dialog: SipData {
                call_id: call_id.to_owned(),
                ..SipData::default()
            },
            other: None,
        };
        self.legs.insert(leg, note);
    }

    /// Its client tells its own call by these tags.
    fn confirmed(&mut self, leg: LegHandle, from_tag: &str, to_tag: &str) {
        let Some(note) = self.legs.get_mut(&leg) else { return };
        note.dialog.from_tag = from_tag.to_owned();
        note.dialog.to_tag = to_tag.to_owned();
        let dialog = note.dialog.clone();
        for place in self.places.get(&leg).cloned().unwrap_or_default() {
            if let Some(party) = self.party_mut(&place).filter(|party| party.leg() == Some(leg)) {
                party.dialog = Some(dialog.clone());
            }
        }
    }

    fn leg_started(&mut self, leg: LegHandle, call: CallHandle) {
        if let Some(place) = self.expected.get(&call).cloned() {
            self.seat(leg, &place);
            return;
        }
        let Some(tail) = self.calls.get(&call).cloned() else {
            return; // the caller's own leg, which comes before its call
        };
        let running = self.sessions.get(&tail).is_some_and(|session| session.answered);
        if !running && !self.hubs.contains(&call) {
            self.callee_started(call, &tail, leg);
        }
    }

    fn callee_started(&mut self, call: CallHandle, tail: &str, leg: LegHandle) {
        self.announce(tail);
        let known = self
            .sessions
            .get(tail)
            .and_then(Session::callee)
            .map(|callee| callee.number);
        let Some(party) = known else {
            self.next_party(call, tail, &[leg]);
            return;
        };
        let place = Place {
            session: tail.to_owned(),
            party,
        };
        self.seat(leg, &place);
    }

    fn ringing(&mut self, leg: LegHandle) {
        let Some(place) = self.place(leg) else { return };
        let Some(party) = self.party(&place).filter(|party| party.status.code == Code::Setup) else {
            return;
        };
        if party.moving {
            self.code(&place, Code::Proceeding);
            return;
        }
        let Some(session) = self.sessions.get(&place.session) else {
            return;
        };
        let Some(caller) = session.party(1).filter(|_| place.party > 1) else {
            return; // an API client's call rings at its first party
        };
        let caller_place = Place {
            party: 1,
            session: place.session.clone(),
        };
        match Order::of(&caller.who, &party.who) {
            Order::FromTrunk => self.code(&place, Code::Proceeding),
            Order::Internal => {}
            Order::ToTrunk => {
                self.code(&place, Code::Proceeding);
                self.code(&caller_place, Code::Proceeding);
            }
        }
    }

    fn call_connected(&mut self, call: CallHandle, legs: &[LegHandle]) {
        if let [one, other] = legs {
            self.link(*one, *other);
            self.link(*other, *one);
        }
        let Some(tail) = self.calls.get(&call).cloned() else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&tail).filter(|session| !session.answered) else {
            return;
        };
        let callee = session
            .callee()
            .filter(|callee| callee.legs.iter().any(|leg| legs.contains(leg)));
        let Some(callee) = callee.map(|callee| (callee.number, callee.who.clone())) else {
            return;
        };
        let Some(caller) = session.party(1).map(|caller| caller.who.clone()) else {
            return;
        };
        session.answered = true;
        let place = |party| Place {
            session: tail.clone(),
            party,
        };
        let (first, second) = (place(1), place(callee.0));
        self.only_leg(&second, legs);
        let rang = self
            .party(&second)
            .is_some_and(|party| party.status.code == Code::Proceeding);
        match Order::of(&caller, &callee.1) {
            Order::FromTrunk => {
                if !rang {
                    self.code(&second, Code::Proceeding);
                }
                self.code(&first, Code::Answered);
                self.code(&second, Code::Answered);
            }
            Order::Internal => {
                self.code(&first, Code::Answered);
                self.code(&second, Code::Proceeding);
                self.code(&second, Code::Answered);
            }
            Order::ToTrunk => {
                if !rang {
                    self.code(&second, Code::Proceeding);
                    self.code(&first, Code::Proceeding);
                }
                self.code(&second, Code::Answered);
                self.code(&first, Code::Answered);
            }
        }
    }

    /// Of the phones that rang, one answered.
    pub(super) fn only_leg(&mut self, place: &Place, legs: &[LegHandle]) {
        let Some(party) = self.party_mut(place) else { return };
        let (stays, goes): (Vec<_>, Vec<_>) = party.legs.drain(..).partition(|leg| legs.contains(leg));
        party.legs = stays;
        for leg in goes {
            if let Some(places) = self.places.get_mut(&leg) {
                places.retain(|other| other != place);
            }
        }
    }

    pub(super) fn link(&mut self, one: LegHandle, other: LegHandle) {
        if let Some(note) = self.legs.get_mut(&one) {
            note.other = Some(other);
        }
    }

    /// Hold is told of the party that pressed it; the native event names the one that is held.
    fn held(&mut self, leg: LegHandle, on: bool) {
        let Some(place) = self.other(leg).and_then(|presser| self.place(presser)) else {
            return;
        };
        let Some(party) = self.party(&place) else { return };
        match (party.status.code, on) {
            (Code::Answered, true) => self.code(&place, Code::Hold),
            (Code::Hold, false) => self.code(&place, Code::Answered),
            (
                Code::Setup
                | Code::Proceeding
                | Code::Answered
                | Code::Hold
                | Code::Parked
                | Code::Disconnected
                | Code::Gone,
                _,
            ) => {}
        }
    }

    /// A phone's call is sent on: whoever rings instead is another party.
    fn forwarded(&mut self, call: CallHandle, leg: LegHandle) {
        let Some(tail) = self.calls.get(&call).cloned() else {
            return;
        };
        let Some(callee) = self.sessions.get(&tail).and_then(Session::callee) else {
            return;
        };
        let place = Place {
            session: tail.clone(),
            party: callee.number,
        };
        // Their legs have come before this was told, and were taken for phones of the one that rang.
        let other = |fork: &LegHandle| {
            let note = self.legs.get(fork);
            *fork != leg && note.is_some_and(|note| self.directory.who(&note.party) != callee.who)
        };
        let others: Vec<_> = callee.legs.iter().copied().filter(other).collect();
        let picked = self.marks.get(&place) == Some(&Reason::Pickup);
        self.unseat(&place);
        if picked {
            let next = self.next_party(call, &tail, &others);
            self.gone(&place, Reason::Pickup, next.as_ref());
            return;
        }
        let status = Status {
            code: Code::Disconnected,
            reason: Some(Reason::CallRedirected),
            peer: None,
        };
        self.becomes(&place, status);
        self.next_party(call, &tail, &others);
    }

    /// The party that is called next, with its phones.
    fn next_party(&mut self, call: CallHandle, tail: &str, legs: &[LegHandle]) -> Option<Place> {
        let who = legs
            .first()
            .and_then(|leg| self.legs.get(leg))
            .map(|note| self.directory.who(&note.party))?;
        let session = self.sessions.get_mut(tail)?;
        let caller = session.party(1).map(|caller| caller.who.clone())?;
        let party = session.add(who.clone(), Direction::Inbound, caller.clone(), who.clone())?;
        party.call = Some(call);
        let place = Place {
            session: tail.to_owned(),
            party: party.number,
        };
        for leg in legs {
            self.seat(*leg, &place);
        }
        match Order::of(&caller, &who) {
            Order::FromTrunk | Order::Internal => self.tell(&place),
            Order::ToTrunk => {}
        }
        Some(place)
    }

    fn leg_ended(&mut self, leg: LegHandle, cause: Cause) {
        self.legs.remove(&leg);
        for place in self.places.remove(&leg).unwrap_or_default() {
            let Some(party) = self.party_mut(&place) else { continue };
            party.legs.retain(|other| *other != leg);
            if !party.legs.is_empty() || party.status.code.is_last() {
                continue;
            }
            party.ended = Some(cause);
            let (call, moving) = (party.call, party.moving);
            // A pair ends as a whole, with its call; what a transfer moves ends by its outcome.
            let with_its_call = call.is_some_and(|call| self.calls.contains_key(&call) && !self.hubs.contains(&call));
            if !moving && !with_its_call {
                self.disconnect(&place);
            }
        }
    }

    fn call_ended(&mut self, call: CallHandle, cause: Cause) {
        self.hubs.remove(&call);
        let tail = self.calls.remove(&call);
        self.expected.remove(&call);
        if let Some(tail) = &tail {
            self.room_closed(tail);
        }
        if cause == Cause::Transferred {
            return;
        }
        let mut over: Vec<Place> = Vec::new();
        for session in self.sessions.values() {
            let ended = session.parties.iter().filter(|party| {
                party.call == Some(call) && !party.status.code.is_last() && !party.moving && party.legs.is_empty()
            });
            over.extend(ended.map(|party| Place {
                session: session.tail.clone(),
                party: party.number,
            }));
        }
        if let Some(tail) = &tail {
            self.announce(tail);
        }
        over.sort_by(|one, other| one.session.cmp(&other.session).then(other.party.cmp(&one.party)));
        for place in over {
            self.disconnect(&place);
        }
        if let Some(tail) = tail {
            self.tidy(&tail);
        }
    }

    /// The end of a party, with the reason that fits.
    pub(super) fn disconnect(&mut self, place: &Place) {
        let mark = self.marks.get(place).copied();
        let Some(session) = self.sessions.get(&place.session) else {
            return;
        };
        let origin = session.origin;
        let Some(party) = self.party_mut(place) else { return };
        let unanswered = party.status.code.rings();
        let cause = party.ended.unwrap_or(Cause::OtherParty);
        let reason = mark.or_else(|| {
            if unanswered {
                unanswered_because(cause)
            } else {
                lost_because(cause)
            }
        });
        let by_choice = matches!(
            reason,
            Some(Reason::Rejected | Reason::CallReplied | Reason::CallRedirected | Reason::Pickup)
        );
        party.missed =
            unanswered && party.direction == Direction::Inbound && !matches!(party.who, Who::Number(_)) && !by_choice;
        let status = Status {
            code: Code::Disconnected,
            reason,
            peer: None,
        };
        self.becomes(place, status);
        // Parties without a leg of their own (whoever a REFER sent away) end with the last one that has one.
        if origin != Origin::Conference {
            self.tidy(&place.session);
        }
    }

    fn recorded(&mut self, note: &MediaNote) {
        let (leg, name, active) = match note {
            MediaNote::RecordingStarted { leg, recording } => (leg, recording, true),
            MediaNote::RecordingFinished { leg, recording, .. } => (leg, recording, false),
            MediaNote::Flowing { .. }
            | MediaNote::Silent { .. }
            | MediaNote::OneWay { .. }
            | MediaNote::Digit { .. }
            | MediaNote::PromptEnded { .. }
            | MediaNote::PromptMissing { .. }
            | MediaNote::Failed { .. }
            | MediaNote::NoPort { .. } => return,
        };
        let Some(place) = self.place(*leg) else { return };
        let Some(party) = self.party_mut(&place) else { return };
        match party.recordings.iter_mut().find(|known| known.id == *name) {
            Some(known) => known.active = active,
            None => party.recordings.push(Recording {
                id: name.clone(),
                active,
            }),
        }
        if !party.status.code.is_last() {
            self.tell(&place);
        }
    }
}

/// What a client reads when a party was never answered.
pub(super) fn unanswered_because(cause: Cause) -> Option<Reason> {
    match cause {
        Cause::Party | Cause::OtherParty => Some(Reason::Cancelled),
        Cause::Refused { status: 486 | 600 } => Some(Reason::TargetBusy),
        Cause::Refused {
            status: 404 | 410 | 484 | 604,
        } => Some(Reason::InvalidNumber),
        Cause::Refused { status: 408 | 480 } | Cause::NoAnswer => Some(Reason::NoAnswer),
        Cause::Refused { status: 487 } => Some(Reason::Cancelled),
        Cause::Refused { .. } => Some(Reason::Rejected),
        Cause::Lost => Some(Reason::InternalError),
        Cause::Transferred => Some(Reason::Pickup),
        Cause::Command => None,
    }
}

fn lost_because(cause: Cause) -> Option<Reason> {
    match cause {
        Cause::Lost => Some(Reason::CallDropped),
        Cause::Party
        | Cause::OtherParty
        | Cause::Refused { .. }
        | Cause::NoAnswer
        | Cause::Transferred
        | Cause::Command => None,
    }
}
