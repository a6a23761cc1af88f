//! What the describing half tells the packet half.

use std::net::SocketAddr;

use bytes::Bytes;
use compact_str::CompactString;

use super::Payload;
use crate::sdp::Direction;
use crate::vocabulary::{AudienceHandle, CallHandle, LegHandle};

/// An order to the packet half. Orders of one leg arrive in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaCommand {
    /// This is the leg's endpoint from now on; the first one opens it.
    Endpoint {
        /// The leg.
        leg: LegHandle,
        /// All of it.
        endpoint: Box<Endpoint>,
    },
    /// The party of `leg` hears this from now on.
    Hear {
        /// Who listens.
        leg: LegHandle,
        /// To what.
        what: Hear,
    },
    /// Plays DTMF towards the party (RFC 4733, or tones where it takes no events).
    Digits {
        /// To whom.
        leg: LegHandle,
        /// `0`–`9`, `*`, `#`, `A`–`D`; 100 ms each.
        digits: CompactString,
    },
    /// Writes what the party says (left) and hears (right) into a new file; a second one for a leg that is recorded changes nothing.
    Record {
        /// Whom.
        leg: LegHandle,
        /// Made by the edge.
        name: RecordingName,
    },
    /// Ends the leg's recording and closes its file.
    StopRecording {
        /// Whose.
        leg: LegHandle,
    },
    /// Who hears whom in a hub from now on: all of it. Its members hear the mix in place of what [`MediaCommand::Hear`] said
    /// last, and hear that again when they are no members any more. An empty list ends the hub.
    Mix {
        /// The hub.
        call: CallHandle,
        /// Everybody in it; each in one hub only.
        members: Vec<Member>,
    },
    /// Plays a prompt: to a leg in place of all that it hears (of an announcement before it nothing more is heard or told), into a
    /// hub together with what is said and announced there.
    Announce {
        /// To whom.
        to: AudienceHandle,
        /// Which.
        name: PromptName,
        /// For ever, or once; its end is [`super::MediaEvent::PromptEnded`] or [`super::MediaEvent::Announced`].
        again: bool,
    },
    /// Ends what [`MediaCommand::Announce`] began, without an event.
    StopAnnouncing {
        /// For whom.
        to: AudienceHandle,
    },
    /// Writes what all hear in a hub into a new file of one channel: neither who is muted or held nor a whisper is in it.
    RecordHub {
        /// The hub.
        call: CallHandle,
        /// Made by the edge.
        name: RecordingName,
    },
    /// Ends the hub's recording and closes its file. So does the hub's end.
    StopRecordingHub {
        /// The hub.
        call: CallHandle,
    },
    /// The leg has ended: its port is free again and nothing of it is kept.
    Close {
        /// Whose.
        leg: LegHandle,
    },
}

/// What a party hears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hear {
    /// Nothing is sent to it.
    Nothing,
    /// What the party of this leg says, through that leg's endpoint.
    Leg(LegHandle),
    /// A prompt or music, from its beginning.
    Prompt {
        /// Which.
        name: PromptName,
        /// For ever, or once; its end is [`super::MediaEvent::PromptEnded`].
        again: bool,
    },
}

/// A member of a hub, as the mixer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its leg; one whose endpoint is not there yet is silent.
    pub leg: LegHandle,
    /// Who hears it.
    pub heard: Heard,
    /// What it hears.
    pub hears: Hears,
}

/// By whom a member of a hub is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// By all who hear the hub.
    ByAll,
    /// By this one alone.
    By(LegHandle),
    /// By nobody, and by no recording.
    ByNobody,
}

/// What a member of a hub hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hears {
    /// All who are heard, but not itself.
    All,
    /// A prompt, for ever.
    Music(PromptName),
    /// Nothing.
    Nothing,
}

/// A prompt that the configuration names, a sound that was added while the edge runs (`sound-…`), or `builtin:beep`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PromptName(pub CompactString);

/// The name of a recording, made by the edge: letters, digits and `-` only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingName(pub CompactString);

/// Where packets of a leg's party arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalPort {
    /// A port of its own for RTP; RTCP comes to the next one, or to the same with rtcp-mux.
    Own(u16),
    /// The one port of all browser legs; packets are told apart by ICE ufrag, then by address (RFC 7983).
    Shared,
}

/// The whole of an endpoint, as the last offer and answer left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Ours.
    pub local: LocalPort,
    /// The party's RTP address by its description; `None` before there is one, and where ICE finds it.
    pub remote: Option<SocketAddr>,
    /// The party's RTCP address (`a=rtcp`, else the next port); equal to `remote` with rtcp-mux.
    pub remote_rtcp: Option<SocketAddr>,
    /// The party may be behind NAT: its first packet from the signalled host, or from `source`, tells its address, once.
    pub latch: bool,
    /// Where the party's signalling comes from, for latching.
    pub source: Option<std::net::IpAddr>,
    /// How packets are protected.
    pub security: Security,
    /// What the party may send, by our description: payload types are ours.
    pub receive: Vec<Payload>,
    /// What the party takes, the best first: payload types are the party's.
    pub send: Vec<Payload>,
    /// Whether we send to the party and receive from it.
    pub direction: Direction,
    /// Of everything we send to the party, for the endpoint's whole life.
    pub ssrc: u32,
    /// RTCP's canonical name.
    pub cname: CompactString,
    /// A process before this one had it: the party's stream goes on, whatever its roll-over counter is by now (RFC 3711 §3.3.1).
    pub adopted: bool,
    /// Milliseconds of audio in a packet that we make.
    pub packet_ms: u8,
}

/// How an endpoint's packets are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// RTP/AVP.
    None,
    /// RTP/SAVP with keys in the descriptions (RFC 4568).
    Sdes {
        /// We send with this one.
        ours: SrtpKey,
        /// The party sends with this one; `None` before its description is there.
        theirs: Option<SrtpKey>,
    },
    /// DTLS-SRTP, behind ICE or without (RFC 5763).
    Dtls {
        /// ICE with us as lite agent (RFC 8445 §2.5); `None`: a SIP phone with DTLS-SRTP and no ICE.
        ice: Option<IceCredentials>,
        /// Our role; `None` before the party has chosen.
        role: Option<DtlsRole>,
        /// Of the party's certificate; `None` before its description is there.
        fingerprint: Option<Fingerprint>,
    },
}

/// A master key with its salt (RFC 4568 §6.1).
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey {
    /// Lengths of key and tag.
    pub profile: SrtpProfile,
    /// Key, then salt.
    pub key_and_salt: Bytes,
}

impl std::fmt::Debug for SrtpKey {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKey")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// A protection profile by its SDES name (RFC 4568 §6.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// `AEAD_AES_128_GCM`: 16 + 12 octets.
    AeadAes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_80`: 16 + 14 octets.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: 16 + 14 octets.
    AesCm128HmacSha1_32,
}

/// ICE user fragments and passwords of both sides (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// Ours; unique among all endpoints of the shared port.
    pub local_ufrag: CompactString,
    /// Ours.
    pub local_password: CompactString,
    /// The party's; empty before its description is there.
    pub remote_ufrag: CompactString,
    /// The party's.
    pub remote_password: CompactString,
}

impl std::fmt::Debug for IceCredentials {
    /// Passwords never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials")
            .field("local_ufrag", &self.local_ufrag)
            .field("remote_ufrag", &self.remote_ufrag)
            .finish_non_exhaustive()
    }
}

/// Who sends the DTLS ClientHello (`a=setup`, RFC 8842 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsRole {
    /// We do.
    Active,
    /// The party does.
    Passive,
}

/// `a=fingerprint` (RFC 8122 §5), with SHA-256: the only one that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);
