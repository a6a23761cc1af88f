//! All hubs of one media thread: who is in which, and the orders that concern them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Sessions;
use super::hub::{Desk, Hub};
use super::table::Place;
use crate::media::{Hear, Heard, MediaEvent, Member, PromptName, RecordingName};
use crate::vocabulary::{AudienceHandle, CallHandle, LegHandle};

/// Hubs by their calls, and what they share.
#[derive(Debug, Default)]
pub(super) struct Hubs {
    list: BTreeMap<CallHandle, Hub>,
    desk: Desk,
}

impl Sessions {
    /// Frames that a hub has encoded so far.
    #[cfg(test)]
    pub(super) fn encoded(&self, call: CallHandle) -> u64 {
        self.hubs.list.get(&call).map_or(0, Hub::encoded)
    }

    /// Who hears whom in a hub from now on.
    pub(super) fn mix(&mut self, now: Instant, call: CallHandle, mut members: Vec<Member>) {
        let mut known = std::collections::BTreeSet::new();
        members.retain(|member| known.insert(member.leg));
        let before: Vec<LegHandle> = self
            .hubs
            .list
            .get(&call)
            .map_or_else(Vec::new, |hub| hub.legs().collect());
        for leg in before.into_iter().filter(|leg| !known.contains(leg)) {
            self.leave(now, leg);
        }
        for member in &members {
            self.join(now, call, member);
        }
        if !members.is_empty() {
            self.hubs
                .list
                .entry(call)
                .or_insert_with(|| Hub::new(call))
                .set(&members);
        } else if let Some(mut hub) = self.hubs.list.remove(&call) {
            hub.stop_recording(now, &mut self.out);
        }
        self.playing.mix(now, !self.hubs.list.is_empty());
    }

    fn join(&mut self, now: Instant, call: CallHandle, member: &Member) {
        let Some(row) = self.table.row(member.leg) else { return };
        let place = Place {
            hub: call,
            heard: member.heard != Heard::ByNobody,
            hears: member.hears.clone(),
        };
        let before = row.place.replace(place);
        match before {
            // Whoever hears the same goes on hearing it: music has no seam, a stream no marker.
            Some(before) if before.hub == call && before.hears == member.hears => {
                if let Some(session) = &mut row.session {
                    session.heard_in_hub(member.heard != Heard::ByNobody);
                }
                return;
            }
            Some(before) if before.hub != call => {
                if let Some(hub) = self.hubs.list.get_mut(&before.hub) {
                    hub.forget(member.leg);
                }
            }
            Some(_) => {}
            None => {
                if let Hear::Leg(source) = row.hears {
                    self.table.forget_listener(source, member.leg.slot);
                }
            }
        }
        self.tune(now, member.leg);
        self.arm(member.leg);
    }

    /// The leg hears again what it heard outside.
    fn leave(&mut self, now: Instant, leg: LegHandle) {
        let Some(row) = self.table.get(leg) else { return };
        if row.place.take().is_none() {
            return;
        }
        let hears = row.hears.clone();
        self.listen_to(leg, &hears);
        self.tune(now, leg);
        self.arm(leg);
    }

    /// The leg has ended, and with it its place.
    pub(super) fn forget_place(&mut self, leg: LegHandle, place: Option<Place>) {
        if let Some(hub) = place.and_then(|place| self.hubs.list.get_mut(&place.hub)) {
            hub.forget(leg);
        }
    }

    pub(super) fn announce(&mut self, now: Instant, to: AudienceHandle, name: PromptName, again: bool) {
        match to {
            AudienceHandle::Leg(leg) => self.announce_to(now, leg, name, again),
            AudienceHandle::Hub(call) => {
                let over = match self.hubs.list.get_mut(&call) {
                    Some(hub) => hub.announce(name, again),
                    // Whoever waits for the end must not wait for ever.
                    None => Some(name),
                };
                if let Some(name) = over {
                    self.out.event(MediaEvent::Announced { call, name });
                }
            }
        }
    }

    pub(super) fn stop_announcing(&mut self, to: AudienceHandle) {
        match to {
            AudienceHandle::Leg(leg) => self.stop_announcing_to(leg),
            AudienceHandle::Hub(call) => {
                if let Some(hub) = self.hubs.list.get_mut(&call) {
                    hub.stop_announcing();
                }
            }
        }
    }

    pub(super) fn record_hub(&mut self, now: Instant, call: CallHandle, name: RecordingName) {
        let Some(hub) = self.hubs.list.get_mut(&call) else {
            return;
        };
        let mut wide = |leg| {
            let session = self.table.get(leg).and_then(|row| row.session.as_ref());
            session.is_some_and(|session| session.is_wide())
        };
        let wide = hub.legs().any(&mut wide);
        hub.record(now, name, if wide { 16_000 } else { 8_000 });
    }

    pub(super) fn stop_recording_hub(&mut self, now: Instant, call: CallHandle) {
        if let Some(hub) = self.hubs.list.get_mut(&call) {
            hub.stop_recording(now, &mut self.out);
        }
    }

    /// Ends every recording: the thread ends.
    pub(super) fn close_hubs(&mut self, now: Instant) {
        for hub in self.hubs.list.values_mut() {
            hub.stop_recording(now, &mut self.out);
        }
        self.hubs.list.clear();
    }

    /// The next 20 ms of every hub.
    pub(super) fn mix_all(&mut self, tick: Instant) {
        let Hubs { list, desk } = &mut self.hubs;
        for hub in list.values_mut() {
            hub.tick(tick, &mut self.table, &self.prompts, desk, &mut self.out);
        }
    }
}
