//! What the describing half is told.

use std::net::IpAddr;

use crate::media::{Fingerprint, PromptName};

/// When media passes through the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Where the two parties could not understand each other, for hold music, and for recordings.
    #[default]
    Auto,
    /// Always.
    Relay,
    /// Never: descriptions pass as they come.
    Off,
}

/// Whether RTP/SAVP with keys in the descriptions is spoken with parties that are no browsers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Srtp {
    /// Answered where a party offers it, never offered.
    #[default]
    Off,
    /// Offered; a party that refuses it is offered RTP/AVP.
    Preferred,
    /// Offered, and nothing else is taken.
    Required,
}

/// Whose legs are recorded without anybody asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Record {
    /// Nobody's.
    #[default]
    No,
    /// The leg of whoever calls: each call once, also after the caller is transferred.
    Callers,
    /// Every leg, whoever calls.
    Always,
}

/// What holds for one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerMedia {
    /// As [`MediaSettings::mode`]. `Off` of a peer: only where nothing else works, and for recordings.
    pub mode: Mode,
    /// Protection.
    pub srtp: Srtp,
    /// Recordings.
    pub record: Record,
}

/// `[media]`.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaSettings {
    /// When media passes through the edge.
    pub mode: Mode,
    /// Protection towards phones and trunks.
    pub srtp: Srtp,
    /// Recordings that nobody has to ask for.
    pub record: Record,
    /// What we write into descriptions; `None`: the address of the flow that the party came by.
    pub address: Option<IpAddr>,
    /// First and last UDP port of plain endpoints.
    pub ports: (u16, u16),
    /// The one UDP port of all browsers.
    pub browser_port: u16,
    /// Whether codecs are translated where the parties have none in common.
    pub transcode: bool,
    /// What held parties hear; `None`: nothing.
    pub hold_music: Option<PromptName>,
    /// A leg whose party sends nothing for so many seconds although it may is ended; 0: never.
    pub timeout_s: u32,
    /// Of the certificate that the packet half shows.
    pub fingerprint: Fingerprint,
    /// Keys, passwords and SSRCs follow from it. At random for each process.
    pub secret: [u8; 32],
}

impl Default for MediaSettings {
    fn default() -> MediaSettings {
        MediaSettings {
            mode: Mode::Auto,
            srtp: Srtp::Off,
            record: Record::No,
            address: None,
            ports: (20_000, 20_999),
            browser_port: 19_990,
            transcode: true,
            hold_music: None,
            timeout_s: 0,
            fingerprint: Fingerprint([0; 32]),
            secret: [0; 32],
        }
    }
}

impl std::fmt::Debug for MediaSettings {
    /// The secret never reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaSettings")
            .field("mode", &self.mode)
            .field("srtp", &self.srtp)
            .field("address", &self.address)
            .field("ports", &self.ports)
            .field("browser_port", &self.browser_port)
            .field("transcode", &self.transcode)
            .field("hold_music", &self.hold_music)
            .finish_non_exhaustive()
    }
}
