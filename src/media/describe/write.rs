//! Our description for a party, as text.
//!
//! RFC 8866 §9 (order of lines) · RFC 3264 §6 (refused lines keep their place) · RFC 8839 §5.3 (`a=ice-lite`), RFC 8829 §5.2.1
//! (what a browser wants to read) · RFC 9143 §7.3.3 (refused lines are in no bundle).

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use compact_str::CompactString;

use super::codecs;
use super::read::Line;
use super::secrets;
use crate::media::{Fingerprint, Payload, SrtpKey, SrtpProfile};
use crate::sdp::Direction;

/// What is written of our protection.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    No,
    Keys(Vec<(CompactString, SrtpKey)>),
    Dtls {
        fingerprint: Fingerprint,
        setup: &'static str,
        ice: Option<(CompactString, CompactString)>,
    },
}

/// Everything that stands in a description of ours, but the origin.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) protocol: &'a str,
    pub(super) shown: Shown,
    pub(super) lines: &'a [Line],
    /// Which line is ours; all others are refused.
    pub(super) audio: usize,
    pub(super) live: bool,
    pub(super) bundle: bool,
    pub(super) mux: bool,
    pub(super) payloads: &'a [Payload],
    pub(super) direction: Direction,
    pub(super) packet_ms: u8,
    pub(super) ssrc: u32,
    pub(super) cname: &'a str,
}

impl Text<'_> {
    /// What stands behind the o-line.
    pub(super) fn tail(&self) -> String {
        let mut out = String::with_capacity(1_024);
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        out.push_str("s=-\r\n");
        write_connection(out, self.address)?;
        out.push_str("t=0 0\r\n");
        let ice = matches!(self.shown, Shown::Dtls { ice: Some(_), .. });
        if ice {
            out.push_str("a=ice-lite\r\n");
        }
        let ours = self.lines.get(self.audio);
        if self.bundle
            && self.live
            && let Some(mid) = ours.and_then(|line| line.mid.as_ref())
        {
            write!(out, "a=group:BUNDLE {mid}\r\n")?;
        }
        for (at, line) in self.lines.iter().enumerate() {
            if at == self.audio && self.live {
                self.audio(out, line)?;
            } else {
                write!(out, "m={} 0 {} {}\r\n", line.kind, line.protocol, line.format)?;
                if let Some(mid) = &line.mid {
                    write!(out, "a=mid:{mid}\r\n")?;
                }
                out.push_str("a=inactive\r\n");
            }
        }
        Ok(())
    }

    fn audio(&self, out: &mut String, line: &Line) -> fmt::Result {
        write!(out, "m=audio {} {}", self.port, self.protocol)?;
        for payload in self.payloads {
            write!(out, " {}", payload.number)?;
        }
        out.push_str("\r\n");
        if let Some(mid) = &line.mid {
            write!(out, "a=mid:{mid}\r\n")?;
        }
        write!(out, "a={}\r\n", self.direction)?;
        for payload in self.payloads {
            write!(out, "a=rtpmap:{} {}\r\n", payload.number, codecs::map(&payload.codec))?;
            if !payload.parameters.is_empty() {
                write!(out, "a=fmtp:{} {}\r\n", payload.number, payload.parameters)?;
            }
        }
        write!(out, "a=ptime:{}\r\n", self.packet_ms)?;
        if self.mux {
            out.push_str("a=rtcp-mux\r\n");
        }
        match &self.shown {
            Shown::No => Ok(()),
            Shown::Keys(keys) => {
                for (tag, key) in keys {
                    write!(
                        out,
                        "a=crypto:{tag} {} inline:{}\r\n",
                        suite(key.profile),
                        secrets::inline(key)
                    )?;
                }
                Ok(())
            }
            Shown::Dtls {
                fingerprint,
                setup,
                ice,
            } => {
                out.push_str("a=fingerprint:sha-256 ");
                for (at, octet) in fingerprint.0.iter().enumerate() {
                    write!(out, "{}{octet:02X}", if at == 0 { "" } else { ":" })?;
                }
                write!(out, "\r\na=setup:{setup}\r\n")?;
                match ice {
                    Some((ufrag, password)) => self.ice(out, ufrag, password),
                    None => Ok(()),
                }
            }
        }
    }

    fn ice(&self, out: &mut String, ufrag: &str, password: &str) -> fmt::Result {
        let (address, port) = (self.address, self.port);
        write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n")?;
        // RFC 8839 §5.1: a host candidate, RTP only (RTCP is multiplexed), with the highest preferences.
        write!(out, "a=candidate:1 1 udp 2130706431 {address} {port} typ host\r\n")?;
        out.push_str("a=end-of-candidates\r\n");
        write!(
            out,
            "a=msid:{cname} {cname}\r\na=ssrc:{ssrc} cname:{cname}\r\n",
            cname = self.cname,
            ssrc = self.ssrc
        )
    }
}

fn write_connection(out: &mut String, address: IpAddr) -> fmt::Result {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    write!(out, "c=IN {family} {address}\r\n")
}

fn suite(profile: SrtpProfile) -> &'static str {
    match profile {
        SrtpProfile::AeadAes128Gcm => "AEAD_AES_128_GCM",
        SrtpProfile::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        SrtpProfile::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
    }
}

/// `v=` and `o=`, which stand before the tail.
pub(super) fn head(id: u64, version: u64) -> String {
    format!("v=0\r\no=- {id} {version} IN IP4 127.0.0.1\r\n")
}
