//! What outlives a process of a leg, and what the next process makes of it.
//!
//! Dialogs that are confirmed are kept whole, of what rings only as much as [`StoredRinging`] has. A leg comes back under its handle, with its tag, its numbers, its descriptions and its timer, and what it owed is paid:
//!
//! | when the process died | the next one |
//! |---|---|
//! | our 2xx may not have arrived | sends it once more; a party that has it acknowledges it once more (RFC 3261 §13.2.2.4) |
//! | our re-INVITE was out | acknowledges it unseen and offers anew: nobody knows what the party has |
//! | a 2xx with an offer waited for our ACK | answers it with what the party had before |
//! | the party's re-INVITE was unanswered | takes it as if it came now |
//! | a final NOTIFY was under way | says it once more |
//! | a BYE was under way | sends it once more |
//!
//! What was written last may be a moment older than what was sent last. So our sequence goes on [`AHEAD`] further (RFC
//! 3261 §12.2.2 allows gaps), and so does the version of our description.
//!
//! RFC 3261 §12, §13.2.2.4, §14; RFC 3264 §8; RFC 4028 §10.

mod restore;
mod ringing;
mod stored;

use std::hash::{Hash, Hasher};
use std::time::Instant;

use compact_str::{CompactString, ToCompactString};

pub use restore::Unfinished;
pub use ringing::StoredRinging;
pub use stored::{StoredCancel, StoredDialog, StoredFlow, StoredLeg, WallClock};
pub(super) use stored::{StoredDescription, StoredExchange, StoredNotifier, StoredTimer};

use super::offer::Exchange;
use super::refer::Notifier;
use super::{Leg, LegHandle, Legs, Setup, State, TransactionUser};
use crate::dialog::{Dialog, DialogId, Role, RouteSet};
use crate::media::describe::StoredEnd;
use crate::sdp::Description;
use crate::sip::{Draft, HeaderName, Message, Method};
use crate::transport::Flow;
use crate::vocabulary::Cause;

/// How much further our sequence and our description's version go on: more than passes between two writes.
const AHEAD: u32 = 64;

impl Leg {
    /// Changes whenever something changes that outlives the process; `None`: nothing of the leg does. Messages that only
    /// count the sequence up change it once in a while, less often than [`AHEAD`] allows.
    fn stamp(&self) -> Option<u64> {
        let ending = match &self.state {
            State::Confirmed => 0,
            State::Releasing(_) if self.dialog.id.remote_tag.is_empty() => return None,
            State::Releasing(super::release::Release::Cancelling { .. }) => return None,
            State::Releasing(_) => 1,
            State::Calling(_) | State::Early(_) | State::Ended => return None,
        };
        let exchange = match &self.exchange {
            // That an ACK has come need not be written: who gets a 2xx once more acknowledges it once more.
            Exchange::Stable | Exchange::Answered(_) if self.waiting_offers.is_empty() => 0,
            Exchange::Stable | Exchange::Answered(_) | Exchange::Backoff { .. } => 1,
            Exchange::Sent { .. } => 2,
            Exchange::OwesAck(_) => 3,
            Exchange::Received { .. } => 4,
        };
        // By content: two descriptions of one length may stand in one place of the memory, one after the other.
        let mut stamp = siphasher::sip::SipHasher13::new();
        (ending, exchange, self.dialog.local_cseq / (AHEAD / 2)).hash(&mut stamp);
        (self.holding, self.told_held, self.held_by_command).hash(&mut stamp);
        (self.abilities, self.subscriber.is_some()).hash(&mut stamp);
        (self.dialog.flow, self.dialog.remote_target.as_str()).hash(&mut stamp);
        (self.remote.as_ref().map(Description::bytes)).hash(&mut stamp);
        (self.sent.as_ref().map(Description::bytes), self.origin).hash(&mut stamp);
        (self.notifier.as_ref().map(Notifier::stamp)).hash(&mut stamp);
        (self.timer.as_ref().map(|timer| timer.end())).hash(&mut stamp);
        self.media.stamp(&mut stamp);
        Some(stamp.finish())
    }

    fn stored_exchange(&self, clock: &WallClock) -> StoredExchange {
        match &self.exchange {
            Exchange::Stable if self.waiting_offers.is_empty() => StoredExchange::Quiet,
            Exchange::Stable | Exchange::Backoff { .. } => StoredExchange::Offered { acknowledge: None },
            Exchange::Sent { offer, .. } => StoredExchange::Offered {
                acknowledge: (offer.carrier == super::Carrier::Invite && offer.description.is_some())
                    .then_some(self.dialog.local_cseq),
            },
            Exchange::OwesAck(invite) => StoredExchange::OwesAck { cseq: invite.cseq },
            Exchange::Received { request, .. } => StoredExchange::Asked {
                request: request.bytes().clone(),
            },
            Exchange::Answered(waiting) => StoredExchange::Answered {
                response: waiting.response.clone(),
                cseq: waiting.cseq,
                offered: waiting.offered,
                until: clock.unix_ms(waiting.until),
            },
        }
    }

    fn stored(&self, clock: &WallClock) -> StoredLeg {
        let more = self.media.more.as_ref();
        StoredLeg {
            dialog: StoredDialog::of(&self.dialog),
            party: self.party.to_compact_string(),
            user: self.user.clone(),
            remote: self.remote.as_ref().map(StoredDescription::of),
            sent: self.sent.as_ref().map(StoredDescription::of),
            holding: self.holding,
            held: self
                .held_by_command
                .map(|direction| CompactString::const_new(direction.as_str())),
            told_held: self.told_held,
            abilities: (self.abilities.refer, self.abilities.replaces, self.abilities.update),
            ending: self
                .cause
                .filter(|_| !self.is_alive())
                .or_else(|| (!self.is_alive()).then_some(Cause::OtherParty)),
            exchange: self.stored_exchange(clock),
            timer: self.timer.map(|timer| timer.stored(clock)),
            min_se: self.min_se,
            origin: self.origin,
            notifier: self.notifier.as_ref().map(Notifier::stored),
            subscribed: self.subscriber.is_some(),
            refers: (self.refers, self.referred),
            contact: self.contact.clone(),
            follows_contact: self.follows_contact,
            credentials: self
                .credentials
                .as_ref()
                .map(|known| (known.user.clone(), known.realm.clone())),
            end: self.our_end().and_then(|end| end.stored()),
            recorded: more.is_some_and(|more| more.recording.is_some()),
            music: more.and_then(|more| more.music.as_ref().map(|name| name.0.clone())),
        }
    }
}

impl Legs {
    /// From now on it is noted which legs have changed.
    pub fn watch(&mut self) {
        self.table.watch();
    }

    /// Legs that are neither released nor ended.
    pub fn alive(&self) -> Vec<LegHandle> {
        let alive = self.table.iter().filter(|(_, leg)| leg.is_alive());
        alive.map(|(_, leg)| leg.handle).collect()
    }

    /// Which legs may have changed since this was asked last.
    pub fn take_touched(&mut self) -> Vec<LegHandle> {
        self.table.take_touched().into_iter().map(LegHandle::from).collect()
    }

    /// Somebody wants to know what has become of this leg.
    pub fn touch(&mut self, handle: LegHandle) {
        self.get_mut(handle);
    }

    /// Changes with what outlives the process of a leg; `None`: nothing does, or there is no such leg.
    pub fn stamp(&self, handle: LegHandle) -> Option<u64> {
        self.get(handle)?.stamp()
    }

    /// What outlives the process.
    pub fn stored(&self, handle: LegHandle, clock: &WallClock) -> Option<StoredLeg> {
        self.get(handle).map(|leg| leg.stored(clock))
    }

    /// What stops a phone from ringing that we called, whoever sends it.
    pub fn cancel_of(&self, handle: LegHandle) -> Option<StoredCancel> {
        match &self.get(handle)?.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                let (flow, request) = self.transactions.cancel_of(client.invite?)?;
                Some(StoredCancel {
                    flow: StoredFlow::of(&flow),
                    request,
                })
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => None,
        }
    }

    /// Stops a phone from ringing that a process before this one has called. One that did not hear it is released when it
    /// answers ([`Legs::end_stray`]).
    pub fn cancel_stray(&mut self, cancel: &StoredCancel) {
        if let Some(flow) = cancel.flow.flow() {
            self.transactions.send_stateless(flow, cancel.request.clone());
        }
    }

    /// A refusal of an INVITE of a process before this one is acknowledged, so that it is not repeated (RFC 3261 §17.1.1.3).
    pub fn acknowledge_stray(&mut self, flow: Flow, response: &Message) {
        let value = |name| response.text(name).unwrap_or_default();
        let (Some(via), Ok(to)) = (response.values(HeaderName::Via).next(), response.to()) else {
            return;
        };
        // Its Request-URI is not known any more; the branch is what it is found by.
        let ack = Draft::request(&Method::Ack, to.uri.without_headers().as_str())
            .header(HeaderName::Via, via)
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, value(HeaderName::From))
            .header(HeaderName::To, value(HeaderName::To))
            .header(HeaderName::CallId, response.call_id())
            .header(HeaderName::CSeq, format_args!("{} ACK", response.cseq()));
        self.transactions.send_stateless(flow, ack.print());
    }

    /// Ends a dialog that a party made by accepting an INVITE of a process before this one.
    pub fn end_stray(&mut self, now: Instant, flow: Flow, response: &Message) {
        let value = |name| response.text(name).unwrap_or_default();
        let (Ok(Some(contact)), Ok(route_set)) = (response.contact(), RouteSet::of_response(response)) else {
            return;
        };
        let mut dialog = Dialog {
            id: DialogId {
                call_id: response.call_id().into(),
                local_tag: response.from_tag().unwrap_or_default().into(),
                remote_tag: response.to_tag().unwrap_or_default().into(),
            },
            role: Role::Uac,
            local: value(HeaderName::From).into(),
            remote: value(HeaderName::To).into(),
            remote_target: contact.uri.without_headers(),
            route_set,
            local_cseq: response.cseq(),
            remote_cseq: None,
            flow,
        };
        let sent_by = self.sent_by(&flow);
        let ack = dialog.ack_for_2xx(response.cseq());
        self.transactions.send_ack(flow, &sent_by, &ack);
        let bye = dialog.next_request(&Method::Bye);
        self.transactions
            .request(now, flow, &sent_by, &bye, TransactionUser::Nobody);
    }
}
