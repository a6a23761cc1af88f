//! Click to dial: a call that nobody's phone began. The edge rings one party, and when it has answered, the other.
//!
//! RFC 3725 §4.3 (flow III), with the end of the house: the first party is asked for its offer by an INVITE without one,
//! and its answer in the ACK is `inactive`, so that it waits in silence while the other rings for as long as it likes and
//! no 2xx hangs in the air. The other is offered what the first has. Then both are brought together as after a join.
//!
//! | while | from | event | then |
//! |---|---|---|---|
//! | the first rings | a fork of it | answers | the others are released; [`Demand::Dial`] |
//! | | its last fork | refuses | the call ends |
//! | the second rings | a fork of it | answers | connected; matched by re-INVITE |
//! | | its last fork | refuses | the first is released, the call ends |
//! | | the first | leaves | all forks are cancelled, the call ends |

use std::time::{Duration, Instant};

use super::{Call, CallState, Calls, Demand};
use crate::leg::{Invitation, LegEvent};
use crate::sdp::{Description, Direction};
use crate::sip::NameAddr;
use crate::vocabulary::{CallHandle, Cause, Event, LegHandle, LegOwner};

/// Who is to talk with whom.
#[derive(Clone, Debug)]
pub struct Dialled {
    /// Rings first.
    pub from: NameAddr,
    /// Rings when `from` has answered.
    pub to: NameAddr,
    /// How long each may ring; `None`: the configured time.
    pub ring_timeout: Option<Duration>,
}

impl Calls {
    /// Rings the first party on all its ways at once.
    pub fn dial(&mut self, now: Instant, dialled: Dialled, ways: Vec<Invitation>) -> CallHandle {
        let handle = self.table.insert_with(Call::alerting);
        let (from, to) = (dialled.from.uri.to_string(), dialled.to.uri.to_string());
        self.dials.insert(handle, dialled);
        let forks = self.ring_all(now, handle, ways);
        if let Some(leg) = forks.first().copied() {
            let event = Event::CallStarted {
                call: handle,
                leg,
                from,
                to,
            };
            self.legs.events.push_back(event);
        }
        self.set_forks(handle, forks);
        handle
    }

    /// Rings the second party; `Err`: there is no way to it.
    pub fn dial_on(&mut self, now: Instant, handle: CallHandle, ways: Result<Vec<Invitation>, u16>) {
        match ways {
            Ok(ways) => {
                let forks = self.ring_all(now, handle, ways);
                self.set_forks(handle, forks);
            }
            Err(status) => self.give_up(now, handle, Cause::Refused { status }),
        }
    }

    fn ring_all(&mut self, now: Instant, handle: CallHandle, ways: Vec<Invitation>) -> Vec<LegHandle> {
        let owner = LegOwner::Call(handle);
        ways.into_iter()
            .map(|invitation| self.legs.invite(now, owner, invitation))
            .collect()
    }

    fn set_forks(&mut self, handle: CallHandle, forks: Vec<LegHandle>) {
        if let Some(call) = self.table.get_mut(handle) {
            call.state = CallState::Alerting { forks, best: None };
        }
    }

    /// Whether a call is being dialled by the edge and not yet connected.
    pub(crate) fn is_dialling(&self, handle: CallHandle) -> bool {
        let alerting = |call: &Call| matches!(call.state, CallState::Alerting { .. });
        self.dials.contains_key(&handle) && self.table.get(handle).is_some_and(alerting)
    }

    /// What a leg of such a call reports.
    pub(crate) fn dial_reported(
        &mut self,
        now: Instant,
        handle: CallHandle,
        leg: LegHandle,
        event: LegEvent,
    ) -> Option<Demand> {
        let caller = self.table.get(handle)?.caller;
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a party that waits is asked nothing and told nothing; whatever else comes is not about the dialling"
        )]
        match event {
            LegEvent::Answered { description } if self.legs.get(caller).is_none() => {
                return self.first_answered(now, handle, leg, description.as_ref());
            }
            LegEvent::Answered { description } => self.second_answered(now, handle, leg, description.as_ref()),
            LegEvent::Released { .. } if leg == caller => self.give_up(now, handle, Cause::Party),
            LegEvent::Released { .. } => self.fork_refused(now, handle, leg, 480),
            LegEvent::Refused { status, .. } => self.fork_refused(now, handle, leg, status),
            LegEvent::Offered { .. } => self.legs.refuse_offer(now, leg, 491),
            LegEvent::Asked { server, request } => self.legs.refuse(now, server, &request, 480, None),
            LegEvent::Referred { server, request } => self.legs.refuse(now, server, &request, 491, None),
            _ => {}
        }
        None
    }

    fn first_answered(
        &mut self,
        now: Instant,
        handle: CallHandle,
        leg: LegHandle,
        offer: Option<&Description>,
    ) -> Option<Demand> {
        let Some(offer) = offer else {
            // RFC 3261 §14.2: the 2xx to an INVITE without an offer must have one.
            self.legs.release(now, leg, Cause::Refused { status: 488 });
            self.fork_refused(now, handle, leg, 488);
            return None;
        };
        let silent = offer.with_direction(Direction::Inactive);
        self.legs.acknowledge(now, leg, Some(&silent));
        self.release_forks(now, handle, Some(leg));
        if let Some(call) = self.table.get_mut(handle) {
            call.caller = leg;
        }
        let dialled = self.dials.get(&handle)?.clone();
        Some(Demand::Dial { call: handle, dialled })
    }

    fn second_answered(&mut self, now: Instant, handle: CallHandle, fork: LegHandle, media: Option<&Description>) {
        if self.legs.get(fork).is_some_and(crate::leg::Leg::owes_ack) {
            self.legs.acknowledge(now, fork, None);
        }
        self.release_forks(now, handle, Some(fork));
        if media.is_none() {
            self.legs.release(now, fork, Cause::Refused { status: 488 });
            self.give_up(now, handle, Cause::Refused { status: 488 });
            return;
        }
        self.dials.remove(&handle);
        let Some(call) = self.table.get_mut(handle) else { return };
        call.state = CallState::Connected { callee: fork };
        let legs = vec![call.caller, fork];
        self.legs.events.push_back(Event::CallConnected { call: handle, legs });
        self.bring_together(now, handle, None);
    }

    fn fork_refused(&mut self, now: Instant, handle: CallHandle, fork: LegHandle, status: u16) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let CallState::Alerting { forks, best } = &mut call.state else {
            return;
        };
        forks.retain(|other| *other != fork);
        let status = super::setup::better(*best, status);
        *best = Some(status);
        if forks.is_empty() {
            let cause = if matches!(status, 408 | 480) {
                Cause::NoAnswer
            } else {
                Cause::Refused { status }
            };
            self.give_up(now, handle, cause);
        }
    }

    fn release_forks(&mut self, now: Instant, handle: CallHandle, but: Option<LegHandle>) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let CallState::Alerting { forks, .. } = &mut call.state else {
            return;
        };
        for fork in std::mem::take(forks).into_iter().filter(|fork| Some(*fork) != but) {
            self.legs.set_owner(fork, LegOwner::Nobody);
            self.legs.release(now, fork, Cause::OtherParty);
        }
    }

    /// Whoever waits is released; the call is over.
    fn give_up(&mut self, now: Instant, handle: CallHandle, cause: Cause) {
        self.release_forks(now, handle, None);
        if let Some(caller) = self.table.get(handle).map(|call| call.caller) {
            self.legs.release(now, caller, Cause::OtherParty);
        }
        self.end(handle, cause);
    }
}
