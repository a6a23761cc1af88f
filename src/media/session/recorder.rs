//! A leg's recording: both ways are decoded and put side by side.

use std::time::Instant;

use super::MediaSession;
use super::payloads::Payloads;
use crate::media::audio::{Decoder, Recording, Side};
use crate::media::output::Outputs;
use crate::media::rtp::Header;
use crate::media::{Codec, Payload, RecordingName};
use crate::vocabulary::AudienceHandle;

/// A recording that is under way.
pub(super) struct Recorder {
    name: RecordingName,
    recording: Recording,
    says: Ear,
    hears: Ear,
    pcm: Vec<i16>,
}

/// One way's decoder.
#[derive(Default)]
struct Ear {
    decoder: Option<(Codec, u32, Decoder)>,
}

impl std::fmt::Debug for Recorder {
    /// What was said stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Ear {
    /// The decoder of this source and codec; `None` for what is no audio.
    fn decoder(&mut self, codec: &Codec, ssrc: u32) -> Option<&mut Decoder> {
        let fits = matches!(&self.decoder, Some((of, from, _)) if of == codec && *from == ssrc);
        if !fits {
            // An event or noise between two packets of a codec does not end its decoder.
            let decoder = Decoder::new(codec)?;
            self.decoder = Some((codec.clone(), ssrc, decoder));
        }
        self.decoder.as_mut().map(|(_, _, decoder)| decoder)
    }
}

impl Recorder {
    /// The party said this.
    pub(super) fn says(&mut self, now: Instant, header: &Header, payload: &[u8], payloads: &Payloads) {
        if let Some(codec) = payloads.codec(header.payload_type) {
            self.push(now, Side::Says, header, payload, codec);
        }
    }

    /// The party was sent this.
    pub(super) fn hears(&mut self, now: Instant, header: &Header, payload: &[u8], takes: &[Payload]) {
        if let Some(target) = takes.iter().find(|takes| takes.number == header.payload_type) {
            self.push(now, Side::Hears, header, payload, &target.codec);
        }
    }

    fn push(&mut self, now: Instant, side: Side, header: &Header, payload: &[u8], codec: &Codec) {
        let ear = match side {
            Side::Says => &mut self.says,
            Side::Hears => &mut self.hears,
        };
        let Some(decoder) = ear.decoder(codec, header.ssrc) else {
            return;
        };
        self.pcm.clear();
        decoder.decode(payload, &mut self.pcm);
        let stamp = (header.timestamp, codec.clock());
        self.recording.push(now, side, stamp, &self.pcm, decoder.rate());
    }

    /// When there is something to write.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.recording.poll_timeout()
    }
}

impl MediaSession {
    /// Records from now on; one that is recorded already goes on as it is.
    pub(in crate::media) fn record(&mut self, now: Instant, name: RecordingName) {
        if self.recorder.is_some() {
            return;
        }
        let rate = if self.is_wide() { 16_000 } else { 8_000 };
        self.recorder = Some(Box::new(Recorder {
            name,
            recording: Recording::new(now, rate, u64::MAX),
            says: Ear::default(),
            hears: Ear::default(),
            pcm: Vec::new(),
        }));
    }

    /// Whether the party's best codec has more than a telephone's band.
    pub(in crate::media) fn is_wide(&self) -> bool {
        let rate = self.payloads.audio().and_then(|payload| payload.codec.sample_rate());
        rate.is_some_and(|rate| rate > 8_000)
    }

    /// Writes what is there to write.
    pub(super) fn write_recording(&mut self, now: Instant, out: &mut Outputs) {
        let Some(recorder) = &mut self.recorder else { return };
        while let Some(write) = recorder.recording.poll_write(now) {
            out.write(AudienceHandle::Leg(self.leg), recorder.name.clone(), write);
        }
    }

    /// Ends the recording, if there is one.
    pub(in crate::media) fn stop_recording(&mut self, now: Instant, out: &mut Outputs) {
        if let Some(recorder) = &mut self.recorder {
            recorder.recording.finish(now);
        }
        self.write_recording(now, out);
        if let Some(recorder) = self.recorder.take() {
            out.recorded(
                AudienceHandle::Leg(self.leg),
                recorder.name,
                recorder.recording.milliseconds(),
            );
        }
    }
}
