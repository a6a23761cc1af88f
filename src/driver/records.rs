//! Call records between the engine's thread, which makes them, the API, which asks for them, and a file of JSON lines.
//!
//! Making a record is a look-up and a few copies; a thread of its own turns complete ones into text and waits for the disk.
//! A disk that is full or gone costs lines, which are counted and told, never a call. The file is opened again after
//! [`CallRecords::reopen`] (a rotation moved it away), and after a write that failed.
//!
//! With a store, a record stands there until its line is written: a process that is killed in between leaves it to the next
//! one, which looks at the end of the file before it writes it.

mod file;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::bind::StartError;
use super::clock;
use crate::api::moment;
use crate::engine::{Engine, Event, NoteKind, Stored};
use crate::observe::{Living, Metrics, Record, RecordPage, Records, StoredRecord, find_record, page_of_records};
use crate::vocabulary::{LegHandle, Moment, RecordQuery};

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
    /// Whose lines are written.
    written: Option<Receiver<String>>,
}

impl RecordMaker {
    /// `back`: what a store has of a process before this one; `None`: there is no store.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, or the system refuses a thread.
    pub(super) fn start(
        options: &RecordOptions,
        metrics: &Arc<Metrics>,
        back: Option<Vec<String>>,
    ) -> Result<RecordMaker, StartError> {
        let refused = |what| move |source| StartError::System { what, source };
        let mut made = Records::new(options.keep);
        let keeps = back.is_some();
        if keeps {
            made = made.keeping();
        }
        let mut file = None;
        if let Some(path) = &options.file {
            let opened = file::Lines::open(path, keeps).map_err(refused("the file of call records"))?;
            made.remember(
                opened
                    .last(options.keep.max(WAITING))
                    .map_err(refused("the file of call records"))?,
            );
            file = Some(opened);
        }
        let late = made.take_back(back.into_iter().flatten().filter_map(|text| read(&text)).collect());
        let records = CallRecords {
            records: Arc::new(Mutex::new(made)),
            reopen: Arc::default(),
        };
        let (mut lines, mut thread, mut written) = (None, None, None);
        if let Some(file) = file {
            let (sender, received) = sync_channel(WAITING);
            let (done, told) = channel();
            let (reopen, counted) = (Arc::clone(&records.reopen), Arc::clone(metrics));
            let started = std::thread::Builder::new()
                .name("warmline-records".to_owned())
                .spawn(move || file.write(&received, &reopen, &counted, keeps.then_some(done)));
            thread = Some(started.map_err(refused("a thread"))?);
            (lines, written) = (Some(sender), Some(told));
        }
        let maker = RecordMaker {
            records,
            lines,
            metrics: Arc::clone(metrics),
            thread,
            written,
        };
        late.into_iter().for_each(|record| maker.write(record));
        Ok(maker)
    }

    /// The engine has taken back what it could: whatever has not come back has ended.
    pub(super) fn settle_restored(&self, at: Moment, engine: &Engine) {
        let (legs, calls, transfers) = engine.living();
        let living = Living {
            legs: legs.into_iter().collect(),
            calls: calls.into_iter().collect(),
            transfers: transfers.into_iter().collect(),
        };
        let mut records = self.records.lock();
        records.settle_restored(at, &living);
        while let Some(record) = records.poll_finished() {
            self.write(record);
        }
    }

    /// Records of a node that was taken over go on here; each by its id, with the text that is to be kept from now on.
    pub(super) fn take_back(&self, texts: &[String]) -> Vec<(String, String)> {
        let read: Vec<(StoredRecord, &String)> = texts.iter().filter_map(|text| Some((read(text)?, text))).collect();
        let kept = read
            .iter()
            .map(|(stored, text)| (stored.record.id.to_string(), (*text).clone()));
        let kept = kept.collect();
        let late = self
            .records
            .lock()
            .take_back(read.into_iter().map(|(stored, _)| stored).collect());
        late.into_iter().for_each(|record| self.write(record));
        kept
    }

    /// Has the store forget the records of these legs: this process writes them, and no other one.
    pub(super) fn forget_of(&self, legs: &[LegHandle]) -> Vec<Stored> {
        let ids = self.records.lock().ids_of(legs);
        let note = |id: String| Stored::Note(NoteKind::Record, id.into(), None);
        ids.into_iter().map(note).collect()
    }

    /// What is to be kept of the records since this was asked last.
    pub(super) fn changes(&self) -> Vec<Stored> {
        let mut records = self.records.lock();
        for id in self.written.iter().flat_map(Receiver::try_iter) {
            records.note_gone(&id);
        }
        let mut changes = Vec::new();
        while let Some((id, stored)) = records.poll_changed() {
            let text = stored.map(|stored| serde_json::to_string(&stored));
            match text.transpose() {
                Ok(text) => changes.push(Stored::Note(NoteKind::Record, id.into(), text)),
                Err(error) => tracing::error!(%error, "a call record cannot be kept"),
            }
        }
        changes
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

fn read(text: &str) -> Option<StoredRecord> {
    let read = serde_json::from_str(text);
    read.inspect_err(|error| tracing::warn!(%error, "a stored call record cannot be read and is left out"))
        .ok()
}

#[cfg(test)]
mod tests;
