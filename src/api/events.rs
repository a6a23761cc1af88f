//! Numbered, dated events with a bounded memory, so that a client that lost its connection can take up where it was.
//!
//! One ring serves late and live readers alike: a reader holds the number of the last event that it saw and is woken
//! when a newer one comes. A reader that is too slow is told what it missed instead of slowing the engine down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::time::rfc3339;
use crate::engine::Event;

/// How many events are kept for those who come back.
pub const KEPT: usize = 8_192;

/// The number of no event: there will be no more.
const OVER: u64 = u64::MAX;

/// An event with its number and its time.
#[derive(Clone, Debug, Serialize)]
pub struct Stamped {
    /// Counts up from 1 without gaps while the process lives.
    pub sequence: u64,
    /// Wall-clock time, as RFC 3339 text in UTC.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

fn as_rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&rfc3339(*at))
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Stamped>>,
    next: u64,
}

/// Keeps the last [`KEPT`] events and wakes their readers.
#[derive(Debug)]
pub struct EventLog {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

impl Default for EventLog {
    fn default() -> Self {
        EventLog::new()
    }
}

impl EventLog {
    /// An empty log.
    pub fn new() -> EventLog {
        let ring = Ring {
            events: VecDeque::with_capacity(KEPT.min(256)),
            next: 1,
        };
        EventLog {
            ring: Mutex::new(ring),
            newest: watch::Sender::new(0),
        }
    }

    /// Numbers an event and shows it to every reader.
    pub fn push(&self, at: SystemTime, event: Event) -> Arc<Stamped> {
        let mut ring = self.lock();
        let stamped = Arc::new(Stamped {
            sequence: ring.next,
            at,
            event,
        });
        ring.next += 1;
        if ring.events.len() == KEPT {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&stamped));
        drop(ring);
        // Refused when nobody listens, which is the usual case; whoever comes next reads the ring before waiting.
        self.newest.send(stamped.sequence).ok();
        stamped
    }

    /// Another process tells what happens from now on: readers who asked for it are told to go there ([`Subscription::over`]).
    pub fn close(&self) {
        self.newest.send(OVER).ok(); // nobody reads
    }

    /// Starts reading after event `after`, or with the next event that happens.
    pub fn subscribe(log: &Arc<EventLog>, after: Option<u64>) -> Subscription {
        let changed = log.newest.subscribe();
        let newest = log.lock().next - 1;
        // A number from the future was given by an earlier process: all that we know is new to its reader.
        let seen = after.map_or(newest, |after| if after > newest { 0 } else { after });
        Subscription {
            log: Arc::clone(log),
            seen,
            changed,
        }
    }

    // A reader that panicked has changed nothing half-way: every change here is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn after(&self, seen: u64) -> Option<Happened> {
        let ring = self.lock();
        let oldest = ring.events.front()?.sequence;
        if seen + 1 < oldest {
            return Some(Happened::Missed {
                from: seen + 1,
                to: oldest - 1,
            });
        }
        let place = usize::try_from(seen + 1 - oldest).ok()?;
        ring.events
            .get(place)
            .map(|stamped| Happened::Event(Arc::clone(stamped)))
    }
}

/// What a reader is told.
#[derive(Clone, Debug)]
pub enum Happened {
    /// The next event.
    Event(Arc<Stamped>),
    /// These were forgotten before the reader came for them.
    Missed {
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
    },
}

/// Reads events in order.
#[derive(Debug)]
pub struct Subscription {
    log: Arc<EventLog>,
    seen: u64,
    changed: watch::Receiver<u64>,
}

impl Subscription {
    /// What is there already.
    pub fn try_next(&mut self) -> Option<Happened> {
        let happened = self.log.after(self.seen)?;
        self.seen = match &happened {
            Happened::Event(stamped) => stamped.sequence,
            Happened::Missed { to, .. } => *to,
        };
        Some(happened)
    }

    /// Resolves when there will be no more: another process goes on.
    pub fn over(&self) -> impl Future<Output = ()> + use<> {
        let mut changed = self.changed.clone();
        async move {
            if changed.wait_for(|newest| *newest == OVER).await.is_err() {
                std::future::pending::<()>().await; // the log outlives its readers
            }
        }
    }

    /// Waits for the next one. May be dropped at any time without losing an event.
    pub async fn next(&mut self) -> Happened {
        loop {
            self.changed.borrow_and_update();
            if let Some(happened) = self.try_next() {
                return happened;
            }
            if self.changed.changed().await.is_err() {
                // The log outlives its readers, which hold it: this does not happen.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::CallHandle;
    use crate::engine::Cause;

    fn ended(slot: u32) -> Event {
        Event::CallEnded {
            call: CallHandle { slot, generation: 0 },
            cause: Cause::Party,
        }
    }

    fn numbers(subscription: &mut Subscription) -> Vec<u64> {
        let mut seen = Vec::new();
        while let Some(happened) = subscription.try_next() {
            match happened {
                Happened::Event(stamped) => seen.push(stamped.sequence),
                Happened::Missed { from, to } => seen.extend([from, to]),
            }
        }
        seen
    }

    #[test]
    fn a_reader_takes_up_where_it_was() {
        let log = Arc::new(EventLog::new());
        for slot in 0..3 {
            log.push(SystemTime::UNIX_EPOCH, ended(slot));
        }
        assert_eq!(numbers(&mut EventLog::subscribe(&log, Some(1))), [2, 3]);
        assert_eq!(numbers(&mut EventLog::subscribe(&log, Some(0))), [1, 2, 3]);
        assert_eq!(numbers(&mut EventLog::subscribe(&log, Some(900))), [1, 2, 3]);
        let mut live = EventLog::subscribe(&log, None);
        assert!(numbers(&mut live).is_empty());
        log.push(SystemTime::UNIX_EPOCH, ended(4));
        assert_eq!(numbers(&mut live), [4]);
    }

    #[test]
    fn a_slow_reader_is_told_what_it_missed() {
        let log = Arc::new(EventLog::new());
        let mut slow = EventLog::subscribe(&log, None);
        for _ in 0..KEPT + 5 {
            log.push(SystemTime::UNIX_EPOCH, ended(0));
        }
        let seen = numbers(&mut slow);
        assert_eq!(seen.get(..3), Some(&[1, 5, 6][..]));
        assert_eq!(seen.last(), Some(&(KEPT as u64 + 5)));
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let log = EventLog::new();
        let stamped = log.push(SystemTime::UNIX_EPOCH, ended(31));
        let json = serde_json::to_value(&*stamped).unwrap();
        let expect = serde_json::json!({
            "sequence": 1, "at": "1970-01-01T00:00:00.000Z", "event": "call.ended", "call": "call-1f-0", "cause": "party",
        });
        assert_eq!(json, expect);
    }
}
