//! Codecs by their names in a description, and payload types.

use compact_str::CompactString;

/// What a payload type stands for (`a=rtpmap`, RFC 8866 §6.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8 kHz (static payload type 0, RFC 3551).
    Pcmu,
    /// G.711 A-law, 8 kHz (static payload type 8).
    Pcma,
    /// G.722, 16 kHz audio on an RTP clock of 8 kHz (static payload type 9, RFC 3551 §4.5.2).
    G722,
    /// Opus, always 48 kHz and two channels in the rtpmap (RFC 7587 §7).
    Opus,
    /// DTMF as events (RFC 4733), on this clock.
    TelephoneEvent {
        /// 8000 or 48000.
        clock: u32,
    },
    /// Comfort noise (RFC 3389, static payload type 13), on this clock.
    ComfortNoise {
        /// 8000 mostly.
        clock: u32,
    },
    /// One that the edge cannot decode; it is forwarded where both sides have it.
    Other {
        /// As in the rtpmap, in lower case.
        name: CompactString,
        /// Of RTP timestamps.
        clock: u32,
        /// 1 where the rtpmap says nothing.
        channels: u8,
    },
}

impl Codec {
    /// The clock of its RTP timestamps, in Hz.
    pub fn clock(&self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
            Codec::Opus => 48_000,
            Codec::TelephoneEvent { clock } | Codec::ComfortNoise { clock } | Codec::Other { clock, .. } => *clock,
        }
    }

    /// The rate of its audio, in Hz; `None` for what the edge cannot decode.
    pub fn sample_rate(&self) -> Option<u32> {
        match self {
            Codec::Pcmu | Codec::Pcma => Some(8_000),
            Codec::G722 => Some(16_000),
            Codec::Opus => Some(48_000),
            Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. } => None,
        }
    }
}

/// A payload type of one description.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    /// 0 to 127.
    pub number: u8,
    /// What it stands for.
    pub codec: Codec,
    /// `a=fmtp` without the number; empty when there is none.
    pub parameters: CompactString,
}
