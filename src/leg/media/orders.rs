//! What API clients and the packet half want of a leg's media: music, digits, recordings, counters, a lost port.
//!
//! A recording is an order to the packet half once the leg's media passes through the edge, and a reason why it does so
//! before that.

use std::time::Instant;

use crate::leg::{Leg, LegEvent, LegHandle, Legs};
use crate::media::describe::{PeerMedia, Record};
use crate::media::{LegQuality, MediaCommand, PromptName, RecordingName};
use crate::vocabulary::{Cause, Event, MediaNote};

impl Legs {
    /// Prompts and digits of the API: which prompt the party hears while it is held.
    pub fn set_music(&mut self, handle: LegHandle, music: Option<PromptName>) {
        if let Some(leg) = self.get_mut(handle)
            && (music.is_some() || leg.media.more.is_some())
        {
            leg.media.more.get_or_insert_default().music = music;
        }
    }

    /// Plays DTMF to the party; `false`: its media does not pass through the edge.
    pub fn play_digits(&mut self, handle: LegHandle, digits: &str) -> bool {
        let anchored = self.get(handle).is_some_and(Leg::is_anchored);
        if anchored {
            self.endpoints.commands.push_back(MediaCommand::Digits {
                leg: handle,
                digits: digits.into(),
            });
        }
        anchored
    }

    /// Records the party from now on, or from when its media passes through the edge; one that is recorded already keeps its
    /// recording.
    pub fn record(&mut self, handle: LegHandle) -> RecordingName {
        let name = RecordingName(self.fresh_token());
        let Some(leg) = self.get_mut(handle) else { return name };
        let recording = &mut leg.media.more.get_or_insert_default().recording;
        let name = recording.get_or_insert((name, false)).0.clone();
        if leg.is_anchored() {
            self.start_recording(handle);
        }
        name
    }

    /// Records a new leg where the configuration says so.
    pub(in crate::leg) fn record_by_policy(&mut self, handle: LegHandle, policy: PeerMedia, calls: bool) {
        match policy.record {
            Record::Always => drop(self.record(handle)),
            Record::Callers if calls => drop(self.record(handle)),
            Record::Callers | Record::No => {}
        }
    }

    /// Ends the recording; `false`: there is none.
    pub fn stop_recording(&mut self, handle: LegHandle) -> bool {
        let more = self.get_mut(handle).and_then(|leg| leg.media.more.as_mut());
        let Some((_, begun)) = more.and_then(|more| more.recording.take()) else {
            return false;
        };
        if begun {
            self.endpoints
                .commands
                .push_back(MediaCommand::StopRecording { leg: handle });
        }
        true
    }

    /// Counters of the packet half.
    pub fn note_quality(&mut self, handle: LegHandle, quality: LegQuality) {
        if let Some(leg) = self.get_mut(handle) {
            leg.media.more.get_or_insert_default().quality = Some(quality);
        }
    }

    /// Another program has the port of this leg's end.
    pub fn lose_port(&mut self, handle: LegHandle) {
        if let Some(leg) = self.table.get_mut(handle.into())
            && let Some(end) = &mut leg.media.end
            && !self.endpoints.move_on(end)
        {
            let taken = self.endpoints.ports_taken();
            self.events
                .push_back(Event::Media(MediaNote::NoPort { leg: handle, taken }));
        }
    }

    /// The party is not there any more: it is released, and its owner acts as if it had left.
    pub fn lose(&mut self, now: Instant, handle: LegHandle, cause: Cause) {
        if self.get(handle).is_some_and(Leg::is_confirmed) {
            self.release(now, handle, cause);
            self.tell(handle, LegEvent::Released { cause });
        }
    }

    pub(in crate::leg) fn start_recording(&mut self, handle: LegHandle) {
        if let Some(leg) = self.table.get_mut(handle.into())
            && let Some(more) = &mut leg.media.more
            && let Some((name, begun @ false)) = &mut more.recording
        {
            *begun = true;
            let name = name.clone();
            let recording = name.0.to_string();
            self.events
                .push_back(Event::Media(MediaNote::RecordingStarted { leg: handle, recording }));
            self.endpoints
                .commands
                .push_back(MediaCommand::Record { leg: handle, name });
        }
    }
}
