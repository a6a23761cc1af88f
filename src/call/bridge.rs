//! What passes between two legs: an offer of one side to the other, and the matching of both when the edge itself wants it.
//!
//! Two legs are *matched* when each was sent what the other last sent (RFC 3264 §8), in the direction that is wanted now:
//! two-way, unless one side holds the other or an API client holds one. Matching offers to one side at a time, so that
//! each re-INVITE completes by itself and a 491 can be retried without a 2xx hanging in the air on the other side.
//!
//! ```text
//! Quiet ──a party re-INVITEs──▶ Relaying ──the other answers──▶ Quiet
//! Quiet ──API, join, recovery──▶ Matching ──both matched────────▶ Quiet
//! ```

use std::time::Instant;

use super::{CallState, Calls};
use crate::leg::{Carrier, Leg, Legs};
use crate::sdp::{Description, Direction};
use crate::vocabulary::{CallHandle, CommandId, Event, LegHandle, Refusal, Reply};

/// An honest pair settles in three offers; one that changes its description every time is stopped here.
pub const MOST_OFFERS: u8 = 6;

/// What passes between the two legs of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// Nothing.
    Quiet,
    /// A party's re-INVITE waits for the other's answer.
    Relaying {
        /// Who offered.
        from: LegHandle,
        /// Who answers.
        to: LegHandle,
    },
    /// The edge brings both sides together.
    Matching {
        /// Who was offered something.
        offered: LegHandle,
        /// How many offers there were.
        offers: u8,
        /// Whose wish it is, to be answered at the end.
        command: Option<CommandId>,
    },
}

/// How `of` shall send and receive now, as its offer says it.
fn wanted(of: &Leg, other: &Leg) -> Direction {
    match (of.held_by_command, other.held_by_command) {
        (Some(direction), _) => direction,
        (None, Some(_)) => Direction::Inactive,
        (None, None) if other.holding => match other.remote.as_ref().map(Description::direction) {
            Some(Direction::Inactive) => Direction::Inactive,
            Some(Direction::SendRecv | Direction::SendOnly | Direction::RecvOnly) | None => Direction::SendOnly,
        },
        (None, None) => Direction::SendRecv,
    }
}

/// Whether `of` was sent what `other` last sent, in the wanted direction. A party that holds was answered accordingly:
/// with whether the other side still listens, and with nothing to hear.
fn is_matched(legs: &Legs, of: &Leg, other: &Leg) -> bool {
    let wanted = wanted(of, other);
    let to_holder = Direction::of(false, wanted.receives());
    match (&of.sent, &other.remote) {
        (Some(sent), Some(remote)) => {
            let direction = sent.direction();
            sent.same_media(remote)
                && (direction == wanted || (of.holding && direction == to_holder))
                && legs.goes_its_way(of, other, direction)
        }
        (Some(_) | None, None) | (None, Some(_)) => false,
    }
}

/// The next offer that brings two legs closer: to whom, and what. `None`: they are matched, or one has nothing to show.
pub fn next_offer(legs: &Legs, one: &Leg, other: &Leg) -> Option<(LegHandle, Description)> {
    for (of, with) in [(one, other), (other, one)] {
        if !is_matched(legs, of, with)
            && let Some(remote) = &with.remote
        {
            return Some((of.handle, remote.with_direction(wanted(of, with))));
        }
    }
    None
}

/// Sends the next offer between two legs, if one is needed; says to whom.
pub fn offer_next(legs: &mut Legs, now: Instant, one: LegHandle, other: LegHandle) -> Option<LegHandle> {
    let (to, description) = next_offer(legs, legs.get(one)?, legs.get(other)?)?;
    legs.offer(now, to, Some(description));
    Some(to)
}

impl Calls {
    /// Offers to the sides of a call until they are matched; answers `command` then.
    pub(crate) fn bring_together(&mut self, now: Instant, handle: CallHandle, command: Option<CommandId>) {
        let quiet = self.table.get(handle).is_some_and(|call| call.bridge == Bridge::Quiet);
        if command.is_none() && !quiet {
            // What is under way brings them together as well; a relayed offer that is forgotten is never answered.
            return;
        }
        self.match_next(now, handle, 0, command);
    }

    fn match_next(&mut self, now: Instant, handle: CallHandle, offers: u8, command: Option<CommandId>) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let CallState::Connected { callee } = call.state else {
            return;
        };
        let caller = call.caller;
        // An offer that a broken join left under way: its outcome comes first, or it would undo what is offered now.
        let pending = [caller, callee]
            .into_iter()
            .find(|leg| self.legs.get(*leg).is_some_and(Leg::is_offered));
        if let Some(offered) = pending {
            if let Some(call) = self.table.get_mut(handle) {
                call.bridge = Bridge::Matching {
                    offered,
                    offers,
                    command,
                };
            }
            return;
        }
        if offers < MOST_OFFERS
            && let Some(offered) = offer_next(&mut self.legs, now, caller, callee)
        {
            if let Some(call) = self.table.get_mut(handle) {
                call.bridge = Bridge::Matching {
                    offered,
                    offers: offers + 1,
                    command,
                };
            }
            return;
        }
        if let Some(call) = self.table.get_mut(handle) {
            call.bridge = Bridge::Quiet;
        }
        if let Some(command) = command {
            self.replies.push_back((command, Ok(Reply::Done)));
            self.tell_of_hold(handle, caller, callee);
        }
    }

    fn tell_of_hold(&mut self, call: CallHandle, caller: LegHandle, callee: LegHandle) {
        for leg in [caller, callee] {
            let Some(held) = self
                .legs
                .get(leg)
                .filter(|leg| leg.told_held != leg.held_by_command.is_some())
            else {
                continue;
            };
            let now_held = held.held_by_command.is_some();
            self.legs.note_held(leg, now_held);
            self.legs.events.push_back(if now_held {
                Event::CallHeld { call, leg }
            } else {
                Event::CallResumed { call, leg }
            });
        }
    }

    /// A party's re-INVITE: its offer goes to the other side; a wish for ours is answered at once with what the other side
    /// last sent and what is wanted now (RFC 6337 §5, LESSONS 27).
    pub(crate) fn offered(
        &mut self,
        now: Instant,
        handle: CallHandle,
        from: LegHandle,
        description: Option<Description>,
        carrier: Carrier,
    ) {
        let Some(call) = self.table.get_mut(handle) else { return };
        // An operator who has left in mid-transfer answers no more; the party tries again when the target has come.
        let other = call
            .other(from)
            .filter(|other| self.legs.get(*other).is_some_and(Leg::is_confirmed));
        let (Some(to), Bridge::Quiet) = (other, &call.bridge) else {
            self.legs.refuse_offer(now, from, 491);
            return;
        };
        let Some(description) = description else {
            let ours = match (self.legs.get(from), self.legs.get(to)) {
                (Some(of), Some(with)) => with
                    .remote
                    .as_ref()
                    .map(|remote| remote.with_direction(wanted(of, with))),
                (Some(_) | None, None) | (None, Some(_)) => None,
            };
            match ours {
                Some(ours) => self.legs.answer_offer(now, from, &ours),
                None => self.legs.refuse_offer(now, from, 480),
            }
            return;
        };
        if [from, to]
            .iter()
            .any(|leg| self.legs.get(*leg).is_some_and(|leg| leg.held_by_command.is_some()))
        {
            self.answer_beside_hold(now, handle, from, to);
            return;
        }
        let Some(call) = self.table.get_mut(handle) else { return };
        call.bridge = Bridge::Relaying { from, to };
        self.legs.offer_in(now, to, Some(description), carrier);
    }

    /// An API client holds one of the two: a party that re-INVITEs does not undo that. It gets the other's description in
    /// the direction that is wanted, and what it said itself goes over when the hold ends.
    fn answer_beside_hold(&mut self, now: Instant, handle: CallHandle, from: LegHandle, to: LegHandle) {
        let (Some(of), Some(with)) = (self.legs.get(from), self.legs.get(to)) else {
            return;
        };
        let was_holding = of.holding;
        let ours = with
            .remote
            .as_ref()
            .map(|remote| remote.with_direction(wanted(of, with)));
        match ours {
            Some(ours) => self.legs.answer_offer(now, from, &ours),
            None => self.legs.refuse_offer(now, from, 480),
        }
        self.tell_of_holding(handle, from, to, was_holding);
    }

    /// Observers hear of a party that holds the other by its own wish, or does no more.
    fn tell_of_holding(&mut self, call: CallHandle, holder: LegHandle, held: LegHandle, before: bool) {
        let now_holding = self.legs.get(holder).is_some_and(|leg| leg.holding);
        match (before, now_holding) {
            (false, true) => self.legs.events.push_back(Event::CallHeld { call, leg: held }),
            (true, false) => self.legs.events.push_back(Event::CallResumed { call, leg: held }),
            (false, false) | (true, true) => {}
        }
    }

    /// A party described itself anew while its session was refreshed: the other side is told.
    pub(crate) fn refreshed(&mut self, now: Instant, handle: CallHandle, changed: bool) {
        if changed && self.get(handle).is_some_and(|call| call.bridge == Bridge::Quiet) {
            self.bring_together(now, handle, None);
        }
    }

    pub(crate) fn offer_answered(
        &mut self,
        now: Instant,
        handle: CallHandle,
        leg: LegHandle,
        description: Option<&Description>,
    ) {
        // Only a join asks for an offer; one that is over by now has no use for it.
        self.legs.acknowledge_as_before(now, leg);
        let Some(call) = self.table.get_mut(handle) else { return };
        match call.bridge.clone() {
            Bridge::Relaying { from, to } if to == leg => {
                call.bridge = Bridge::Quiet;
                let was_holding = self.legs.get(from).is_some_and(|leg| leg.holding);
                match description {
                    Some(description) => self.legs.answer_offer(now, from, description),
                    None => self.legs.refuse_offer(now, from, 488),
                }
                self.tell_of_holding(handle, from, to, was_holding);
            }
            Bridge::Matching {
                offered,
                offers,
                command,
            } if offered == leg => self.match_next(now, handle, offers, command),
            Bridge::Quiet | Bridge::Relaying { .. } | Bridge::Matching { .. } => {}
        }
    }

    pub(crate) fn offer_refused(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, status: u16) {
        let Some(call) = self.table.get_mut(handle) else { return };
        match std::mem::replace(&mut call.bridge, Bridge::Quiet) {
            Bridge::Relaying { from, to } if to == leg => self.legs.refuse_offer(now, from, status),
            Bridge::Matching {
                offered,
                command: Some(command),
                ..
            } if offered == leg => {
                self.legs.forget_hold(leg);
                self.replies.push_back((command, Err(Refusal::Party { status })));
            }
            Bridge::Matching {
                offered,
                offers,
                command: None,
            } if offered == leg => self.match_next(now, handle, offers + 1, None),
            bridge @ (Bridge::Quiet | Bridge::Relaying { .. } | Bridge::Matching { .. }) => call.bridge = bridge,
        }
    }
}
