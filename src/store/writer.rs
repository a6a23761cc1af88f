//! The thread that writes. Whoever has something to keep hands it over and goes on.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Store, StoreError};
use crate::registrar::StoredUser;

/// Between two attempts at a disk that refuses.
const RETRY: Duration = Duration::from_secs(5);
/// Users that one write takes; more wait for the next.
const BATCH: usize = 4_096;

/// Writes what it is handed, in order, many in one transaction when they come fast. Dropping it waits for the last write.
#[derive(Debug)]
pub struct Writer {
    queue: Option<Sender<StoredUser>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(store: Box<dyn Store>) -> std::io::Result<Writer> {
        let (queue, received) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("warmline-store".to_owned())
            .spawn(move || write(store, &received))?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Keeps this, soon.
    pub fn keep(&self, user: StoredUser) {
        if let Some(queue) = &self.queue {
            queue.send(user).ok(); // the thread ends only after us
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

fn write(mut store: Box<dyn Store>, received: &Receiver<StoredUser>) {
    // By user: of several changes only the last one matters.
    let mut waiting: BTreeMap<String, StoredUser> = BTreeMap::new();
    loop {
        let next = if waiting.is_empty() {
            received.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            received.recv_timeout(RETRY)
        };
        let ended = match next {
            Ok(user) => {
                waiting.insert(user.user.to_string(), user);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        while waiting.len() < BATCH
            && let Ok(user) = received.try_recv()
        {
            waiting.insert(user.user.to_string(), user);
        }
        let batch: Vec<StoredUser> = waiting.values().cloned().collect();
        match store.keep(&batch) {
            Ok(()) => waiting.clear(),
            Err(error) => report(&error, waiting.len()),
        }
        if ended {
            return;
        }
    }
}

fn report(error: &StoreError, waiting: usize) {
    tracing::error!(%error, waiting, "cannot keep bindings; trying again");
}
