//! The parties of a load on a media relay: sends 20 ms of G.711 for every leg of a plan, and counts what comes back whole.
//!
//! Used by `benches/load/media.py`, which sets the calls up. The plan's lines: the address that sends, the relay's address,
//! and for SRTP the profile, the key that we protect with and the relay's, in hexadecimal. Each `go SECONDS` on the standard
//! input makes the legs talk for so long; the answer is one line: packets sent, packets received, seconds behind time.
//!
//! Legs share a socket for each sending address, and nobody waits in it: waking the listener would be charged to the relay.
#![expect(clippy::disallowed_methods, reason = "a load keeps the clock's time")]

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::driver::dtls_certificate;
use warmline::media::rtp::Header;
use warmline::media::secure::{Arrived, Certificate, Secure};
use warmline::media::{Security, SrtpKey, SrtpProfile};

const INTERVAL: Duration = Duration::from_millis(20);
/// Between two looks at the clock: packets come in small bursts, as from a network card.
const NAP: Duration = Duration::from_micros(250);
/// What is on its way at the end has so long to arrive.
const LAST: Duration = Duration::from_millis(100);
const BUFFER: usize = 4 * 1024 * 1024;
const AUDIO: [u8; 160] = [0x55; 160];

struct Leg {
    socket: usize,
    relay: SocketAddr,
    ssrc: u32,
    sequence: u16,
    secure: Option<Secure>,
}

struct Load {
    sockets: Vec<UdpSocket>,
    legs: Vec<Leg>,
    by_relay: HashMap<SocketAddr, usize>,
    packet: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = std::env::args().nth(1).ok_or("the plan's file is missing")?;
    let mut load = Load::new(&std::fs::read_to_string(plan)?)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let seconds = line.strip_prefix("go ").ok_or("go SECONDS")?.parse()?;
        let (sent, received, behind) = load.run(Duration::from_secs_f64(seconds));
        println!("{sent} {received} {:.3}", behind.as_secs_f64());
        std::io::stdout().flush()?;
    }
    Ok(())
}

impl Load {
    fn new(plan: &str) -> Result<Load, Box<dyn Error>> {
        let certificate = dtls_certificate()?;
        let mut sockets: Vec<UdpSocket> = Vec::new();
        let (mut legs, mut by_relay) = (Vec::new(), HashMap::new());
        for line in plan.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [from, relay, keys @ ..] = words.as_slice() else {
                return Err(format!("no leg: {line}").into());
            };
            let (from, relay): (SocketAddr, SocketAddr) = (from.parse()?, relay.parse()?);
            let open = |socket: &UdpSocket| socket.local_addr().is_ok_and(|address| address == from);
            let socket = match sockets.iter().position(open) {
                Some(socket) => socket,
                None => {
                    let socket = UdpSocket::bind(from)?;
                    socket.set_nonblocking(true)?;
                    socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
                    sockets.push(socket);
                    sockets.len() - 1
                }
            };
            by_relay.insert(relay, legs.len());
            legs.push(Leg {
                socket,
                relay,
                ssrc: 0x7000_0000 + legs.len() as u32,
                sequence: 0,
                secure: secure(keys, relay, &certificate)?,
            });
        }
        let packet = Vec::with_capacity(2_048);
        Ok(Load {
            sockets,
            legs,
            by_relay,
            packet,
        })
    }

    /// Everybody talks: how many packets went, how many came back, and how far this fell behind the clock.
    fn run(&mut self, span: Duration) -> (u64, u64, Duration) {
        let count = self.legs.len() as u128;
        let total = (span.as_nanos() * count / INTERVAL.as_nanos()) as u64;
        let (mut sent, mut received, mut behind) = (0, 0, Duration::ZERO);
        self.receive(); // what came too late for the last time
        let begun = Instant::now();
        while sent < total {
            let gone = begun.elapsed();
            let due = ((gone.as_nanos() * count / INTERVAL.as_nanos()) as u64).min(total);
            while sent < due {
                self.send((sent % self.legs.len() as u64) as usize);
                sent += 1;
            }
            behind = behind.max(begun.elapsed() - gone);
            received += self.receive();
            std::thread::sleep(NAP);
        }
        let end = Instant::now() + LAST;
        while received < sent && Instant::now() < end {
            received += self.receive();
            std::thread::sleep(NAP);
        }
        (sent, received, behind)
    }

    fn send(&mut self, at: usize) {
        let Some(leg) = self.legs.get_mut(at) else { return };
        leg.sequence = leg.sequence.wrapping_add(1);
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: leg.sequence,
            timestamp: u32::from(leg.sequence).wrapping_mul(160),
            ssrc: leg.ssrc,
        };
        header.write(&AUDIO, &mut self.packet);
        if let Some(secure) = &mut leg.secure {
            assert!(secure.protect_rtp(&mut self.packet), "a packet cannot be protected");
        }
        if let Some(socket) = self.sockets.get(leg.socket) {
            socket.send_to(&self.packet, leg.relay).ok(); // what does not go is missed at the other end
        }
    }

    /// How many whole packets waited.
    fn receive(&mut self) -> u64 {
        let mut whole = 0;
        let mut octets = [0; 2_048];
        for socket in &self.sockets {
            loop {
                let (length, from) = match socket.recv_from(&mut octets) {
                    Ok(arrived) => arrived,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => continue, // an ICMP answer
                };
                let leg = self.by_relay.get(&from).and_then(|at| self.legs.get_mut(*at));
                self.packet.clear();
                self.packet.extend_from_slice(octets.get(..length).unwrap_or_default());
                let opened = match leg.map(|leg| &mut leg.secure) {
                    Some(Some(secure)) => {
                        secure.handle_datagram(Instant::now(), from, &mut self.packet) == Arrived::Rtp
                    }
                    Some(None) => true,
                    None => false,
                };
                let audio = Header::read(&self.packet).and_then(|(_, payload)| self.packet.get(payload));
                whole += u64::from(opened && audio == Some(&AUDIO));
            }
        }
        whole
    }
}

fn secure(keys: &[&str], relay: SocketAddr, certificate: &Certificate) -> Result<Option<Secure>, Box<dyn Error>> {
    let [profile, ours, theirs] = keys else { return Ok(None) };
    let profile = match *profile {
        "AES_CM_128_HMAC_SHA1_80" => SrtpProfile::AesCm128HmacSha1_80,
        "AEAD_AES_128_GCM" => SrtpProfile::AeadAes128Gcm,
        other => return Err(format!("no profile of this load: {other}").into()),
    };
    let key = |text: &str| -> Result<SrtpKey, Box<dyn Error>> {
        let octet = |at| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16);
        let octets: Vec<u8> = (0..text.len()).step_by(2).map(octet).collect::<Result<_, _>>()?;
        Ok(SrtpKey {
            profile,
            key_and_salt: Bytes::from(octets),
        })
    };
    let security = Security::Sdes {
        ours: key(ours)?,
        theirs: Some(key(theirs)?),
    };
    let mut secure = Secure::new(Instant::now(), &security, certificate);
    secure.set_remote(Instant::now(), Some(relay));
    Ok(Some(secure))
}
