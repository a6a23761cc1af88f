//! Changes on their way to the tables. They are noted without waiting for a disk: what the process wrote the kernel has, also
//! when the process is killed in the next moment.
//!
//! Two files take turns. One is emptied and begun anew when it is full and the tables have everything of the other. A line is
//! one set of changes, `[number, [[table, key, value or null], …]]`; the last one may be torn, and then it never was.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::key::{Row, TABLES};

/// A file is full then; one set of changes may be larger.
const FULL: u64 = 8 << 20;

type Line = (u64, Vec<(String, String, Option<serde_json::Value>)>);

/// Notes changes until the tables have them.
#[derive(Debug)]
pub struct Journal {
    files: [File; 2],
    /// Which file is written.
    at: usize,
    size: u64,
    /// The number of the last set of changes in each file.
    last: [u64; 2],
    /// Up to which number the tables have everything.
    committed: Arc<AtomicU64>,
}

impl Journal {
    fn paths(store: &Path) -> [PathBuf; 2] {
        ["-journal0", "-journal1"].map(|end| {
            let mut name = store.as_os_str().to_owned();
            name.push(end);
            name.into()
        })
    }

    fn open(path: &Path) -> std::io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    }

    /// What was noted beside the store at `path` and may not be in its tables, oldest first.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub(super) fn read(path: &Path) -> std::io::Result<Vec<Row>> {
        let mut lines: Vec<Line> = Vec::new();
        for path in Journal::paths(path) {
            let mut octets = Vec::new();
            Journal::open(&path)?.read_to_end(&mut octets)?;
            let whole = octets.split_inclusive(|octet| *octet == b'\n');
            lines.extend(whole.filter_map(|line| serde_json::from_slice::<Line>(line).ok()));
        }
        lines.sort_by_key(|(number, _)| *number);
        let row = |(table, key, value): (String, String, Option<serde_json::Value>)| {
            Some(Row {
                table: TABLES.into_iter().find(|known| *known == table)?,
                key,
                value: value.map(|value| value.to_string().into_bytes()),
            })
        };
        Ok(lines.into_iter().flat_map(|(_, rows)| rows).filter_map(row).collect())
    }

    /// An empty journal: what was in it is in the tables.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub(super) fn begin(path: &Path) -> std::io::Result<Journal> {
        let [first, second] = Journal::paths(path);
        let files = [Journal::open(&first)?, Journal::open(&second)?];
        for file in &files {
            file.set_len(0)?;
        }
        Ok(Journal {
            files,
            at: 0,
            size: 0,
            last: [0, 0],
            committed: Arc::default(),
        })
    }

    /// Where the thread that writes the tables tells how far it is.
    pub(super) fn committed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.committed)
    }

    /// Notes a set of changes; numbers only rise.
    pub(super) fn note(&mut self, number: u64, rows: &[Row]) -> std::io::Result<()> {
        let other = 1 - self.at;
        if self.size > FULL
            && self
                .last
                .get(other)
                .is_some_and(|last| *last <= self.committed.load(Ordering::Acquire))
        {
            (self.at, self.size) = (other, 0);
            if let Some(file) = self.files.get_mut(other) {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
            }
        }
        let mut line = format!("[{number},[").into_bytes();
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            serde_json::to_writer(&mut line, &(row.table, &row.key)).map_err(std::io::Error::other)?;
            line.pop(); // the bracket that follows the value
            line.push(b',');
            line.extend_from_slice(row.value.as_deref().unwrap_or(b"null"));
            line.push(b']');
        }
        line.extend_from_slice(b"]]\n");
        let Some(file) = self.files.get_mut(self.at) else {
            return Ok(());
        };
        if let Err(error) = file.write_all(&line) {
            // Half a line must not stay: the next one would be part of it, and be lost with it.
            file.set_len(self.size)?;
            file.seek(SeekFrom::Start(self.size))?;
            return Err(error);
        }
        self.size += line.len() as u64;
        if let Some(last) = self.last.get_mut(self.at) {
            *last = number;
        }
        Ok(())
    }
}
