//! The thread that writes. Whoever has something to keep notes it in the journal, hands it over and goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::journal::Journal;
use super::key::{Row, rows};
use super::{Store, StoreError, Stored};

/// Between two attempts at a disk that refuses.
const RETRY: Duration = Duration::from_secs(5);
/// Rows that one write takes; more wait for the next.
const BATCH: usize = 4_096;

/// Told up to which number everything is kept for sure.
pub type Committed = Box<dyn Fn(u64) + Send>;

/// Writes what it is handed, in order, many in one transaction when they come fast. Dropping it waits for the last write.
#[derive(Debug)]
pub struct Writer {
    queue: Option<Sender<Vec<Row>>>,
    thread: Option<JoinHandle<()>>,
    journal: Option<Journal>,
    handed: u64,
}

impl Writer {
    /// Starts the thread. Each write that succeeded is told to `committed`, on that thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(store: Box<dyn Store>, journal: Option<Journal>, committed: Committed) -> std::io::Result<Writer> {
        let (queue, received) = mpsc::channel();
        let told = journal.as_ref().map(Journal::committed).unwrap_or_default();
        let thread = std::thread::Builder::new()
            .name("warmline-store".to_owned())
            .spawn(move || write(store, &received, &told, &committed))?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
            journal,
            handed: 0,
        })
    }

    /// Notes these, and keeps them soon, all of them in one transaction; says which number that has.
    pub fn keep(&mut self, records: &[Stored]) -> u64 {
        self.handed += 1;
        let rows = rows(records);
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.note(self.handed, &rows)
        {
            // The tables have it a moment later, if the disk lets them.
            tracing::error!(%error, "cannot write to the store's journal");
        }
        if let Some(queue) = &self.queue {
            queue.send(rows).ok(); // the thread ends only after us
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
    rows: BTreeMap<(&'static str, String), Option<Vec<u8>>>,
    taken: u64,
}

impl Waiting {
    fn take(&mut self, rows: Vec<Row>) {
        self.taken += 1;
        for Row { table, key, value } in rows {
            self.rows.insert((table, key), value);
        }
    }

    fn batch(&self) -> Vec<Row> {
        let row = |((table, key), value): (&(&'static str, String), &Option<Vec<u8>>)| Row {
            table,
            key: key.clone(),
            value: value.clone(),
        };
        self.rows.iter().map(row).collect()
    }
}

fn write(mut store: Box<dyn Store>, received: &Receiver<Vec<Row>>, told: &Arc<AtomicU64>, committed: &Committed) {
    let mut waiting = Waiting::default();
    loop {
        let next = if waiting.rows.is_empty() {
            received.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            received.recv_timeout(RETRY)
        };
        let ended = match next {
            Ok(rows) => {
                waiting.take(rows);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        while waiting.rows.len() < BATCH
            && let Ok(rows) = received.try_recv()
        {
            waiting.take(rows);
        }
        match store.keep(&waiting.batch()) {
            Ok(()) => {
                waiting.rows.clear();
                told.store(waiting.taken, Ordering::Release);
                committed(waiting.taken);
            }
            Err(error) => report(&error, waiting.rows.len()),
        }
        if ended {
            return;
        }
    }
}

fn report(error: &StoreError, waiting: usize) {
    tracing::error!(%error, waiting, "cannot write to the store; trying again");
}
