//! What one member hears: what all hear, or something of its own.

use super::bus::{self, Mix};
use super::sounds::Sounds;
use super::{FLUSH, Seat};
use crate::media::audio::{Encoder, Limiter, Resampler};
use crate::media::session::WIDE;
use crate::media::{Codec, Hears};

/// Ticks for which a codec with a memory keeps its own encoder after its member spoke: 2 s.
const LINGER: u16 = 100;

/// One member's ear.
pub(super) struct Ear {
    pub(super) hears: Hears,
    whispers: Vec<Whisper>,
    encoder: Option<(Codec, Encoder)>,
    limiter: Limiter,
    /// Ticks for which it stays its own.
    linger: u16,
    /// Ticks for which there was nothing to hear.
    quiet: u32,
    /// Its own voice, where it speaks at another rate than it hears.
    own: Option<Converted>,
}

/// Somebody who is heard by this one alone.
struct Whisper {
    from: usize,
    converted: Option<Converted>,
}

/// A voice at another rate.
struct Converted {
    from: u32,
    resampler: Resampler,
    pcm: Vec<i16>,
}

impl std::fmt::Debug for Ear {
    /// What is heard stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear")
            .field("hears", &self.hears)
            .finish_non_exhaustive()
    }
}

impl Default for Ear {
    fn default() -> Ear {
        Ear {
            hears: Hears::Nothing,
            whispers: Vec::new(),
            encoder: None,
            limiter: Limiter::default(),
            linger: 0,
            quiet: FLUSH,
            own: None,
        }
    }
}

/// What all hubs share: silence in each codec, and room to work.
#[derive(Debug, Default)]
pub(in crate::media::sessions) struct Desk {
    silence: Vec<(Codec, Vec<u8>)>,
    pcm: Vec<i16>,
    payload: Vec<u8>,
}

impl Desk {
    /// 20 ms of nothing.
    pub(super) fn silence(&mut self, codec: &Codec) -> &[u8] {
        let at = match self.silence.iter().position(|(of, _)| of == codec) {
            Some(at) => at,
            None => {
                let mut payload = Vec::new();
                if let Some(mut encoder) = Encoder::up_to(codec, WIDE) {
                    // A codec with a memory comes to rest first.
                    for _ in 0..FLUSH {
                        payload.clear();
                        encoder.encode(&[], &mut payload);
                    }
                }
                self.silence.push((codec.clone(), payload));
                self.silence.len() - 1
            }
        };
        self.silence.get(at).map_or(&[], |(_, payload)| payload)
    }
}

impl Ear {
    /// Who whispers to it from now on.
    pub(super) fn whispered_to(&mut self, from: impl Iterator<Item = usize>) {
        self.whispers.clear();
        self.whispers.extend(from.map(|from| Whisper { from, converted: None }));
    }

    /// A seat is gone, and those behind it have moved up.
    pub(super) fn without(&mut self, at: usize) {
        self.whispers.retain(|whisper| whisper.from != at);
        for whisper in &mut self.whispers {
            whisper.from -= usize::from(whisper.from > at);
        }
    }

    /// The payload of this tick.
    pub(super) fn frame<'a>(
        &mut self,
        codec: &Codec,
        (at, seats): (usize, &[Seat]),
        (mix, sounds): (&'a mut Mix, &mut Sounds),
        desk: &'a mut Desk,
    ) -> &'a [u8] {
        let own = seats.get(at).and_then(Seat::summed);
        let whispering = self
            .whispers
            .iter()
            .filter(|whisper| seats.get(whisper.from).is_some_and(|seat| seat.spoken.is_some()))
            .count();
        let apart = own.is_some() || whispering > 0;
        self.linger = match codec {
            Codec::G722 | Codec::Opus if apart => LINGER,
            Codec::G722
            | Codec::Opus
            | Codec::Pcmu
            | Codec::Pcma
            | Codec::TelephoneEvent { .. }
            | Codec::ComfortNoise { .. }
            | Codec::Other { .. } => self.linger.saturating_sub(1),
        };
        if !apart && self.linger == 0 {
            self.encoder = None;
            return match mix.quiet {
                ..=FLUSH => mix.encoded(codec, sounds),
                _ => desk.silence(codec),
            };
        }
        let sources = (mix.sources + whispering).saturating_sub(usize::from(own.is_some()));
        self.quiet = if sources == 0 { self.quiet.saturating_add(1) } else { 0 };
        if self.quiet > FLUSH {
            return desk.silence(codec);
        }
        self.apart(codec, (own, seats), (mix, sounds), desk)
    }

    fn apart<'a>(
        &mut self,
        codec: &Codec,
        (own, seats): (Option<(&[i16], u32)>, &[Seat]),
        (mix, sounds): (&mut Mix, &mut Sounds),
        desk: &'a mut Desk,
    ) -> &'a [u8] {
        let rate = bus::rate(codec);
        self.prepare(codec, mix, desk);
        mix.encoded += 1;
        let whole = mix.whole(rate, sounds);
        let own = match own {
            Some((pcm, from)) if from != rate => Some(convert(&mut self.own, pcm, from, rate)),
            Some((pcm, _)) => Some(pcm),
            None => None,
        };
        let with: Vec<&[i16]> = self
            .whispers
            .iter_mut()
            .filter_map(|whisper| {
                let (pcm, from) = seats.get(whisper.from)?.sound()?;
                Some(if from == rate {
                    pcm
                } else {
                    convert(&mut whisper.converted, pcm, from, rate)
                })
            })
            .collect();
        whole.hear(own.as_slice(), &with, &mut self.limiter, &mut desk.pcm);
        desk.payload.clear();
        if let Some((_, encoder)) = &mut self.encoder {
            encoder.encode(&desk.pcm, &mut desk.payload);
        }
        &desk.payload
    }

    /// An encoder of its own, which has come by what was heard last to where the shared one is: its decoder goes on with it.
    fn prepare(&mut self, codec: &Codec, mix: &Mix, desk: &mut Desk) {
        if self.encoder.as_ref().is_some_and(|(of, _)| of == codec) {
            return;
        }
        let rate = bus::rate(codec);
        self.limiter = *mix.limiter(rate);
        let mut encoder = Encoder::up_to(codec, WIDE);
        if let (Some(encoder), Codec::G722 | Codec::Opus) = (&mut encoder, codec) {
            for before in mix.before(rate) {
                desk.payload.clear();
                encoder.encode(before, &mut desk.payload);
            }
        }
        self.encoder = encoder.map(|encoder| (codec.clone(), encoder));
    }
}

/// A voice at the listener's rate; as it is where that cannot be.
fn convert<'a>(converted: &'a mut Option<Converted>, pcm: &'a [i16], from: u32, to: u32) -> &'a [i16] {
    if converted.as_ref().is_none_or(|known| known.from != from) {
        *converted = Resampler::new(from, to).map(|resampler| Converted {
            from,
            resampler,
            pcm: Vec::new(),
        });
    }
    match converted {
        Some(known) => {
            known.pcm.clear();
            known.resampler.resample(pcm, &mut known.pcm);
            &known.pcm
        }
        None => pcm,
    }
}
