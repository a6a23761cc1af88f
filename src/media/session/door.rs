//! What stands between a leg's sockets and its RTP: whose packets are taken, how they are opened, where ours go.
//!
//! | protection | whose packets | where ours go |
//! |---|---|---|
//! | none | by address ([`Path`]) | by [`Path`] |
//! | SDES, DTLS without ICE | by address, then by key; an address is learnt from what the key opened | by [`Path`] |
//! | DTLS behind ICE | from addresses that passed a check | the address that ICE chose, RTCP as well |

use std::net::SocketAddr;
use std::time::Instant;

use super::path::Path;
use crate::media::output::Outputs;
use crate::media::secure::{Arrived, Certificate, Kind, Secure, SecureEvent, kind};
use crate::media::{Endpoint, Local, MediaEvent, Security};
use crate::vocabulary::LegHandle;

/// The door of one leg.
#[derive(Debug)]
pub(super) struct Door {
    path: Path,
    lock: Lock,
}

enum Lock {
    Open,
    Keyed { secure: Box<Secure>, ice: bool },
}

impl std::fmt::Debug for Lock {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Lock::Open => "Open",
            Lock::Keyed { .. } => "Keyed",
        })
    }
}

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// The party's, in the clear now.
    Rtp,
    Rtcp,
    /// STUN or DTLS of the party: deadlines may have moved.
    Handshake,
    /// Not the party's.
    Refused,
}

impl Door {
    pub(super) fn new(now: Instant, endpoint: &Endpoint, certificate: &Certificate) -> Door {
        let path = Path::new(endpoint);
        let lock = Lock::new(now, endpoint, certificate, &path);
        Door { path, lock }
    }

    /// Another description. The same kind of protection keeps what it has: roll-over counters, an association.
    pub(super) fn update(&mut self, now: Instant, endpoint: &Endpoint, certificate: &Certificate) {
        self.path.update(endpoint);
        match (&mut self.lock, &endpoint.security) {
            (Lock::Open, Security::None) => {}
            (Lock::Keyed { secure, ice }, Security::Sdes { .. } | Security::Dtls { .. }) => {
                *ice = has_ice(endpoint);
                secure.update(now, &endpoint.security);
                if !*ice {
                    secure.set_remote(now, self.path.rtp());
                }
            }
            (Lock::Keyed { .. }, Security::None) | (Lock::Open, Security::Sdes { .. } | Security::Dtls { .. }) => {
                self.lock = Lock::new(now, endpoint, certificate, &self.path);
            }
        }
    }

    /// A datagram at one of the leg's sockets; the party's RTP and RTCP lie there in the clear afterwards.
    pub(super) fn enter(&mut self, now: Instant, local: Local, from: SocketAddr, packet: &mut Vec<u8>) -> Entered {
        let kind = match (kind(packet), local) {
            // A port for RTCP alone: nothing else is meant there.
            (Kind::Rtp | Kind::Dtls | Kind::Stun | Kind::Unknown, Local::Rtcp(_)) | (Kind::Unknown, _) => {
                return Entered::Refused;
            }
            (kind, Local::Rtp(_) | Local::Rtcp(_) | Local::Shared) => kind,
        };
        let own_rtcp = kind == Kind::Rtcp && !self.is_mux();
        match &mut self.lock {
            Lock::Keyed { secure, ice: true } => return entered(secure.handle_datagram(now, from, packet)),
            Lock::Open | Lock::Keyed { ice: false, .. } => {}
        }
        let known = if own_rtcp {
            self.path.takes_rtcp(from)
        } else {
            self.path.takes(from)
        };
        if !known {
            return Entered::Refused;
        }
        let entered = match &mut self.lock {
            Lock::Open => match kind {
                Kind::Rtp => Entered::Rtp,
                Kind::Rtcp => Entered::Rtcp,
                Kind::Stun | Kind::Dtls | Kind::Unknown => Entered::Refused,
            },
            Lock::Keyed { secure, .. } => {
                if kind == Kind::Dtls && !secure.is_connected() {
                    // Behind a NAT the handshake's first message tells where; its fingerprint tells who.
                    secure.set_remote(now, Some(from));
                }
                entered(secure.handle_datagram(now, from, packet))
            }
        };
        if entered == Entered::Rtcp && own_rtcp {
            self.path.fix_rtcp(from);
        }
        entered
    }

    /// A whole packet of RTP came from here: where there is no ICE, this is where the party is.
    pub(super) fn fix(&mut self, now: Instant, from: SocketAddr) {
        if self.path.fix(from)
            && let Lock::Keyed { secure, .. } = &mut self.lock
        {
            secure.set_remote(now, self.path.rtp());
        }
    }

    /// Whether this address has proved itself to ICE: its packets are this leg's, on a port that many share.
    pub(super) fn is_validated(&self, now: Instant, from: SocketAddr) -> bool {
        match &self.lock {
            Lock::Keyed { secure, ice: true } => secure.is_validated(now, from),
            Lock::Keyed { ice: false, .. } | Lock::Open => false,
        }
    }

    /// Whether the party knows enough to send: it has described itself.
    pub(super) fn is_described(&self) -> bool {
        match &self.lock {
            Lock::Keyed { secure, ice: true } => secure.is_connected(),
            Lock::Keyed { ice: false, .. } | Lock::Open => self.path.rtp().is_some(),
        }
    }

    /// Our names on a port that many share.
    pub(super) fn ufrags(&self) -> Vec<compact_str::CompactString> {
        match &self.lock {
            Lock::Keyed { secure, .. } => secure.local_ufrags().map(Into::into).collect(),
            Lock::Open => Vec::new(),
        }
    }

    /// Whether RTP and RTCP go the same way.
    pub(super) fn is_mux(&self) -> bool {
        // RFC 8834 §4.5: a browser's do.
        matches!(self.lock, Lock::Keyed { ice: true, .. }) || self.path.is_mux()
    }

    /// Where RTP goes, if it can go.
    pub(super) fn rtp(&self) -> Option<SocketAddr> {
        self.out(|path| path.rtp())
    }

    /// Where RTCP goes, if it can go.
    pub(super) fn rtcp(&self) -> Option<SocketAddr> {
        self.out(|path| path.rtcp())
    }

    fn out(&self, by_path: impl Fn(&Path) -> Option<SocketAddr>) -> Option<SocketAddr> {
        match &self.lock {
            Lock::Open => by_path(&self.path),
            Lock::Keyed { secure, .. } if !secure.is_connected() => None,
            Lock::Keyed { secure, ice: true } => secure.remote(),
            Lock::Keyed { ice: false, .. } => by_path(&self.path),
        }
    }

    /// Protects a packet of ours; false: it cannot go.
    pub(super) fn seal(&mut self, packet: &mut Vec<u8>) -> bool {
        match &mut self.lock {
            Lock::Open => true,
            Lock::Keyed { secure, .. } => secure.protect_rtp(packet),
        }
    }

    /// The same for RTCP.
    pub(super) fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        match &mut self.lock {
            Lock::Open => true,
            Lock::Keyed { secure, .. } => secure.protect_rtcp(packet),
        }
    }

    /// When a flight is repeated or consent runs out.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.lock {
            Lock::Open => None,
            Lock::Keyed { secure, .. } => secure.poll_timeout(),
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Lock::Keyed { secure, .. } = &mut self.lock
            && secure.poll_timeout().is_some_and(|at| at <= now)
        {
            secure.handle_timeout(now);
        }
    }

    /// Says goodbye where there is an association.
    pub(super) fn close(&mut self, now: Instant) {
        if let Lock::Keyed { secure, .. } = &mut self.lock {
            secure.close(now);
        }
    }

    /// What the protection has to send and to tell.
    pub(super) fn flush(&mut self, leg: LegHandle, local: Local, out: &mut Outputs) {
        let Lock::Keyed { secure, .. } = &mut self.lock else {
            return;
        };
        while let Some((to, octets)) = secure.poll_transmit() {
            out.send(local, to, octets);
        }
        while let Some(event) = secure.poll_event() {
            match event {
                // Packets tell by themselves that they flow; who closed its association says goodbye by SIP.
                SecureEvent::Connected | SecureEvent::Closed => {}
                SecureEvent::Failed(why) => out.event(MediaEvent::Failed { leg, why }),
            }
        }
    }
}

impl Lock {
    fn new(now: Instant, endpoint: &Endpoint, certificate: &Certificate, path: &Path) -> Lock {
        if endpoint.security == Security::None {
            return Lock::Open;
        }
        let mut secure = Box::new(Secure::new(now, &endpoint.security, certificate));
        if endpoint.adopted {
            secure.adopt();
        }
        let ice = has_ice(endpoint);
        if !ice {
            secure.set_remote(now, path.rtp());
        }
        Lock::Keyed { secure, ice }
    }
}

fn has_ice(endpoint: &Endpoint) -> bool {
    match &endpoint.security {
        Security::Dtls { ice, .. } => ice.is_some(),
        Security::None | Security::Sdes { .. } => false,
    }
}

fn entered(arrived: Arrived) -> Entered {
    match arrived {
        Arrived::Rtp => Entered::Rtp,
        Arrived::Rtcp => Entered::Rtcp,
        Arrived::Consumed => Entered::Handshake,
        Arrived::Dropped(_) => Entered::Refused,
    }
}
