//! The back end in one file: redb, a copy-on-write tree in pure Rust. A write that was cut off leaves the file as it was.
//!
//! | table | key | value |
//! |---|---|---|
//! | `warmline` | `format` | the number of this layout, as text |
//! | `warmline` | `identity` | JSON: `{"key": "hex", "node": 0}` |
//! | `bindings` | the user | JSON: its bindings |
//! | `legs` | `leg-1f-2` | JSON |
//! | `calls` | `call-1f-2` | JSON |
//! | `transfers` | `transfer-1f-2` | JSON |
//! | `hubs` | `call-1f-2` | JSON |
//! | `ringing` | `leg-1f-2` | JSON: an INVITE without a final answer |
//! | `bans` | an address | JSON |
//! | `records` | a call record's id | JSON: the record, and what it waits for |
//! | `notes` | whose, and its key | JSON: what the API keeps |
//!
//! | format | what it had | what becomes of it |
//! |---|---|---|
//! | 1 | identity and bindings | opened as it is; the other tables are made |
//! | 2 | also legs, calls of two, transfers | the same |
//! | 3 | this one | |
//! | newer | | refused, and left alone |

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::journal::Journal;
use super::key::{Row, TABLES, record};
use super::{Identity, Store, StoreError, Stored, same_node};

const MAIN: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("warmline");
/// Of this layout. What formats 1 and 2 kept, this one keeps in the same place and in the same words.
const FORMAT: u64 = 3;

/// A store in one file. One process at a time: the file is locked.
#[derive(Debug)]
pub struct Embedded {
    /// `None`: the disk refused something. The library takes nothing more then, until the file is opened anew.
    database: Option<Database>,
    path: String,
}

#[derive(Serialize, Deserialize)]
struct Written {
    key: String,
    node: u16,
}

impl Embedded {
    /// Opens the file, or makes it, readable by its owner only: it holds the sealing key.
    ///
    /// # Errors
    /// When it cannot be opened, is no store, belongs to a newer version, or another process has it.
    pub fn open(path: &Path) -> Result<Embedded, StoreError> {
        let name = path.display().to_string();
        let broken = |error: &dyn std::fmt::Display| StoreError::Broken {
            path: name.clone(),
            why: error.to_string(),
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| broken(&error))?;
        let database = Database::builder().create_file(file).map_err(|error| {
            if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                StoreError::Busy { path: name.clone() }
            } else {
                broken(&error)
            }
        })?;
        let mut store = Embedded {
            database: Some(database),
            path: name.clone(),
        };
        store.check_format()?;
        // What the process before this one had noted, and had no time to write.
        let noted = Journal::read(path).map_err(|error| broken(&error))?;
        if !noted.is_empty() {
            tracing::info!(rows = noted.len(), "taken from the store's journal");
            store.keep(&noted)?;
        }
        Ok(store)
    }

    fn broken(&self, error: impl std::fmt::Display) -> StoreError {
        StoreError::Broken {
            path: self.path.clone(),
            why: error.to_string(),
        }
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| self.broken("it is closed"))
    }

    fn open_again(&mut self) -> Result<(), StoreError> {
        if self.database.is_none() {
            let file = OpenOptions::new().read(true).write(true).open(&self.path);
            let file = file.map_err(|error| self.broken(error))?;
            let database = Database::builder().create_file(file);
            self.database = Some(database.map_err(|error| self.broken(error))?);
        }
        Ok(())
    }

    fn write(&self, rows: &[Row]) -> Result<(), StoreError> {
        let write = self.database()?.begin_write().map_err(|error| self.broken(error))?;
        {
            let mut open = Vec::new();
            for name in TABLES {
                open.push(write.open_table(table(name)).map_err(|error| self.broken(error))?);
            }
            for row in rows {
                let at = TABLES.iter().position(|name| *name == row.table);
                let Some(table) = at.and_then(|at| open.get_mut(at)) else {
                    continue;
                };
                let key = row.key.as_str();
                let before = match &row.value {
                    Some(value) => table.insert(key, value.as_slice()),
                    None => table.remove(key),
                };
                before.map_err(|error| self.broken(error))?;
            }
        }
        write.commit().map_err(|error| self.broken(error))
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let write = self.database()?.begin_write().map_err(|error| self.broken(error))?;
        {
            let mut main = write.open_table(MAIN).map_err(|error| self.broken(error))?;
            for name in TABLES {
                write.open_table(table(name)).map_err(|error| self.broken(error))?;
            }
            let found = main.get("format").map_err(|error| self.broken(error))?;
            let found = found.map(|text| String::from_utf8_lossy(text.value()).parse().unwrap_or(u64::MAX));
            match found {
                Some(FORMAT) => {}
                Some(found) if found > FORMAT => {
                    return Err(StoreError::Newer {
                        path: self.path.clone(),
                        found,
                        known: FORMAT,
                    });
                }
                older @ (Some(_) | None) => {
                    if let Some(older) = older {
                        tracing::info!(older, now = FORMAT, "the store is brought to this version's format");
                    }
                    let text = FORMAT.to_string();
                    main.insert("format", text.as_bytes())
                        .map_err(|error| self.broken(error))?;
                }
            }
        }
        write.commit().map_err(|error| self.broken(error))
    }
}

impl Store for Embedded {
    fn identity(&mut self, fresh: Identity) -> Result<Identity, StoreError> {
        let write = self.database()?.begin_write().map_err(|error| self.broken(error))?;
        let identity = {
            let mut main = write.open_table(MAIN).map_err(|error| self.broken(error))?;
            let found = main
                .get("identity")
                .map_err(|error| self.broken(error))?
                .map(|value| value.value().to_vec());
            match found {
                Some(octets) => {
                    let written: Written = serde_json::from_slice(&octets).map_err(|error| self.broken(error))?;
                    let key = unhex(&written.key).ok_or_else(|| self.broken("its key cannot be read"))?;
                    same_node(
                        Identity {
                            key,
                            node: written.node,
                        },
                        &fresh,
                    )?
                }
                None => {
                    let written = Written {
                        key: hex(&fresh.key),
                        node: fresh.node,
                    };
                    let octets = serde_json::to_vec(&written).map_err(|error| self.broken(error))?;
                    main.insert("identity", octets.as_slice())
                        .map_err(|error| self.broken(error))?;
                    fresh
                }
            }
        };
        write.commit().map_err(|error| self.broken(error))?;
        Ok(identity)
    }

    fn records(&mut self) -> Result<Vec<Stored>, StoreError> {
        let read = self.database()?.begin_read().map_err(|error| self.broken(error))?;
        let mut records = Vec::new();
        for name in TABLES {
            let table = read.open_table(table(name)).map_err(|error| self.broken(error))?;
            for entry in table.iter().map_err(|error| self.broken(error))? {
                let (key, value) = entry.map_err(|error| self.broken(error))?;
                records.extend(record(name, key.value(), value.value()));
            }
        }
        Ok(records)
    }

    fn keep(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        self.open_again()?;
        let kept = self.write(rows);
        if kept.is_err() {
            self.database = None;
        }
        kept
    }

    fn journal(&mut self) -> Result<Option<Journal>, StoreError> {
        let journal = Journal::begin(self.path.as_ref());
        journal.map(Some).map_err(|error| self.broken(error))
    }
}

fn table(name: &'static str) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(name)
}

fn hex(key: &[u8; 16]) -> String {
    key.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}
