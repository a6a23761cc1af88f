//! From INVITE to conversation: the caller's leg, the forks, and the one that answers.
//!
//! RFC 3261 §13, §16.7 point 6 (which refusal the caller hears), RFC 3264 §5 (the caller's description goes to every fork).

use std::time::Instant;

use compact_str::CompactString;

use super::{Call, CallState, Calls};
use crate::dialog::DialogError;
use crate::leg::{Invitation, Leg};
use crate::sdp::Description;
use crate::sip::{Message, Uri};
use crate::transaction::ServerHandle;
use crate::transport::Flow;
use crate::vocabulary::{CallHandle, Cause, Event, LegHandle, LegOwner};

impl Calls {
    /// Starts a call for an INVITE that was accepted, towards all of `invitations` at once.
    ///
    /// # Errors
    /// When the INVITE's own headers cannot be read; nothing was started.
    pub fn start(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        user: Option<CompactString>,
        invitations: Vec<Invitation>,
    ) -> Result<CallHandle, DialogError> {
        let handle = self.table.insert_with(Call::alerting);
        let owner = LegOwner::Call(handle);
        // Every fork is offered what the caller offers.
        let offer = invitations.first().and_then(|invitation| invitation.offer.clone());
        let caller = match self.legs.incoming(owner, flow, server, request, user, offer) {
            Ok(caller) => caller,
            Err(error) => {
                self.table.remove(handle);
                return Err(error);
            }
        };
        self.legs.events.push_back(Event::CallStarted {
            call: handle,
            leg: caller,
            from: self
                .legs
                .get(caller)
                .map(|leg| leg.party.uri.to_string())
                .unwrap_or_default(),
            to: request.request_uri().unwrap_or_default().to_owned(),
        });
        let mine = self.legs.get(caller).and_then(|leg| leg.remote.clone());
        let forks = invitations
            .into_iter()
            .map(|invitation| {
                let offer = mine.clone().filter(|_| invitation.offer.is_some());
                self.legs.invite(now, owner, Invitation { offer, ..invitation })
            })
            .collect();
        if let Some(call) = self.table.get_mut(handle) {
            call.caller = caller;
            call.state = CallState::Alerting { forks, best: None };
        }
        Ok(handle)
    }

    pub(crate) fn ringing(
        &mut self,
        now: Instant,
        handle: CallHandle,
        fork: LegHandle,
        status: u16,
        media: Option<&Description>,
    ) {
        let Some(call) = self.table.get(handle) else { return };
        if let CallState::Alerting { forks, .. } = &call.state
            && forks.contains(&fork)
        {
            // Early media of one fork only: of several, the caller could not tell whom it hears.
            let media = media.filter(|_| forks.len() == 1);
            let reliable = self.legs.get(fork).is_some_and(Leg::rings_reliably);
            self.legs.ring_as(now, call.caller, status, media, reliable);
        }
    }

    pub(crate) fn answered(&mut self, now: Instant, handle: CallHandle, fork: LegHandle, media: Option<&Description>) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let caller = call.caller;
        let CallState::Alerting { forks, .. } =
            std::mem::replace(&mut call.state, CallState::Connected { callee: fork })
        else {
            return;
        };
        for other in forks.into_iter().filter(|other| *other != fork) {
            self.legs.set_owner(other, LegOwner::Nobody);
            self.legs.release(now, other, Cause::OtherParty);
        }
        if media.is_none() {
            // RFC 3261 §13.2.1: a 2xx must carry the answer; without one nobody would hear anybody.
            self.legs.release(now, fork, Cause::Refused { status: 488 });
            self.legs.reject(now, caller, 488, None, Cause::Refused { status: 488 });
            self.end(handle, Cause::Refused { status: 488 });
            return;
        }
        self.legs.answer(now, caller, media);
        self.legs.events.push_back(Event::CallConnected {
            call: handle,
            legs: vec![caller, fork],
        });
    }

    /// The caller's ACK; it carries the answer when the INVITE had no offer.
    pub(crate) fn acked(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, media: Option<&Description>) {
        let Some(call) = self.table.get(handle) else { return };
        let Some(other) = call.other(leg) else { return };
        if let Some(media) = media
            && self
                .legs
                .get(other)
                .is_some_and(|leg| leg.owes_ack() && leg.owner == LegOwner::Call(handle))
        {
            self.legs.acknowledge(now, other, Some(media));
        } else if self
            .legs
            .get(other)
            .is_some_and(|leg| leg.owes_ack() && leg.owner == LegOwner::Call(handle))
        {
            // RFC 3261 §13.2.2.4: the ACK owed the answer; without one nobody hears anybody.
            self.legs.acknowledge(now, other, None);
            for leg in [leg, other] {
                self.legs.release(now, leg, Cause::Lost);
            }
            self.end(handle, Cause::Lost);
        } else if media.is_some() || !self.describe_each_other(handle, leg, other) {
            self.bring_together(now, handle, None);
        }
    }

    /// Whether each side has the other's description. After a reliable 18x of one fork and the 2xx of another it has not.
    fn describe_each_other(&self, call: CallHandle, one: LegHandle, other: LegHandle) -> bool {
        let (Some(one), Some(other)) = (self.legs.get(one), self.legs.get(other)) else {
            return true;
        };
        let has = |of: &Leg, with: &Leg| match (&of.sent, &with.remote) {
            (Some(sent), Some(remote)) => sent.same_media(remote) && self.legs.goes_its_way(of, with, sent.direction()),
            (Some(_) | None, None) | (None, Some(_)) => true,
        };
        // What a transfer has borrowed is its own business.
        let ours = one.owner == LegOwner::Call(call) && other.owner == LegOwner::Call(call);
        !ours || (has(one, other) && has(other, one))
    }

    pub(crate) fn refused(
        &mut self,
        now: Instant,
        handle: CallHandle,
        fork: LegHandle,
        status: u16,
        response: Option<&Message>,
    ) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let caller = call.caller;
        let CallState::Alerting { forks, best } = &mut call.state else {
            return;
        };
        forks.retain(|other| *other != fork);
        let status = better(*best, status);
        *best = Some(status);
        if status >= 600 {
            // RFC 3261 §16.7 point 5: nobody else is asked.
            for other in std::mem::take(forks) {
                self.legs.set_owner(other, LegOwner::Nobody);
                self.legs.release(now, other, Cause::OtherParty);
            }
        }
        if let CallState::Alerting { forks, .. } = &call.state
            && forks.is_empty()
        {
            let why = response.filter(|response| response.status() == Some(status));
            self.legs.reject(now, caller, status, why, Cause::Refused { status });
            let cause = if matches!(status, 408 | 480) {
                Cause::NoAnswer
            } else {
                Cause::Refused { status }
            };
            self.end(handle, cause);
        }
    }

    /// A fork sends the call on: these are called in its stead, and the caller hears that it is so (RFC 3261 §21.1.3).
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        handle: CallHandle,
        fork: LegHandle,
        to: &Uri,
        invitations: Vec<Invitation>,
    ) {
        self.replace_fork(now, handle, LegOwner::Call(handle), fork, invitations);
        let event = Event::CallForwarded {
            call: handle,
            leg: fork,
            to: to.to_string(),
        };
        self.legs.events.push_back(event);
        if let Some(caller) = self.table.get(handle).map(|call| call.caller)
            && !self.is_dialling(handle)
        {
            self.legs.ring(now, caller, 181, None);
        }
    }

    /// The phones of one party that ring in a call.
    pub(crate) fn ringing_with(&self, handle: CallHandle, party: &Uri) -> Vec<LegHandle> {
        let Some(CallState::Alerting { forks, .. }) = self.get(handle).map(|call| &call.state) else {
            return Vec::new();
        };
        let theirs = |fork: &&LegHandle| self.legs.get(**fork).is_some_and(|leg| leg.party.uri.same_user(party));
        forks.iter().filter(theirs).copied().collect()
    }

    /// This phone is no more one of those that may answer.
    pub(crate) fn drop_fork(&mut self, handle: CallHandle, fork: LegHandle) {
        if let Some(call) = self.table.get_mut(handle)
            && let CallState::Alerting { forks, .. } = &mut call.state
        {
            forks.retain(|other| *other != fork);
        }
    }

    /// Calls `invitations` for `owner` in the place of one that has refused; says who they are.
    pub(crate) fn replace_fork(
        &mut self,
        now: Instant,
        handle: CallHandle,
        owner: LegOwner,
        fork: LegHandle,
        invitations: Vec<Invitation>,
    ) -> Vec<LegHandle> {
        let called: Vec<_> = invitations
            .into_iter()
            .map(|invitation| self.legs.invite(now, owner, invitation))
            .collect();
        if let Some(call) = self.table.get_mut(handle)
            && let CallState::Alerting { forks, .. } = &mut call.state
        {
            forks.retain(|other| *other != fork);
            forks.extend(&called);
        }
        self.replace_invited(handle, fork, &called);
        called
    }

    pub(crate) fn left_while_alerting(&mut self, now: Instant, handle: CallHandle, leg: LegHandle) {
        let Some(call) = self.table.get(handle) else { return };
        let CallState::Alerting { forks, .. } = &call.state else {
            return;
        };
        if leg == call.caller {
            for fork in forks.clone() {
                self.legs.release(now, fork, Cause::OtherParty);
            }
            self.end(handle, Cause::Party);
        } else {
            self.refused(now, handle, leg, 480, None);
        }
    }
}

/// The one of two refusals that is told.
pub(super) fn better(best: Option<u16>, status: u16) -> u16 {
    match best {
        Some(earlier) if rank(earlier) <= rank(status) => earlier,
        Some(_) | None => status,
    }
}

/// RFC 3261 §16.7 point 6: 6xx first, then the lowest class; within 4xx what tells the caller most.
fn rank(status: u16) -> u16 {
    match status {
        600.. => 0,
        401 | 407 | 415 | 420 | 484 => 1,
        300..400 => 2,
        486 => 3,
        400..500 => 4,
        _ => 5,
    }
}
