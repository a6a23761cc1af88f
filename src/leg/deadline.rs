//! The index of deadlines: finding the next one does not grow with the number of dialogs.
//!
//! The deadline itself is held in the state it belongs to; this index only knows whom to wake. A deadline that was
//! given up is not taken out: its owner is woken once for nothing.

use std::collections::BTreeSet;
use std::time::Instant;

/// Whom to wake, and when. Equal instants wake in the order of the handles, which keeps runs repeatable.
#[derive(Debug)]
pub struct Deadlines<H> {
    by_time: BTreeSet<(Instant, H)>,
}

impl<H> Default for Deadlines<H> {
    fn default() -> Self {
        Deadlines {
            by_time: BTreeSet::new(),
        }
    }
}

impl<H: Copy + Ord> Deadlines<H> {
    /// Wakes `whom` at `when`.
    pub fn add(&mut self, when: Instant, whom: H) {
        self.by_time.insert((when, whom));
    }

    /// Takes back what [`Deadlines::add`] said: for deadlines that lie far ahead and are given up often.
    pub fn remove(&mut self, when: Instant, whom: H) {
        self.by_time.remove(&(when, whom));
    }

    /// The earliest one.
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(when, _)| *when)
    }

    /// Takes one that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<H> {
        if self.next()? > now {
            return None;
        }
        self.by_time.pop_first().map(|(_, whom)| whom)
    }
}
