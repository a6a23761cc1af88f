//! The non-INVITE client transaction (RFC 3261 §17.1.2).
//!
//! **Owns** the retransmission of the request until its final response. **Refuses** to make a 408 of its silence: the
//! user gets [`Event::TimedOut`](super::Event::TimedOut) and decides (RFC 4320 §4.2 keeps it from going upstream).
//!
//! | state | input | next | what happens |
//! |---|---|---|---|
//! | – | start | Trying | request sent; E (UDP) and F run |
//! | Trying | E | Trying | request sent again, E doubled, at most T2 |
//! | Proceeding | E | Proceeding | request sent again, E = T2 |
//! | Trying, Proceeding | F | Terminated | timed out |
//! | Trying, Proceeding | 1xx | Proceeding | passed up |
//! | Trying, Proceeding | 200–699 | Completed | passed up; K runs (reliable: Terminated at once) |
//! | Completed | any response | Completed | dropped |
//! | Completed | K | Terminated | ended |
//! | Trying, Proceeding | the flow failed | Terminated | failed |
//! | Completed | the flow failed | Terminated | ended |

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{End, Step};
use super::timers::{Timers, after};
use crate::sip::Message;

/// The states, each with what only it needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum ClientOther {
    /// Nothing has come back.
    Trying(Pending),
    /// A provisional response has come.
    Proceeding(Pending),
    /// The final response has come.
    Completed {
        /// Timer K.
        until: Instant,
    },
    /// Over.
    #[default]
    Terminated,
}

/// A request without its final response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pending {
    request: Bytes,
    /// Timer E; none on a reliable flow.
    again: Option<Instant>,
    interval: Duration,
    /// Timer F.
    give_up: Instant,
}

impl ClientOther {
    /// The machine of a request that is sent now.
    pub(super) fn start(now: Instant, timers: &Timers, reliable: bool, request: Bytes) -> ClientOther {
        let again = (!reliable).then(|| now + timers.t1);
        ClientOther::Trying(Pending {
            request,
            again,
            interval: timers.t1,
            give_up: now + timers.give_up(),
        })
    }

    /// Whether nothing has come back yet.
    pub(super) fn is_unanswered(&self) -> bool {
        match self {
            ClientOther::Trying(_) => true,
            ClientOther::Proceeding(_) | ClientOther::Completed { .. } | ClientOther::Terminated => false,
        }
    }

    /// A response with this transaction's branch and method.
    pub(super) fn receive(&mut self, now: Instant, timers: &Timers, reliable: bool, response: &Message) -> Step {
        let is_final = response.status().unwrap_or_default() >= 200;
        let (next, step) = match std::mem::take(self) {
            ClientOther::Trying(pending) | ClientOther::Proceeding(pending) => {
                if !is_final {
                    (ClientOther::Proceeding(pending), Step::pass())
                } else if reliable {
                    (ClientOther::Terminated, Step::pass().and(End::Ended)) // K is zero
                } else {
                    (ClientOther::Completed { until: now + timers.t4 }, Step::pass())
                }
            }
            same @ (ClientOther::Completed { .. } | ClientOther::Terminated) => (same, Step::nothing()),
        };
        *self = next;
        step
    }

    /// Time has come to `now`.
    pub(super) fn timeout(&mut self, now: Instant, timers: &Timers) -> Step {
        match self {
            ClientOther::Trying(pending) | ClientOther::Proceeding(pending) if pending.give_up <= now => {
                *self = ClientOther::Terminated;
                Step::end(End::TimedOut)
            }
            ClientOther::Trying(pending) => {
                let longer = timers.doubled(pending.interval);
                pending.retransmit(now, longer)
            }
            // RFC 3261 §17.1.2.2: in Proceeding the interval is T2.
            ClientOther::Proceeding(pending) => pending.retransmit(now, timers.t2),
            ClientOther::Completed { until } if *until <= now => {
                *self = ClientOther::Terminated;
                Step::end(End::Ended)
            }
            ClientOther::Completed { .. } | ClientOther::Terminated => Step::nothing(),
        }
    }

    /// What the flow's failure means.
    pub(super) fn flow_failed(&mut self) -> Step {
        match std::mem::take(self) {
            ClientOther::Trying(_) | ClientOther::Proceeding(_) => Step::end(End::TransportFailed),
            ClientOther::Completed { .. } => Step::end(End::Ended),
            ClientOther::Terminated => Step::nothing(),
        }
    }

    /// When [`timeout`](Self::timeout) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            ClientOther::Trying(pending) | ClientOther::Proceeding(pending) => Some(
                pending
                    .again
                    .map_or(pending.give_up, |again| again.min(pending.give_up)),
            ),
            ClientOther::Completed { until } => Some(*until),
            ClientOther::Terminated => None,
        }
    }

    /// Whether it is over.
    pub(super) fn is_terminated(&self) -> bool {
        match self {
            ClientOther::Terminated => true,
            ClientOther::Trying(_) | ClientOther::Proceeding(_) | ClientOther::Completed { .. } => false,
        }
    }
}

impl Pending {
    fn retransmit(&mut self, now: Instant, next_interval: Duration) -> Step {
        match self.again {
            Some(at) if at <= now => {
                self.interval = next_interval;
                self.again = Some(after(at, next_interval, now));
                Step::send(self.request.clone())
            }
            Some(_) | None => Step::nothing(),
        }
    }
}

#[cfg(test)]
#[path = "client_other_tests.rs"]
mod tests;
