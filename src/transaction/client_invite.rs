//! The INVITE client transaction (RFC 3261 §17.1.1 as amended by RFC 6026 §8.4).
//!
//! **Owns** the retransmission of the INVITE, the ACK for a final response that is no 2xx, and the time during which
//! further responses still belong to it. **Refuses** to acknowledge a 2xx (the leg does, RFC 3261 §13.2.2.4) and to end
//! an INVITE that rings (timer C is a proxy's).
//!
//! | state | input | next | what happens |
//! |---|---|---|---|
//! | – | start | Calling | INVITE sent; A (UDP) and B run |
//! | Calling | A | Calling | INVITE sent again, A doubled |
//! | Calling | B | Terminated | timed out |
//! | Calling | 1xx | Proceeding | passed up |
//! | Calling, Proceeding | 2xx | Accepted | passed up; M runs |
//! | Calling, Proceeding | 300–699 | Completed | passed up; ACK sent; D runs (reliable: Terminated at once) |
//! | Proceeding | 1xx | Proceeding | passed up |
//! | Proceeding | 64*T1 after our CANCEL | Terminated | timed out (RFC 3261 §9.1) |
//! | Completed | 300–699 | Completed | ACK sent again |
//! | Completed | 1xx, 2xx | Completed | dropped |
//! | Completed | D | Terminated | ended |
//! | Accepted | 2xx | Accepted | passed up: a retransmission or another fork, the leg acknowledges |
//! | Accepted | 1xx, 300–699 | Accepted | dropped |
//! | Accepted | M | Terminated | ended |
//! | Calling, Proceeding | the flow failed | Terminated | failed |
//! | Completed, Accepted | the flow failed | Terminated | ended: the user has its answer |

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{End, Step};
use super::timers::{Timers, after};
use crate::sip::{Draft, HeaderName, Message, Method};

/// The states, each with what only it needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum ClientInvite {
    /// Nothing has come back.
    Calling {
        request: Bytes,
        /// Timer A; none on a reliable flow.
        again: Option<Instant>,
        interval: Duration,
        /// Timer B.
        give_up: Instant,
    },
    /// A provisional response has come: it may ring for as long as it likes.
    Proceeding {
        request: Bytes,
        /// Only once our CANCEL has gone out.
        give_up: Option<Instant>,
    },
    /// A final response that we acknowledge.
    Completed {
        ack: Bytes,
        /// Timer D.
        until: Instant,
    },
    /// A 2xx, which the leg acknowledges.
    Accepted {
        /// Timer M.
        until: Instant,
    },
    /// Over.
    #[default]
    Terminated,
}

impl ClientInvite {
    /// The machine of an INVITE that is sent now.
    pub(super) fn start(now: Instant, timers: &Timers, reliable: bool, request: Bytes) -> ClientInvite {
        // RFC 3261 §17.1.1.2: over a reliable transport A does not run, B does over any.
        let again = (!reliable).then(|| now + timers.t1);
        ClientInvite::Calling {
            request,
            again,
            interval: timers.t1,
            give_up: now + timers.give_up(),
        }
    }

    /// A response with this transaction's branch and method.
    pub(super) fn receive(&mut self, now: Instant, timers: &Timers, reliable: bool, response: &Message) -> Step {
        let status = response.status().unwrap_or_default();
        let (next, step) = match (std::mem::take(self), status) {
            (ClientInvite::Calling { request, .. }, 100..=199) => {
                (ClientInvite::Proceeding { request, give_up: None }, Step::pass())
            }
            (proceeding @ ClientInvite::Proceeding { .. }, 100..=199) => (proceeding, Step::pass()),
            (ClientInvite::Calling { .. } | ClientInvite::Proceeding { .. }, 200..=299) => (
                ClientInvite::Accepted {
                    until: now + timers.give_up(),
                },
                Step::pass(),
            ),
            (ClientInvite::Calling { request, .. } | ClientInvite::Proceeding { request, .. }, 300..=699) => {
                let ack = ack(&request, response).unwrap_or_default();
                let step = Step {
                    send: Some(ack.clone()),
                    ..Step::pass()
                };
                if reliable {
                    // D is zero: nothing will come twice, and nothing of ours gets lost.
                    (ClientInvite::Terminated, step.and(End::Ended))
                } else {
                    (
                        ClientInvite::Completed {
                            ack,
                            until: now + timers.answers_again(),
                        },
                        step,
                    )
                }
            }
            (ClientInvite::Completed { ack, until }, 300..=699) => {
                let step = Step::send(ack.clone());
                (ClientInvite::Completed { ack, until }, step)
            }
            (accepted @ ClientInvite::Accepted { .. }, 200..=299) => (accepted, Step::pass()),
            // RFC 6026 §8.4: what belongs to a state that has gone changes nothing.
            (same @ (ClientInvite::Completed { .. } | ClientInvite::Accepted { .. }), _) => (same, Step::nothing()),
            // No such status; the message layer lets none through.
            (same @ (ClientInvite::Calling { .. } | ClientInvite::Proceeding { .. }), _) => (same, Step::nothing()),
            (ClientInvite::Terminated, _) => (ClientInvite::Terminated, Step::nothing()),
        };
        *self = next;
        step
    }

    /// Time has come to `now`.
    pub(super) fn timeout(&mut self, now: Instant) -> Step {
        let (next, step) = match std::mem::take(self) {
            ClientInvite::Calling { give_up, .. } if give_up <= now => {
                (ClientInvite::Terminated, Step::end(End::TimedOut))
            }
            ClientInvite::Calling {
                request,
                again: Some(at),
                interval,
                give_up,
            } if at <= now => {
                let interval = interval * 2; // A has no ceiling: T2 is for the others
                let step = Step::send(request.clone());
                (
                    ClientInvite::Calling {
                        request,
                        again: Some(after(at, interval, now)),
                        interval,
                        give_up,
                    },
                    step,
                )
            }
            ClientInvite::Proceeding { give_up: Some(at), .. } if at <= now => {
                (ClientInvite::Terminated, Step::end(End::TimedOut))
            }
            ClientInvite::Completed { until, .. } | ClientInvite::Accepted { until } if until <= now => {
                (ClientInvite::Terminated, Step::end(End::Ended))
            }
            same @ (ClientInvite::Calling { .. }
            | ClientInvite::Proceeding { .. }
            | ClientInvite::Completed { .. }
            | ClientInvite::Accepted { .. }
            | ClientInvite::Terminated) => (same, Step::nothing()),
        };
        *self = next;
        step
    }

    /// Our CANCEL goes out now: an INVITE that then still gets no final response is given up after 64*T1.
    pub(super) fn cancelled(&mut self, now: Instant, timers: &Timers) {
        match self {
            ClientInvite::Proceeding { give_up, .. } => *give_up = Some(now + timers.give_up()),
            ClientInvite::Calling { .. }
            | ClientInvite::Completed { .. }
            | ClientInvite::Accepted { .. }
            | ClientInvite::Terminated => {}
        }
    }

    /// The request, while a CANCEL may still be made from it: (it, whether CANCEL may go out now).
    pub(super) fn cancellable(&self) -> Option<(&Bytes, bool)> {
        match self {
            // RFC 3261 §9.1: a CANCEL that overtakes its INVITE would match nothing.
            ClientInvite::Calling { request, .. } => Some((request, false)),
            ClientInvite::Proceeding { request, .. } => Some((request, true)),
            ClientInvite::Completed { .. } | ClientInvite::Accepted { .. } | ClientInvite::Terminated => None,
        }
    }

    /// What the flow's failure means.
    pub(super) fn flow_failed(&mut self) -> Step {
        match std::mem::take(self) {
            ClientInvite::Calling { .. } | ClientInvite::Proceeding { .. } => Step::end(End::TransportFailed),
            ClientInvite::Completed { .. } | ClientInvite::Accepted { .. } => Step::end(End::Ended),
            ClientInvite::Terminated => Step::nothing(),
        }
    }

    /// When [`timeout`](Self::timeout) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            ClientInvite::Calling { again, give_up, .. } => Some(again.map_or(*give_up, |again| again.min(*give_up))),
            ClientInvite::Proceeding { give_up, .. } => *give_up,
            ClientInvite::Completed { until, .. } | ClientInvite::Accepted { until } => Some(*until),
            ClientInvite::Terminated => None,
        }
    }

    /// Whether it is over.
    pub(super) fn is_terminated(&self) -> bool {
        match self {
            ClientInvite::Terminated => true,
            ClientInvite::Calling { .. }
            | ClientInvite::Proceeding { .. }
            | ClientInvite::Completed { .. }
            | ClientInvite::Accepted { .. } => false,
        }
    }
}

/// The ACK for a final response that is no 2xx (RFC 3261 §17.1.1.3): the INVITE's Request-URI, top Via, From, Call-ID,
/// CSeq number and Route, and the response's To.
fn ack(request: &Bytes, response: &Message) -> Option<Bytes> {
    let (draft, invite) = follow_up(&Method::Ack, request)?;
    let via = invite.values(HeaderName::Via).next()?;
    Some(draft.copy(response, HeaderName::To).print_with_via(via))
}

/// The CANCEL of a pending INVITE (RFC 3261 §9.1): the same, and the INVITE's own To. `reason` is the value of a Reason
/// header (RFC 3326).
pub(super) fn cancel(request: &Bytes, reason: Option<&str>) -> Option<Bytes> {
    let (draft, invite) = follow_up(&Method::Cancel, request)?;
    let draft = match reason {
        Some(reason) => draft.header(HeaderName::Reason, reason),
        None => draft,
    };
    let via = invite.values(HeaderName::Via).next()?;
    Some(draft.copy(&invite, HeaderName::To).print_with_via(via))
}

/// What the requests that follow an INVITE on its own branch have in common. The INVITE is parsed again here, which
/// happens once for a call that fails, so that a call that does not keeps only its bytes.
fn follow_up(method: &Method, request: &Bytes) -> Option<(Draft, Message)> {
    let invite = Message::parse(request.clone()).ok()?;
    let draft = Draft::request(method, invite.request_uri()?)
        .header(HeaderName::MaxForwards, 70)
        .copy(&invite, HeaderName::Route)
        .copy(&invite, HeaderName::From)
        .copy(&invite, HeaderName::CallId)
        .header(HeaderName::CSeq, format_args!("{} {}", invite.cseq(), method));
    Some((draft, invite))
}

#[cfg(test)]
#[path = "client_invite_tests.rs"]
mod tests;
