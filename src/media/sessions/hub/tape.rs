//! A hub's recording: one channel, what all hear.
//!
//! Who is held or muted is not in it, because nobody hears it; and a whisper is not, because who plays the recording to the
//! customer must not play the coach with it.

use std::time::Instant;

use super::bus::Mix;
use super::sounds::Sounds;
use super::{FLUSH, Hub};
use crate::media::RecordingName;
use crate::media::audio::{FRAME_MS, Recording, Side};
use crate::media::output::Outputs;
use crate::vocabulary::{AudienceHandle, CallHandle};

/// A recording that is under way.
pub(super) struct Tape {
    name: RecordingName,
    recording: Recording,
    rate: u32,
    /// Ticks so far: sound is placed by them.
    ticks: u32,
}

impl std::fmt::Debug for Tape {
    /// What was said stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tape {
    fn new(now: Instant, name: RecordingName, rate: u32) -> Tape {
        Tape {
            name,
            recording: Recording::mono(now, rate, u64::MAX),
            rate,
            ticks: 0,
        }
    }

    /// Another 20 ms.
    pub(super) fn tick(&mut self, tick: Instant, mix: &mut Mix, sounds: &mut Sounds) {
        let stamp = self.ticks.wrapping_mul(self.rate * FRAME_MS / 1_000);
        self.ticks = self.ticks.wrapping_add(1);
        if mix.quiet <= FLUSH {
            let pcm = mix.shared(self.rate, sounds);
            self.recording
                .push(tick, Side::Says, (stamp, self.rate), pcm, self.rate);
        }
    }

    /// Writes what is there to write.
    pub(super) fn write(&mut self, now: Instant, call: CallHandle, out: &mut Outputs) {
        while let Some(write) = self.recording.poll_write(now) {
            out.write(AudienceHandle::Hub(call), self.name.clone(), write);
        }
    }
}

impl Hub {
    /// Records from now on, at 8,000 or 16,000 Hz; one that is recorded already goes on as it is.
    pub(in crate::media::sessions) fn record(&mut self, now: Instant, name: RecordingName, rate: u32) {
        self.tape.get_or_insert_with(|| Tape::new(now, name, rate));
    }

    /// Ends the recording, if there is one.
    pub(in crate::media::sessions) fn stop_recording(&mut self, now: Instant, out: &mut Outputs) {
        let Some(mut tape) = self.tape.take() else { return };
        tape.recording.finish(now);
        tape.write(now, self.call, out);
        out.recorded(AudienceHandle::Hub(self.call), tape.name, tape.recording.milliseconds());
    }
}
