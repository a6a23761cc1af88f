//! The nonce-counts that were used (RFC 7616 §5.12): what makes credentials good for one request only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use compact_str::CompactString;

/// Nonces that are remembered at once. One is entered only with right credentials, so a stranger cannot fill the table;
/// when it is full the oldest is forgotten.
const MOST: usize = 65_536;

/// How far behind the highest count a request may arrive. UDP reorders, and phones send REGISTER and SUBSCRIBE together.
const WINDOW: u32 = 64;

/// The counts of every nonce that is still good.
#[derive(Debug, Default)]
pub(super) struct NonceCounts {
    counts: BTreeMap<CompactString, Count>,
    deadlines: BTreeSet<(Instant, CompactString)>,
}

#[derive(Debug)]
struct Count {
    highest: u32,
    /// Bit n: `highest - n` was used.
    used: u64,
}

impl NonceCounts {
    /// Uses up one count of a nonce; `false` if it was used before, is too old to tell, or is 0.
    pub(super) fn take(&mut self, now: Instant, nonce: &str, count: u32, lives: Duration) -> bool {
        self.forget(now);
        if count == 0 {
            return false;
        }
        if let Some(known) = self.counts.get_mut(nonce) {
            return known.take(count);
        }
        if self.counts.len() >= MOST
            && let Some((_, oldest)) = self.deadlines.pop_first()
        {
            self.counts.remove(&oldest);
        }
        self.deadlines.insert((now + lives, nonce.into()));
        self.counts.insert(
            nonce.into(),
            Count {
                highest: count,
                used: 1,
            },
        );
        true
    }

    fn forget(&mut self, now: Instant) {
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= now) {
            if let Some((_, nonce)) = self.deadlines.pop_first() {
                self.counts.remove(&nonce);
            }
        }
    }
}

impl Count {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            // A step beyond the window leaves nothing of it.
            self.used = self.used.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= WINDOW || self.used & (1 << behind) != 0 {
            return false;
        }
        self.used |= 1 << behind;
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_count_is_good_once_in_any_order_within_the_window() {
        let now = Instant::now();
        let mut counts = NonceCounts::default();
        let mut take = |count| counts.take(now, "n", count, MINUTE);
        assert!(take(1) && !take(1), "once");
        assert!(take(3) && take(2) && !take(2) && !take(3), "reordered");
        assert!(take(80) && take(17) && !take(16), "the window is 64 wide");
        assert!(take(u32::MAX) && !take(u32::MAX) && !take(80), "the end of the count");
        assert!(!take(0));
    }

    #[test]
    fn a_nonce_is_forgotten_when_it_is_no_longer_good() {
        let now = Instant::now();
        let mut counts = NonceCounts::default();
        assert!(counts.take(now, "n", 1, MINUTE));
        assert!(counts.take(now + MINUTE, "m", 1, MINUTE));
        assert_eq!((counts.counts.len(), counts.deadlines.len()), (1, 1));
    }

    #[test]
    fn the_table_is_bounded() {
        let now = Instant::now();
        let mut counts = NonceCounts::default();
        for n in 0..=MOST {
            assert!(counts.take(now + Duration::from_nanos(n as u64), &n.to_string(), 1, MINUTE));
        }
        assert_eq!((counts.counts.len(), counts.deadlines.len()), (MOST, MOST));
        assert!(!counts.counts.contains_key("0"));
    }
}
