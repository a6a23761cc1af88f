//! Calling somebody into a hub: forks, the one that answers, refusals.

use std::time::Instant;

use super::super::Calls;
use super::Invited;
use crate::leg::{Invitation, Leg, voice};
use crate::sdp::Description;
use crate::vocabulary::{CallHandle, Cause, LegHandle, LegOwner, Refusal, Role};

impl Calls {
    /// Calls a party on all its ways at once. The first that answers takes part.
    ///
    /// # Errors
    /// When there is no such hub, it is full, or the role cannot be had.
    pub fn add_party(
        &mut self,
        now: Instant,
        handle: CallHandle,
        role: Role,
        ways: Vec<Invitation>,
        instead_of: Option<LegHandle>,
    ) -> Result<Vec<LegHandle>, Refusal> {
        if instead_of.is_none() {
            self.check_room(handle)?;
            self.check_role(handle, &role, None)?;
        }
        let owner = LegOwner::Call(handle);
        let forks: Vec<_> = ways.into_iter().map(|way| self.legs.invite(now, owner, way)).collect();
        if let Some(hub) = self.hub_mut(handle) {
            hub.invited.push(Invited {
                forks: forks.clone(),
                role,
                best: None,
                instead_of,
            });
        }
        Ok(forks)
    }

    /// Takes a party out whose fork this is.
    pub(super) fn take_invited(&mut self, handle: CallHandle, fork: LegHandle) -> Option<Invited> {
        let hub = self.hub_mut(handle)?;
        let at = hub.invited.iter().position(|invited| invited.forks.contains(&fork))?;
        Some(hub.invited.remove(at))
    }

    pub(super) fn fork_rings(&mut self, now: Instant, handle: CallHandle, fork: LegHandle, status: u16) {
        let told = self.hub(handle).and_then(|hub| {
            let invited = hub.invited.iter().find(|invited| invited.forks.contains(&fork))?;
            invited.instead_of
        });
        if let Some(told) = told {
            self.legs.report(now, told, status, false);
        }
    }

    pub(super) fn fork_answered(
        &mut self,
        now: Instant,
        handle: CallHandle,
        fork: LegHandle,
        media: Option<&Description>,
    ) {
        if self.legs.get(fork).is_some_and(Leg::owes_ack) {
            // It was called without an offer, for somebody else: its 2xx has one.
            self.legs.acknowledge(now, fork, voice().as_ref());
        }
        if media.is_none() {
            // RFC 3261 §13.2.1: a 2xx must carry the answer; without one it would hear nobody.
            self.legs.set_owner(fork, LegOwner::Nobody);
            self.legs.release(now, fork, Cause::Refused { status: 488 });
            self.fork_gone(now, handle, fork, 488);
            return;
        }
        let Some(invited) = self.take_invited(handle, fork) else {
            return;
        };
        for other in invited.forks.into_iter().filter(|other| *other != fork) {
            self.legs.set_owner(other, LegOwner::Nobody);
            self.legs.release(now, other, Cause::OtherParty);
        }
        match invited.instead_of {
            Some(place) => self.take_place(now, handle, place, fork, invited.role),
            None => self.join_hub(now, handle, fork, invited.role),
        }
    }

    /// A phone of a party has refused, or its leg was ended: the others ring on.
    pub(super) fn fork_gone(&mut self, now: Instant, handle: CallHandle, fork: LegHandle, status: u16) {
        let Some(hub) = self.hub_mut(handle) else { return };
        let Some(invited) = hub.invited.iter_mut().find(|invited| invited.forks.contains(&fork)) else {
            return;
        };
        invited.forks.retain(|other| *other != fork);
        let best = super::super::setup::better(invited.best, status);
        invited.best = Some(best);
        // RFC 3261 §16.7 point 5: after a 6xx nobody else is asked.
        let others = if best >= 600 {
            std::mem::take(&mut invited.forks)
        } else {
            Vec::new()
        };
        for other in others {
            self.legs.set_owner(other, LegOwner::Nobody);
            self.legs.release(now, other, Cause::OtherParty);
        }
        self.drop_refused(now, handle);
    }

    fn drop_refused(&mut self, now: Instant, handle: CallHandle) {
        let Some(hub) = self.hub_mut(handle) else { return };
        let Some(at) = hub.invited.iter().position(|invited| invited.forks.is_empty()) else {
            return;
        };
        let invited = hub.invited.remove(at);
        if let Some(place) = invited.instead_of {
            self.place_kept(now, handle, place, &invited.role, invited.best.unwrap_or(480));
        }
        self.end_if_empty(now, handle, Cause::NoAnswer);
    }

    /// A fork sends the call on: these ring in its stead.
    pub(crate) fn replace_invited(&mut self, handle: CallHandle, fork: LegHandle, called: &[LegHandle]) {
        let Some(hub) = self.hub_mut(handle) else { return };
        if let Some(invited) = hub.invited.iter_mut().find(|invited| invited.forks.contains(&fork)) {
            invited.forks.retain(|other| *other != fork);
            invited.forks.extend(called);
        }
    }
}
