//! Dialling the target, and waiting for it.
//!
//! RFC 5589 §6. The target is offered the transferee's own description, so that its answer is already the transferee's
//! half of the join; the transferor's call stays as it is until then (LESSONS 1).

use std::time::Instant;

use super::{State, Transfers};
use crate::leg::{Invitation, Leg};
use crate::sdp::Description;
use crate::sip::{Message, Uri};
use crate::vocabulary::{Cause, Event, LegHandle, LegOwner, TransferFailure, TransferHandle};

impl Transfers {
    /// Dials the target on all of these ways at once; a status says why there is none.
    pub fn dial(&mut self, now: Instant, handle: TransferHandle, ways: Result<Vec<Invitation>, u16>) {
        match self.table.get(handle).map(|transfer| &transfer.state) {
            Some(State::Trying { forks, .. }) if forks.is_empty() => {}
            Some(State::Recovering { .. }) => {
                if let Some(transfer) = self.table.get_mut(handle) {
                    transfer.state = State::Trying {
                        forks: Vec::new(),
                        best: None,
                    };
                }
            }
            // It has ended, or is decided, since it asked.
            Some(
                State::Trying { .. }
                | State::Joining { .. }
                | State::Referring { .. }
                | State::Taking { .. }
                | State::Entrusted { .. }
                | State::Reporting { .. },
            )
            | None => return,
        }
        match ways {
            Ok(ways) if !ways.is_empty() => {
                let owner = LegOwner::Transfer(handle);
                let legs: Vec<_> = ways
                    .into_iter()
                    .map(|way| self.calls.legs.invite(now, owner, way))
                    .collect();
                if let Some(transfer) = self.table.get_mut(handle) {
                    transfer.state = State::Trying {
                        forks: legs,
                        best: None,
                    };
                }
                self.progress(handle, None, "RFC 5589 §6.1: the target is dialled, the call stays");
            }
            Ok(_) => self.fail(now, handle, TransferFailure::TargetUnreachable, Some(480)),
            Err(status) => self.fail(now, handle, failure_of(status), Some(status)),
        }
    }

    pub(crate) fn target_rings(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        leg: LegHandle,
        status: u16,
        media: Option<&Description>,
    ) {
        let Some(transfer) = self.table.get(handle) else { return };
        let (transferor, consult) = (transfer.transferor, transfer.consult);
        self.calls.legs.report(now, transferor, status, false);
        self.progress(handle, Some(status), "RFC 3515 §2.4.5: progress is reported by NOTIFY");
        if let Some((call, _)) = consult {
            self.calls.ringing(now, call, leg, status, media);
        }
    }

    pub(crate) fn target_answered(&mut self, now: Instant, handle: TransferHandle, leg: LegHandle) {
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        let State::Trying { forks, .. } = &mut transfer.state else {
            return;
        };
        let others: Vec<_> = std::mem::take(forks).into_iter().filter(|fork| *fork != leg).collect();
        transfer.state = State::Joining {
            target: leg,
            offered: None,
            offers: 0,
        };
        for other in others {
            self.drop_leg(now, other, Cause::OtherParty);
        }
        if self.calls.legs.get(leg).is_some_and(Leg::owes_ack) {
            // The consult was invited without an offer: its 2xx has one, and the transferee's description answers it.
            let answer = self
                .table
                .get(handle)
                .and_then(|transfer| self.calls.legs.get(transfer.transferee)?.remote.clone());
            self.calls.legs.acknowledge(now, leg, answer.as_ref());
        }
        self.progress(
            handle,
            Some(200),
            "RFC 5589 §6.1: the target answered, now the sides are joined",
        );
        self.join_if_quiet(now, handle);
    }

    pub(crate) fn target_refused(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        leg: LegHandle,
        status: u16,
        response: Option<&Message>,
    ) {
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        let State::Trying { forks, best } = &mut transfer.state else {
            return;
        };
        forks.retain(|fork| *fork != leg);
        let worst = best.map_or(status, |earlier| earlier.min(status));
        *best = Some(worst);
        if !forks.is_empty() {
            return;
        }
        let consult = transfer.consult;
        self.fail(now, handle, failure_of(worst), Some(worst));
        if let Some((call, _)) = consult {
            // RFC 5589 §7.6: the consult had not answered; the transferor's own call to it ends as it would have.
            self.calls.refused(now, call, leg, status, response);
        }
    }

    /// The target sends its calls on: those are called in its stead, and the transferor hears that it is so.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        leg: LegHandle,
        to: &Uri,
        invitations: Vec<Invitation>,
    ) {
        let Some(transfer) = self.table.get(handle) else { return };
        let (transferor, consult, call) = (transfer.transferor, transfer.consult, transfer.call);
        let ringing = consult.map_or(call, |(call, _)| call);
        let owner = LegOwner::Transfer(handle);
        let called = self.calls.replace_fork(now, ringing, owner, leg, invitations);
        if let Some(transfer) = self.table.get_mut(handle)
            && let State::Trying { forks, .. } = &mut transfer.state
        {
            forks.retain(|fork| *fork != leg);
            forks.extend(called);
        }
        let event = Event::CallForwarded {
            call: ringing,
            leg,
            to: to.to_string(),
        };
        self.tell(event);
        self.calls.legs.report(now, transferor, 181, false);
        self.progress(
            handle,
            Some(181),
            "RFC 3261 §16.7: the target forwards, whom it names is dialled",
        );
    }

    /// Releases a leg that nobody needs any more.
    pub(crate) fn drop_leg(&mut self, now: Instant, leg: LegHandle, cause: Cause) {
        self.calls.legs.set_owner(leg, LegOwner::Nobody);
        self.calls.legs.release(now, leg, cause);
    }
}

/// The one place where a target's status becomes a reason.
pub(crate) fn failure_of(status: u16) -> TransferFailure {
    match status {
        486 | 600 => TransferFailure::TargetBusy,
        408 | 480 | 487 => TransferFailure::TargetNoAnswer,
        404 | 410 | 416 | 484 | 502..=504 | 604 => TransferFailure::TargetUnreachable,
        _ => TransferFailure::TargetRefused,
    }
}
