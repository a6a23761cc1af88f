//! A browser's peer connection with a socket of its own: `str0m`, which shares no code with the edge.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};
use warmline::media::{
    Codec, DtlsRole, Endpoint, Fingerprint, IceCredentials, LocalPort, Payload, Security, secure::Certificate,
};

/// Longer than any handshake takes.
const PATIENCE: Duration = Duration::from_secs(10);
const PASSWORD: &str = "edge-password-of-22-characters";

pub(crate) struct Browser {
    rtc: Rtc,
    socket: UdpSocket,
    mid: Mid,
    offer: SdpOffer,
    pending: Option<SdpPendingOffer>,
    sequence: u64,
    /// Payloads that it heard.
    pub(crate) heard: Vec<Vec<u8>>,
    ssrcs: Vec<u32>,
    connected: bool,
    began: Instant,
}

impl Browser {
    pub(crate) fn new() -> Browser {
        str0m::crypto::from_feature_flags().install_process_default();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let now = Instant::now();
        let builder = Rtc::builder().set_rtp_mode(true).clear_codecs();
        let mut rtc = builder.enable_opus(true, false).build(now);
        let candidate = Candidate::host(socket.local_addr().unwrap(), "udp").unwrap();
        rtc.add_local_candidate(candidate);
        let mut change = rtc.sdp_api();
        let mid = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = change.apply().unwrap();
        Browser {
            rtc,
            socket,
            mid,
            offer,
            pending: Some(pending),
            sequence: 40_000,
            heard: Vec::new(),
            ssrcs: Vec::new(),
            connected: false,
            began: now,
        }
    }

    fn offered(&self, attribute: &str) -> String {
        let text = self.offer.to_sdp_string();
        let prefix = format!("a={attribute}:");
        let value = text.lines().find_map(|line| line.trim_end().strip_prefix(&prefix));
        value.expect("an attribute").to_owned()
    }

    /// The edge's endpoint for this browser, under this name on the shared port.
    pub(crate) fn endpoint(&self, ufrag: &str, ssrc: u32) -> Endpoint {
        let fingerprint = self.offered("fingerprint");
        let digits = fingerprint.strip_prefix("sha-256 ").unwrap().split(':');
        let octets: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let payloads = vec![Payload {
            number: 111,
            codec: Codec::Opus,
            parameters: "minptime=10;useinbandfec=1".into(),
        }];
        Endpoint {
            local: LocalPort::Shared,
            remote: None,
            remote_rtcp: None,
            adopted: false,
            latch: false,
            source: None,
            security: Security::Dtls {
                ice: Some(IceCredentials {
                    local_ufrag: ufrag.into(),
                    local_password: PASSWORD.into(),
                    remote_ufrag: self.offered("ice-ufrag").into(),
                    remote_password: self.offered("ice-pwd").into(),
                }),
                role: Some(DtlsRole::Passive),
                fingerprint: Some(Fingerprint(octets.try_into().unwrap())),
            },
            receive: payloads.clone(),
            send: payloads,
            direction: warmline::sdp::Direction::SendRecv,
            ssrc,
            cname: "edge".into(),
            packet_ms: 20,
        }
    }

    /// Hears the edge's answer and connects.
    pub(crate) fn connect(&mut self, endpoint: &Endpoint, edge: SocketAddr, certificate: &Certificate) {
        let Security::Dtls { ice: Some(ice), .. } = &endpoint.security else {
            panic!("a browser has ICE");
        };
        let octets = certificate.fingerprint().0;
        let hex: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\na=ice-lite\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:{mid}\r\na=sendrecv\r\n\
             a=setup:passive\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{PASSWORD}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
             a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=ssrc:{ssrc} cname:edge\r\n\
             a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n",
            mid = self.mid,
            ufrag = ice.local_ufrag,
            fingerprint = hex.join(":"),
            ssrc = endpoint.ssrc,
            ip = edge.ip(),
            port = edge.port(),
        );
        let answer = SdpAnswer::from_sdp_string(&text).unwrap();
        let pending = self.pending.take().unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
        self.until(|browser| browser.connected);
    }

    /// Sends a packet of Opus.
    pub(crate) fn speak(&mut self, payload: &[u8]) {
        self.sequence += 1;
        let (sequence, time) = (self.sequence, (self.sequence * 960) as u32);
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(self.mid, None).unwrap();
        stream.write_rtp(RtpWrite::new(
            111.into(),
            sequence.into(),
            time,
            Instant::now(),
            payload.to_vec(),
        ));
        // It goes out at the next look at the clock.
        while self.step().is_none() {}
        self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
        while self.step().is_none() {}
    }

    /// Takes in what comes until it is so.
    pub(crate) fn until(&mut self, so: impl Fn(&Browser) -> bool) {
        self.began = Instant::now();
        while !so(self) {
            assert!(self.began.elapsed() < PATIENCE, "the browser waits in vain");
            if let Some(at) = self.step() {
                self.receive(at);
            }
        }
    }

    /// Every stream that it was sent.
    pub(crate) fn ssrcs(&self) -> &[u32] {
        &self.ssrcs
    }

    /// One output; its next timer when there is no more.
    fn step(&mut self) -> Option<Instant> {
        match self.rtc.poll_output().unwrap() {
            Output::Timeout(at) => return Some(at),
            Output::Transmit(datagram) => {
                self.socket.send_to(&datagram.contents, datagram.destination).unwrap();
            }
            Output::Event(Event::Connected) => self.connected = true,
            Output::Event(Event::RtpPacket(packet)) => {
                let ssrc = *packet.header.ssrc;
                if !self.ssrcs.contains(&ssrc) {
                    self.ssrcs.push(ssrc);
                }
                self.heard.push(packet.payload.to_vec());
            }
            Output::Event(_) => {}
        }
        None
    }

    /// Waits for a datagram, at most until its timer.
    fn receive(&mut self, timer: Instant) {
        let wait = timer.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(50));
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut octets = [0; 2_048];
        let Ok((length, from)) = self.socket.recv_from(&mut octets) else {
            self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
            return;
        };
        let to = self.socket.local_addr().unwrap();
        if let Ok(receive) = Receive::new(Protocol::Udp, from, to, &octets[..length]) {
            self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
        }
    }
}
