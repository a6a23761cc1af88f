//! Bringing transferee and target together: each is offered the other's description until both are matched.
//!
//! RFC 3264 §8, RFC 5589 §7. Each re-INVITE completes by itself, so a 491 is retried by the leg (RFC 3261 §14.1) without a
//! 2xx hanging in the air on the other side (LESSONS 24). Hold ends with the join: both sides are offered two-way audio
//! unless one of them holds by its own wish (LESSONS 28).

use std::time::Instant;

use super::{State, Transfers};
use crate::call::bridge::{self, Bridge, MOST_OFFERS};
use crate::leg::Leg;
use crate::vocabulary::{CallHandle, LegHandle, TransferFailure, TransferHandle};

impl Transfers {
    /// The consult is a live leg: joined at once, or when it answers (RFC 5589 §7.6).
    pub(crate) fn consult_found(&mut self, now: Instant, handle: TransferHandle, party: LegHandle) {
        let early = self.calls.legs.get(party).is_some_and(Leg::is_early);
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        if early {
            transfer.state = State::Trying {
                forks: vec![party],
                best: None,
            };
            self.progress(
                handle,
                None,
                "RFC 5589 §7.6: the target still rings, the join waits for its answer",
            );
        } else {
            transfer.state = State::Joining {
                target: party,
                offered: None,
                offers: 0,
            };
            self.progress(
                handle,
                None,
                "RFC 5589 §7.3: Replaces names a live dialog, nobody is dialled",
            );
            self.join_if_quiet(now, handle);
        }
    }

    /// Begins the offers as soon as no other offer passes through the calls that the legs were lent by (LESSONS 25).
    pub(crate) fn join_if_quiet(&mut self, now: Instant, handle: TransferHandle) {
        let Some(transfer) = self.table.get(handle) else { return };
        let quiet = |call: CallHandle| self.calls.get(call).is_none_or(|call| call.bridge == Bridge::Quiet);
        let settled = |leg: LegHandle| self.calls.legs.get(leg).is_some_and(Leg::is_settled);
        let calls_quiet = quiet(transfer.call) && transfer.consult.is_none_or(|(call, _)| quiet(call));
        match transfer.state {
            State::Joining {
                target, offered: None, ..
            } if calls_quiet && settled(target) && settled(transfer.transferee) => {
                for leg in [transfer.transferee, target] {
                    // Who was held by an API client was held for the transferor.
                    self.calls.legs.set_hold(leg, None);
                    self.calls.legs.note_held(leg, false);
                }
                self.join_next(now, handle);
            }
            State::Taking { offered: false, .. } if calls_quiet && settled(transfer.transferee) => {
                self.offer_newcomer(now, handle)
            }
            State::Joining { .. }
            | State::Taking { .. }
            | State::Trying { .. }
            | State::Referring { .. }
            | State::Recovering { .. }
            | State::Entrusted { .. }
            | State::Reporting { .. } => {}
        }
    }

    pub(crate) fn join_next(&mut self, now: Instant, handle: TransferHandle) {
        let Some(transfer) = self.table.get(handle) else { return };
        let State::Joining { target, offers, .. } = transfer.state else {
            return;
        };
        let transferee = transfer.transferee;
        if offers == 0 && self.needs_fresh_offer(transferee, target) {
            self.ask_for_offer(now, handle, transferee);
            return;
        }
        let next = if offers < MOST_OFFERS {
            bridge::offer_next(&mut self.calls.legs, now, transferee, target)
        } else {
            None
        };
        match next {
            Some(side) => {
                if let Some(transfer) = self.table.get_mut(handle) {
                    transfer.state = State::Joining {
                        target,
                        offered: Some(side),
                        offers: offers + 1,
                    };
                }
                let rule = if side == transferee {
                    "RFC 3264 §8: the transferee is offered the target's description"
                } else {
                    "RFC 3264 §8: the target is offered the transferee's description"
                };
                self.progress(handle, None, rule);
            }
            None if self.hear_each_other(transferee, target) => self.joined(now, handle, target),
            None => self.fail(now, handle, TransferFailure::JoinRefused, Some(488)),
        }
    }

    /// Whether each side sends its media to where the other last said that it listens.
    fn hear_each_other(&self, one: LegHandle, other: LegHandle) -> bool {
        let address = |of: LegHandle, with: LegHandle| {
            let (of, with) = (self.calls.legs.get(of)?, self.calls.legs.get(with)?);
            Some(of.sent.as_ref()?.media_address()? == with.remote.as_ref()?.media_address()?)
        };
        address(one, other) == Some(true) && address(other, one) == Some(true)
    }
}
