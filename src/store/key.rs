//! Under which key a record is kept, and whether it is there to be forgotten.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Stored;
use crate::engine::NoteKind;
use crate::registrar::StoredUser;

/// Kinds of records, as the tables of a back end are named.
pub(super) const TABLES: [&str; 9] = [
    "bindings",
    "legs",
    "calls",
    "transfers",
    "hubs",
    "ringing",
    "bans",
    "records",
    "notes",
];

/// A record as it is written: its table, its key there, and its value as JSON; no value: it is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which table.
    pub table: &'static str,
    /// Which record.
    pub key: String,
    /// What it is now.
    pub value: Option<Vec<u8>>,
}

/// Records as rows.
pub fn rows(records: &[Stored]) -> Vec<Row> {
    let row = |record| match row(record) {
        Ok(row) => Some(row),
        Err(error) => {
            tracing::error!(%error, "a record cannot be written and is left out");
            None
        }
    };
    records.iter().filter_map(row).collect()
}

fn row(record: &Stored) -> Result<Row, serde_json::Error> {
    let [bindings, legs, calls, transfers, hubs, ringing, bans, records, notes] = TABLES;
    let (table, key, value) = match record {
        Stored::User(user) if user.bindings.is_empty() => (bindings, user.user.to_string(), None),
        Stored::User(user) => (
            bindings,
            user.user.to_string(),
            Some(serde_json::to_vec(&user.bindings)?),
        ),
        Stored::Leg(leg, stored) => (legs, leg.to_string(), json(stored.as_ref())?),
        Stored::Call(call, stored) => (calls, call.to_string(), json(stored.as_ref())?),
        Stored::Transfer(transfer, stored) => (transfers, transfer.to_string(), json(stored.as_ref())?),
        Stored::Ringing(leg, stored) => (ringing, leg.to_string(), json(stored.as_ref())?),
        Stored::Ban(source, stored) => (bans, source.to_string(), json(stored.as_ref())?),
        Stored::Note(NoteKind::Record, key, value) => (records, key.to_string(), octets(value)),
        Stored::Note(NoteKind::Api, key, value) => (notes, key.to_string(), octets(value)),
        Stored::Hub(call, stored) => (hubs, call.to_string(), json(stored.as_ref())?),
    };
    Ok(Row { table, key, value })
}

/// A row as a record; `None`: what stands there cannot be read.
pub(super) fn record(table: &str, key: &str, value: &[u8]) -> Option<Stored> {
    let [bindings, legs, calls, transfers, hubs, ringing, bans, records, notes] = TABLES;
    match table {
        table if table == bindings => Some(Stored::User(StoredUser {
            user: key.into(),
            bindings: read(value)?,
        })),
        table if table == legs => Some(Stored::Leg(key.parse().ok()?, Some(read(value)?))),
        table if table == calls => Some(Stored::Call(key.parse().ok()?, Some(read(value)?))),
        table if table == ringing => Some(Stored::Ringing(key.parse().ok()?, Some(read(value)?))),
        table if table == bans => Some(Stored::Ban(key.parse().ok()?, Some(read(value)?))),
        table if table == records => Some(note(NoteKind::Record, key, value)),
        table if table == notes => Some(note(NoteKind::Api, key, value)),
        table if table == hubs => Some(Stored::Hub(key.parse().ok()?, Some(read(value)?))),
        table if table == transfers => Some(Stored::Transfer(key.parse().ok()?, Some(read(value)?))),
        _ => None,
    }
}

fn octets(text: &Option<String>) -> Option<Vec<u8>> {
    text.as_ref().map(|text| text.clone().into_bytes())
}

fn note(kind: NoteKind, key: &str, value: &[u8]) -> Stored {
    Stored::Note(kind, key.into(), Some(String::from_utf8_lossy(value).into_owned()))
}

fn json<T: Serialize>(value: Option<&T>) -> Result<Option<Vec<u8>>, serde_json::Error> {
    value.map(serde_json::to_vec).transpose()
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    match serde_json::from_slice(value) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!(%error, "a stored record cannot be read and is left out");
            None
        }
    }
}
