//! Where a SIP URI leads (RFC 3263 §4, RFC 2782), as questions and answers: whoever has a resolver asks, this decides.
//!
//! | the URI has | asked |
//! |---|---|
//! | an address | nothing |
//! | a port | addresses of the host, over the transport that it names or UDP |
//! | a transport and no port | SRV of that transport, else addresses at its default port |
//! | neither | NAPTR, then SRV of what it names; else SRV of every transport of ours; else addresses at 5060 over UDP |
//!
//! The places come in the order in which they are to be tried. Among SRV records of one priority the weights are dice,
//! and the dice are seeded, so that a test throws them twice alike.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Transport;
use crate::sip::{Scheme, Uri};

/// More questions than any sane zone needs; a zone that goes on is not followed.
const MOST_QUESTIONS: usize = 32;
/// More places than anybody tries.
const MOST_PLACES: usize = 16;

/// What a URI says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Wanted {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port, where it is written.
    pub port: Option<u16>,
    /// The transport, where it is written.
    pub transport: Option<Transport>,
    /// A `sips:` URI: TLS, or nothing (RFC 3261 §26.2.2).
    pub secure: bool,
}

impl Wanted {
    /// Where a SIP URI leads: its `maddr` if it has one, else its host (RFC 3263 §4). `None` for a URI that names no
    /// host, and for a transport that we do not call anybody by.
    pub fn of(uri: &Uri) -> Option<Wanted> {
        let secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return None,
        };
        let transport = match uri.param("transport") {
            None => None,
            Some(word) => match (Transport::parse(word?)?, secure) {
                (Transport::Udp, false) => Some(Transport::Udp),
                (Transport::Tcp, false) => Some(Transport::Tcp),
                // RFC 3261 §26.2.2: `transport=tcp` in a sips URI means TLS over TCP.
                (Transport::Tls, _) | (Transport::Tcp, true) => Some(Transport::Tls),
                (Transport::Udp, true) | (Transport::Ws | Transport::Wss, _) => return None,
            },
        };
        let host = uri.param("maddr").flatten().unwrap_or(uri.host());
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Wanted {
            host: host.to_owned(),
            port: uri.port(),
            transport,
            secure,
        })
    }

    /// The one place that is meant, where the host is an address and nobody has to be asked.
    pub fn place(&self) -> Option<Place> {
        let ip = self.host.parse::<IpAddr>().ok()?;
        let transport = self.assumed();
        let address = SocketAddr::new(ip, self.port.unwrap_or(transport.default_port()));
        Some(Place { address, transport })
    }

    /// The transport where nothing says another one.
    pub fn assumed(&self) -> Transport {
        let default = if self.secure { Transport::Tls } else { Transport::Udp };
        self.transport.unwrap_or(default)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// A question for a resolver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// NAPTR records of this domain.
    Naptr(String),
    /// SRV records of this name.
    Srv(String),
    /// A and AAAA records of this host, in the resolver's order (RFC 6724).
    Addresses(String),
}

/// One NAPTR record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Naptr {
    /// Lower comes first, and a higher one is not looked at when a lower one fits.
    pub order: u16,
    /// Lower comes first within one order.
    pub preference: u16,
    /// `s` for those that lead to SRV records.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`.
    pub services: String,
    /// The name of the SRV records.
    pub replacement: String,
}

/// One SRV record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Srv {
    /// Lower comes first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host.
    pub target: String,
}

/// A resolver's answer; empty where the name has no such records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Records {
    /// To [`Query::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Query::Srv`].
    Srv(Vec<Srv>),
    /// To [`Query::Addresses`].
    Addresses(Vec<IpAddr>),
}

/// Where a message may be sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The address.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// What came of a look-up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where to try, the first one first; never empty.
    pub places: Vec<Place>,
    /// How long that is true: the shortest life of the records that led there.
    pub life: Duration,
}

/// Why a look-up found nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LookupFailed {
    /// The name servers have no place for it.
    #[error("No Address For")]
    NoSuchHost,
    /// No name server answered in time.
    #[error("No Answer From The Name Servers About")]
    NoAnswer,
    /// There are places, but no listener of ours can send there.
    #[error("No Listener Reaches")]
    OutOfReach,
}

impl LookupFailed {
    /// RFC 3261 §21.5.3, §21.5.4: a host that cannot be had is the next hop's fault, silent name servers are a passing one.
    pub fn status(self) -> u16 {
        match self {
            LookupFailed::NoSuchHost | LookupFailed::OutOfReach => 502,
            LookupFailed::NoAnswer => 503,
        }
    }

    /// The words for a Reason: what happened, and to which host.
    pub fn reason(self, host: &str) -> String {
        format!("{self} {host}")
    }
}

#[derive(Debug)]
enum Step {
    Naptr(String),
    Srv(Transport, String),
    Host(Transport, String, u16),
    /// The same, if SRV has said nothing.
    Otherwise(Transport, String, u16),
}

/// One search. Ask [`query`](Self::query), find out, tell [`answer`](Self::answer), until there is no question.
#[derive(Debug)]
pub struct Locate {
    host: String,
    ours: Vec<Transport>,
    steps: VecDeque<Step>,
    places: Vec<Place>,
    asked: usize,
    /// Whether SRV records were found, also those that say "not here".
    served: bool,
    secure: bool,
    seed: u64,
}

impl Locate {
    /// Begins. `ours` are the transports that we can send by, the favourite first.
    pub fn new(wanted: &Wanted, ours: &[Transport], seed: u64) -> Locate {
        let host = wanted.host.trim_end_matches('.').to_ascii_lowercase();
        let mut search = Locate {
            host: host.clone(),
            ours: ours.to_vec(),
            steps: VecDeque::new(),
            places: Vec::new(),
            asked: 0,
            served: false,
            secure: wanted.secure,
            seed,
        };
        let transport = wanted.assumed();
        let port = wanted.port.unwrap_or(transport.default_port());
        if let Ok(ip) = host.parse::<IpAddr>() {
            search.found(transport, SocketAddr::new(ip, port));
        } else if wanted.port.is_some() {
            search.steps.push_back(Step::Host(transport, host, port));
        } else if wanted.transport.is_some() {
            search.steps.extend(service(transport, &host));
            search.steps.push_back(Step::Otherwise(transport, host, port));
        } else {
            search.steps.push_back(Step::Naptr(host));
        }
        search
    }

    /// What must be known next; `None`: all is known.
    pub fn query(&mut self) -> Option<Query> {
        if self.served {
            self.steps.retain(|step| !matches!(step, Step::Otherwise(..)));
        }
        if self.asked >= MOST_QUESTIONS || self.places.len() >= MOST_PLACES {
            return None;
        }
        Some(match self.steps.front()? {
            Step::Naptr(name) => Query::Naptr(name.clone()),
            Step::Srv(_, name) => Query::Srv(name.clone()),
            Step::Host(_, host, _) | Step::Otherwise(_, host, _) => Query::Addresses(host.clone()),
        })
    }

    /// The answer to the last question; one of another kind counts as none.
    pub fn answer(&mut self, records: Records) {
        self.asked += 1;
        match (self.steps.pop_front(), records) {
            (Some(Step::Naptr(_)), Records::Naptr(records)) => self.naptr(records),
            (Some(Step::Naptr(_)), Records::Srv(_) | Records::Addresses(_)) => self.naptr(Vec::new()),
            (Some(Step::Srv(transport, _)), Records::Srv(records)) => self.srv(transport, records),
            (Some(Step::Host(transport, _, port) | Step::Otherwise(transport, _, port)), Records::Addresses(list)) => {
                for ip in list {
                    self.found(transport, SocketAddr::new(ip, port));
                }
            }
            (Some(_) | None, Records::Naptr(_) | Records::Srv(_) | Records::Addresses(_)) => {}
        }
    }

    /// Where to try, the first one first.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// RFC 3263 §4.1: of the services that we speak, in the domain's order.
    fn naptr(&mut self, mut records: Vec<Naptr>) {
        records.retain(|record| record.flags.eq_ignore_ascii_case("s"));
        records.sort_by_key(|record| (record.order, record.preference));
        let spoken = |record: Naptr| {
            let transport = match record.services.to_ascii_uppercase().as_str() {
                "SIP+D2U" => Transport::Udp,
                "SIP+D2T" => Transport::Tcp,
                "SIPS+D2T" => Transport::Tls,
                _ => return None,
            };
            (self.ours.contains(&transport) && (transport == Transport::Tls || !self.secure))
                .then_some(Step::Srv(transport, record.replacement))
        };
        let steps: Vec<Step> = records.into_iter().filter_map(spoken).collect();
        if steps.is_empty() {
            for transport in self.ours.iter().filter(|of| **of == Transport::Tls || !self.secure) {
                self.steps.extend(service(*transport, &self.host));
            }
        }
        self.steps.extend(steps);
        let last = if self.secure { Transport::Tls } else { Transport::Udp };
        self.steps
            .push_back(Step::Otherwise(last, self.host.clone(), last.default_port()));
    }

    /// RFC 2782: by priority, and within one by weight.
    fn srv(&mut self, transport: Transport, mut records: Vec<Srv>) {
        self.served |= !records.is_empty();
        records.retain(|record| !matches!(record.target.as_str(), "" | "."));
        // Those without weight come first, so that they have a chance when the dice say zero.
        records.sort_by_key(|record| (record.priority, record.weight));
        let mut hosts = Vec::new();
        while let Some(priority) = records.first().map(|record| record.priority) {
            let same = records.iter().take_while(|record| record.priority == priority);
            let sum: u64 = same.map(|record| u64::from(record.weight)).sum();
            let dice = self.throw() % (sum + 1);
            let mut running = 0;
            let chosen = records.iter().position(|record| {
                running += u64::from(record.weight);
                running >= dice
            });
            let record = records.remove(chosen.unwrap_or(0));
            hosts.push(Step::Host(transport, record.target, record.port));
        }
        for step in hosts.into_iter().rev() {
            self.steps.push_front(step);
        }
    }

    fn found(&mut self, transport: Transport, address: SocketAddr) {
        let place = Place { address, transport };
        if self.places.len() < MOST_PLACES && !self.places.contains(&place) {
            self.places.push(place);
        }
    }

    /// splitmix64.
    fn throw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The SRV name of a transport; WebSocket servers are not looked up.
fn service(transport: Transport, host: &str) -> Option<Step> {
    let prefix = match transport {
        Transport::Udp => "_sip._udp.",
        Transport::Tcp => "_sip._tcp.",
        Transport::Tls => "_sips._tcp.",
        Transport::Ws | Transport::Wss => return None,
    };
    Some(Step::Srv(transport, format!("{prefix}{host}")))
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
