//! The end of a leg: CANCEL, BYE, and what is owed before.
//!
//! RFC 3261 §9, §15. A BYE never overtakes an ACK that a re-INVITE is owed, and is not sent before the ACK of our own
//! 2xx has come (§15, LESSONS 7). A leg leaves the table when its last transaction has its answer.

use std::time::Instant;

use super::offer::Exchange;
use super::setup_client::Client;
use super::{LegEvent, LegHandle, Legs, Purpose, Setup, State, TransactionUser};
use crate::sdp::{Description, Direction};
use crate::sip::{Message, Method};
use crate::transaction::ServerHandle;
use crate::vocabulary::{Cause, Event};

/// How far the release is.
#[derive(Debug)]
pub(crate) enum Release {
    /// CANCEL is out (or waits for a provisional answer); the INVITE's final answer decides, or its transaction gives up.
    Cancelling { offer: Option<Description> },
    /// Our BYE waits until the exchange is settled, at most until then.
    Settling { until: Instant },
    /// Our BYE is out.
    ByeSent,
    /// Our BYE found no connection, at that moment: the party is told when it is back, if that is within 64*T1.
    Unsaid { since: Instant },
    /// The party has left; answers to our requests may still come.
    Lingering,
}

impl Legs {
    /// Ends the leg from our side: CANCEL, a refusal or a BYE, whichever its state asks for.
    pub fn release(&mut self, now: Instant, handle: LegHandle, cause: Cause) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        leg.waiting_offers.clear();
        match std::mem::replace(&mut leg.state, State::Ended) {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                self.cancel(now, handle, *client, cause)
            }
            State::Calling(Setup::Server(server)) => {
                leg.state = State::Calling(Setup::Server(server));
                self.reject(now, handle, refusal(cause), None, cause);
            }
            State::Early(Setup::Server(server)) => {
                leg.state = State::Early(Setup::Server(server));
                self.reject(now, handle, refusal(cause), None, cause);
            }
            State::Confirmed => {
                let until = now + self.identity.t1 * 64;
                leg.state = State::Releasing(Release::Settling { until });
                self.deadlines.add(until, handle);
                self.note_end(handle, cause);
                self.end_reports(handle);
                self.settle_exchange(now, handle);
                self.bye_when_settled(now, handle);
            }
            State::Releasing(release) => leg.state = State::Releasing(release),
            State::Ended => {}
        }
    }

    /// Ends the leg by order, and lets its owner act as if the party had left.
    pub fn hang_up(&mut self, now: Instant, handle: LegHandle) {
        self.release(now, handle, Cause::Command);
        self.tell(handle, LegEvent::Released { cause: Cause::Command });
    }

    /// What a leg reports that has no owner any more: requests still get an answer.
    pub fn unclaimed(&mut self, now: Instant, handle: LegHandle, event: LegEvent) {
        match event {
            LegEvent::Referred { server, request } | LegEvent::Asked { server, request } => {
                self.refuse(now, server, &request, 481, None)
            }
            LegEvent::Offered { .. } => self.refuse_offer(now, handle, 481),
            LegEvent::Answered { .. } => self.release(now, handle, Cause::OtherParty),
            LegEvent::OfferAnswered { .. } => self.acknowledge_as_before(now, handle),
            LegEvent::Ringing { .. }
            | LegEvent::Refused { .. }
            | LegEvent::Acked { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::Refreshed { .. }
            | LegEvent::Progress(_)
            | LegEvent::ReportSettled
            | LegEvent::Released { .. } => {}
        }
    }

    fn cancel(&mut self, now: Instant, handle: LegHandle, client: Client, cause: Cause) {
        let Some(invite) = client.invite else {
            self.end_unsent(handle);
            self.note_end(handle, cause);
            self.finish_if_settled(handle);
            return;
        };
        self.transactions
            .cancel(now, invite, TransactionUser::Leg(handle, Purpose::Cancel));
        if let Some(leg) = self.get_mut(handle) {
            leg.state = State::Releasing(Release::Cancelling {
                offer: client.invitation.offer,
            });
        }
        self.note_end(handle, cause);
    }

    /// Gives up what can be given up before a BYE: an unanswered re-INVITE of the party, a back-off, an ACK that is owed.
    fn settle_exchange(&mut self, now: Instant, handle: LegHandle) {
        let Some(leg) = self.get_mut(handle) else { return };
        match &leg.exchange {
            Exchange::Received { .. } => self.refuse_offer(now, handle, 487),
            Exchange::Backoff { .. } => leg.exchange = Exchange::Stable,
            Exchange::OwesAck { .. } => {
                // RFC 3261 §13.2.2.4: an offer is answered even where the BYE follows at once: no media either way.
                let answer = leg
                    .remote
                    .as_ref()
                    .map(|offer| offer.with_direction(Direction::Inactive));
                self.acknowledge(now, handle, answer.as_ref());
            }
            Exchange::Stable | Exchange::Sent { .. } | Exchange::Answered(_) => {}
        }
    }

    /// Sends the BYE that waited, as soon as nothing is owed any more.
    pub(crate) fn bye_when_settled(&mut self, now: Instant, handle: LegHandle) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let State::Releasing(Release::Settling { until }) = leg.state else {
            self.finish_if_settled(handle);
            return;
        };
        let owes = matches!(leg.exchange, Exchange::Sent { .. } | Exchange::Answered(_));
        if owes && now < until {
            return;
        }
        leg.exchange = Exchange::Stable;
        leg.state = State::Releasing(Release::ByeSent);
        let bye = leg.dialog.next_request(&Method::Bye);
        self.request(now, handle, &bye, Purpose::Bye);
    }

    /// The party's BYE.
    pub(crate) fn bye_received(&mut self, now: Instant, handle: LegHandle, server: ServerHandle, request: &Message) {
        self.transactions
            .respond(now, server, request.respond(200).print(), 200);
        let Some(leg) = self.get_mut(handle) else { return };
        match std::mem::replace(&mut leg.state, State::Releasing(Release::Lingering)) {
            State::Confirmed => {
                leg.waiting_offers.clear();
                self.settle_exchange(now, handle);
                self.note_end(handle, Cause::Party);
                self.tell(handle, LegEvent::Released { cause: Cause::Party });
            }
            // RFC 3261 §15: a caller may end an early dialog with BYE; its INVITE gets 487 (§15.1.2).
            state @ (State::Calling(Setup::Server(_)) | State::Early(Setup::Server(_))) => {
                leg.state = state;
                self.reject(now, handle, 487, None, Cause::Party);
                self.tell(handle, LegEvent::Released { cause: Cause::Party });
            }
            // A callee must not; its final answer will tell.
            state @ (State::Calling(Setup::Client(_)) | State::Early(Setup::Client(_))) => leg.state = state,
            // Both sides hang up at once: our BYE gets its own answer.
            State::Releasing(
                Release::Settling { .. } | Release::ByeSent | Release::Unsaid { .. } | Release::Lingering,
            ) => {}
            state @ (State::Releasing(Release::Cancelling { .. }) | State::Ended) => leg.state = state,
        }
        self.finish_if_settled(handle);
    }

    /// Our BYE was answered, or not. A phone whose connection broke shows its call until somebody tells it.
    pub(crate) fn bye_settled(&mut self, now: Instant, handle: LegHandle, answered: bool) {
        let away = !answered && self.lost.contains_key(&handle);
        // Who was waited for already, and is given up, is not waited for again.
        if let Some(leg) = self.get_mut(handle)
            && away
            && leg.cause != Some(Cause::Lost)
            && matches!(leg.state, State::Releasing(Release::ByeSent))
        {
            leg.state = State::Releasing(Release::Unsaid { since: now });
            self.deadlines.add(now + self.identity.t1 * 64, handle);
        }
        self.paid(handle);
    }

    /// The party has registered on another flow: a BYE that it may not have had goes there. One that it had is answered 481.
    pub(crate) fn say_bye_again(&mut self, now: Instant, handle: LegHandle) {
        if let Some(leg) = self.get_mut(handle)
            && matches!(leg.state, State::Releasing(Release::ByeSent | Release::Unsaid { .. }))
        {
            leg.state = State::Releasing(Release::Settling { until: now });
            self.bye_when_settled(now, handle);
        }
    }

    /// A final answer, or none, to one of our requests: nothing more is owed for it.
    pub(crate) fn paid(&mut self, handle: LegHandle) {
        if let Some(leg) = self.get_mut(handle) {
            leg.owed = leg.owed.saturating_sub(1);
        }
        self.finish_if_settled(handle);
    }

    /// Puts the leg up for the sweep when the party is gone and all transactions have their answers.
    pub(crate) fn finish_if_settled(&mut self, handle: LegHandle) {
        let Some(leg) = self.get_mut(handle) else { return };
        let party_gone = match &leg.state {
            State::Releasing(Release::ByeSent | Release::Lingering) => true,
            State::Releasing(Release::Cancelling { .. } | Release::Settling { .. } | Release::Unsaid { .. }) => false,
            State::Calling(_) | State::Early(_) | State::Confirmed | State::Ended => false,
        };
        if party_gone && leg.owed == 0 && leg.notifier.is_none() && leg.subscriber.is_none() {
            leg.state = State::Ended;
            self.ended.push(handle);
        }
    }

    /// The cause that observers are told, once: the first one counts.
    pub(crate) fn note_end(&mut self, handle: LegHandle, cause: Cause) {
        let Some(leg) = self.get_mut(handle) else { return };
        if leg.cause.is_none() {
            leg.cause = Some(cause);
            self.close_end(handle);
            self.run_timer(handle, None);
            self.events.push_back(Event::LegEnded { leg: handle, cause });
        }
    }

    /// The deadline of a release: a BYE that waited too long goes anyway, and a party that stays away is not told.
    pub(crate) fn release_timeout(&mut self, now: Instant, handle: LegHandle) {
        match self.get(handle).map(|leg| &leg.state) {
            Some(State::Releasing(Release::Settling { until })) if now >= *until => self.bye_when_settled(now, handle),
            Some(State::Releasing(Release::Unsaid { since })) if now >= *since + self.identity.t1 * 64 => {
                if let Some(leg) = self.get_mut(handle) {
                    leg.state = State::Releasing(Release::Lingering);
                }
                self.finish_if_settled(handle);
            }
            Some(State::Calling(_) | State::Early(_) | State::Confirmed | State::Releasing(_) | State::Ended)
            | None => {}
        }
    }
}

/// What an unanswered INVITE is told when we end its leg.
fn refusal(cause: Cause) -> u16 {
    match cause {
        Cause::Refused { status } => status,
        Cause::NoAnswer => 408,
        Cause::Command => 603,
        Cause::Transferred => 487,
        Cause::Party | Cause::OtherParty | Cause::Lost => 480,
    }
}
