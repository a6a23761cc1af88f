//! One leg's endpoint at work: what its party sends, checked and counted; what the party hears, numbered and sent.
//!
//! Owns everything of one leg: addresses, counters both ways, the outgoing stream, keys pressed, reports, what there is to
//! tell. Refuses to know other legs: [`Sessions`](super::sessions::Sessions) carries a packet from one to the next.
//!
//! RFC 3550 (§5, §6, A.3, A.8) · 3551 · 4733 · 4961, 5761 (one port) · 6263 (keepalive) · 7160 (clocks).

mod door;
mod event;
mod outgoing;
mod path;
mod payloads;
mod quality;
mod reception;
mod reports;
mod sound;
mod watch;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use compact_str::CompactString;

use crate::media::output::Outputs;
use crate::media::rtp::Header;
use crate::media::secure::Certificate;
use crate::media::{Codec, Endpoint, Hear, Local, LocalPort, MediaEvent, MediaSettings};
use crate::vocabulary::LegHandle;

use door::{Door, Entered};
use event::{KeyEvent, Keys, Pressing};
pub(in crate::media) use outgoing::Incoming;
use outgoing::{Moment, Outgoing};
use payloads::{Payloads, Route, Routes};
use reception::Reception;
use reports::Reports;
use sound::{Player, Transcoding};
use watch::Watch;

/// A leg's endpoint.
#[derive(Debug)]
pub(in crate::media) struct MediaSession {
    leg: LegHandle,
    endpoint: Box<Endpoint>,
    door: Door,
    /// What the party's payload types mean.
    payloads: Payloads,
    /// What becomes of the payload types of whom it hears.
    routes: Routes,
    reception: Reception,
    outgoing: Outgoing,
    transcoding: Option<Box<Transcoding>>,
    player: Option<Player>,
    keys: Keys,
    pressing: Pressing,
    reports: Reports,
    watch: Watch,
    refused: u64,
    /// The earliest entry of the index of deadlines that stands for this session.
    pub(in crate::media) armed: Option<Instant>,
}

/// What came of a datagram.
#[derive(Debug)]
pub(in crate::media) enum Taken {
    /// Others may hear it.
    Packet {
        /// Its numbers.
        packet: Incoming,
        /// Where its payload lies.
        payload: Range<usize>,
    },
    /// It moved deadlines, and perhaps said where the party is.
    Handshake,
    /// Nobody else cares.
    Nothing,
}

impl MediaSession {
    /// By its first description.
    pub(in crate::media) fn new(
        now: Instant,
        leg: LegHandle,
        endpoint: Box<Endpoint>,
        settings: &MediaSettings,
        certificate: &Certificate,
    ) -> Self {
        MediaSession {
            leg,
            door: Door::new(now, &endpoint, certificate),
            payloads: Payloads::new(&endpoint),
            routes: Routes::default(),
            reception: Reception::default(),
            outgoing: Outgoing::new(endpoint.ssrc, endpoint.packet_ms),
            transcoding: None,
            player: None,
            keys: Keys::default(),
            pressing: Pressing::default(),
            reports: Reports::new(now, endpoint.ssrc, settings),
            watch: Watch::new(now, settings),
            refused: 0,
            armed: None,
            endpoint,
        }
    }

    /// Another description of the same endpoint.
    pub(in crate::media) fn update(&mut self, now: Instant, endpoint: Box<Endpoint>, certificate: &Certificate) {
        self.door.update(now, &endpoint, certificate);
        self.payloads = Payloads::new(&endpoint);
        if endpoint.direction != self.endpoint.direction {
            // What was not sent meanwhile must not look lost.
            self.switch();
            self.watch.expect(now);
        }
        self.endpoint = endpoint;
    }

    /// What a description, a datagram or time made the protection want to send or tell.
    pub(in crate::media) fn flush(&mut self, out: &mut Outputs) {
        self.door.flush(self.leg, Local::rtp(self.endpoint.local), out);
    }

    /// Its names on the shared port.
    pub(in crate::media) fn ufrags(&self) -> Vec<CompactString> {
        self.door.ufrags()
    }

    /// Whether an address on the shared port is its party's.
    pub(in crate::media) fn is_validated(&self, now: Instant, from: SocketAddr) -> bool {
        self.door.is_validated(now, from)
    }

    /// Whose it is.
    pub(in crate::media) fn leg(&self) -> LegHandle {
        self.leg
    }

    /// Its port.
    pub(in crate::media) fn local(&self) -> LocalPort {
        self.endpoint.local
    }

    /// The party hears something else from now on; [`learn`](Self::learn) says what a leg sends.
    pub(in crate::media) fn hears(&mut self, now: Instant, what: &Hear) {
        self.switch();
        self.watch.hears(now, *what != Hear::Nothing);
        self.player = Player::of(what);
        self.routes = Routes::default();
    }

    fn switch(&mut self) {
        self.outgoing.switch();
        self.transcoding = None;
    }

    /// The source's description changed, or its leg's endpoint was opened.
    pub(in crate::media) fn learn(&mut self, source: Option<&MediaSession>) {
        let types = source.map(|source| &source.payloads);
        self.set_routes(types.map_or_else(Routes::default, |types| Routes::new(types, &self.endpoint.send)));
    }

    fn set_routes(&mut self, routes: Routes) {
        if self.routes != routes {
            (self.routes, self.transcoding) = (routes, None);
        }
    }

    /// The routes of a party that hears itself.
    pub(in crate::media) fn learn_itself(&mut self) {
        self.set_routes(Routes::new(&self.payloads, &self.endpoint.send));
    }

    /// A datagram at one of its sockets.
    pub(in crate::media) fn datagram(
        &mut self,
        now: Instant,
        slot: u32,
        arrived: (Local, SocketAddr),
        packet: &mut Vec<u8>,
        out: &mut Outputs,
    ) -> Taken {
        let (local, from) = arrived;
        match self.door.enter(now, local, from, packet) {
            Entered::Rtp => {}
            Entered::Rtcp => {
                self.reports.read(now, self.endpoint.ssrc, packet);
                return Taken::Nothing;
            }
            Entered::Handshake => {
                self.flush(out);
                return Taken::Handshake;
            }
            Entered::Refused => {
                self.refused += u64::from(!packet.is_empty());
                return Taken::Nothing;
            }
        }
        let Some((header, payload)) = Header::read(packet) else {
            self.refused += 1;
            return Taken::Nothing;
        };
        let octets = packet.get(payload.clone()).unwrap_or_default();
        match self.rtp(now, slot, header, octets, out) {
            Some(packet) => Taken::Packet { packet, payload },
            None => Taken::Nothing,
        }
    }

    fn rtp(&mut self, now: Instant, slot: u32, header: Header, payload: &[u8], out: &mut Outputs) -> Option<Incoming> {
        let codec = self.payloads.codec(header.payload_type);
        let clock = codec.map_or(0, Codec::clock);
        let event = matches!(codec, Some(Codec::TelephoneEvent { .. }));
        // What nobody knows is carried to the listeners all the same: they close the gap in the numbers.
        self.reception.packet(now, &header, clock, codec.is_some() && !event);
        if self.watch.heard(now) {
            out.event(MediaEvent::Flowing { leg: self.leg });
        }
        if !self.endpoint.direction.receives() {
            return None;
        }
        if event {
            let pressed = KeyEvent::read(payload).map(|event| self.keys.packet(now, header.timestamp, event, clock));
            pressed
                .into_iter()
                .flatten()
                .flatten()
                .for_each(|key| self.tell(key, out));
        } else if let Some(key) = self.keys.time(now) {
            self.tell(key, out);
        }
        Some(Incoming {
            slot,
            header,
            clock,
            event,
        })
    }

    fn tell(&self, key: event::Pressed, out: &mut Outputs) {
        out.event(MediaEvent::Digit {
            leg: self.leg,
            digit: key.key,
            milliseconds: key.milliseconds,
        });
    }

    /// A packet of whom the party hears.
    pub(in crate::media) fn relay(&mut self, now: Instant, packet: &Incoming, payload: &[u8], out: &mut Outputs) {
        if !self.endpoint.direction.sends() || self.pressing.is_busy() {
            return;
        }
        let Some(to) = self.door.rtp() else { return };
        let (number, clock) = match self.routes.of(packet.header.payload_type) {
            Route::Pass { number, clock } => (*number, *clock),
            Route::Transcode { from, to: payload_type } => {
                let (from, payload_type) = (from.clone(), payload_type.clone());
                return self.transcode(now, packet, payload, (from, payload_type), out);
            }
            Route::Nothing => return self.outgoing.skip(packet),
        };
        let Some(header) = self.outgoing.relay(now, packet, number, clock) else {
            return;
        };
        let mut octets = out.buffer();
        match KeyEvent::read(payload).filter(|_| packet.event && packet.clock != clock) {
            Some(event) => header.write(&event.rescaled(packet.clock, clock).octets(), &mut octets),
            None => header.write(payload, &mut octets),
        }
        self.send(to, octets, payload.len(), out);
    }

    /// Presses keys towards the party.
    pub(in crate::media) fn press(&mut self, now: Instant, digits: &str) {
        self.pressing.press(now, digits);
    }

    fn send_key(&mut self, now: Instant, out: &mut Outputs) {
        let event = |codec: &Codec| matches!(codec, Codec::TelephoneEvent { .. });
        let Some(payload) = self.endpoint.send.iter().find(|payload| event(&payload.codec)) else {
            return self.pressing.give_up();
        };
        let (number, clock) = (payload.number, payload.codec.clock());
        let Some(due) = self.pressing.due(now, self.endpoint.packet_ms, clock) else {
            return;
        };
        let moment = due.timestamp.map_or(Moment::Now, Moment::Since);
        let mut header = self.outgoing.own(now, number, clock, moment);
        header.marker = due.marker;
        self.pressing.begun(header.timestamp);
        let Some(to) = self.door.rtp().filter(|_| self.endpoint.direction.sends()) else {
            return;
        };
        let mut octets = out.buffer();
        header.write(&due.event.octets(), &mut octets);
        self.send(to, octets, due.event.octets().len(), out);
    }

    fn send(&mut self, to: SocketAddr, mut octets: Vec<u8>, payload: usize, out: &mut Outputs) {
        if self.door.seal(&mut octets) {
            self.outgoing.count(payload);
            out.send(Local::rtp(self.endpoint.local), to, octets);
        } else {
            out.give_back(octets);
        }
    }

    /// When it has something to do of itself.
    pub(in crate::media) fn deadline(&self) -> Option<Instant> {
        let silent = self.watch.deadline(self.endpoint.direction.receives());
        let all = [
            Some(self.reports.next()),
            silent,
            self.pressing.deadline(),
            self.door.deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(in crate::media) fn handle_timeout(&mut self, now: Instant, out: &mut Outputs) {
        self.door.handle_timeout(now);
        self.flush(out);
        while self.pressing.deadline().is_some_and(|at| at <= now) {
            self.send_key(now, out);
        }
        if let Some(key) = self.keys.time(now) {
            self.tell(key, out);
        }
        let receives = self.endpoint.direction.receives();
        if let Some(seconds) = self.watch.silent(now, receives) {
            out.event(MediaEvent::Silent { leg: self.leg, seconds });
        }
        if self.reports.next() <= now {
            self.report(now, false, out);
        }
    }

    /// The last words: BYE and the counters.
    pub(in crate::media) fn close(&mut self, now: Instant, out: &mut Outputs) {
        self.report(now, true, out);
        self.door.close(now);
        self.flush(out);
    }
}

#[cfg(test)]
pub(in crate::media) mod testing {
    use crate::media::{Endpoint, LocalPort, Payload, Security};
    use crate::sdp::Direction;

    /// An endpoint without a remote side.
    pub(in crate::media) fn endpoint() -> Endpoint {
        Endpoint {
            local: LocalPort::Own(40_000),
            remote: None,
            remote_rtcp: None,
            latch: false,
            source: None,
            security: Security::None,
            receive: Vec::<Payload>::new(),
            send: Vec::new(),
            direction: Direction::SendRecv,
            ssrc: 1,
            cname: "edge".into(),
            packet_ms: 20,
        }
    }
}
