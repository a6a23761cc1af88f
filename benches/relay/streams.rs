//! Bridged legs, and the packets that their parties send.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::driver::dtls_certificate;
use warmline::media::rtp::Header;
use warmline::media::secure::Secure;
use warmline::media::{
    Codec, Endpoint, Hear, Local, LocalPort, MediaCommand, MediaOutput, MediaSettings, Payload, Security, Sessions,
    SrtpKey, SrtpProfile,
};
use warmline::sdp::Direction;
use warmline::vocabulary::LegHandle;

/// How every second leg is protected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    None,
    Gcm,
    Sha1,
}

/// Bytes of audio: 20 ms of G.711.
pub(crate) const AUDIO: usize = 160;

pub(crate) struct Streams {
    sessions: Sessions,
    now: Instant,
    parties: Vec<Party>,
    packet: Vec<u8>,
    sequence: u16,
}

struct Party {
    address: SocketAddr,
    port: u16,
    ssrc: u32,
    secure: Option<Secure>,
    datagram: Vec<u8>,
}

/// What callgrind counts: one packet from its arrival until nothing is left to send.
#[inline(never)]
fn relay_one(sessions: &mut Sessions, now: Instant, party: (u16, SocketAddr), packet: &mut Vec<u8>) -> usize {
    sessions.handle_datagram(now, Local::Rtp(party.0), party.1, packet);
    let mut sent = 0;
    while let Some(output) = sessions.poll_output() {
        if let MediaOutput::Send { octets, .. } = output {
            sent += std::hint::black_box(octets).len().min(1);
        }
    }
    sent
}

impl Protection {
    pub(crate) fn key(self, fill: u8) -> Option<SrtpKey> {
        let (profile, length) = match self {
            Protection::None => return None,
            Protection::Gcm => (SrtpProfile::AeadAes128Gcm, 28),
            Protection::Sha1 => (SrtpProfile::AesCm128HmacSha1_80, 30),
        };
        Some(SrtpKey {
            profile,
            key_and_salt: Bytes::from(vec![fill; length]),
        })
    }
}

impl Streams {
    /// So many legs, two in a call.
    pub(crate) fn new(protection: Protection, count: usize) -> Streams {
        let now = Instant::now();
        let certificate = dtls_certificate().expect("a certificate");
        let mut sessions = Sessions::new(MediaSettings::new(now), certificate.clone());
        let parties: Vec<Party> = (0..count)
            .map(|at| {
                let secured = at % 2 == 1;
                let [_, _, high, low] = (at as u32).to_be_bytes();
                let address = SocketAddr::from(([10, 0, high, low], 4_000));
                let keys = protection.key(1).zip(protection.key(2)).filter(|_| secured);
                let (ours, theirs) = match keys {
                    Some((ours, theirs)) => {
                        let side = |ours: &SrtpKey, theirs: &SrtpKey| Security::Sdes {
                            ours: ours.clone(),
                            theirs: Some(theirs.clone()),
                        };
                        (side(&ours, &theirs), Some(side(&theirs, &ours)))
                    }
                    None => (Security::None, None),
                };
                let port = 10_000 + 2 * at as u16;
                let endpoint = Box::new(endpoint(port, address, ours));
                sessions.handle_command(now, MediaCommand::Endpoint { leg: leg(at), endpoint });
                let what = Hear::Leg(leg(at ^ 1));
                sessions.handle_command(now, MediaCommand::Hear { leg: leg(at), what });
                Party {
                    address,
                    port,
                    ssrc: 0x5000 + at as u32,
                    secure: theirs.map(|theirs| Secure::new(now, &theirs, &certificate)),
                    datagram: Vec::with_capacity(256),
                }
            })
            .collect();
        while sessions.poll_output().is_some() {}
        Streams {
            sessions,
            now,
            parties,
            packet: Vec::with_capacity(2_048),
            sequence: 0,
        }
    }

    /// Every party sends a packet; how long handling them took.
    pub(crate) fn round(&mut self) -> Duration {
        self.now += Duration::from_millis(20);
        self.sequence = self.sequence.wrapping_add(1);
        for party in &mut self.parties {
            let header = Header {
                marker: false,
                payload_type: 0,
                sequence: self.sequence,
                timestamp: u32::from(self.sequence) * 160,
                ssrc: party.ssrc,
            };
            header.write(&[0x55; AUDIO], &mut party.datagram);
            if let Some(secure) = &mut party.secure {
                assert!(secure.protect_rtp(&mut party.datagram));
            }
        }
        let mut sent = 0;
        let begun = Instant::now();
        for party in &self.parties {
            self.packet.clear();
            self.packet.extend_from_slice(&party.datagram);
            sent += relay_one(
                &mut self.sessions,
                self.now,
                (party.port, party.address),
                &mut self.packet,
            );
        }
        let spent = begun.elapsed();
        assert_eq!(sent, self.parties.len(), "a packet did not come through");
        self.sessions.handle_timeout(self.now);
        while self.sessions.poll_output().is_some() {}
        spent
    }

    /// Nanoseconds a packet.
    pub(crate) fn timed(&mut self, packets: usize) -> f64 {
        let rounds = packets.div_ceil(self.parties.len());
        let spent: Duration = (0..rounds).map(|_| self.round()).sum();
        spent.as_secs_f64() * 1e9 / (rounds * self.parties.len()) as f64
    }
}

pub(crate) fn leg(slot: usize) -> LegHandle {
    LegHandle {
        slot: slot as u32,
        generation: 0,
    }
}

pub(crate) fn endpoint(port: u16, remote: SocketAddr, security: Security) -> Endpoint {
    let payloads = vec![
        Payload {
            number: 0,
            codec: Codec::Pcmu,
            parameters: "".into(),
        },
        Payload {
            number: 101,
            codec: Codec::TelephoneEvent { clock: 8_000 },
            parameters: "0-16".into(),
        },
    ];
    Endpoint {
        local: LocalPort::Own(port),
        remote: Some(remote),
        remote_rtcp: Some(SocketAddr::new(remote.ip(), 4_001)),
        adopted: false,
        latch: true,
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
