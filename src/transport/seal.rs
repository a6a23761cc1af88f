//! The sealed text of a flow (RFC 5626 §5.2: a flow token that only its maker can make).
//!
//! A registrar's Path and a proxy's Record-Route carry the token as their user part, so that a request that comes back
//! along them names the very connection on which the phone is. The token is the flow in plain fields plus a 64-bit
//! SipHash-2-4 of them, in lower-case base32; whoever does not hold the key cannot aim us at an address.
//!
//! | field | octets |
//! |---|---|
//! | form: transport, and which addresses are IPv6 | 1 |
//! | local and remote: address (4 or 16), port (2), IPv6 scope (4) | 6 or 22 each |
//! | connection | 8 |
//! | MAC over all of the above | 8 |

use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use compact_str::CompactString;
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

use super::{Flow, Transport, base32};

const MAC: usize = 8;
/// Form, two IPv6 addresses with port and scope, connection, MAC.
const LONGEST: usize = 1 + 2 * 22 + 8 + MAC;
const LONGEST_TEXT: usize = base32::encoded_len(LONGEST);

/// Makes and opens flow tokens. Two nodes that share the key open each other's tokens.
#[derive(Clone)]
pub struct FlowSeal {
    keyed: SipHasher24,
}

impl FlowSeal {
    /// A seal by this key, which belongs to the cluster and must not be guessable.
    ///
    /// Connection numbers must not start again at the same value under the same key, or an old token names a new
    /// connection.
    pub fn new(key: [u8; 16]) -> FlowSeal {
        FlowSeal {
            keyed: SipHasher24::new_with_key(&key),
        }
    }

    /// The token of a flow: lower-case letters and digits, 47 of them for IPv4 and 98 for IPv6.
    ///
    /// An IPv6 address's flow label is not part of a flow's identity and is left out.
    pub fn token(&self, flow: &Flow) -> CompactString {
        let mut fields = Fields {
            octets: [0; LONGEST],
            length: 0,
        };
        let form = form_of(flow.transport)
            | if flow.local.is_ipv6() { LOCAL_V6 } else { 0 }
            | if flow.remote.is_ipv6() { REMOTE_V6 } else { 0 };
        fields.put(&[form]);
        fields.put_addr(&flow.local);
        fields.put_addr(&flow.remote);
        fields.put(&flow.connection.to_be_bytes());
        let mac = self.mac(fields.written());
        fields.put(&mac);
        let mut text = [0u8; LONGEST_TEXT];
        let length = base32::encode(fields.written(), &mut text);
        CompactString::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or_default()
    }

    /// The flow of a token that this key sealed; `None` for every other text.
    pub fn open(&self, token: &str) -> Option<Flow> {
        if token.len() > LONGEST_TEXT {
            return None;
        }
        let mut octets = [0u8; LONGEST];
        let octets = octets.get_mut(..token.len() * 5 / 8)?;
        base32::decode(token.as_bytes(), octets)?;
        let (fields, mac) = octets.split_at_checked(octets.len().checked_sub(MAC)?)?;
        // Compared in constant time, so that a forger learns nothing from how long we take.
        if !bool::from(self.mac(fields).ct_eq(mac)) {
            return None;
        }
        let mut rest = fields;
        let [form] = take::<1>(&mut rest)?;
        let transport = transport_of(form & !(LOCAL_V6 | REMOTE_V6))?;
        let local = take_addr(&mut rest, form & LOCAL_V6 != 0)?;
        let remote = take_addr(&mut rest, form & REMOTE_V6 != 0)?;
        let connection = u64::from_be_bytes(take::<8>(&mut rest)?);
        rest.is_empty().then_some(Flow {
            transport,
            local,
            remote,
            connection,
        })
    }

    fn mac(&self, fields: &[u8]) -> [u8; MAC] {
        let mut hasher = self.keyed;
        hasher.write(fields);
        hasher.finish().to_be_bytes()
    }
}

impl std::fmt::Debug for FlowSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlowSeal") // the key stays out of logs
    }
}

const LOCAL_V6: u8 = 0x80;
const REMOTE_V6: u8 = 0x40;

fn form_of(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    }
}

fn transport_of(form: u8) -> Option<Transport> {
    match form {
        0 => Some(Transport::Udp),
        1 => Some(Transport::Tcp),
        2 => Some(Transport::Tls),
        3 => Some(Transport::Ws),
        4 => Some(Transport::Wss),
        _ => None,
    }
}

struct Fields {
    octets: [u8; LONGEST],
    length: usize,
}

impl Fields {
    fn put(&mut self, field: &[u8]) {
        if let Some(place) = self.octets.get_mut(self.length..self.length + field.len()) {
            place.copy_from_slice(field);
            self.length += field.len();
        }
    }

    fn put_addr(&mut self, addr: &SocketAddr) {
        match addr {
            SocketAddr::V4(v4) => self.put(&v4.ip().octets()),
            SocketAddr::V6(v6) => {
                self.put(&v6.ip().octets());
                self.put(&v6.scope_id().to_be_bytes());
            }
        }
        self.put(&addr.port().to_be_bytes());
    }

    fn written(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*field)
}

fn take_addr(rest: &mut &[u8], v6: bool) -> Option<SocketAddr> {
    if v6 {
        let ip = Ipv6Addr::from(take::<16>(rest)?);
        let scope = u32::from_be_bytes(take::<4>(rest)?);
        let port = u16::from_be_bytes(take::<2>(rest)?);
        Some(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)))
    } else {
        let ip = Ipv4Addr::from(take::<4>(rest)?);
        let port = u16::from_be_bytes(take::<2>(rest)?);
        Some(SocketAddr::new(IpAddr::V4(ip), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows() -> Vec<Flow> {
        let v4 = "192.0.2.1:5060".parse().unwrap();
        let v6 = SocketAddr::V6(SocketAddrV6::new("fe80::7".parse().unwrap(), 61000, 0, 3));
        let mut flows = Vec::new();
        for transport in [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
        ] {
            for (local, remote) in [(v4, v4), (v4, v6), (v6, v4), (v6, v6)] {
                flows.push(Flow {
                    transport,
                    local,
                    remote,
                    connection: u64::MAX - 1,
                });
            }
        }
        flows
    }

    #[test]
    fn every_flow_comes_back() {
        let seal = FlowSeal::new([7; 16]);
        for flow in flows() {
            let token = seal.token(&flow);
            assert!(
                token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{token}"
            );
            assert_eq!(seal.open(&token), Some(flow), "{token}");
        }
        assert_eq!(seal.token(&flows()[0]).len(), 47);
        assert_eq!(seal.token(&flows()[3]).len(), 98);
    }

    #[test]
    fn a_token_with_any_letter_changed_is_refused() {
        let seal = FlowSeal::new([7; 16]);
        for flow in [flows()[0], flows()[3]] {
            let token = seal.token(&flow);
            for place in 0..token.len() {
                for letter in b"abyz27" {
                    let mut forged = token.as_bytes().to_vec();
                    if forged[place] != *letter {
                        forged[place] = *letter;
                        assert_eq!(seal.open(std::str::from_utf8(&forged).unwrap()), None);
                    }
                }
            }
        }
    }

    #[test]
    fn strangers_text_is_refused() {
        let seal = FlowSeal::new([7; 16]);
        let token = seal.token(&flows()[0]);
        assert_eq!(FlowSeal::new([6; 16]).open(&token), None);
        assert_eq!(seal.open(&token.to_ascii_uppercase()), None);
        assert_eq!(seal.open(&format!("{token}a")), None);
        for text in [
            "",
            "a",
            "alice",
            "1",
            "é",
            &"a".repeat(47),
            &"a".repeat(98),
            &"a".repeat(4096),
        ] {
            assert_eq!(seal.open(text), None);
        }
        for length in 0..token.len() {
            assert_eq!(seal.open(&token[..length]), None);
        }
    }
}
