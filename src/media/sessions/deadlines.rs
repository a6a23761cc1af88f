//! The index of deadlines: one heap for all sessions.
//!
//! A session's own deadline may move away with every packet, so an entry is never later than it and is looked at
//! when it comes to the front: it fires, or it is put in again. A packet touches nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::vocabulary::LegHandle;

/// Entries of sessions, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, LegHandle)>>,
}

impl Deadlines {
    /// Sees to it that an entry no later than `wanted` stands for the leg.
    pub(super) fn arm(&mut self, leg: LegHandle, wanted: Option<Instant>, armed: &mut Option<Instant>) {
        let Some(at) = wanted else { return };
        if armed.is_none_or(|earlier| at < earlier) {
            *armed = Some(at);
            self.heap.push(Reverse((at, leg)));
        }
    }

    /// The earliest entry.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the earliest entry if it is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, LegHandle)> {
        self.next().filter(|at| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
