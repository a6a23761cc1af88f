//! Where a party's packets may come from and where ours go: latching (LESSONS 38).
//!
//! A description names an address; behind a NAT it is the wrong one. So the first packet from the described host, or from
//! the host that the signalling comes from, tells the right one. Once: whoever comes later, from another address, is a
//! stranger, and only another description opens the choice again.
//!
//! | the endpoint | taken from | sent to |
//! |---|---|---|
//! | latches | the described or the signalling host: the first address that sends, and only it from then on | that address; until then the described one |
//! | does not latch | the described host: the first of its ports that sends (RFC 4961 is no must) | the described address, always |

use std::net::{IpAddr, SocketAddr};

use crate::media::Endpoint;

/// The addresses of one leg's RTP and RTCP.
#[derive(Debug)]
pub(super) struct Path {
    remote: Option<SocketAddr>,
    remote_rtcp: Option<SocketAddr>,
    latch: bool,
    source: Option<IpAddr>,
    /// Where RTP comes from.
    fixed: Option<SocketAddr>,
    /// Where RTCP comes from, when it has an address of its own.
    fixed_rtcp: Option<SocketAddr>,
}

impl Path {
    /// By a description.
    pub(super) fn new(endpoint: &Endpoint) -> Path {
        Path {
            remote: endpoint.remote.map(plain),
            remote_rtcp: endpoint.remote_rtcp.map(plain),
            latch: endpoint.latch,
            source: endpoint.source.map(|ip| ip.to_canonical()),
            fixed: None,
            fixed_rtcp: None,
        }
    }

    /// Another description: what it leaves as it was stays latched.
    pub(super) fn update(&mut self, endpoint: &Endpoint) {
        let new = Path::new(endpoint);
        let same = |path: &Path| (path.remote, path.latch, path.source);
        if same(&new) != same(self) {
            *self = new;
        } else if self.remote_rtcp != new.remote_rtcp {
            (self.remote_rtcp, self.fixed_rtcp) = (new.remote_rtcp, None);
        }
    }

    /// Whether RTP of this address is the party's, as far as an address can tell.
    pub(super) fn takes(&self, from: SocketAddr) -> bool {
        match self.fixed {
            Some(fixed) => fixed == from,
            None => self.is_known(from.ip()),
        }
    }

    /// An authenticated RTP packet came from here; true: the first one.
    pub(super) fn fix(&mut self, from: SocketAddr) -> bool {
        let first = self.fixed.is_none();
        self.fixed.get_or_insert(from);
        first
    }

    /// Whether RTCP of this address is the party's. It follows RTP: once that is fixed, from the same host only.
    pub(super) fn takes_rtcp(&self, from: SocketAddr) -> bool {
        match (self.fixed_rtcp, self.fixed) {
            (Some(fixed), _) => fixed == from,
            (None, Some(rtp)) => rtp.ip() == from.ip() || self.remote_rtcp == Some(from),
            (None, None) => self.is_known(from.ip()),
        }
    }

    /// An authenticated RTCP packet came from here.
    pub(super) fn fix_rtcp(&mut self, from: SocketAddr) {
        self.fixed_rtcp.get_or_insert(from);
    }

    /// Where RTP goes.
    pub(super) fn rtp(&self) -> Option<SocketAddr> {
        match self.latch {
            true => self.fixed.or(self.remote),
            false => self.remote,
        }
    }

    /// Whether both go the same way (rtcp-mux, RFC 5761).
    pub(super) fn is_mux(&self) -> bool {
        self.remote.is_some() && self.remote == self.remote_rtcp
    }

    /// Where RTCP goes.
    pub(super) fn rtcp(&self) -> Option<SocketAddr> {
        if self.is_mux() {
            return self.rtp();
        }
        match (self.latch, self.fixed_rtcp, self.fixed) {
            (true, Some(fixed), _) => Some(fixed),
            // Behind the NAT it has the same host, if not the same port.
            (true, None, Some(rtp)) => self.remote_rtcp.map(|rtcp| SocketAddr::new(rtp.ip(), rtcp.port())),
            (true, None, None) | (false, _, _) => self.remote_rtcp,
        }
    }

    fn is_known(&self, ip: IpAddr) -> bool {
        let described = self.remote.is_some_and(|remote| remote.ip() == ip);
        described || (self.latch && self.source == Some(ip))
    }
}

/// An IPv4 address that a dual-stack socket shows as IPv6, as itself.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::session::testing::endpoint;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn natted() -> Endpoint {
        Endpoint {
            remote: Some(at("192.168.1.5:4000")),
            remote_rtcp: Some(at("192.168.1.5:4001")),
            latch: true,
            source: Some(at("203.0.113.9:0").ip()),
            ..endpoint()
        }
    }

    #[test]
    fn a_natted_party_tells_its_address_once() {
        let mut path = Path::new(&natted());
        assert!(!path.takes(at("198.51.100.1:4000")));
        assert_eq!(path.rtp(), Some(at("192.168.1.5:4000")));
        assert!(path.takes(at("203.0.113.9:61000")));
        path.fix(at("203.0.113.9:61000"));
        path.fix(at("203.0.113.9:62000"));
        assert_eq!(path.rtp(), Some(at("203.0.113.9:61000")));
        assert!(!path.takes(at("203.0.113.9:62000")) && !path.takes(at("192.168.1.5:4000")));

        // RTCP follows: same host, then the port that sends.
        assert_eq!(path.rtcp(), Some(at("203.0.113.9:4001")));
        assert!(!path.takes_rtcp(at("198.51.100.1:4001")));
        path.fix_rtcp(at("203.0.113.9:61001"));
        assert_eq!(path.rtcp(), Some(at("203.0.113.9:61001")));
        assert!(!path.takes_rtcp(at("203.0.113.9:61002")));
    }

    #[test]
    fn only_another_description_opens_the_choice_again() {
        let mut path = Path::new(&natted());
        path.fix(at("203.0.113.9:61000"));
        path.update(&natted());
        assert!(!path.takes(at("203.0.113.9:62000")));
        path.update(&Endpoint {
            source: Some(at("203.0.113.77:0").ip()),
            ..natted()
        });
        assert!(path.takes(at("203.0.113.77:62000")));
    }

    #[test]
    fn without_latching_we_send_where_the_description_says() {
        let mut path = Path::new(&Endpoint {
            latch: false,
            ..natted()
        });
        assert!(!path.takes(at("203.0.113.9:61000")));
        assert!(path.takes(at("192.168.1.5:5000")));
        path.fix(at("192.168.1.5:5000"));
        assert!(!path.takes(at("192.168.1.5:5002")));
        assert_eq!(path.rtp(), Some(at("192.168.1.5:4000")));
        assert_eq!(path.rtcp(), Some(at("192.168.1.5:4001")));
    }

    #[test]
    fn multiplexed_rtcp_goes_the_way_of_rtp() {
        let mut path = Path::new(&Endpoint {
            remote_rtcp: natted().remote,
            ..natted()
        });
        path.fix(at("203.0.113.9:61000"));
        assert_eq!(path.rtcp(), Some(at("203.0.113.9:61000")));
        assert!(Path::new(&endpoint()).rtp().is_none());
    }
}
