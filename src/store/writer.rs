//! The thread that writes. Whoever has something to keep hands it over and goes on.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::key::place;
use super::{Store, StoreError, Stored};

/// Between two attempts at a disk that refuses.
const RETRY: Duration = Duration::from_secs(5);
/// Records that one write takes; more wait for the next.
const BATCH: usize = 4_096;

/// Told how many of the handed-over changes are kept for sure, counted from the first one.
pub type Committed = Box<dyn Fn(u64) + Send>;

/// Writes what it is handed, in order, many in one transaction when they come fast. Dropping it waits for the last write.
#[derive(Debug)]
pub struct Writer {
    queue: Option<Sender<Vec<Stored>>>,
    thread: Option<JoinHandle<()>>,
    handed: u64,
}

impl Writer {
    /// Starts the thread. Each write that succeeded is told to `committed`, on that thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(store: Box<dyn Store>, committed: Committed) -> std::io::Result<Writer> {
        let (queue, received) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("warmline-store".to_owned())
            .spawn(move || write(store, &received, &committed))?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
            handed: 0,
        })
    }

    /// Keeps these soon, all of them in one transaction; says which number that has.
    pub fn keep(&mut self, records: Vec<Stored>) -> u64 {
        self.handed += 1;
        if let Some(queue) = &self.queue {
            queue.send(records).ok(); // the thread ends only after us
        }
        self.handed
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

/// What waits to be written: of several changes of the same only the last one matters.
#[derive(Default)]
struct Waiting {
    records: BTreeMap<(&'static str, String), Stored>,
    taken: u64,
}

impl Waiting {
    fn take(&mut self, records: Vec<Stored>) {
        self.taken += 1;
        for record in records {
            self.records.insert(place(&record), record);
        }
    }
}

fn write(mut store: Box<dyn Store>, received: &Receiver<Vec<Stored>>, committed: &Committed) {
    let mut waiting = Waiting::default();
    loop {
        let next = if waiting.records.is_empty() {
            received.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            received.recv_timeout(RETRY)
        };
        let ended = match next {
            Ok(records) => {
                waiting.take(records);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        while waiting.records.len() < BATCH
            && let Ok(records) = received.try_recv()
        {
            waiting.take(records);
        }
        let batch: Vec<Stored> = waiting.records.values().cloned().collect();
        match store.keep(&batch) {
            Ok(()) => {
                waiting.records.clear();
                committed(waiting.taken);
            }
            Err(error) => report(&error, waiting.records.len()),
        }
        if ended {
            return;
        }
    }
}

fn report(error: &StoreError, waiting: usize) {
    tracing::error!(%error, waiting, "cannot write to the store; trying again");
}
