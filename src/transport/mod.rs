//! Flows, framing and Via handling: what SIP says about moving messages, without a socket.
//!
//! **Owns** the words [`Transport`] and [`Flow`]; the cutting of byte streams into messages ([`StreamFramer`], RFC 3261
//! §18.3, keepalive of RFC 5626 §4.4.1); the stamping of a received request's top Via and the destination of its
//! responses ([`stamp`], [`response_flow`]: RFC 3261 §18.2, RFC 3581 §4); and the sealed text by which a flow comes back
//! to us in a Path or Record-Route ([`FlowSeal`], RFC 5626 §5.2).
//!
//! **Refuses** to open, read or write anything, to read the clock, and to name a destination that is multicast,
//! broadcast or unspecified ([`Flow::is_sendable`]). A Via's `maddr` and a `received` that came from the network are
//! never obeyed: they would let a stranger aim our responses.
//!
//! | what arrives | what it becomes |
//! |---|---|
//! | bytes of a TCP or TLS connection | whole messages, pings to answer, or an error that closes the stream |
//! | a request whose sent-by is its source and that asks for no rport | the same message, not copied |
//! | any other request | the message with `received` (and `rport`) in its top Via |
//! | a response to send | the same connection; over UDP the source address with the source port or sent-by's port |
//!
//! ```
//! use warmline::transport::{Flow, FlowSeal, Transport};
//!
//! let flow = Flow {
//!     transport: Transport::Tcp,
//!     local: "192.0.2.1:5060".parse().unwrap(),
//!     remote: "198.51.100.7:40312".parse().unwrap(),
//!     connection: 7,
//! };
//! let seal = FlowSeal::new([9; 16]);
//! let token = seal.token(&flow);
//! assert_eq!(seal.open(&token), Some(flow));
//! assert_eq!(FlowSeal::new([8; 16]).open(&token), None);
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub mod base32;
mod book;
mod framing;
pub mod locate;
mod network;
mod seal;
pub mod stun;
mod via;

pub use book::{Book, Named};
pub use framing::{Frame, FrameError, FrameErrorKind, INCOMPLETE_LIMIT, MESSAGE_LIMIT, PONG, StreamFramer};
pub use network::{LOOPBACK, Network, source_of};
pub use seal::FlowSeal;
pub(crate) use via::{Reception, stamped};
pub use via::{ViaParam, response_fallback, response_flow, stamp};

/// What carries a flow's messages (RFC 3261 §18; WebSocket: RFC 7118).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams: the only unreliable one, for which transactions retransmit.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// A WebSocket over TCP (RFC 7118).
    Ws,
    /// A WebSocket over TLS (RFC 7118).
    Wss,
}

impl Transport {
    /// The word of a Via's sent-protocol: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The value of a URI's `transport` parameter: the same word in lower case.
    pub fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// The transport that a Via or a URI parameter names, in any case; `None` for one that we do not speak.
    pub fn parse(word: &str) -> Option<Transport> {
        [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
        ]
        .into_iter()
        .find(|transport| word.eq_ignore_ascii_case(transport.as_str()))
    }

    /// Whether what is sent arrives or the flow fails; a transaction on such a flow never retransmits (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// The port that is meant when none is written (RFC 3261 §18.1.1, §19.1.2; RFC 7118 §5.2.2 for WebSocket).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One network association over which messages come and go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Our address and port.
    pub local: SocketAddr,
    /// The other side's address and port, as we see them (after its NAT).
    pub remote: SocketAddr,
    /// Which connection: 0 for UDP, and for "any connection to `remote`; open one if there is none".
    pub connection: u64,
}

impl Flow {
    /// Whether a message may be sent there: a port, and an address that is one host's (no multicast, broadcast or
    /// unspecified address, also when written as IPv6).
    pub fn is_sendable(&self) -> bool {
        self.remote.port() != 0
            && match self.remote.ip().to_canonical() {
                IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast() && !ip.is_unspecified(),
                IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
            }
    }

    /// Whether the failure of `failed` is this flow's failure too: the same association, or one of the two says "any
    /// connection to that remote".
    pub fn fails_with(&self, failed: &Flow) -> bool {
        self.transport == failed.transport
            && self.remote == failed.remote
            && if self.transport.is_reliable() {
                self.connection == failed.connection || self.connection == 0 || failed.connection == 0
            } else {
                self.local == failed.local
            }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}->{}", self.transport, self.local, self.remote)?;
        if self.connection != 0 {
            write!(f, " #{}", self.connection)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(transport: Transport, remote: &str, connection: u64) -> Flow {
        Flow {
            transport,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: remote.parse().unwrap(),
            connection,
        }
    }

    #[test]
    fn never_a_destination_that_is_not_one_host() {
        for remote in [
            "224.0.1.75:5060",
            "255.255.255.255:5060",
            "0.0.0.0:5060",
            "192.0.2.7:0",
            "[::]:5060",
            "[ff02::1]:5060",
            "[::ffff:224.0.0.1]:5060",
            "[::ffff:0.0.0.0]:5060",
        ] {
            assert!(!flow(Transport::Udp, remote, 0).is_sendable(), "{remote}");
        }
        for remote in ["192.0.2.7:5060", "[2001:db8::1]:5060", "127.0.0.1:1"] {
            assert!(flow(Transport::Udp, remote, 0).is_sendable(), "{remote}");
        }
    }

    #[test]
    fn a_connection_fails_alone_and_takes_those_with_it_that_named_none() {
        let seven = flow(Transport::Tcp, "198.51.100.7:5060", 7);
        assert!(seven.fails_with(&seven));
        assert!(!flow(Transport::Tcp, "198.51.100.7:5060", 8).fails_with(&seven));
        assert!(flow(Transport::Tcp, "198.51.100.7:5060", 0).fails_with(&seven));
        assert!(!flow(Transport::Tls, "198.51.100.7:5060", 7).fails_with(&seven));
        let udp = flow(Transport::Udp, "198.51.100.7:5060", 0);
        assert!(
            !Flow {
                local: "192.0.2.2:5060".parse().unwrap(),
                ..udp
            }
            .fails_with(&udp)
        );
    }

    #[test]
    fn words_go_both_ways() {
        for transport in [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
        ] {
            assert_eq!(Transport::parse(transport.param()), Some(transport));
            assert_eq!(transport.as_str().to_ascii_lowercase(), transport.param());
        }
        assert_eq!(Transport::parse("SCTP"), None);
    }
}
