//! When a side of a join refuses the other's description: it is asked for its own offer instead.
//!
//! RFC 6337 §5, RFC 3725 §4.1. A party that answers 488 to the description of a stranger may well find common ground when it
//! makes the offer itself. So before a join is given up, that side gets one re-INVITE without a description; what it
//! offers goes to the other side, and that one's answer comes back in the ACK.
//!
//! | step | event | what is done |
//! |---|---|---|
//! | offered its description | 488, 606 | re-INVITE without a description, once for each join |
//! | asked | 2xx with an offer | the offer goes to the other side; the ACK waits |
//! | asked | refused | *failed*: JoinRefused |
//! | other side offered | 2xx with an answer | ACK with the answer; the join goes on |
//! | other side offered | refused | ACK with what the side had before; *failed*: JoinRefused |
//! | any | a side leaves | ACK with what the side had before, by [`restore`](Transfers::restore); *failed* |

use std::time::Instant;

use super::{State, Transfers};
use crate::call::bridge::MOST_OFFERS;
use crate::leg::Leg;
use crate::sdp::{Description, Direction};
use crate::vocabulary::{LegHandle, TransferFailure, TransferHandle};

/// How many offers may follow the one that was asked for.
const LEFT: u8 = 2;

impl Transfers {
    /// Two parties with ICE cannot be offered what the other has said to somebody else: credentials that are new to a party
    /// restart ICE there, so that its answer has new ones too (RFC 8839 §4.4.1.1.1), and no number of offers would match
    /// them. One is asked instead, and the other answers to that. A party whose media passes through the edge is offered
    /// the edge's description, and knows it.
    pub(crate) fn needs_fresh_offer(&self, one: LegHandle, other: LegHandle) -> bool {
        let (Some(one), Some(other)) = (self.calls.legs.get(one), self.calls.legs.get(other)) else {
            return false;
        };
        if self.calls.legs.meet_at_edge(one, other) {
            return false; // each is sent our own description
        }
        let have_ice = [one, other]
            .iter()
            .all(|leg| !leg.is_anchored() && leg.remote.as_ref().is_some_and(Description::uses_ice));
        let known = |of: &Leg, with: &Leg| match (&of.sent, &with.remote) {
            (Some(sent), Some(remote)) => sent.same_media(remote),
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        have_ice && !(known(one, other) && known(other, one))
    }

    pub(crate) fn ask_for_offer(&mut self, now: Instant, handle: TransferHandle, side: LegHandle) {
        if let Some(transfer) = self.table.get_mut(handle)
            && let State::Joining { offered, offers, .. } = &mut transfer.state
        {
            *offered = Some(side);
            *offers = MOST_OFFERS - LEFT;
            self.calls.legs.offer(now, side, None);
            self.progress(
                handle,
                None,
                "RFC 8839 §4.4.1.1.1: both have ICE, so the transferee is asked for an offer of its own",
            );
        }
    }

    /// The side that was offered something has answered.
    pub(crate) fn side_answered(
        &mut self,
        now: Instant,
        handle: TransferHandle,
        side: LegHandle,
        description: Option<&Description>,
    ) {
        let Some(other) = self.other_side(handle, side) else {
            return;
        };
        let owes = |leg: LegHandle| self.calls.legs.get(leg).is_some_and(Leg::owes_ack);
        if owes(side) {
            match description {
                Some(offer) => {
                    let offer = offer.with_direction(Direction::SendRecv);
                    self.calls.legs.offer(now, other, Some(offer));
                    self.now_offered(handle, other);
                    self.progress(handle, None, "RFC 3725 §4.1: its offer goes to the other side");
                }
                None => self.fail(now, handle, TransferFailure::JoinRefused, Some(488)),
            }
            return;
        }
        if owes(other) {
            // The other side waits for this answer in its ACK.
            self.calls.legs.acknowledge(now, other, description);
        }
        self.join_next(now, handle);
    }

    /// The side that was offered something has refused.
    pub(crate) fn side_refused(&mut self, now: Instant, handle: TransferHandle, side: LegHandle, status: u16) {
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        if let State::Joining { offers, .. } = &mut transfer.state
            && *offers < MOST_OFFERS - LEFT
            && matches!(status, 488 | 606)
        {
            // Once; what is left is for the directions: who was on hold offers no more than to listen.
            *offers = MOST_OFFERS - LEFT;
            self.calls.legs.offer(now, side, None);
            self.progress(
                handle,
                Some(status),
                "RFC 6337 §5: refused, so it is asked for its own offer",
            );
            return;
        }
        self.fail(now, handle, TransferFailure::JoinRefused, Some(status));
    }

    /// A side whose offer found no answer gets what it had before, so that its session goes on as it was.
    pub(crate) fn restore(&mut self, now: Instant, handle: TransferHandle) {
        let Some(transfer) = self.table.get(handle) else { return };
        let State::Joining { target, .. } = transfer.state else {
            return;
        };
        for side in [target, transfer.transferee] {
            self.calls.legs.acknowledge_as_before(now, side);
        }
    }

    fn now_offered(&mut self, handle: TransferHandle, side: LegHandle) {
        if let Some(transfer) = self.table.get_mut(handle)
            && let State::Joining { offered, .. } = &mut transfer.state
        {
            *offered = Some(side);
        }
    }

    fn other_side(&self, handle: TransferHandle, side: LegHandle) -> Option<LegHandle> {
        let transfer = self.table.get(handle)?;
        match transfer.state {
            State::Joining { target, .. } if target == side => Some(transfer.transferee),
            State::Joining { target, .. } => Some(target),
            State::Trying { .. }
            | State::Recovering { .. }
            | State::Entrusted { .. }
            | State::Referring { .. }
            | State::Taking { .. }
            | State::Reporting { .. } => None,
        }
    }
}
