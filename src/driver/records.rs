//! Call records between the engine's thread, which makes them, the API, which asks for them, and a file of JSON lines.
//!
//! Making a record is a look-up and a few copies; a thread of its own turns complete ones into text and waits for the disk.
//! A disk that is full or gone costs lines, which are counted and told, never a call. The file is opened again after
//! [`CallRecords::reopen`] (a rotation moved it away), and after a write that failed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::bind::StartError;
use super::clock;
use crate::api::moment;
use crate::engine::Event;
use crate::observe::{Metrics, Record, RecordPage, Records, find_record, page_of_records};
use crate::vocabulary::{Moment, RecordQuery};

/// Records that may wait for a slow disk.
const WAITING: usize = 4_096;

/// What is kept of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Complete records in memory.
    pub keep: usize,
    /// Where they are appended; `None`: nowhere.
    pub file: Option<PathBuf>,
}

impl Default for RecordOptions {
    fn default() -> Self {
        RecordOptions {
            keep: 1_000,
            file: None,
        }
    }
}

/// The records of the calls that are up and of the last ones. Copies are the same thing.
#[derive(Clone, Debug)]
pub struct CallRecords {
    records: Arc<Mutex<Records>>,
    reopen: Arc<AtomicBool>,
}

impl CallRecords {
    /// Those that are asked for, the newest first.
    pub fn page(&self, query: &RecordQuery) -> RecordPage {
        page_of_records(self.all(), query)
    }

    /// The one with this id, or the one that has taken it in.
    pub fn find(&self, id: &str) -> Option<Arc<Record>> {
        find_record(self.all(), id)
    }

    /// The file was moved away: the next line goes into a new one under the old name.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    fn all(&self) -> Vec<Arc<Record>> {
        self.lock().all()
    }

    // A reader changes nothing, and every change is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's end: it is shown every event. Dropping it waits until the last line is written.
#[derive(Debug)]
pub(super) struct RecordMaker {
    records: CallRecords,
    lines: Option<SyncSender<Arc<Record>>>,
    metrics: Arc<Metrics>,
    thread: Option<JoinHandle<()>>,
}

impl RecordMaker {
    /// # Errors
    /// When the file cannot be opened for appending, or the system refuses a thread.
    pub(super) fn start(options: &RecordOptions, metrics: &Arc<Metrics>) -> Result<RecordMaker, StartError> {
        let records = CallRecords {
            records: Arc::new(Mutex::new(Records::new(options.keep))),
            reopen: Arc::default(),
        };
        let (mut lines, mut thread) = (None, None);
        if let Some(path) = &options.file {
            let refused = |what| move |source| StartError::System { what, source };
            let file = Lines {
                file: Some(open(path).map_err(refused("the file of call records"))?),
                path: path.clone(),
                torn: false,
                lost: 0,
            };
            let (sender, received) = sync_channel(WAITING);
            let (reopen, counted) = (Arc::clone(&records.reopen), Arc::clone(metrics));
            let started = std::thread::Builder::new()
                .name("warmline-records".to_owned())
                .spawn(move || write(file, &received, &reopen, &counted));
            thread = Some(started.map_err(refused("a thread"))?);
            lines = Some(sender);
        }
        Ok(RecordMaker {
            records,
            lines,
            metrics: Arc::clone(metrics),
            thread,
        })
    }

    pub(super) fn records(&self) -> CallRecords {
        self.records.clone()
    }

    /// Something happened.
    pub(super) fn event(&self, at: Moment, event: &Event) {
        let mut records = self.records.lock();
        records.event(at, event);
        while let Some(record) = records.poll_finished() {
            self.write(record);
        }
    }

    fn write(&self, record: Arc<Record>) {
        let Some(lines) = &self.lines else { return };
        match lines.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.metrics.record_lost(),
        }
    }
}

impl Drop for RecordMaker {
    fn drop(&mut self) {
        let mut records = self.records.lock();
        // What only waited for the end of its recordings has waited long enough.
        records.settle(Moment(moment(clock::wall()).0.saturating_add(60_000)));
        while let Some(record) = records.poll_finished() {
            self.write(record);
        }
        drop(records);
        self.lines = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the call records panicked");
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // Who called whom is nobody's business but the edge's.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

struct Lines {
    path: PathBuf,
    /// `None`: to be opened again.
    file: Option<File>,
    /// The last write failed, perhaps in the middle of a line.
    torn: bool,
    /// Since the last line that was written.
    lost: u64,
}

fn write(mut lines: Lines, received: &Receiver<Arc<Record>>, reopen: &AtomicBool, metrics: &Metrics) {
    while let Ok(record) = received.recv() {
        if reopen.swap(false, Ordering::Relaxed) {
            lines.file = None;
        }
        match lines.append(&record) {
            Ok(()) if lines.lost > 0 => {
                tracing::warn!(lost = lines.lost, file = %lines.path.display(), "call records are written again");
                lines.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                metrics.record_lost();
                // Told once, and again when it is over: a full disk is no reason to fill a log.
                if lines.lost == 0 {
                    tracing::error!(%error, file = %lines.path.display(), "call records cannot be written; calls go on");
                }
                lines.lost += 1;
                lines.file = None;
            }
        }
    }
}

impl Lines {
    fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = Vec::new();
        if self.torn {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        let file = match &mut self.file {
            Some(file) => file,
            closed @ None => closed.insert(open(&self.path)?),
        };
        self.torn = true;
        file.write_all(&line)?;
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
