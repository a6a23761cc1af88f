//! What API clients ask of a call: hold, resume, hang up.

use std::time::Instant;

use super::{Bridge, Call, CallState, Calls};
use crate::leg::Leg;
use crate::sdp::Direction;
use crate::vocabulary::{CallHandle, Cause, CommandId, HoldDirection, LegHandle, LegOwner, Refusal};

impl Calls {
    /// Holds the party of a leg, or takes it back (`direction` is `None`). The reply comes when both sides have agreed.
    ///
    /// # Errors
    /// When there is no such leg, or it is not in a connected call that is quiet.
    pub fn hold(
        &mut self,
        now: Instant,
        command: CommandId,
        leg: LegHandle,
        direction: Option<HoldDirection>,
    ) -> Result<(), Refusal> {
        let handle = self.connected_call(leg)?;
        let held = self.legs.get(leg).is_some_and(|leg| leg.held_by_command.is_some());
        if direction.is_none() && !held {
            let why = format!("{leg} is not held by the API; a phone that holds must resume by itself");
            return Err(Refusal::Conflict { why });
        }
        let direction = direction.map(|direction| match direction {
            HoldDirection::SendOnly => Direction::SendOnly,
            HoldDirection::Inactive => Direction::Inactive,
        });
        self.legs.set_hold(leg, direction);
        self.bring_together(now, handle, Some(command));
        Ok(())
    }

    /// Ends a call by order.
    ///
    /// # Errors
    /// When there is no such call.
    pub fn hang_up(&mut self, now: Instant, handle: CallHandle) -> Result<(), Refusal> {
        let legs = self.get(handle).map(Call::legs).ok_or_else(|| Refusal::NotFound {
            what: "call",
            handle: handle.to_string(),
        })?;
        if self.hub(handle).is_some() {
            self.end_hub(now, handle, Cause::Command);
            return Ok(());
        }
        let lent = |leg: &LegHandle| {
            self.legs
                .get(*leg)
                .is_some_and(|leg| matches!(leg.owner, LegOwner::Transfer(_)))
        };
        if legs.iter().any(lent) {
            // The transfer that has the legs must hear of it; it gives the call back, and that is its end.
            for leg in legs {
                self.legs.hang_up(now, leg);
            }
            return Ok(());
        }
        for leg in legs {
            self.legs.release(now, leg, Cause::Command);
        }
        self.end(handle, Cause::Command);
        Ok(())
    }

    /// The connected and quiet call in which a leg talks.
    ///
    /// # Errors
    /// When there is none, with what stands against it.
    pub fn connected_call(&self, handle: LegHandle) -> Result<CallHandle, Refusal> {
        let leg = self.legs.get(handle).filter(|leg| leg.is_alive());
        let leg = leg.ok_or_else(|| Refusal::NotFound {
            what: "leg",
            handle: handle.to_string(),
        })?;
        let conflict = |why: String| Err(Refusal::Conflict { why });
        let call = match leg.owner {
            LegOwner::Call(call) => call,
            LegOwner::Transfer(transfer) => {
                return conflict(format!("{handle} is being moved by {transfer}; wait for its end"));
            }
            LegOwner::Nobody => return conflict(format!("{handle} is in no call")),
        };
        match self.get(call).map(|call| (&call.state, &call.bridge)) {
            Some((CallState::Connected { callee }, Bridge::Quiet)) => {
                let caller = self.get(call).map(|call| call.caller);
                let both = [Some(*callee), caller]
                    .into_iter()
                    .flatten()
                    .all(|leg| self.legs.get(leg).is_some_and(Leg::is_confirmed));
                if both {
                    Ok(call)
                } else {
                    conflict(format!("{call} is ending"))
                }
            }
            Some((CallState::Connected { .. }, Bridge::Relaying { .. } | Bridge::Matching { .. })) => {
                conflict(format!("{call} is busy with another re-INVITE; try again"))
            }
            Some((CallState::Hub(_), _)) => conflict(format!(
                "{call} is a hub; PUT /v1/legs/{handle}/role holds, mutes and moves who is in it"
            )),
            Some((CallState::Alerting { .. }, _)) => conflict(format!("{call} is not answered yet")),
            None => conflict(format!("{handle} is in no call")),
        }
    }
}
