//! What outlives a process of a transfer: enough to finish it or to take it back, exactly one of the two.
//!
//! | it stood in | the next process |
//! |---|---|
//! | Trying, Recovering, Taking, Entrusted | takes it back: the call is as it was, who rang is told, the transferor hears 503 |
//! | Joining | joins: the target has answered, and the offers begin anew |
//! | Referring | waits on for the outcome: the transferee's NOTIFY comes in its dialog |
//! | Reporting | says once more how it ended, and finishes |

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::recovery::Plan;
use super::{State, Transfer, Transfers};
use crate::leg::{StoredCancel, WallClock};
use crate::vocabulary::{
    CallHandle, Event, LegHandle, LegOwner, OnFailure, TransferFailure, TransferHandle, TransferKind, TransferMode,
};

/// Where a transfer stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredState {
    /// The target has not answered.
    Undecided {
        /// What stops the targets from ringing.
        ringing: Vec<StoredCancel>,
    },
    /// The target has answered.
    Joining {
        /// The target.
        target: LegHandle,
    },
    /// The transferee does it.
    Referring {
        /// The party that it was asked to take over from us.
        target: Option<LegHandle>,
        /// Until when its outcome is waited for: Unix time in milliseconds.
        until: u64,
    },
    /// It is decided.
    Reporting {
        /// Who took part in the end.
        target: Option<LegHandle>,
        /// Why it failed.
        failure: Option<(TransferFailure, Option<u16>)>,
    },
}

/// A running transfer as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTransfer {
    /// What triggered it.
    pub kind: TransferKind,
    /// Who performs it.
    pub mode: TransferMode,
    /// Where it stood.
    pub state: StoredState,
    /// The customer's call.
    pub call: CallHandle,
    /// The operator's leg there.
    pub transferor: LegHandle,
    /// The customer's leg.
    pub transferee: LegHandle,
    /// The operator's call with the consult, and its leg there.
    pub consult: Option<(CallHandle, LegHandle)>,
    /// As it was asked for.
    pub target_name: String,
    /// Referred-By of the REFER.
    pub referred_by: Option<String>,
    /// The transfer whose transferee the newcomer of a take-over is.
    pub by: Option<TransferHandle>,
    /// When it is given up: Unix time in milliseconds.
    pub until: u64,
}

impl Transfers {
    /// From now on it is noted which transfers and calls have changed; handles begin at this generation.
    pub fn watch(&mut self, first: u32) {
        self.table.watch(first);
        self.calls.table.watch(first);
        self.calls.legs.watch();
    }

    /// Which transfers may have changed since this was asked last.
    pub fn take_touched(&mut self) -> Vec<TransferHandle> {
        self.table.take_touched()
    }

    /// The transfers, in the order of their slots.
    pub fn handles(&self) -> Vec<TransferHandle> {
        self.table.iter().map(|(handle, _)| handle).collect()
    }

    /// Somebody wants to know what has become of this transfer.
    pub fn touch(&mut self, handle: TransferHandle) {
        self.table.get_mut(handle);
    }

    /// What outlives the process; `None`: there is no such transfer.
    pub fn stored(&self, handle: TransferHandle, clock: &WallClock) -> Option<StoredTransfer> {
        let transfer = self.table.get(handle)?;
        Some(StoredTransfer {
            kind: transfer.kind,
            mode: transfer.mode,
            state: match &transfer.state {
                State::Trying { forks, .. } => StoredState::Undecided {
                    ringing: forks.iter().filter_map(|leg| self.calls.legs.cancel_of(*leg)).collect(),
                },
                // Hubs end with their process, and so does the wait in one.
                State::Recovering { .. } | State::Taking { .. } | State::Entrusted { .. } => {
                    StoredState::Undecided { ringing: Vec::new() }
                }
                State::Joining { target, .. } => StoredState::Joining { target: *target },
                State::Referring { target, until, .. } => StoredState::Referring {
                    target: *target,
                    until: clock.unix_ms(*until),
                },
                State::Reporting { target, failure, .. } => StoredState::Reporting {
                    target: *target,
                    failure: *failure,
                },
            },
            call: transfer.call,
            transferor: transfer.transferor,
            transferee: transfer.transferee,
            consult: transfer.consult,
            target_name: transfer.target_name.clone(),
            referred_by: transfer.referred_by.clone(),
            by: transfer.by,
            until: clock.unix_ms(transfer.plan.until),
        })
    }

    /// Takes a transfer back, with the legs that it had; calls and legs are back already. Only who rings is told
    /// to stop.
    pub fn take_back(&mut self, clock: &WallClock, handle: TransferHandle, stored: &StoredTransfer) -> bool {
        let until = clock.now + clock.left(stored.until).min(self.limits.total);
        let state = match &stored.state {
            StoredState::Undecided { ringing } => {
                for cancel in ringing {
                    self.calls.legs.cancel_stray(cancel);
                }
                State::Trying {
                    forks: Vec::new(),
                    best: None,
                }
            }
            StoredState::Joining { target } => State::Joining {
                target: *target,
                offered: None,
                offers: 0,
            },
            StoredState::Referring { target, until } => State::Referring {
                target: *target,
                until: clock.now + clock.left(*until).min(self.calls.legs.outcome_timeout()),
                fall_back: false,
            },
            StoredState::Reporting { target, failure } => State::Reporting {
                target: *target,
                failure: *failure,
                until: clock.now + self.calls.legs.identity.guard,
            },
        };
        let mut wake = vec![until];
        if let State::Referring { until, .. } | State::Reporting { until, .. } = &state {
            wake.push(*until);
        }
        let legs = [
            Some(stored.transferor),
            stored.consult.map(|(_, leg)| leg),
            target_of(&state),
        ];
        let transfer = Transfer {
            handle,
            kind: stored.kind,
            mode: stored.mode,
            state,
            call: stored.call,
            transferor: stored.transferor,
            transferee: stored.transferee,
            consult: stored.consult,
            target_name: stored.target_name.clone(),
            referred_by: stored.referred_by.clone(),
            early: false,
            dial: None,
            pending: None,
            by: stored.by,
            plan: Plan::new(OnFailure::Transferor, until, None),
        };
        let owner = LegOwner::Transfer(handle);
        let decided = matches!(transfer.state, State::Reporting { failure: None, .. });
        if !self.table.insert_at(handle, transfer) {
            return false;
        }
        if !decided {
            match stored.by {
                // The rest of the call is that other transfer's.
                Some(_) => self.own(stored.transferee, handle),
                None => self.calls.lend(stored.call, owner),
            }
            // A newcomer may have taken the consult's place already: then its call is nobody's but its own.
            let still_in = |call: &crate::call::Call, leg| call.legs().contains(&leg);
            if let Some((consult, leg)) = stored.consult
                && self.calls.get(consult).is_some_and(|call| still_in(call, leg))
            {
                self.calls.lend(consult, owner);
            }
        }
        for leg in legs.into_iter().flatten() {
            let free = self
                .calls
                .legs
                .get(leg)
                .is_some_and(|leg| leg.owner == LegOwner::Nobody);
            if free {
                self.own(leg, handle);
                // It is in no call yet: nobody else tells of it.
                let told = self.calls.leg_restored(leg, Some(stored.call), Some(handle));
                self.calls.legs.events.extend(told);
            }
        }
        for at in wake {
            self.deadlines.add(at, handle);
        }
        // Observers of this process have never heard of it, and will hear of its end.
        self.calls.legs.events.push_back(Event::TransferRequested {
            transfer: handle,
            kind: stored.kind,
            mode: stored.mode,
            transferor: stored.transferor,
            transferee: stored.transferee,
            target: stored.target_name.clone(),
            target_leg: self.table.get(handle).and_then(|transfer| target_of(&transfer.state)),
        });
        true
    }

    /// Goes on with a transfer that is back, or takes it back to where it began.
    pub fn resume(&mut self, now: Instant, handle: TransferHandle) {
        let Some(transfer) = self.table.get(handle) else { return };
        let legs_gone = ![Some(transfer.transferee), target_of(&transfer.state)]
            .into_iter()
            .flatten()
            .all(|leg| self.is_alive(leg));
        match transfer.state {
            State::Reporting { target, failure, .. } => {
                let status = match failure {
                    None => 200,
                    Some((_, status)) => status.unwrap_or(480),
                };
                self.report_outcome(now, handle, target, failure, status);
            }
            State::Referring { .. } => {}
            State::Joining { .. } if !legs_gone => {
                self.progress(handle, None, "the edge was restarted: the join begins anew");
                self.join_if_quiet(now, handle);
            }
            State::Joining { .. }
            | State::Trying { .. }
            | State::Recovering { .. }
            | State::Taking { .. }
            | State::Entrusted { .. } => {
                self.fail(now, handle, TransferFailure::Interrupted, Some(503));
            }
        }
    }
}

fn target_of(state: &State) -> Option<LegHandle> {
    match state {
        State::Joining { target, .. } => Some(*target),
        State::Referring { target, .. } | State::Reporting { target, .. } => *target,
        State::Trying { .. } | State::Taking { .. } | State::Recovering { .. } | State::Entrusted { .. } => None,
    }
}
