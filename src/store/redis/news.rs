//! What other nodes have changed of what belongs to all: registrations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Redis;
use crate::registrar::StoredUser;
use crate::store::key::rows_table;
use crate::store::{StoreError, Stored};

/// Between two attempts at a server that does not answer.
const AGAIN: Duration = Duration::from_millis(500);
/// After so long without news the thread looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(500);

/// Told the users whose bindings another node has changed (`true`); and all of them first, and again after each reconnection
/// (`false`).
pub type News = Box<dyn Fn(Vec<StoredUser>, bool) + Send>;

impl Redis {
    /// Listens until nobody wants it any more; for a thread of its own.
    pub fn listen(mut self, wanted: &Arc<AtomicBool>, news: &News) {
        while wanted.load(Ordering::Relaxed) {
            if let Err(error) = self.listen_once(wanted, news) {
                tracing::debug!(%error, "the store's news are interrupted");
            }
            std::thread::park_timeout(AGAIN);
        }
    }

    fn listen_once(&mut self, wanted: &Arc<AtomicBool>, news: &News) -> Result<(), StoreError> {
        let mut reader = self.of(None, self.origin);
        let (channel, own) = (self.key("bindings"), self.origin.to_string());
        let mut connection = self.connected().map_err(|error| self.failed(&error))?;
        let mut subscription = connection.as_pubsub();
        subscription.subscribe(&channel).map_err(|error| self.failed(&error))?;
        // What changed before the subscription began is read whole; what changes from now on is told.
        news(users(reader.rows_of(rows_table())?), false);
        subscription
            .set_read_timeout(Some(LOOK_UP))
            .map_err(|error| self.failed(&error))?;
        while wanted.load(Ordering::Relaxed) {
            let message = match subscription.get_message() {
                Ok(message) => message,
                Err(error) if error.is_timeout() => continue,
                Err(error) => return Err(self.failed(&error)),
            };
            let text: String = message.get_payload().unwrap_or_default();
            if let Some((origin, user)) = text.split_once(' ')
                && origin != own
            {
                news(vec![reader.user(user)?], true);
            }
        }
        Ok(())
    }

    fn failed(&self, error: &redis::RedisError) -> StoreError {
        StoreError::Unreachable {
            place: self.place.clone(),
            why: error.to_string(),
        }
    }

    /// One user as the store has it; without bindings when it is not there.
    fn user(&mut self, user: &str) -> Result<StoredUser, StoreError> {
        let key = self.key(rows_table());
        let value: Option<Vec<u8>> = self.ask(|connection| redis::cmd("HGET").arg(&key).arg(user).query(connection))?;
        let found = value.and_then(|value| crate::store::key::record(rows_table(), user, &value));
        if let Some(Stored::User(user)) = found {
            return Ok(user);
        }
        Ok(StoredUser {
            user: user.into(),
            bindings: Vec::new(),
        })
    }
}

fn users(records: Vec<Stored>) -> Vec<StoredUser> {
    let mut users = Vec::new();
    for record in records {
        if let Stored::User(user) = record {
            users.push(user);
        }
    }
    users
}
