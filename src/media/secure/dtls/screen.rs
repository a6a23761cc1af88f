//! What of a datagram may reach the DTLS library (RFC 6347 §4.1, §4.2.3).
//!
//! DTLS 1.2 does not protect a handshake's records, so anybody who can write the party's address can write one. The library answers
//! an undecodable record or application data in the clear with a fatal alert, takes an alert in the clear for the
//! party's, and joins fragments by recursion. So records are looked at first: what no honest party sends is left out here,
//! as RFC 6347 §4.1.2.7 asks, and the rest is small enough for the library.

use bytes::BytesMut;

const RECORD_HEADER: usize = 13;
const HANDSHAKE_HEADER: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
pub(super) const CLIENT_HELLO: u8 = 1;

/// A chain of three certificates with RSA keys takes 4 KiB.
const MESSAGE: usize = 16 * 1024;
/// A handshake has 11 messages in each direction at most, and a second ClientHello.
const SEQUENCE: u16 = 24;
/// A fragment that is not the last one fills a datagram; shorter ones only make work.
const FRAGMENT: usize = 128;

/// What is left of a datagram.
#[derive(Debug, Default)]
pub(super) struct Screened {
    /// The records that may pass; empty when there are none.
    pub(super) records: BytesMut,
    /// A fatal alert in the clear (RFC 5246 §7.2): its description. Anybody may have written it.
    pub(super) alert: Option<u8>,
    /// The first ClientHello of a handshake is among them.
    pub(super) client_hello: bool,
    /// Records that were left out.
    pub(super) left_out: usize,
}

/// Sorts the records of a datagram.
pub(super) fn screen(datagram: &[u8]) -> Screened {
    let mut out = Screened::default();
    let mut rest = datagram;
    while !rest.is_empty() {
        let Some((record, behind)) = next_record(rest) else {
            out.left_out += 1;
            break;
        };
        rest = behind;
        match admit(record) {
            Admitted::Yes => out.records.extend_from_slice(record),
            Admitted::ClientHello => {
                out.client_hello = true;
                out.records.extend_from_slice(record);
            }
            Admitted::Alert(description) => out.alert = Some(description),
            Admitted::No => out.left_out += 1,
        }
    }
    out
}

enum Admitted {
    Yes,
    ClientHello,
    Alert(u8),
    No,
}

pub(super) fn next_record(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = datagram.first_chunk::<RECORD_HEADER>()?;
    let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
    datagram.split_at_checked(RECORD_HEADER + length)
}

fn admit(record: &[u8]) -> Admitted {
    let Some((header, body)) = record.split_first_chunk::<RECORD_HEADER>() else {
        return Admitted::No;
    };
    let epoch = u16::from_be_bytes([header[3], header[4]]);
    // DTLS 1.2, or 1.0 as a first ClientHello's record may say (RFC 6347 §4.1).
    if header[1] != 254 || !matches!(header[2], 253 | 255) || body.is_empty() {
        return Admitted::No;
    }
    match (epoch, header[0]) {
        (0, CHANGE_CIPHER_SPEC) if body == [1] => Admitted::Yes,
        (0, ALERT) => match body {
            [2, description] => Admitted::Alert(*description),
            _ => Admitted::No,
        },
        (0, HANDSHAKE) => handshake(record),
        // There is no renegotiation, so there is no third epoch. The library drops what it cannot decrypt.
        (1, ALERT | HANDSHAKE | APPLICATION_DATA) => Admitted::Yes,
        _ => Admitted::No,
    }
}

/// Every message of a handshake record is whole or a sensible fragment.
fn handshake(record: &[u8]) -> Admitted {
    let Some(mut fragments) = fragments(record) else {
        return Admitted::No;
    };
    let mut client_hello = false;
    for fragment in fragments.by_ref() {
        let Fragment {
            kind,
            length,
            sequence,
            offset,
            size,
        } = fragment;
        let end = offset + size;
        let sensible = end == length || (end < length && size >= FRAGMENT);
        if length > MESSAGE || sequence > SEQUENCE || !sensible || (size == 0 && length != 0) {
            return Admitted::No;
        }
        client_hello |= kind == CLIENT_HELLO && sequence == 0;
    }
    match (fragments.rest.is_empty(), client_hello) {
        (false, _) => Admitted::No,
        (true, true) => Admitted::ClientHello,
        (true, false) => Admitted::Yes,
    }
}

/// A handshake message's header (RFC 6347 §4.2.2).
pub(super) struct Fragment {
    pub(super) kind: u8,
    pub(super) length: usize,
    pub(super) sequence: u16,
    pub(super) offset: usize,
    pub(super) size: usize,
}

/// The messages of a handshake record in the clear; what is left in `rest` is broken.
pub(super) struct Fragments<'a> {
    rest: &'a [u8],
}

/// `None` for any other record.
pub(super) fn fragments(record: &[u8]) -> Option<Fragments<'_>> {
    match record.split_first_chunk::<RECORD_HEADER>()? {
        ([HANDSHAKE, _, _, 0, 0, ..], rest) => Some(Fragments { rest }),
        _ => None,
    }
}

impl Iterator for Fragments<'_> {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        let (header, behind) = self.rest.split_first_chunk::<HANDSHAKE_HEADER>()?;
        let fragment = Fragment {
            kind: header[0],
            length: be24([header[1], header[2], header[3]]),
            sequence: u16::from_be_bytes([header[4], header[5]]),
            offset: be24([header[6], header[7], header[8]]),
            size: be24([header[9], header[10], header[11]]),
        };
        self.rest = behind.get(fragment.size..)?;
        Some(fragment)
    }
}

fn be24([a, b, c]: [u8; 3]) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}
