#![allow(dead_code, reason = "each test uses a part of it")]
//! A phone's sockets: what it sends to the edge and what it hears.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use warmline::media::{Codec, Endpoint, LocalPort, Payload, Security};
use warmline::sdp::Direction;

use super::tone;

/// How long a packet may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries where the first may be lost by right.
const IMPATIENCE: Duration = Duration::from_millis(20);
/// A payload that no tone has.
const KNOCK: [u8; 160] = [0x2a; 160];

pub(crate) struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    edge: Cell<SocketAddr>,
    sent: Cell<u32>,
}

/// An even port on which, and after which, nobody listens on loopback; never the same one twice.
pub(crate) fn ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let free = |port: u16| UdpSocket::bind(("127.0.0.1", port)).is_ok();
    loop {
        // Below the ports that the system gives out by itself.
        let step = NEXT.fetch_add(2, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() as u16 % 1_000 * 16 + step) % 20_000;
        if free(port) && free(port + 1) {
            return port;
        }
    }
}

/// An RTP packet.
pub(crate) fn packet(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(0x5eed_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

impl Phone {
    pub(crate) fn new(host: [u8; 4]) -> Phone {
        let bind = || {
            let socket = UdpSocket::bind((Ipv4Addr::from(host), 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Phone {
            rtp: bind(),
            rtcp: bind(),
            edge: Cell::new(SocketAddr::from(([127, 0, 0, 1], ports()))),
            sent: Cell::new(0),
        }
    }

    /// Where the edge's endpoint for this phone is.
    pub(crate) fn edge(&self) -> SocketAddr {
        self.edge.get()
    }

    /// The edge's endpoint for this phone is there from now on.
    pub(crate) fn set_edge(&self, edge: SocketAddr) {
        self.edge.set(edge);
    }

    /// Where it wants to be sent audio.
    pub(crate) fn address(&self) -> SocketAddr {
        self.rtp.local_addr().unwrap()
    }

    /// Forgets what waits to be heard.
    pub(crate) fn flush(&self) {
        self.rtp.set_nonblocking(true).unwrap();
        while self.rtp.recv(&mut [0; 2_048]).is_ok() {}
        self.rtp.set_nonblocking(false).unwrap();
    }

    /// The edge's endpoint for this phone.
    pub(crate) fn endpoint(&self, codec: Codec) -> Endpoint {
        let payload = |number, codec| Payload {
            number,
            codec,
            parameters: "".into(),
        };
        let number = match codec {
            Codec::Pcma => 8,
            Codec::Opus => 111,
            Codec::Pcmu
            | Codec::G722
            | Codec::TelephoneEvent { .. }
            | Codec::ComfortNoise { .. }
            | Codec::Other { .. } => 0,
        };
        let payloads = vec![
            payload(number, codec),
            payload(101, Codec::TelephoneEvent { clock: 8_000 }),
        ];
        Endpoint {
            local: LocalPort::Own(self.edge().port()),
            remote: Some(self.rtp.local_addr().unwrap()),
            remote_rtcp: Some(self.rtcp.local_addr().unwrap()),
            adopted: false,
            latch: false,
            source: None,
            security: Security::None,
            receive: payloads.clone(),
            send: payloads,
            direction: Direction::SendRecv,
            ssrc: u32::from(self.edge().port()),
            cname: "edge".into(),
            packet_ms: 20,
        }
    }

    /// Sends a packet.
    pub(crate) fn send(&self, payload_type: u8, payload: &[u8]) {
        let count = self.sent.replace(self.sent.get() + 1);
        let packet = packet(payload_type, count as u16, count * 160, payload);
        self.rtp.send_to(&packet, self.edge()).unwrap();
    }

    /// Sends a packet of an event; all of them are one event.
    pub(crate) fn press(&self, octets: &[u8; 4]) {
        let count = self.sent.replace(self.sent.get() + 1);
        let packet = packet(101, count as u16, 1_000_000, octets);
        self.rtp.send_to(&packet, self.edge()).unwrap();
    }

    /// Sends until something comes through to the other: from then on nothing is lost.
    pub(crate) fn knock(&self, other: &Phone) {
        other.rtp.set_read_timeout(Some(IMPATIENCE)).unwrap();
        for _ in 0..500 {
            self.send(0, &KNOCK);
            if other.hear().is_some() {
                other.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
                return;
            }
        }
        panic!("nothing comes through");
    }

    /// Plays so many packets of a tone and gives back what the other heard of them.
    pub(crate) fn play(&self, frequency: f64, packets: usize, other: &Phone) -> Vec<u8> {
        let mut heard = Vec::new();
        for at in 0..packets {
            self.send(0, &tone::make(frequency, at * 160, 160));
            // A knock may still be under way.
            let payload = std::iter::from_fn(|| other.hear()).find(|payload| payload[..] != KNOCK);
            heard.extend(payload.expect("a packet was lost"));
        }
        heard
    }

    /// The payloads of all packets that have come.
    pub(crate) fn waiting(&self) -> Vec<Vec<u8>> {
        self.rtp.set_nonblocking(true).unwrap();
        let payloads = std::iter::from_fn(|| self.hear()).collect();
        self.rtp.set_nonblocking(false).unwrap();
        payloads
    }

    /// The payload of the next packet, if one comes.
    pub(crate) fn hear(&self) -> Option<Vec<u8>> {
        let mut octets = [0; 2_048];
        loop {
            let length = self.rtp.recv(&mut octets).ok()?;
            // Keepalives are empty.
            if length > 12 {
                return Some(octets[12..length].to_vec());
            }
        }
    }

    /// Whether RTCP came that ends with BYE.
    pub(crate) fn was_told_bye(&self) -> bool {
        let mut octets = [0; 2_048];
        while let Ok(length) = self.rtcp.recv(&mut octets) {
            if octets[..length].windows(2).any(|pair| pair == [0x81, 203]) {
                return true;
            }
        }
        false
    }
}
