#![expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]

use std::time::Duration;

use super::*;
use crate::media::rtcp::{self, Told};
use crate::media::rtp::Header;
use crate::media::{Codec, Payload, RecordingStep};
use crate::sdp::Direction;

mod flows;
mod gateway;
mod hub_changes;
mod hub_network;
mod hub_voices;
mod hubs;
mod reports;
mod room;
mod sounds;

const ALICE: LegHandle = LegHandle { slot: 0, generation: 0 };
const BOB: LegHandle = LegHandle { slot: 1, generation: 0 };
const CAROL: LegHandle = LegHandle { slot: 2, generation: 4 };

fn payload(number: u8, codec: Codec) -> Payload {
    Payload {
        number,
        codec,
        parameters: "".into(),
    }
}

fn event(number: u8, clock: u32) -> Payload {
    payload(number, Codec::TelephoneEvent { clock })
}

/// Where a leg's party is: one host for each.
fn party(leg: LegHandle) -> SocketAddr {
    let [_, _, high, low] = (leg.slot + 10).to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 4_000))
}

fn port(leg: LegHandle) -> u16 {
    40_000 + 2 * leg.slot as u16
}

fn endpoint(leg: LegHandle) -> Endpoint {
    let mut rtcp = party(leg);
    rtcp.set_port(4_001);
    let payloads = vec![payload(8, Codec::Pcma), event(101, 8_000)];
    Endpoint {
        local: LocalPort::Own(port(leg)),
        remote: Some(party(leg)),
        remote_rtcp: Some(rtcp),
        latch: false,
        source: None,
        security: crate::media::Security::None,
        receive: payloads.clone(),
        send: payloads,
        direction: Direction::SendRecv,
        adopted: false,
        ssrc: 0x1111 * (leg.slot + 1),
        cname: "edge".into(),
        packet_ms: 20,
    }
}

/// A datagram that went out.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    at: Duration,
    local: Local,
    to: SocketAddr,
    octets: Vec<u8>,
}

impl Sent {
    fn rtp(&self) -> Option<(Header, &[u8])> {
        let (header, payload) = Header::read(&self.octets).filter(|_| matches!(self.local, Local::Rtp(_)))?;
        Some((header, &self.octets[payload]))
    }

    fn rtcp(&self) -> Vec<Told> {
        let mut told = Vec::new();
        if matches!(self.local, Local::Rtcp(_)) {
            rtcp::read(&self.octets, |one| told.push(one));
        }
        told
    }
}

/// Sessions in virtual time.
struct World {
    start: Instant,
    now: Instant,
    sessions: Sessions,
    sent: Vec<Sent>,
    events: Vec<MediaEvent>,
    sockets: Vec<Local>,
    file: Vec<u8>,
    recorded: Option<u64>,
}

impl World {
    fn new() -> World {
        let start = Instant::now();
        World {
            start,
            now: start,
            sessions: Sessions::new(MediaSettings::new(start), certificate()),
            sent: Vec::new(),
            events: Vec::new(),
            sockets: Vec::new(),
            file: Vec::new(),
            recorded: None,
        }
    }

    /// Alice and Bob talk.
    fn bridged() -> World {
        let mut world = World::new();
        for leg in [ALICE, BOB] {
            world.open(leg, endpoint(leg));
        }
        world.hear(ALICE, Hear::Leg(BOB));
        world.hear(BOB, Hear::Leg(ALICE));
        world
    }

    fn open(&mut self, leg: LegHandle, endpoint: Endpoint) {
        let endpoint = Box::new(endpoint);
        self.command(MediaCommand::Endpoint { leg, endpoint });
    }

    fn hear(&mut self, leg: LegHandle, what: Hear) {
        self.command(MediaCommand::Hear { leg, what });
    }

    fn command(&mut self, command: MediaCommand) {
        self.sessions.handle_command(self.now, command);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(output) = self.sessions.poll_output() {
            match output {
                MediaOutput::Bind(local) => self.sockets.push(local),
                MediaOutput::Unbind(local) => self.sockets.retain(|open| *open != local),
                MediaOutput::Event(event) => self.events.push(event),
                MediaOutput::Record(RecordingStep::Write { offset, octets, .. }) => {
                    let (start, end) = (offset as usize, offset as usize + octets.len());
                    self.file.resize(end.max(self.file.len()), 0);
                    self.file[start..end].copy_from_slice(&octets);
                }
                MediaOutput::Record(RecordingStep::Recorded { milliseconds, .. }) => self.recorded = Some(milliseconds),
                MediaOutput::Send { local, to, octets } => self.sent.push(Sent {
                    at: self.now - self.start,
                    local,
                    to,
                    octets: octets.to_vec(),
                }),
            }
        }
    }

    fn datagram(&mut self, local: Local, from: SocketAddr, octets: &[u8]) {
        self.sessions
            .handle_datagram(self.now, local, from, &mut octets.to_vec());
        self.perform();
    }

    /// The leg's party sends a packet.
    fn say(&mut self, leg: LegHandle, payload_type: u8, count: u32, payload: &[u8]) {
        self.say_from(party(leg), leg, payload_type, count, payload);
    }

    fn say_from(&mut self, from: SocketAddr, leg: LegHandle, payload_type: u8, count: u32, payload: &[u8]) {
        let header = Header {
            marker: false,
            payload_type,
            sequence: count as u16,
            timestamp: count * 160,
            ssrc: 0xaaaa + leg.slot,
        };
        let mut packet = Vec::new();
        header.write(payload, &mut packet);
        self.datagram(Local::Rtp(port(leg)), from, &packet);
    }

    /// Lets time pass, deadline by deadline.
    fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(at) = self.sessions.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.sessions.handle_timeout(self.now);
            self.perform();
        }
        self.now = until;
    }

    /// RTP that went to the leg's party, and forgets all that went out.
    fn heard(&mut self, leg: LegHandle) -> Vec<(Header, Vec<u8>)> {
        let sent = std::mem::take(&mut self.sent);
        let mine = sent
            .iter()
            .filter(|sent| sent.to == party(leg) && sent.local == Local::Rtp(port(leg)));
        mine.filter_map(Sent::rtp)
            .map(|(header, payload)| (header, payload.to_vec()))
            .collect()
    }

    fn quality(&mut self, leg: LegHandle) -> LegQuality {
        self.sessions.quality(leg).unwrap()
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn certificate() -> Certificate {
    crate::driver::dtls_certificate().unwrap()
}
