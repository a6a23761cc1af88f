//! The one place where a transfer is made, its legs lent to it, and its mode chosen.

use std::time::{Duration, Instant};

use super::begin::Target;
use super::recovery::Plan;
use super::{Dial, Policy, Referral, State, Transfer, Transfers};
use crate::call::CallState;
use crate::vocabulary::{
    CallHandle, Event, LegHandle, LegOwner, TransferFailure, TransferHandle, TransferKind, TransferMode,
};

/// What a transfer begins with: everything was examined and allowed.
pub(super) struct Beginning {
    pub(super) call: CallHandle,
    pub(super) transferor: LegHandle,
    pub(super) transferee: LegHandle,
    pub(super) target: Target,
    pub(super) policy: Policy,
    pub(super) referred_by: Option<String>,
    pub(super) ring_timeout: Option<Duration>,
    pub(super) pending: Option<Box<(Referral, u16)>>,
}

impl Transfers {
    pub(super) fn start(&mut self, now: Instant, beginning: Beginning) -> TransferHandle {
        let Beginning {
            call,
            transferor,
            transferee,
            target,
            policy,
            referred_by,
            ring_timeout,
            pending,
        } = beginning;
        let until = now + self.limits.total;
        let consult = match &target {
            Target::Consult { call, consult, .. } => Some((*call, *consult)),
            Target::Uri(..) | Target::Dead(_) => None,
        };
        let target_leg = match &target {
            Target::Consult { party, .. } => Some(*party),
            Target::Uri(..) | Target::Dead(_) => None,
        };
        let target_name = match &target {
            Target::Consult { party, .. } => self
                .calls
                .legs
                .get(*party)
                .map(|leg| leg.party.uri.to_string())
                .unwrap_or_default(),
            Target::Uri(uri, _) => uri.to_string(),
            Target::Dead(_) => String::new(),
        };
        let kind = if consult.is_some() || matches!(target, Target::Dead(_)) {
            TransferKind::Attended
        } else {
            TransferKind::Blind
        };
        let mode = self.choose(policy.mode, transferee, &target);
        let handle = self.table.insert_with(|handle| Transfer {
            handle,
            kind,
            mode,
            state: State::Trying {
                forks: Vec::new(),
                best: None,
            },
            call,
            transferor,
            transferee,
            consult,
            target_name: target_name.clone(),
            referred_by: referred_by.clone(),
            early: false,
            dial: None,
            pending,
            by: None,
            plan: Plan::new(policy.on_failure, until, ring_timeout),
        });
        self.deadlines.add(until, handle);
        let owner = LegOwner::Transfer(handle);
        self.calls.lend(call, owner);
        if let Some((other, _)) = consult {
            self.calls.lend(other, owner);
        }
        self.tell(Event::TransferRequested {
            transfer: handle,
            kind,
            mode,
            transferor,
            transferee,
            target: target_name,
            target_leg,
        });
        let refers = matches!(mode, TransferMode::Refer | TransferMode::Pass);
        let falls_back = policy.mode == TransferMode::Auto;
        match target {
            Target::Dead(status) => self.fail(now, handle, TransferFailure::TargetGone, Some(status)),
            Target::Consult { party, .. } if refers => self.refer_attended(now, handle, party, falls_back),
            Target::Consult { party, .. } => self.consult_found(now, handle, party),
            Target::Uri(target, replaces) => {
                let dial = Dial {
                    transfer: handle,
                    target,
                    replaces,
                    referred_by,
                    transferee,
                    transferor,
                    ring_timeout,
                };
                if refers {
                    let (target, replaces) = (dial.target.clone(), dial.replaces.clone());
                    if let Some(transfer) = self.table.get_mut(handle) {
                        transfer.dial = Some(Box::new(dial));
                    }
                    self.refer_blind(now, handle, &target, replaces.as_ref(), falls_back);
                } else {
                    self.dials.push_back(dial);
                }
            }
        }
        handle
    }

    /// `auto`: REFER where the transferee says that it can; else the edge does it, whatever the parties can do.
    fn choose(&self, wish: TransferMode, transferee: LegHandle, target: &Target) -> TransferMode {
        let abilities = self
            .calls
            .legs
            .get(transferee)
            .map(|leg| leg.abilities)
            .unwrap_or_default();
        // A party can only take over a dialog that it can reach itself: one at the same next hop as its own.
        let reachable = match target {
            Target::Consult { party, call, .. } => {
                let hop = |leg: LegHandle| self.calls.legs.get(leg).map(|leg| leg.dialog.flow.remote);
                let answered = self
                    .calls
                    .get(*call)
                    .is_some_and(|call| matches!(call.state, CallState::Connected { .. }));
                hop(transferee) == hop(*party) && abilities.replaces && answered
            }
            Target::Uri(..) => true,
            Target::Dead(_) => false,
        };
        match wish {
            TransferMode::Native => TransferMode::Native,
            TransferMode::Refer => TransferMode::Refer,
            TransferMode::Pass => TransferMode::Pass,
            TransferMode::Auto if abilities.refer && reachable => TransferMode::Refer,
            TransferMode::Auto => TransferMode::Native,
        }
    }
}
