//! What outlives a process of a call of two: who talks with whom. Hubs are kept in [`super::hub`]; of what rings when the
//! process dies only as much is kept as [`crate::leg::StoredRinging`] has.

use serde::{Deserialize, Serialize};

use super::{Bridge, Call, CallState, Calls};
use crate::leg::Leg;
use crate::vocabulary::{CallHandle, Event, LegHandle, LegOwner, TransferHandle};

/// A connected call as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCall {
    /// Whose call it is.
    pub caller: LegHandle,
    /// Who answered.
    pub callee: LegHandle,
    /// How often it has been transferred.
    pub transfers: u8,
}

impl Calls {
    /// What outlives the process; `None`: nothing does, or there is no such call.
    pub fn stored(&self, handle: CallHandle) -> Option<StoredCall> {
        let call = self.table.get(handle)?;
        match call.state {
            CallState::Connected { callee } => Some(StoredCall {
                caller: call.caller,
                callee,
                transfers: call.transfers,
            }),
            CallState::Alerting { .. } | CallState::Hub(_) => None,
        }
    }

    /// Takes a call back under the handle that it had; its legs are back already. `false`: a leg of it is not, or its place
    /// is taken.
    pub fn restore(&mut self, handle: CallHandle, stored: &StoredCall) -> bool {
        let legs = [stored.caller, stored.callee];
        let alive = |leg: &LegHandle| {
            self.legs
                .get(*leg)
                .is_some_and(|leg| leg.is_confirmed() && leg.owner == LegOwner::Nobody)
        };
        if !legs.iter().all(alive) {
            return false;
        }
        let call = Call {
            handle,
            caller: stored.caller,
            state: CallState::Connected { callee: stored.callee },
            bridge: Bridge::Quiet,
            transfers: stored.transfers,
        };
        if !self.table.insert_at(handle, call) {
            return false;
        }
        for leg in legs {
            self.legs.set_owner(leg, LegOwner::Call(handle));
        }
        self.tell_restored(handle, legs);
        true
    }

    /// Observers of this process have never heard of the call: they are told what there is.
    fn tell_restored(&mut self, call: CallHandle, legs: [LegHandle; 2]) {
        let mut events = Vec::new();
        for handle in legs {
            events.extend(self.leg_restored(handle, Some(call), None));
        }
        let party = |handle| self.legs.get(handle).map(|leg| leg.party.uri.to_string());
        let [caller, callee] = legs;
        events.push(Event::CallStarted {
            call,
            leg: caller,
            from: party(caller).unwrap_or_default(),
            to: party(callee).unwrap_or_default(),
        });
        events.push(Event::CallConnected {
            call,
            legs: legs.into(),
        });
        events.push(Event::CallRestored {
            call,
            legs: legs.into(),
        });
        self.legs.events.extend(events);
    }

    /// What observers are told of a leg that is back.
    pub(crate) fn leg_restored(
        &self,
        handle: LegHandle,
        call: Option<CallHandle>,
        transfer: Option<TransferHandle>,
    ) -> Vec<Event> {
        let Some(leg) = self.legs.get(handle) else {
            return Vec::new();
        };
        let started = Event::LegStarted {
            leg: handle,
            call,
            transfer,
            inbound: !leg.we_called(),
            party: leg.party.uri.to_string(),
            call_id: leg.dialog.id.call_id.to_string(),
        };
        std::iter::once(started).chain(self.legs.confirmed(handle)).collect()
    }

    /// Which calls may have changed since this was asked last.
    pub fn take_touched(&mut self) -> Vec<CallHandle> {
        self.table.take_touched()
    }

    /// Somebody wants to know what has become of this call.
    pub fn touch(&mut self, handle: CallHandle) {
        self.table.get_mut(handle);
    }

    /// The calls, in the order of their slots.
    pub fn handles(&self) -> Vec<CallHandle> {
        self.table.iter().map(|(handle, _)| handle).collect()
    }

    /// Whether both sides of a call can be reached, and it has them itself.
    pub fn is_whole(&self, handle: CallHandle) -> bool {
        let owner = Some(LegOwner::Call(handle));
        let here = |leg: LegHandle| {
            !self.legs.is_lost(leg)
                && self.legs.get(leg).is_some_and(Leg::is_confirmed)
                && self.legs.get(leg).map(|leg| leg.owner) == owner
        };
        self.get(handle).is_some_and(|call| call.legs().into_iter().all(here))
    }
}
