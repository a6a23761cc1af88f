//! Prompts and hold music for any number of listeners.
//!
//! A prompt is decoded once, by [`Pcm::load`]. A frame is encoded when the first listener asks for it, once for each
//! codec, and all others get the same octets. Opus and G.722 remember what came before, therefore frames are encoded in
//! their order; where a listener begins in the middle, the few frames before are encoded and thrown away, so that encoder
//! and sound have settled.
//!
//! A prompt that plays again and again ends in its own beginning: up to 30 ms of its end are blended with as much of its
//! beginning, and its length becomes a whole number of frames.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::load::Pcm;
use super::{Encoder, PROMPT_RATE, Resampler, Sound, frame_samples};
use crate::media::{Codec, PromptName};

/// Samples of a frame at the prompts' rate.
const FRAME: usize = frame_samples(PROMPT_RATE);
/// Frames before the first one wanted, so that a codec's memory is filled.
const SETTLING: u64 = 4;
/// Places of one prompt at which a codec's frames are made at the same time.
const MOST_CURSORS: usize = 4;
/// The shortest end that is blended with the beginning.
const BLENDED: usize = 480;

/// All prompts by their names, with what was encoded of them; from the beginning there is [`BEEP`](super::BEEP).
pub struct Prompts {
    prompts: BTreeMap<PromptName, Prompt>,
}

impl Default for Prompts {
    fn default() -> Prompts {
        let mut prompts = Prompts {
            prompts: BTreeMap::new(),
        };
        prompts.insert(PromptName(super::BEEP.into()), Pcm::beep());
        prompts
    }
}

impl std::fmt::Debug for Prompts {
    /// Their names: sound has nothing to say in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.prompts.keys()).finish()
    }
}

struct Prompt {
    pcm: Pcm,
    /// The beginning of the endless form: the end goes out while the beginning comes in.
    seam: Vec<i16>,
    tracks: Vec<Track>,
}

/// What was encoded of a prompt for one codec.
struct Track {
    codec: Codec,
    again: bool,
    frames: Vec<Option<Bytes>>,
    /// The latest used is the last.
    cursors: Vec<Cursor>,
}

/// A codec's memory at one place.
struct Cursor {
    /// The frame that follows what was encoded.
    next: u64,
    encoder: Encoder,
    resampler: Resampler,
}

impl Prompts {
    /// Adds a prompt, or replaces the one of that name.
    pub fn insert(&mut self, name: PromptName, pcm: Pcm) {
        let seam = seam(&pcm);
        let tracks = Vec::new();
        self.prompts.insert(name, Prompt { pcm, seam, tracks });
    }

    /// Removes a prompt; listeners hear silence.
    pub fn remove(&mut self, name: &PromptName) {
        self.prompts.remove(name);
    }

    /// How many frames of 20 ms it has when it is played once; `None` for a name that nobody inserted.
    pub fn frames(&self, name: &PromptName) -> Option<u64> {
        self.prompts.get(name).map(|prompt| prompt.length(false))
    }

    /// The payload of the `index`th frame since the beginning.
    ///
    /// With `again` the index may grow for ever. `None`: no such prompt, it is over, or the codec is no audio. A listener
    /// that begins elsewhere begins with another index.
    pub fn frame(&mut self, name: &PromptName, codec: &Codec, index: u64, again: bool) -> Option<Bytes> {
        self.prompts.get_mut(name)?.frame(codec, index, again)
    }
}

impl Prompts {
    /// The `index`th frame since the beginning as it is, at [`PROMPT_RATE`]: for who mixes it. `None`: no such prompt, or it is
    /// over.
    pub fn samples(&self, name: &PromptName, index: u64, again: bool) -> Option<Vec<i16>> {
        let prompt = self.prompts.get(name)?;
        let length = prompt.length(again);
        let index = if again { index.checked_rem(length)? } else { index };
        (index < length).then(|| sound(&prompt.pcm, &prompt.seam, again, index))
    }
}

impl Prompt {
    fn frame(&mut self, codec: &Codec, index: u64, again: bool) -> Option<Bytes> {
        let length = self.length(again);
        let index = if again { index.checked_rem(length)? } else { index };
        if index >= length {
            return None;
        }
        let place = match self
            .tracks
            .iter()
            .position(|track| track.again == again && track.codec == *codec)
        {
            Some(place) => place,
            None => {
                Encoder::new(codec)?; // a codec without audio gets no table
                let frames = vec![None; usize::try_from(length).ok()?];
                self.tracks.push(Track {
                    codec: codec.clone(),
                    again,
                    frames,
                    cursors: Vec::new(),
                });
                self.tracks.len() - 1
            }
        };
        let Prompt { pcm, seam, tracks } = self;
        let track = tracks.get_mut(place)?;
        let slot = usize::try_from(index).ok()?;
        if let Some(ready) = track.frames.get(slot)? {
            return Some(ready.clone());
        }
        let sound = |frame: u64| sound(pcm, seam, again, frame);
        let cursor = track.cursor(index, length, &sound)?;
        let octets = cursor.encode(&sound)?;
        if again {
            cursor.next %= length;
        }
        *track.frames.get_mut(slot)? = Some(octets.clone());
        Some(octets)
    }

    /// In frames.
    fn length(&self, again: bool) -> u64 {
        let samples = self.pcm.samples.len();
        match again {
            true => (samples - self.seam.len()).div_ceil(FRAME) as u64,
            // One more, because encoders and resamplers lag.
            false => samples.div_ceil(FRAME) as u64 + 1,
        }
    }
}

impl Track {
    /// The cursor at this frame: one that is there, or the one that was not used for longest, moved and settled.
    fn cursor(&mut self, index: u64, length: u64, sound: &impl Fn(u64) -> Vec<i16>) -> Option<&mut Cursor> {
        let cursor = match self.cursors.iter().position(|cursor| cursor.next == index) {
            Some(place) => self.cursors.remove(place),
            None => {
                if self.cursors.len() >= MOST_CURSORS {
                    self.cursors.remove(0);
                }
                let (first, before) = match self.again {
                    true => (index + SETTLING * length - SETTLING, SETTLING),
                    false => (index.saturating_sub(SETTLING), index.min(SETTLING)),
                };
                let mut cursor = Cursor::new(&self.codec)?;
                for frame in first..first + before {
                    cursor.next = frame % length;
                    cursor.encode(sound)?;
                }
                cursor.next = index;
                cursor
            }
        };
        self.cursors.push(cursor);
        self.cursors.last_mut()
    }
}

impl Cursor {
    fn new(codec: &Codec) -> Option<Cursor> {
        let encoder = Encoder::of(codec, Sound::Music)?;
        let resampler = Resampler::new(PROMPT_RATE, encoder.rate())?;
        Some(Cursor {
            next: 0,
            encoder,
            resampler,
        })
    }

    fn encode(&mut self, sound: &impl Fn(u64) -> Vec<i16>) -> Option<Bytes> {
        let (mut pcm, mut octets) = (Vec::with_capacity(FRAME), Vec::new());
        self.resampler.resample(&sound(self.next), &mut pcm);
        self.encoder.encode(&pcm, &mut octets);
        self.next += 1;
        Some(Bytes::from(octets)).filter(|octets| !octets.is_empty())
    }
}

/// One frame's samples; silence behind the end.
fn sound(pcm: &Pcm, seam: &[i16], again: bool, frame: u64) -> Vec<i16> {
    let start = frame as usize * FRAME;
    let blended = if again { seam } else { &[] };
    let mut samples = Vec::with_capacity(FRAME);
    samples.extend(blended.iter().skip(start).take(FRAME));
    let rest = start + samples.len();
    samples.extend(pcm.samples.iter().skip(rest).take(FRAME - samples.len()));
    samples.resize(FRAME, 0);
    samples
}

/// Blends the end into the beginning so that what is left is a whole number of frames; empty where that is not wanted.
fn seam(pcm: &Pcm) -> Vec<i16> {
    let length = pcm.samples.len();
    let whole = length.is_multiple_of(FRAME);
    let mut blended = length % FRAME;
    if blended < BLENDED {
        blended += FRAME;
    }
    if pcm.seamless && whole || length < 4 * FRAME {
        return Vec::new();
    }
    let end = pcm.samples.iter().skip(length - blended);
    let pairs = pcm.samples.iter().zip(end).enumerate();
    pairs
        .map(|(index, (begin, end))| {
            let share = index as f32 / blended as f32;
            (f32::from(*begin) * share + f32::from(*end) * (1.0 - share)) as i16
        })
        .collect()
}
