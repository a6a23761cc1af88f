//! The back end that several nodes share: Redis or Valkey.
//!
//! Owns: the layout below, one connection that is made again when it broke, and patience with a server that is slow.
//! Refuses: to write what a node keeps when another process has claimed that node since (the **fencing token**, compared in
//! the same script that writes), and to decide who claims what ([`crate::cluster`] does).
//!
//! | key, behind the prefix | kind | what |
//! |---|---|---|
//! | `format` | string | the number of this layout |
//! | `key` | string | the sealing key of the cluster, as hex: who comes first writes it |
//! | `token` | counter | fencing tokens are drawn from it |
//! | `tokens`, `cards`, `listeners`, `beats` | hash by node | the claims: token; who; where; renewals |
//! | `bindings`, `bans`, `notes` | hash | what belongs to the cluster |
//! | `3:legs`, `3:calls`, … | hash by handle | what node 3 keeps |
//! | `bindings` | channel | `origin user`: this user's bindings have changed |
//!
//! ```no_run
//! use warmline::store::{Identity, Redis, Store};
//!
//! let mut store = Redis::open("redis://127.0.0.1:6379", "warmline:", 0)?;
//! let kept = store.identity(Identity { key: [7; 16], node: 0 })?;
//! assert_eq!(kept, store.identity(Identity { key: [8; 16], node: 0 })?);
//! # Ok::<(), warmline::store::StoreError>(())
//! ```

mod claims;
mod news;
mod scripts;

use std::time::Duration;

use redis::{Client, Connection, FromRedisValue, IntoConnectionInfo, RedisResult, Script};

use super::hex::{hex, unhex};
use super::key::{Row, TABLES, is_of_cluster, record};
use super::{Identity, Store, StoreError, Stored};
use crate::cluster::Held;

pub use news::News;

/// Of this layout.
const FORMAT: u64 = 1;
/// A server that takes longer to accept is none for now.
const CONNECT: Duration = Duration::from_secs(2);
/// A server that takes longer for an answer is none for now. Longer than a server under load may take: what is asked again is
/// done again.
const ANSWER: Duration = Duration::from_secs(5);

/// A place in Redis, for one node or for the cluster's claims. Copies by [`Redis::of`] have connections of their own.
pub struct Redis {
    client: Client,
    connection: Option<Connection>,
    /// For people; without a password.
    place: String,
    prefix: String,
    /// Who writes, in messages to the others.
    origin: u64,
    node: u16,
    fence: Option<Held>,
    answer: Duration,
}

impl std::fmt::Debug for Redis {
    /// The password stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("place", &self.place)
            .field("prefix", &self.prefix)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl Redis {
    /// A store at `url` (`redis://[user:password@]host[:port][/database]`, `redis+unix:///path`), every key behind `prefix`,
    /// for the records of `node`. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// When the URL names no server that can be asked; TLS is not spoken.
    pub fn open(url: &str, prefix: &str, node: u16) -> Result<Redis, StoreError> {
        let broken = |error: redis::RedisError| StoreError::Broken {
            path: "[store] url".to_owned(),
            why: error.to_string(),
        };
        let info = url.into_connection_info().map_err(broken)?;
        let place = info.addr().to_string();
        Ok(Redis {
            client: Client::open(info).map_err(broken)?,
            connection: None,
            place,
            prefix: prefix.to_owned(),
            origin: 0,
            node,
            fence: None,
            answer: ANSWER,
        })
    }

    /// The same server, with a connection of its own, for the records of a node that is held under this token.
    pub fn of(&self, held: Option<Held>, origin: u64) -> Redis {
        Redis {
            client: self.client.clone(),
            connection: None,
            place: self.place.clone(),
            prefix: self.prefix.clone(),
            origin,
            node: held.map_or(self.node, |held| held.node),
            fence: held,
            answer: self.answer,
        }
    }

    /// Answers are waited for so long.
    pub fn with_patience(self, answer: Duration) -> Redis {
        Redis { answer, ..self }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn table(&self, table: &str) -> String {
        match is_of_cluster(table) {
            true => self.key(table),
            false => format!("{}{}:{table}", self.prefix, self.node),
        }
    }

    fn connected(&mut self) -> RedisResult<Connection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connection = self.client.get_connection_with_timeout(CONNECT)?;
        connection.set_read_timeout(Some(self.answer))?;
        connection.set_write_timeout(Some(self.answer))?;
        Ok(connection)
    }

    /// Asks the server; a connection over which something went wrong is not used again, because an answer that comes late
    /// would be taken for that to the next question.
    fn ask<T>(&mut self, question: impl FnOnce(&mut Connection) -> RedisResult<T>) -> Result<T, StoreError> {
        let answer = self.connected().and_then(|mut connection| {
            let answer = question(&mut connection)?;
            self.connection = Some(connection);
            Ok(answer)
        });
        answer.map_err(|error| StoreError::Unreachable {
            place: self.place.clone(),
            why: error.to_string(),
        })
    }

    fn run<T: FromRedisValue>(&mut self, script: &str, keys: &[String], words: &[Vec<u8>]) -> Result<T, StoreError> {
        let script = Script::new(script);
        self.ask(|connection| {
            let mut call = script.prepare_invoke();
            for key in keys {
                call.key(key);
            }
            for word in words {
                call.arg(word.as_slice());
            }
            call.invoke(connection)
        })
    }

    fn check_format(&mut self) -> Result<(), StoreError> {
        let key = self.key("format");
        let found: Option<u64> = self.ask(|connection| {
            redis::cmd("SET").arg(&key).arg(FORMAT).arg("NX").exec(connection)?;
            redis::cmd("GET").arg(&key).query(connection)
        })?;
        match found {
            Some(found) if found > FORMAT => Err(StoreError::Newer {
                path: self.place.clone(),
                found,
                known: FORMAT,
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn rows_of(&mut self, table: &'static str) -> Result<Vec<Stored>, StoreError> {
        let key = self.table(table);
        let rows: Vec<(String, Vec<u8>)> = self.ask(|connection| redis::cmd("HGETALL").arg(&key).query(connection))?;
        let read = rows.iter().filter_map(|(key, value)| record(table, key, value));
        Ok(read.collect())
    }
}

impl Store for Redis {
    fn identity(&mut self, fresh: Identity) -> Result<Identity, StoreError> {
        self.check_format()?;
        let (key, own) = (self.key("key"), hex(&fresh.key));
        let kept: String = self.ask(|connection| {
            redis::cmd("SET").arg(&key).arg(&own).arg("NX").exec(connection)?;
            redis::cmd("GET").arg(&key).query(connection)
        })?;
        let key = unhex(&kept).ok_or_else(|| StoreError::Broken {
            path: self.place.clone(),
            why: "the cluster's key cannot be read".to_owned(),
        })?;
        Ok(Identity { key, node: fresh.node })
    }

    fn records(&mut self) -> Result<Vec<Stored>, StoreError> {
        let mut records = Vec::new();
        for table in TABLES {
            records.extend(self.rows_of(table)?);
        }
        Ok(records)
    }

    fn keep(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let token = self.fence.map_or(String::new(), |held| held.token.to_string());
        let mut words = vec![
            self.node.to_string().into_bytes(),
            token.into_bytes(),
            self.origin.to_string().into_bytes(),
        ];
        for row in rows {
            let flag = if row.value.is_some() { "1" } else { "0" };
            words.push(self.table(row.table).into_bytes());
            words.push(row.key.clone().into_bytes());
            words.push(flag.as_bytes().to_vec());
            words.push(row.value.clone().unwrap_or_default());
        }
        let keys = [self.key("tokens"), self.prefix.clone()];
        match self.run::<String>(scripts::KEEP, &keys, &words)?.as_str() {
            "ok" => Ok(()),
            stands => Err(StoreError::Fenced {
                node: self.node,
                stands: stands.parse().ok(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
