//! Whole hubs in the packet half: members' packets in, the hub's tick, members' packets out. No socket is touched.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use warmline::driver::dtls_certificate;
use warmline::media::audio::{Encoder, measure};
use warmline::media::rtp::Header;
use warmline::media::{
    Codec, Endpoint, Heard, Hears, Local, LocalPort, MediaCommand, MediaOutput, MediaSettings, Member, Payload,
    Security, Sessions,
};
use warmline::sdp::Direction;
use warmline::vocabulary::{CallHandle, LegHandle};

/// Which codecs the members have, in turn.
pub(crate) const MIXES: [(&str, &[Codec]); 4] = [
    ("g711", &[Codec::Pcmu]),
    ("g722", &[Codec::G722]),
    ("opus", &[Codec::Opus]),
    ("mixed", &[Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]),
];
/// Seconds of sound that each codec's talkers say, again and again.
const FRAMES: usize = 50;

pub(crate) struct Hub {
    sessions: Sessions,
    now: Instant,
    members: Vec<Talker>,
    /// What a talker of each codec says.
    said: Vec<(Codec, Vec<Vec<u8>>)>,
    talkers: usize,
    count: u32,
    packet: Vec<u8>,
}

struct Talker {
    address: SocketAddr,
    port: u16,
    codec: Codec,
    number: u8,
}

/// What callgrind counts: a tick with all that comes before it.
#[inline(never)]
fn counted_hub_tick(hub: &mut Hub) -> usize {
    hub.tick()
}

impl Hub {
    /// So many members; the first of them talk.
    pub(crate) fn new(codecs: &[Codec], size: usize, talkers: usize) -> Hub {
        let now = Instant::now();
        let mut sessions = Sessions::new(MediaSettings::new(now), dtls_certificate().expect("a certificate"));
        let member = |at: usize| {
            let codec = codecs[at % codecs.len()].clone();
            let [_, _, high, low] = (at as u32 + 1).to_be_bytes();
            Talker {
                address: SocketAddr::from(([10, 0, high, low], 4_000)),
                port: 10_000 + 2 * at as u16,
                number: number(&codec),
                codec,
            }
        };
        let members: Vec<Talker> = (0..size).map(member).collect();
        for (at, talker) in members.iter().enumerate() {
            let endpoint = Box::new(talker.endpoint());
            sessions.handle_command(now, MediaCommand::Endpoint { leg: leg(at), endpoint });
        }
        let call = CallHandle { slot: 0, generation: 0 };
        let everybody = (0..size).map(speaker).collect();
        sessions.handle_command(
            now,
            MediaCommand::Mix {
                call,
                members: everybody,
            },
        );
        Hub {
            sessions,
            now,
            members,
            said: codecs.iter().map(|codec| (codec.clone(), say(codec))).collect(),
            talkers,
            count: 0,
            packet: Vec::with_capacity(2_048),
        }
    }

    /// 20 ms; how many packets went out.
    fn tick(&mut self) -> usize {
        self.now += Duration::from_millis(20);
        self.count += 1;
        for (at, talker) in self.members.iter().enumerate().take(self.talkers) {
            let said = self.said.iter().find(|(codec, _)| *codec == talker.codec);
            let frames = said.map(|(_, frames)| frames).expect("what it says");
            let header = Header {
                marker: false,
                payload_type: talker.number,
                sequence: self.count as u16,
                timestamp: self.count * (talker.codec.clock() / 50),
                ssrc: 0x5000 + at as u32,
            };
            header.write(&frames[(self.count as usize + at) % FRAMES], &mut self.packet);
            let local = Local::Rtp(talker.port);
            self.sessions
                .handle_datagram(self.now, local, talker.address, &mut self.packet);
        }
        self.sessions.handle_timeout(self.now);
        let mut sent = 0;
        while let Some(output) = self.sessions.poll_output() {
            if let MediaOutput::Send { octets, .. } = output {
                sent += black_box(octets).len().min(1);
            }
        }
        sent
    }

    /// Seconds for each member in a tick.
    pub(crate) fn timed(&mut self, ticks: usize) -> f64 {
        let begun = Instant::now();
        let sent: usize = (0..ticks).map(|_| counted_hub_tick(self)).sum();
        let spent = begun.elapsed();
        assert!(sent >= ticks * self.members.len(), "somebody heard nothing: {sent}");
        spent.as_secs_f64() / (ticks * self.members.len()) as f64
    }
}

/// Hears all and is heard by all.
pub(crate) fn speaker(at: usize) -> Member {
    Member {
        leg: leg(at),
        heard: Heard::ByAll,
        hears: Hears::All,
    }
}

/// An endpoint of a telephone.
pub(crate) fn plain(address: SocketAddr, port: u16) -> Endpoint {
    let codec = Codec::Pcmu;
    let number = number(&codec);
    let talker = Talker {
        address,
        port,
        codec,
        number,
    };
    talker.endpoint()
}

impl Talker {
    fn endpoint(&self) -> Endpoint {
        let payloads = vec![Payload {
            number: self.number,
            codec: self.codec.clone(),
            parameters: "".into(),
        }];
        Endpoint {
            local: LocalPort::Own(self.port),
            remote: Some(self.address),
            remote_rtcp: None,
            adopted: false,
            latch: false,
            source: None,
            security: Security::None,
            receive: payloads.clone(),
            send: payloads,
            direction: Direction::SendRecv,
            ssrc: u32::from(self.port),
            cname: "edge".into(),
            packet_ms: 20,
        }
    }
}

pub(crate) fn leg(slot: usize) -> LegHandle {
    LegHandle {
        slot: slot as u32,
        generation: 0,
    }
}

fn number(codec: &Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
        Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. } => 101,
    }
}

/// A second of something that changes as a voice does.
fn say(codec: &Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec).expect("a codec that we can make");
    let rate = encoder.rate();
    let samples = rate as usize / 50;
    let mut pcm = vec![0_i16; samples * FRAMES];
    for (hertz, dbfs) in [(180.0, -26.0), (730.0, -30.0), (1_090.0, -34.0), (2_440.0, -40.0)] {
        let tone = measure::tone(hertz, dbfs, rate, pcm.len());
        for (at, (sum, tone)) in pcm.iter_mut().zip(tone).enumerate() {
            // Four syllables a second.
            let loud = (at as f32 / rate as f32 * 4.0 * std::f32::consts::PI).sin().abs();
            *sum += (f32::from(tone) * (0.2 + 0.8 * loud)) as i16;
        }
    }
    let encode = |frame: &[i16]| {
        let mut octets = Vec::new();
        encoder.encode(frame, &mut octets);
        octets
    };
    pcm.chunks(samples).map(encode).collect()
}

/// Resident octets that a member of a hub adds, by the growth of a process of its own.
pub(crate) fn memory(mix: &str, size: usize) -> usize {
    let program = std::env::current_exe().unwrap_or_default();
    let output = std::process::Command::new(program)
        .args(["--resident", mix, &size.to_string()])
        .output();
    let printed = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().parse());
    printed.ok().and_then(Result::ok).unwrap_or_default()
}

/// The child of [`memory`].
pub(crate) fn print_memory(codecs: &[Codec], size: usize) {
    black_box(Hub::new(codecs, 2, 2).timed(20)); // what is there once
    let before = resident();
    let hubs: Vec<Hub> = (0..(500 / size).max(1))
        .map(|_| {
            let mut hub = Hub::new(codecs, size, size.min(3));
            hub.timed(20);
            hub
        })
        .collect();
    println!("{}", resident().saturating_sub(before) / (hubs.len() * size));
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or_default();
    pages * 4_096
}
