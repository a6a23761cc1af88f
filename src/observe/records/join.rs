//! A record while it grows: what it waits for, and how two become one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Key, MOST, Open, Record, Records};
use crate::engine::{CallHandle, Cause, LegHandle};
use crate::vocabulary::Moment;

impl Open {
    pub(super) fn new(at: Moment, key: Key) -> Open {
        let record = Record {
            id: format!("{:x}-{key:x}", at.0),
            joined: Vec::new(),
            from: String::new(),
            to: String::new(),
            started_at: at,
            answered_at: None,
            ended_at: None,
            cause: None,
            parties: Vec::new(),
            calls: Vec::new(),
            legs: Vec::new(),
            transfers: Vec::new(),
            recordings: Vec::new(),
            left_out: 0,
        };
        Open {
            record: Arc::new(record),
            live: BTreeSet::new(),
            calls: BTreeSet::new(),
            running: BTreeSet::new(),
            writing: BTreeSet::new(),
        }
    }

    /// The record, to be changed; whoever reads it at this moment keeps what it has.
    pub(super) fn change(&mut self) -> &mut Record {
        Arc::make_mut(&mut self.record)
    }

    pub(super) fn in_call(&mut self, call: CallHandle) {
        self.calls.insert(call);
        let record = self.change();
        if !record.calls.contains(&call) && record.calls.len() < MOST {
            record.calls.push(call);
        }
    }

    /// One of its calls ended. That a call ended because its parties were handed over is no end of the customer's.
    pub(super) fn ended_by(&mut self, cause: Cause) {
        if cause != Cause::Transferred {
            self.change().cause = Some(cause);
        }
    }

    /// Nobody is there, and nobody will come.
    pub(super) fn is_over(&self) -> bool {
        self.live.is_empty() && self.running.is_empty()
    }

    /// Every leg that may lead here.
    pub(super) fn legs(&self) -> Vec<LegHandle> {
        let known = self.record.legs.iter().map(|leg| leg.leg);
        known.chain(self.live.iter().copied()).collect()
    }

    pub(super) fn close(&mut self, at: Moment) {
        let record = self.change();
        record.ended_at = Some(at);
        if record.cause.is_none() {
            let ended = record.legs.iter().max_by_key(|leg| leg.ended_at);
            record.cause = ended.and_then(|leg| leg.cause);
        }
    }
}

impl Records {
    /// Everything of one record becomes part of another.
    pub(super) fn join(&mut self, into: Key, from: Key) {
        if into == from || !self.open.contains_key(&into) {
            return;
        }
        let Some(gone) = self.open.remove(&from) else { return };
        self.note_gone(&gone.record.id);
        for leg in gone.legs() {
            if self.legs.get(&leg) == Some(&from) {
                self.legs.insert(leg, into);
            }
        }
        for call in gone.record.calls.iter().chain(&gone.calls) {
            if self.calls.get(call) == Some(&from) {
                self.calls.insert(*call, into);
            }
        }
        let named = gone.record.transfers.iter().map(|asked| &asked.transfer);
        for transfer in named.chain(&gone.running) {
            if let Some(running) = self.transfers.get_mut(transfer) {
                if running.of == from {
                    running.of = into;
                }
                running.consult = match running.consult {
                    Some(consult) if consult == from => (running.of != into).then_some(into),
                    consult @ (Some(_) | None) => consult.filter(|consult| *consult != running.of),
                };
            }
        }
        if let Some(open) = self.open.get_mut(&into) {
            open.take(gone);
        }
        self.changed(into);
    }
}

impl Open {
    fn take(&mut self, gone: Open) {
        let Open {
            record: theirs,
            live,
            calls,
            running,
            writing,
        } = gone;
        self.live.extend(live);
        self.calls.extend(calls);
        self.running.extend(running);
        self.writing.extend(writing);
        let theirs = Arc::unwrap_or_clone(theirs);
        let record = self.change();
        record.joined.push(theirs.id);
        record.joined.extend(theirs.joined);
        record.started_at = record.started_at.min(theirs.started_at);
        record.answered_at = match (record.answered_at, theirs.answered_at) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        for party in &theirs.parties {
            record.involved(party);
        }
        record.left_out += theirs.left_out;
        record.left_out += append(&mut record.calls, theirs.calls);
        record.left_out += append(&mut record.legs, theirs.legs);
        record.left_out += append(&mut record.transfers, theirs.transfers);
        record.left_out += append(&mut record.recordings, theirs.recordings);
        record.joined.truncate(MOST);
        record.legs.sort_by_key(|leg| leg.started_at);
        record.transfers.sort_by_key(|asked| asked.requested_at);
    }
}

/// Appends what there is room for; says how many there was none for.
fn append<T>(list: &mut Vec<T>, mut more: Vec<T>) -> usize {
    let room = MOST.saturating_sub(list.len());
    let beyond = more.len().saturating_sub(room);
    more.truncate(room);
    list.extend(more);
    beyond
}
