//! The audit log: who asked for what, appended line by line to a file that shows when somebody changes it.
//!
//! Owns: the [`Chain`] of hashes, and the thread that appends. Refuses: to choose what is worth a line, and to keep anybody
//! waiting: what comes while the disk refuses is counted, and the count is the next line that it takes.
//!
//! ```
//! use warmline::store::Audit;
//!
//! let file = std::env::temp_dir().join(format!("warmline-audit-{}.jsonl", std::process::id()));
//! let now = "2026-11-20T17:00:00.000Z";
//! let audit = Audit::open(&file, now).unwrap();
//! audit.note(now.to_owned(), serde_json::json!({"what": "started"}));
//! drop(audit);
//! assert_eq!(warmline::store::Chain::of(&std::fs::read_to_string(&file).unwrap()).unwrap().number(), 1);
//! # std::fs::remove_file(&file).unwrap();
//! ```

mod chain;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

pub use chain::{Broken, Chain};
use serde_json::{Value, json};

/// Lines that may wait for the disk.
const WAITING: usize = 8_192;

/// Why an audit log is not written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file, or the disk below it.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is there, and is no whole chain.
    #[error("{path}: {broken}")]
    Broken {
        /// Which.
        path: String,
        /// Where.
        broken: Broken,
    },
}

/// Takes lines. Copies write to the same file; the last one that is dropped waits for the last line.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Option<SyncSender<(String, Value)>>,
    lost: Arc<AtomicU64>,
    lost_ever: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Audit {
    /// Opens the file, or makes it; goes on where it ends. `at`: now, as RFC 3339.
    ///
    /// # Errors
    /// When the system refuses the file, or when what is in it is no whole chain: nothing is ever written behind that.
    pub fn open(path: &Path, at: &str) -> Result<Audit, AuditError> {
        let system = |source| AuditError::File {
            path: path.display().to_string(),
            source,
        };
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .clone();
        let mut file = options.open(path).map_err(system)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(system)?;
        let chain = Chain::of(&text).map_err(|broken| AuditError::Broken {
            path: path.display().to_string(),
            broken,
        })?;
        let good = text.rfind('\n').map_or(0, |end| end + 1);
        let lost = Arc::new(AtomicU64::new(0));
        let lost_ever = Arc::new(AtomicU64::new(0));
        let (queue, lines) = sync_channel(WAITING);
        let mut page = Page {
            file,
            end: good as u64,
            chain,
            lost: Arc::clone(&lost),
            lost_ever: Arc::clone(&lost_ever),
        };
        page.cut().map_err(system)?;
        if good < text.len() {
            page.append(at, &json!({"what": "torn", "octets": text.len() - good}));
        }
        let thread = std::thread::Builder::new()
            .name("warmline-audit".to_owned())
            .spawn(move || page.write(&lines))
            .map_err(system)?;
        Ok(Audit(Arc::new(Inner {
            queue: Some(queue),
            lost,
            lost_ever,
            thread: Some(thread),
        })))
    }

    /// Writes a line, soon. `at`: when, as RFC 3339. `entry` is an object; `number`, `at`, `previous` and `hash` are not its to choose.
    pub fn note(&self, at: String, entry: Value) {
        let taken = self
            .0
            .queue
            .as_ref()
            .is_some_and(|queue| queue.try_send((at, entry)).is_ok());
        if !taken {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            self.0.lost_ever.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines the disk did not take, counted from the start: an alarm for whoever watches.
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.lost_ever)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit log's thread panicked");
        }
    }
}

struct Page {
    file: File,
    /// Behind the last whole line.
    end: u64,
    chain: Chain,
    /// Since the last line that says so.
    lost: Arc<AtomicU64>,
    lost_ever: Arc<AtomicU64>,
}

impl Page {
    fn write(&mut self, lines: &Receiver<(String, Value)>) {
        let mut last = None;
        while let Ok((at, entry)) = lines.recv() {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 && !self.append(&at, &json!({"what": "lost", "lines": lost})) {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
            if !self.append(&at, &entry) {
                self.lost.fetch_add(1, Ordering::Relaxed);
                self.lost_ever.fetch_add(1, Ordering::Relaxed);
            }
            last = Some(at);
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if let Some(at) = last.filter(|_| lost > 0) {
            self.append(&at, &json!({"what": "lost", "lines": lost}));
        }
        self.file.sync_data().ok(); // what the disk refuses now it has refused before
    }

    fn append(&mut self, at: &str, entry: &Value) -> bool {
        let line = self.chain.line(at, entry);
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.write_all(b"\n"));
        match written {
            Ok(()) => {
                self.chain.written(&line);
                self.end += line.len() as u64 + 1;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the audit log lost a line");
                // Half a line must not stay: the next would be hung to it.
                if let Err(error) = self.cut() {
                    tracing::error!(%error, "the audit log cannot be cut back");
                }
                false
            }
        }
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end)).map(|_| ())
    }
}
