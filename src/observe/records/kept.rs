//! What outlives a process of the records: those under way with all that they wait for, and the complete ones that are still
//! remembered.
//!
//! | when the process died | in the next one |
//! |---|---|
//! | a leg, a call or a transfer of a record lived, and lives | the same record goes on |
//! | it lived, and has not come back | it ends at the start of the next process, as lost |
//! | a caller waited for an answer, and its INVITE was taken up | its new leg is of the same record: one customer's call |
//! | a record was complete | it is remembered; whether it stands in a file is the host's to know |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Key, Open, Outcome, Record, Records, Running};
use crate::engine::{CallHandle, Cause, LegHandle, TransferFailure, TransferHandle};
use crate::vocabulary::Moment;

/// A record as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredRecord {
    /// The record; with `ended_at` it is complete, and nothing else matters.
    pub record: Record,
    /// Legs that live.
    pub live: Vec<LegHandle>,
    /// Calls that have not ended.
    pub calls: Vec<CallHandle>,
    /// Those of them that are hubs.
    pub hubs: Vec<CallHandle>,
    /// Transfers that are not decided.
    pub running: Vec<TransferHandle>,
    /// Those of them whose consult this record is; the customer's is another one.
    pub consults: Vec<TransferHandle>,
    /// Who was sent where by a REFER of ours, by which transfer.
    pub referred: Vec<(TransferHandle, (String, String))>,
}

/// What has changed since it was asked last.
#[derive(Debug, Default)]
pub(super) struct Changes {
    open: BTreeSet<Key>,
    ended: BTreeMap<String, Option<Arc<Record>>>,
}

/// What came back, until [`Records::settle_restored`].
#[derive(Debug, Default)]
pub(super) struct Restored {
    legs: BTreeSet<LegHandle>,
    pub(super) calls: BTreeSet<CallHandle>,
    transfers: BTreeSet<TransferHandle>,
    /// Callers that waited for an answer, by Call-ID.
    callers: BTreeMap<String, Key>,
}

/// What lives in the engine after it has taken back what it could.
#[derive(Clone, Debug, Default)]
pub struct Living {
    /// Legs whose end observers have not been told.
    pub legs: BTreeSet<LegHandle>,
    /// Calls.
    pub calls: BTreeSet<CallHandle>,
    /// Transfers.
    pub transfers: BTreeSet<TransferHandle>,
}

impl Records {
    /// From now on [`Records::poll_changed`] says what is to be kept.
    pub fn keeping(mut self) -> Records {
        self.kept = Some(Changes::default());
        self
    }

    /// Takes back what a process before this one kept; gives the complete ones once more that are not
    /// [remembered](Records::remember) already.
    pub fn take_back(&mut self, stored: Vec<StoredRecord>) -> Vec<Arc<Record>> {
        let (mut ended, open): (Vec<_>, Vec<_>) = stored.into_iter().partition(|kept| kept.record.ended_at.is_some());
        ended.sort_by_key(|kept| kept.record.ended_at);
        let mut new = Vec::new();
        for kept in ended {
            match self.ended.iter().any(|known| known.id == kept.record.id) {
                true => self.note_gone(&kept.record.id),
                false => new.push(Arc::new(kept.record)),
            }
        }
        self.ended.extend(new.iter().map(Arc::clone));
        self.forget_oldest();
        for kept in open {
            self.open_again(kept);
        }
        new
    }

    /// Complete ones of processes before this one, oldest first, as they stand in a file.
    pub fn remember(&mut self, ended: Vec<Record>) {
        for record in ended {
            if !self.ended.iter().any(|known| known.id == record.id) {
                self.ended.push_back(Arc::new(record));
            }
        }
        self.forget_oldest();
    }

    fn open_again(&mut self, kept: StoredRecord) {
        let key = self.next;
        self.next += 1;
        let StoredRecord {
            record, live, calls, ..
        } = kept;
        for leg in &live {
            self.legs.insert(*leg, key);
            let waits = |leg: &&super::LegRecord| leg.inbound && leg.answered_at.is_none();
            if let Some(caller) = record.leg(*leg).filter(waits) {
                self.restored.callers.insert(caller.call_id.clone(), key);
            }
        }
        for call in &calls {
            self.calls.insert(*call, key);
        }
        self.hubs.extend(kept.hubs);
        for transfer in &kept.running {
            let running = self
                .transfers
                .entry(*transfer)
                .or_insert(Running { of: key, consult: None });
            match kept.consults.contains(transfer) {
                true => running.consult = Some(key),
                false => running.of = key,
            }
        }
        self.referred.extend(kept.referred);
        self.restored.legs.extend(&live);
        self.restored.calls.extend(&calls);
        self.restored.transfers.extend(&kept.running);
        let open = Open {
            record: Arc::new(record),
            live: live.into_iter().collect(),
            calls: calls.into_iter().collect(),
            running: kept.running.into_iter().collect(),
            // Whoever wrote them is gone.
            writing: BTreeSet::new(),
        };
        self.open.insert(key, open);
    }

    /// Whether this leg was there before the process.
    pub(super) fn is_back(&mut self, leg: LegHandle, call: Option<CallHandle>) -> Option<Key> {
        let key = *self.legs.get(&leg).filter(|_| self.restored.legs.contains(&leg))?;
        if let (Some(call), Some(open)) = (call, self.open.get_mut(&key)) {
            open.in_call(call);
            self.calls.insert(call, key);
        }
        Some(key)
    }

    /// The record of a caller whose INVITE was taken up by this process.
    pub(super) fn taken_up(&mut self, call_id: &str, inbound: bool, call: Option<CallHandle>) -> Option<Key> {
        let key = *self.restored.callers.get(call_id).filter(|_| inbound)?;
        let open = self.open.get_mut(&key)?;
        if let Some(call) = call {
            open.in_call(call);
            self.calls.insert(call, key);
        }
        Some(key)
    }

    /// The engine has taken back what it could: everything else has ended.
    pub fn settle_restored(&mut self, at: Moment, living: &Living) {
        let Restored { legs, transfers, .. } = std::mem::take(&mut self.restored);
        let mut touched = BTreeSet::new();
        for transfer in transfers.difference(&living.transfers) {
            let (reason, status) = (TransferFailure::Interrupted, None);
            touched.extend(
                self.decided(at, *transfer, None, Outcome::Failed { reason, status })
                    .into_iter()
                    .flatten(),
            );
        }
        for leg in legs.difference(&living.legs) {
            touched.extend(self.leg_ended(at, *leg, Cause::Lost));
        }
        // A leg that is back to be released names its call, which may be over already.
        let gone = |call: &&CallHandle| !living.calls.contains(*call);
        let calls: Vec<CallHandle> = self.calls.keys().filter(gone).copied().collect();
        for call in &calls {
            self.hubs.remove(call);
            let key = self.calls.get(call).copied();
            if let Some(open) = key.and_then(|key| self.open.get_mut(&key)) {
                open.calls.remove(call);
            }
            touched.extend(key);
        }
        // One that waited for a recording alone waits no more.
        touched.extend(self.open.iter().filter(|(_, open)| open.is_over()).map(|(key, _)| *key));
        for key in touched {
            self.changed(key);
            self.finish_if_complete(at, key);
        }
    }

    pub(super) fn changed(&mut self, key: Key) {
        if let Some(kept) = &mut self.kept
            && self.open.contains_key(&key)
        {
            kept.open.insert(key);
        }
    }

    pub(super) fn note_end(&mut self, record: &Arc<Record>) {
        if let Some(kept) = &mut self.kept {
            kept.ended.insert(record.id.clone(), Some(Arc::clone(record)));
        }
    }

    /// Nobody has to keep this one any more.
    pub fn note_gone(&mut self, id: &str) {
        if let Some(kept) = &mut self.kept {
            kept.ended.insert(id.to_owned(), None);
        }
    }

    /// The next record that is to be kept as it is now, by its id; `None` beside it: to be forgotten.
    pub fn poll_changed(&mut self) -> Option<(String, Option<StoredRecord>)> {
        let kept = self.kept.as_mut()?;
        while let Some(key) = kept.open.pop_first() {
            let Some(open) = self.open.get(&key) else { continue };
            let referred = |transfer: &TransferHandle| Some((*transfer, self.referred.get(transfer)?.clone()));
            let consult = |transfer: &&TransferHandle| self.transfers.get(transfer).is_some_and(|kept| kept.of != key);
            let stored = StoredRecord {
                record: (*open.record).clone(),
                live: open.live.iter().copied().collect(),
                calls: open.calls.iter().copied().collect(),
                hubs: open
                    .calls
                    .iter()
                    .copied()
                    .filter(|call| self.hubs.contains(call))
                    .collect(),
                running: open.running.iter().copied().collect(),
                consults: open.running.iter().filter(consult).copied().collect(),
                referred: open.running.iter().filter_map(referred).collect(),
            };
            return Some((open.record.id.clone(), Some(stored)));
        }
        let (id, record) = kept.ended.pop_first()?;
        let stored = record.map(|record| StoredRecord {
            record: Arc::unwrap_or_clone(record),
            live: Vec::new(),
            calls: Vec::new(),
            hubs: Vec::new(),
            running: Vec::new(),
            consults: Vec::new(),
            referred: Vec::new(),
        });
        Some((id, stored))
    }
}
