//! STUN on the SIP port (RFC 5626 §4.4.2, RFC 8489): a phone behind a NAT asks for its address as a sign of life.
//!
//! Only a Binding request is answered, with XOR-MAPPED-ADDRESS and nothing else: 32 octets over IPv4, 44 over IPv6, so
//! that whoever forges a source gains 12 or 24 octets at most. The first two bits tell STUN from SIP (RFC 7983 §7).

use std::net::{IpAddr, SocketAddr};

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const BINDING_ERROR: [u8; 2] = [0x01, 0x11];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];
const ERROR_CODE: [u8; 2] = [0x00, 0x09];
const UNKNOWN_ATTRIBUTES: [u8; 2] = [0x00, 0x0a];

/// Whether a datagram is STUN and no SIP.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER
        && datagram.first().is_some_and(|octet| octet & 0xc0 == 0)
        && datagram.get(4..8) == Some(&COOKIE)
}

/// The answer to a Binding request from `source`; `None` for everything else.
///
/// A comprehension-required attribute that we do not know is 420 (RFC 8489 §6.3.1); only the first one is named.
pub fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    if !is_stun(datagram) || datagram.get(..2) != Some(&BINDING_REQUEST) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes(datagram.get(2..4)?.try_into().ok()?));
    let attributes = datagram.get(HEADER..)?;
    if length % 4 != 0 || attributes.len() != length {
        return None;
    }
    let transaction = datagram.get(8..HEADER)?;
    let (kind, body) = match unknown(attributes)? {
        Some(attribute) => (BINDING_ERROR, not_known(attribute)),
        None => (BINDING_SUCCESS, mapped(source, transaction)),
    };
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.extend_from_slice(&kind);
    out.extend_from_slice(&u16::try_from(body.len()).ok()?.to_be_bytes());
    out.extend_from_slice(&COOKIE);
    out.extend_from_slice(transaction);
    out.extend_from_slice(&body);
    Some(out)
}

/// The first attribute below 0x8000; a keepalive needs none. `None`: the attributes are no attributes.
fn unknown(mut attributes: &[u8]) -> Option<Option<[u8; 2]>> {
    while let Some((head, rest)) = attributes.split_first_chunk::<4>() {
        let [high, low, long, short] = *head;
        if high & 0x80 == 0 {
            return Some(Some([high, low]));
        }
        let padded = usize::from(u16::from_be_bytes([long, short])).next_multiple_of(4);
        attributes = rest.get(padded..)?;
    }
    attributes.is_empty().then_some(None)
}

fn not_known(attribute: [u8; 2]) -> Vec<u8> {
    let [high, low] = attribute;
    // Class 4, number 20, without a reason phrase; then the attribute, padded.
    let parts = [
        &ERROR_CODE[..],
        &[0, 4, 0, 0, 4, 20],
        &UNKNOWN_ATTRIBUTES,
        &[0, 2, high, low, 0, 0],
    ];
    parts.concat()
}

/// RFC 8489 §14.2: family, port and address under the cookie and the transaction id.
fn mapped(source: SocketAddr, transaction: &[u8]) -> Vec<u8> {
    let mask = || COOKIE.iter().chain(transaction);
    let under = |octets: &[u8]| {
        octets
            .iter()
            .zip(mask())
            .map(|(octet, mask)| octet ^ mask)
            .collect::<Vec<u8>>()
    };
    let (family, address) = match source.ip().to_canonical() {
        IpAddr::V4(ip) => (1, under(&ip.octets())),
        IpAddr::V6(ip) => (2, under(&ip.octets())),
    };
    let length = 4 + u8::try_from(address.len()).unwrap_or(16);
    let mut out = [&XOR_MAPPED_ADDRESS[..], &[0, length, 0, family]].concat();
    out.extend(under(&source.port().to_be_bytes()));
    out.extend(address);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 5769 §2.2 and §2.3: the transaction id of the test vectors and the addresses under it.
    const ID: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn request(attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        [&BINDING_REQUEST[..], &length, &COOKIE, &ID, attributes].concat()
    }

    #[test]
    fn the_mapped_addresses_of_rfc_5769() {
        let answered = answer(&request(&[]), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(answered[..2], BINDING_SUCCESS);
        assert_eq!(
            answered[20..],
            [0x00, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
        );
        let six = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        let answered = answer(&request(&[]), six).unwrap();
        let address = [
            0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(
            (&answered[20..28], &answered[28..]),
            (&[0, 0x20, 0, 20, 0, 2, 0xa1, 0x47][..], &address[..])
        );
    }

    #[test]
    fn only_whole_binding_requests_are_answered() {
        let source = "192.0.2.1:5060".parse().unwrap();
        let good = request(&[0x80, 0x22, 0, 3, b'x', b'y', b'z', 0]); // SOFTWARE may be ignored
        assert!(answer(&good, source).is_some());
        for cut in 0..good.len() {
            assert_eq!(answer(&good[..cut], source), None, "{cut}");
        }
        assert_eq!(answer(b"OPTIONS sip:x SIP/2.0\r\n\r\n", source), None);
        let response = answer(&good, source).unwrap();
        assert_eq!(
            answer(&response, source),
            None,
            "two of us would answer each other for ever"
        );
        assert_eq!(answer(&request(&[0x80, 0x22, 0, 9, 1, 2, 3, 4]), source), None);
        let error = answer(&request(&[0x00, 0x06, 0, 0]), source).unwrap();
        assert_eq!((&error[..2], error.len()), (&BINDING_ERROR[..], 36));
    }
}
