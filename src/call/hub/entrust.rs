//! A party that a transfer entrusts to an application: it waits there, confirmed and with music, until a client takes it by
//! answering or moving it. One that is rejected or left waiting goes back to its transfer, which knows what comes next.

use std::time::{Duration, Instant};

use super::super::{Call, CallState, Calls};
use super::{Hub, Participant};
use crate::leg::Leg;
use crate::vocabulary::{CallHandle, Cause, HubNote, HubSettings, LegHandle, LegOwner, Role, TransferHandle};

/// What became of an entrusted party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrusted {
    /// It takes part in this hub.
    Taken(CallHandle),
    /// Nobody wants it; its leg is the transfer's again.
    Refused,
    /// It has left.
    Gone,
}

impl Calls {
    /// Offers a party to an application, for at most `wait`. What becomes of it is told by [`Calls::entrusted`].
    pub fn entrust(
        &mut self,
        now: Instant,
        by: TransferHandle,
        leg: LegHandle,
        application: &str,
        to: &str,
        wait: Duration,
    ) -> CallHandle {
        let until = now + wait;
        let mut hub = Hub::new(HubSettings::default(), Some(until));
        hub.participants.push(Participant::new(leg, Role::default(), false));
        hub.entrusted_by = Some(by);
        let handle = self.table.insert_with(|handle| Call {
            state: CallState::Hub(Box::new(hub)),
            ..Call::alerting(handle)
        });
        self.deadlines.add(until, handle);
        self.legs.set_owner(leg, LegOwner::Call(handle));
        self.legs.set_hold(leg, None);
        self.legs.note_held(leg, false);
        let from = self
            .legs
            .get(leg)
            .map(|leg| leg.party.uri.to_string())
            .unwrap_or_default();
        self.note(HubNote::Opened {
            call: handle,
            name: None,
        });
        self.note(HubNote::Arrived {
            call: handle,
            leg,
            application: application.to_owned(),
            from,
            to: to.to_owned(),
            headers: Vec::new(),
        });
        self.settle_member(now, leg);
        self.remix(handle);
        handle
    }

    /// Somebody has taken the party that waits in this hub, into `hub`.
    pub(super) fn note_taken(&mut self, handle: CallHandle, hub: CallHandle) {
        if let Some(by) = self.hub_mut(handle).and_then(|hub| hub.entrusted_by.take()) {
            self.entrusted.push_back((by, Entrusted::Taken(hub)));
        }
    }

    /// Gives an entrusted party back to its transfer; `false`: nobody entrusted it.
    pub(super) fn hand_back_entrusted(&mut self, handle: CallHandle, cause: Cause) -> bool {
        let Some(by) = self.hub_mut(handle).and_then(|hub| hub.entrusted_by.take()) else {
            return false;
        };
        self.take_back(handle, by, cause);
        self.entrusted.push_back((by, Entrusted::Refused));
        true
    }

    /// Ends the hub in which a party waits; its leg is the transfer's from now on.
    pub(crate) fn take_back(&mut self, handle: CallHandle, by: TransferHandle, cause: Cause) {
        let Some(hub) = self.hub_mut(handle) else { return };
        hub.entrusted_by = None;
        let waiting = std::mem::take(&mut hub.participants);
        self.unmix(handle);
        for participant in waiting {
            if self.legs.get(participant.leg).is_some_and(Leg::is_alive) {
                self.legs.set_owner(participant.leg, LegOwner::Transfer(by));
            }
        }
        self.end(handle, cause);
    }
}
