//! The one index of deadlines, earliest first.
//!
//! Timers run for a few durations only (RFC 3261 table 4), so that deadlines of one duration come in their order: each
//! stands in a queue behind one that is not later. There are about as many queues as durations, and a push or a pop
//! touches their ends alone, however many transactions live. What fits behind none of them goes into a heap.
//!
//! A transaction knows its own deadline; the index holds at most one *valid* entry for it, and that entry is never later
//! than the deadline. So that most changes cost nothing here, an entry is not taken out when its transaction ends or
//! its deadline moves away: it is found stale when it comes to the front, or swept when the stale ones outnumber the
//! valid ones. Finding the next deadline is a look at the front; entries with the same instant come out in the order in
//! which they were put in.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

/// More than there are durations: `T1` doubled up to `T2`, 64*T1, the 100's, timers D, I and K.
const QUEUES: usize = 16;

/// Below this many entries nothing is swept.
const SWEEP_ABOVE: usize = 64;

/// A deadline of `W` (whose it is).
#[derive(Clone, Copy, Debug)]
struct Due<W> {
    at: Instant,
    sequence: u64,
    whose: W,
}

impl<W> PartialEq for Due<W> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}
impl<W> Eq for Due<W> {}
impl<W> PartialOrd for Due<W> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<W> Ord for Due<W> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// The entry that is valid for a transaction, kept by the transaction.
pub(super) type Armed = Option<Instant>;

/// What the owner of an entry says about it when it comes to the front.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Front {
    /// Its transaction is gone, or another entry stands for it.
    Stale,
    /// Its transaction has no deadline any more.
    Idle,
    /// Its transaction's deadline is later: the entry moves there.
    Later(Instant),
    /// It is the deadline.
    Valid,
}

impl Front {
    /// What an entry `at` is for a transaction with this deadline.
    pub(super) fn of(at: Instant, deadline: Option<Instant>, armed: Armed) -> Front {
        match deadline {
            _ if armed != Some(at) => Front::Stale,
            None => Front::Idle,
            Some(later) if later > at => Front::Later(later),
            Some(_) => Front::Valid,
        }
    }
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Queue(usize),
    Heap,
}

/// The index.
#[derive(Debug)]
pub(super) struct Deadlines<W> {
    queues: Vec<VecDeque<Due<W>>>,
    heap: BinaryHeap<Reverse<Due<W>>>,
    /// The earliest of all, and where it stands.
    first: Option<(Due<W>, Place)>,
    len: usize,
    sequence: u64,
    /// How many entries are valid.
    valid: usize,
}

impl<W: Copy + PartialEq> Deadlines<W> {
    pub(super) fn new() -> Deadlines<W> {
        Deadlines {
            queues: Vec::new(),
            heap: BinaryHeap::new(),
            first: None,
            len: 0,
            sequence: 0,
            valid: 0,
        }
    }

    /// Sees to it that an entry stands for `wanted`; one that is earlier does.
    pub(super) fn arm(&mut self, whose: W, wanted: Option<Instant>, armed: &mut Armed) {
        let Some(at) = wanted else { return };
        match *armed {
            Some(earlier) if earlier <= at => return,
            Some(_) => {}
            None => self.valid += 1,
        }
        *armed = Some(at);
        self.push(at, whose);
    }

    /// The transaction that had this entry has ended.
    pub(super) fn disarm(&mut self, armed: Armed) {
        if armed.is_some() {
            self.valid = self.valid.saturating_sub(1);
        }
    }

    /// The earliest entry.
    pub(super) fn front(&self) -> Option<(Instant, W)> {
        self.first.map(|(due, _)| (due.at, due.whose))
    }

    /// Takes the earliest entry out; its transaction is no longer armed when `valid`.
    pub(super) fn pop(&mut self, valid: bool) {
        self.take_first();
        if valid {
            self.valid = self.valid.saturating_sub(1);
        }
    }

    /// Moves the earliest entry, which is valid, to a later instant.
    pub(super) fn postpone(&mut self, at: Instant) {
        if let Some(whose) = self.take_first() {
            self.push(at, whose);
        }
    }

    /// Whether so much is stale that [`sweep`](Self::sweep) is due.
    pub(super) fn is_littered(&self) -> bool {
        self.len > SWEEP_ABOVE + 2 * self.valid
    }

    /// Keeps the entries that are valid.
    pub(super) fn sweep(&mut self, is_valid: impl Fn(Instant, W) -> bool) {
        for queue in &mut self.queues {
            queue.retain(|due| is_valid(due.at, due.whose));
        }
        self.heap.retain(|Reverse(due)| is_valid(due.at, due.whose));
        self.len = self.heap.len() + self.queues.iter().map(VecDeque::len).sum::<usize>();
        self.first = self.earliest();
    }

    /// How many entries there are, stale ones included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn push(&mut self, at: Instant, whose: W) {
        self.sequence = self.sequence.wrapping_add(1);
        let due = Due {
            at,
            sequence: self.sequence,
            whose,
        };
        let place = self.place(at);
        match place {
            Place::Queue(at) => match self.queues.get_mut(at) {
                Some(queue) => queue.push_back(due),
                None => self.queues.push(VecDeque::from([due])),
            },
            Place::Heap => self.heap.push(Reverse(due)),
        }
        self.len += 1;
        if self.first.is_none_or(|(first, _)| due < first) {
            self.first = Some((due, place));
        }
    }

    /// Behind the latest entry that is not later; else a queue of its own while there are few, and the heap at last.
    fn place(&self, at: Instant) -> Place {
        let mut best: Option<(Option<Instant>, usize)> = None;
        for (number, queue) in self.queues.iter().enumerate() {
            let back = queue.back().map(|due| due.at);
            if back.is_none_or(|back| back <= at) && best.is_none_or(|(known, _)| back > known) {
                best = Some((back, number));
            }
        }
        match best {
            Some((_, number)) => Place::Queue(number),
            None if self.queues.len() < QUEUES => Place::Queue(self.queues.len()),
            None => Place::Heap,
        }
    }

    fn take_first(&mut self) -> Option<W> {
        let (due, place) = self.first?;
        match place {
            Place::Queue(at) => drop(self.queues.get_mut(at)?.pop_front()),
            Place::Heap => drop(self.heap.pop()),
        }
        self.len -= 1;
        self.first = self.earliest();
        Some(due.whose)
    }

    fn earliest(&self) -> Option<(Due<W>, Place)> {
        let mut first = self.heap.peek().map(|Reverse(due)| (due, Place::Heap));
        for (number, queue) in self.queues.iter().enumerate() {
            if let Some(due) = queue.front()
                && first.is_none_or(|(known, _)| due < known)
            {
                first = Some((due, Place::Queue(number)));
            }
        }
        first.map(|(due, place)| (*due, place))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn earliest_first_and_ties_in_the_order_they_came() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new();
        for (whose, after) in [(1, 30), (2, 10), (3, 10), (4, 20)] {
            deadlines.arm(whose, Some(start + Duration::from_secs(after)), &mut None);
        }
        let mut order = Vec::new();
        while let Some((_, whose)) = deadlines.front() {
            order.push(whose);
            deadlines.pop(true);
        }
        assert_eq!(order, [2, 3, 4, 1]);
    }

    #[test]
    fn whatever_the_durations_are_the_order_is_that_of_time() {
        let start = Instant::now();
        let (mut deadlines, mut expected) = (Deadlines::new(), Vec::new());
        // Descending ones fit behind none: all queues are taken, and the heap after them.
        let falling = (0..100u64).map(|whose| (whose, 10_000 - whose));
        let mixed = (100..2_000u64).map(|whose| (whose, whose * 7_919 % 5_003));
        for (whose, millis) in falling.chain(mixed) {
            let at = start + Duration::from_millis(millis);
            deadlines.arm(whose, Some(at), &mut None);
            expected.push((at, whose));
            if whose % 3 == 0 {
                expected.sort(); // the sort is stable and `whose` counts up, as the sequence does
                assert_eq!(deadlines.front(), expected.first().copied());
                deadlines.pop(true);
                expected.remove(0);
            }
        }
        assert!(!deadlines.heap.is_empty());
        deadlines.sweep(|_, whose| whose % 2 == 0);
        expected.retain(|(_, whose)| whose % 2 == 0);
        expected.sort();
        for due in expected {
            assert_eq!(deadlines.front(), Some(due));
            deadlines.pop(true);
        }
        assert_eq!((deadlines.front(), deadlines.len()), (None, 0));
    }

    #[test]
    fn an_earlier_entry_stands_for_a_later_deadline() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new();
        let mut armed = None;
        deadlines.arm(1, Some(start + Duration::from_secs(5)), &mut armed);
        deadlines.arm(1, Some(start + Duration::from_secs(9)), &mut armed);
        deadlines.arm(1, None, &mut armed);
        assert_eq!((deadlines.len(), armed), (1, Some(start + Duration::from_secs(5))));
        deadlines.arm(1, Some(start + Duration::from_secs(2)), &mut armed);
        assert_eq!((deadlines.len(), armed), (2, Some(start + Duration::from_secs(2))));
        deadlines.postpone(start + Duration::from_secs(7));
        assert_eq!(deadlines.front(), Some((start + Duration::from_secs(5), 1)));
    }

    #[test]
    fn litter_is_swept() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new();
        for whose in 0..10_000u32 {
            let mut armed = None;
            deadlines.arm(whose, Some(start + Duration::from_secs(32)), &mut armed);
            deadlines.disarm(armed);
            if deadlines.is_littered() {
                deadlines.sweep(|_, _| false);
            }
        }
        assert!(deadlines.len() <= SWEEP_ABOVE + 1, "{}", deadlines.len());
    }
}
