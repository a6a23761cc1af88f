//! The INVITE server transaction (RFC 3261 §17.2.1 as amended by RFC 6026 §8.5 and §8.7).
//!
//! **Owns** the 100 after 200 ms of silence, the retransmission of a final response that is no 2xx until its ACK, and
//! the absorbing of what comes twice. **Refuses** to retransmit a 2xx: the leg does until the ACK reaches it, and hands
//! each repetition to the machine in Accepted.
//!
//! RFC 3261 knows no Trying here; it is Proceeding before anybody has answered.
//!
//! | state | input | next | what happens |
//! |---|---|---|---|
//! | – | INVITE | Trying | passed up; 200 ms run |
//! | Trying | 200 ms | Proceeding | 100 sent |
//! | Trying | INVITE | Trying | absorbed |
//! | Trying, Proceeding | 1xx of the user | Proceeding | sent |
//! | Proceeding | INVITE | Proceeding | the last 1xx sent again |
//! | Trying, Proceeding | 2xx of the user | Accepted | sent; L runs |
//! | Trying, Proceeding | 300–699 of the user | Completed | sent; G (UDP) and H run |
//! | Completed | INVITE | Completed | the response sent again |
//! | Completed | G | Completed | the response sent again, G doubled, at most T2 |
//! | Completed | H | Terminated | timed out: no ACK came |
//! | Completed | ACK | Confirmed | absorbed; I runs (reliable: Terminated at once) |
//! | Confirmed | INVITE, ACK | Confirmed | absorbed |
//! | Confirmed | I | Terminated | – |
//! | Accepted | INVITE | Accepted | absorbed |
//! | Accepted | ACK | Accepted | passed up |
//! | Accepted | 2xx of the user | Accepted | sent |
//! | Accepted | L | Terminated | – |
//! | Trying, Proceeding | ACK | the same | absorbed: nothing was final |
//! | Completed, Confirmed, Accepted | any other response of the user | the same | refused |

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::server::Step;
use super::timers::{TRYING_AFTER, Timers, after};

/// The states, each with what only it needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum ServerInvite {
    /// Nobody has answered; the request is kept for its 100.
    Trying { request: Bytes, trying_at: Instant },
    /// The last provisional response, for retransmissions of the INVITE.
    Proceeding { last: Bytes },
    /// A final response waits for its ACK.
    Completed {
        last: Bytes,
        /// Timer G; none on a reliable flow.
        again: Option<Instant>,
        interval: Duration,
        /// Timer H.
        give_up: Instant,
    },
    /// The ACK has come.
    Confirmed {
        /// Timer I.
        until: Instant,
    },
    /// A 2xx has been sent; its ACK and its retransmissions are the leg's.
    Accepted {
        /// Timer L.
        until: Instant,
    },
    /// Over.
    #[default]
    Terminated,
}

impl ServerInvite {
    /// The machine of an INVITE that has come now.
    pub(super) fn start(now: Instant, request: Bytes) -> ServerInvite {
        ServerInvite::Trying {
            request,
            trying_at: now + TRYING_AFTER,
        }
    }

    /// The INVITE has come again.
    pub(super) fn receive_again(&mut self) -> Step {
        match self {
            ServerInvite::Proceeding { last } | ServerInvite::Completed { last, .. } => Step::send(last.clone()),
            ServerInvite::Trying { .. }
            | ServerInvite::Confirmed { .. }
            | ServerInvite::Accepted { .. }
            | ServerInvite::Terminated => Step::nothing(),
        }
    }

    /// An ACK has come that matches.
    pub(super) fn receive_ack(&mut self, now: Instant, timers: &Timers, reliable: bool) -> Step {
        match self {
            ServerInvite::Completed { .. } => {
                *self = if reliable {
                    ServerInvite::Terminated // I is zero
                } else {
                    ServerInvite::Confirmed { until: now + timers.t4 }
                };
                Step::nothing()
            }
            ServerInvite::Accepted { .. } => Step::pass(),
            ServerInvite::Trying { .. }
            | ServerInvite::Proceeding { .. }
            | ServerInvite::Confirmed { .. }
            | ServerInvite::Terminated => Step::nothing(),
        }
    }

    /// The user answers. `None`: refused, nothing is sent.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        timers: &Timers,
        reliable: bool,
        response: Bytes,
        status: u16,
    ) -> Option<Step> {
        match (&*self, status) {
            (ServerInvite::Trying { .. } | ServerInvite::Proceeding { .. }, 100..=199) => {
                *self = ServerInvite::Proceeding { last: response.clone() };
            }
            (ServerInvite::Trying { .. } | ServerInvite::Proceeding { .. }, 200..=299) => {
                *self = ServerInvite::Accepted {
                    until: now + timers.give_up(),
                };
            }
            (ServerInvite::Trying { .. } | ServerInvite::Proceeding { .. }, 300..=699) => {
                *self = ServerInvite::Completed {
                    last: response.clone(),
                    again: (!reliable).then(|| now + timers.t1),
                    interval: timers.t1,
                    give_up: now + timers.give_up(),
                };
            }
            (ServerInvite::Accepted { .. }, 200..=299) => {}
            (
                ServerInvite::Trying { .. }
                | ServerInvite::Proceeding { .. }
                | ServerInvite::Completed { .. }
                | ServerInvite::Confirmed { .. }
                | ServerInvite::Accepted { .. }
                | ServerInvite::Terminated,
                _,
            ) => return None,
        }
        Some(Step::send(response))
    }

    /// Time has come to `now`. `trying` prints the 100 for the request.
    pub(super) fn timeout(&mut self, now: Instant, timers: &Timers, trying: impl Fn(&Bytes) -> Option<Bytes>) -> Step {
        match self {
            ServerInvite::Trying { request, trying_at } if *trying_at <= now => {
                let last = trying(request).unwrap_or_default();
                *self = ServerInvite::Proceeding { last: last.clone() };
                Step::send(last)
            }
            ServerInvite::Completed { give_up, .. } if *give_up <= now => {
                *self = ServerInvite::Terminated;
                Step::timed_out()
            }
            ServerInvite::Completed {
                last,
                again: Some(at),
                interval,
                ..
            } if *at <= now => {
                *interval = timers.doubled(*interval);
                *at = after(*at, *interval, now);
                Step::send(last.clone())
            }
            ServerInvite::Confirmed { until } | ServerInvite::Accepted { until } if *until <= now => {
                *self = ServerInvite::Terminated;
                Step::nothing()
            }
            ServerInvite::Trying { .. }
            | ServerInvite::Proceeding { .. }
            | ServerInvite::Completed { .. }
            | ServerInvite::Confirmed { .. }
            | ServerInvite::Accepted { .. }
            | ServerInvite::Terminated => Step::nothing(),
        }
    }

    /// The last response, for a To tag that the user has chosen.
    pub(super) fn last(&self) -> Option<&Bytes> {
        match self {
            ServerInvite::Proceeding { last } | ServerInvite::Completed { last, .. } => Some(last),
            ServerInvite::Trying { .. }
            | ServerInvite::Confirmed { .. }
            | ServerInvite::Accepted { .. }
            | ServerInvite::Terminated => None,
        }
    }

    /// When [`timeout`](Self::timeout) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            ServerInvite::Trying { trying_at, .. } => Some(*trying_at),
            ServerInvite::Completed { again, give_up, .. } => Some(again.map_or(*give_up, |at| at.min(*give_up))),
            ServerInvite::Confirmed { until } | ServerInvite::Accepted { until } => Some(*until),
            ServerInvite::Proceeding { .. } | ServerInvite::Terminated => None,
        }
    }

    /// Whether it is over.
    pub(super) fn is_terminated(&self) -> bool {
        match self {
            ServerInvite::Terminated => true,
            ServerInvite::Trying { .. }
            | ServerInvite::Proceeding { .. }
            | ServerInvite::Completed { .. }
            | ServerInvite::Confirmed { .. }
            | ServerInvite::Accepted { .. } => false,
        }
    }
}

#[cfg(test)]
#[path = "server_invite_tests.rs"]
mod tests;
