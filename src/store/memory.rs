//! The back end that forgets everything with its last copy: for tests of restarts, and as the measure of the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::key::{Row, record};
use super::{Identity, Store, StoreError, Stored, same_node};

#[derive(Debug, Default)]
struct Kept {
    identity: Option<Identity>,
    rows: BTreeMap<(&'static str, String), Vec<u8>>,
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

impl Store for Memory {
    fn identity(&mut self, fresh: Identity) -> Result<Identity, StoreError> {
        let found = self.lock().identity.get_or_insert_with(|| fresh.clone()).clone();
        same_node(found, &fresh)
    }

    fn records(&mut self) -> Result<Vec<Stored>, StoreError> {
        let kept = self.lock();
        let read = kept
            .rows
            .iter()
            .filter_map(|((table, key), value)| record(table, key, value));
        Ok(read.collect())
    }

    fn keep(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let mut kept = self.lock();
        for row in rows {
            let place = (row.table, row.key.clone());
            match &row.value {
                Some(value) => drop(kept.rows.insert(place, value.clone())),
                None => drop(kept.rows.remove(&place)),
            }
        }
        Ok(())
    }
}
