//! What the packet half tells.

use compact_str::CompactString;

use super::{PromptName, RecordingName};
use crate::vocabulary::{CallHandle, LegHandle};

/// Something that happened to a leg's packets.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// The first authenticated packet of the party arrived (after ICE and DTLS where there are any).
    Flowing {
        /// Whose.
        leg: LegHandle,
    },
    /// Nothing came for the configured time although the party may send; told once, and again after packets came and stopped.
    Silent {
        /// Whose.
        leg: LegHandle,
        /// For how long, in seconds.
        seconds: u32,
    },
    /// We send to the party and it sends nothing, or the other way round: told once a leg.
    OneWay {
        /// Whose.
        leg: LegHandle,
        /// True: the party is not heard. False: the party is heard and nothing is there for it.
        unheard: bool,
    },
    /// The party pressed a key (RFC 4733), told at its end, once.
    Digit {
        /// Who.
        leg: LegHandle,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long, in milliseconds.
        milliseconds: u32,
    },
    /// A prompt that plays once is over.
    PromptEnded {
        /// Who heard it.
        leg: LegHandle,
        /// Which.
        name: PromptName,
    },
    /// A prompt cannot be played; silence is sent instead, and what was announced is over.
    PromptMissing {
        /// Who would have heard it.
        leg: LegHandle,
        /// Which.
        name: PromptName,
    },
    /// A recording is complete on disk.
    Recorded {
        /// Whose.
        leg: LegHandle,
        /// Which.
        name: RecordingName,
        /// Of audio.
        milliseconds: u64,
    },
    /// A member of a hub speaks, or does no more; told when it has lasted.
    Speaking {
        /// The hub.
        call: CallHandle,
        /// Who.
        leg: LegHandle,
        /// Begins or ends.
        on: bool,
    },
    /// What was played once into a hub is over, or could not be played.
    Announced {
        /// The hub.
        call: CallHandle,
        /// Which.
        name: PromptName,
    },
    /// A hub's recording is complete on disk; 0 ms: it could not be written, and nothing of it is.
    HubRecorded {
        /// The hub.
        call: CallHandle,
        /// Which.
        name: RecordingName,
        /// Of audio.
        milliseconds: u64,
    },
    /// The endpoint cannot work.
    Failed {
        /// Whose.
        leg: LegHandle,
        /// Why.
        why: MediaFailure,
    },
    /// Counters, every few seconds and at the end.
    Quality {
        /// Whose.
        leg: LegHandle,
        /// Since the endpoint was opened.
        quality: LegQuality,
    },
}

/// Why an endpoint cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaFailure {
    /// Another program has the port.
    #[error("port {port} cannot be bound")]
    Port {
        /// Which.
        port: u16,
    },
    /// The DTLS handshake failed, or the certificate is not the described one.
    #[error("DTLS failed: {0}")]
    Dtls(CompactString),
    /// No ICE check succeeded in time.
    #[error("no ICE check came through")]
    Ice,
    /// The recording cannot be written.
    #[error("the recording cannot be written: {0}")]
    Recording(CompactString),
}

/// A leg's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegQuality {
    /// RTP packets that came from the party and were taken.
    pub received: u64,
    /// RTP packets sent to the party.
    pub sent: u64,
    /// Packets that the sequence numbers say were lost on the way to us.
    pub lost: u64,
    /// Packets of strangers, with bad authentication, or repeated: not taken.
    pub refused: u64,
    /// Interarrival jitter in milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f32,
    /// By the party's receiver reports; `None` before there is one.
    pub round_trip_ms: Option<f32>,
    /// Of our packets, lost on the way to the party by its receiver reports; `None` before there is one.
    pub party_lost: Option<u32>,
    /// Estimated mean opinion score, 1.0 to 4.5 (ITU-T G.107's E-model, simplified).
    pub mos: f32,
}
