//! Offers inside a dialog: re-INVITE in both directions, one at a time, glare, and the ACK that each owes.
//!
//! RFC 3261 §14, RFC 3264 §8, RFC 6337 §5, RFC 6141 §3 (a refused re-INVITE leaves the session as it was).
//! Glare (491): the leg waits by §14.1 and tries again by itself; its owner only hears the final outcome.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{LegEvent, LegHandle, Legs, Purpose, State};
use crate::sdp::{Description, Direction};
use crate::sip::{ALLOW, SUPPORTED};
use crate::sip::{HeaderName, Message, Method};
use crate::transaction::{ClientHandle, ServerHandle};
use crate::vocabulary::Cause;

/// How often a re-INVITE is tried again after 491; by §14.1 that is 30 seconds of glare at the least.
const GLARE_TRIES: u8 = 12;

/// The offer/answer state of a dialog (table in the module doc of `leg`).
#[derive(Debug)]
pub(crate) enum Exchange {
    /// Nothing under way.
    Stable,
    /// Our re-INVITE is out.
    Sent {
        invite: Option<ClientHandle>,
        offer: Option<Description>,
        tries: u8,
        until: Instant,
    },
    /// Our re-INVITE met 491 and waits.
    Backoff {
        offer: Option<Description>,
        tries: u8,
        until: Instant,
    },
    /// A 2xx brought an offer; our ACK brings the answer.
    OwesAck { cseq: u32 },
    /// The party's re-INVITE waits for our answer.
    Received { server: ServerHandle, request: Message },
    /// Our 2xx waits for its ACK.
    Answered(AwaitAck),
}

/// A 2xx that is sent again until its ACK comes (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(crate) struct AwaitAck {
    server: ServerHandle,
    response: Bytes,
    cseq: u32,
    offered: bool,
    interval: Duration,
    next: Instant,
    until: Instant,
}

/// A peer repeats a 2xx for 32 s; more exchanges than these pass in no honest dialog meanwhile.
const ACKS_KEPT: usize = 4;

impl Legs {
    /// Offers `description` to the party by re-INVITE; `None` asks for its offer. Waits its turn if another exchange is
    /// under way. The outcome is [`LegEvent::OfferAnswered`] or [`LegEvent::OfferRefused`].
    pub fn offer(&mut self, now: Instant, handle: LegHandle, description: Option<Description>) {
        let Some(leg) = self.get_mut(handle) else { return };
        if !leg.is_confirmed() {
            self.tell(handle, LegEvent::OfferRefused { status: 481 });
            return;
        }
        leg.waiting_offers.push_back(description);
        self.next_offer(now, handle);
    }

    /// Sends the next waiting offer, if the exchange is free.
    pub(crate) fn next_offer(&mut self, now: Instant, handle: LegHandle) {
        let Some(leg) = self.get_mut(handle) else { return };
        if !leg.is_confirmed() || !matches!(leg.exchange, Exchange::Stable) {
            return;
        }
        if let Some(offer) = leg.waiting_offers.pop_front() {
            self.send_offer(now, handle, offer, 0);
        }
    }

    fn send_offer(&mut self, now: Instant, handle: LegHandle, offer: Option<Description>, tries: u8) {
        let until = now + self.identity.t1 * 64;
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let offer = offer.map(|offer| leg.present(&offer));
        let mut draft = leg
            .dialog
            .next_request(&Method::Invite)
            .header(HeaderName::Contact, &leg.contact)
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Supported, SUPPORTED);
        if let Some(offer) = &offer {
            draft = draft.body("application/sdp", offer.bytes().clone());
        }
        let invite = self.request(now, handle, &draft, Purpose::Offer);
        if let Some(leg) = self.get_mut(handle) {
            leg.exchange = Exchange::Sent {
                invite,
                offer,
                tries,
                until,
            };
        }
        self.deadlines.add(until, handle);
    }

    /// A final answer to our re-INVITE; `response` is `None` for silence and transport errors.
    pub(crate) fn offer_answered(&mut self, now: Instant, handle: LegHandle, status: u16, response: Option<&Message>) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let exchange = std::mem::replace(&mut leg.exchange, Exchange::Stable);
        let Exchange::Sent { offer, tries, .. } = exchange else {
            leg.exchange = exchange;
            if let (200..=299, Some(response)) = (status, response) {
                self.acknowledge_again(handle, response.cseq());
            }
            return;
        };
        leg.owed = leg.owed.saturating_sub(1);
        match (status, response) {
            (200..=299, Some(response)) => {
                let description = super::request::description(response);
                leg.refresh(response);
                let offered = offer.is_some();
                leg.exchange = Exchange::OwesAck { cseq: response.cseq() };
                let answered = description.as_ref().map(Description::direction);
                let free = offer
                    .as_ref()
                    .is_none_or(|offer| offer.direction() == Direction::SendRecv);
                if free && let Some(direction) = answered {
                    // Free to choose, and it chose not to listen: the party holds us.
                    leg.holding = matches!(direction, Direction::SendOnly | Direction::Inactive);
                }
                leg.remote = description.clone().or(leg.remote.take());
                if offered {
                    leg.sent = offer;
                }
                let releasing = !leg.is_confirmed();
                if offered || releasing {
                    self.acknowledge(now, handle, None);
                }
                if releasing {
                    self.bye_when_settled(now, handle);
                } else {
                    self.tell(handle, LegEvent::OfferAnswered { description });
                }
            }
            (491, _) if leg.is_confirmed() && tries < GLARE_TRIES => {
                // RFC 3261 §14.1: the owner of the Call-ID waits 2.1–4 s, the other 0–2 s, in units of 10 ms.
                let chance = self.identity.hash(u64::from(leg.dialog.local_cseq), leg.origin.0);
                let wait = if leg.we_called {
                    2_100 + chance % 191 * 10
                } else {
                    chance % 201 * 10
                };
                let until = now + Duration::from_millis(wait);
                leg.exchange = Exchange::Backoff {
                    offer,
                    tries: tries + 1,
                    until,
                };
                self.deadlines.add(until, handle);
            }
            // RFC 3261 §14.1: the dialog is gone.
            (408 | 481, _) if leg.is_confirmed() => self.party_lost(now, handle, LegEvent::OfferRefused { status }),
            _ if leg.is_confirmed() => {
                self.tell(handle, LegEvent::OfferRefused { status });
                self.next_offer(now, handle);
            }
            _ => self.bye_when_settled(now, handle),
        }
    }

    /// Sends the ACK that a 2xx is owed: with the answer, if the offer was in the 2xx.
    pub fn acknowledge(&mut self, now: Instant, handle: LegHandle, answer: Option<&Description>) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let cseq = match leg.exchange {
            Exchange::OwesAck { cseq } => cseq,
            Exchange::Stable => leg.dialog.local_cseq,
            Exchange::Sent { .. } | Exchange::Backoff { .. } | Exchange::Received { .. } | Exchange::Answered(_) => {
                return;
            }
        };
        let mut draft = leg.dialog.ack_for_2xx(cseq);
        if let Some(answer) = answer {
            let presented = leg.present(answer);
            draft = draft.body("application/sdp", presented.bytes().clone());
            leg.sent = Some(presented);
        }
        leg.exchange = Exchange::Stable;
        let flow = leg.dialog.flow;
        let sent_by = self.identity.host_port(&flow);
        let ack = self.transactions.send_ack(flow, &sent_by, &draft);
        if leg.acks.len() == ACKS_KEPT {
            leg.acks.pop_front();
        }
        leg.acks.push_back((cseq, ack));
        self.next_offer(now, handle);
    }

    /// The 2xx came again: so does its ACK, the same bytes.
    pub(crate) fn acknowledge_again(&mut self, handle: LegHandle, cseq: u32) {
        let Some(leg) = self.get(handle) else { return };
        if let Some((_, ack)) = leg.acks.iter().find(|(of, _)| *of == cseq) {
            let (flow, ack) = (leg.dialog.flow, ack.clone());
            self.transactions.send_stateless(flow, ack);
        }
    }

    /// A re-INVITE of the party.
    pub(crate) fn offer_received(&mut self, now: Instant, handle: LegHandle, server: ServerHandle, request: Message) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let exchange = std::mem::replace(&mut leg.exchange, Exchange::Stable);
        let refusal = match &exchange {
            Exchange::Stable | Exchange::Backoff { .. } if leg.is_confirmed() => None,
            // RFC 3261 §14.2: 500 with Retry-After while the first is unanswered, 491 against one of ours.
            Exchange::Received { .. } => Some(500),
            Exchange::Sent { .. } | Exchange::OwesAck { .. } | Exchange::Answered(_) => Some(491),
            Exchange::Stable | Exchange::Backoff { .. } => Some(481),
        };
        if let Some(status) = refusal {
            leg.exchange = exchange;
            let mut draft = request.respond(status);
            if status == 500 {
                draft = draft.header(
                    HeaderName::RetryAfter,
                    self.identity.hash(u64::from(request.cseq()), 4) % 10,
                );
            }
            self.transactions.respond(now, server, draft.print(), status);
            return;
        }
        let description = super::request::description(&request);
        if description.is_none() && !request.body().is_empty() {
            leg.exchange = exchange;
            let draft = request.respond(415).header(HeaderName::Accept, "application/sdp");
            self.transactions.respond(now, server, draft.print(), 415);
            return;
        }
        if let Exchange::Backoff { offer, .. } = exchange {
            leg.waiting_offers.push_front(offer);
        }
        leg.refresh(&request);
        leg.exchange = Exchange::Received { server, request };
        self.invites.insert(server, handle);
        self.tell(handle, LegEvent::Offered { description });
    }

    /// Answers the party's re-INVITE with 200: the answer to its offer, or our offer if it had none. The direction of an
    /// answer never leaves the mirror of the offer's (RFC 3264 §6.1, LESSONS 26).
    pub fn answer_offer(&mut self, now: Instant, handle: LegHandle, description: &Description) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let exchange = std::mem::replace(&mut leg.exchange, Exchange::Stable);
        let Exchange::Received { server, request } = exchange else {
            leg.exchange = exchange;
            return;
        };
        let offer = super::request::description(&request);
        let offered = offer.is_none();
        let description = match offer {
            Some(offer) => {
                leg.holding = matches!(offer.direction(), Direction::SendOnly | Direction::Inactive);
                let direction = crate::sdp::answer_direction(offer.direction(), description.direction());
                leg.remote = Some(offer);
                description.with_direction(direction)
            }
            None => description.clone(),
        };
        let presented = leg.present(&description);
        let draft = request
            .respond(200)
            .header(HeaderName::Contact, &leg.contact)
            .copy(&request, HeaderName::RecordRoute)
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Supported, SUPPORTED)
            .body("application/sdp", presented.bytes().clone());
        leg.sent = Some(presented);
        self.invites.remove(&server);
        self.await_ack(now, handle, server, draft.print(), request.cseq(), offered);
    }

    /// Refuses the party's re-INVITE; the session stays as it was.
    pub fn refuse_offer(&mut self, now: Instant, handle: LegHandle, status: u16) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let exchange = std::mem::replace(&mut leg.exchange, Exchange::Stable);
        let Exchange::Received { server, request } = exchange else {
            leg.exchange = exchange;
            return;
        };
        self.transactions
            .respond(now, server, request.respond(status).print(), status);
        self.invites.remove(&server);
        self.next_offer(now, handle);
    }

    /// Sends a 2xx and waits for its ACK.
    pub(crate) fn await_ack(
        &mut self,
        now: Instant,
        handle: LegHandle,
        server: ServerHandle,
        response: Bytes,
        cseq: u32,
        offered: bool,
    ) {
        self.transactions.respond(now, server, response.clone(), 200);
        let (interval, until) = (self.identity.t1, now + self.identity.t1 * 64);
        let next = now + interval;
        if let Some(leg) = self.get_mut(handle) {
            leg.exchange = Exchange::Answered(AwaitAck {
                server,
                response,
                cseq,
                offered,
                interval,
                next,
                until,
            });
        }
        self.deadlines.add(next, handle);
    }

    /// The ACK to our 2xx.
    pub(crate) fn ack_received(&mut self, now: Instant, handle: LegHandle, ack: &Message) {
        let Some(leg) = self.get_mut(handle) else { return };
        let (offered, releasing) = match &leg.exchange {
            Exchange::Answered(waiting) if waiting.cseq == ack.cseq() => (waiting.offered, !leg.is_confirmed()),
            Exchange::Answered(_)
            | Exchange::Stable
            | Exchange::Sent { .. }
            | Exchange::Backoff { .. }
            | Exchange::OwesAck { .. }
            | Exchange::Received { .. } => {
                return;
            }
        };
        leg.exchange = Exchange::Stable;
        let description = super::request::description(ack);
        if offered && description.is_some() {
            leg.remote = description.clone();
        }
        if releasing {
            self.bye_when_settled(now, handle);
            return;
        }
        self.tell(handle, LegEvent::Acked { description });
        self.next_offer(now, handle);
    }

    /// Deadlines of the exchange: the 2xx again, the end of a back-off, a re-INVITE that nobody answers.
    pub(crate) fn exchange_timeout(&mut self, now: Instant, handle: LegHandle) {
        let t2 = self.identity.t2;
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        match &mut leg.exchange {
            Exchange::Answered(waiting) if now >= waiting.until => {
                // RFC 3261 §13.3.1.4: no ACK in 64*T1, so the dialog is confirmed but the session is ended.
                leg.exchange = Exchange::Stable;
                match leg.state {
                    State::Confirmed => self.party_silent(now, handle),
                    State::Calling(_) | State::Early(_) | State::Releasing(_) | State::Ended => {
                        self.bye_when_settled(now, handle)
                    }
                }
            }
            Exchange::Answered(waiting) if now >= waiting.next => {
                waiting.interval = (waiting.interval * 2).min(t2);
                waiting.next = (now + waiting.interval).min(waiting.until);
                let (server, response, next) = (waiting.server, waiting.response.clone(), waiting.next);
                self.transactions.respond(now, server, response, 200);
                self.deadlines.add(next, handle);
            }
            Exchange::Backoff { until, offer, tries } if now >= *until => {
                let (offer, tries) = (offer.take(), *tries);
                self.send_offer(now, handle, offer, tries);
            }
            Exchange::Sent { until, invite, .. } if now >= *until => {
                // Provisional answers stopped Timer B; nobody answers a re-INVITE by hand, so 64*T1 is enough.
                if let Some(invite) = *invite {
                    self.transactions
                        .cancel(now, invite, super::TransactionUser::Leg(handle, Purpose::Cancel));
                }
            }
            Exchange::Answered(_)
            | Exchange::Backoff { .. }
            | Exchange::Sent { .. }
            | Exchange::Stable
            | Exchange::OwesAck { .. }
            | Exchange::Received { .. } => {}
        }
    }

    fn party_silent(&mut self, now: Instant, handle: LegHandle) {
        self.release(now, handle, Cause::Lost);
        self.tell(handle, LegEvent::Released { cause: Cause::Lost });
    }

    /// 408 or 481 to an in-dialog request: the dialog is terminated (RFC 3261 §12.2.1.2); a BYE goes out for the party's sake.
    pub(crate) fn party_lost(&mut self, now: Instant, handle: LegHandle, first: LegEvent) {
        self.release(now, handle, Cause::Lost);
        self.tell(handle, first);
        self.tell(handle, LegEvent::Released { cause: Cause::Lost });
    }
}
