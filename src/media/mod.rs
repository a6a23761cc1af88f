//! Media, sans-IO: what a leg's party is told about where and how to send, and what becomes of its packets.
//!
//! **Two halves.** The *describing* half lives beside the legs in the engine: it decides whether a leg's media passes
//! through the edge, takes a port, writes our own description for the party (RFC 3264, 8866, 8839, 8842) and reads the
//! party's. The *packet* half lives in the driver's media threads and moves RTP. They share nothing: the engine sends a
//! [`MediaCommand`] down and hears a [`MediaEvent`] back.
//!
//! **A leg has one endpoint**, turned towards its party. Commands are declarations: [`MediaCommand::Endpoint`] says what the
//! endpoint is from now on, whole, and the packet half keeps what did not change (sequence numbers, SRTP roll-over
//! counters, a DTLS association, a latched address). [`MediaCommand::Hear`] says what the party hears.
//!
//! **Refuses** to know calls, holds and transfers: those decide who hears whom in `call` and `transfer`.
//!
//! RFC 3550 (RTP) · 3551 (G.711, G.722) · 4733 (telephone-event) · 4568 (SDES) · 3711 (SRTP) · 5763, 5764, 8842 (DTLS-SRTP)
//! · 8445, 8839 (ICE) · 5761 (rtcp-mux) · 7983 (demultiplexing) · 7587 (Opus).

pub mod audio;
pub mod codec;
pub mod command;
pub mod describe;
pub mod event;
mod local;
mod output;
pub mod rtcp;
pub mod rtp;
pub mod secure;
mod session;
mod sessions;
mod settings;

pub use codec::{Codec, Payload};
pub use command::{
    DtlsRole, Endpoint, Fingerprint, Hear, Heard, Hears, IceCredentials, LocalPort, MediaCommand, Member, PromptName,
    RecordingName, Security, SrtpKey, SrtpProfile,
};
pub use event::{LegQuality, MediaEvent, MediaFailure};
pub use local::Local;
pub use output::{MediaOutput, RecordingStep};
pub use sessions::Sessions;
pub use settings::MediaSettings;
