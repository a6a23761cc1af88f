//! The party's offers inside a dialog: re-INVITE and UPDATE, the 2xx that waits for its ACK.
//!
//! RFC 3261 §14.2, RFC 3311 §5.2, RFC 3264 §8, RFC 6337 §5. What says nothing new (the same description, or an UPDATE
//! without one) refreshes the session or moves the target, concerns this leg alone, and is answered here: the other side
//! of the call is not asked every few minutes whether everything may stay as it is.
//!
//! | comes | while | answer |
//! |---|---|---|
//! | an offer | nothing is under way, or ours waits after 491 | the owner's |
//! | an offer | an earlier one of the party is unanswered | 500 with `Retry-After` |
//! | an offer | one of ours is out, or a 2xx waits for its ACK | 491 |
//! | nothing new | as for an offer; an UPDATE without description: always | 200 |
//! | a session interval that is too small | | 422 |
//! | an UPDATE with an offer, early | the offer of its INVITE has no reliable answer yet | 500 with `Retry-After` |
//! | the same | our INVITE's, or our offer in a reliable 18x, has none | 491 |
//! | the same | all is answered | 504: the other side, who has not picked up yet, would have to agree |

use std::time::Instant;

use bytes::Bytes;

use super::offer::{AwaitAck, Carrier, Exchange};
use super::{Abilities, Leg, LegEvent, LegHandle, Legs, Setup, State};
use crate::sdp::{Description, Direction};
use crate::sip::{ALLOW, SUPPORTED};
use crate::sip::{HeaderName, Message, Method};
use crate::transaction::ServerHandle;

impl Legs {
    /// A re-INVITE or UPDATE of the party.
    pub(crate) fn offer_received(&mut self, now: Instant, handle: LegHandle, server: ServerHandle, request: Message) {
        if let Some(least) = self.interval_too_small(&request) {
            let draft = request.respond(422).header(HeaderName::MinSe, least);
            self.transactions.respond(now, server, draft.print(), 422);
            return;
        }
        let description = super::request::description_of(handle, &request);
        if description.is_none() && !request.body().is_empty() {
            let draft = request.respond(415).header(HeaderName::Accept, "application/sdp");
            self.transactions.respond(now, server, draft.print(), 415);
            return;
        }
        if let Some(offer) = &description
            && let Some(end) = self.get(handle).and_then(Leg::our_end)
            && let Err(error) = end.would_take(offer)
        {
            self.refuse(now, server, &request, error.status(), Some(&error.to_string()));
            return;
        }
        let by_update = *request.method() == Method::Update;
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        if by_update && leg.is_early() && description.is_some() {
            let status = leg.early_offer_refused(request.from_tag().unwrap_or_default());
            self.refuse_offer_now(now, server, &request, status);
            return;
        }
        if by_update && description.is_none() && (leg.is_confirmed() || leg.is_early()) {
            leg.refresh(&request);
            self.accept_refresh(now, handle, server, &request, None);
            return;
        }
        let exchange = std::mem::replace(&mut leg.exchange, Exchange::Stable);
        let refusal = match &exchange {
            Exchange::Stable | Exchange::Backoff { .. } if leg.is_confirmed() => None,
            // Who asks for something new has the 2xx of the process before this one.
            Exchange::Answered(waiting) if waiting.server.is_none() && leg.is_confirmed() => None,
            // RFC 3261 §14.2, RFC 3311 §5.2: 500 with Retry-After while the first is unanswered, 491 against one of ours.
            Exchange::Received { .. } => Some(500),
            Exchange::Sent { .. } | Exchange::OwesAck { .. } | Exchange::Answered(_) => Some(491),
            Exchange::Stable | Exchange::Backoff { .. } => Some(481),
        };
        if let Some(status) = refusal {
            leg.exchange = exchange;
            self.refuse_offer_now(now, server, &request, status);
            return;
        }
        leg.refresh(&request);
        leg.abilities = Abilities::again(leg.abilities, &request);
        let nothing_new = description.as_ref().is_some_and(|offer| leg.has_agreed_to(offer));
        if let Exchange::Backoff { offer, .. } = exchange {
            // What the party offers now comes first; a refresh of ours is done by it.
            if !offer.refresh {
                leg.waiting_offers.push_front(offer);
            }
        }
        if nothing_new && let Some(sent) = leg.sent.clone() {
            self.accept_refresh(now, handle, server, &request, Some(&sent));
            return;
        }
        leg.exchange = Exchange::Received { server, request };
        self.invites.insert(server, handle);
        let carrier = if by_update { Carrier::Update } else { Carrier::Invite };
        self.tell(handle, LegEvent::Offered { description, carrier });
    }

    pub(crate) fn refuse_offer_now(&mut self, now: Instant, server: ServerHandle, request: &Message, status: u16) {
        let mut draft = request.respond(status);
        if status == 500 {
            draft = draft.header(
                HeaderName::RetryAfter,
                self.identity.hash(u64::from(request.cseq()), 4) % 10,
            );
        }
        self.transactions.respond(now, server, draft.print(), status);
    }

    /// A refresh of the party is accepted without asking anybody.
    fn accept_refresh(
        &mut self,
        now: Instant,
        handle: LegHandle,
        server: ServerHandle,
        request: &Message,
        sent: Option<&Description>,
    ) {
        let Some(leg) = self.get(handle) else { return };
        let mut draft = request
            .respond(200)
            .header(HeaderName::Contact, &leg.contact)
            .copy(request, HeaderName::RecordRoute)
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Supported, SUPPORTED);
        if let Some(sent) = sent {
            let text = leg.our_text().unwrap_or(sent.bytes());
            draft = draft.body("application/sdp", text.clone());
        }
        let draft = self.agree_on_timer(now, handle, request, draft);
        if *request.method() == Method::Invite {
            self.await_ack(now, handle, server, draft.print(), request.cseq(), false, true);
        } else {
            self.transactions.respond(now, server, draft.print(), 200);
            self.refreshed(now, handle, false);
        }
    }

    /// Answers the party's re-INVITE or UPDATE with 200: the answer to its offer, or our offer if it had none. The
    /// direction of an answer never leaves the mirror of the offer's (RFC 3264 §6.1, LESSONS 26).
    pub fn answer_offer(&mut self, now: Instant, handle: LegHandle, description: &Description) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let exchange = std::mem::replace(&mut leg.exchange, Exchange::Stable);
        let Exchange::Received { server, request } = exchange else {
            leg.exchange = exchange;
            return;
        };
        let offer = super::request::description_of(handle, &request);
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
        let theirs = leg.remote.clone().filter(|_| !offered);
        let heard = theirs.map_or(Ok(()), |theirs| self.hear_party(handle, &theirs, true));
        let presented = match heard.and_then(|()| self.present(handle, &description, !offered)) {
            Ok(presented) => presented,
            Err(error) => {
                if let Some(leg) = self.get_mut(handle) {
                    leg.exchange = Exchange::Received { server, request };
                }
                self.refuse_offer(now, handle, error.status());
                return;
            }
        };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let draft = request
            .respond(200)
            .header(HeaderName::Contact, &leg.contact)
            .copy(&request, HeaderName::RecordRoute)
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Supported, SUPPORTED)
            .body("application/sdp", presented.wire);
        leg.sent = Some(presented.kept);
        self.invites.remove(&server);
        let draft = self.agree_on_timer(now, handle, &request, draft);
        if *request.method() == Method::Invite {
            self.await_ack(now, handle, server, draft.print(), request.cseq(), offered, false);
        } else {
            // RFC 3311 §5.2: nothing acknowledges it.
            self.transactions.respond(now, server, draft.print(), 200);
            self.next_offer(now, handle);
        }
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
        self.refuse_offer_now(now, server, &request, status);
        self.invites.remove(&server);
        self.next_offer(now, handle);
    }

    /// Sends a 2xx and waits for its ACK.
    #[expect(clippy::too_many_arguments, reason = "what a 2xx is and what its ACK means")]
    pub(crate) fn await_ack(
        &mut self,
        now: Instant,
        handle: LegHandle,
        server: ServerHandle,
        response: Bytes,
        cseq: u32,
        offered: bool,
        refresh: bool,
    ) {
        self.transactions.respond(now, server, response.clone(), 200);
        let (interval, until) = (self.identity.t1, now + self.identity.t1 * 64);
        let next = now + interval;
        if let Some(leg) = self.get_mut(handle) {
            leg.exchange = Exchange::Answered(AwaitAck {
                server: Some(server),
                response,
                cseq,
                offered,
                refresh,
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
        let (offered, refresh) = match &leg.exchange {
            Exchange::Answered(waiting) if waiting.cseq == ack.cseq() => (waiting.offered, waiting.refresh),
            Exchange::Answered(_)
            | Exchange::Stable
            | Exchange::Sent { .. }
            | Exchange::Backoff { .. }
            | Exchange::OwesAck { .. }
            | Exchange::Received { .. } => return,
        };
        leg.exchange = Exchange::Stable;
        if !leg.is_confirmed() {
            self.bye_when_settled(now, handle);
            return;
        }
        let description = super::request::description_of(handle, ack).filter(|_| offered);
        let description = self.usable(handle, description);
        let Some(leg) = self.get_mut(handle) else { return };
        if let Some(answer) = &description {
            if leg
                .sent
                .as_ref()
                .is_some_and(|sent| sent.direction() == Direction::SendRecv)
            {
                // Free to choose, and it chose not to listen: the party holds us.
                leg.holding = matches!(answer.direction(), Direction::SendOnly | Direction::Inactive);
            }
            leg.remote = Some(answer.clone());
        }
        if refresh {
            self.refreshed(now, handle, false);
            return;
        }
        self.tell(handle, LegEvent::Acked { description });
        self.next_offer(now, handle);
    }
}

impl Leg {
    /// RFC 3311 §5.2: what an offer in an early dialog meets.
    fn early_offer_refused(&self, tag: &str) -> u16 {
        match &self.state {
            // Its own offer waits for our answer.
            State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server)) => {
                let offered = super::request::description(&server.request).is_some();
                match (offered, server.reliable.answered) {
                    (true, false) => 500,
                    (false, false) => 491,
                    (true | false, true) => 504,
                }
            }
            // Ours waits for its answer, unless a reliable 18x has brought it.
            State::Calling(Setup::Client(_)) | State::Early(Setup::Client(_)) => {
                if self.has_answered_early(tag) {
                    504
                } else {
                    491
                }
            }
            State::Confirmed | State::Releasing(_) | State::Ended => 481,
        }
    }

    /// Whether this offer of the party's is what it has, and what it has been sent answers it: then it only refreshes.
    /// The same words may mean something new: a party that was offered two-way audio, answered `sendonly`, and now offers
    /// that, wants to hold.
    fn has_agreed_to(&self, offer: &Description) -> bool {
        let holds = matches!(offer.direction(), Direction::SendOnly | Direction::Inactive);
        let answers =
            |sent: &Description| crate::sdp::answer_direction(offer.direction(), sent.direction()) == sent.direction();
        self.remote.as_ref() == Some(offer)
            && self.sent.as_ref().is_some_and(answers)
            && (holds == self.holding || self.held_by_command.is_some())
    }
}
