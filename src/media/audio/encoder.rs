//! PCM into payloads.

use ezk_g722::libg722;

use super::{frame_samples, g711};
use crate::media::Codec;

/// Enough for any 20 ms of Opus (RFC 6716 §3.2.1).
const OPUS_MOST: usize = 1_275;
/// Average bits a second.
const OPUS_SPEECH: u32 = 32_000;
const OPUS_MUSIC: u32 = 48_000;
/// Effort 0 to 10: from here on the ear finds little more, and the time doubles.
const OPUS_COMPLEXITY: u8 = 5;
/// How much loss in-band FEC prepares for, in percent: without an expectation the library sends none.
const OPUS_LOSS: u8 = 10;

/// What is encoded: Opus has settings for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sound {
    /// A party's voice: 32 kbit/s, 8 kHz wide, with in-band FEC.
    Speech,
    /// Hold music and prompts: 48 kbit/s.
    Music,
}

/// A stream of payloads that we make, of one codec.
pub struct Encoder {
    rate: u32,
    kind: Kind,
}

enum Kind {
    Pcmu,
    Pcma,
    G722(Box<libg722::encoder::Encoder>),
    Opus(Box<ropus::Encoder>),
}

impl Encoder {
    /// For speech; `None` for what is no audio or unknown.
    pub fn new(codec: &Codec) -> Option<Encoder> {
        Encoder::of(codec, Sound::Speech)
    }

    /// `None` for what is no audio or unknown.
    pub fn of(codec: &Codec, sound: Sound) -> Option<Encoder> {
        Encoder::at(codec, sound, codec.sample_rate()?)
    }

    /// For speech that comes at the codec's own rate, or at `most` where that is lower and the codec takes it (Opus).
    pub fn up_to(codec: &Codec, most: u32) -> Option<Encoder> {
        let own = codec.sample_rate()?;
        let rate = if *codec == Codec::Opus { own.min(most) } else { own };
        Encoder::at(codec, Sound::Speech, rate)
    }

    fn at(codec: &Codec, sound: Sound, rate: u32) -> Option<Encoder> {
        let kind = match codec {
            Codec::Pcmu => Kind::Pcmu,
            Codec::Pcma => Kind::Pcma,
            Codec::G722 => {
                // Not packed: at 64 kbit/s every code of two samples is one octet.
                let encoder = libg722::encoder::Encoder::new(libg722::Bitrate::Mode1_64000, false, false);
                Kind::G722(Box::new(encoder))
            }
            Codec::Opus => Kind::Opus(Box::new(opus(rate, sound)?)),
            Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. } => return None,
        };
        Some(Encoder { rate, kind })
    }

    /// Of the PCM it takes, in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Appends the payload of one frame of 20 ms. A shorter frame is filled with silence, a longer one is cut.
    pub fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        let samples = frame_samples(self.rate);
        match pcm.get(..samples) {
            Some(frame) => self.encode_frame(frame, out),
            None => {
                let mut frame = pcm.to_vec();
                frame.resize(samples, 0);
                self.encode_frame(&frame, out);
            }
        }
    }

    fn encode_frame(&mut self, frame: &[i16], out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::Pcmu => out.extend(frame.iter().map(|sample| g711::mu_law(*sample))),
            Kind::Pcma => out.extend(frame.iter().map(|sample| g711::a_law(*sample))),
            Kind::G722(encoder) => out.extend(encoder.encode(frame)),
            Kind::Opus(encoder) => {
                let start = out.len();
                out.resize(start + OPUS_MOST, 0);
                let made = out.get_mut(start..).and_then(|place| encoder.encode(frame, place).ok());
                out.truncate(start + made.unwrap_or(0));
            }
        }
    }
}

fn opus(rate: u32, sound: Sound) -> Option<ropus::Encoder> {
    let builder = match sound {
        Sound::Speech => ropus::Encoder::builder(rate, ropus::Channels::Mono, ropus::Application::Voip)
            .bitrate(ropus::Bitrate::Bits(OPUS_SPEECH))
            // What comes from a telephone has no more; and beyond it this bit rate leaves nothing for FEC.
            .max_bandwidth(ropus::Bandwidth::Wideband)
            .inband_fec(ropus::InbandFec::Enabled)
            .packet_loss_perc(OPUS_LOSS),
        Sound::Music => ropus::Encoder::builder(rate, ropus::Channels::Mono, ropus::Application::Audio)
            .bitrate(ropus::Bitrate::Bits(OPUS_MUSIC)),
    };
    // Without DTX: a pause must not look like a dead line to what counts packets.
    builder.complexity(OPUS_COMPLEXITY).dtx(false).build().ok()
}
