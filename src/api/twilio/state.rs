//! What is remembered of calls and conferences, and under which handles the engine knows them.

use std::collections::HashMap;
use std::time::SystemTime;

use super::call::{Call, Signal, Status};
use super::conference::Conference;
use super::queue::Queues;
use super::recordings::Recording;
use super::router::Router;
use super::sid::Sid;
use super::table::Table;
use crate::engine::{CallHandle, LegHandle};

/// Whose a hub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hub {
    /// It was opened for this call alone.
    Call(Sid),
    Conference(Sid),
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: Table<Call>,
    pub(super) conferences: Table<Conference>,
    pub(super) recordings: Table<Recording>,
    pub(super) queues: Queues,
    pub(super) router: Router,
    pub(super) legs: HashMap<LegHandle, Sid>,
    pub(super) hubs: HashMap<CallHandle, Hub>,
}

impl State {
    pub(super) fn add_call(&mut self, call: Call) -> Sid {
        let sid = call.sid.clone();
        self.calls.add(sid.clone(), call, |call| call.status.is_over());
        sid
    }

    /// The call whose party has this leg.
    pub(super) fn of_leg(&mut self, leg: LegHandle) -> Option<&mut Call> {
        self.calls.get_mut(self.legs.get(&leg)?)
    }

    pub(super) fn leg_of(&self, sid: &Sid) -> Option<LegHandle> {
        self.calls.get(sid)?.leg
    }

    /// A leg is this call's from now on.
    pub(super) fn tie(&mut self, leg: LegHandle, sid: &Sid) {
        self.legs.insert(leg, sid.clone());
        if let Some(call) = self.calls.get_mut(sid) {
            call.ringing.push(leg);
        }
    }

    /// Tells the task of a call; `false`: it is over.
    pub(super) fn tell(&mut self, sid: &Sid, signal: &Signal) -> bool {
        match self.calls.get_mut(sid) {
            Some(call) if !call.status.is_over() => {
                call.tell(signal);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Enters a new status with its times; `None`: it is over already, or in that status.
    pub(super) fn enter(&mut self, sid: &Sid, status: Status, now: SystemTime) -> Option<&mut Call> {
        let call = self.calls.get_mut(sid)?;
        if call.status.is_over() || call.status == status {
            return None;
        }
        call.status = status;
        call.updated = now;
        if status == Status::InProgress {
            call.started = Some(now);
        }
        if status.is_over() {
            call.ended = Some(now);
        }
        Some(call)
    }
}
