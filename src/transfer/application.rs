//! A transferee that waits for an application: a queue or a bot that a client of the API serves.
//!
//! It leaves the call that it was in only when it is taken; until then the transferor is told 182 (RFC 3261 §21.1.4), and
//! hears nothing. Rejected, or left waiting as long as a target may ring, it comes back, and the next step is taken.

use std::time::Instant;

use super::{State, Transfers};
use crate::call::Entrusted;
use crate::vocabulary::{Cause, TransferFailure, TransferHandle};

impl Transfers {
    /// Offers the transferee to an application.
    pub(super) fn entrust(&mut self, now: Instant, handle: TransferHandle, status: Option<u16>, name: &str) {
        let wait = self.calls.legs.identity.ring_timeout;
        let Some(transfer) = self.table.get(handle) else { return };
        let (transferee, transferor) = (transfer.transferee, transfer.transferor);
        let wait = transfer.plan.ring_timeout.unwrap_or(wait);
        let to = transfer.target_name.clone();
        let hub = self.calls.entrust(now, handle, transferee, name, &to, wait);
        // Its own time counts, however late it is.
        let until = now + wait + self.calls.legs.identity.guard;
        if let Some(transfer) = self.table.get_mut(handle) {
            transfer.state = State::Entrusted { hub };
            transfer.consult = None;
            transfer.plan.until = transfer.plan.until.max(until);
            let until = transfer.plan.until;
            self.deadlines.add(until, handle);
        }
        self.calls.legs.report(now, transferor, 182, false);
        self.progress(
            handle,
            status,
            "policy on_failure: the transferee waits for an application",
        );
    }

    /// Hands on what became of entrusted transferees. `false`: nothing has.
    pub fn entrusted_said(&mut self, now: Instant) -> bool {
        let Some((handle, said)) = self.calls.entrusted.pop_front() else {
            return false;
        };
        let Some(transfer) = self.table.get_mut(handle) else {
            return true;
        };
        if !matches!(transfer.state, State::Entrusted { .. }) {
            return true;
        }
        match said {
            Entrusted::Taken(hub) => {
                let before = std::mem::replace(&mut transfer.call, hub);
                self.calls.end(before, Cause::Transferred);
                self.report_outcome(now, handle, None, None, 200);
            }
            Entrusted::Refused => self.fail(now, handle, TransferFailure::TargetNoAnswer, Some(480)),
            Entrusted::Gone => self.fail(now, handle, TransferFailure::TransfereeGone, None),
        }
        true
    }
}
