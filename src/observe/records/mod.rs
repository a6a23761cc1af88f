//! One record per customer call, across all its legs, calls and transfers.
//!
//! Owns: which event belongs to which customer's call, and what became of every leg in it.
//!
//! Refuses: clocks, files, and to be asked by the engine: it is shown [`Event`]s, and nobody waits for it.
//!
//! RFC sections: 3261 §12 (a leg is a dialog), 3515 and 3891 (how it came and went), 5589 (what a transfer joins).
//!
//! | what happens | what it means for the record |
//! |---|---|
//! | a leg is called for a call or a transfer | a leg of that record |
//! | a transfer joins a consult | the consult's record becomes part of the customer's |
//! | an INVITE with Replaces takes a place | the newcomer is a leg of that record |
//! | a party follows a REFER of ours by a new call | the new call is part of the record |
//! | an order moves a leg, and who stays behind is also where it goes | both records become one (a consult in hubs) |
//! | an order moves a leg, and somebody else stays behind | two customers: the leg is in both records |
//! | no leg lives, no transfer runs, no recording is being written | the record is complete |
//!
//! Bounded: so many complete records, so many legs in each, so many calls at once.
//!
//! ```
//! use warmline::observe::Records;
//!
//! let records = Records::new(1_000);
//! assert!(records.all().is_empty());
//! ```

mod hub;
mod join;
mod kept;
mod query;
mod record;
mod tell;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use kept::{Living, StoredRecord};
pub use query::{RecordPage, find, page};
pub use record::{Came, LegRecord, Outcome, Record, Recording, TransferRecord, Went};

use crate::engine::{CallHandle, Event, LegHandle, MediaNote, TransferHandle};
use crate::vocabulary::Moment;

/// Legs, transfers and recordings of one record; what comes beyond is counted.
const MOST: usize = 256;
/// Calls at once; beyond, the oldest is taken for complete. Far more than one process carries.
const MOST_OPEN: usize = 200_000;
/// How long a complete call waits for the end of its recordings, in milliseconds.
const WRITING: u64 = 10_000;

type Key = u64;

/// A record that is not complete, and what it waits for.
#[derive(Debug)]
struct Open {
    record: Arc<Record>,
    live: BTreeSet<LegHandle>,
    /// Calls that have not ended.
    calls: BTreeSet<CallHandle>,
    /// Transfers that are not decided.
    running: BTreeSet<TransferHandle>,
    /// Recordings that are being written.
    writing: BTreeSet<String>,
}

/// Where a transfer is told.
#[derive(Clone, Copy, Debug)]
struct Running {
    of: Key,
    /// The record of the consult, while the customer is asked by REFER to join it himself.
    consult: Option<Key>,
}

/// Keeps the records of the calls that are up, and of the last ones that were.
#[derive(Debug)]
pub struct Records {
    keep: usize,
    next: Key,
    open: BTreeMap<Key, Open>,
    legs: BTreeMap<LegHandle, Key>,
    calls: BTreeMap<CallHandle, Key>,
    transfers: BTreeMap<TransferHandle, Running>,
    /// Who was sent where by a REFER of ours, and has not said yet what came of it.
    referred: BTreeMap<TransferHandle, (String, String)>,
    /// Calls that may be without a leg and live on.
    hubs: BTreeSet<CallHandle>,
    /// Complete but for their recordings, and until when that is waited for.
    waiting: VecDeque<(Moment, Key)>,
    ended: VecDeque<Arc<Record>>,
    finished: VecDeque<Arc<Record>>,
    /// What outlives the process; `None`: nothing does.
    kept: Option<kept::Changes>,
    /// Of the process before this one, until it is known which of it lives.
    restored: kept::Restored,
}

impl Records {
    /// Nothing yet; so many complete records are kept.
    pub fn new(keep: usize) -> Records {
        Records {
            keep,
            next: 1,
            open: BTreeMap::new(),
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            transfers: BTreeMap::new(),
            referred: BTreeMap::new(),
            hubs: BTreeSet::new(),
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            finished: VecDeque::new(),
            kept: None,
            restored: kept::Restored::default(),
        }
    }

    /// The ids of the records that these legs are in.
    pub fn ids_of(&self, legs: &[LegHandle]) -> BTreeSet<String> {
        let keys = legs.iter().filter_map(|leg| self.legs.get(leg));
        let open = keys.filter_map(|key| self.open.get(key));
        open.map(|open| open.record.id.to_string()).collect()
    }

    /// Every record: those of calls that are up, and the last ones of those that were.
    pub fn all(&self) -> Vec<Arc<Record>> {
        let open = self.open.values().map(|open| &open.record);
        open.chain(&self.ended).map(Arc::clone).collect()
    }

    /// The next record that became complete; each is given once.
    pub fn poll_finished(&mut self) -> Option<Arc<Record>> {
        self.finished.pop_front()
    }

    /// Something happened.
    pub fn event(&mut self, at: Moment, event: &Event) {
        self.settle(at);
        let touched = self.tell(at, event);
        for key in touched.into_iter().flatten() {
            self.changed(key);
            self.finish_if_complete(at, key);
        }
    }

    /// Time has passed: recordings that nobody will finish any more are not waited for.
    pub fn settle(&mut self, now: Moment) {
        while self.waiting.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, key)) = self.waiting.pop_front()
                && self.open.get(&key).is_some_and(Open::is_over)
            {
                self.finish(now, key);
            }
        }
    }

    /// Tells the records what an event means; says which of them it was about.
    fn tell(&mut self, at: Moment, event: &Event) -> [Option<Key>; 2] {
        match event {
            Event::LegStarted {
                leg,
                call,
                transfer,
                inbound,
                party,
                call_id,
            } => {
                if let Some(key) = self.is_back(*leg, *call) {
                    return [Some(key), None];
                }
                let known = self.taken_up(call_id, *inbound, *call);
                let key = known.unwrap_or_else(|| self.key_of(at, *call, *transfer));
                self.leg_started(at, key, *leg, *call, *transfer, *inbound, party, call_id);
                [Some(key), None]
            }
            // How a customer's call began was told by the process before this one.
            Event::CallStarted { call, .. } if self.restored.calls.contains(call) => [None, None],
            Event::CallStarted { call, leg, from, to } => [self.call_started(at, *call, *leg, from, to), None],
            Event::CallConnected { call, legs } => [self.connected(at, *call, legs), None],
            Event::CallForwarded { leg, to, .. } => [self.forwarded(*leg, to), None],
            Event::CallEnded { call, cause } => {
                self.hubs.remove(call);
                let key = self.calls.get(call).copied();
                if let Some(open) = key.and_then(|key| self.open.get_mut(&key)) {
                    open.calls.remove(call);
                    open.ended_by(*cause);
                }
                [key, None]
            }
            Event::LegRinging { leg, .. } => [
                self.leg(*leg, |leg| {
                    leg.ringing_at.get_or_insert(at);
                }),
                None,
            ],
            Event::LegConfirmed { leg, .. } => [
                self.leg(*leg, |leg| {
                    leg.answered_at.get_or_insert(at);
                }),
                None,
            ],
            Event::LegEnded { leg, cause } => [self.leg_ended(at, *leg, *cause), None],
            Event::TransferRequested {
                transfer,
                kind,
                mode,
                transferor,
                transferee,
                target,
                target_leg,
            } => {
                let asked = record::TransferRecord {
                    transfer: *transfer,
                    kind: *kind,
                    mode: *mode,
                    requested_at: at,
                    ended_at: None,
                    transferor_leg: *transferor,
                    transferor: String::new(),
                    transferee_leg: *transferee,
                    transferee: String::new(),
                    target: target.clone(),
                    target_leg: *target_leg,
                    outcome: None,
                    after: Vec::new(),
                };
                [self.requested(asked), None]
            }
            Event::TransferCompleted { transfer, target, .. } => {
                self.decided(at, *transfer, *target, Outcome::Completed)
            }
            Event::TransferFailed {
                transfer,
                reason,
                status,
            } => {
                let (reason, status) = (*reason, *status);
                self.decided(at, *transfer, None, Outcome::Failed { reason, status })
            }
            Event::Media(note) => [self.media(note), None],
            Event::Hub(note) => self.hub(at, note),
            Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::CallHeld { .. }
            | Event::CallResumed { .. }
            | Event::CallRestored { .. }
            | Event::TransferProgress { .. }
            | Event::WebhookFailed { .. }
            | Event::SourceLimited { .. }
            | Event::SourceBanned { .. }
            | Event::MessageRefused { .. } => [None, None],
        }
    }

    /// The record of a call or a transfer; a new one if neither has one.
    fn key_of(&mut self, at: Moment, call: Option<CallHandle>, transfer: Option<TransferHandle>) -> Key {
        let known = call.and_then(|call| self.calls.get(&call));
        let lent = transfer.and_then(|transfer| Some(&self.transfers.get(&transfer)?.of));
        if let Some(key) = known.or(lent) {
            return *key;
        }
        let key = self.next;
        self.next += 1;
        if self.open.len() >= MOST_OPEN
            && let Some(oldest) = self.open.keys().next().copied()
        {
            self.finish(at, oldest);
        }
        self.open.insert(key, Open::new(at, key));
        if let Some(call) = call {
            self.calls.insert(call, key);
        }
        key
    }

    fn media(&mut self, note: &MediaNote) -> Option<Key> {
        let key = *self.legs.get(&note.leg())?;
        let open = self.open.get_mut(&key)?;
        match note {
            MediaNote::RecordingStarted { leg, recording } => open.recording(recording, Some(*leg), None),
            MediaNote::RecordingFinished {
                leg,
                recording,
                milliseconds,
            } => open.recording(recording, Some(*leg), Some(*milliseconds)),
            MediaNote::Flowing { .. }
            | MediaNote::Silent { .. }
            | MediaNote::OneWay { .. }
            | MediaNote::Digit { .. }
            | MediaNote::PromptEnded { .. }
            | MediaNote::PromptMissing { .. }
            | MediaNote::Failed { .. }
            | MediaNote::NoPort { .. } => {}
        }
        Some(key)
    }

    fn finish_if_complete(&mut self, at: Moment, key: Key) {
        let Some(open) = self.open.get(&key) else { return };
        let over = open.is_over() && open.calls.iter().all(|call| self.hubs.contains(call));
        match (over, open.writing.is_empty()) {
            (false, _) => {}
            (true, true) => self.finish(at, key),
            (true, false) => self.waiting.push_back((Moment(at.0.saturating_add(WRITING)), key)),
        }
    }

    /// A record is complete: nothing leads to it any more.
    fn finish(&mut self, at: Moment, key: Key) {
        let Some(mut open) = self.open.remove(&key) else { return };
        for leg in open.legs() {
            if self.legs.get(&leg) == Some(&key) {
                self.legs.remove(&leg);
            }
        }
        for call in &open.record.calls {
            if self.calls.get(call) == Some(&key) {
                self.calls.remove(call);
            }
        }
        for transfer in &open.record.transfers {
            self.transfers.remove(&transfer.transfer);
            self.referred.remove(&transfer.transfer);
        }
        open.close(at);
        self.note_end(&open.record);
        self.ended.push_back(Arc::clone(&open.record));
        self.finished.push_back(open.record);
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        while self.ended.len() > self.keep {
            if let Some(oldest) = self.ended.pop_front() {
                self.note_gone(&oldest.id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
