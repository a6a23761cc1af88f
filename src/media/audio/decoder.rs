//! Payloads into PCM.

use ezk_g722::libg722;

use super::conceal::Concealer;
use super::{frame_samples, g711};
use crate::media::Codec;

/// The longest audio of one Opus packet (RFC 6716 §3.2.5), in frames of ours: 120 ms.
const OPUS_LONGEST: usize = 6;
/// A packet of 200 ms of G.711 or G.722: longer ones are garbage.
const LONGEST_PAYLOAD: usize = 1_600;

/// One party's stream of payloads of one codec.
pub struct Decoder {
    rate: u32,
    kind: Kind,
}

enum Kind {
    Sampled(Sampled, Concealer),
    Opus(Box<ropus::Decoder>),
}

enum Sampled {
    Pcmu,
    Pcma,
    G722(Box<libg722::decoder::Decoder>),
}

impl Decoder {
    /// `None` for what is no audio or unknown.
    pub fn new(codec: &Codec) -> Option<Decoder> {
        Decoder::up_to(codec, codec.sample_rate()?)
    }

    /// With PCM at the codec's own rate, or at `most` where that is lower and the codec can do it: Opus decodes to 8, 12, 16,
    /// 24 and 48 kHz (RFC 6716 §2.1.3). `None` for what is no audio or unknown.
    pub fn up_to(codec: &Codec, most: u32) -> Option<Decoder> {
        let rate = match codec {
            Codec::Opus => most.min(codec.sample_rate()?),
            Codec::Pcmu
            | Codec::Pcma
            | Codec::G722
            | Codec::TelephoneEvent { .. }
            | Codec::ComfortNoise { .. }
            | Codec::Other { .. } => codec.sample_rate()?,
        };
        let sampled = |sampled| Kind::Sampled(sampled, Concealer::new(rate));
        let kind = match codec {
            Codec::Pcmu => sampled(Sampled::Pcmu),
            Codec::Pcma => sampled(Sampled::Pcma),
            Codec::G722 => {
                // Not packed: at 64 kbit/s every octet is one code of two samples.
                let decoder = libg722::decoder::Decoder::new(libg722::Bitrate::Mode1_64000, false, false);
                sampled(Sampled::G722(Box::new(decoder)))
            }
            // A decoder for one channel mixes both of a stereo packet.
            Codec::Opus => Kind::Opus(Box::new(ropus::Decoder::new(rate, ropus::Channels::Mono).ok()?)),
            Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. } => return None,
        };
        Some(Decoder { rate, kind })
    }

    /// Of the PCM, in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Appends the payload's audio, mono. False: it was garbage, and one frame was concealed in its place.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> bool {
        let start = out.len();
        let understood = match &mut self.kind {
            Kind::Sampled(_, _) if payload.is_empty() || payload.len() > LONGEST_PAYLOAD => false,
            Kind::Sampled(sampled, concealer) => {
                match sampled {
                    Sampled::Pcmu => out.extend(payload.iter().map(|code| g711::linear_of_mu_law(*code))),
                    Sampled::Pcma => out.extend(payload.iter().map(|code| g711::linear_of_a_law(*code))),
                    Sampled::G722(decoder) => out.extend(decoder.decode(payload)),
                }
                concealer.heard(out.get_mut(start..).unwrap_or_default());
                true
            }
            // To the library an empty packet is a lost one.
            Kind::Opus(_) if payload.is_empty() => false,
            Kind::Opus(decoder) => {
                let room = OPUS_LONGEST * frame_samples(self.rate);
                opus(decoder, payload, room, ropus::DecodeMode::Normal, out)
            }
        };
        if !understood {
            self.conceal(frame_samples(self.rate), None, out);
        }
        understood
    }

    /// Appends `samples` in place of packets that were lost. Opus may find the latest of them in the packet that came
    /// after (`next`, in-band FEC, RFC 6716 §2.1.7).
    pub fn conceal(&mut self, samples: usize, next: Option<&[u8]>, out: &mut Vec<i16>) {
        match &mut self.kind {
            Kind::Sampled(_, concealer) => concealer.conceal(samples, out),
            Kind::Opus(decoder) => conceal_opus(decoder, (self.rate, samples), next, out),
        }
    }
}

fn conceal_opus(decoder: &mut ropus::Decoder, (rate, samples): (u32, usize), next: Option<&[u8]>, out: &mut Vec<i16>) {
    let frame = frame_samples(rate);
    // The library makes whole multiples of 2.5 ms.
    let step = frame / 8;
    let target = out.len() + samples;
    let next = next.filter(|payload| !payload.is_empty());
    // FEC carries a copy of one frame, the one right before.
    let spare = next.map_or(0, |_| frame).min(samples);
    while out.len() + spare < target {
        let wanted = (target - spare - out.len()).next_multiple_of(step).min(frame);
        if !opus(decoder, &[], wanted, ropus::DecodeMode::Normal, out) {
            break;
        }
    }
    if let Some(next) = next {
        opus(decoder, next, spare.next_multiple_of(step), ropus::DecodeMode::Fec, out);
    }
    out.resize(target, 0);
}

/// Appends what the library makes of a packet, `room` samples at most.
fn opus(
    decoder: &mut ropus::Decoder,
    payload: &[u8],
    room: usize,
    mode: ropus::DecodeMode,
    out: &mut Vec<i16>,
) -> bool {
    let start = out.len();
    out.resize(start + room, 0);
    let made = match out.get_mut(start..) {
        Some(place) => decoder.decode(payload, place, mode).ok(),
        None => None,
    };
    out.truncate(start + made.unwrap_or(0).min(room));
    made.is_some()
}
