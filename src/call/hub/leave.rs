//! How somebody leaves, and how a hub ends.

use std::time::Instant;

use super::super::Calls;
use super::Entrusted;
use crate::leg::Leg;
use crate::vocabulary::{Beep, CallHandle, Cause, HubNote, LegHandle, LegOwner, Part, Role};

impl Calls {
    /// A participant's party has left.
    pub(crate) fn member_left(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, cause: Cause) {
        let expected = self.is_expected_for(handle, leg);
        let mut left = self.take_out(handle, leg, cause);
        self.legs.set_owner(leg, LegOwner::Nobody);
        if let Some(left) = left.as_mut().filter(|_| expected) {
            // LESSONS 3: its own REFER goes on; what its leaving ends is decided with it.
            left.ends = false;
        }
        self.after_leaving(now, handle, left, cause);
    }

    /// Takes a participant out; its leg stays as it is. What it was, if it took part.
    pub(crate) fn take_out(&mut self, handle: CallHandle, leg: LegHandle, cause: Cause) -> Option<Role> {
        let hub = self.hub_mut(handle)?;
        let at = hub.participants.iter().position(|participant| participant.leg == leg)?;
        let participant = hub.participants.remove(at);
        if !participant.joined {
            // The caller for whom it was opened: nobody else is expected.
            hub.until = None;
            return None;
        }
        self.note(HubNote::Left {
            call: handle,
            leg,
            cause,
        });
        self.remix(handle);
        Some(participant.role)
    }

    /// What follows when somebody has left: a tone, or the end.
    pub(crate) fn after_leaving(&mut self, now: Instant, handle: CallHandle, left: Option<Role>, cause: Cause) {
        if left.as_ref().is_some_and(|role| role.ends) {
            self.end_hub(now, handle, cause);
            return;
        }
        let beeps = |role: &Role| role.part != Part::Monitor && matches!(role.beep, Beep::OnExit | Beep::Always);
        if left.as_ref().is_some_and(beeps) {
            self.beep(handle);
        }
        self.end_if_empty(now, handle, cause);
    }

    /// Ends a hub in which nobody is any more, unless it stays.
    pub(crate) fn end_if_empty(&mut self, now: Instant, handle: CallHandle, cause: Cause) {
        let Some(hub) = self.hub(handle) else { return };
        let somebody = hub.participants.iter().any(super::Participant::is_somebody);
        let expected = hub.until.is_some_and(|until| now < until) && hub.participants.is_empty();
        if !somebody && !hub.settings.stays && !expected {
            self.end_hub(now, handle, cause);
        }
    }

    /// Ends a hub: everybody is released, who rings is cancelled.
    pub(crate) fn end_hub(&mut self, now: Instant, handle: CallHandle, cause: Cause) {
        let Some(hub) = self.hub_mut(handle) else { return };
        let (participants, invited) = (std::mem::take(&mut hub.participants), std::mem::take(&mut hub.invited));
        let leaving = std::mem::take(&mut hub.leaving);
        if let Some(by) = hub.entrusted_by.take() {
            self.entrusted.push_back((by, Entrusted::Gone));
        }
        self.unmix(handle);
        for (leg, _) in leaving {
            self.release_leaving(now, leg);
        }
        let told = match cause {
            Cause::Command => Cause::Command,
            Cause::Party
            | Cause::OtherParty
            | Cause::Refused { .. }
            | Cause::NoAnswer
            | Cause::Transferred
            | Cause::Lost => Cause::OtherParty,
        };
        for place in invited.iter().filter_map(|invited| invited.instead_of) {
            // One that has left still has a subscription, and that an end.
            self.legs.report(now, place, 487, true);
        }
        for fork in invited.into_iter().flat_map(|invited| invited.forks) {
            self.legs.set_owner(fork, LegOwner::Nobody);
            self.legs.release(now, fork, told);
        }
        for participant in participants {
            let leg = participant.leg;
            if participant.joined {
                let cause = self.legs.get(leg).and_then(|leg| leg.cause).unwrap_or(told);
                self.note(HubNote::Left {
                    call: handle,
                    leg,
                    cause,
                });
            }
            self.legs.set_owner(leg, LegOwner::Nobody);
            self.legs.release(now, leg, told);
        }
        self.end(handle, cause);
    }

    /// The mixer forgets the hub; its members hear what they heard before, which is nothing or each other.
    pub(crate) fn unmix(&mut self, handle: CallHandle) {
        let Some(hub) = self.hub_mut(handle) else { return };
        let mixed = std::mem::take(&mut hub.mixed);
        let recorded = hub.recording.take().is_some();
        if !mixed.is_empty() || recorded {
            self.legs.mix(handle, Vec::new());
        }
    }

    /// The next moment at which a hub has waited long enough.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Ends the hubs to which nobody has come, and refuses callers whom nobody has answered.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(handle) = self.deadlines.pop_due(now) {
            self.release_late(now, handle);
            let due = |hub: &&super::Hub| hub.until.is_some_and(|until| now >= until);
            let Some(hub) = self.hub(handle).filter(due) else {
                continue;
            };
            let caller = hub.participants.first().map(|participant| participant.leg);
            let rings = !hub.invited.is_empty();
            match caller {
                Some(_) if self.hand_back_entrusted(handle, Cause::NoAnswer) => {}
                Some(leg) => {
                    let cause = Cause::Refused { status: 480 };
                    if self.legs.get(leg).is_some_and(Leg::is_early) {
                        self.legs.reject(now, leg, 480, None, cause);
                    }
                    self.end_hub(now, handle, Cause::NoAnswer);
                }
                // Who rings may still come; when the last one has refused, it ends.
                None if rings => {}
                None => self.end_if_empty(now, handle, Cause::NoAnswer),
            }
        }
    }

    /// Who was replaced and does not answer its last NOTIFY is released all the same.
    fn release_late(&mut self, now: Instant, handle: CallHandle) {
        let Some(hub) = self.hub_mut(handle) else { return };
        let (late, waiting) = std::mem::take(&mut hub.leaving)
            .into_iter()
            .partition(|(_, until)| now >= *until);
        hub.leaving = waiting;
        let late: Vec<(LegHandle, Instant)> = late;
        for (leg, _) in late {
            self.release_leaving(now, leg);
        }
    }
}
