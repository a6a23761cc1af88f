//! One leg's endpoint at work: what its party sends, checked and counted; what the party hears, numbered and sent.
//!
//! Owns everything of one leg: addresses, counters both ways, the outgoing stream, keys pressed, reports, what there is to
//! tell. Refuses to know other legs: [`Sessions`](super::sessions::Sessions) carries a packet from one to the next.
//!
//! RFC 3550 (§5, §6, A.3, A.8) · 3551 · 4733 · 4961, 5761 (one port) · 6263 (keepalive) · 7160 (clocks).

mod door;
mod event;
mod keys;
mod mixed;
mod outgoing;
mod path;
mod payloads;
mod quality;
mod reception;
mod recorder;
mod reports;
mod sound;
mod voice;
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
use keys::Tones;
pub(in crate::media) use outgoing::Incoming;
use outgoing::{Moment, Outgoing};
use payloads::{Payloads, Route, Routes};
use reception::Reception;
use recorder::Recorder;
use reports::Reports;
pub(in crate::media) use sound::Played;
use sound::{Player, Transcoding};
use voice::Voice;
pub(in crate::media) use voice::{Spoken, WIDE};
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
    /// What is played to it in place of all else.
    announcement: Option<Player>,
    /// What it says, while it is heard in a hub.
    voice: Option<Box<Voice>>,
    /// Whether the frames of a hub or a prompt follow each other without a pause.
    flowing: bool,
    keys: Keys,
    pressing: Pressing,
    tones: Option<Box<Tones>>,
    recorder: Option<Box<Recorder>>,
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
            announcement: None,
            voice: None,
            flowing: false,
            keys: Keys::default(),
            pressing: Pressing::default(),
            tones: None,
            recorder: None,
            reports: Reports::new(now, endpoint.ssrc, settings),
            watch: Watch::new(now, settings),
            refused: 0,
            armed: None,
            endpoint,
        }
    }

    /// Another description of the same endpoint.
    pub(in crate::media) fn update(&mut self, now: Instant, endpoint: Box<Endpoint>, certificate: &Certificate) {
        let described = self.door.is_described();
        self.door.update(now, &endpoint, certificate);
        self.payloads = Payloads::new(&endpoint);
        if endpoint.direction != self.endpoint.direction {
            // What was not sent meanwhile must not look lost.
            self.switch();
        }
        if endpoint.direction != self.endpoint.direction || described != self.door.is_described() {
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
        self.flowing = false;
    }

    /// The source's description changed, or its leg's endpoint was opened.
    pub(in crate::media) fn learn(&mut self, source: Option<&MediaSession>) {
        let types = source.map(|source| &source.payloads);
        self.set_routes(types.map_or_else(Routes::default, |types| Routes::new(types, &self.endpoint.send)));
    }

    fn set_routes(&mut self, routes: Routes) {
        // Whoever hears an announcement hears nobody; its end asks again.
        if self.announcement.is_none() && self.routes != routes {
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
        self.door.fix(now, from);
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
        if let Some(recorder) = &mut self.recorder {
            recorder.says(now, &header, payload, &self.payloads);
        }
        if let Some(voice) = &mut self.voice {
            voice.push(now, &header, payload, self.payloads.codec(header.payload_type));
        }
        Some(Incoming {
            slot,
            header,
            clock,
            event,
        })
    }

    /// A packet of whom the party hears.
    pub(in crate::media) fn relay(&mut self, now: Instant, packet: &Incoming, payload: &[u8], out: &mut Outputs) {
        if !self.endpoint.direction.sends() || self.is_pressing() {
            return;
        }
        let Some(to) = self.door.rtp() else { return };
        let (number, clock) = match self.routes.of(packet.header.payload_type) {
            Route::Pass { number, clock } => (*number, *clock),
            Route::Transcode { from, to, number } => {
                let way = (from.clone(), to.clone(), *number);
                return self.transcode(now, packet, payload, way, out);
            }
            Route::Nothing => return self.outgoing.skip(packet),
        };
        let Some(header) = self.outgoing.relay(now, packet, number, clock) else {
            return;
        };
        match KeyEvent::read(payload).filter(|_| packet.event && packet.clock != clock) {
            Some(event) => {
                let event = event.rescaled(packet.clock, clock);
                self.send(now, to, (&header, &event.octets()), out);
            }
            None => self.send(now, to, (&header, payload), out),
        }
    }

    fn send(&mut self, now: Instant, to: SocketAddr, packet: (&Header, &[u8]), out: &mut Outputs) {
        let (header, payload) = packet;
        if let Some(recorder) = &mut self.recorder {
            recorder.hears(now, header, payload, &self.endpoint.send);
        }
        let mut octets = out.buffer();
        header.write(payload, &mut octets);
        if self.door.seal(&mut octets) {
            self.outgoing.count(payload.len());
            out.send(Local::rtp(self.endpoint.local), to, octets);
        } else {
            out.give_back(octets);
        }
    }

    /// Whether the party may send.
    fn expects(&self) -> bool {
        self.endpoint.direction.receives() && self.door.is_described()
    }

    /// When it has something to do of itself.
    pub(in crate::media) fn deadline(&self) -> Option<Instant> {
        let silent = self.watch.deadline(self.expects());
        let all = [
            Some(self.reports.next()),
            silent,
            self.pressing_deadline(),
            self.door.deadline(),
            self.recorder.as_ref().and_then(|recorder| recorder.deadline()),
        ];
        all.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(in crate::media) fn handle_timeout(&mut self, now: Instant, out: &mut Outputs) {
        self.door.handle_timeout(now);
        self.flush(out);
        self.press_on(now, out);
        self.write_recording(now, out);
        if let Some(key) = self.keys.time(now) {
            self.tell(key, out);
        }
        if let Some(seconds) = self.watch.silent(now, self.expects()) {
            out.event(MediaEvent::Silent { leg: self.leg, seconds });
        }
        if self.reports.next() <= now {
            self.report(now, false, out);
        }
    }

    /// The last words: BYE and the counters.
    pub(in crate::media) fn close(&mut self, now: Instant, out: &mut Outputs) {
        self.stop_recording(now, out);
        self.report(now, true, out);
        self.door.close(now);
        self.flush(out);
    }
}

#[cfg(test)]
pub(in crate::media) mod testing;
