//! Look-ups: one by one, and in receive batches.

use super::row::State;
use super::{DialogHandle, Table};
use crate::dialog::seal::{Opened, TagParts};
use std::hint::black_box;

/// Look-ups that are handled together: what one receive call brings.
pub const BATCH: usize = 16;

/// What a message says about its dialog, seen from us: To tag, Call-ID, From tag of a request; From tag, Call-ID,
/// To tag of a response; to-tag, Call-ID, from-tag of Replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query<'a> {
    /// The tag that we made, if it is ours.
    pub local_tag: &'a str,
    /// The Call-ID.
    pub call_id: &'a str,
    /// The peer's tag; empty if it has none (RFC 3261 §12.1.1: a tag with a value of null).
    pub remote_tag: &'a str,
}

/// The result of a look-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// This dialog: tag, Call-ID and remote tag are its own.
    Found(DialogHandle),
    /// Not a tag that we made: the dialog is proxied, or no dialog at all.
    NotOurs,
    /// A tag in our shape whose MAC fails. No table was read. RFC 3261 §12.2.2: 481.
    Forged,
    /// Ours, and ended. RFC 3891 §3 wants 603 for Replaces, RFC 3261 §12.2.2 wants 481 for the rest.
    Gone(DialogHandle),
    /// Made by that node of the cluster, and not adopted here.
    OtherNode(u16),
    /// Ours and live, but another Call-ID or remote tag: a stranger's, and to be answered as if nothing had matched.
    Mismatch,
}

impl Match {
    /// The dialog, if there is one.
    pub fn handle(self) -> Option<DialogHandle> {
        match self {
            Match::Found(handle) => Some(handle),
            Match::NotOurs | Match::Forged | Match::Gone(_) | Match::OtherNode(_) | Match::Mismatch => None,
        }
    }
}

impl<T> Table<T> {
    /// Finds the dialog that a message belongs to. An empty `remote_tag` is a tag that is absent.
    #[inline]
    pub fn find(&self, local_tag: &str, call_id: &str, remote_tag: &str) -> Match {
        self.verify(self.seal.read(local_tag), call_id.as_bytes(), remote_tag.as_bytes())
    }

    /// Finds the dialogs of a receive batch: `results[n]` answers `queries[n]`, for as many as both have.
    ///
    /// The work goes in stages over [`BATCH`] messages at a time, so that the cache misses of all overlap: open every
    /// tag, read a word of every row's lines, then compare. With a million dialogs that is several times
    /// as fast as one by one.
    pub fn find_batch(&self, queries: &[Query<'_>], results: &mut [Match]) {
        for (queries, results) in queries.chunks(BATCH).zip(results.chunks_mut(BATCH)) {
            let mut opened = [Opened::NotOurs; BATCH];
            for (opened, query) in opened.iter_mut().zip(queries) {
                *opened = self.seal.read(query.local_tag);
            }
            let mut words = 0;
            for opened in &opened {
                if let Opened::Ours(parts) = opened
                    && let Some(row) = self.rows.get(parts.slot)
                {
                    words ^= row.touch();
                }
            }
            black_box(words); // the loads are the purpose
            for ((opened, query), result) in opened.iter().zip(queries).zip(results) {
                *result = self.verify(*opened, query.call_id.as_bytes(), query.remote_tag.as_bytes());
            }
        }
    }

    #[inline]
    fn verify(&self, opened: Opened, call_id: &[u8], remote_tag: &[u8]) -> Match {
        let parts = match opened {
            Opened::Ours(parts) => parts,
            Opened::NotOurs => return Match::NotOurs,
            Opened::Forged => return Match::Forged,
        };
        if parts.node == self.seal.node()
            && let Some(row) = self.rows.get(parts.slot)
            && row.is(parts.generation, call_id, remote_tag)
        {
            return Match::Found(DialogHandle {
                slot: parts.slot,
                generation: parts.generation,
            });
        }
        self.verify_rest(parts, call_id, remote_tag)
    }

    /// Everything but the ordinary case: sets, forks, adopted and ended dialogs, long texts, and what does not match.
    #[cold]
    #[inline(never)]
    fn verify_rest(&self, parts: TagParts, call_id: &[u8], remote_tag: &[u8]) -> Match {
        let Some(slot) = self.head(parts) else {
            return match parts.node == self.seal.node() {
                true => Match::Gone(DialogHandle {
                    slot: parts.slot,
                    generation: parts.generation,
                }),
                false => Match::OtherNode(parts.node),
            };
        };
        let Some(head) = self.rows.get(slot) else {
            return Match::Mismatch;
        };
        if head.call_id() != call_id {
            return Match::Mismatch;
        }
        let mut at = slot;
        while let Some(row) = self.rows.get(at) {
            if row.state() == State::Live && row.remote_tag() == remote_tag {
                return Match::Found(DialogHandle {
                    slot: at,
                    generation: row.generation(),
                });
            }
            at = row.next;
        }
        match head.state() {
            // RFC 3261 §12.1.2: no response has told the remote tag yet, so whoever knows our tag is a party of the set.
            State::Open => Match::Found(DialogHandle {
                slot,
                generation: head.generation(),
            }),
            State::Live | State::Ended | State::Vacant => Match::Mismatch,
        }
    }

    /// The slot of the dialog set that a tag of ours names, while any dialog of it lives.
    pub(super) fn head(&self, parts: TagParts) -> Option<u32> {
        if parts.node == self.seal.node()
            && let Some(row) = self.rows.get(parts.slot)
            && row.generation() == parts.generation
            && row.state() != State::Vacant
        {
            return Some(parts.slot);
        }
        self.adopted.get(&parts).copied()
    }
}
