//! What the dialect knows of every call: sessions, their parties, and which leg and which native call stands for whom.
//!
//! Pure: it is told what happened in the engine and answers with what clients are to be told. How is in `follow`
//! (calls), `moves` (transfers) and `rooms` (conferences and supervision).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::notice::{Facts, Notice};
use super::party::{Party, Peer, Status, party_id};
use super::people::Directory;
use super::session::Session;
use super::words::{Code, Reason};
use crate::engine::{CallHandle, LegHandle, TransferHandle};

/// Which party of which session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) session: String,
    pub(super) party: u8,
}

/// The dialog with a phone, as its own client knows it. The tags stand there once it is confirmed.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SipData {
    pub(super) call_id: String,
    pub(super) from_tag: String,
    pub(super) to_tag: String,
}

/// What is known of a leg beside its party.
#[derive(Clone, Debug, Default)]
pub(super) struct LegNote {
    pub(super) party: String,
    pub(super) dialog: SipData,
    /// With whom it talks.
    pub(super) other: Option<LegHandle>,
}

/// A transfer that is under way.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) kind: crate::engine::TransferKind,
    pub(super) transferor: LegHandle,
    /// The transferor's party.
    pub(super) from: Place,
    /// The transferor's party in the session of its consult.
    pub(super) consult: Option<Place>,
    /// The consult, or whoever comes instead of the transferor.
    pub(super) target: Option<Place>,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) directory: Arc<Directory>,
    /// Tells the ids of this process from those of an earlier one.
    salt: u32,
    next_number: u64,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) legs: BTreeMap<LegHandle, LegNote>,
    /// A leg that was brought into a conference stands for a party in each of two sessions.
    pub(super) places: BTreeMap<LegHandle, Vec<Place>>,
    /// The session that a native call began as.
    pub(super) calls: BTreeMap<CallHandle, String>,
    /// Native calls in which more than two may talk.
    pub(super) hubs: BTreeSet<CallHandle>,
    pub(super) moves: BTreeMap<TransferHandle, Move>,
    /// Why a client made a party end, to be told when it does.
    pub(super) marks: BTreeMap<Place, Reason>,
    /// Whom a client has called into a running session: the next leg of that call is theirs.
    pub(super) expected: BTreeMap<CallHandle, Place>,
    /// Supervisors that do not listen yet, and whom they supervise.
    pub(super) supervisors: BTreeMap<Place, Place>,
    /// Who is called to pick up a parked call, and the party that holds its place.
    pub(super) pickers: BTreeMap<Place, Place>,
    /// The transfers that ended last.
    pub(super) settled: VecDeque<TransferHandle>,
    /// Who opened a conference.
    pub(super) hosts: BTreeMap<String, usize>,
    pub(super) out: Vec<Notice>,
    pub(super) now: SystemTime,
}

/// Numeric session ids are far apart: clients take two that differ by one to four thousand for the legs of a RingOut.
const NUMBER_STEP: u64 = 10_007;

impl Desk {
    /// Knows nobody's call yet. `salt` differs from one process to the next; numbers begin at `first`.
    pub(super) fn new(directory: Arc<Directory>, salt: u32, first: u64) -> Desk {
        Desk {
            directory,
            salt,
            next_number: first,
            sessions: BTreeMap::new(),
            legs: BTreeMap::new(),
            places: BTreeMap::new(),
            calls: BTreeMap::new(),
            hubs: BTreeSet::new(),
            moves: BTreeMap::new(),
            marks: BTreeMap::new(),
            expected: BTreeMap::new(),
            supervisors: BTreeMap::new(),
            pickers: BTreeMap::new(),
            settled: VecDeque::new(),
            hosts: BTreeMap::new(),
            out: Vec::new(),
            now: SystemTime::UNIX_EPOCH,
        }
    }

    /// The tail of the ids of the session that this call begins. Clients look for `[0-9a-fz]+`.
    pub(super) fn tail(&self, call: CallHandle) -> String {
        format!("{:08x}z{:x}z{:x}", self.salt, call.slot, call.generation)
    }

    pub(super) fn number(&mut self) -> String {
        self.next_number += NUMBER_STEP;
        self.next_number.to_string()
    }

    /// By its whole id.
    pub(super) fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id.strip_prefix("s-")?)
    }

    pub(super) fn party(&self, place: &Place) -> Option<&Party> {
        self.sessions.get(&place.session)?.party(place.party)
    }

    pub(super) fn party_mut(&mut self, place: &Place) -> Option<&mut Party> {
        self.sessions.get_mut(&place.session)?.party_mut(place.party)
    }

    /// The party for which a leg stands in the session where it began, or was transferred to.
    pub(super) fn place(&self, leg: LegHandle) -> Option<Place> {
        self.places.get(&leg)?.first().cloned()
    }

    /// The leg with which this one talks.
    pub(super) fn other(&self, leg: LegHandle) -> Option<LegHandle> {
        self.legs.get(&leg)?.other
    }

    /// This leg stands for this party from now on.
    pub(super) fn seat(&mut self, leg: LegHandle, place: &Place) {
        let dialog = self.legs.get(&leg).map(|note| note.dialog.clone());
        if let Some(party) = self.party_mut(place) {
            party.ended = None;
            party.dialog = dialog.or(party.dialog.take());
            if !party.legs.contains(&leg) {
                party.legs.push(leg);
            }
        }
        let places = self.places.entry(leg).or_default();
        if !places.contains(place) {
            places.push(place.clone());
        }
    }

    /// This party takes part no more by any leg.
    pub(super) fn unseat(&mut self, place: &Place) {
        let legs = self.party_mut(place).map(|party| std::mem::take(&mut party.legs));
        for leg in legs.unwrap_or_default() {
            if let Some(places) = self.places.get_mut(&leg) {
                places.retain(|other| other != place);
            }
        }
    }

    /// Tells of a party as it stands.
    pub(super) fn tell(&mut self, place: &Place) {
        let directory = Arc::clone(&self.directory);
        let Some(session) = self.sessions.get_mut(&place.session) else {
            return;
        };
        let Some(at) = session.parties.iter().position(|party| party.number == place.party) else {
            return;
        };
        session.sequence += 1;
        let Some(party) = session.parties.get(at) else { return };
        self.out.push(Notice {
            at: self.now,
            session: session.id(),
            number: session.number.clone(),
            origin: session.origin,
            sequence: session.sequence,
            party: party.notified(&session.tail, &directory),
            extension: directory.at(&party.who).map(|extension| extension.id.clone()),
            facts: Facts {
                direction: party.direction,
                missed: party.missed,
                code: party.status.code,
                numbers: [directory.number(&party.from), directory.number(&party.to)],
                recorded: !party.recordings.is_empty(),
                dialog: party.dialog.clone(),
            },
        });
    }

    /// Gives a party another status and tells of it; what is over stays over.
    pub(super) fn becomes(&mut self, place: &Place, status: Status) {
        let Some(party) = self.party_mut(place) else { return };
        if party.status.code.is_last() {
            return;
        }
        party.status = status;
        if party.status.code.is_last() {
            (party.moving, party.park) = (false, None);
            self.marks.remove(place);
        }
        self.tell(place);
    }

    pub(super) fn code(&mut self, place: &Place, code: Code) {
        self.becomes(place, Status::of(code));
    }

    /// The name under which another session's clients know a party.
    pub(super) fn peer(&self, place: &Place) -> Option<Peer> {
        let session = self.sessions.get(&place.session)?;
        Some(Peer {
            telephony_session: session.id(),
            session: session.number.clone(),
            party: party_id(&session.tail, place.party),
        })
    }

    /// `Gone`: the party's place is taken by another one elsewhere.
    pub(super) fn gone(&mut self, place: &Place, reason: Reason, to: Option<&Place>) {
        let peer = to.and_then(|to| self.peer(to));
        let status = Status {
            code: Code::Gone,
            reason: Some(reason),
            peer,
        };
        self.becomes(place, status);
    }

    /// Forgets a session of which nothing can follow.
    pub(super) fn tidy(&mut self, session: &str) {
        if !self.sessions.get(session).is_some_and(Session::is_over) {
            return;
        }
        self.forget(session);
    }

    /// Forgets a session, whatever its state.
    pub(super) fn forget(&mut self, session: &str) {
        self.sessions.remove(session);
        self.calls.retain(|_, tail| tail != session);
        self.hosts.remove(session);
        self.supervisors.retain(|place, _| place.session != session);
        self.pickers.retain(|place, _| place.session != session);
        self.marks.retain(|place, _| place.session != session);
        for places in self.places.values_mut() {
            places.retain(|place| place.session != session);
        }
        self.places.retain(|_, places| !places.is_empty());
    }

    /// Orders of a party that is named by its ids.
    pub(super) fn find(&self, session: &str, party: &str) -> Option<(Place, &Party)> {
        let session = self.session(session)?;
        let party = session.party_named(party)?;
        let place = Place {
            session: session.tail.clone(),
            party: party.number,
        };
        Some((place, party))
    }
}
