//! How somebody comes to take part: a caller is answered, a party is moved, a fork picks up.

use std::time::Instant;

use super::super::{CallState, Calls};
use super::{Participant, conflict, not_found};
use crate::leg::{Leg, voice};
use crate::vocabulary::{Beep, CallHandle, Cause, HubNote, HubSettings, LegHandle, LegOwner, Part, Refusal, Role};

impl Calls {
    /// The caller that waits behind a leg, and its hub.
    fn waiting(&self, leg: LegHandle) -> Result<CallHandle, Refusal> {
        let handle = self.hub_of(leg)?;
        let joined = self
            .hub(handle)
            .and_then(|hub| hub.participant(leg))
            .is_none_or(|participant| participant.joined);
        match joined {
            true => Err(conflict(format!("{leg} is answered already"))),
            false => Ok(handle),
        }
    }

    /// Tells a caller that waits for an application that it rings.
    ///
    /// # Errors
    /// When there is none behind this leg.
    pub fn ring_caller(&mut self, now: Instant, leg: LegHandle) -> Result<(), Refusal> {
        self.waiting(leg)?;
        self.legs.ring(now, leg, 180, None);
        Ok(())
    }

    /// Refuses a caller that waits; one that had been answered before it came here is hung up.
    ///
    /// # Errors
    /// When there is none behind this leg.
    pub fn reject_caller(&mut self, now: Instant, leg: LegHandle, status: u16) -> Result<(), Refusal> {
        let handle = self.waiting(leg)?;
        if !(400..700).contains(&status) {
            let why = "400 to 699".to_owned();
            return Err(Refusal::Invalid { field: "status", why });
        }
        let cause = Cause::Refused { status };
        if self.hand_back_entrusted(handle, cause) {
            return Ok(());
        }
        if self.legs.get(leg).is_some_and(Leg::is_early) {
            self.legs.reject(now, leg, status, None, cause);
        }
        self.end_hub(now, handle, cause);
        Ok(())
    }

    /// Answers a caller that waits: it takes part in its own hub.
    ///
    /// # Errors
    /// When there is none behind this leg, or what it offers cannot be answered.
    pub fn answer_caller(&mut self, now: Instant, leg: LegHandle, role: Role) -> Result<(), Refusal> {
        let handle = self.waiting(leg)?;
        self.check_role(handle, &role, Some(leg))?;
        self.answer_leg(now, handle, leg)?;
        self.note_taken(handle, handle);
        self.join_hub(now, handle, leg, role);
        Ok(())
    }

    /// 200 to a caller in `hub`, unless it is answered already.
    fn answer_leg(&mut self, now: Instant, hub: CallHandle, leg: LegHandle) -> Result<(), Refusal> {
        if !self.legs.get(leg).is_some_and(Leg::is_early) {
            return Ok(());
        }
        self.legs.answer(now, leg, voice().as_ref());
        match self.legs.get(leg).and_then(|leg| leg.cause) {
            None => Ok(()),
            Some(cause) => {
                self.end_hub(now, hub, cause);
                let status = match cause {
                    Cause::Refused { status } => status,
                    Cause::Party
                    | Cause::OtherParty
                    | Cause::NoAnswer
                    | Cause::Transferred
                    | Cause::Command
                    | Cause::Lost => 488,
                };
                Err(Refusal::Party { status })
            }
        }
    }

    /// Moves a party into a hub, out of whatever call it is in.
    ///
    /// # Errors
    /// When there is no such leg or hub, it may not come, or what it offers cannot be answered.
    pub fn move_to(&mut self, now: Instant, leg: LegHandle, to: CallHandle, role: Role) -> Result<(), Refusal> {
        self.check_room(to)?;
        self.check_role(to, &role, None)?;
        let found = self.legs.get(leg).filter(|leg| leg.is_alive());
        let owner = found.map(|leg| leg.owner).ok_or_else(|| not_found("leg", leg))?;
        let from = match owner {
            LegOwner::Call(from) if from == to => {
                return Err(conflict(format!(
                    "{leg} is in {to} already; PUT /v1/legs/{leg}/role changes its place"
                )));
            }
            LegOwner::Call(from) => from,
            LegOwner::Transfer(transfer) => {
                return Err(conflict(format!(
                    "{leg} is being moved by {transfer}; wait for its end"
                )));
            }
            LegOwner::Nobody => return Err(conflict(format!("{leg} is in no call"))),
        };
        match self.get(from).map(|call| &call.state) {
            Some(CallState::Hub(_)) => {
                self.hub_of(leg)?;
            }
            // Who is left behind stays, in a hub with music.
            Some(CallState::Connected { .. }) => self.to_hub(now, from, HubSettings::default())?,
            Some(CallState::Alerting { .. }) | None => {
                return Err(conflict(format!("{leg} is in a call that is not answered yet")));
            }
        }
        self.answer_leg(now, from, leg)?;
        self.note_taken(from, to);
        let moved = self.take_out(from, leg, Cause::Transferred);
        self.join_hub(now, to, leg, role);
        self.after_leaving(now, from, moved, Cause::Transferred);
        Ok(())
    }

    /// From now on this leg takes part.
    pub(crate) fn join_hub(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, role: Role) {
        let Some(hub) = self.hub_mut(handle) else { return };
        match hub.participant_mut(leg) {
            Some(participant) => {
                participant.joined = true;
                participant.role = role.clone();
            }
            None => hub.participants.push(Participant::new(leg, role.clone(), true)),
        }
        hub.until = None;
        let beeps = role.part != Part::Monitor && matches!(role.beep, Beep::OnEnter | Beep::Always);
        self.legs.set_owner(leg, LegOwner::Call(handle));
        // Who was held in a pair is held by its role.
        self.legs.set_hold(leg, None);
        self.legs.note_held(leg, false);
        self.note(HubNote::Joined {
            call: handle,
            leg,
            role,
        });
        self.start_if_due(handle);
        self.settle_member(now, leg);
        self.remix(handle);
        if beeps {
            self.beep(handle);
        }
    }

    /// Somebody who may start it is here, and two are: it has begun.
    pub(crate) fn start_if_due(&mut self, handle: CallHandle) {
        let Some(hub) = self.hub_mut(handle) else { return };
        let somebody = || hub.joined().filter(|participant| participant.is_somebody());
        if !hub.started && somebody().count() >= 2 && somebody().any(|participant| participant.role.starts) {
            hub.started = true;
            self.note(HubNote::Started { call: handle });
        }
    }
}
