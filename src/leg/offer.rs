//! Our offers inside a dialog: re-INVITE and UPDATE, one at a time, glare, and the ACK that a 2xx is owed.
//!
//! RFC 3261 §14, RFC 3264 §8, RFC 3311 §5.1, RFC 6337 §5, RFC 6141 §3 (a refused re-INVITE leaves the session as it was).
//! Glare (491): the leg waits by §14.1 and tries again by itself; its owner only hears the final outcome. The party's
//! offers are in `offered`.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{LegEvent, LegHandle, Legs, Purpose, State};
use crate::sdp::{Description, Direction};
use crate::sip::{ALLOW, SUPPORTED};
use crate::sip::{Draft, HeaderName, Message, Method};
use crate::transaction::{ClientHandle, SentAck, ServerHandle};
use crate::vocabulary::Cause;

/// How often a re-INVITE is tried again after 491; by §14.1 that is 30 seconds of glare at the least.
const GLARE_TRIES: u8 = 12;

/// The offer/answer state of a dialog (table in the module doc of `leg`).
#[derive(Debug)]
pub(crate) enum Exchange {
    /// Nothing under way.
    Stable,
    /// Our re-INVITE or UPDATE is out.
    Sent {
        client: Option<ClientHandle>,
        offer: Offer,
        tries: u8,
        until: Instant,
    },
    /// It met 491 and waits.
    Backoff { offer: Offer, tries: u8, until: Instant },
    /// A 2xx brought an offer; our ACK brings the answer.
    OwesAck(OurInvite),
    /// The party's re-INVITE or UPDATE waits for our answer.
    Received { server: ServerHandle, request: Message },
    /// Our 2xx waits for its ACK.
    Answered(AwaitAck),
}

/// What an offer travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A re-INVITE.
    Invite,
    /// An UPDATE, where the party allows it; else a re-INVITE (RFC 3311 §5.1).
    Update,
}

/// What we want to say to the party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// `None` asks for the party's offer; in an UPDATE it only refreshes.
    pub(crate) description: Option<Description>,
    pub(crate) carrier: Carrier,
    /// Nobody waits for the outcome: it keeps the session alive (RFC 4028).
    pub(crate) refresh: bool,
}

/// A 2xx that is sent again until its ACK comes (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(crate) struct AwaitAck {
    /// `None`: a process before this one sent it, and its ACK may have come already.
    pub(crate) server: Option<ServerHandle>,
    pub(crate) response: Bytes,
    pub(crate) cseq: u32,
    /// The 2xx has the offer, the ACK will have the answer.
    pub(crate) offered: bool,
    /// We answered by ourselves, nobody waits for the ACK.
    pub(crate) refresh: bool,
    pub(crate) interval: Duration,
    pub(crate) next: Instant,
    pub(crate) until: Instant,
}

/// Which INVITE of ours an ACK is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OurInvite {
    pub(crate) cseq: u32,
    /// Its transaction; no 2xx comes again once that has ended (RFC 6026 §7.2, timer M).
    pub(crate) client: Option<ClientHandle>,
}

/// An ACK of ours, to be sent again when its 2xx comes again (RFC 3261 §13.2.2.4).
#[derive(Debug)]
pub(crate) struct Acknowledged {
    invite: OurInvite,
    ack: SentAck,
}

impl Acknowledged {
    /// Whether it is for this INVITE.
    pub(crate) fn is_of(&self, cseq: u32) -> bool {
        self.invite.cseq == cseq
    }
}

/// A peer repeats a 2xx for 32 s; more exchanges than these pass in no honest dialog meanwhile.
const ACKS_KEPT: usize = 4;

impl Legs {
    /// Offers `description` to the party by re-INVITE; `None` asks for its offer. Waits its turn if another exchange is
    /// under way. The outcome is [`LegEvent::OfferAnswered`] or [`LegEvent::OfferRefused`].
    pub fn offer(&mut self, now: Instant, handle: LegHandle, description: Option<Description>) {
        self.offer_in(now, handle, description, Carrier::Invite);
    }

    /// As [`Legs::offer`], in this kind of request.
    pub fn offer_in(&mut self, now: Instant, handle: LegHandle, description: Option<Description>, carrier: Carrier) {
        let Some(leg) = self.get_mut(handle) else { return };
        if !leg.is_confirmed() {
            self.tell(handle, LegEvent::OfferRefused { status: 481 });
            return;
        }
        leg.waiting_offers.push_back(Offer {
            description,
            carrier,
            refresh: false,
        });
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

    pub(crate) fn send_offer(&mut self, now: Instant, handle: LegHandle, mut offer: Offer, tries: u8) {
        let (until, wanted) = (now + self.identity.t1 * 64, self.identity.session_expires);
        let presented = match offer
            .description
            .as_ref()
            .map(|offered| self.present(handle, offered, false))
            .transpose()
        {
            Ok(presented) => presented,
            Err(error) => {
                self.offer_impossible(now, handle, offer.refresh, error.status());
                return;
            }
        };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let (wire, kept) = presented.map(|presented| (presented.wire, presented.kept)).unzip();
        offer.description = kept;
        if !leg.abilities.update {
            offer.carrier = Carrier::Invite;
        }
        let method = match offer.carrier {
            Carrier::Invite => Method::Invite,
            Carrier::Update => Method::Update,
        };
        let draft = leg
            .dialog
            .next_request(&method)
            .header(HeaderName::Contact, &leg.contact)
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Supported, SUPPORTED);
        let mut draft = leg.ask_for_timer(draft, wanted);
        if let Some(wire) = wire {
            draft = draft.body("application/sdp", wire);
        }
        let client = self.request(now, handle, &draft, Purpose::Offer);
        if let Some(leg) = self.get_mut(handle) {
            leg.exchange = Exchange::Sent {
                client,
                offer,
                tries,
                until,
            };
        }
        self.deadlines.add(until, handle);
    }

    /// Our end could not describe itself: the party hears nothing of it, and the owner hears what a refusal would say.
    fn offer_impossible(&mut self, now: Instant, handle: LegHandle, refresh: bool, status: u16) {
        if let Some(leg) = self.get_mut(handle) {
            leg.exchange = Exchange::Stable;
        }
        if refresh {
            self.refreshed(now, handle, false);
        } else {
            self.tell(handle, LegEvent::OfferRefused { status });
            self.next_offer(now, handle);
        }
    }

    /// A final answer to our re-INVITE or UPDATE; `response` is `None` for silence and transport errors.
    pub(crate) fn offer_answered(&mut self, now: Instant, handle: LegHandle, status: u16, response: Option<&Message>) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let exchange = std::mem::replace(&mut leg.exchange, Exchange::Stable);
        let Exchange::Sent {
            client, offer, tries, ..
        } = exchange
        else {
            leg.exchange = exchange;
            if let (200..=299, Some(response)) = (status, response)
                && *response.method() == Method::Invite
            {
                self.acknowledge_again(handle, response.cseq());
            }
            return;
        };
        leg.owed = leg.owed.saturating_sub(1);
        let alive = leg.is_confirmed();
        match (status, response) {
            (200..=299, Some(response)) => self.offer_accepted(now, handle, client, offer, response),
            (491, _) if alive && tries < GLARE_TRIES => {
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
            // RFC 4028 §7.3.
            (422, Some(response)) if alive && leg.take_min_se(response) => self.send_offer(now, handle, offer, tries),
            // It said that it could, and cannot.
            (405 | 501, _) if alive && offer.carrier == Carrier::Update => {
                leg.abilities.update = false;
                let description = if offer.refresh {
                    leg.sent.clone()
                } else {
                    offer.description
                };
                self.send_offer(
                    now,
                    handle,
                    Offer {
                        description,
                        carrier: Carrier::Invite,
                        ..offer
                    },
                    tries,
                );
            }
            // RFC 3261 §14.1: the dialog is gone.
            (408 | 481, _) if alive => self.party_lost(now, handle, LegEvent::OfferRefused { status }),
            _ if alive && offer.refresh => {
                self.forget_offer(handle);
                self.refreshed(now, handle, false);
            }
            _ if alive => {
                self.forget_offer(handle);
                self.tell(handle, LegEvent::OfferRefused { status });
                self.next_offer(now, handle);
            }
            _ => self.bye_when_settled(now, handle),
        }
    }

    fn offer_accepted(
        &mut self,
        now: Instant,
        handle: LegHandle,
        client: Option<ClientHandle>,
        offer: Offer,
        response: &Message,
    ) {
        self.take_timer(now, handle, response);
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let mut description = super::request::description_of(handle, response);
        leg.refresh(response);
        let by_invite = offer.carrier == Carrier::Invite;
        let offered = offer.description.is_some();
        if offered {
            description = self.usable(handle, description);
        } else if let Some(theirs) = &description
            && self.hear_party(handle, theirs, true).is_err()
        {
            description = None;
        }
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        if by_invite {
            let cseq = response.cseq();
            leg.exchange = Exchange::OwesAck(OurInvite { cseq, client });
        }
        let changed = description.is_some() && description != leg.remote;
        // Free to choose, and it chose not to listen: the party holds us. Asked to listen only, it says so with `inactive`;
        // from one that an API client holds that means nothing.
        let offered_direction = offer
            .description
            .as_ref()
            .map_or(Direction::SendRecv, Description::direction);
        let free = match offered_direction {
            Direction::SendRecv => true,
            Direction::SendOnly => leg.held_by_command.is_none(),
            Direction::RecvOnly | Direction::Inactive => false,
        };
        if free && let Some(direction) = description.as_ref().map(Description::direction) {
            leg.holding = matches!(direction, Direction::SendOnly | Direction::Inactive);
        }
        leg.remote = description.clone().or(leg.remote.take());
        if offered {
            leg.sent = offer.description;
        }
        let releasing = !leg.is_confirmed();
        if by_invite && (offered || releasing) {
            self.acknowledge(now, handle, None);
        }
        if releasing {
            self.bye_when_settled(now, handle);
        } else if offer.refresh {
            self.refreshed(now, handle, changed);
        } else {
            self.tell(handle, LegEvent::OfferAnswered { description });
            self.next_offer(now, handle);
        }
    }

    /// Sends the ACK that a 2xx is owed: with the answer, if the offer was in the 2xx.
    pub fn acknowledge(&mut self, now: Instant, handle: LegHandle, answer: Option<&Description>) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let invite = match leg.exchange {
            Exchange::OwesAck(invite) => invite,
            Exchange::Stable
            | Exchange::Sent { .. }
            | Exchange::Backoff { .. }
            | Exchange::Received { .. }
            | Exchange::Answered(_) => return,
        };
        // RFC 3264 §6.1: within the mirror of what the party offered.
        let offered = leg.remote.as_ref().map_or(Direction::SendRecv, Description::direction);
        let answer = answer.map(|answer| {
            let direction = crate::sdp::answer_direction(offered, answer.direction());
            self.present(handle, &answer.with_direction(direction), true)
        });
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let mut draft = leg.dialog.ack_for_2xx(invite.cseq);
        let mut impossible = false;
        match answer {
            Some(Ok(presented)) => {
                draft = draft.body("application/sdp", presented.wire);
                leg.sent = Some(presented.kept);
            }
            Some(Err(_)) => impossible = leg.is_confirmed(),
            None => {}
        }
        leg.exchange = Exchange::Stable;
        if !leg.hold_ack(invite, &draft) {
            self.send_ack(handle, invite, &draft);
        }
        if impossible {
            // RFC 3261 §13.2.2.4: an offer that cannot be answered is acknowledged all the same, and then released.
            self.party_silent(now, handle);
            return;
        }
        self.next_offer(now, handle);
    }

    /// Sends an ACK, and keeps it for when the 2xx comes again.
    pub(crate) fn send_ack(&mut self, handle: LegHandle, invite: OurInvite, draft: &Draft) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let flow = leg.dialog.flow;
        let sent_by = self.identity.host_port(&flow);
        let ack = self.transactions.send_ack(flow, &sent_by, draft);
        if leg.acks.len() == ACKS_KEPT {
            leg.acks.remove(0);
        }
        leg.acks.push(Acknowledged { invite, ack });
    }

    /// The transaction of a request of ours has ended: its 2xx will not come again.
    pub fn forget_ack(&mut self, handle: LegHandle, client: ClientHandle) {
        if let Some(leg) = self.get_mut(handle) {
            leg.acks.retain(|kept| kept.invite.client != Some(client));
            if leg.acks.is_empty() {
                leg.acks = Vec::new(); // a call lasts much longer than its setup
            }
        }
    }

    /// Answers an offer that the party was asked for with what it had before: nobody wants it any more.
    pub fn acknowledge_as_before(&mut self, now: Instant, handle: LegHandle) {
        let Some(leg) = self.get(handle).filter(|leg| leg.owes_ack()) else {
            return;
        };
        let before = leg.sent.clone();
        self.acknowledge(now, handle, before.as_ref());
    }

    /// The 2xx came again: so does its ACK, the same bytes.
    pub(crate) fn acknowledge_again(&mut self, handle: LegHandle, cseq: u32) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let flow = leg.dialog.flow;
        if let Some(kept) = leg.acks.iter_mut().find(|kept| kept.invite.cseq == cseq) {
            self.transactions.send_ack_again(flow, &mut kept.ack);
        }
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
                let former = waiting.server.is_none();
                leg.exchange = Exchange::Stable;
                match leg.state {
                    State::Confirmed if former => self.next_offer(now, handle),
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
                let flow = leg.dialog.flow;
                match server {
                    Some(server) => drop(self.transactions.respond(now, server, response, 200)),
                    None => self.transactions.send_stateless(flow, response),
                }
                self.deadlines.add(next, handle);
            }
            Exchange::Backoff { until, offer, tries } if now >= *until => {
                let (offer, tries) = (offer.clone(), *tries);
                self.send_offer(now, handle, offer, tries);
            }
            Exchange::Sent {
                until,
                client: Some(client),
                offer,
                ..
            } if now >= *until && offer.carrier == Carrier::Invite => {
                // Provisional answers stopped Timer B; nobody answers a re-INVITE by hand, so 64*T1 is enough.
                self.transactions
                    .cancel(now, *client, super::TransactionUser::Leg(handle, Purpose::Cancel));
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
