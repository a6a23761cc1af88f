//! What a member of a hub says: its packets in their order, decoded by the hub's clock, once, whoever hears them.
//!
//! | what comes | becomes |
//! |---|---|
//! | audio | waits in the jitter buffer for as long as the network wants |
//! | an event, comfort noise, Opus without sound (RFC 7587 §3.1.3) | its place in the order, and no sound |
//! | nothing | up to 60 ms of concealment, then silence that costs nothing |
//! | sound below [`GATE`] for [`HANG`] ticks | silence: hundreds of quiet lines do not add up to noise |

use std::time::Instant;

use super::MediaSession;
use crate::media::Codec;
use crate::media::audio::jitter::{Jitter, Played};
use crate::media::audio::{Decoder, frame_samples};
use crate::media::rtp::Header;

/// No hub mixes at a higher rate: what is heard in Opus has no more (RFC 6716 calls it wideband).
pub(in crate::media) const WIDE: u32 = 16_000;
/// Mean magnitude of sound: -56 dBFS of a voice.
const GATE: u32 = 40;
/// Ticks of quiet until the gate closes: the end of a word is quiet too.
const HANG: u16 = 20;
/// Ticks without a packet that are concealed.
const CONCEALED: u16 = 3;
/// Octets of an Opus packet that says only that there is nothing to say.
const OPUS_NOTHING: usize = 2;

/// A member's sound of one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) struct Spoken {
    /// In Hz: 8,000 or [`WIDE`].
    pub(in crate::media) rate: u32,
    /// Mean magnitude of its samples.
    pub(in crate::media) level: u32,
}

/// What is kept for one who may be heard in a hub.
#[derive(Debug, Default)]
pub(super) struct Voice {
    stream: Option<Stream>,
}

/// One source in one codec.
struct Stream {
    codec: Codec,
    ssrc: u32,
    jitter: Jitter,
    decoder: Decoder,
    /// Decoded and not yet spoken.
    line: Vec<i16>,
    /// Ticks for which nothing came.
    dry: u16,
    /// Ticks until the gate closes.
    open: u16,
}

impl std::fmt::Debug for Stream {
    /// What is said stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl Stream {
    fn new(codec: &Codec, ssrc: u32) -> Option<Stream> {
        Some(Stream {
            codec: codec.clone(),
            ssrc,
            jitter: Jitter::new(codec.clock()),
            decoder: Decoder::up_to(codec, WIDE)?,
            line: Vec::new(),
            dry: CONCEALED,
            open: 0,
        })
    }

    /// Fills the line for a tick; false: there is nothing to hear.
    fn fill(&mut self, tick: Instant, samples: usize) -> bool {
        let per_tick = (self.decoder.rate(), self.codec.clock().max(1));
        while self.line.len() < samples {
            match self.jitter.pop(tick) {
                Played::Packet { payload, .. } => {
                    self.decoder.decode(payload, &mut self.line);
                    self.dry = 0;
                }
                Played::Lost { ticks, next } => {
                    let missing = u64::from(ticks) * u64::from(per_tick.0) / u64::from(per_tick.1);
                    self.decoder.conceal(missing as usize, next, &mut self.line);
                }
                Played::Nothing => {
                    self.dry = self.dry.saturating_add(1);
                    break;
                }
            }
        }
        let missing = samples.saturating_sub(self.line.len());
        if missing == samples && self.dry > CONCEALED {
            return false;
        }
        if missing > 0 && self.dry <= CONCEALED {
            self.decoder.conceal(missing, None, &mut self.line);
        }
        self.line.resize(self.line.len().max(samples), 0);
        true
    }

    fn speak(&mut self, tick: Instant, frame: &mut Vec<i16>) -> Option<Spoken> {
        let samples = frame_samples(self.decoder.rate());
        frame.clear();
        if !self.fill(tick, samples) {
            self.open = 0;
            return None;
        }
        if self.line.len() == samples {
            std::mem::swap(frame, &mut self.line); // packets of 20 ms, as nearly all are
        } else {
            frame.extend(self.line.drain(..samples));
        }
        let level = magnitude(frame);
        self.open = if level >= GATE {
            HANG
        } else {
            self.open.saturating_sub(1)
        };
        let rate = self.decoder.rate();
        (self.open > 0).then_some(Spoken { rate, level })
    }
}

/// The mean of what samples are away from nought.
fn magnitude(pcm: &[i16]) -> u32 {
    let add = |sum: u32, sample: &i16| sum.wrapping_add(u32::from(sample.unsigned_abs()));
    pcm.iter().fold(0, add) / (pcm.len().max(1) as u32)
}

impl Voice {
    /// A packet of the party.
    pub(super) fn push(&mut self, now: Instant, header: &Header, payload: &[u8], codec: Option<&Codec>) {
        let audio = codec.filter(|codec| codec.sample_rate().is_some());
        let nothing = payload.is_empty() || audio == Some(&Codec::Opus) && payload.len() <= OPUS_NOTHING;
        let Some(codec) = audio.filter(|_| !nothing) else {
            if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == header.ssrc) {
                stream.jitter.pass(header.sequence);
            }
            return;
        };
        let fits = |stream: &Stream| stream.ssrc == header.ssrc && stream.codec == *codec;
        if !self.stream.as_ref().is_some_and(fits) {
            self.stream = Stream::new(codec, header.ssrc);
        }
        if let Some(stream) = &mut self.stream {
            stream.jitter.push(now, header.sequence, header.timestamp, payload);
        }
    }
}

impl MediaSession {
    /// What the party says in this tick; `None`: nothing that others would hear.
    pub(in crate::media) fn speak(&mut self, tick: Instant, frame: &mut Vec<i16>) -> Option<Spoken> {
        self.voice.as_mut()?.stream.as_mut()?.speak(tick, frame)
    }
}
