//! Browsers that offer and shake hands, and what our side does for them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::driver::dtls_certificate;
use warmline::media::describe::{Choice, Endpoints, Kind, MediaSettings as Describing};
use warmline::media::secure::{Certificate, Secure};
use warmline::media::{
    Codec, DtlsRole, Endpoint, Hear, Local, LocalPort, MediaOutput, MediaSettings, Payload, Security, Sessions,
};
use warmline::sdp::{Description, Direction};
use warmline::vocabulary::LegHandle;

/// An audio offer with the lines of Chromium's.
const OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    a=extmap-allow-mixed\r\na=msid-semantic: WMS 5f8a\r\nm=audio 49170 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n\
    c=IN IP4 192.0.2.7\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=candidate:1 1 udp 2122260223 192.0.2.7 49170 typ host\r\n\
    a=candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active\r\na=ice-ufrag:EsAw\r\n\
    a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=ice-options:trickle\r\na=fingerprint:sha-256 \
    D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\n\
    a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
    a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendrecv\r\na=msid:5f8a 77c1\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
    a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
    a=rtpmap:126 telephone-event/8000\r\na=ssrc:3735928559 cname:4TOk42mSjXCkVIa6\r\na=ssrc:3735928559 msid:5f8a 77c1\r\n";
/// Whom the browser talks with.
const PHONE: &str = "v=0\r\no=q 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";
const PEER: LegHandle = LegHandle { slot: 0, generation: 0 };

fn leg(at: usize) -> LegHandle {
    LegHandle {
        slot: at as u32 + 1,
        generation: 0,
    }
}

pub(crate) struct Answers {
    endpoints: Endpoints,
    sessions: Sessions,
    now: Instant,
    phone: Description,
}

impl Answers {
    pub(crate) fn new() -> Answers {
        let now = Instant::now();
        let certificate = dtls_certificate().expect("a certificate");
        Answers {
            endpoints: Endpoints::new(Describing::default()),
            sessions: Sessions::new(MediaSettings::new(now), certificate),
            now,
            phone: Description::parse(PHONE.into()).expect("a description"),
        }
    }

    /// Nanoseconds an answer.
    pub(crate) fn timed(&mut self, count: usize) -> f64 {
        let offers = vec![OFFER; count];
        let mut ends = Vec::with_capacity(count);
        let begun = Instant::now();
        for (at, offer) in offers.into_iter().enumerate() {
            ends.push(self.answer_one(leg(at), Bytes::from_static(offer.as_bytes())));
        }
        let spent = begun.elapsed();
        for (at, end) in ends.iter().enumerate() {
            self.endpoints.close(leg(at), end);
            self.tell();
        }
        assert!(self.sessions.is_empty());
        spent.as_secs_f64() * 1e9 / count as f64
    }

    /// What callgrind counts: one offer, answered, and its leg open.
    #[inline(never)]
    fn answer_one(&mut self, leg: LegHandle, offer: Bytes) -> warmline::media::describe::OurEnd {
        let offer = Description::parse(offer).expect("a description");
        let address = [198, 51, 100, 1].into();
        let opened = self
            .endpoints
            .open(leg, Kind::of(&offer), address, Some([192, 0, 2, 7].into()));
        let mut end = opened.expect("an end");
        end.take(&offer, true).expect("an offer that can be answered");
        let choice = Choice {
            settings: &self.endpoints.settings,
            direction: Direction::SendRecv,
            hear: Hear::Leg(PEER),
            origin: (7, 1),
            first: true,
        };
        let (answer, _) = end.describe(&self.phone, choice, true).expect("an answer");
        assert!(answer.len() > 300);
        end.tell(&mut self.endpoints.commands);
        self.tell();
        end
    }

    fn tell(&mut self) {
        while let Some(command) = self.endpoints.commands.pop_front() {
            self.sessions.handle_command(self.now, command);
        }
        while self.sessions.poll_output().is_some() {}
    }
}

/// The handshake alone, without ICE: the party is where its description says.
pub(crate) struct Handshakes {
    sessions: Sessions,
    ours: Certificate,
    theirs: Certificate,
    now: Instant,
    spent: Duration,
}

impl Handshakes {
    pub(crate) fn new() -> Handshakes {
        let now = Instant::now();
        let (ours, theirs) = (dtls_certificate().expect("one"), dtls_certificate().expect("another"));
        Handshakes {
            sessions: Sessions::new(MediaSettings::new(now), ours.clone()),
            ours,
            theirs,
            now,
            spent: Duration::ZERO,
        }
    }

    /// Nanoseconds of ours a handshake.
    pub(crate) fn timed(&mut self, count: usize) -> f64 {
        self.spent = Duration::ZERO;
        for at in 0..count {
            self.shake(at);
        }
        for at in 0..count {
            let leg = leg(at);
            self.sessions
                .handle_command(self.now, warmline::media::MediaCommand::Close { leg });
        }
        while self.sessions.poll_output().is_some() {}
        self.spent.as_secs_f64() * 1e9 / count as f64
    }

    /// A leg that is described and shakes hands.
    fn shake(&mut self, at: usize) {
        let [_, _, high, low] = (at as u32).to_be_bytes();
        let remote = SocketAddr::from(([10, 0, high, low], 4_000));
        let port = 10_000 + 2 * (at % 25_000) as u16;
        let security = |role, of: &Certificate| Security::Dtls {
            ice: None,
            role: Some(role),
            fingerprint: Some(of.fingerprint()),
        };
        let endpoint = Box::new(endpoint(port, remote, security(DtlsRole::Passive, &self.theirs)));
        let command = warmline::media::MediaCommand::Endpoint { leg: leg(at), endpoint };
        self.sessions.handle_command(self.now, command);
        while self.sessions.poll_output().is_some() {}
        let mut browser = Secure::new(self.now, &security(DtlsRole::Active, &self.ours), &self.theirs);
        let edge = SocketAddr::from(([198, 51, 100, 1], port));
        browser.set_remote(self.now, Some(edge));
        while let Some((_, mut datagram)) = browser.poll_transmit() {
            let begun = Instant::now();
            let answers = ours(&mut self.sessions, self.now, (port, remote), &mut datagram);
            self.spent += begun.elapsed();
            for mut answer in answers {
                browser.handle_datagram(self.now, edge, &mut answer);
            }
        }
        assert!(browser.is_connected(), "no handshake");
    }
}

/// What callgrind counts.
#[inline(never)]
fn ours(sessions: &mut Sessions, now: Instant, from: (u16, SocketAddr), datagram: &mut Vec<u8>) -> Vec<Vec<u8>> {
    sessions.handle_datagram(now, Local::Rtp(from.0), from.1, datagram);
    let mut answers = Vec::new();
    while let Some(output) = sessions.poll_output() {
        if let MediaOutput::Send { octets, .. } = output {
            answers.push(octets.to_vec());
        }
    }
    answers
}

/// Bytes a leg whose handshake is done.
pub(crate) fn memory(count: usize) -> u64 {
    let mut handshakes = Handshakes::new();
    // What is touched once.
    handshakes.timed(50);
    let before = resident();
    (0..count).for_each(|at| handshakes.shake(at));
    resident().saturating_sub(before) / count as u64
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse::<u64>().ok());
    pages.unwrap_or_default() * 4_096
}

fn endpoint(port: u16, remote: SocketAddr, security: Security) -> Endpoint {
    let payloads = vec![Payload {
        number: 0,
        codec: Codec::Pcmu,
        parameters: "".into(),
    }];
    Endpoint {
        local: LocalPort::Own(port),
        remote: Some(remote),
        remote_rtcp: Some(remote),
        adopted: false,
        latch: false,
        source: Some(remote.ip()),
        security,
        receive: payloads.clone(),
        send: payloads,
        direction: Direction::SendRecv,
        ssrc: u32::from(port),
        cname: "edge".into(),
        packet_ms: 20,
    }
}
