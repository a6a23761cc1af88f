//! The file of call records: one line of JSON each, appended; and its end, read when a process begins.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use crate::observe::{Metrics, Record};

/// So much of the end of the file is looked at.
const END: u64 = 16 << 20;

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).read(true);
    // Who called whom is nobody's business but the edge's.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) struct Lines {
    path: PathBuf,
    /// `None`: to be opened again.
    file: Option<File>,
    /// The last write failed, perhaps in the middle of a line.
    torn: bool,
    /// Since the last line that was written.
    lost: u64,
}

impl Lines {
    /// `again`: a line that a process was killed in is written once more, and its beginning is cut off.
    pub(super) fn open(path: &Path, again: bool) -> io::Result<Lines> {
        let file = open(path)?;
        let mut lines = Lines {
            file: Some(file),
            path: path.to_owned(),
            torn: false,
            lost: 0,
        };
        let (end, whole) = lines.end()?;
        let rest = end.iter().rev().take_while(|octet| **octet != b'\n').count() as u64;
        lines.torn = rest > 0;
        if let (true, true, Some(file)) = (lines.torn, again, &lines.file) {
            tracing::warn!(octets = rest, file = %path.display(), "the last call record was cut off: it is written again");
            file.set_len(whole - rest)?;
            lines.torn = false;
        }
        Ok(lines)
    }

    /// The end of the file, and its length; of what cannot be read back (a pipe, a device) nothing.
    fn end(&self) -> io::Result<(Vec<u8>, u64)> {
        let mut octets = Vec::new();
        let Some(mut file) = self
            .file
            .as_ref()
            .filter(|file| file.metadata().is_ok_and(|about| about.is_file()))
        else {
            return Ok((octets, 0));
        };
        let whole = file.metadata()?.len();
        file.seek(SeekFrom::Start(whole.saturating_sub(END)))?;
        file.take(END).read_to_end(&mut octets)?;
        Ok((octets, whole))
    }

    /// The last records, oldest first. Lines that are none are passed over.
    pub(super) fn last(&self, most: usize) -> io::Result<Vec<Record>> {
        let (octets, _) = self.end()?;
        let read = octets
            .rsplit(|octet| *octet == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok());
        let mut records: Vec<Record> = read.take(most).collect();
        records.reverse();
        Ok(records)
    }

    /// Writes what comes until nobody can send any more; `done` is told whose lines are there.
    pub(super) fn write(
        mut self,
        received: &Receiver<Arc<Record>>,
        reopen: &AtomicBool,
        metrics: &Metrics,
        done: Option<Sender<String>>,
    ) {
        while let Ok(record) = received.recv() {
            if reopen.swap(false, Ordering::Relaxed) {
                self.file = None;
            }
            match self.append(&record) {
                Ok(()) => {
                    if self.lost > 0 {
                        tracing::warn!(lost = self.lost, file = %self.path.display(), "call records are written again");
                        self.lost = 0;
                    }
                    if let Some(done) = &done {
                        done.send(record.id.clone()).ok(); // the edge is on its way out; the next process looks
                    }
                }
                Err(error) => {
                    metrics.record_lost();
                    // Told once, and again when it is over: a full disk is no reason to fill a log.
                    if self.lost == 0 {
                        tracing::error!(%error, file = %self.path.display(), "call records cannot be written; calls go on");
                    }
                    self.lost += 1;
                    self.file = None;
                }
            }
        }
    }

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
