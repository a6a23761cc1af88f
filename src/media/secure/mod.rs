//! How packets of one endpoint are protected: STUN and ICE, DTLS, SRTP, behind one door.
//!
//! [`Secure`] stands between the socket and the packet half's RTP: every datagram of the endpoint goes in, decrypted RTP and RTCP
//! come out; every packet of ours is protected on its way to the socket.
//!
//! **Owns** ICE-lite ([`kind`] and [`stun_username`] tell a shared port whose datagram it is), DTLS-SRTP, SRTP and SRTCP
//! with SDES or DTLS keys, and counts of what was refused. **Refuses** to learn an address from anything that is not authentic, to take
//! DTLS or media from an address that passed no check where there is ICE, to play what a party sent before its certificate was verified, and
//! to let anything of an unauthenticated datagram take memory.
//!
//! Sans-IO: time is an argument; randomness is in the [`Certificate`] and in the credentials that the describing half made.
//!
//! ```
//! use std::time::Instant;
//! use warmline::media::{Security, secure::{Arrived, Certificate, Secure}};
//!
//! let key = rcgen::KeyPair::generate()?;
//! let der = rcgen::CertificateParams::default().self_signed(&key)?.der().to_vec();
//! let certificate = Certificate::from_der(der, &key.serialize_der())?;
//!
//! let now = Instant::now();
//! let mut plain = Secure::new(now, &Security::None, &certificate);
//! let mut datagram = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
//! assert_eq!(plain.handle_datagram(now, "192.0.2.1:4000".parse()?, &mut datagram), Arrived::Rtp);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! RFC 7983 · 5761 · 8445 §2.5 · 8489 · 7675 · 5763 · 5764 · 8842 · 3711 · 7714 · 4568.

mod certificate;
mod demux;
mod dtls;
mod ice;
mod outcome;
mod srtp;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::{MediaFailure, Security, SrtpKey};
pub use certificate::{BadCertificate, Certificate};
pub use demux::{Kind, kind};
use dtls::{Dtls, Told};
pub use ice::stun_username;
use ice::{Checked, IceLite};
pub use outcome::{Arrived, Counts, SecureEvent, Why};
use srtp::{Receiver, Refused, Sender};

/// Answers and flights that wait for the socket; a driver that polls after every datagram has one or two.
const TRANSMITS: usize = 64;

/// The protection of one endpoint.
pub struct Secure {
    mode: Mode,
    sender: Option<Sender>,
    receiver: Option<Receiver>,
    /// The party may send with its old key until it has our answer; gone with the first packet under the new one.
    previous: Option<Receiver>,
    /// Where there is no ICE: where packets go, as the session learned it.
    remote: Option<SocketAddr>,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<SecureEvent>,
    counts: Counts,
    connected: bool,
    certificate: Certificate,
}

enum Mode {
    Plain,
    Sdes {
        ours: SrtpKey,
        theirs: Option<SrtpKey>,
    },
    Dtls {
        ice: Option<Box<IceLite>>,
        dtls: Box<Dtls>,
        heard_from: Option<SocketAddr>,
    },
}

impl Secure {
    /// Opens the protection of an endpoint.
    pub fn new(now: Instant, security: &Security, certificate: &Certificate) -> Secure {
        let mut secure = Secure {
            mode: Mode::Plain,
            sender: None,
            receiver: None,
            previous: None,
            remote: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counts: Counts::default(),
            connected: false,
            certificate: certificate.clone(),
        };
        secure.rebuild(now, security);
        secure
    }

    /// The party's stream goes on from a process before this one.
    pub fn adopt(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.adopt();
        }
    }

    /// Takes what a new description says. What did not change is kept: roll-over counters, the association, validated addresses.
    pub fn update(&mut self, now: Instant, security: &Security) {
        match (&mut self.mode, security) {
            (Mode::Plain, Security::None) => {}
            (
                Mode::Sdes { ours, theirs },
                Security::Sdes {
                    ours: our_new,
                    theirs: their_new,
                },
            ) => {
                if ours != our_new {
                    self.sender = Sender::new(our_new);
                    ours.clone_from(our_new);
                }
                if let Some(new) = their_new.as_ref().filter(|new| theirs.as_ref() != Some(new)) {
                    let old = std::mem::replace(&mut self.receiver, Receiver::new(new));
                    self.previous = old;
                    *theirs = Some(new.clone());
                }
            }
            (
                Mode::Dtls {
                    ice: Some(ice), dtls, ..
                },
                Security::Dtls {
                    ice: Some(credentials),
                    role,
                    fingerprint,
                },
            ) => {
                ice.update(now, credentials);
                let path = ice.selected().is_some();
                let told = dtls.update(now, *role, *fingerprint, path);
                self.tell(told);
            }
            (
                Mode::Dtls { ice: None, dtls, .. },
                Security::Dtls {
                    ice: None,
                    role,
                    fingerprint,
                },
            ) => {
                let told = dtls.update(now, *role, *fingerprint, self.remote.is_some());
                self.tell(told);
            }
            (Mode::Plain | Mode::Sdes { .. } | Mode::Dtls { .. }, _) => self.rebuild(now, security),
        }
        self.settle(now);
    }

    fn rebuild(&mut self, now: Instant, security: &Security) {
        (self.sender, self.receiver, self.previous) = (None, None, None);
        self.mode = match security {
            Security::None => Mode::Plain,
            Security::Sdes { ours, theirs } => {
                self.sender = Sender::new(ours);
                self.receiver = theirs.as_ref().and_then(Receiver::new);
                Mode::Sdes {
                    ours: ours.clone(),
                    theirs: theirs.clone(),
                }
            }
            Security::Dtls { ice, role, fingerprint } => Mode::Dtls {
                ice: ice.as_ref().map(|credentials| Box::new(IceLite::new(now, credentials))),
                dtls: Box::new(Dtls::new(&self.certificate, *role, *fingerprint)),
                heard_from: None,
            },
        };
        self.settle(now);
    }

    /// Where there is no ICE: where the party's packets come from and go to, by its description or as latched. DTLS is taken from nowhere else.
    pub fn set_remote(&mut self, now: Instant, remote: Option<SocketAddr>) {
        self.remote = remote;
        self.settle(now);
    }

    /// Where packets go now: ICE's nominated address, or what [`Secure::set_remote`] said.
    pub fn remote(&self) -> Option<SocketAddr> {
        match &self.mode {
            Mode::Dtls { ice: Some(ice), .. } => ice.selected(),
            Mode::Plain | Mode::Sdes { .. } | Mode::Dtls { ice: None, .. } => self.remote,
        }
    }

    /// Whether packets of this address are the party's, by an ICE check within the last 30 s.
    pub fn is_validated(&self, now: Instant, from: SocketAddr) -> bool {
        match &self.mode {
            Mode::Dtls { ice: Some(ice), .. } => ice.validated(now, from),
            Mode::Plain | Mode::Sdes { .. } | Mode::Dtls { ice: None, .. } => false,
        }
    }

    /// Our ufrags under which checks for this endpoint may come: two while ICE restarts. For the shared port's table.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        let ice = match &self.mode {
            Mode::Dtls { ice, .. } => ice.as_ref(),
            Mode::Plain | Mode::Sdes { .. } => None,
        };
        ice.into_iter()
            .flat_map(|ice| ice.local_ufrags())
            .map(|ufrag| ufrag.as_str())
    }

    /// What was refused so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether packets can be sent and received.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Takes a datagram of this endpoint. RTP and RTCP are decrypted where they lie; the tag is cut off.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &mut Vec<u8>) -> Arrived {
        let arrived = match kind(datagram) {
            Kind::Stun => self.stun(now, from, datagram),
            Kind::Dtls => self.dtls(now, from, datagram),
            Kind::Rtp => self.media(now, from, datagram, false),
            Kind::Rtcp => self.media(now, from, datagram, true),
            Kind::Unknown => Arrived::Dropped(Why::NotForUs),
        };
        if let Arrived::Dropped(why) = arrived {
            self.counts.count(why);
        }
        arrived
    }

    fn stun(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Arrived {
        let Mode::Dtls { ice: Some(ice), .. } = &mut self.mode else {
            return Arrived::Dropped(Why::NotForUs);
        };
        match ice.handle_stun(now, from, datagram) {
            Checked::Answer(answer) => {
                self.transmit(from, answer);
                self.settle(now);
                Arrived::Consumed
            }
            Checked::Ignored => Arrived::Consumed,
            Checked::Malformed => Arrived::Dropped(Why::Malformed),
            Checked::NotAuthentic => Arrived::Dropped(Why::NotAuthentic),
        }
    }

    fn dtls(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Arrived {
        let Mode::Dtls { ice, dtls, heard_from } = &mut self.mode else {
            return Arrived::Dropped(Why::NotForUs);
        };
        let (known, generation) = match ice {
            Some(ice) => (ice.validated(now, from), ice.generation_of(from)),
            None => (self.remote == Some(from), 0),
        };
        if !known {
            return Arrived::Dropped(Why::Stranger);
        }
        *heard_from = Some(from);
        let (told, useful) = dtls.handle_datagram(now, datagram, generation);
        self.tell(told);
        self.settle(now);
        if useful {
            Arrived::Consumed
        } else {
            Arrived::Dropped(Why::Malformed)
        }
    }

    fn media(&mut self, now: Instant, from: SocketAddr, datagram: &mut Vec<u8>, rtcp: bool) -> Arrived {
        let fine = if rtcp { Arrived::Rtcp } else { Arrived::Rtp };
        match &self.mode {
            Mode::Plain if datagram.len() < if rtcp { 8 } else { 12 } => return Arrived::Dropped(Why::Malformed),
            Mode::Plain => return fine,
            Mode::Dtls { ice: Some(ice), .. } if !ice.validated(now, from) => return Arrived::Dropped(Why::Stranger),
            Mode::Dtls { .. } | Mode::Sdes { .. } => {}
        }
        match self.open(datagram, rtcp) {
            None => Arrived::Dropped(Why::TooEarly),
            Some(Ok(())) => fine,
            Some(Err(Refused::Malformed)) => Arrived::Dropped(Why::Malformed),
            Some(Err(Refused::Replayed)) => Arrived::Dropped(Why::Replayed),
            Some(Err(Refused::NotAuthentic)) => Arrived::Dropped(Why::NotAuthentic),
        }
    }

    fn open(&mut self, datagram: &mut Vec<u8>, rtcp: bool) -> Option<Result<(), Refused>> {
        let receiver = self.receiver.as_mut()?;
        let Some(previous) = &mut self.previous else {
            return Some(receiver.open(datagram, rtcp));
        };
        // For the moment of a change of keys only: a failed attempt spoils the octets.
        let mut copy = datagram.clone();
        let opened = receiver.open(datagram, rtcp);
        if opened.is_ok() {
            self.previous = None;
            return Some(opened);
        }
        let with_old = previous.open(&mut copy, rtcp);
        if with_old.is_ok() {
            *datagram = copy;
            return Some(with_old);
        }
        Some(opened)
    }

    /// Protects an RTP packet in place (16 octets more at most); false when there is nowhere to send it or no key, or when its sequence
    /// number was used before.
    pub fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> bool {
        match (&self.mode, &mut self.sender) {
            (Mode::Plain, _) => true,
            (Mode::Sdes { .. }, Some(sender)) => sender.protect_rtp(packet),
            (Mode::Dtls { .. }, Some(sender)) if self.connected => sender.protect_rtp(packet),
            (Mode::Sdes { .. } | Mode::Dtls { .. }, _) => false,
        }
    }

    /// Protects a compound RTCP packet in place (20 octets more at most); false as for RTP.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        match (&self.mode, &mut self.sender) {
            (Mode::Plain, _) => true,
            (Mode::Sdes { .. }, Some(sender)) => sender.protect_rtcp(packet),
            (Mode::Dtls { .. }, Some(sender)) if self.connected => sender.protect_rtcp(packet),
            (Mode::Sdes { .. } | Mode::Dtls { .. }, _) => false,
        }
    }

    /// The next STUN or DTLS datagram to send, and whereto.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// The next thing that the packet half must know.
    pub fn poll_event(&mut self) -> Option<SecureEvent> {
        self.events.pop_front()
    }

    /// When [`Secure::handle_timeout`] must be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Plain | Mode::Sdes { .. } => None,
            Mode::Dtls { ice, dtls, .. } => [ice.as_ref().and_then(|ice| ice.poll_timeout()), dtls.poll_timeout()]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    /// Flights are repeated, consent runs out.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Mode::Dtls { ice, dtls, .. } = &mut self.mode else {
            return;
        };
        let lost = ice.as_mut().is_some_and(|ice| ice.handle_timeout(now));
        let told = dtls.handle_timeout(now);
        if lost {
            self.connected = false;
            self.events.push_back(SecureEvent::Failed(MediaFailure::Ice));
        }
        self.tell(told);
        self.settle(now);
    }

    /// Tells the party that the association is over (a DTLS close_notify), where there is one.
    pub fn close(&mut self, now: Instant) {
        if let Mode::Dtls { dtls, .. } = &mut self.mode {
            dtls.close(now);
        }
        self.settle(now);
        (self.sender, self.receiver, self.previous) = (None, None, None);
        self.connected = false;
    }

    fn tell(&mut self, told: Told) {
        match told {
            Told::Nothing => {}
            Told::Keys(established) => {
                self.sender = Sender::new(&established.ours);
                self.previous = std::mem::replace(&mut self.receiver, Receiver::new(&established.theirs));
            }
            Told::Closed => {
                self.lose_keys();
                self.events.push_back(SecureEvent::Closed);
            }
            Told::Failed(reason) => {
                self.lose_keys();
                self.events.push_back(SecureEvent::Failed(MediaFailure::Dtls(reason)));
            }
        }
    }

    fn lose_keys(&mut self) {
        (self.sender, self.receiver, self.previous) = (None, None, None);
        self.connected = false;
    }

    /// After anything happened: begins a handshake, sends its flights, and says when packets can flow.
    fn settle(&mut self, now: Instant) {
        let remote = self.remote();
        let mut flights = Vec::new();
        if let Mode::Dtls { dtls, heard_from, .. } = &mut self.mode {
            if remote.is_some() {
                dtls.path_is_there(now);
            }
            if let Some(to) = remote.or(*heard_from) {
                flights.extend(std::iter::from_fn(|| dtls.poll_transmit()).map(|flight| (to, flight)));
            }
        }
        for (to, flight) in flights {
            self.transmit(to, flight);
        }
        let keys = self.sender.is_some() && self.receiver.is_some();
        let ready = match &self.mode {
            Mode::Plain => true,
            Mode::Sdes { .. } => keys,
            Mode::Dtls { .. } => keys && remote.is_some(),
        };
        if ready && !self.connected {
            self.connected = true;
            self.events.push_back(SecureEvent::Connected);
        }
    }

    fn transmit(&mut self, to: SocketAddr, octets: Vec<u8>) {
        if self.transmits.len() < TRANSMITS {
            self.transmits.push_back((to, octets));
        }
    }
}
