//! The messages of each dialog, filed by Call-ID, and those dialogs that belong to no call.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::net::SocketAddr;
use std::time::Instant;

use memchr::{memchr, memmem};

use super::Seen;
use crate::engine::LegHandle;
use crate::observe::Way;

/// Dialogs that belong to no call: a stranger can make as many as it likes, and they push out only each other.
pub(super) const UNCLAIMED: usize = 256;
/// What each of them may take, in octets.
const UNCLAIMED_OCTETS: usize = 16 * 1024;
/// What a dialog of a call may take, in octets.
const OCTETS: usize = 256 * 1024;

/// The buffers of so many forgotten dialogs wait for new ones, so that a busy edge allocates nothing here.
const SPARE: usize = 16;

/// One message as it passed; its octets stand in its dialog.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) order: u64,
    pub(super) at: Instant,
    pub(super) way: Way,
    pub(super) remote: SocketAddr,
    start: usize,
    end: usize,
}

/// What was said under one Call-ID.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialog {
    pub(super) party: String,
    /// The newest leg that has this Call-ID.
    leg: Option<LegHandle>,
    messages: Vec<Kept>,
    /// Of all messages, one behind the other.
    octets: Vec<u8>,
    /// Messages beyond the limits.
    pub(super) more: usize,
}

impl Dialog {
    pub(super) fn messages(&self) -> impl Iterator<Item = (&Kept, &[u8])> {
        let octets = |kept: &Kept| self.octets.get(kept.start..kept.end).unwrap_or_default();
        self.messages.iter().map(move |kept| (kept, octets(kept)))
    }

    fn room(&self) -> usize {
        let all = if self.leg.is_some() { OCTETS } else { UNCLAIMED_OCTETS };
        all.saturating_sub(self.octets.len())
    }
}

/// A Call-ID as the book knows it: hashed under a key of its own, so that nobody can make two that collide.
pub(super) type Key = u64;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Dialogs {
    hasher: RandomState,
    /// Never iterated.
    by_key: HashMap<Key, Dialog, BuildHasherDefault<AlreadyHashed>>,
    /// Oldest first.
    unclaimed: VecDeque<Key>,
    spare: Vec<Dialog>,
}

impl Dialogs {
    pub(super) fn key(&self, call_id: &str) -> Key {
        self.hasher.hash_one(call_id.as_bytes())
    }

    /// Files a message. The leg of a dialog that made room for it is given back.
    pub(super) fn file(&mut self, seen: &Seen<'_>, order: u64, most: usize) -> Option<LegHandle> {
        let key = self.hasher.hash_one(call_id(seen.bytes)?);
        if let Some(dialog) = self.by_key.get_mut(&key) {
            append(dialog, seen, order, most);
            return None;
        }
        if !seen.bytes.starts_with(b"INVITE ") {
            return None;
        }
        let gone = self.unclaim(key);
        if let Some(dialog) = self.by_key.get_mut(&key) {
            append(dialog, seen, order, most);
        }
        gone
    }

    /// A leg has this Call-ID.
    pub(super) fn claim(&mut self, key: Key, leg: LegHandle, party: &str) {
        // It was among the last to come, unless there is a flood.
        if let Some(place) = self.unclaimed.iter().rposition(|other| *other == key) {
            self.unclaimed.remove(place);
        }
        let dialog = self.entry(key);
        party.clone_into(&mut dialog.party);
        dialog.leg = Some(leg);
    }

    /// The dialog belongs to no call. The oldest of its kind makes room, and its leg is given back.
    pub(super) fn unclaim(&mut self, key: Key) -> Option<LegHandle> {
        let mut gone = None;
        if self.unclaimed.len() >= UNCLAIMED
            && let Some(oldest) = self.unclaimed.pop_front()
        {
            gone = self.by_key.get(&oldest).and_then(|dialog| dialog.leg);
            self.remove(oldest);
        }
        self.entry(key);
        self.unclaimed.push_back(key);
        gone
    }

    fn entry(&mut self, key: Key) -> &mut Dialog {
        let spare = &mut self.spare;
        self.by_key
            .entry(key)
            .or_insert_with(|| spare.pop().unwrap_or_default())
    }

    pub(super) fn get(&self, key: Key) -> Option<&Dialog> {
        self.by_key.get(&key)
    }

    pub(super) fn remove(&mut self, key: Key) {
        let Some(mut dialog) = self.by_key.remove(&key) else {
            return;
        };
        if self.spare.len() < SPARE && dialog.octets.capacity() <= UNCLAIMED_OCTETS {
            dialog.messages.clear();
            dialog.octets.clear();
            dialog.party.clear();
            (dialog.leg, dialog.more) = (None, 0);
            self.spare.push(dialog);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

fn append(dialog: &mut Dialog, seen: &Seen<'_>, order: u64, most: usize) {
    if dialog.messages.len() >= most || seen.bytes.len() > dialog.room() {
        dialog.more += 1;
        return;
    }
    let start = dialog.octets.len();
    dialog.octets.extend_from_slice(seen.bytes);
    dialog.messages.push(Kept {
        order,
        at: seen.at,
        way: seen.way,
        remote: seen.remote,
        start,
        end: dialog.octets.len(),
    });
}

/// The Call-ID of a message, without parsing the rest of it.
fn call_id(bytes: &[u8]) -> Option<&[u8]> {
    const USUALLY: &[u8] = b"\r\nCall-ID: ";
    match memmem::find(bytes, USUALLY) {
        Some(at) => {
            let value = bytes.get(at + USUALLY.len()..)?;
            Some(value.get(..memchr(b'\n', value)?)?.trim_ascii())
        }
        None => call_id_by_line(bytes),
    }
}

fn call_id_by_line(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    while let Some(end) = memchr(b'\n', rest) {
        let line = rest.get(..end)?.trim_ascii_end();
        rest = rest.get(end + 1..)?;
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().take(12).position(|octet| *octet == b':') else {
            continue;
        };
        let (name, value) = line.split_at_checked(colon)?;
        let name = name.trim_ascii_end();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            return Some(value.get(1..)?.trim_ascii());
        }
    }
    None
}

/// Takes a [`Key`] for its own hash.
#[derive(Debug, Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, key: Key) {
        self.0 = key;
    }
}
