//! Prompt files into PCM.
//!
//! WAV (PCM, float, G.711 inside), MP3, and OGG with Vorbis or Opus; any sample rate and up to eight channels, which are
//! averaged. A file is read whole: prompts are decoded once, when the configuration is loaded.

use std::sync::Arc;

use rubato::Resampler as _;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::{Decoder, PROMPT_RATE, normal};
use crate::media::Codec;

/// Octets of a file at most.
pub const MOST_OCTETS: usize = 64 << 20;
/// Seconds of a prompt or a playlist at most: 86 MB of samples.
pub const MOST_SECONDS: usize = 900;
/// Damaged packets in a row before a file is given up.
const MOST_DAMAGED: u32 = 500;

/// Mono sound at 48 kHz, shared by all who hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcm {
    pub(super) samples: Arc<[i16]>,
    /// Its end leads into its beginning as it is.
    pub(super) seamless: bool,
}

/// Why a file cannot be a prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// More octets than [`MOST_OCTETS`].
    #[error("the file has {octets} octets; at most {MOST_OCTETS} are read")]
    TooLarge {
        /// How many it has.
        octets: usize,
    },
    /// Longer than [`MOST_SECONDS`].
    #[error("the sound is longer than {MOST_SECONDS} seconds")]
    TooLong,
    /// No WAV, MP3 or OGG header.
    #[error("this is no WAV, MP3 or OGG file ({0})")]
    Unknown(String),
    /// A container without sound.
    #[error("the file has no sound track")]
    NoTrack,
    /// A container with a codec that is not decoded.
    #[error("the file's codec is not supported ({0})")]
    Codec(String),
    /// A rate or number of channels that no prompt has.
    #[error("the sound has {channels} channels at {rate} Hz; 1 to 8 at 4,000 to 192,000 Hz are read")]
    Shape {
        /// As the file says.
        rate: u32,
        /// As the file says.
        channels: usize,
    },
    /// Not one sample could be decoded.
    #[error("the file is damaged ({0})")]
    Damaged(String),
}

impl Pcm {
    /// Decodes a file and brings it to [`LEVEL`](super::LEVEL). A file that breaks off is played as far as it goes.
    pub fn load(file: &[u8]) -> Result<Pcm, LoadError> {
        match file.len() {
            0 => return Err(LoadError::Empty),
            octets if octets > MOST_OCTETS => return Err(LoadError::TooLarge { octets }),
            _ => {}
        }
        let mut sound = decode(file)?;
        if sound.rate != PROMPT_RATE {
            sound.samples = to_prompt_rate(&sound.samples, sound.rate)?;
        }
        normal::to_level(&mut sound.samples);
        Ok(Pcm::from_samples(&sound.samples, false))
    }

    /// One after the other, as one sound.
    pub fn playlist(pieces: &[Pcm]) -> Result<Pcm, LoadError> {
        let total: usize = pieces.iter().map(|piece| piece.samples.len()).sum();
        match total {
            0 => Err(LoadError::Empty),
            total if total > MOST_SECONDS * PROMPT_RATE as usize => Err(LoadError::TooLong),
            _ => {
                let samples: Vec<i16> = pieces.iter().flat_map(|piece| piece.samples.iter().copied()).collect();
                let seamless = matches!(pieces, [only] if only.seamless);
                Ok(Pcm {
                    samples: samples.into(),
                    seamless,
                })
            }
        }
    }

    pub(super) fn from_samples(samples: &[f32], seamless: bool) -> Pcm {
        let samples = samples
            .iter()
            .map(|sample| (sample * 32_768.0).round() as i16)
            .collect();
        Pcm { samples, seamless }
    }

    /// At 48 kHz.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }
}

/// Mono, full scale is 1.
struct Sound {
    samples: Vec<f32>,
    rate: u32,
}

fn decode(file: &[u8]) -> Result<Sound, LoadError> {
    // The reader wants an owner with a static life; a prompt is read once.
    let source = Box::new(std::io::Cursor::new(file.to_vec()));
    let stream = MediaSourceStream::new(source, Default::default());
    let (formats, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let mut reader = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, formats, metadata)
        .map_err(|error| {
            if let Error::Unsupported(reason) = error {
                return LoadError::Unknown(reason.to_owned());
            }
            LoadError::Damaged(error.to_string())
        })?;
    let track = reader.default_track(TrackType::Audio).ok_or(LoadError::NoTrack)?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let (id, parameters) = (track.id, parameters.ok_or(LoadError::NoTrack)?.clone());
    if parameters.codec == CODEC_ID_OPUS {
        return opus(
            reader.as_mut(),
            id,
            parameters.extra_data.as_deref().unwrap_or_default(),
        );
    }
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
        .map_err(|error| LoadError::Codec(error.to_string()))?;
    let mut sound = Sound {
        samples: Vec::new(),
        rate: 0,
    };
    let mut interleaved: Vec<f32> = Vec::new();
    packets(reader.as_mut(), id, |packet| {
        let buffer = decoder.decode(packet)?;
        let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
        buffer.copy_to_vec_interleaved(&mut interleaved);
        Ok(sound.append(&interleaved, rate, channels))
    })?;
    sound.whole()
}

/// OGG with Opus, by our own decoder (RFC 7845). Stereo comes out mixed.
fn opus(reader: &mut (dyn FormatReader + '_), id: u32, head: &[u8]) -> Result<Sound, LoadError> {
    // Octet 18 of the identification header is the mapping family; 0 is mono or stereo in one stream.
    if head.get(18).is_some_and(|family| *family != 0) {
        return Err(LoadError::Codec("Opus with more than two channels".to_owned()));
    }
    let skipped = match head {
        [_, _, _, _, _, _, _, _, _, _, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => 0,
    };
    let mut decoder = Decoder::new(&Codec::Opus).ok_or_else(|| LoadError::Codec("Opus".to_owned()))?;
    let mut sound = Sound {
        samples: Vec::new(),
        rate: 0,
    };
    let (mut pcm, mut interleaved) = (Vec::new(), Vec::new());
    packets(reader, id, |packet| {
        pcm.clear();
        if !decoder.decode(&packet.data, &mut pcm) {
            return Err(Error::DecodeError("a packet of Opus"));
        }
        interleaved.clear();
        interleaved.extend(pcm.iter().map(|sample| f32::from(*sample) / 32_768.0));
        Ok(sound.append(&interleaved, decoder.rate(), 1))
    })?;
    let mut sound = sound.whole()?;
    sound.samples.drain(..skipped.min(sound.samples.len()));
    sound.whole()
}

/// Hands every packet of a track on, until the file ends or breaks off.
fn packets(
    reader: &mut (dyn FormatReader + '_),
    id: u32,
    mut take: impl FnMut(&symphonia::core::packet::Packet) -> Result<Result<(), LoadError>, Error>,
) -> Result<(), LoadError> {
    let (mut damaged, mut taken) = (0, false);
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(()),
            // It breaks off: what was there may still be of use.
            Err(_) if taken => return Ok(()),
            Err(error) => return Err(LoadError::Damaged(error.to_string())),
        };
        if packet.track_id != id {
            continue;
        }
        match take(&packet) {
            Ok(outcome) => {
                outcome?;
                (damaged, taken) = (0, true);
            }
            Err(error) => {
                damaged += 1;
                if damaged > MOST_DAMAGED {
                    return if taken {
                        Ok(())
                    } else {
                        Err(LoadError::Damaged(error.to_string()))
                    };
                }
            }
        }
    }
}

impl Sound {
    fn append(&mut self, interleaved: &[f32], rate: u32, channels: usize) -> Result<(), LoadError> {
        if !(1..=8).contains(&channels) || !(4_000..=192_000).contains(&rate) || self.rate != 0 && self.rate != rate {
            return Err(LoadError::Shape { rate, channels });
        }
        self.rate = rate;
        let mixed = interleaved
            .chunks_exact(channels)
            .map(|frame| frame.iter().sum::<f32>() / channels as f32);
        // A float file may hold anything.
        self.samples.extend(mixed.map(|sample| {
            if sample.is_finite() {
                sample.clamp(-8.0, 8.0)
            } else {
                0.0
            }
        }));
        if self.samples.len() > MOST_SECONDS * rate as usize {
            return Err(LoadError::TooLong);
        }
        Ok(())
    }

    fn whole(self) -> Result<Sound, LoadError> {
        if self.samples.is_empty() {
            return Err(LoadError::Damaged("there is not one sample of sound in it".to_owned()));
        }
        Ok(self)
    }
}

fn to_prompt_rate(samples: &[f32], rate: u32) -> Result<Vec<f32>, LoadError> {
    /// Samples of a block; the delay it makes is cut off again.
    const BLOCK: usize = 1_024;
    let refused = |reason: String| LoadError::Damaged(reason);
    let mut resampler =
        rubato::Fft::<f32>::new(rate as usize, PROMPT_RATE as usize, BLOCK, 1, rubato::FixedSync::Input)
            .map_err(|error| refused(error.to_string()))?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|error| refused(error.to_string()))?;
    let output = resampler
        .process_all(&input, samples.len(), None)
        .map_err(|error| refused(error.to_string()))?;
    Ok(output.take_data())
}
