//! What outlives a process of a hub: who is in it and in which role, who was called into it, and whether it is recorded.
//!
//! | when the process died | the next one |
//! |---|---|
//! | somebody took part | the same role, in the same mix; a recording goes on under a new name |
//! | somebody had left for another one and waited for its last NOTIFY | hears it, and is released |
//! | somebody rang for it | is called no more ([`crate::leg::StoredRinging`]); one whose place was meant is told 503, and stays |
//! | nobody had come yet | waits on as long as it would have |
//! | its only caller was not answered yet, or entrusted by a transfer | there is no hub: the caller comes anew, or goes back |

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::{Call, CallState, Calls};
use super::{Hub, Participant};
use crate::leg::{Leg, WallClock};
use crate::vocabulary::{CallHandle, Cause, Event, HubNote, HubSettings, LegHandle, LegOwner, Role};

/// The status that whoever asked for somebody hears when the process died in between (RFC 3261 §21.5.4).
const INTERRUPTED: u16 = 503;

/// A hub as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHub {
    /// What holds for all.
    pub settings: HubSettings,
    /// Who takes part, in the order in which they came.
    pub participants: Vec<(LegHandle, Role)>,
    /// Whose places were to be taken by somebody who rang, and the role that went with it.
    pub wanted: Vec<(LegHandle, Role)>,
    /// Who has left and waits for its last NOTIFY.
    pub leaving: Vec<LegHandle>,
    /// Somebody had come who may start it.
    pub started: bool,
    /// Somebody has to have come by then: Unix time in milliseconds.
    pub until: Option<u64>,
    /// It is recorded.
    pub recorded: bool,
    /// How often the call was transferred before.
    pub transfers: u8,
}

impl Calls {
    /// What outlives the process; `None`: there is no such hub, or it ends with its process.
    pub fn stored_hub(&self, handle: CallHandle, clock: &WallClock) -> Option<StoredHub> {
        let call = self.get(handle)?;
        let hub = call.hub()?;
        if hub.entrusted_by.is_some() || hub.participants.iter().any(|participant| !participant.joined) {
            return None;
        }
        let wanted = hub.invited.iter();
        Some(StoredHub {
            settings: hub.settings.clone(),
            participants: hub.joined().map(|joined| (joined.leg, joined.role.clone())).collect(),
            wanted: wanted
                .filter_map(|invited| Some((invited.instead_of?, invited.role.clone())))
                .collect(),
            leaving: hub.leaving.iter().map(|(leg, _)| *leg).collect(),
            started: hub.started,
            until: hub.until.map(|until| clock.unix_ms(until)),
            recorded: hub.recording.is_some(),
            transfers: call.transfers,
        })
    }

    /// Takes a hub back under the handle that it had, with those of its legs that are back. `false`: its place is taken.
    pub fn restore_hub(&mut self, clock: &WallClock, handle: CallHandle, stored: &StoredHub) -> bool {
        let until = stored.until.map(|until| clock.now + clock.left(until));
        let mut hub = Hub::new(stored.settings.clone(), until);
        hub.started = stored.started;
        let free = |leg: LegHandle| {
            let found = self.legs.get(leg);
            found.is_some_and(|leg| leg.is_confirmed() && leg.owner == LegOwner::Nobody)
        };
        for (leg, role) in stored.participants.iter().filter(|(leg, _)| free(*leg)) {
            hub.participants.push(Participant::new(*leg, role.clone(), true));
        }
        let guard = clock.now + self.legs.identity.guard;
        let leaving = stored.leaving.iter().copied().filter(|leg| free(*leg));
        hub.leaving = leaving.map(|leg| (leg, guard)).collect();
        let legs: Vec<_> = hub
            .legs()
            .into_iter()
            .chain(hub.leaving.iter().map(|(leg, _)| *leg))
            .collect();
        let wake = until.into_iter().chain((!hub.leaving.is_empty()).then_some(guard));
        let call = Call {
            state: CallState::Hub(Box::new(hub)),
            transfers: stored.transfers,
            ..Call::alerting(handle)
        };
        if !self.table.insert_at(handle, call) {
            return false;
        }
        for at in wake {
            self.deadlines.add(at, handle);
        }
        for leg in legs {
            self.legs.set_owner(leg, LegOwner::Call(handle));
        }
        self.tell_hub_restored(handle, stored);
        true
    }

    fn tell_hub_restored(&mut self, call: CallHandle, stored: &StoredHub) {
        let name = stored.settings.name.clone();
        let mut events = vec![Event::Hub(HubNote::Opened { call, name })];
        let participants = self.hub(call).map(|hub| hub.participants.clone()).unwrap_or_default();
        for Participant { leg, role, .. } in &participants {
            events.extend(self.leg_restored(*leg, Some(call), None));
            events.push(Event::Hub(HubNote::Joined {
                call,
                leg: *leg,
                role: role.clone(),
            }));
        }
        if stored.started {
            events.push(Event::Hub(HubNote::Started { call }));
        }
        let legs = participants.iter().map(|participant| participant.leg).collect();
        events.push(Event::CallRestored { call, legs });
        self.legs.events.extend(events);
    }

    /// Goes on with a hub that is back, its legs having paid what they owed: everybody talks with the edge, the mixer knows
    /// who hears whom, and nobody waits for one who will not come.
    pub fn resume_hub(&mut self, now: Instant, handle: CallHandle, stored: &StoredHub) {
        for (place, role) in &stored.wanted {
            self.place_kept(now, handle, *place, role, INTERRUPTED);
        }
        let Some(hub) = self.hub(handle) else { return };
        let legs: Vec<LegHandle> = hub.joined().map(|participant| participant.leg).collect();
        for leg in legs {
            // Whoever is not there yet is offered what holds when it comes back.
            if !self.legs.is_lost(leg) {
                self.settle_member(now, leg);
            }
        }
        self.remix(handle);
        self.start_if_due(handle);
        if stored.recorded && self.hub(handle).is_some_and(|hub| !hub.mixed.is_empty()) {
            let name = self.legs.record_hub(handle);
            if let Some(hub) = self.hub_mut(handle) {
                hub.recording = Some(name);
            }
        }
        self.end_if_empty(now, handle, Cause::Lost);
    }

    /// A hub's party has answered something of the process before this one.
    pub fn settle_stray(&mut self, now: Instant, leg: LegHandle) {
        if self.hub_of(leg).is_ok() && !self.legs.get(leg).is_some_and(Leg::is_offered) {
            self.settle_member(now, leg);
        }
    }
}
