//! The lengths of all timers, from T1, T2 and T4 (RFC 3261 §17, table 4; L and M: RFC 6026 §8.7 and §8.4).

use std::time::{Duration, Instant};

/// How long an INVITE may go without any answer from the user before the layer sends 100 (RFC 3261 §17.2.1).
pub const TRYING_AFTER: Duration = Duration::from_millis(200);

/// The three lengths from which every timer is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// The round trip estimate: 500 ms.
    pub t1: Duration,
    /// The longest interval between retransmissions of a non-INVITE request and of an INVITE's response: 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network: 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl Timers {
    /// Timers B, F, H, L and M: 64*T1.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: at least 32 s, and as long as the other side's timer H.
    pub fn answers_again(&self) -> Duration {
        self.give_up().max(Duration::from_secs(32))
    }

    /// The next interval of timers E and G: doubled, at most T2.
    pub fn doubled(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }

    /// When a non-INVITE request may first be answered 100 over UDP, and must be by then (RFC 4320 §4.1): after the
    /// client's timer E has come to T2, which with the defaults is 3.5 s.
    pub fn provisional_after(&self) -> Duration {
        let (mut interval, mut after) = (self.t1, Duration::ZERO);
        while interval < self.t2 && !interval.is_zero() {
            after += interval;
            interval *= 2;
        }
        after
    }
}

/// The next retransmission after one that was due `at`: from then, so that late wake-ups do not add up, but never in
/// the past, so that a long sleep is not followed by a burst.
pub(super) fn after(at: Instant, interval: Duration, now: Instant) -> Instant {
    let interval = interval.max(Duration::from_millis(1)); // a timer that does not move would never be done
    let next = at + interval;
    if next > now { next } else { now + interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lengths_of_the_standard() {
        let timers = Timers::default();
        assert_eq!(timers.give_up(), Duration::from_secs(32));
        assert_eq!(timers.answers_again(), Duration::from_secs(32));
        assert_eq!(timers.provisional_after(), Duration::from_millis(3500));
        assert_eq!(timers.doubled(Duration::from_secs(2)), Duration::from_secs(4));
        assert_eq!(timers.doubled(Duration::from_secs(4)), Duration::from_secs(4));
        let fast = Timers {
            t1: Duration::from_millis(100),
            ..timers
        };
        assert_eq!(fast.give_up(), Duration::from_millis(6400));
        assert_eq!(fast.answers_again(), Duration::from_secs(32), "D is never shorter");
    }
}
