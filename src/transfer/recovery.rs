//! When the target cannot be had: somebody else, the transferor, or an end that everybody hears of.
//!
//! | what failed | transferee | next target left | then |
//! |---|---|---|---|
//! | target busy, silent, refuses, unreachable, gone; join or REFER refused; no outcome | there | yes | it is dialled, natively |
//! | the same | there | no | given back to the transferor; released if that one has gone |
//! | the same, `hang_up` | there | no | released, and the transferor after it |
//! | cancelled | there | not asked | given back as it was |
//! | any of these | there | an application | it waits there; taken: done, else the next step |
//! | any of these, and the transferor is next and there | there | not asked | given back to the transferor |
//! | too late | there | targets are not asked | the other steps, else as without a next target |
//! | anything | gone | not asked | the transferor is told, then released |
//!
//! A next target is tried while the transfer's own timer runs and its depth lasts, so that nobody goes round for ever.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Dial, State, Transfers};
use crate::sip::Uri;
use crate::vocabulary::{Cause, OnFailure, Refusal, Rung, TransferFailure, TransferHandle, TransferMode};

/// What is left to be tried.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    next: VecDeque<Rung>,
    /// The last step was reached, and it is the end of both.
    hang_up: bool,
    tried: u8,
    /// Nothing is begun after this moment, and what has begun is given up.
    pub(crate) until: Instant,
    pub(crate) ring_timeout: Option<Duration>,
}

impl Plan {
    pub(crate) fn new(on_failure: OnFailure, until: Instant, ring_timeout: Option<Duration>) -> Plan {
        let target = |uri| Rung::Target {
            uri,
            ring_timeout: None,
        };
        let next = match on_failure {
            OnFailure::Transferor => VecDeque::new(),
            OnFailure::Next(next) => next.into_iter().map(target).collect(),
            OnFailure::HangUp => VecDeque::from([Rung::HangUp]),
            OnFailure::Ladder(rungs) => rungs.into(),
        };
        Plan {
            next,
            hang_up: false,
            tried: 1,
            until,
            ring_timeout,
        }
    }
}

/// Whether somebody else may be tried after this.
fn another_may_help(reason: TransferFailure) -> bool {
    match reason {
        TransferFailure::TargetBusy
        | TransferFailure::TargetNoAnswer
        | TransferFailure::TargetRefused
        | TransferFailure::TargetUnreachable
        | TransferFailure::TargetGone
        | TransferFailure::JoinRefused
        | TransferFailure::ReferRefused
        | TransferFailure::NoOutcome => true,
        // No more targets; but an application, or the end, is a step as well.
        TransferFailure::TimedOut => true,
        TransferFailure::TransfereeGone | TransferFailure::Cancelled | TransferFailure::Interrupted => false,
    }
}

impl Transfers {
    /// Goes on to the next step, if there is one that still can be taken. What was made for the last one has been released.
    /// `false`: it stays with the transferor, or is hung up.
    pub(crate) fn recover(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        reason: TransferFailure,
        status: Option<u16>,
    ) -> bool {
        let Some(transfer) = self.table.get(handle) else {
            return false;
        };
        match transfer.state {
            State::Trying { .. } | State::Joining { .. } | State::Referring { .. } | State::Entrusted { .. } => {}
            // A target was there to be dialled, and the time was over before it was.
            State::Recovering { .. } if reason == TransferFailure::TimedOut => {}
            State::Taking { .. } | State::Reporting { .. } | State::Recovering { .. } => return false,
        }
        let (transferee, transferor) = (transfer.transferee, transfer.transferor);
        if !another_may_help(reason) || !self.is_alive(transferee) {
            return false;
        }
        while let Some(rung) = self.next_rung(now, handle, reason) {
            match rung {
                Rung::Target { uri, ring_timeout } => {
                    self.dial_next(now, handle, reason, status, uri, ring_timeout);
                    return true;
                }
                Rung::Application(name) => {
                    self.entrust(now, handle, status, &name);
                    return true;
                }
                Rung::Transferor if self.is_alive(transferor) => return false,
                Rung::Transferor => {}
                Rung::HangUp => {
                    if let Some(transfer) = self.table.get_mut(handle) {
                        transfer.plan.hang_up = true;
                    }
                    return false;
                }
            }
        }
        false
    }

    /// The next step. Targets are passed over when their number or the time is over.
    fn next_rung(&mut self, now: Instant, handle: TransferHandle, reason: TransferFailure) -> Option<Rung> {
        let depth = self.limits.depth;
        let plan = &mut self.table.get_mut(handle)?.plan;
        let over = now >= plan.until || plan.tried >= depth || reason == TransferFailure::TimedOut;
        loop {
            match plan.next.pop_front()? {
                Rung::Target { .. } if over => {}
                rung @ (Rung::Target { .. } | Rung::Application(_) | Rung::Transferor | Rung::HangUp) => {
                    return Some(rung);
                }
            }
        }
    }

    fn dial_next(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        reason: TransferFailure,
        status: Option<u16>,
        target: Uri,
        ring_timeout: Option<Duration>,
    ) {
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        transfer.plan.tried += 1;
        transfer.state = State::Recovering { reason };
        transfer.mode = TransferMode::Native;
        transfer.consult = None;
        transfer.target_name = target.to_string();
        let dial = Dial {
            transfer: handle,
            target,
            replaces: None,
            referred_by: transfer.referred_by.clone(),
            transferee: transfer.transferee,
            transferor: transfer.transferor,
            ring_timeout: ring_timeout.or(transfer.plan.ring_timeout),
        };
        let transferor = transfer.transferor;
        // RFC 3515 §2.4.5: the last NOTIFY is for the end of it all; this one says that it goes on elsewhere.
        self.calls.legs.report(now, transferor, 181, false);
        self.progress(handle, status, "policy on_failure: the next target is dialled");
        self.dials.push_back(dial);
    }

    /// `on_failure = "hang_up"`: the transferee is released instead of given back.
    pub(crate) fn hang_up_if_planned(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        reason: TransferFailure,
        told: u16,
    ) {
        let Some(transfer) = self.table.get(handle) else { return };
        let transferee = transfer.transferee;
        if transfer.plan.hang_up && reason != TransferFailure::Cancelled && self.is_alive(transferee) {
            self.progress(handle, Some(told), "policy on_failure: the transferee is released");
            self.calls
                .legs
                .release(now, transferee, Cause::Refused { status: told });
        }
    }

    /// Takes a transfer back: the target is released, a newcomer refused, and the call is as it was. A REFER that the
    /// transferee has accepted cannot be called back; the edge only stops to wait for it.
    ///
    /// # Errors
    /// When there is none, or it is decided already.
    pub fn cancel(&mut self, now: Instant, handle: TransferHandle) -> Result<(), Refusal> {
        let conflict = || Refusal::Conflict {
            why: format!("{handle} is decided already; GET /v1/transfers/{handle} says how"),
        };
        match self.table.get(handle).map(|transfer| &transfer.state) {
            None if self.view(handle).is_some() => Err(conflict()),
            None => Err(Refusal::NotFound {
                what: "transfer",
                handle: handle.to_string(),
            }),
            Some(State::Reporting { .. }) => Err(conflict()),
            Some(
                State::Trying { .. }
                | State::Joining { .. }
                | State::Referring { .. }
                | State::Taking { .. }
                | State::Recovering { .. }
                | State::Entrusted { .. },
            ) => {
                self.fail(now, handle, TransferFailure::Cancelled, Some(487));
                Ok(())
            }
        }
    }
}
