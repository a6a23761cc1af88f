//! The messages of each dialog, filed by Call-ID, and those dialogs that belong to no call.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;

use crate::engine::LegHandle;
use crate::observe::Way;

/// Dialogs that belong to no call: a stranger can make as many as it likes, and they push out only each other.
pub(super) const UNCLAIMED: usize = 256;
/// What each of them may take, in octets.
const UNCLAIMED_OCTETS: usize = 16 * 1024;
/// What a dialog of a call may take, in octets.
const OCTETS: usize = 256 * 1024;

/// One message as it passed.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) order: u64,
    pub(super) at: Instant,
    pub(super) way: Way,
    pub(super) remote: SocketAddr,
    pub(super) bytes: Bytes,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Dialog {
    pub(super) party: String,
    /// The newest leg that has this Call-ID.
    leg: Option<LegHandle>,
    pub(super) messages: Vec<Kept>,
    octets: usize,
    /// Messages beyond the limits.
    pub(super) more: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Dialogs {
    /// Never iterated.
    by_call_id: HashMap<CompactString, Dialog>,
    /// Oldest first.
    unclaimed: VecDeque<CompactString>,
}

impl Dialogs {
    /// Files a message. The leg of a dialog that made room for it is given back.
    pub(super) fn file(&mut self, kept: Kept, most: usize) -> Option<LegHandle> {
        let call_id = call_id(&kept.bytes)?;
        let mut gone = None;
        if !self.by_call_id.contains_key(call_id) {
            if !kept.bytes.starts_with(b"INVITE ") {
                return None;
            }
            gone = self.unclaim(call_id.into());
        }
        let dialog = self.by_call_id.get_mut(call_id)?;
        let room = if dialog.leg.is_some() { OCTETS } else { UNCLAIMED_OCTETS };
        if dialog.messages.len() >= most || dialog.octets + kept.bytes.len() > room {
            dialog.more += 1;
        } else {
            dialog.octets += kept.bytes.len();
            dialog.messages.push(kept);
        }
        gone
    }

    /// A leg has this Call-ID.
    pub(super) fn claim(&mut self, call_id: &str, leg: LegHandle, party: &str) {
        // It was among the last to come, unless there is a flood.
        if let Some(place) = self.unclaimed.iter().rposition(|other| other == call_id) {
            self.unclaimed.remove(place);
        }
        let dialog = self.by_call_id.entry(call_id.into()).or_default();
        party.clone_into(&mut dialog.party);
        dialog.leg = Some(leg);
    }

    /// The dialog belongs to no call. The oldest of its kind makes room, and its leg is given back.
    pub(super) fn unclaim(&mut self, call_id: CompactString) -> Option<LegHandle> {
        let mut gone = None;
        if self.unclaimed.len() >= UNCLAIMED
            && let Some(oldest) = self.unclaimed.pop_front()
        {
            gone = self.remove(&oldest).and_then(|dialog| dialog.leg);
        }
        self.by_call_id.entry(call_id.clone()).or_default();
        self.unclaimed.push_back(call_id);
        gone
    }

    pub(super) fn get(&self, call_id: &str) -> Option<&Dialog> {
        self.by_call_id.get(call_id)
    }

    pub(super) fn remove(&mut self, call_id: &str) -> Option<Dialog> {
        self.by_call_id.remove(call_id)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_call_id.len()
    }
}

/// The Call-ID of a message, without parsing the rest of it.
fn call_id(bytes: &[u8]) -> Option<&str> {
    let mut rest = bytes;
    while let Some(end) = memchr::memchr(b'\n', rest) {
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
            return std::str::from_utf8(value.get(1..)?.trim_ascii()).ok();
        }
    }
    None
}
