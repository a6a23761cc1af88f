//! `durability = "confirmed"`: what follows from something that is to be kept waits until the disk has it.
//!
//! Everything behind it waits, too, so that nothing overtakes. A disk that does not come back in [`PATIENCE`] is no reason
//! to end calls: what waits is let go, and the log says so.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::engine::Output;

/// For how long the disk is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What waits for the disk.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whether anything waits at all.
    confirmed: bool,
    /// What must be on the disk before the next output leaves.
    wanted: u64,
    committed: u64,
    queue: VecDeque<(u64, Output)>,
    since: Option<Instant>,
}

impl Held {
    pub(super) fn new(confirmed: bool) -> Held {
        Held {
            confirmed,
            ..Held::default()
        }
    }

    /// This was handed to the store.
    pub(super) fn wait_for(&mut self, number: u64) {
        self.wanted = number;
    }

    /// Gives an output back that need not wait.
    pub(super) fn pass(&mut self, now: Instant, output: Output) -> Option<Output> {
        if !self.confirmed || self.wanted <= self.committed {
            return Some(output);
        }
        self.since.get_or_insert(now);
        self.queue.push_back((self.wanted, output));
        None
    }

    /// The disk has everything up to here.
    pub(super) fn committed(&mut self, number: u64) {
        self.committed = self.committed.max(number);
    }

    /// The store has been closed with all that was handed to it; another one counts from the beginning.
    pub(super) fn all_is_kept(&mut self) {
        (self.wanted, self.committed) = (0, 0);
        for (number, _) in &mut self.queue {
            *number = 0;
        }
    }

    /// When patience ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }

    /// Nothing waits any more that the disk has had its time for.
    pub(super) fn give_up(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            let waiting = self.queue.len();
            tracing::error!(waiting, "the store does not answer: messages leave without it");
            self.committed = self.wanted;
        }
    }

    /// The next one that has waited long enough.
    pub(super) fn next(&mut self, now: Instant) -> Option<Output> {
        let (number, _) = self.queue.front()?;
        if *number > self.committed {
            return None;
        }
        let (_, output) = self.queue.pop_front()?;
        self.since = (!self.queue.is_empty()).then_some(now);
        Some(output)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
mod tests {
    use super::*;
    use crate::engine::{CommandId, Reply};

    fn output(id: u64) -> Output {
        Output::Reply {
            id: CommandId(id),
            reply: Ok(Reply::Done),
        }
    }

    fn id(output: Option<Output>) -> Option<u64> {
        match output {
            Some(Output::Reply { id, .. }) => Some(id.0),
            _ => None,
        }
    }

    #[test]
    fn nothing_overtakes_what_waits_for_the_disk() {
        let now = Instant::now();
        let mut held = Held::new(true);
        assert_eq!(id(held.pass(now, output(1))), Some(1));
        held.wait_for(7);
        assert!(held.pass(now, output(2)).is_none());
        held.wait_for(8);
        assert!(held.pass(now, output(3)).is_none());
        assert!(held.next(now).is_none());
        held.committed(7);
        assert_eq!((id(held.next(now)), id(held.next(now))), (Some(2), None));
        held.give_up(now + Duration::from_secs(1));
        assert!(held.next(now).is_none());
        held.give_up(now + Duration::from_secs(2));
        assert_eq!((id(held.next(now)), held.deadline()), (Some(3), None));
        assert_eq!(id(held.pass(now, output(4))), Some(4));
    }

    #[test]
    fn relaxed_waits_for_nothing() {
        let now = Instant::now();
        let mut held = Held::new(false);
        held.wait_for(7);
        assert_eq!(id(held.pass(now, output(1))), Some(1));
    }
}
