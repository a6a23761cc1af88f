//! The thread that writes. Whoever has something to keep notes it in the journal, hands it over and goes on.
//!
//! What waits is one value for each key, the latest; and there is a bound. A store that does not come back costs what was
//! closed first (it is found to be closed by whoever restores it), then what is new; both are counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::journal::Journal;
use super::key::{Row, rows};
use super::{Store, StoreError, Stored};

/// Between two attempts at a store that refuses.
const RETRY: Duration = Duration::from_millis(500);
/// Rows that may wait: some hundred megabytes at the most.
const BOUND: usize = 200_000;

/// What the writer tells, on its own thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Up to this number everything is kept for sure.
    UpTo(u64),
    /// The store does not take it; it is tried again. Told once.
    Failing,
    /// The store takes it again. Told once.
    Again,
    /// Somebody else keeps for this node now: nothing is written any more.
    Fenced {
        /// The token that stands there, if any.
        stands: Option<u64>,
    },
}

/// Hears what the writer tells.
pub type Told = Box<dyn Fn(Written) + Send>;

/// Writes what it is handed, in order, many in one transaction when they come fast. Dropping it waits for the last write.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    journal: Option<Journal>,
    handed: u64,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    more: Condvar,
    dropped: AtomicU64,
}

impl Shared {
    // Every change is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(store: Box<dyn Store>, journal: Option<Journal>, told: Told) -> std::io::Result<Writer> {
        let committed = journal.as_ref().map(Journal::committed).unwrap_or_default();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("warmline-store".to_owned())
            .spawn(move || write(store, &theirs, &committed, &told))?;
        Ok(Writer {
            shared,
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
        let dropped = self.shared.lock().take(rows);
        self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.shared.more.notify_one();
        self.handed
    }

    /// Rows that wait for the store.
    pub fn waiting(&self) -> usize {
        let waiting = self.shared.lock();
        waiting.rows.len() + waiting.under_way
    }

    /// Rows that were given up because too many waited.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Ends without another write: what it had to keep belongs to somebody else.
    pub fn abandon(mut self) {
        self.shared.lock().abandoned = true;
        self.thread = None;
        self.shared.more.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.more.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

type Key = (&'static str, String);
type Rows = BTreeMap<Key, Option<Vec<u8>>>;

/// What waits to be written: of several changes of the same only the last one matters.
#[derive(Debug, Default)]
struct Waiting {
    rows: Rows,
    /// Those of them that forget something, oldest first; some may have been replaced since.
    closed: VecDeque<Key>,
    taken: u64,
    under_way: usize,
    ended: bool,
    abandoned: bool,
}

impl Waiting {
    /// Says how many were given up for it.
    fn take(&mut self, rows: Vec<Row>) -> u64 {
        self.taken += 1;
        let mut dropped = 0;
        for Row { table, key, value } in rows {
            let key = (table, key);
            if self.rows.len() + self.under_way >= BOUND && !self.rows.contains_key(&key) {
                dropped += 1;
                if value.is_none() || !self.give_up_closed() {
                    continue;
                }
            }
            if value.is_none() {
                self.closed.push_back(key.clone());
            }
            self.rows.insert(key, value);
        }
        dropped
    }

    fn give_up_closed(&mut self) -> bool {
        while let Some(key) = self.closed.pop_front() {
            if self.rows.get(&key).is_some_and(Option::is_none) {
                self.rows.remove(&key);
                return true;
            }
        }
        false
    }

    fn start(&mut self) -> (Vec<Row>, u64) {
        self.closed.clear();
        let rows = std::mem::take(&mut self.rows);
        self.under_way = rows.len();
        let row = |((table, key), value)| Row { table, key, value };
        (rows.into_iter().map(row).collect(), self.taken)
    }

    /// What could not be written waits again, unless there is something newer.
    fn back(&mut self, rows: Vec<Row>) {
        self.under_way = 0;
        for Row { table, key, value } in rows {
            let key = (table, key);
            if value.is_none() && !self.rows.contains_key(&key) {
                self.closed.push_back(key.clone());
            }
            self.rows.entry(key).or_insert(value);
        }
    }
}

fn write(mut store: Box<dyn Store>, shared: &Shared, committed: &AtomicU64, told: &Told) {
    let mut failing = false;
    loop {
        let mut waiting = shared.lock();
        while !failing && waiting.rows.is_empty() && !waiting.ended && !waiting.abandoned {
            waiting = shared.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.abandoned {
            return;
        }
        let ended = waiting.ended;
        let (rows, taken) = waiting.start();
        drop(waiting);
        match store.keep(&rows) {
            Ok(()) => {
                shared.lock().under_way = 0;
                committed.store(taken, Ordering::Release);
                if std::mem::take(&mut failing) {
                    told(Written::Again);
                }
                told(Written::UpTo(taken));
            }
            Err(StoreError::Fenced { stands, .. }) => {
                shared.lock().under_way = 0;
                told(Written::Fenced { stands });
                return;
            }
            Err(error) => {
                tracing::error!(%error, waiting = rows.len(), "cannot write to the store; trying again");
                shared.lock().back(rows);
                if !std::mem::replace(&mut failing, true) {
                    told(Written::Failing);
                }
            }
        }
        if ended {
            return;
        }
        if failing {
            let waiting = shared.lock();
            let rest = shared
                .more
                .wait_timeout_while(waiting, RETRY, |waiting| !waiting.ended && !waiting.abandoned);
            drop(rest);
        }
    }
}
