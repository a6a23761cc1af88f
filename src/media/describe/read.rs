//! A party's description, as far as our end needs it.
//!
//! RFC 8866 §5, §6 · RFC 3605 (`a=rtcp`) · RFC 5761 §5.1.1 · RFC 4568 §9.1 (`a=crypto`) · RFC 8122 §5 · RFC 8842 §5.1 · RFC 8839 §5.

use std::net::{IpAddr, SocketAddr};

use compact_str::CompactString;

use super::codecs;
use super::secrets;
use super::unusable::Unusable;
use crate::media::{Fingerprint, Payload, SrtpKey, SrtpProfile};
use crate::sdp::{Description, Direction};

/// Formats that an m-line may name.
pub const MOST_FORMATS: usize = 64;

/// One m-line, as it must come back in every later description of the dialog (RFC 3264 §8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: CompactString,
    pub(super) protocol: CompactString,
    pub(super) format: CompactString,
    pub(super) mid: Option<CompactString>,
    pub(super) live: bool,
}

/// A key line of RFC 4568.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crypto {
    pub(super) tag: CompactString,
    pub(super) key: SrtpKey,
}

/// `a=setup` (RFC 8842 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Active,
    Passive,
    Either,
}

/// How the party's packets are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protected {
    No,
    Keys(Vec<Crypto>),
    Dtls {
        fingerprint: Fingerprint,
        setup: Setup,
        ice: Option<(CompactString, CompactString)>,
    },
}

/// What a party said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) lines: Vec<Line>,
    /// The m-line that is carried.
    pub(super) audio: usize,
    pub(super) live: bool,
    pub(super) address: Option<SocketAddr>,
    pub(super) rtcp: Option<SocketAddr>,
    pub(super) mux: bool,
    pub(super) bundle: bool,
    pub(super) protected: Protected,
    pub(super) payloads: Vec<Payload>,
    pub(super) direction: Direction,
    pub(super) packet_ms: u8,
}

/// Attributes of the session or of the audio line.
#[derive(Debug, Default)]
struct Found<'a> {
    address: Option<&'a str>,
    ufrag: Option<&'a str>,
    password: Option<&'a str>,
    fingerprint: Option<&'a str>,
    setup: Option<&'a str>,
    rtcp: Option<&'a str>,
    crypto: Vec<&'a str>,
    maps: Vec<(u8, &'a str)>,
    parameters: Vec<(u8, &'a str)>,
    components: Vec<&'a str>,
    mux: bool,
    packet_ms: Option<u8>,
}

impl<'a> Found<'a> {
    fn line(&mut self, kind: &str, value: &'a str) -> Result<(), Unusable> {
        match kind {
            "c" => {
                self.address = value
                    .split_ascii_whitespace()
                    .nth(2)
                    .and_then(|word| word.split('/').next())
            }
            "a" => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                self.attribute(name, value)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &'a str) -> Result<(), Unusable> {
        let numbered = |what| {
            let (number, rest) = value.split_once(' ').ok_or(Unusable::Line(what))?;
            let number = number.parse::<u8>().ok().filter(|number| *number < 128);
            Ok((number.ok_or(Unusable::Line(what))?, rest.trim()))
        };
        match name {
            "ice-ufrag" => self.ufrag = Some(value),
            "ice-pwd" => self.password = Some(value),
            "fingerprint" if self.fingerprint.is_none() => self.fingerprint = Some(value),
            "setup" => self.setup = Some(value),
            "rtcp" => self.rtcp = Some(value),
            "rtcp-mux" => self.mux = true,
            "crypto" => self.crypto.push(value),
            "candidate" => self.components.extend(value.split_ascii_whitespace().nth(1)),
            "ptime" => self.packet_ms = value.trim().parse().ok().filter(|ms| (10..=60).contains(ms)),
            "rtpmap" => self.maps.push(numbered("rtpmap")?),
            // Some phones write `a=fmtp:*`; what is said of no format in particular changes none.
            "fmtp" => self.parameters.extend(numbered("fmtp").ok()),
            _ => {}
        }
        if self.maps.len() > MOST_FORMATS || self.parameters.len() > 2 * MOST_FORMATS {
            return Err(Unusable::TooManyFormats);
        }
        Ok(())
    }
}

impl Remote {
    pub(super) fn read(description: &Description) -> Result<Remote, Unusable> {
        let text = String::from_utf8_lossy(description.bytes());
        let (mut session, mut media) = (Found::default(), Vec::new());
        let (mut lines, mut bundle) = (Vec::<Line>::new(), "");
        let mut formats = Vec::new();
        for line in text.lines() {
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim_end();
            if kind == "m" {
                let words: Vec<_> = value.split_ascii_whitespace().collect();
                let [what, port, protocol, rest @ ..] = words.as_slice() else {
                    return Err(Unusable::Line("m-line"));
                };
                if rest.len() > MOST_FORMATS {
                    return Err(Unusable::TooManyFormats);
                }
                let port: u16 = port
                    .split('/')
                    .next()
                    .and_then(|port| port.parse().ok())
                    .ok_or(Unusable::Line("m-line"))?;
                lines.push(Line {
                    kind: (*what).into(),
                    protocol: (*protocol).into(),
                    format: rest.first().copied().unwrap_or("0").into(),
                    mid: None,
                    live: port != 0,
                });
                formats.push((port, rest.to_vec()));
                media.push(Found::default());
            } else if let (Some(line), Some(found)) = (lines.last_mut(), media.last_mut()) {
                match value.split_once(':') {
                    Some(("mid", mid)) if kind == "a" => line.mid = Some(mid.into()),
                    Some(_) | None if value == "bundle-only" => line.live = true,
                    Some(_) | None => found.line(kind, value)?,
                }
            } else if let Some(group) = value.strip_prefix("group:BUNDLE") {
                bundle = group;
            } else {
                session.line(kind, value)?;
            }
        }
        let audio = |line: &Line| line.kind == "audio";
        let carried = lines.iter().position(|line| audio(line) && line.live);
        let at = carried
            .or_else(|| lines.iter().position(audio))
            .ok_or(Unusable::NoAudio)?;
        let (Some(line), Some(found), Some((port, formats))) = (lines.get(at), media.get(at), formats.get(at)) else {
            return Err(Unusable::NoAudio);
        };
        let bundled = line
            .mid
            .as_ref()
            .is_some_and(|mid| bundle.split_ascii_whitespace().any(|word| word == mid));
        let live = line.live;
        let protected = if live {
            protected(line, found, &session)?
        } else {
            Protected::No
        };
        let host = found
            .address
            .or(session.address)
            .and_then(|host| host.parse::<IpAddr>().ok());
        let host = host.filter(|host| !host.is_unspecified());
        let address = host.filter(|_| *port != 0).map(|host| SocketAddr::new(host, *port));
        let ice = matches!(protected, Protected::Dtls { ice: Some(_), .. });
        Ok(Remote {
            audio: at,
            live,
            address: address.filter(|_| !ice),
            rtcp: address.filter(|_| !ice).map(|rtp| rtcp(rtp, found)),
            mux: found.mux,
            bundle: bundled,
            protected,
            payloads: codecs::read(formats, &found.maps, &found.parameters)?,
            direction: description.direction(),
            packet_ms: found.packet_ms.or(session.packet_ms).unwrap_or(20),
            lines,
        })
    }
}

fn rtcp(rtp: SocketAddr, found: &Found<'_>) -> SocketAddr {
    if found.mux {
        return rtp;
    }
    let mut words = found.rtcp.unwrap_or_default().split_ascii_whitespace();
    let port = words
        .next()
        .and_then(|port| port.parse().ok())
        .filter(|port| *port != 0);
    let host = words.nth(2).and_then(|host| host.parse().ok());
    SocketAddr::new(host.unwrap_or(rtp.ip()), port.unwrap_or(rtp.port().saturating_add(1)))
}

fn protected(line: &Line, found: &Found<'_>, session: &Found<'_>) -> Result<Protected, Unusable> {
    for component in &found.components {
        // RFC 8839 §5.1: 1 is RTP, 2 is RTCP, and nothing else belongs to audio.
        if !matches!(*component, "1" | "2") {
            return Err(Unusable::Line("candidate"));
        }
    }
    let fingerprint = found.fingerprint.or(session.fingerprint);
    match line.protocol.as_str() {
        "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => dtls(fingerprint.ok_or(Unusable::Fingerprint)?, found, session),
        "RTP/SAVP" | "RTP/SAVPF" | "RTP/AVP" | "RTP/AVPF" if fingerprint.is_some() && found.crypto.is_empty() => {
            dtls(fingerprint.unwrap_or_default(), found, session)
        }
        "RTP/SAVP" | "RTP/SAVPF" => {
            let keys: Vec<_> = found.crypto.iter().copied().filter_map(crypto).collect();
            if keys.is_empty() {
                Err(Unusable::Key)
            } else {
                Ok(Protected::Keys(keys))
            }
        }
        "RTP/AVP" | "RTP/AVPF" => Ok(Protected::No),
        _ => Err(Unusable::Line("transport protocol")),
    }
}

fn dtls(fingerprint: &str, found: &Found<'_>, session: &Found<'_>) -> Result<Protected, Unusable> {
    let (hash, octets) = fingerprint.split_once(' ').ok_or(Unusable::Line("fingerprint"))?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return Err(Unusable::Hash);
    }
    let mut read = [0; 32];
    let mut pairs = octets.trim().split(':');
    for octet in &mut read {
        let pair = pairs.next().filter(|pair| pair.len() == 2);
        let value = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *octet = value.ok_or(Unusable::Line("fingerprint"))?;
    }
    if pairs.next().is_some() {
        return Err(Unusable::Line("fingerprint"));
    }
    let setup = match found.setup.or(session.setup) {
        Some("active") => Setup::Active,
        Some("passive") => Setup::Passive,
        Some("actpass") | None => Setup::Either,
        Some(_) => return Err(Unusable::Line("setup")),
    };
    let ufrag = found.ufrag.or(session.ufrag);
    let password = found.password.or(session.password);
    let ice = match (ufrag, password) {
        (None, None) => None,
        // RFC 8839 §5.4.
        (Some(ufrag), Some(password)) if (4..=256).contains(&ufrag.len()) && (22..=256).contains(&password.len()) => {
            if !found.mux {
                return Err(Unusable::Mux);
            }
            Some((ufrag.into(), password.into()))
        }
        (Some(_) | None, Some(_) | None) => return Err(Unusable::Ice),
    };
    Ok(Protected::Dtls {
        fingerprint: Fingerprint(read),
        setup,
        ice,
    })
}

/// `<tag> <suite> inline:<key and salt>[|lifetime][|MKI:length] [parameters]`. With an MKI, or with session parameters that
/// change what is protected (RFC 4568 §6.3), the line is not for us.
fn crypto(value: &str) -> Option<Crypto> {
    let mut words = value.split_ascii_whitespace();
    let (tag, suite, key) = (words.next()?, words.next()?, words.next()?);
    if tag.len() > 9 || !tag.bytes().all(|octet| octet.is_ascii_digit()) || words.any(|word| word.starts_with("UN")) {
        return None;
    }
    let profile = match suite {
        "AEAD_AES_128_GCM" => SrtpProfile::AeadAes128Gcm,
        "AES_CM_128_HMAC_SHA1_80" => SrtpProfile::AesCm128HmacSha1_80,
        "AES_CM_128_HMAC_SHA1_32" => SrtpProfile::AesCm128HmacSha1_32,
        _ => return None,
    };
    let mut parts = key.strip_prefix("inline:")?.split('|');
    let key = secrets::read(profile, parts.next()?)?;
    if parts.any(|part| part.contains(':')) {
        return None;
    }
    Some(Crypto { tag: tag.into(), key })
}
