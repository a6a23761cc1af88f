//! Provisional answers that must arrive: sent again until the caller's PRACK, one at a time.
//!
//! RFC 3262 §3, §5. We send 18x reliably to a caller that supports it when the party beyond does so too, and always to one
//! that requires it.
//!
//! | state | event | next | what is done |
//! |---|---|---|---|
//! | free | 18x to send | waiting | sent with the next RSeq; again after T1, doubled |
//! | waiting | 18x to send | waiting | it waits its turn |
//! | waiting | PRACK with its RAck | free | 200; the next that waits is sent, or the 2xx that waits |
//! | any | PRACK with another RAck | same | 481 |
//! | waiting with a description | 2xx to send | waiting | it waits for the PRACK (§3) |
//! | waiting without | 2xx to send | over | sent |
//! | any | CANCEL, refusal | over | the final answer says all |
//! | waiting | 64*T1 | over | 504, the caller is lost (§3 wants a 5xx) |
//!
//! The description of a reliable 18x is the answer to the caller's offer, and the 2xx says nothing more (RFC 3261
//! §13.2.1). If another party picks up with another description, the call brings both sides together after the ACK. An
//! offer in a PRACK is answered with what the caller has; what it changed is told to the callee after the ACK, too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::setup_server::Server;
use super::{LegEvent, LegHandle, Legs, Setup, State};
use crate::sdp::Description;
use crate::sip::{HeaderName, Message};
use crate::transaction::ServerHandle;
use crate::vocabulary::Cause;

/// How the provisional answers to one INVITE go out.
#[derive(Debug, Default)]
pub(crate) struct Reliable {
    /// The last number; 0: none was sent reliably.
    rseq: u32,
    waiting: Option<Waiting>,
    queue: VecDeque<(u16, Option<Description>)>,
    /// The 2xx that must not overtake a PRACK.
    answer: Option<Option<Description>>,
    /// A reliable 18x had the answer to the caller's offer.
    pub(crate) answered: bool,
}

#[derive(Debug)]
struct Waiting {
    status: u16,
    response: Bytes,
    described: bool,
    interval: Duration,
    next: Instant,
    until: Instant,
}

impl Reliable {
    /// Once one was reliable, all are: the order of what comes is the caller's only clue.
    pub(crate) fn is_used(&self) -> bool {
        self.rseq != 0
    }
}

impl Server {
    pub(crate) fn requires_reliable(&self) -> bool {
        self.request.has_token(HeaderName::Require, "100rel")
    }

    fn takes_reliable(&self) -> bool {
        self.requires_reliable() || self.request.has_token(HeaderName::Supported, "100rel")
    }
}

impl Legs {
    /// Sends a provisional answer so that it arrives. `false`: the caller does not know how.
    pub(crate) fn ring_reliably(
        &mut self,
        now: Instant,
        handle: LegHandle,
        status: u16,
        description: Option<&Description>,
    ) -> bool {
        let (t1, first) = (
            self.identity.t1,
            self.identity
                .hash(u64::from(handle.slot) ^ u64::from(handle.generation), 5),
        );
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return false;
        };
        let is_answer = leg.remote.is_some();
        let (State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server))) = &mut leg.state else {
            return false;
        };
        if !server.takes_reliable() {
            return false;
        }
        if server.reliable.waiting.is_some() {
            server.reliable.queue.push_back((status, description.cloned()));
            return true;
        }
        // One answer to the caller's offer; what comes later says the same, or waits for the ACK.
        let described = description.filter(|_| !server.reliable.answered);
        let presented = described.and_then(|description| self.present(handle, description, is_answer).ok());
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return false;
        };
        let (contact, tag) = (leg.contact.clone(), leg.dialog.id.local_tag.clone());
        let (State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server))) = &mut leg.state else {
            return false;
        };
        // §3: the first is chosen at random between 1 and 2^31 - 1, each further one is one more.
        server.reliable.rseq = match server.reliable.rseq {
            0 => u32::try_from(first & 0x3fff_ffff).unwrap_or_default() + 1,
            last => last + 1,
        };
        let mut draft = server
            .request
            .respond(status)
            .to_tag(&tag)
            .header(HeaderName::Contact, contact)
            .copy(&server.request, HeaderName::RecordRoute)
            .header(HeaderName::Allow, crate::sip::ALLOW)
            .header(HeaderName::Require, "100rel")
            .header(HeaderName::RSeq, server.reliable.rseq);
        if let Some(presented) = &presented {
            draft = draft.body("application/sdp", presented.wire.clone());
            server.reliable.answered = true;
        }
        let response = draft.print();
        let next = now + t1;
        server.reliable.waiting = Some(Waiting {
            status,
            response: response.clone(),
            described: presented.is_some(),
            interval: t1,
            next,
            until: now + t1 * 64,
        });
        let transaction = server.server;
        if let Some(presented) = presented {
            leg.sent = Some(presented.kept);
        }
        if let State::Calling(_) = &leg.state
            && let State::Calling(setup) = std::mem::replace(&mut leg.state, State::Ended)
        {
            leg.state = State::Early(setup);
        }
        self.transactions.respond(now, transaction, response, status);
        self.deadlines.add(next, handle);
        true
    }

    /// Keeps a 2xx back that would overtake the PRACK of an answer. `true`: it waits.
    pub(crate) fn answer_waits(&mut self, handle: LegHandle, description: Option<&Description>) -> bool {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return false;
        };
        let (State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server))) = &mut leg.state else {
            return false;
        };
        let waits = server
            .reliable
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.described);
        if waits {
            server.reliable.answer = Some(description.cloned());
        }
        waits
    }

    /// The caller's PRACK.
    pub(crate) fn prack_received(&mut self, now: Instant, handle: LegHandle, server: ServerHandle, request: &Message) {
        let named = request
            .text(HeaderName::RAck)
            .map(|rack| rack.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let (State::Calling(Setup::Server(setup)) | State::Early(Setup::Server(setup))) = &mut leg.state else {
            self.refuse(now, server, request, 481, None);
            return;
        };
        let wanted = [
            setup.reliable.rseq.to_string(),
            setup.request.cseq().to_string(),
            "INVITE".to_owned(),
        ];
        if setup.reliable.waiting.is_none() || named.as_deref() != Some(wanted.as_slice()) {
            self.refuse(now, server, request, 481, None);
            return;
        }
        setup.reliable.waiting = None;
        let (next, answer) = (setup.reliable.queue.pop_front(), setup.reliable.answer.take());
        let mut draft = request.respond(200);
        let offer = super::request::description_of(handle, request);
        if let (Some(offer), Some(sent)) = (offer, leg.sent.clone()) {
            let direction = crate::sdp::answer_direction(offer.direction(), sent.direction());
            let heard = self.hear_party(handle, &offer, true);
            let presented = heard.and_then(|()| self.present(handle, &sent.with_direction(direction), true));
            // RFC 3262 §5: the PRACK itself is good; an offer that is not taken up leaves the session as it was.
            if let (Ok(presented), Some(leg)) = (presented, self.get_mut(handle)) {
                draft = draft.body("application/sdp", presented.wire);
                leg.sent = Some(presented.kept);
                leg.remote = Some(offer);
            }
        }
        self.transactions.respond(now, server, draft.print(), 200);
        match (answer, next) {
            (Some(answer), _) => self.answer(now, handle, answer.as_ref()),
            (None, Some((status, description))) => self.ring(now, handle, status, description.as_ref()),
            (None, None) => {}
        }
    }

    /// Sends what is not acknowledged yet once more, or gives the caller up.
    pub(crate) fn prack_timeout(&mut self, now: Instant, handle: LegHandle) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let (State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server))) = &mut leg.state else {
            return;
        };
        let transaction = server.server;
        let Some(waiting) = server.reliable.waiting.as_mut().filter(|waiting| waiting.next <= now) else {
            return;
        };
        if waiting.until <= now {
            self.reject(now, handle, 504, None, Cause::Lost);
            self.tell(handle, LegEvent::Released { cause: Cause::Lost });
            return;
        }
        // §3: T1, doubled without a cap.
        waiting.interval *= 2;
        waiting.next = (now + waiting.interval).min(waiting.until);
        let (response, status, next) = (waiting.response.clone(), waiting.status, waiting.next);
        self.transactions.respond(now, transaction, response, status);
        self.deadlines.add(next, handle);
    }
}
