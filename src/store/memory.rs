//! The back end that forgets everything with its last copy: for tests of restarts, and as the measure of the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::key::place;
use super::{Identity, Store, StoreError, Stored, same_node};

#[derive(Debug, Default)]
struct Kept {
    identity: Option<Identity>,
    records: BTreeMap<(&'static str, String), Stored>,
}

/// A store in memory. Copies are the same store: one that was copied outlives the edge that it was given to.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Kept>>);

impl Memory {
    // Every change is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_gone(record: &Stored) -> bool {
    match record {
        Stored::User(user) => user.bindings.is_empty(),
        Stored::Leg(_, leg) => leg.is_none(),
        Stored::Call(_, call) => call.is_none(),
        Stored::Transfer(_, transfer) => transfer.is_none(),
    }
}

impl Store for Memory {
    fn identity(&mut self, fresh: Identity) -> Result<Identity, StoreError> {
        let found = self.lock().identity.get_or_insert_with(|| fresh.clone()).clone();
        same_node(found, &fresh)
    }

    fn records(&mut self) -> Result<Vec<Stored>, StoreError> {
        Ok(self.lock().records.values().cloned().collect())
    }

    fn keep(&mut self, records: &[Stored]) -> Result<(), StoreError> {
        let mut kept = self.lock();
        for record in records {
            if is_gone(record) {
                kept.records.remove(&place(record));
            } else {
                kept.records.insert(place(record), record.clone());
            }
        }
        Ok(())
    }
}
