//! Conferences and supervision: native hubs, as sessions show them.
//!
//! | what | parties |
//! |---|---|
//! | the host calls `conf_…` | `p-…-1` of the conference: Outbound, Host; Setup, Answered |
//! | somebody is brought in | `p-…-N`: Inbound, Participant; Setup, Answered. The host's party in the session that it came from: Gone/Conference, `peerId` that one |
//! | a supervisor listens | `p-…-N` of the supervised session: Setup, Proceeding, Answered, Gone/Supervising, `peerId` the supervised |

use std::collections::BTreeSet;

use super::desk::{Desk, Place};
use super::party::Status;
use super::people::Who;
use super::session::Session;
use super::words::{Code, ConferenceRole, Direction, Origin, Reason};
use crate::engine::{CallHandle, CallView, Cause, HubNote, LegHandle};

impl Desk {
    pub(super) fn hub(&mut self, note: &HubNote) {
        match note {
            HubNote::Opened { call, .. } => {
                self.hubs.insert(*call);
            }
            HubNote::Arrived { call, leg, .. } => {
                self.hubs.insert(*call);
                self.arrived(*call, *leg);
            }
            HubNote::Joined { call, leg, .. } => self.entered(*call, *leg),
            HubNote::Left { call, leg, cause } => self.left(*call, *leg, *cause),
            HubNote::Paired { call } => {
                self.hubs.remove(call);
            }
            HubNote::Changed { .. }
            | HubNote::Started { .. }
            | HubNote::Speaking { .. }
            | HubNote::Announced { .. }
            | HubNote::Recorded { .. }
            | HubNote::Referred { .. } => {}
        }
    }

    /// Sessions for the calls that are up where none is known, and the end of those whose calls have gone: at our start,
    /// and when events were missed. Nothing is told of them.
    pub(super) fn take_stock(&mut self, calls: &[CallView]) {
        let alive: BTreeSet<LegHandle> = calls
            .iter()
            .flat_map(|call| call.legs.iter().map(|leg| leg.id))
            .collect();
        let dead: Vec<_> = self.places.keys().filter(|leg| !alive.contains(leg)).copied().collect();
        for leg in dead {
            for place in self.places.remove(&leg).unwrap_or_default() {
                self.unseat(&place);
                self.disconnect(&place);
            }
        }
        self.legs.retain(|leg, _| alive.contains(leg));
        for call in calls.iter().filter(|call| matches!(call.state, "connected" | "held")) {
            let [caller, callee] = call.legs.as_slice() else {
                continue;
            };
            if self.places.contains_key(&caller.id) || self.places.contains_key(&callee.id) {
                continue;
            }
            let place = self.open(call.id, Origin::Call);
            let (from, to) = (self.directory.who(&caller.party), self.directory.who(&callee.party));
            let Some(session) = self.sessions.get_mut(&place.session) else {
                continue;
            };
            (session.announced, session.answered) = (true, true);
            session.add(from.clone(), Direction::Outbound, from.clone(), to.clone());
            session.add(to.clone(), Direction::Inbound, from, to);
            for (number, leg, other) in [(1, caller, callee), (2, callee, caller)] {
                let place = Place {
                    session: place.session.clone(),
                    party: number,
                };
                self.leg_known(leg.id, &leg.party, &leg.call_id);
                self.seat(leg.id, &place);
                if let Some(note) = self.legs.get_mut(&leg.id) {
                    note.other = Some(other.id);
                }
                if let Some(party) = self.party_mut(&place) {
                    party.call = Some(call.id);
                    party.status = Status::of(if other.held { Code::Hold } else { Code::Answered });
                }
            }
        }
    }

    /// A caller for an application has called no party of ours: nothing was told of it, and nothing will be.
    fn arrived(&mut self, call: CallHandle, leg: LegHandle) {
        let Some(tail) = self.calls.get(&call).cloned() else {
            return;
        };
        let silent = self
            .sessions
            .get(&tail)
            .is_some_and(|session| !session.announced && session.origin == Origin::Call);
        if silent && self.place(leg).is_some_and(|place| place.session == tail) {
            self.forget(&tail);
        }
    }

    /// A conference that an API client opened; its hub is there already.
    pub(super) fn conference(&mut self, hub: CallHandle, token: &str) -> String {
        let place = self.open(hub, Origin::Conference);
        self.hubs.insert(hub);
        if let Some(session) = self.sessions.get_mut(&place.session) {
            session.voice_call_token = Some(token.to_owned());
            session.announced = true;
            session.answered = true;
        }
        place.session
    }

    /// The conference that answers to this name.
    pub(super) fn conference_named(&self, token: &str) -> Option<&Session> {
        self.sessions
            .values()
            .find(|session| session.voice_call_token.as_deref() == Some(token))
    }

    /// Who opened a conference has called it.
    pub(super) fn host_calls(&mut self, session: &str, leg: LegHandle, from: &str) -> Option<Place> {
        let who = self.directory.who(from);
        let found = self.sessions.get_mut(session)?;
        if !found.parties.is_empty() {
            return None;
        }
        let hub = found.call;
        let party = found.add(who.clone(), Direction::Outbound, who, Who::Conference)?;
        party.role = Some(ConferenceRole::Host);
        party.call = Some(hub);
        self.take_seat(session, leg)
    }

    /// A party of another session is about to come in.
    pub(super) fn comes_in(&mut self, session: &str, leg: LegHandle, who: Who) -> Option<Place> {
        let found = self.sessions.get_mut(session)?;
        let hub = found.call;
        let party = found.add(who.clone(), Direction::Inbound, who, Who::Conference)?;
        party.role = Some(ConferenceRole::Participant);
        party.call = Some(hub);
        self.take_seat(session, leg)
    }

    /// The newest party of a session takes a leg, and is told of.
    fn take_seat(&mut self, session: &str, leg: LegHandle) -> Option<Place> {
        let place = Place {
            session: session.to_owned(),
            party: self.sessions.get(session)?.parties.last()?.number,
        };
        self.seat(leg, &place);
        self.tell(&place);
        Some(place)
    }

    /// A supervisor is about to be called into the session of whom it supervises.
    pub(super) fn supervisor(&mut self, agent: &Place, who: Who) -> Option<Place> {
        let (supervised, call) = self.party(agent).map(|party| (party.who.clone(), party.call))?;
        let session = self.sessions.get_mut(&agent.session)?;
        let party = session.add(who.clone(), Direction::Inbound, supervised, who)?;
        party.call = call;
        party.moving = true;
        let place = Place {
            session: agent.session.clone(),
            party: party.number,
        };
        self.supervisors.insert(place.clone(), agent.clone());
        if let Some(call) = call {
            self.expected.insert(call, place.clone());
        }
        self.tell(&place);
        Some(place)
    }

    fn entered(&mut self, call: CallHandle, leg: LegHandle) {
        self.expected
            .retain(|_, place| !self.places.get(&leg).is_some_and(|places| places.contains(place)));
        for place in self.places.get(&leg).cloned().unwrap_or_default() {
            let here = self
                .sessions
                .get(&place.session)
                .is_some_and(|session| session.call == call);
            let Some(party) = self.party_mut(&place) else { continue };
            party.call = Some(call);
            party.moving = false;
            if !party.status.code.rings() {
                continue;
            }
            if let Some(agent) = self.supervisors.remove(&place) {
                self.answered(&place);
                self.gone(&place, Reason::Supervising, Some(&agent));
            } else if let Some(parked) = self.pickers.remove(&place) {
                self.only_leg(&place, &[leg]);
                self.answered(&place);
                self.gone(&parked, Reason::Pickup, Some(&place));
                self.pair_up(call);
            } else if here {
                self.only_leg(&place, &[leg]);
                self.code(&place, Code::Answered);
            }
        }
    }

    /// Two in a hub that is no conference talk like a pair: each is the other's other.
    fn pair_up(&mut self, call: CallHandle) {
        let parties = self.sessions.values().flat_map(|session| &session.parties);
        let here: Vec<_> = parties
            .filter(|party| party.call == Some(call) && party.status.code.talks())
            .filter_map(super::party::Party::leg)
            .collect();
        if let [one, other] = here.as_slice() {
            self.link(*one, *other);
            self.link(*other, *one);
        }
    }

    /// Moved elsewhere: the conference goes on without it. Legs that end are told by their own event.
    fn left(&mut self, call: CallHandle, leg: LegHandle, cause: Cause) {
        if cause != Cause::Transferred {
            return;
        }
        for place in self.places.get(&leg).cloned().unwrap_or_default() {
            let conference = self
                .sessions
                .get(&place.session)
                .is_some_and(|session| session.call == call && session.origin == Origin::Conference);
            if conference {
                self.unseat(&place);
                self.disconnect(&place);
            }
        }
    }

    /// A conference's hub has ended, and with it its session.
    pub(super) fn room_closed(&mut self, tail: &str) {
        let Some(session) = self
            .sessions
            .get(tail)
            .filter(|session| session.origin == Origin::Conference)
        else {
            return;
        };
        let numbers: Vec<_> = session.parties.iter().rev().map(|party| party.number).collect();
        for party in numbers {
            self.disconnect(&Place {
                session: tail.to_owned(),
                party,
            });
        }
        self.forget(tail);
    }
}
