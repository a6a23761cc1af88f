//! The back end in one file: redb, a copy-on-write tree in pure Rust. A write that was cut off leaves the file as it was.
//!
//! | table | key | value |
//! |---|---|---|
//! | `warmline` | `format` | the number of this layout, as text |
//! | `warmline` | `identity` | JSON: `{"key": "hex", "node": 0}` |
//! | `bindings` | the user | JSON: its bindings |

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{Identity, Store, StoreError, same_node};
use crate::registrar::{StoredBinding, StoredUser};

const MAIN: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("warmline");
const BINDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("bindings");
const FORMAT: u64 = 1;

/// A store in one file. One process at a time: the file is locked.
#[derive(Debug)]
pub struct Embedded {
    database: Database,
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
        let store = Embedded {
            database,
            path: name.clone(),
        };
        store.check_format()?;
        Ok(store)
    }

    fn broken(&self, error: impl std::fmt::Display) -> StoreError {
        StoreError::Broken {
            path: self.path.clone(),
            why: error.to_string(),
        }
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(|error| self.broken(error))?;
        {
            let mut main = write.open_table(MAIN).map_err(|error| self.broken(error))?;
            write.open_table(BINDINGS).map_err(|error| self.broken(error))?;
            let found = main.get("format").map_err(|error| self.broken(error))?;
            let found = found.map(|text| String::from_utf8_lossy(text.value()).parse().unwrap_or(u64::MAX));
            match found {
                Some(FORMAT) => {}
                Some(found) => {
                    return Err(StoreError::Newer {
                        path: self.path.clone(),
                        found,
                        known: FORMAT,
                    });
                }
                None => {
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
        let write = self.database.begin_write().map_err(|error| self.broken(error))?;
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

    fn users(&mut self) -> Result<Vec<StoredUser>, StoreError> {
        let read = self.database.begin_read().map_err(|error| self.broken(error))?;
        let table = read.open_table(BINDINGS).map_err(|error| self.broken(error))?;
        let mut users = Vec::new();
        for entry in table.iter().map_err(|error| self.broken(error))? {
            let (user, value) = entry.map_err(|error| self.broken(error))?;
            match serde_json::from_slice::<Vec<StoredBinding>>(value.value()) {
                Ok(bindings) => users.push(StoredUser {
                    user: user.value().into(),
                    bindings,
                }),
                Err(error) => tracing::warn!(%error, "a stored binding cannot be read and is left out"),
            }
        }
        Ok(users)
    }

    fn keep(&mut self, users: &[StoredUser]) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(|error| self.broken(error))?;
        {
            let mut table = write.open_table(BINDINGS).map_err(|error| self.broken(error))?;
            for StoredUser { user, bindings } in users {
                if bindings.is_empty() {
                    table.remove(user.as_str()).map_err(|error| self.broken(error))?;
                } else {
                    let octets = serde_json::to_vec(bindings).map_err(|error| self.broken(error))?;
                    table
                        .insert(user.as_str(), octets.as_slice())
                        .map_err(|error| self.broken(error))?;
                }
            }
        }
        write.commit().map_err(|error| self.broken(error))
    }
}

fn hex(key: &[u8; 16]) -> String {
    key.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}
