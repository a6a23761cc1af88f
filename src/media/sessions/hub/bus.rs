//! The sums of a tick: one at 8 kHz, one at 16 kHz, each with the other's voices where somebody hears it.

use std::collections::VecDeque;

use super::FLUSH;
use super::sounds::Sounds;
use crate::media::Codec;
use crate::media::audio::{Encoder, Limiter, Mixer, Resampler, frame_samples};
use crate::media::session::WIDE;

/// Of telephones.
const NARROW: u32 = 8_000;
/// Frames that are kept for an encoder that has to know what was heard: 240 ms.
const REMEMBERED: usize = 12;
/// A codec that nobody has heard for so many ticks is forgotten.
const FORGOTTEN: u64 = 250;

/// At which rate a codec is mixed.
pub(super) fn rate(codec: &Codec) -> u32 {
    match codec {
        Codec::G722 | Codec::Opus => WIDE,
        Codec::Pcmu | Codec::Pcma | Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. } => {
            NARROW
        }
    }
}

/// All sums of a hub.
#[derive(Debug)]
pub(super) struct Mix {
    narrow: Bus,
    wide: Bus,
    /// Voices and announcements that all hear in this tick.
    pub(super) sources: usize,
    /// For so many ticks there were none.
    pub(super) quiet: u32,
    tick: u64,
    tracks: Vec<Track>,
    /// Frames encoded so far.
    pub(super) encoded: u64,
}

/// One rate.
#[derive(Debug)]
struct Bus {
    /// Voices of this rate.
    voices: Mixer,
    /// All that is heard.
    whole: Mixer,
    /// The tick for which that was summed.
    summed: u64,
    /// What all heard who said nothing, by its tick, the latest last.
    shared: VecDeque<(u64, Vec<i16>)>,
    limiter: Limiter,
    bridge: Bridge,
}

/// A sum on its way to the other rate.
#[derive(Debug)]
struct Bridge {
    limiter: Limiter,
    /// Made when both rates are there.
    resampler: Option<Resampler>,
    /// For so many ticks there was nothing in the sum.
    idle: u32,
    own: Vec<i16>,
    other: Vec<i16>,
}

/// One codec's encode of what all hear.
struct Track {
    codec: Codec,
    encoder: Encoder,
    tick: u64,
    payload: Vec<u8>,
}

impl std::fmt::Debug for Track {
    /// Codecs have much state and nothing to say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Track")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl Default for Mix {
    fn default() -> Mix {
        Mix {
            narrow: Bus::new(NARROW),
            wide: Bus::new(WIDE),
            sources: 0,
            quiet: FLUSH,
            tick: 0,
            tracks: Vec::new(),
            encoded: 0,
        }
    }
}

impl Bus {
    fn new(rate: u32) -> Bus {
        let mixer = Mixer::new(frame_samples(rate));
        Bus {
            voices: mixer.clone(),
            whole: mixer,
            summed: 0,
            shared: VecDeque::new(),
            limiter: Limiter::default(),
            bridge: Bridge {
                limiter: Limiter::default(),
                resampler: None,
                idle: FLUSH,
                own: Vec::new(),
                other: Vec::new(),
            },
        }
    }
}

impl Mix {
    /// Another tick, in which nobody has spoken yet.
    pub(super) fn begin(&mut self) {
        self.tick += 1;
        self.sources = 0;
        for bus in [&mut self.narrow, &mut self.wide] {
            if bus.voices.speakers() > 0 {
                bus.voices.clear();
            }
        }
    }

    /// A voice that all hear.
    pub(super) fn add(&mut self, rate: u32, pcm: &[i16]) {
        self.sources += 1;
        self.bus(rate).voices.add(pcm);
    }

    /// All voices are in, and so many announcements sound beside them.
    pub(super) fn sourced(&mut self, announcements: usize) {
        self.sources += announcements;
        self.quiet = if self.sources == 0 {
            self.quiet.saturating_add(1)
        } else {
            0
        };
        let tick = self.tick;
        self.tracks.retain(|track| track.tick + FORGOTTEN > tick);
    }

    fn bus(&mut self, rate: u32) -> &mut Bus {
        if rate == NARROW {
            &mut self.narrow
        } else {
            &mut self.wide
        }
    }

    /// Everything that is heard, at this rate.
    pub(super) fn whole(&mut self, rate: u32, sounds: &mut Sounds) -> &Mixer {
        let tick = self.tick;
        let (bus, other) = match rate {
            NARROW => (&mut self.narrow, &mut self.wide),
            _ => (&mut self.wide, &mut self.narrow),
        };
        if bus.summed != tick {
            bus.summed = tick;
            bus.whole.clone_from(&bus.voices);
            if let Some(pcm) = other.bridged(rate) {
                bus.whole.add(pcm);
            }
            sounds.each(rate, |pcm| bus.whole.add(pcm));
        }
        &bus.whole
    }

    /// What all hear who say nothing.
    pub(super) fn shared(&mut self, rate: u32, sounds: &mut Sounds) -> &[i16] {
        let tick = self.tick;
        self.whole(rate, sounds);
        let bus = self.bus(rate);
        if bus.shared.back().is_none_or(|(of, _)| *of != tick) {
            let kept = if rate == NARROW { 1 } else { REMEMBERED };
            let oldest = if bus.shared.len() >= kept {
                bus.shared.pop_front()
            } else {
                None
            };
            let mut pcm = oldest.map(|(_, pcm)| pcm).unwrap_or_default();
            bus.whole.hear(&[], &[], &mut bus.limiter, &mut pcm);
            bus.shared.push_back((tick, pcm));
        }
        bus.shared.back().map_or(&[], |(_, pcm)| pcm)
    }

    /// The same of the ticks before, as long as somebody heard it, in their order.
    pub(super) fn before(&self, rate: u32) -> impl Iterator<Item = &[i16]> {
        let bus = if rate == NARROW { &self.narrow } else { &self.wide };
        let tick = self.tick;
        let earlier = bus
            .shared
            .iter()
            .rev()
            .skip_while(move |(of, _)| *of == tick)
            .enumerate();
        let whole = earlier
            .take_while(move |(at, (of, _))| *of + *at as u64 + 1 == tick)
            .count();
        let now = bus.shared.iter().filter(move |(of, _)| *of == tick).count();
        let first = bus.shared.len() - now - whole;
        bus.shared.iter().skip(first).take(whole).map(|(_, pcm)| pcm.as_slice())
    }

    /// How far all is turned down for those who say nothing.
    pub(super) fn limiter(&self, rate: u32) -> &Limiter {
        if rate == NARROW {
            &self.narrow.limiter
        } else {
            &self.wide.limiter
        }
    }

    /// The payload of it in this codec; empty where nothing can be encoded.
    pub(super) fn encoded(&mut self, codec: &Codec, sounds: &mut Sounds) -> &[u8] {
        let tick = self.tick;
        let at = match self.tracks.iter().position(|track| track.codec == *codec) {
            Some(at) => at,
            None => {
                let Some(encoder) = Encoder::up_to(codec, WIDE) else {
                    return &[];
                };
                self.tracks.push(Track {
                    codec: codec.clone(),
                    encoder,
                    tick: 0,
                    payload: Vec::new(),
                });
                self.tracks.len() - 1
            }
        };
        if self.tracks.get(at).is_some_and(|track| track.tick != tick) {
            let rate = rate(codec);
            self.shared(rate, sounds);
            let bus = if rate == NARROW { &self.narrow } else { &self.wide };
            if let Some(track) = self.tracks.get_mut(at) {
                track.tick = tick;
                self.encoded += 1;
                track.payload.clear();
                let pcm = bus.shared.back().map_or(&[][..], |(_, pcm)| pcm);
                track.encoder.encode(pcm, &mut track.payload);
            }
        }
        self.tracks.get(at).map_or(&[], |track| &track.payload)
    }
}

impl Bus {
    /// Its voices at the other rate; `None`: there are none, and the filter is empty.
    fn bridged(&mut self, rate: u32) -> Option<&[i16]> {
        let own = if rate == NARROW { WIDE } else { NARROW };
        let bridge = &mut self.bridge;
        bridge.idle = if self.voices.speakers() == 0 {
            bridge.idle.saturating_add(1)
        } else {
            0
        };
        if bridge.idle > 1 {
            return None;
        }
        if bridge.resampler.is_none() {
            bridge.resampler = Resampler::new(own, rate);
        }
        // A sum may be louder than a filter's 16 bits.
        self.voices.hear(&[], &[], &mut bridge.limiter, &mut bridge.own);
        bridge.other.clear();
        bridge.resampler.as_mut()?.resample(&bridge.own, &mut bridge.other);
        Some(&bridge.other)
    }
}
