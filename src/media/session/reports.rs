//! Reports of one endpoint: ours every few seconds, what the party's say, and keepalive where nothing else goes.

use std::time::{Duration, Instant};

use super::{MediaSession, quality};
use crate::media::output::Outputs;
use crate::media::rtcp::{self, Compound, ReportBlock, SenderInfo, Told};
use crate::media::{LegQuality, Local, MediaEvent, MediaSettings};

/// RFC 6263 §7: a keepalive at least so often where nothing else is sent.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Quality is told with every second report.
const QUALITY_EVERY: u32 = 2;

/// What the reports of one endpoint need.
#[derive(Debug)]
pub(super) struct Reports {
    began: Instant,
    every: Duration,
    next: Instant,
    made: u32,
    /// Packets that had been sent when the last report was made.
    sent_before: u64,
    /// The middle of the party's last sender report, and when it came.
    theirs: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
    /// What the party lost of ours, by its own words.
    party_lost: Option<u32>,
    kept_alive: Instant,
}

impl Reports {
    pub(super) fn new(now: Instant, ssrc: u32, settings: &MediaSettings) -> Reports {
        // RFC 3550 §6.3.1 wants reports of many parties to spread; the SSRC is chance enough: 0.75 to 1.25 of the interval.
        let spread = settings.report.mul_f64(0.75 + f64::from(ssrc % 1_024) / 2_048.0);
        Reports {
            began: settings.began,
            every: settings.report,
            next: now + spread,
            made: 0,
            sent_before: 0,
            theirs: None,
            round_trip: None,
            party_lost: None,
            kept_alive: now,
        }
    }

    /// When the next report is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// A compound packet of the party.
    pub(super) fn read(&mut self, now: Instant, ours: u32, packet: &[u8]) {
        rtcp::read(packet, |told| match told {
            Told::Sent { info, .. } => self.theirs = Some((rtcp::middle(info.time), now)),
            Told::Heard(block) if block.ssrc == ours => self.heard(now, &block),
            Told::Heard(_) | Told::Bye { .. } => {}
        });
    }

    fn heard(&mut self, now: Instant, block: &ReportBlock) {
        self.party_lost = Some(block.lost);
        if block.last_report == 0 {
            return;
        }
        // RFC 3550 §6.4.1: arrival less the report's time less how long the party kept it, in 1/65,536 s.
        let arrival = rtcp::middle(self.time(now));
        let units = arrival.wrapping_sub(block.last_report).wrapping_sub(block.since_report);
        // Clocks that run apart can make it slightly negative; a minute is no round trip but a lie.
        if units < 60 << 16 {
            self.round_trip = Some(Duration::from_micros(u64::from(units) * 1_000_000 / 65_536));
        }
    }

    fn time(&self, now: Instant) -> u64 {
        rtcp::ntp(now.saturating_duration_since(self.began))
    }
}

impl MediaSession {
    /// Makes the report that is due, looks after silence and keepalive, and tells the counters.
    pub(super) fn report(&mut self, now: Instant, last: bool, out: &mut Outputs) {
        self.reports.next = now + self.reports.every;
        self.reports.made += 1;
        self.send_report(now, last, out);
        self.keep_alive(now, last, out);
        let ways = (self.endpoint.direction.receives(), self.endpoint.direction.sends());
        let (received, sent) = (self.reception.received, self.outgoing.packets);
        if let Some(unheard) = self.watch.one_way(now, ways, received, sent).filter(|_| !last) {
            out.event(MediaEvent::OneWay { leg: self.leg, unheard });
        }
        if last || self.reports.made.is_multiple_of(QUALITY_EVERY) {
            out.event(MediaEvent::Quality {
                leg: self.leg,
                quality: self.quality(),
            });
        }
    }

    fn send_report(&mut self, now: Instant, bye: bool, out: &mut Outputs) {
        let Some(to) = self.door.rtcp() else { return };
        let sent = (self.outgoing.packets > self.reports.sent_before).then(|| SenderInfo {
            time: self.reports.time(now),
            timestamp: self.outgoing.timestamp_at(now),
            packets: self.outgoing.packets as u32,
            octets: self.outgoing.octets as u32,
        });
        self.reports.sent_before = self.outgoing.packets;
        let theirs = self.reports.theirs;
        let heard = self.reception.report().map(|block| ReportBlock {
            ssrc: block.ssrc,
            fraction_lost: block.fraction_lost,
            lost: block.lost,
            highest: block.highest,
            jitter: block.jitter,
            last_report: theirs.map_or(0, |(middle, _)| middle),
            since_report: theirs.map_or(0, |(_, at)| rtcp::middle(rtcp::ntp(now.saturating_duration_since(at)))),
        });
        let mut octets = out.buffer();
        let compound = Compound {
            ssrc: self.endpoint.ssrc,
            cname: &self.endpoint.cname,
            sent,
            heard,
            bye,
        };
        compound.write(&mut octets);
        let local = if self.door.is_mux() {
            Local::rtp(self.endpoint.local)
        } else {
            Local::rtcp(self.endpoint.local)
        };
        if self.door.seal_rtcp(&mut octets) {
            out.send(local, to, octets);
        } else {
            out.give_back(octets);
        }
    }

    /// RFC 6263 §4.1: an empty datagram, which no party takes for audio. Multiplexed reports keep the port open themselves
    /// (§4.2).
    fn keep_alive(&mut self, now: Instant, last: bool, out: &mut Outputs) {
        let sent = self
            .outgoing
            .sent_at()
            .map_or(self.reports.kept_alive, |at| at.max(self.reports.kept_alive));
        if last || self.door.is_mux() || now.saturating_duration_since(sent) < KEEPALIVE {
            return;
        }
        if let Some(to) = self.door.rtp() {
            self.reports.kept_alive = now;
            let octets = out.buffer();
            out.send(Local::rtp(self.endpoint.local), to, octets);
        }
    }

    /// The counters.
    pub(in crate::media) fn quality(&self) -> LegQuality {
        let quality = LegQuality {
            received: self.reception.received,
            sent: self.outgoing.packets,
            lost: self.reception.lost(),
            refused: self.refused,
            jitter_ms: self.reception.jitter_ms(),
            round_trip_ms: self.reports.round_trip.map(|trip| trip.as_secs_f32() * 1_000.0),
            party_lost: self.reports.party_lost,
            mos: 0.0,
        };
        let codec = self.endpoint.receive.first().map(|payload| &payload.codec);
        LegQuality {
            mos: quality::mos(&quality, codec),
            ..quality
        }
    }
}
