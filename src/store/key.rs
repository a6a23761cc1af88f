//! Under which key a record is kept, and whether it is there to be forgotten.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Stored;
use crate::registrar::StoredUser;

/// Kinds of records, as the tables of a back end are named.
pub(super) const TABLES: [&str; 4] = ["bindings", "legs", "calls", "transfers"];

/// A record's table, its key there, and its value as JSON; no value: it is to be forgotten.
pub(super) struct Row {
    pub(super) table: &'static str,
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

/// The table and key of a record.
pub(super) fn place(record: &Stored) -> (&'static str, String) {
    let [bindings, legs, calls, transfers] = TABLES;
    match record {
        Stored::User(user) => (bindings, user.user.to_string()),
        Stored::Leg(leg, _) => (legs, leg.to_string()),
        Stored::Call(call, _) => (calls, call.to_string()),
        Stored::Transfer(transfer, _) => (transfers, transfer.to_string()),
    }
}

/// A record as a row.
pub(super) fn row(record: &Stored) -> Result<Row, serde_json::Error> {
    let (table, key) = place(record);
    let value = match record {
        Stored::User(user) if user.bindings.is_empty() => None,
        Stored::User(user) => Some(serde_json::to_vec(&user.bindings)?),
        Stored::Leg(_, leg) => json(leg.as_ref())?,
        Stored::Call(_, call) => json(call.as_ref())?,
        Stored::Transfer(_, transfer) => json(transfer.as_ref())?,
    };
    Ok(Row { table, key, value })
}

/// A row as a record; `None`: what stands there cannot be read.
pub(super) fn record(table: &str, key: &str, value: &[u8]) -> Option<Stored> {
    let [bindings, legs, calls, transfers] = TABLES;
    match table {
        table if table == bindings => Some(Stored::User(StoredUser {
            user: key.into(),
            bindings: read(value)?,
        })),
        table if table == legs => Some(Stored::Leg(key.parse().ok()?, Some(read(value)?))),
        table if table == calls => Some(Stored::Call(key.parse().ok()?, Some(read(value)?))),
        table if table == transfers => Some(Stored::Transfer(key.parse().ok()?, Some(read(value)?))),
        _ => None,
    }
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
