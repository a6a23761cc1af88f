//! Who the edge is: its addresses in Via and Contact, and the times its legs keep.

use std::hash::Hasher;
use std::net::SocketAddr;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use siphasher::sip::SipHasher24;

use crate::transport::locate::Place;
use crate::transport::{Flow, Transport};
use crate::vocabulary::CallHandle;

/// Addresses, names and times of the edge.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where we listen.
    pub addresses: Vec<LocalAddress>,
    /// How long a party may ring.
    pub ring_timeout: Duration,
    /// How long we wait for what a party owes: the answer to a final NOTIFY, a BYE after Replaces.
    pub guard: Duration,
    /// The session interval that we ask for, in seconds (RFC 4028).
    pub session_expires: u32,
    /// The least that we take.
    pub min_se: u32,
    /// T1, T2 of RFC 3261.
    pub t1: Duration,
    /// See `t1`.
    pub t2: Duration,
    /// Seeds identifiers and back-off times.
    pub key: [u8; 16],
    /// By what a phone learns how an API names its call.
    pub label: Option<CallLabel>,
}

/// A header of our INVITEs to phones, and of our answers to theirs, that says how an API names the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLabel {
    /// Its name.
    pub header: CompactString,
    /// Its value, in which `{call}` stands for the call's handle and `{party}` for 1 (this party calls) or 2 (it is called).
    pub value: CompactString,
}

impl CallLabel {
    /// `{call}`: slot and generation, hexadecimal, with a `z` between them.
    pub(crate) fn text(&self, call: CallHandle, called: bool) -> CompactString {
        let handle = format_compact!("{:x}z{:x}", call.slot, call.generation);
        let party = if called { "2" } else { "1" };
        self.value.replace("{call}", &handle).replace("{party}", party).into()
    }
}

/// A listening address and how it is written into messages.
#[derive(Clone, Debug)]
pub struct LocalAddress {
    /// UDP, TCP, …
    pub transport: Transport,
    /// As bound.
    pub bound: SocketAddr,
    /// As others reach it: `192.0.2.1:5060`, `[2001:db8::1]:5060`.
    pub written: CompactString,
}

impl Identity {
    /// `host:port` for Via and Contact on this flow: the listener of its transport and address, else the first of its transport.
    pub fn host_port(&self, flow: &Flow) -> CompactString {
        let of_transport = || {
            self.addresses
                .iter()
                .filter(|address| address.transport == flow.transport)
        };
        of_transport()
            .find(|address| address.bound == flow.local)
            .or_else(|| of_transport().next())
            .map_or_else(|| format_compact!("{}", flow.local), |address| address.written.clone())
    }

    /// A flow of ours to a place: from the first listener of its transport and family, else from what is nearest to that.
    pub fn flow_to(&self, place: &Place) -> Flow {
        let remote = place.address;
        let of_transport = || {
            let fits = |address: &&LocalAddress| address.transport == place.transport;
            self.addresses.iter().filter(fits).map(|address| address.bound)
        };
        let local = of_transport()
            .find(|bound| bound.is_ipv4() == remote.is_ipv4())
            .or_else(|| of_transport().next())
            .or_else(|| self.addresses.first().map(|address| address.bound));
        Flow {
            transport: place.transport,
            local: local.unwrap_or(remote),
            remote,
            connection: 0,
        }
    }

    /// A flow that leads nowhere: of a leg whose place is not known yet.
    pub fn flow_nowhere(&self) -> Flow {
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        Flow {
            transport: Transport::Udp,
            local: address,
            remote: address,
            connection: 0,
        }
    }

    /// Our Contact on this flow, with the user part by which the party knows us.
    /// In a dialog that was asked for as sips it is a sips URI too (RFC 3261 §8.1.1.8, §12.1.1).
    pub fn contact(&self, flow: &Flow, user: Option<&str>, secure: bool) -> CompactString {
        let host = self.host_port(flow);
        let (user, at) = user.map_or(("", ""), |user| (user, "@"));
        if secure {
            return match flow.transport {
                Transport::Udp | Transport::Tcp | Transport::Tls => format_compact!("<sips:{user}{at}{host}>"),
                Transport::Ws | Transport::Wss => format_compact!("<sips:{user}{at}{host};transport=ws>"),
            };
        }
        match flow.transport {
            Transport::Udp => format_compact!("<sip:{user}{at}{host}>"),
            Transport::Tcp | Transport::Tls | Transport::Ws => {
                format_compact!("<sip:{user}{at}{host};transport={}>", flow.transport.param())
            }
            // RFC 7118 §8 registers `ws` as the parameter's value for both.
            Transport::Wss => format_compact!("<sip:{user}{at}{host};transport=ws>"),
        }
    }

    /// Whether this host and port (5060 if none) are ours.
    pub fn is_us(&self, host: &str, port: Option<u16>) -> bool {
        let Ok(ip) = host.trim_start_matches('[').trim_end_matches(']').parse() else {
            return false;
        };
        let address = SocketAddr::new(ip, port.unwrap_or(5060));
        self.addresses
            .iter()
            .any(|ours| ours.bound == address || ours.written == format_compact!("{address}"))
    }

    /// A token of 32 hex digits, different for each `serial` and not to be guessed without the key.
    pub fn token(&self, serial: u64) -> CompactString {
        format_compact!("{:016x}{:016x}", self.hash(serial, 1), self.hash(serial, 2))
    }

    /// A number that looks random, the same for the same `serial` and `use_`.
    pub fn hash(&self, serial: u64, use_: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(serial);
        hasher.write_u64(use_);
        hasher.finish()
    }
}
