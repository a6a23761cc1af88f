//! The non-INVITE server transaction (RFC 3261 §17.2.2 as amended by RFC 4320).
//!
//! **Owns** the repetition of the response for a request that comes twice, and RFC 4320's manners. **Refuses** a 408, a
//! provisional other than 100, a 100 over UDP before the client's timer E has come to T2, and a final response after
//! 64*T1, when the client has long given up: they would only make a storm.
//!
//! | state | input | next | what happens |
//! |---|---|---|---|
//! | – | request | Trying | passed up |
//! | Trying | request | Trying | absorbed |
//! | Trying | E at T2 (3.5 s) | Proceeding | 100 sent (RFC 4320 §4.1) |
//! | Trying, Proceeding | 100 of the user | Proceeding | sent, if it may be |
//! | Trying, Proceeding | 200–699 of the user | Completed | sent; J runs (reliable: Terminated at once) |
//! | Trying, Proceeding | 408, 101–199 of the user | the same | refused |
//! | Trying, Proceeding | 64*T1 | Terminated | timed out: nothing is sent any more |
//! | Proceeding, Completed | request | the same | the last response sent again |
//! | Completed | any response of the user | Completed | refused |
//! | Completed | J | Terminated | – |

use std::time::Instant;

use bytes::Bytes;

use super::server::Step;
use super::timers::Timers;

/// The states, each with what only it needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum ServerOther {
    /// Nobody has answered; the request is kept for its 100.
    Trying {
        request: Bytes,
        trying_at: Instant,
        give_up: Instant,
    },
    /// A 100 has been sent.
    Proceeding { last: Bytes, give_up: Instant },
    /// The final response has been sent.
    Completed {
        last: Bytes,
        /// Timer J.
        until: Instant,
    },
    /// Over.
    #[default]
    Terminated,
}

impl ServerOther {
    /// The machine of a request that has come now.
    pub(super) fn start(now: Instant, timers: &Timers, request: Bytes) -> ServerOther {
        ServerOther::Trying {
            request,
            trying_at: now + timers.provisional_after(),
            give_up: now + timers.give_up(), // the client's timer F
        }
    }

    /// The request has come again.
    pub(super) fn receive_again(&self) -> Step {
        match self {
            ServerOther::Proceeding { last, .. } | ServerOther::Completed { last, .. } => Step::send(last.clone()),
            ServerOther::Trying { .. } | ServerOther::Terminated => Step::nothing(),
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
        let (give_up, may_try) = match self {
            ServerOther::Trying { trying_at, give_up, .. } => (*give_up, reliable || *trying_at <= now),
            ServerOther::Proceeding { give_up, .. } => (*give_up, true),
            ServerOther::Completed { .. } | ServerOther::Terminated => return None,
        };
        *self = match status {
            _ if give_up <= now => return None,
            100 if may_try => ServerOther::Proceeding {
                last: response.clone(),
                give_up,
            },
            100..=199 | 408 => return None,
            200..=699 if reliable => ServerOther::Terminated, // J is zero
            200..=699 => ServerOther::Completed {
                last: response.clone(),
                until: now + timers.give_up(),
            },
            _ => return None,
        };
        Some(Step::send(response))
    }

    /// Time has come to `now`. `trying` prints the 100 for the request.
    pub(super) fn timeout(&mut self, now: Instant, trying: impl Fn(&Bytes) -> Option<Bytes>) -> Step {
        match self {
            ServerOther::Trying { give_up, .. } | ServerOther::Proceeding { give_up, .. } if *give_up <= now => {
                *self = ServerOther::Terminated;
                Step::timed_out()
            }
            ServerOther::Trying {
                request,
                trying_at,
                give_up,
            } if *trying_at <= now => {
                let last = trying(request).unwrap_or_default();
                *self = ServerOther::Proceeding {
                    last: last.clone(),
                    give_up: *give_up,
                };
                Step::send(last)
            }
            ServerOther::Completed { until, .. } if *until <= now => {
                *self = ServerOther::Terminated;
                Step::nothing()
            }
            ServerOther::Trying { .. }
            | ServerOther::Proceeding { .. }
            | ServerOther::Completed { .. }
            | ServerOther::Terminated => Step::nothing(),
        }
    }

    /// When [`timeout`](Self::timeout) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            ServerOther::Trying { trying_at, give_up, .. } => Some((*trying_at).min(*give_up)),
            ServerOther::Proceeding { give_up, .. } => Some(*give_up),
            ServerOther::Completed { until, .. } => Some(*until),
            ServerOther::Terminated => None,
        }
    }

    /// Whether it is over.
    pub(super) fn is_terminated(&self) -> bool {
        match self {
            ServerOther::Terminated => true,
            ServerOther::Trying { .. } | ServerOther::Proceeding { .. } | ServerOther::Completed { .. } => false,
        }
    }
}

#[cfg(test)]
#[path = "server_other_tests.rs"]
mod tests;
