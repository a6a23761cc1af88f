//! Mode `refer`: the transferee does it. The edge sends REFER (with Replaces) and reports what the NOTIFYs say.
//!
//! RFC 3515, RFC 3891. Replaces is translated in one place, `From<&DialogId> for Replaces`: the transferee is told of the
//! target's dialog as the target knows it (LESSONS 15). The outcome is the sipfrag, the subscription's end or the timer,
//! never the 202 (LESSONS 21, 22).

use std::time::Instant;

use super::blind::failure_of;
use super::{State, Transfers};
use crate::leg::ReferProgress;
use crate::sip::{Replaces, Uri};
use crate::vocabulary::{Cause, LegHandle, TransferFailure, TransferHandle, TransferMode};

impl Transfers {
    /// Asks the transferee to take over the target's dialog.
    pub(crate) fn refer_attended(&mut self, now: Instant, handle: TransferHandle, target: LegHandle, fall_back: bool) {
        let Some(leg) = self.calls.legs.get(target) else { return };
        let replaces = Replaces::from(&leg.dialog.id);
        // LESSONS 17: the remote target of the consult's dialog, which leads to that very phone.
        let refer_to = format!(
            "<{}?{}>",
            leg.dialog.remote_target.without_headers(),
            replaces.to_uri_header()
        );
        self.refer(now, handle, Some(target), &refer_to, fall_back);
    }

    /// Asks the transferee to call the target.
    pub(crate) fn refer_blind(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        target: &Uri,
        replaces: Option<&Replaces>,
        fall_back: bool,
    ) {
        let refer_to = match replaces {
            Some(replaces) => format!("<{}?{}>", target.without_headers(), replaces.to_uri_header()),
            None => format!("<{}>", target.without_headers()),
        };
        self.refer(now, handle, None, &refer_to, fall_back);
    }

    fn refer(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        target: Option<LegHandle>,
        refer_to: &str,
        fall_back: bool,
    ) {
        let until = now + self.calls.legs.outcome_timeout();
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        transfer.state = State::Referring {
            target,
            until,
            fall_back,
        };
        let (transferee, referred_by) = (transfer.transferee, transfer.referred_by.clone());
        self.deadlines.add(until, handle);
        self.progress(handle, None, "RFC 3515 §2.4.1: the transferee is asked by REFER");
        self.calls.legs.refer(now, transferee, refer_to, referred_by.as_deref());
    }

    pub(crate) fn refer_progress(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        leg: LegHandle,
        progress: ReferProgress,
    ) {
        let Some(transfer) = self.table.get(handle) else { return };
        let State::Referring { target, fall_back, .. } = transfer.state else {
            return;
        };
        if leg != transfer.transferee {
            return;
        }
        let transferor = transfer.transferor;
        match progress {
            ReferProgress::Accepted => {
                self.progress(handle, Some(202), "RFC 3515 §2.4.2: accepted, which is no outcome")
            }
            ReferProgress::Trying(status) => {
                self.calls.legs.report(now, transferor, status, false);
                self.progress(handle, Some(status), "RFC 3515 §2.4.5: progress is passed on");
            }
            ReferProgress::Final(200..=299) => self.referred(now, handle, target),
            ReferProgress::Final(status) => self.fail(now, handle, failure_of(status), Some(status)),
            // RFC 5589 §7.4: a party that does not support REFER is transferred all the same.
            ReferProgress::Refused(status) if fall_back => self.fall_back(now, handle, target, status),
            ReferProgress::Refused(status) => self.fail(now, handle, TransferFailure::ReferRefused, Some(status)),
            ReferProgress::Ended => self.fail(now, handle, TransferFailure::NoOutcome, None),
        }
    }

    fn fall_back(&mut self, now: Instant, handle: TransferHandle, target: Option<LegHandle>, status: u16) {
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        transfer.mode = TransferMode::Native;
        match (target, transfer.dial.take()) {
            (Some(target), _) => self.consult_found(now, handle, target),
            (None, Some(dial)) => {
                transfer.state = State::Trying {
                    forks: Vec::new(),
                    best: None,
                };
                self.dials.push_back(*dial);
            }
            (None, None) => self.fail(now, handle, TransferFailure::ReferRefused, Some(status)),
        }
    }

    /// The parties have a dialog of their own; ours with them end.
    fn referred(&mut self, now: Instant, handle: TransferHandle, target: Option<LegHandle>) {
        let Some(transfer) = self.table.get(handle).cloned() else {
            return;
        };
        self.calls.end(transfer.call, Cause::Transferred);
        self.own(transfer.transferor, handle);
        self.drop_leg(now, transfer.transferee, Cause::Transferred);
        if let Some((call, consult)) = transfer.consult {
            // A newcomer that came through the edge has taken the consult's call over; it goes on.
            if self.calls.get(call).is_some_and(|call| call.legs().contains(&consult)) {
                self.calls.end(call, Cause::Transferred);
            }
            self.own(consult, handle);
        }
        if let Some(target) = target {
            // RFC 3891 §3: the target sends the BYE for the dialog that was replaced; both crossing does no harm.
            self.drop_leg(now, target, Cause::Transferred);
        }
        self.report_outcome(now, handle, None, None, 200);
    }

    /// Transferee or target have left before the outcome is known: it may still come, for as long as the guard lasts.
    pub(crate) fn left_while_referring(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        leg: LegHandle,
        target: Option<LegHandle>,
    ) {
        let until = now + self.calls.legs.identity.guard;
        if let Some(transfer) = self.table.get_mut(handle)
            && let State::Referring { until: earlier, .. } = &mut transfer.state
            && (leg == transfer.transferee || Some(leg) == target)
        {
            *earlier = until.min(*earlier);
            self.deadlines.add(until, handle);
        }
    }
}
