//! Somebody takes a participant's place: by REFER, or by INVITE with Replaces. Its role goes over, and who coached it goes on.
//!
//! RFC 3891 §3 (2xx before BYE), RFC 3515 §2.4.5, RFC 5589 §6–7. The one who leaves is released when its last NOTIFY is
//! settled, or after the guard time (LESSONS 5, 14); that it leaves first ends nothing (LESSONS 3).

use std::time::Instant;

use super::super::bridge::Bridge;
use super::super::{CallState, Calls};
use super::Invited;
use crate::leg::Leg;
use crate::vocabulary::{CallHandle, Cause, LegHandle, LegOwner, Part, Role};

impl Calls {
    /// The hub and role of a leg in it, participant or ringing.
    pub(crate) fn seat(&self, leg: LegHandle) -> Option<(CallHandle, Role)> {
        let found = self.legs.get(leg).filter(|leg| leg.is_alive())?;
        let call = match found.owner {
            LegOwner::Call(call) => call,
            LegOwner::Transfer(_) | LegOwner::Nobody => return None,
        };
        let hub = self.hub(call)?;
        let participant = hub.participant(leg).map(|participant| participant.role.clone());
        let invited = || hub.invited.iter().find(|invited| invited.forks.contains(&leg));
        let role = participant.or_else(|| invited().map(|invited| invited.role.clone()))?;
        Some((call, role))
    }

    /// A newcomer whose INVITE waits takes the place of a participant, or of one that still rings. `false`: what it offers
    /// cannot be answered; it was told so and the hub is as it was.
    pub(crate) fn seat_newcomer(
        &mut self,
        now: Instant,
        handle: CallHandle,
        place: LegHandle,
        newcomer: LegHandle,
        role: Role,
    ) -> bool {
        if !self.answer_newcomer(now, newcomer) {
            return false;
        }
        self.take_place(now, handle, place, newcomer, role);
        if let Some(invited) = self.take_invited(handle, place) {
            for fork in invited.forks {
                self.legs.set_owner(fork, LegOwner::Nobody);
                self.legs.release(now, fork, Cause::OtherParty);
            }
        }
        true
    }

    /// 200 to an INVITE that joins a hub. `false`: it was refused instead.
    pub(crate) fn answer_newcomer(&mut self, now: Instant, newcomer: LegHandle) -> bool {
        self.legs.answer(now, newcomer, crate::leg::voice().as_ref());
        let alive = self.legs.get(newcomer).is_some_and(Leg::is_alive);
        if !alive {
            self.legs.set_owner(newcomer, LegOwner::Nobody);
        }
        alive
    }

    /// A participant leaves for a newcomer; one whose REFER it was is told.
    pub(super) fn take_place(
        &mut self,
        now: Instant,
        handle: CallHandle,
        place: LegHandle,
        newcomer: LegHandle,
        role: Role,
    ) {
        if let Some(hub) = self.hub_mut(handle) {
            for other in &mut hub.participants {
                if other.role.part == (Part::Coach { of: place }) {
                    other.role.part = Part::Coach { of: newcomer };
                }
            }
        }
        self.join_hub(now, handle, newcomer, role);
        self.legs.report(now, place, 200, true);
        self.leave_place(now, handle, place);
    }

    /// Nobody came in a participant's place: it is told, and stays if it is still there.
    pub(super) fn place_kept(&mut self, now: Instant, handle: CallHandle, place: LegHandle, role: &Role, status: u16) {
        self.legs.report(now, place, status, true);
        let there = self.hub(handle).is_some_and(|hub| hub.participant(place).is_some());
        if !there && role.ends {
            self.end_hub(now, handle, Cause::OtherParty);
        }
    }

    /// A participant whose place somebody else has.
    pub(crate) fn leave_place(&mut self, now: Instant, handle: CallHandle, place: LegHandle) {
        if self.take_out(handle, place, Cause::Transferred).is_some() {
            self.release_when_told(now, handle, place);
        }
    }

    /// Releases a leg that nobody needs any more, after its last NOTIFY.
    pub(crate) fn release_when_told(&mut self, now: Instant, handle: CallHandle, leg: LegHandle) {
        let until = now + self.legs.identity.guard;
        if !self.legs.owes_report(leg) {
            self.release_leaving(now, leg);
        } else if let Some(hub) = self.hub_mut(handle) {
            hub.leaving.push((leg, until));
            self.legs.set_owner(leg, LegOwner::Call(handle));
            self.deadlines.add(until, handle);
        }
    }

    /// Whether this leg waited for its last NOTIFY's answer; it does no more.
    pub(super) fn forget_leaving(&mut self, handle: CallHandle, leg: LegHandle) -> bool {
        let Some(hub) = self.hub_mut(handle) else { return false };
        let before = hub.leaving.len();
        hub.leaving.retain(|(leaving, _)| *leaving != leg);
        hub.leaving.len() < before
    }

    /// BYE to somebody who has been replaced.
    pub(super) fn release_leaving(&mut self, now: Instant, leg: LegHandle) {
        self.legs.set_owner(leg, LegOwner::Nobody);
        self.legs.release(now, leg, Cause::Transferred);
    }

    /// Whether somebody rings for this participant's place.
    pub(super) fn is_expected_for(&self, handle: CallHandle, place: LegHandle) -> bool {
        let hub = self.hub(handle);
        hub.is_some_and(|hub| hub.invited.iter().any(|invited| invited.instead_of == Some(place)))
    }

    /// A party of a pair takes `place` in a hub, and `consult`, its other side, leaves; the pair is over. RFC 5589 §7.
    pub(crate) fn seat_from_pair(&mut self, now: Instant, handle: CallHandle, place: LegHandle, party: LegHandle) {
        let Some((_, role)) = self.seat(place) else { return };
        let Some(LegOwner::Call(pair)) = self.legs.get(party).map(|leg| leg.owner) else {
            return;
        };
        let Some(call) = self.get(pair) else { return };
        let (consult, bridge) = (call.other(party), call.bridge.clone());
        self.end(pair, Cause::Transferred);
        self.take_place(now, handle, place, party, role);
        if let Bridge::Relaying { from, .. } = bridge
            && from == party
        {
            self.answer_member(now, handle, party);
        }
        if let Some(consult) = consult {
            self.release_when_told(now, handle, consult);
        }
    }

    /// The same with a party that still rings (RFC 5589 §7.6): it rings for the place now.
    pub(crate) fn ring_for_place(&mut self, now: Instant, handle: CallHandle, place: LegHandle, pair: CallHandle) {
        let Some((_, role)) = self.seat(place) else { return };
        let Some(call) = self.get(pair) else { return };
        let (caller, forks) = match &call.state {
            CallState::Alerting { forks, .. } => (call.caller, forks.clone()),
            CallState::Connected { .. } | CallState::Hub(_) => return,
        };
        self.end(pair, Cause::Transferred);
        for fork in &forks {
            self.legs.set_owner(*fork, LegOwner::Call(handle));
        }
        if let Some(hub) = self.hub_mut(handle) {
            hub.invited.push(Invited {
                forks,
                role,
                best: None,
                instead_of: Some(place),
            });
        }
        self.legs.release(now, caller, Cause::Transferred);
    }
}
