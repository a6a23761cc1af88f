//! The back end that forgets everything with its last copy: for tests of restarts, and as the measure of the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Identity, Store, StoreError, same_node};
use crate::registrar::StoredUser;

#[derive(Debug, Default)]
struct Kept {
    identity: Option<Identity>,
    users: BTreeMap<String, StoredUser>,
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

    fn users(&mut self) -> Result<Vec<StoredUser>, StoreError> {
        Ok(self.lock().users.values().cloned().collect())
    }

    fn keep(&mut self, users: &[StoredUser]) -> Result<(), StoreError> {
        let mut kept = self.lock();
        for user in users {
            if user.bindings.is_empty() {
                kept.users.remove(user.user.as_str());
            } else {
                kept.users.insert(user.user.to_string(), user.clone());
            }
        }
        Ok(())
    }
}
