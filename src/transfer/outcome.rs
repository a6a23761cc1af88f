//! How a transfer ends: exactly once, and with everybody told in the right order.
//!
//! RFC 3515 §2.4.5, RFC 5589 §6–7. The last NOTIFY is sent and answered before our BYE to the transferor; a guard timer
//! stands in for an answer that never comes, and a transferor that has already gone is no failure (LESSONS 3, 5, 14).

use std::time::Instant;

use super::{REMEMBERED, State, Transfers};
use crate::vocabulary::{Cause, Event, LegHandle, LegOwner, TransferFailure, TransferHandle, TransferMode};

impl Transfers {
    /// Transferee and target are matched: they are the call now, and the transferor is told.
    pub(crate) fn joined(&mut self, now: Instant, handle: TransferHandle, target: LegHandle) {
        let Some(transfer) = self.table.get(handle) else { return };
        let (call, transferee, transferor, consult) = (
            transfer.call,
            transfer.transferee,
            transfer.transferor,
            transfer.consult,
        );
        self.calls.join(call, transferee, target);
        self.own(transferor, handle);
        if let Some((other, leg)) = consult {
            self.calls.end(other, Cause::Transferred);
            self.own(leg, handle);
        }
        self.report_outcome(now, handle, Some(target), None, 200);
    }

    /// Decided: the last NOTIFY goes out, and what is left waits for its answer.
    pub(crate) fn report_outcome(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        target: Option<LegHandle>,
        failure: Option<(TransferFailure, Option<u16>)>,
        status: u16,
    ) {
        let until = now + self.calls.legs.identity.guard;
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        transfer.state = State::Reporting { target, failure, until };
        let transferor = transfer.transferor;
        self.progress(
            handle,
            Some(status),
            "RFC 5589 §6.1: the transferor is told before it is released",
        );
        self.calls.legs.report(now, transferor, status, true);
        if self.is_alive(transferor) && self.calls.legs.owes_report(transferor) {
            self.deadlines.add(until, handle);
        } else {
            self.finish(now, handle);
        }
    }

    pub(crate) fn report_settled(&mut self, now: Instant, handle: TransferHandle, leg: LegHandle) {
        if let Some(transfer) = self.table.get(handle)
            && leg == transfer.transferor
            && matches!(transfer.state, State::Reporting { .. })
        {
            self.finish(now, handle);
        }
    }

    /// The end: BYE to the transferor, the terminal event, and the transfer is history.
    pub(crate) fn finish(&mut self, now: Instant, handle: TransferHandle) {
        let Some(transfer) = self.table.get(handle).cloned() else {
            return;
        };
        let State::Reporting { target, failure, .. } = transfer.state else {
            return;
        };
        match failure {
            None => {
                self.drop_leg(now, transfer.transferor, Cause::Transferred);
                if let Some((_, leg)) = transfer.consult {
                    self.drop_leg(now, leg, Cause::Transferred);
                }
                let call = self.calls.get(transfer.call).map(|call| call.handle);
                self.end(handle, None);
                let target = target.filter(|_| transfer.mode == TransferMode::Native);
                self.tell(Event::TransferCompleted {
                    transfer: handle,
                    transferee: transfer.transferee,
                    target,
                    call,
                });
            }
            Some((reason, status)) => {
                self.calls.give_back(now, transfer.call, LegOwner::Transfer(handle));
                self.end(handle, Some((reason, status)));
                self.tell(Event::TransferFailed {
                    transfer: handle,
                    reason,
                    status,
                });
            }
        }
        tracing::info!(transfer = %handle, ok = failure.is_none(), "transfer ended");
    }

    /// It did not happen: what was made for it is released, what was lent is given back.
    pub(crate) fn fail(&mut self, now: Instant, handle: TransferHandle, reason: TransferFailure, status: Option<u16>) {
        self.restore(now, handle);
        let Some(transfer) = self.table.get(handle).cloned() else {
            return;
        };
        let made: Vec<LegHandle> = match &transfer.state {
            State::Trying { forks, .. } if transfer.consult.is_none() => forks.clone(),
            State::Joining { target, .. } if transfer.consult.is_none() => vec![*target],
            State::Taking { newcomer, .. } => {
                self.calls.legs.reject(
                    now,
                    *newcomer,
                    status.unwrap_or(480),
                    None,
                    Cause::Refused {
                        status: status.unwrap_or(480),
                    },
                );
                vec![*newcomer]
            }
            State::Entrusted { hub } => {
                self.calls.take_back(*hub, handle, Cause::Transferred);
                Vec::new()
            }
            State::Trying { .. } | State::Joining { .. } | State::Referring { .. } | State::Recovering { .. } => {
                Vec::new()
            }
            // Decided already; there is one terminal event.
            State::Reporting { .. } => return,
        };
        for leg in made {
            self.drop_leg(now, leg, Cause::OtherParty);
        }
        self.calls.legs.end_subscription(transfer.transferee);
        if let Some((call, consult)) = transfer.consult {
            self.calls.give_back(now, call, LegOwner::Transfer(handle));
            // A newcomer has taken its place already, and the transfer that would have released it is this one.
            if !self.calls.get(call).is_some_and(|call| call.legs().contains(&consult)) {
                self.drop_leg(now, consult, Cause::Transferred);
            }
        }
        if let Some(by) = transfer.by {
            self.hand_back(by, transfer.transferee);
        }
        if let Some(pending) = self.table.get_mut(handle).and_then(|transfer| transfer.pending.take()) {
            // RFC 4320 §4.2: a REFER is never answered 408.
            let status = status.filter(|status| *status != 408).unwrap_or(480);
            self.calls
                .legs
                .refuse(now, pending.0.server, &pending.0.request, status, None);
        }
        if self.recover(now, handle, reason, status) {
            return;
        }
        let told = status.unwrap_or(match reason {
            TransferFailure::TransfereeGone | TransferFailure::Cancelled => 487,
            TransferFailure::TargetBusy => 486,
            TransferFailure::NoOutcome | TransferFailure::TimedOut => 408,
            TransferFailure::TargetNoAnswer
            | TransferFailure::TargetRefused
            | TransferFailure::TargetUnreachable
            | TransferFailure::TargetGone
            | TransferFailure::JoinRefused
            | TransferFailure::ReferRefused => 480,
            TransferFailure::Interrupted => 503,
        });
        self.hang_up_if_planned(now, handle, reason, told);
        if self.is_alive(transfer.transferee) {
            // The call is as it was, at once; only the last NOTIFY is still under way, and nothing depends on its answer.
            self.calls.legs.report(now, transfer.transferor, told, true);
            self.calls.give_back(now, transfer.call, LegOwner::Transfer(handle));
            self.end(handle, Some((reason, status)));
            self.tell(Event::TransferFailed {
                transfer: handle,
                reason,
                status,
            });
            tracing::info!(transfer = %handle, ok = false, "transfer ended");
        } else {
            self.report_outcome(now, handle, None, Some((reason, status)), told);
        }
    }

    /// A party has left in the middle.
    pub(crate) fn party_left(&mut self, now: Instant, handle: TransferHandle, leg: LegHandle) {
        let Some(transfer) = self.table.get(handle).cloned() else {
            return;
        };
        let is_consult = transfer.consult.is_some_and(|(_, consult)| consult == leg);
        match &transfer.state {
            State::Reporting { .. } if leg == transfer.transferor => self.finish(now, handle),
            State::Reporting { .. } => {}
            // Early BYE or CANCEL of the transferor: the transfer goes on (LESSONS 3).
            _ if leg == transfer.transferor || is_consult => self.operator_left(now, handle, leg),
            State::Referring { target, .. } => self.left_while_referring(now, handle, leg, *target),
            _ if leg == transfer.transferee => self.fail(now, handle, TransferFailure::TransfereeGone, None),
            State::Recovering { .. } | State::Entrusted { .. } => {}
            State::Joining { .. } | State::Trying { .. } => self.fail(now, handle, TransferFailure::TargetGone, None),
            State::Taking { .. } => self.fail(now, handle, TransferFailure::TargetGone, Some(487)),
        }
    }

    /// What waits for an answer of the operator's phone is refused, so that the other side may try again and the join is
    /// not held up.
    fn operator_left(&mut self, now: Instant, handle: TransferHandle, leg: LegHandle) {
        let Some(transfer) = self.table.get(handle) else { return };
        for call in [Some(transfer.call), transfer.consult.map(|(call, _)| call)]
            .into_iter()
            .flatten()
        {
            self.calls.offer_refused(now, call, leg, 491);
        }
        self.join_if_quiet(now, handle);
    }

    /// Takes the transfer out and remembers how it ended.
    pub(crate) fn end(&mut self, handle: TransferHandle, failure: Option<(TransferFailure, Option<u16>)>) {
        let Some(transfer) = self.table.remove(handle) else {
            return;
        };
        let mut view = transfer.view();
        view.state = if failure.is_some() { "failed" } else { "completed" };
        (view.reason, view.status) = failure.map_or((None, None), |(reason, status)| (Some(reason), status));
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(view);
        let legs = [Some(transfer.transferor), transfer.consult.map(|(_, leg)| leg)];
        for leg in legs.into_iter().flatten() {
            if self
                .calls
                .legs
                .get(leg)
                .is_some_and(|leg| leg.owner == LegOwner::Transfer(handle))
            {
                self.calls.legs.set_owner(leg, LegOwner::Nobody);
            }
        }
    }
}
