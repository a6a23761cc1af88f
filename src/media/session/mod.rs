//! One leg's endpoint at work: what its party sends, checked and counted; what the party hears, numbered and sent.
//!
//! Owns everything of one leg: addresses, counters both ways, the outgoing stream, keys pressed, reports, what there is to
//! tell. Refuses to know other legs: [`Sessions`](super::sessions::Sessions) carries a packet from one to the next.
//!
//! RFC 3550 (§5, §6, A.3, A.8) · 3551 · 4733 · 4961, 5761 (one port) · 6263 (keepalive) · 7160 (clocks).

mod event;
mod outgoing;
mod path;
mod payloads;
mod quality;
mod reception;
mod reports;
mod watch;

use std::ops::Range;
use std::time::Instant;

use crate::media::output::Outputs;
use crate::media::rtp::{self, Header};
use crate::media::{Codec, Endpoint, Hear, Local, LocalPort, MediaEvent, MediaSettings, Security};
use crate::vocabulary::LegHandle;

use event::{KeyEvent, Keys, Pressing};
pub(in crate::media) use outgoing::Incoming;
use outgoing::Outgoing;
use path::Path;
use payloads::{Payloads, Route, Routes};
use reception::Reception;
use reports::Reports;
use watch::Watch;

/// A leg's endpoint.
#[derive(Debug)]
pub(in crate::media) struct MediaSession {
    leg: LegHandle,
    endpoint: Box<Endpoint>,
    path: Path,
    /// What the party's payload types mean.
    payloads: Payloads,
    /// What becomes of the payload types of whom it hears.
    routes: Routes,
    reception: Reception,
    outgoing: Outgoing,
    keys: Keys,
    pressing: Pressing,
    reports: Reports,
    watch: Watch,
    refused: u64,
    /// The earliest entry of the index of deadlines that stands for this session.
    pub(in crate::media) armed: Option<Instant>,
}

/// A packet of the party that others may hear.
#[derive(Debug)]
pub(in crate::media) struct Taken {
    /// Its numbers.
    pub(in crate::media) packet: Incoming,
    /// Where its payload lies.
    pub(in crate::media) payload: Range<usize>,
}

impl MediaSession {
    /// By its first description. `slot` spreads the reports of many sessions over time.
    pub(in crate::media) fn new(
        now: Instant,
        leg: LegHandle,
        endpoint: Box<Endpoint>,
        settings: &MediaSettings,
    ) -> Self {
        MediaSession {
            leg,
            path: Path::new(&endpoint),
            payloads: Payloads::new(&endpoint),
            routes: Routes::default(),
            reception: Reception::default(),
            outgoing: Outgoing::new(endpoint.ssrc, endpoint.packet_ms),
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
    pub(in crate::media) fn update(&mut self, now: Instant, endpoint: Box<Endpoint>) {
        self.path.update(&endpoint);
        self.payloads = Payloads::new(&endpoint);
        if endpoint.direction != self.endpoint.direction {
            // What was not sent meanwhile must not look lost.
            self.outgoing.switch();
            self.watch.expect(now);
        }
        self.endpoint = endpoint;
    }

    /// Whose it is.
    pub(in crate::media) fn leg(&self) -> LegHandle {
        self.leg
    }

    /// Its port.
    pub(in crate::media) fn local(&self) -> LocalPort {
        self.endpoint.local
    }

    /// The party hears another source from now on; `None`: no leg.
    pub(in crate::media) fn hears(&mut self, now: Instant, source: Option<&MediaSession>, what: &Hear) {
        self.outgoing.switch();
        self.watch.hears(now, *what != Hear::Nothing);
        self.learn(source);
    }

    /// The source's description changed, or its leg's endpoint was opened.
    pub(in crate::media) fn learn(&mut self, source: Option<&MediaSession>) {
        let types = source.map(|source| &source.payloads);
        self.routes = types.map_or_else(Routes::default, |types| Routes::new(types, &self.endpoint.send));
    }

    /// The routes of a party that hears itself.
    pub(in crate::media) fn learn_itself(&mut self) {
        self.routes = Routes::new(&self.payloads, &self.endpoint.send);
    }

    /// A datagram on its RTP port, or on that for RTCP. `Some`: a packet that others may hear.
    pub(in crate::media) fn datagram(
        &mut self,
        now: Instant,
        slot: u32,
        arrived: (Local, std::net::SocketAddr),
        packet: &[u8],
        out: &mut Outputs,
    ) -> Option<Taken> {
        let (local, from) = arrived;
        let is_rtcp = matches!(local, Local::Rtcp(_)) || rtp::is_rtcp(packet);
        let known = if is_rtcp && !self.path.is_mux() {
            self.path.takes_rtcp(from)
        } else {
            self.path.takes(from)
        };
        if !known || self.endpoint.security != Security::None {
            self.refused += 1;
            return None;
        }
        if is_rtcp {
            self.path.fix_rtcp(from);
            self.reports.read(now, self.endpoint.ssrc, packet);
            return None;
        }
        let Some((header, payload)) = Header::read(packet) else {
            self.refused += u64::from(!packet.is_empty());
            return None;
        };
        self.path.fix(from);
        self.rtp(now, slot, header, packet.get(payload.clone())?, out)
            .map(|packet| Taken { packet, payload })
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
        let Some(to) = self.path.rtp() else { return };
        let (number, clock) = match self.routes.of(packet.header.payload_type) {
            Route::Pass { number, clock } => (number, clock),
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
        self.outgoing.count(payload.len());
        out.send(Local::rtp(self.endpoint.local), to, octets);
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
        let mut header = self.outgoing.own(now, number, clock, due.timestamp);
        header.marker = due.marker;
        self.pressing.begun(header.timestamp);
        let Some(to) = self.path.rtp().filter(|_| self.endpoint.direction.sends()) else {
            return;
        };
        let mut octets = out.buffer();
        header.write(&due.event.octets(), &mut octets);
        self.outgoing.count(4);
        out.send(Local::rtp(self.endpoint.local), to, octets);
    }

    /// When it has something to do of itself.
    pub(in crate::media) fn deadline(&self) -> Option<Instant> {
        let silent = self.watch.deadline(self.endpoint.direction.receives());
        let all = [Some(self.reports.next()), silent, self.pressing.deadline()];
        all.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(in crate::media) fn handle_timeout(&mut self, now: Instant, out: &mut Outputs) {
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
