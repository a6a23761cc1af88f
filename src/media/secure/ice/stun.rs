//! The part of STUN that an ICE-lite agent needs: reading binding requests, writing their answers (RFC 8489 §5, §14).
//!
//! Written here and not taken from `rtc-stun`, because a shared port reads STUN from strangers: this reader borrows
//! from the datagram and allocates nothing, checks MESSAGE-INTEGRITY and FINGERPRINT over exactly the octets that
//! RFC 8489 names, and ignores what comes after MESSAGE-INTEGRITY (§14.5). `rtc-stun` copies the message, makes a vector
//! per attribute, and rewrites the message's length while it checks.

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, Mac};
use sha1::Sha1;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;
/// RFC 8489 §14.7.
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// How many unknown attributes an answer lists.
const UNKNOWN_LISTED: usize = 8;

/// What is asked or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A binding request.
    Request,
    /// A binding indication: a keepalive (RFC 8445 §11).
    Indication,
    /// An answer, or a method that ICE does not know.
    Other,
}

/// A message whose structure and FINGERPRINT are right. Nothing of it is trusted before [`Message::authentic`].
#[derive(Debug)]
pub(super) struct Message<'a> {
    raw: &'a [u8],
    pub(super) class: Class,
    /// (local ufrag, remote ufrag), local being ours.
    pub(super) username: Option<(&'a str, &'a str)>,
    /// Where the attribute MESSAGE-INTEGRITY begins.
    integrity: Option<usize>,
    pub(super) priority: u32,
    pub(super) use_candidate: bool,
    /// The peer believes to be in the role of a controlled agent, which is ours.
    pub(super) controlled: bool,
    pub(super) controlling: bool,
    unknown: [u16; UNKNOWN_LISTED],
    unknown_count: usize,
}

impl<'a> Message<'a> {
    /// Reads a whole datagram; `None` unless it is one well-formed message that ends with a right FINGERPRINT.
    pub(super) fn read(raw: &'a [u8]) -> Option<Message<'a>> {
        let length = usize::from(be16(raw, 2)?);
        if raw.get(4..8)? != MAGIC_COOKIE || length % 4 != 0 || raw.len() != HEADER + length {
            return None;
        }
        let class = match be16(raw, 0)? {
            0x0001 => Class::Request,
            0x0011 => Class::Indication,
            _ => Class::Other,
        };
        let mut message = Message {
            raw,
            class,
            username: None,
            integrity: None,
            priority: 0,
            use_candidate: false,
            controlled: false,
            controlling: false,
            unknown: [0; UNKNOWN_LISTED],
            unknown_count: 0,
        };
        let mut at = HEADER;
        while at < raw.len() {
            let (kind, size) = (be16(raw, at)?, usize::from(be16(raw, at + 2)?));
            let value = raw.get(at + 4..at + 4 + size)?;
            if kind == FINGERPRINT {
                return (at + 8 == raw.len() && fingerprint_is_right(raw, at)?).then_some(message);
            }
            message.take(kind, value, at);
            at += 4 + size.next_multiple_of(4);
        }
        // RFC 8445 §7.1: every connectivity check ends with FINGERPRINT.
        None
    }

    fn take(&mut self, kind: u16, value: &'a [u8], at: usize) {
        // RFC 8489 §14.5: whatever follows MESSAGE-INTEGRITY is not covered by it and is ignored.
        if self.integrity.is_some() {
            return;
        }
        match kind {
            USERNAME if self.username.is_none() => self.username = username(value),
            MESSAGE_INTEGRITY if value.len() == 20 => self.integrity = Some(at),
            PRIORITY => self.priority = be32(value, 0).unwrap_or(0),
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLED => self.controlled = true,
            ICE_CONTROLLING => self.controlling = true,
            USERNAME | MESSAGE_INTEGRITY | 0x8000.. => {}
            // RFC 8489 §14: 0x0000 to 0x7fff must be understood.
            unknown => {
                if let Some(slot) = self.unknown.get_mut(self.unknown_count) {
                    *slot = unknown;
                    self.unknown_count += 1;
                }
            }
        }
    }

    /// Attributes that had to be understood and are not.
    pub(super) fn unknown(&self) -> &[u16] {
        self.unknown.get(..self.unknown_count).unwrap_or(&[])
    }

    /// Whether MESSAGE-INTEGRITY is there and made with this password (RFC 8489 §9.1.3, §14.5; compared in constant time).
    pub(super) fn authentic(&self, password: &str) -> bool {
        let Some(at) = self.integrity else { return false };
        let (Some(head), Some(body), Some(tag)) = (
            self.raw.get(..HEADER),
            self.raw.get(HEADER..at),
            self.raw.get(at + 4..at + 24),
        ) else {
            return false;
        };
        let Some(mut mac) = integrity(password) else {
            return false;
        };
        let mut head = <[u8; HEADER]>::try_from(head).unwrap_or_default();
        set_length(&mut head, at + 24 - HEADER);
        mac.update(&head);
        mac.update(body);
        mac.verify_slice(tag).is_ok()
    }
}

/// (local ufrag, remote ufrag) of a STUN message that looks like a check, and nothing verified: for finding the leg whose
/// [`Secure`](super::super::Secure) verifies it.
pub fn stun_username(datagram: &[u8]) -> Option<(&str, &str)> {
    if datagram.get(4..8)? != MAGIC_COOKIE {
        return None;
    }
    let mut at = HEADER;
    loop {
        let (kind, size) = (be16(datagram, at)?, usize::from(be16(datagram, at + 2)?));
        if kind == USERNAME {
            return username(datagram.get(at + 4..at + 4 + size)?);
        }
        at += 4 + size.next_multiple_of(4);
    }
}

/// RFC 8445 §7.1: the ufrag of who is asked, a colon, the ufrag of who asks; RFC 8839 §5.4: 4 to 256 characters each.
fn username(value: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(value)
        .ok()?
        .split_once(':')
        .filter(|(local, remote)| local.len() <= 256 && remote.len() <= 256)
}

/// What is answered to an authentic request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// Success, telling the peer where its request came from.
    Mapped(SocketAddr),
    /// 400.
    BadRequest,
    /// 420, with the attributes that are not understood.
    Unknown(&'a [u16]),
    /// 487: both sides believe to be controlled (RFC 8445 §7.3.1.1).
    RoleConflict,
}

/// An answer to `request`, with MESSAGE-INTEGRITY and FINGERPRINT: at most 120 octets.
pub(super) fn answer(request: &Message<'_>, answer: Answer<'_>, password: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let kind: u16 = match answer {
        Answer::Mapped(_) => 0x0101,
        Answer::BadRequest | Answer::Unknown(_) | Answer::RoleConflict => 0x0111,
    };
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(request.raw.get(4..HEADER).unwrap_or(&[0; 16]));
    match answer {
        Answer::Mapped(address) => mapped_address(&mut out, address),
        Answer::BadRequest => error(&mut out, 400, "Bad Request"),
        Answer::Unknown(attributes) => {
            error(&mut out, 420, "Unknown Attribute");
            let list: Vec<u8> = attributes.iter().flat_map(|kind| kind.to_be_bytes()).collect();
            attribute(&mut out, UNKNOWN_ATTRIBUTES, &list);
        }
        Answer::RoleConflict => error(&mut out, 487, "Role Conflict"),
    }
    seal(&mut out, password);
    out
}

/// Appends MESSAGE-INTEGRITY and FINGERPRINT and sets the length.
pub(super) fn seal(out: &mut Vec<u8>, password: &str) {
    let length = out.len() + 24 - HEADER;
    set_length(out, length);
    if let Some(mut mac) = integrity(password) {
        mac.update(out);
        let tag = mac.finalize().into_bytes();
        attribute(out, MESSAGE_INTEGRITY, &tag);
    }
    let length = out.len() + 8 - HEADER;
    set_length(out, length);
    let crc = crc32(out) ^ FINGERPRINT_XOR;
    attribute(out, FINGERPRINT, &crc.to_be_bytes());
}

fn error(out: &mut Vec<u8>, code: u16, reason: &str) {
    // RFC 8489 §14.8: hundreds and the rest in an octet each.
    let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
    value.extend_from_slice(reason.as_bytes());
    attribute(out, ERROR_CODE, &value);
}

/// RFC 8489 §14.2: port and address are XORed with the cookie, IPv6 with cookie and transaction id.
fn mapped_address(out: &mut Vec<u8>, address: SocketAddr) {
    let mut mask = [0; 16];
    if let Some(from) = out.get(4..HEADER) {
        mask.copy_from_slice(from);
    }
    let port = address.port() ^ u16::from_be_bytes([mask[0], mask[1]]);
    let octets = match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let family = if octets.len() == 4 { 1 } else { 2 };
    let mut value = vec![0, family];
    value.extend_from_slice(&port.to_be_bytes());
    value.extend(octets.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
    attribute(out, XOR_MAPPED_ADDRESS, &value);
}

pub(super) fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn integrity(password: &str) -> Option<Hmac<Sha1>> {
    Hmac::new_from_slice(password.as_bytes()).ok()
}

fn fingerprint_is_right(raw: &[u8], at: usize) -> Option<bool> {
    Some(be32(raw, at + 4)? == crc32(raw.get(..at)?) ^ FINGERPRINT_XOR)
}

fn set_length(head: &mut [u8], length: usize) {
    if let Some(field) = head.get_mut(2..4) {
        field.copy_from_slice(&(length as u16).to_be_bytes());
    }
}

fn be16(raw: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(raw.get(at..at + 2)?.try_into().ok()?))
}

fn be32(raw: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(raw.get(at..at + 4)?.try_into().ok()?))
}

/// ITU-T V.42's CRC, as RFC 8489 §14.7 wants it.
fn crc32(octets: &[u8]) -> u32 {
    let step = |crc: u32, octet: &u8| TABLE[usize::from(crc as u8 ^ octet)] ^ (crc >> 8);
    !octets.iter().fold(u32::MAX, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                0xedb8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
