//! The tokens that are good, by their digests; those of a process before this one are found again.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::access::{Digest, Grant, Use};
use crate::api::Notes;

const KEYS: &str = "ringcentral/token/";

/// A token as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The extension's id; its place in the configuration may change.
    extension: String,
    refresh: bool,
    /// Unix time in milliseconds.
    until: u64,
    login: u64,
}

/// Which tokens are good.
#[derive(Debug)]
pub(super) struct Grants {
    all: BTreeMap<Digest, Grant>,
    notes: Notes,
    /// Ids of the extensions, in the order of the configuration.
    extensions: Vec<String>,
}

impl Grants {
    pub(super) fn found(notes: Notes, extensions: Vec<String>) -> Grants {
        let mut all = BTreeMap::new();
        for (key, text) in notes.under(KEYS) {
            let known = || {
                let kept: Kept = serde_json::from_str(&text).ok()?;
                let grant = Grant {
                    extension: extensions.iter().position(|id| *id == kept.extension)?,
                    good_for: if kept.refresh { Use::Refresh } else { Use::Access },
                    until: UNIX_EPOCH + Duration::from_millis(kept.until),
                    login: kept.login,
                };
                Some((digest(&key)?, grant))
            };
            match known() {
                Some((digest, grant)) => drop(all.insert(digest, grant)),
                None => notes.keep(format!("{KEYS}{key}"), None),
            }
        }
        Grants { all, notes, extensions }
    }

    pub(super) fn next_login(&self) -> u64 {
        self.all.values().map(|grant| grant.login).max().unwrap_or(0) + 1
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.all.values().map(|grant| grant.login).min()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<&Grant> {
        self.all.get(digest)
    }

    pub(super) fn insert(&mut self, digest: Digest, grant: Grant) {
        let kept = Kept {
            extension: self.extensions.get(grant.extension).cloned().unwrap_or_default(),
            refresh: grant.good_for == Use::Refresh,
            until: millis(grant.until),
            login: grant.login,
        };
        // One for a WebSocket is good for seconds.
        if grant.good_for != Use::Socket
            && let Ok(text) = serde_json::to_string(&kept)
        {
            self.notes.keep(key(&digest), Some(text));
        }
        self.all.insert(digest, grant);
    }

    pub(super) fn remove(&mut self, digest: &Digest) -> Option<Grant> {
        let gone = self.all.remove(digest)?;
        self.forget(digest, &gone);
        Some(gone)
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&Grant) -> bool) {
        let (all, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.all)
            .into_iter()
            .partition(|(_, grant)| stays(grant));
        self.all = all;
        for (digest, grant) in gone {
            self.forget(&digest, &grant);
        }
    }

    fn forget(&self, digest: &Digest, gone: &Grant) {
        if gone.good_for != Use::Socket {
            self.notes.keep(key(digest), None);
        }
    }
}

pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn key(digest: &Digest) -> String {
    let digits = digest.0.iter().map(|octet| format!("{octet:02x}"));
    std::iter::once(KEYS.to_owned()).chain(digits).collect()
}

fn digest(text: &str) -> Option<Digest> {
    let mut octets = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(Digest(octets))
}
