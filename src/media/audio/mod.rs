//! Audio: codecs, resampling, prompts, DTMF tones, recording. No clock, no file, no socket: octets in, octets out.
//!
//! **Owns**: what is *inside* payloads. A [`Decoder`] and an [`Encoder`] turn one codec's payloads into 16-bit mono PCM at
//! [`Codec::sample_rate`](super::Codec::sample_rate) and back; a [`Transcoder`] joins two of them, whatever the packet times;
//! [`Prompts`] keeps every file decoded once and every frame encoded once per codec, however many listen; a [`Recording`]
//! makes a WAV file's octets that play even when the file is cut.
//!
//! **Refuses** to know RTP headers, legs and who hears whom: sequence numbers, SSRC and the offset of timestamps belong to
//! the sessions that call this. It never waits: time is an argument where there is any.
//!
//! Everything that we make is in frames of 20 ms ([`FRAME_MS`]); what we take may be of any packet time.
//!
//! ITU-T G.711, G.722 · RFC 6716, 7587 (Opus) · 3551 §4.5 (payload formats) · 4733 §3.2 (DTMF frequencies).
//!
//! ```
//! use warmline::media::Codec;
//! use warmline::media::audio::{Encoder, Transcoder, measure};
//!
//! let mut phone = Encoder::new(&Codec::Pcmu).expect("G.711 is known");
//! let mut transcoder = Transcoder::new(&Codec::Pcmu, &Codec::Opus).expect("both are known");
//! let mut payload = Vec::new();
//! phone.encode(&measure::tone(440.0, -20.0, 8_000, 160), &mut payload);
//! transcoder.push(0, &payload);
//! let mut opus = Vec::new();
//! let frame = transcoder.poll(&mut opus).expect("20 ms in, 20 ms out");
//! assert_eq!((frame.timestamp, opus.is_empty()), (0, false));
//! ```

mod conceal;
mod decoder;
mod dtmf;
mod encoder;
pub mod g711;
pub mod jitter;
mod load;
pub mod measure;
mod mix;
mod music;
mod normal;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod prompt_tests;
mod prompts;
mod record;
#[cfg(test)]
mod record_tests;
mod resample;
mod signal;
mod transcode;

pub use decoder::Decoder;
pub use dtmf::{Dialling, Digit, DigitFinder, OFF_MS, ON_MS, frequencies};
pub use encoder::{Encoder, Sound};
pub use load::{LoadError, MOST_OCTETS, MOST_SECONDS, Pcm};
pub use mix::{Limiter, Mixer};
pub use normal::LEVEL;
pub use prompts::Prompts;
pub use record::{CHUNK_MS, Recording, Side, Write};
pub use resample::Resampler;
pub use signal::BEEP;
pub use transcode::{Pushed, Transcoded, Transcoder};

/// Milliseconds of audio in every frame that we make.
pub const FRAME_MS: u32 = 20;

/// The rate at which prompts are kept, in Hz.
pub const PROMPT_RATE: u32 = 48_000;

/// Samples of one frame at this rate in Hz.
pub const fn frame_samples(rate: u32) -> usize {
    (rate * FRAME_MS / 1_000) as usize
}
