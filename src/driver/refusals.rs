//! How many refused messages observers are told of. Anybody can send what is refused, a hundred thousand a second; each of
//! them told would push the events of calls out of the memory that readers who are behind rely on. All of them are counted.

use std::time::{Duration, Instant};

use crate::engine::Event;

/// Told in one second.
const MOST: u32 = 50;

/// What may still be told in this second.
#[derive(Debug)]
pub(super) struct Refusals {
    second: Instant,
    left: u32,
}

impl Refusals {
    pub(super) fn new(now: Instant) -> Refusals {
        Refusals {
            second: now,
            left: MOST,
        }
    }

    /// Whether observers hear of this event: of all but refusals that are too many.
    pub(super) fn is_told(&mut self, now: Instant, event: &Event) -> bool {
        if !matches!(event, Event::MessageRefused { .. }) {
            return true;
        }
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            *self = Refusals::new(now);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
mod tests {
    use super::*;
    use crate::engine::{CallHandle, Cause};

    #[test]
    fn a_flood_of_refusals_leaves_room_for_what_matters() {
        let now = Instant::now();
        let mut refusals = Refusals::new(now);
        let refused = Event::MessageRefused {
            source: "192.0.2.1:5060".parse().unwrap(),
            status: None,
            why: String::new(),
        };
        let told = |refusals: &mut Refusals, at| (0..1_000).filter(|_| refusals.is_told(at, &refused)).count();
        assert_eq!(told(&mut refusals, now), 50);
        let call = CallHandle { slot: 0, generation: 0 };
        let cause = Cause::Party;
        assert!(refusals.is_told(now, &Event::CallEnded { call, cause }));
        assert_eq!(told(&mut refusals, now + Duration::from_millis(999)), 0);
        assert_eq!(told(&mut refusals, now + Duration::from_secs(1)), 50);
    }
}
