//! One codec's packets into another's.
//!
//! Packets of any length go in, frames of 20 ms come out. Timestamps go in by the source's clock and come out by the
//! target's, beginning at nought: a session adds what its stream needs (RFC 3550 §5.1). Audio that is missing by the
//! timestamps is concealed where it is short; a longer pause is a pause on the other side too.
//!
//! | the packet's timestamp | becomes |
//! |---|---|
//! | is the one expected | decoded |
//! | is up to 120 ms further | the gap is concealed, then decoded |
//! | is up to 30 s further | the frame under way is filled up, the target's timestamp jumps by the pause, marker set |
//! | is up to 1 s behind | late: dropped, because its place has been filled |
//! | is anything else | another stream began: decoded as if it followed |

use super::{Decoder, Encoder, FRAME_MS, Resampler, frame_samples};
use crate::media::Codec;

/// What is concealed at most.
const CONCEALED_MS: u32 = 120;
/// Behind by less is late, behind by more is another stream.
const LATE_MS: u32 = 1_000;
/// Further by more is another stream.
const PAUSE_MS: u32 = 30_000;

/// From one codec to another, for one stream.
pub struct Transcoder {
    decoder: Decoder,
    resampler: Resampler,
    encoder: Encoder,
    /// Of the source's timestamps and of its audio.
    clock: (u32, u32),
    target_clock: u32,
    /// The source's timestamp that would follow.
    expected: Option<u32>,
    /// The target's timestamp of the first sample that waits.
    timestamp: u32,
    marker: bool,
    /// After so many of the waiting samples the target's timestamp jumps by so much.
    jump: Option<(usize, u32)>,
    /// As decoded.
    heard: Vec<i16>,
    /// At the target's rate, waiting for a whole frame.
    waiting: Vec<i16>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Its audio is in.
    Taken,
    /// Its place in the stream had been filled already.
    Late,
    /// It was garbage; a frame was concealed in its place.
    Garbage,
}

/// A frame that came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcoded {
    /// In the target's clock, from nought.
    pub timestamp: u32,
    /// The first after a pause (RFC 3551 §4.1).
    pub marker: bool,
}

impl Transcoder {
    /// `None` where the edge cannot decode `from` or encode `to`.
    pub fn new(from: &Codec, to: &Codec) -> Option<Transcoder> {
        let (decoder, encoder) = (Decoder::new(from)?, Encoder::new(to)?);
        Some(Transcoder {
            resampler: Resampler::new(decoder.rate(), encoder.rate())?,
            clock: (from.clock(), decoder.rate()),
            target_clock: to.clock(),
            decoder,
            encoder,
            expected: None,
            timestamp: 0,
            marker: true,
            jump: None,
            heard: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// Takes a packet's payload; fetch what comes of it by [`poll`](Self::poll).
    pub fn push(&mut self, timestamp: u32, payload: &[u8]) -> Pushed {
        let per_ms = self.clock.0 / 1_000;
        match self.expected.map(|expected| timestamp.wrapping_sub(expected) as i32) {
            None | Some(0) => {}
            Some(gap @ 1..) if gap as u32 <= CONCEALED_MS * per_ms => self.conceal(gap as u32, Some(payload)),
            Some(gap @ 1..) if gap as u32 <= PAUSE_MS * per_ms => self.pause(gap as u32),
            Some(gap @ ..0) if gap.unsigned_abs() <= LATE_MS * per_ms => return Pushed::Late,
            Some(1..) | Some(..0) => {}
        }
        self.heard.clear();
        let understood = self.decoder.decode(payload, &mut self.heard);
        self.expected = Some(timestamp.wrapping_add(self.ticks(self.heard.len())));
        self.resampler.resample(&self.heard, &mut self.waiting);
        if understood { Pushed::Taken } else { Pushed::Garbage }
    }

    /// A packet of `ticks` (source's clock) is given up; Opus may find it in the one that follows.
    pub fn lost(&mut self, ticks: u32, next: Option<&[u8]>) {
        if let Some(expected) = self.expected {
            self.conceal(ticks.min(CONCEALED_MS * self.clock.0 / 1_000), next);
            self.expected = Some(expected.wrapping_add(ticks));
        }
    }

    /// Appends the payload of the next whole frame.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> Option<Transcoded> {
        let samples = frame_samples(self.encoder.rate());
        let frame = self.waiting.get(..samples)?;
        if let Some((0, jump)) = self.jump {
            self.timestamp = self.timestamp.wrapping_add(jump);
            (self.marker, self.jump) = (true, None);
        }
        self.encoder.encode(frame, out);
        self.waiting.drain(..samples);
        self.jump = self.jump.map(|(left, jump)| (left.saturating_sub(samples), jump));
        let made = Transcoded {
            timestamp: self.timestamp,
            marker: std::mem::take(&mut self.marker),
        };
        self.timestamp = self.timestamp.wrapping_add(self.target_clock * FRAME_MS / 1_000);
        Some(made)
    }

    fn ticks(&self, samples: usize) -> u32 {
        (samples as u64 * u64::from(self.clock.0) / u64::from(self.clock.1)) as u32
    }

    fn conceal(&mut self, ticks: u32, next: Option<&[u8]>) {
        let samples = u64::from(ticks) * u64::from(self.clock.1) / u64::from(self.clock.0);
        self.heard.clear();
        self.decoder.conceal(samples as usize, next, &mut self.heard);
        self.resampler.resample(&self.heard, &mut self.waiting);
    }

    /// The frames under way are filled up; what is left of the pause passes in silence.
    fn pause(&mut self, ticks: u32) {
        let whole = self.waiting.len().next_multiple_of(frame_samples(self.encoder.rate()));
        let (clock, rate) = (u64::from(self.clock.0), u64::from(self.encoder.rate()));
        let filled = ((whole - self.waiting.len()) as u64 * clock / rate) as u32;
        self.conceal(filled, None);
        // A resampler may hold back what does not fill a sample of a lower rate.
        self.waiting.resize(whole, 0);
        let left = u64::from(ticks.saturating_sub(filled));
        let jump = (left * u64::from(self.target_clock) / clock) as u32;
        let before = self.jump.map_or(0, |(_, jump)| jump);
        self.jump = Some((whole, before.wrapping_add(jump)));
    }
}
