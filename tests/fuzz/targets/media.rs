//! Datagrams at the media ports: STUN, DTLS, SRTP, SRTCP, RTP, RTCP, from the described party and from strangers.
//!
//! Five legs: plain (latching), two in SDES (the keys are known to the target, which can seal what the input says, so that
//! octets get behind the authentication), a browser by ICE and DTLS, and a third party in a hub. Each stretch of the input,
//! cut at 0xff, is one step.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use warmline::driver::dtls_certificate;
use warmline::media::describe::{Choice, Endpoints, Kind, MediaSettings as Described};
use warmline::media::secure::{Certificate, Secure};
use warmline::media::{
    Codec, Endpoint, Hear, Heard, Hears, IceCredentials, Local, LocalPort, MediaCommand, MediaOutput, MediaSettings,
    Member, Payload, RecordingName, Security, Sessions, SrtpKey, SrtpProfile, rtcp, rtp,
};
use warmline::sdp::{Description, Direction};
use warmline::vocabulary::{CallHandle, LegHandle};

use super::octets::{Octets, stretches};

const PASSWORD: &str = "edge-password-of-22-characters";
const LEGS: [LegHandle; 5] = [leg(0), leg(1), leg(2), leg(3), leg(4)];
const HUB: CallHandle = CallHandle { slot: 1, generation: 1 };
/// Of all answers to one datagram, beside what it makes others hear.
const MOST_ANSWERS: usize = 64;

const fn leg(slot: u32) -> LegHandle {
    LegHandle { slot, generation: 1 }
}

pub(super) fn run(input: &[u8]) {
    let _ = (rtp::Header::read(input), warmline::media::secure::stun_username(input));
    rtcp::read(input, |_| {});
    let mut desk = Desk::new();
    for stretch in stretches(input).take(40) {
        desk.step(Octets::new(stretch));
    }
    desk.advance(Duration::from_secs(61));
    for leg in LEGS {
        desk.command(MediaCommand::Close { leg });
    }
    // The describing half ends a hub as well.
    desk.command(MediaCommand::Mix {
        call: HUB,
        members: Vec::new(),
    });
    assert!(desk.sessions.is_empty(), "endpoints that are left");
    desk.advance(Duration::from_secs(61));
    assert_eq!(desk.sessions.poll_timeout(), None, "a deadline of nobody's");
}

/// What a description says is taken by an end of ours, described to another party, and told to the packet half.
pub(super) fn described(description: &Description) {
    let mut endpoints = Endpoints::new(Described::default());
    let kind = Kind::of(description);
    let here = "192.0.2.1".parse().expect("an address");
    let Ok(mut end) = endpoints.open(LEGS[0], kind, here, Some(here)) else {
        return;
    };
    if end.take(description, true).is_err() {
        return;
    }
    let settings = Described::default();
    let choice = Choice {
        settings: &settings,
        direction: Direction::SendRecv,
        hear: Hear::Leg(LEGS[1]),
        origin: (u64::MAX, u64::MAX - 1),
        first: true,
    };
    if let Ok((text, _)) = end.describe(description, choice, true) {
        let ours = Description::parse(text).expect("what we describe can be read");
        assert_eq!(
            ours.media_count(),
            description.media_count(),
            "RFC 3264 §6: as many m-lines as the offer"
        );
    }
    endpoints.close(LEGS[0], &end);
    let mut desk = Desk::bare();
    for command in endpoints.commands.drain(..) {
        desk.command(command);
    }
    assert_eq!(endpoints.ports_taken(), 0);
}

struct Desk {
    start: Instant,
    now: Instant,
    sessions: Sessions,
    /// The party's side of the two legs in SDES.
    parties: [Secure; 2],
}

impl Desk {
    fn bare() -> Desk {
        #[expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]
        let start = Instant::now();
        let party = |at: u8| {
            let security = Security::Sdes {
                ours: key(at, profile(at)),
                theirs: Some(key(100 + at, profile(at))),
            };
            Secure::new(start, &security, certificate())
        };
        Desk {
            start,
            now: start,
            sessions: Sessions::new(MediaSettings::new(start), certificate().clone()),
            parties: [party(1), party(2)],
        }
    }

    fn new() -> Desk {
        let mut desk = Desk::bare();
        for leg in LEGS {
            let endpoint = Box::new(endpoint(leg));
            desk.command(MediaCommand::Endpoint { leg, endpoint });
        }
        for (one, other) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            let what = Hear::Leg(LEGS[other]);
            desk.command(MediaCommand::Hear { leg: LEGS[one], what });
        }
        desk
    }

    fn step(&mut self, mut octets: Octets<'_>) {
        let (what, at) = (octets.next(), usize::from(octets.next()) % LEGS.len());
        let from = match what & 0x10 {
            0 => party(LEGS[at]),
            _ => SocketAddr::from(([203, 0, 113, 66], 9)),
        };
        let local = match (at, what & 0x20) {
            (3, _) => Local::Shared,
            (_, 0) => Local::Rtp(port(LEGS[at])),
            _ => Local::Rtcp(port(LEGS[at])),
        };
        match what & 0x0f {
            0..=5 => self.datagram(local, from, octets.some(1_500).to_vec()),
            6 | 7 => self.sealed(at, local, from, octets.some(1_400)),
            8 | 9 => self.check(from, octets.some(400)),
            10 => self.talk(at, local, from, &mut octets),
            11 => self.advance(Duration::from_millis(u64::from(octets.next()) * 50)),
            12 => self.command(MediaCommand::Mix {
                call: HUB,
                members: members(&mut octets),
            }),
            13 => self.command(MediaCommand::Record {
                leg: LEGS[at],
                name: RecordingName("recording".into()),
            }),
            14 => self.command(MediaCommand::Digits {
                leg: LEGS[at],
                digits: String::from_utf8_lossy(octets.some(20)).as_ref().into(),
            }),
            _ => {
                let mut changed = endpoint(LEGS[at]);
                changed.direction = octets.pick(&[Direction::SendRecv, Direction::Inactive, Direction::RecvOnly]);
                changed.packet_ms = octets.pick(&[20, 10, 0, 255]);
                let endpoint = Box::new(changed);
                self.command(MediaCommand::Endpoint {
                    leg: LEGS[at],
                    endpoint,
                });
            }
        }
    }

    fn command(&mut self, command: MediaCommand) {
        self.sessions.handle_command(self.now, command);
        self.perform();
    }

    fn datagram(&mut self, local: Local, from: SocketAddr, mut octets: Vec<u8>) {
        self.sessions.handle_datagram(self.now, local, from, &mut octets);
        let answered = self.perform();
        assert!(answered <= MOST_ANSWERS, "{answered} packets for one");
    }

    /// What the party itself would send, with any content.
    fn sealed(&mut self, at: usize, local: Local, from: SocketAddr, content: &[u8]) {
        let mut packet = content.to_vec();
        let party = &mut self.parties[at % 2];
        let good = match rtp::is_rtcp(&packet) {
            true => party.protect_rtcp(&mut packet),
            false => party.protect_rtp(&mut packet),
        };
        if good {
            self.datagram(local, from, packet);
        }
    }

    /// RTP with any numbers, near their wrap among them (LESSONS 42).
    fn talk(&mut self, at: usize, local: Local, from: SocketAddr, octets: &mut Octets<'_>) {
        let header = rtp::Header {
            marker: octets.next() & 1 == 1,
            payload_type: octets.pick(&[0, 8, 101, 111, 13, 127]),
            sequence: u16::from_be_bytes([octets.next(), octets.next()]),
            timestamp: u32::from_be_bytes([octets.next(), octets.next(), 0xff, octets.next()]),
            ssrc: u32::from(octets.next() & 1),
        };
        let mut packet = Vec::new();
        header.write(octets.some(400), &mut packet);
        match at {
            1 | 2 => self.sealed(at - 1, local, from, &packet),
            _ => self.datagram(local, from, packet),
        }
    }

    /// A connectivity check with these attributes, authentic.
    fn check(&mut self, from: SocketAddr, attributes: &[u8]) {
        let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        message.extend_from_slice(b"transaction1");
        attribute(&mut message, 6, b"edgeufrag:partyufrag");
        let whole = attributes.len() / 4 * 4;
        message.extend_from_slice(&attributes[..whole]);
        set_length(&mut message, 24);
        let mut mac = Hmac::<Sha1>::new_from_slice(PASSWORD.as_bytes()).expect("any length");
        mac.update(&message);
        let tag = mac.finalize().into_bytes();
        attribute(&mut message, 8, &tag);
        set_length(&mut message, 8);
        let print = crc32(&message) ^ 0x5354_554e;
        attribute(&mut message, 0x8028, &print.to_be_bytes());
        self.datagram(Local::Shared, from, message);
    }

    fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        let mut turns = 0;
        while let Some(at) = self.sessions.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.sessions.handle_timeout(self.now);
            self.perform();
            turns += 1;
            let spent = self.now - self.start;
            assert!(turns < 100_000, "time stands still at {spent:?}");
        }
        self.now = until;
    }

    /// Takes what is to be done; how many datagrams.
    fn perform(&mut self) -> usize {
        let mut sent = 0;
        while let Some(output) = self.sessions.poll_output() {
            match output {
                MediaOutput::Send { octets, to, local } => {
                    assert!(to.port() != 0, "{} octets to {to} by {local:?}", octets.len());
                    sent += 1;
                }
                MediaOutput::Bind(_) | MediaOutput::Unbind(_) | MediaOutput::Event(_) | MediaOutput::Record(_) => {}
            }
        }
        sent
    }
}

fn members(octets: &mut Octets<'_>) -> Vec<Member> {
    let count = usize::from(octets.next()) % (LEGS.len() + 1);
    (0..count)
        .map(|_| Member {
            leg: octets.pick(&LEGS),
            heard: octets.pick(&[Heard::ByAll, Heard::ByNobody, Heard::By(LEGS[0])]),
            hears: match octets.next() & 1 {
                0 => Hears::All,
                _ => Hears::Nothing,
            },
        })
        .collect()
}

fn party(leg: LegHandle) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 10 + leg.slot as u8], 4_000))
}

fn port(leg: LegHandle) -> u16 {
    40_000 + 2 * leg.slot as u16
}

fn profile(at: u8) -> SrtpProfile {
    match at {
        1 => SrtpProfile::AesCm128HmacSha1_80,
        _ => SrtpProfile::AeadAes128Gcm,
    }
}

fn key(seed: u8, profile: SrtpProfile) -> SrtpKey {
    let length = match profile {
        SrtpProfile::AeadAes128Gcm => 28,
        SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => 30,
    };
    SrtpKey {
        profile,
        key_and_salt: Bytes::from(vec![seed; length]),
    }
}

fn endpoint(leg: LegHandle) -> Endpoint {
    let payload = |number, codec| Payload {
        number,
        codec,
        parameters: "".into(),
    };
    let payloads = vec![
        payload(8, Codec::Pcma),
        payload(111, Codec::Opus),
        payload(101, Codec::TelephoneEvent { clock: 8_000 }),
    ];
    let security = match leg.slot {
        at @ (1 | 2) => Security::Sdes {
            ours: key(100 + at as u8, profile(at as u8)),
            theirs: Some(key(at as u8, profile(at as u8))),
        },
        3 => Security::Dtls {
            ice: Some(IceCredentials {
                local_ufrag: "edgeufrag".into(),
                local_password: PASSWORD.into(),
                remote_ufrag: "partyufrag".into(),
                remote_password: "party-password-of-22-chars".into(),
            }),
            role: Some(warmline::media::DtlsRole::Passive),
            fingerprint: Some(warmline::media::Fingerprint([3; 32])),
        },
        _ => Security::None,
    };
    let browser = leg.slot == 3;
    Endpoint {
        local: if browser {
            LocalPort::Shared
        } else {
            LocalPort::Own(port(leg))
        },
        remote: (!browser).then(|| party(leg)),
        remote_rtcp: (!browser).then(|| SocketAddr::new(party(leg).ip(), 4_001)),
        latch: leg.slot == 0,
        source: None,
        security,
        receive: payloads.clone(),
        send: payloads,
        direction: Direction::SendRecv,
        ssrc: 0x1111 * (leg.slot + 1),
        cname: "edge".into(),
        adopted: leg.slot == 2,
        packet_ms: 20,
    }
}

fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| dtls_certificate().expect("a certificate"))
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// The length that the message will have with so many octets more.
fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0_u32, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (0_u32.wrapping_sub(crc & 1)))
        })
    })
}
