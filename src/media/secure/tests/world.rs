//! The edge's [`Secure`] and `str0m` as the browser, on one virtual network and one virtual clock.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::super::super::{DtlsRole, Fingerprint, IceCredentials, Security};
use super::super::{Arrived, Certificate, Kind, Secure, SecureEvent, Why, kind};

pub(super) const EDGE_SSRC: u32 = 0x0000_e09e;

pub(super) fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the beginning of virtual time")]
    Instant::now()
}

/// Behind contributing sources and header extension.
pub(super) fn payload(packet: &[u8]) -> &[u8] {
    let sources = 12 + 4 * usize::from(packet[0] & 0x0f);
    let extension = match packet[0] & 0x10 {
        0 => 0,
        _ => 4 + 4 * usize::from(packet[sources + 3]),
    };
    &packet[sources + extension..]
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse::<SocketAddr>().unwrap()
}

/// A certificate, made as the driver makes it.
pub(in super::super) fn certificate() -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    Certificate::from_der(certificate.der().to_vec(), &key.serialize_der()).unwrap()
}

/// One that offers nothing but this.
pub(super) fn certificate_with(profile: SrtpProtectionProfile) -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    Certificate::with_profiles(certificate.der().to_vec(), &key.serialize_der(), &[profile]).unwrap()
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) edge: Secure,
    pub(super) edge_address: SocketAddr,
    pub(super) browser: Rtc,
    /// The browser's own address, and the one that its NAT shows.
    pub(super) private: SocketAddr,
    pub(super) public: SocketAddr,
    pub(super) mid: Mid,
    pending: Option<SdpPendingOffer>,
    offer: SdpOffer,
    pub(super) edge_events: Vec<SecureEvent>,
    pub(super) browser_events: Vec<Event>,
    /// What the edge made of the browser's media, in order.
    pub(super) arrived: Vec<(Arrived, Vec<u8>)>,
    /// Every datagram of the browser, as it was on the wire.
    pub(super) wire: Vec<Vec<u8>>,
    /// Every datagram of the edge.
    pub(super) sent: Vec<(SocketAddr, Vec<u8>)>,
    /// While true, nothing of the browser reaches the edge.
    pub(super) cut: bool,
    /// Which of the handshake's datagrams are lost, either way.
    pub(super) lose: Range<u32>,
    handshake: u32,
    next_sequence: u64,
    edge_sequence: u16,
    version: u32,
    echo: bool,
}

/// What the edge answers to the browser's offer.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) role: DtlsRole,
    pub(super) local_ufrag: &'static str,
    pub(super) local_password: &'static str,
    /// What the answer says instead of the truth.
    pub(super) told_fingerprint: Option<Fingerprint>,
    pub(super) told_password: Option<&'static str>,
}

impl Default for Answering {
    fn default() -> Answering {
        Answering {
            role: DtlsRole::Passive,
            local_ufrag: "edgeufrag",
            local_password: "edge-password-of-22-characters",
            told_fingerprint: None,
            told_password: None,
        }
    }
}

impl World {
    /// A browser whose offer waits for [`World::answer`].
    pub(super) fn new(certificate: &Certificate) -> World {
        str0m::crypto::from_feature_flags().install_process_default();
        let now = epoch();
        let mut browser = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .build(now);
        let private = address("10.0.0.2:4000");
        browser.add_local_candidate(Candidate::host(private, "udp").unwrap());
        let mut change = browser.sdp_api();
        let mid = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = change.apply().unwrap();
        World {
            now,
            edge: Secure::new(now, &Security::None, certificate),
            edge_address: address("198.51.100.1:5000"),
            browser,
            private,
            public: private,
            mid,
            pending: Some(pending),
            offer,
            edge_events: Vec::new(),
            browser_events: Vec::new(),
            arrived: Vec::new(),
            wire: Vec::new(),
            sent: Vec::new(),
            cut: false,
            lose: 0..0,
            handshake: 0,
            next_sequence: 40_000,
            edge_sequence: 0,
            version: 0,
            echo: true,
        }
    }

    /// A browser and an edge that talk.
    pub(super) fn connected(role: DtlsRole) -> World {
        World::connected_with(role, &certificate())
    }

    pub(super) fn connected_with(role: DtlsRole, certificate: &Certificate) -> World {
        let mut world = World::new(certificate);
        let security = world.security(&Answering {
            role,
            ..Answering::default()
        });
        world.open(&security, certificate);
        world.answer(
            certificate,
            &Answering {
                role,
                ..Answering::default()
            },
        );
        world.advance(Duration::from_secs(3));
        assert!(
            world.edge.is_connected(),
            "edge: {:?} {:?}",
            world.edge_events,
            world.edge.counts()
        );
        assert!(world.browser.is_connected());
        world
    }

    pub(super) fn open(&mut self, security: &Security, certificate: &Certificate) {
        self.edge = Secure::new(self.now, security, certificate);
        self.edge_events.clear();
    }

    fn offered(&self, attribute: &str) -> String {
        let text = self.offer.to_sdp_string();
        let prefix = format!("a={attribute}:");
        let value = text.lines().find_map(|line| line.trim_end().strip_prefix(&prefix));
        value.unwrap_or_else(|| panic!("{attribute} in {text}")).to_owned()
    }

    /// What the edge knows after the browser's offer.
    pub(super) fn security(&self, answering: &Answering) -> Security {
        let fingerprint = self.offered("fingerprint");
        let digits = fingerprint.strip_prefix("sha-256 ").unwrap();
        let octets: Vec<u8> = digits
            .split(':')
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect();
        Security::Dtls {
            ice: Some(IceCredentials {
                local_ufrag: answering.local_ufrag.into(),
                local_password: answering.local_password.into(),
                remote_ufrag: self.offered("ice-ufrag").into(),
                remote_password: self.offered("ice-pwd").into(),
            }),
            role: Some(answering.role),
            fingerprint: Some(Fingerprint(octets.try_into().unwrap())),
        }
    }

    /// The browser hears the edge's answer.
    pub(super) fn answer(&mut self, certificate: &Certificate, answering: &Answering) {
        self.version += 1;
        let fingerprint = answering.told_fingerprint.unwrap_or(certificate.fingerprint());
        let hex: Vec<String> = fingerprint.0.iter().map(|octet| format!("{octet:02X}")).collect();
        let setup = match answering.role {
            DtlsRole::Active => "active",
            DtlsRole::Passive => "passive",
        };
        let text = format!(
            "v=0\r\no=- 1 {version} IN IP4 198.51.100.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\na=ice-lite\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:{mid}\r\na=sendrecv\r\n\
             a=setup:{setup}\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
             a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=ssrc:{EDGE_SSRC} cname:edge\r\n\
             a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n",
            version = self.version,
            mid = self.mid,
            ufrag = answering.local_ufrag,
            password = answering.told_password.unwrap_or(answering.local_password),
            fingerprint = hex.join(":"),
            ip = self.edge_address.ip(),
            port = self.edge_address.port(),
        );
        let answer = SdpAnswer::from_sdp_string(&text).unwrap();
        let pending = self.pending.take().unwrap();
        self.browser.sdp_api().accept_answer(pending, answer).unwrap();
    }

    /// The browser restarts ICE: its new offer waits for [`World::answer`].
    pub(super) fn restart_ice(&mut self) {
        let mut change = self.browser.sdp_api();
        change.ice_restart(true);
        let (offer, pending) = change.apply().unwrap();
        self.offer = offer;
        self.pending = Some(pending);
    }

    /// The browser sends a packet of Opus.
    pub(super) fn speak(&mut self, payload: &[u8]) {
        self.next_sequence += 1;
        let (sequence, now) = (self.next_sequence, self.now);
        let time = (sequence * 960) as u32;
        let mut direct = self.browser.direct_api();
        let stream = direct.stream_tx_by_mid(self.mid, None).unwrap();
        stream.write_rtp(RtpWrite::new(111.into(), sequence.into(), time, now, payload.to_vec()));
        self.advance(Duration::from_millis(20));
    }

    /// The edge sends a packet; false when it may not.
    pub(super) fn send(&mut self, payload: &[u8]) -> bool {
        self.edge_sequence = self.edge_sequence.wrapping_add(1);
        let mut packet = vec![0x80, 111];
        packet.extend_from_slice(&self.edge_sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.edge_sequence) * 960).to_be_bytes());
        packet.extend_from_slice(&EDGE_SSRC.to_be_bytes());
        packet.extend_from_slice(payload);
        let clear = packet.clone();
        let Some(to) = self.edge.remote().filter(|_| self.edge.protect_rtp(&mut packet)) else {
            return false;
        };
        assert_ne!(packet, clear, "nothing leaves in the clear");
        self.carry_to_browser(to, &packet);
        true
    }

    /// The edge sends a sender report.
    pub(super) fn report(&mut self) {
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend_from_slice(&EDGE_SSRC.to_be_bytes());
        packet.extend_from_slice(&[0xe8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]);
        let to = self.edge.remote().unwrap();
        assert!(self.edge.protect_rtcp(&mut packet));
        self.carry_to_browser(to, &packet);
        self.run();
    }

    /// Payloads of the edge's packets that the browser heard.
    pub(super) fn heard(&self) -> Vec<Vec<u8>> {
        let packets = self.browser_events.iter().filter_map(|event| {
            let Event::RtpPacket(packet) = event else { return None };
            Some(packet.payload.to_vec())
        });
        packets.collect()
    }

    /// RTP packets of the browser that the edge took.
    pub(super) fn taken(&self) -> Vec<Vec<u8>> {
        let taken = self.arrived.iter().filter(|(arrived, _)| *arrived == Arrived::Rtp);
        taken.map(|(_, packet)| packet.clone()).collect()
    }

    /// The browser's last RTP or DTLS datagram as it was on the wire.
    pub(super) fn last_on_wire(&self, wanted: Kind) -> Vec<u8> {
        self.wire
            .iter()
            .rfind(|datagram| kind(datagram) == wanted)
            .unwrap()
            .clone()
    }

    /// A datagram comes to the edge from somewhere.
    pub(super) fn inject(&mut self, from: SocketAddr, datagram: &[u8]) -> Arrived {
        let mut datagram = datagram.to_vec();
        let arrived = self.edge.handle_datagram(self.now, from, &mut datagram);
        self.run();
        arrived
    }

    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        loop {
            let browser = self.run();
            let edge = self.edge.poll_timeout();
            let next = [Some(browser), edge].into_iter().flatten().min().unwrap_or(end);
            // A timer that stays due would stop the clock.
            let next = next.max(self.now + Duration::from_millis(1));
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            self.browser.handle_input(Input::Timeout(self.now)).ok();
            if self.edge.poll_timeout().is_some_and(|at| at <= self.now) {
                self.edge.handle_timeout(self.now);
            }
        }
    }

    /// Carries datagrams until nobody has one; the browser's next timer.
    pub(super) fn run(&mut self) -> Instant {
        loop {
            while let Some(event) = self.edge.poll_event() {
                self.edge_events.push(event);
            }
            if let Some((to, datagram)) = self.edge.poll_transmit() {
                self.sent.push((to, datagram.clone()));
                self.carry_to_browser(to, &datagram);
                continue;
            }
            match self.browser.poll_output() {
                Ok(Output::Timeout(at)) => {
                    if self.edge.poll_event().is_some() {
                        unreachable!("events were drained");
                    }
                    return at;
                }
                Ok(Output::Event(event)) => self.browser_events.push(event),
                Ok(Output::Transmit(transmit)) if transmit.destination == self.edge_address => {
                    self.carry_to_edge(transmit.contents.to_vec());
                }
                Ok(Output::Transmit(_)) => {}
                Err(_) => return self.now + Duration::from_secs(3_600),
            }
        }
    }

    fn lost(&mut self, datagram: &[u8]) -> bool {
        if kind(datagram) != Kind::Dtls {
            return false;
        }
        self.handshake += 1;
        self.lose.contains(&(self.handshake - 1))
    }

    fn carry_to_browser(&mut self, to: SocketAddr, datagram: &[u8]) {
        if to != self.public || self.lost(datagram) {
            return;
        }
        let (source, destination) = (self.edge_address, self.private);
        let Ok(receive) = Receive::new(Protocol::Udp, source, destination, datagram) else {
            panic!("the browser cannot read {datagram:02x?}");
        };
        self.browser.handle_input(Input::Receive(self.now, receive)).ok();
    }

    fn carry_to_edge(&mut self, mut datagram: Vec<u8>) {
        if self.cut || self.lost(&datagram) {
            return;
        }
        self.wire.push(datagram.clone());
        let arrived = self.edge.handle_datagram(self.now, self.public, &mut datagram);
        match arrived {
            Arrived::Consumed => {}
            Arrived::Rtp | Arrived::Rtcp | Arrived::Dropped(_) => self.arrived.push((arrived, datagram.clone())),
        }
        if arrived == Arrived::Rtp && self.echo {
            let payload = payload(&datagram).to_vec();
            self.send(&payload);
        }
    }

    pub(super) fn dropped(&self, why: Why) -> usize {
        self.arrived
            .iter()
            .filter(|(arrived, _)| *arrived == Arrived::Dropped(why))
            .count()
    }
}
