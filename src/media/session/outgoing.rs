//! The one stream that a party hears: one SSRC for the endpoint's whole life, sequence numbers without gaps of our making,
//! timestamps that follow the clock on the wall, whoever is behind it (LESSONS 30).
//!
//! | what comes | sequence | timestamp | marker |
//! |---|---|---|---|
//! | next packet of the same source | keeps its distance, so that loss stays loss | keeps its distance | as it came |
//! | first packet of another source | one more than the last | last + time that went by | set |
//! | the source's clock changes | keeps its distance | last + time that went by (RFC 7160 §4.1) | set |
//! | an event (RFC 4733) | keeps its distance | of the event's first packet, for all of it | as it came |
//! | a packet that the party cannot take | the gap is closed | | |
//! | a packet from before the last change | dropped | | |

use std::time::{Duration, Instant};

use crate::media::rtp::{Header, is_newer};

/// RFC 3550 A.1, MAX_DROPOUT: a greater step of sequence numbers is a sender that began anew.
const JUMP: u16 = 3_000;

/// What is known of the stream that goes out.
#[derive(Debug)]
pub(super) struct Outgoing {
    ssrc: u32,
    /// Of the newest packet.
    sequence: u16,
    /// Of the newest packet.
    timestamp: u32,
    /// Its clock.
    clock: u32,
    /// When that timestamp was sent first; `None` before the first packet.
    sent_at: Option<Instant>,
    /// Audio in a packet, for the step when no time has gone by.
    step: Duration,
    source: Option<Source>,
    /// The event that went out last, and whose it was; audio of our own making between its packets does not end it.
    event: Option<(u32, u32, Timeline)>,
    /// Packets sent, ever.
    pub(super) packets: u64,
    /// Payload octets sent, ever.
    pub(super) octets: u64,
}

/// How a source's numbers become ours.
#[derive(Clone, Copy, Debug)]
struct Source {
    /// Which leg, by its slot.
    slot: u32,
    ssrc: u32,
    /// Ours less theirs.
    sequence_distance: u16,
    /// The newest of theirs.
    newest: u16,
    /// For how many of theirs, up to the newest, that distance holds; no more than [`JUMP`].
    valid: u16,
    /// Of audio; `None` before the first packet that is no event.
    audio: Option<Timeline>,
}

/// How timestamps of a source become ours.
#[derive(Clone, Copy, Debug)]
struct Timeline {
    theirs: u32,
    ours: u32,
    their_clock: u32,
    our_clock: u32,
}

impl Timeline {
    fn ours(&self, timestamp: u32) -> u32 {
        let step = timestamp.wrapping_sub(self.theirs);
        if self.their_clock == self.our_clock {
            return self.ours.wrapping_add(step);
        }
        // Signed, so that a packet that comes late goes back in time.
        let step = i64::from(step as i32) * i64::from(self.our_clock) / i64::from(self.their_clock.max(1));
        self.ours.wrapping_add(step as u32)
    }
}

/// A packet of a source on its way to us.
#[derive(Clone, Copy, Debug)]
pub(in crate::media) struct Incoming {
    /// The leg it comes from, by its slot.
    pub(in crate::media) slot: u32,
    /// As it came.
    pub(in crate::media) header: Header,
    /// Of its timestamps.
    pub(in crate::media) clock: u32,
    /// Whether it is one of a telephone-event.
    pub(in crate::media) event: bool,
}

/// Of a packet that we make.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    /// It begins now.
    Now,
    /// It begins at this timestamp, which is now.
    At(u32),
    /// It belongs to an event that began at this timestamp.
    Since(u32),
}

impl Outgoing {
    /// Nothing has been sent. Where numbers begin must be hard to guess (RFC 3550 §5.1), and the SSRC is; a sequence number
    /// below 2^15 keeps a lost first packet from confusing the roll-over counter (RFC 3711 §3.3.1).
    pub(super) fn new(ssrc: u32, packet_ms: u8) -> Outgoing {
        let mixed = u64::from(ssrc).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Outgoing {
            ssrc,
            sequence: ((mixed >> 33) & 0x7fff) as u16,
            timestamp: (mixed >> 16) as u32,
            clock: 8_000,
            sent_at: None,
            step: Duration::from_millis(u64::from(packet_ms.max(1))),
            source: None,
            event: None,
            packets: 0,
            octets: 0,
        }
    }

    /// When the newest packet was sent.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        self.sent_at
    }

    /// The timestamp that a packet of this moment would have: for sender reports (RFC 3550 §6.4.1).
    pub(super) fn timestamp_at(&self, now: Instant) -> u32 {
        let gone = self
            .sent_at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.timestamp.wrapping_add(ticks(gone, self.clock))
    }

    /// The next packet does not continue what was sent last: another source, or a pause of our making.
    pub(super) fn switch(&mut self) {
        self.source = None;
    }

    /// The header with which a source's packet goes on to the party; `None`: it is too late for it.
    pub(super) fn relay(&mut self, now: Instant, packet: &Incoming, payload_type: u8, clock: u32) -> Option<Header> {
        let Incoming { header, event, .. } = *packet;
        let (mut source, new) = match self.source {
            Some(source) if source.continues(packet) => (source, false),
            Some(_) | None => {
                let source = Source {
                    slot: packet.slot,
                    ssrc: header.ssrc,
                    sequence_distance: self.sequence.wrapping_add(1).wrapping_sub(header.sequence),
                    newest: header.sequence.wrapping_sub(1),
                    valid: 0,
                    audio: None,
                };
                (source, true)
            }
        };
        let newer = is_newer(header.sequence, source.newest);
        if !newer && source.newest.wrapping_sub(header.sequence) >= source.valid {
            return None;
        }
        let fits = |line: &Timeline| line.their_clock == packet.clock && line.our_clock == clock;
        let known = if event {
            let of = |(slot, ssrc, line)| ((slot, ssrc) == (packet.slot, header.ssrc)).then_some(line);
            let line = self.event.and_then(of);
            line.filter(|line| fits(line) && line.theirs == header.timestamp)
        } else {
            source.audio.filter(fits)
        };
        let mut line = known.unwrap_or_else(|| {
            // An event on the audio's clock is a moment of the audio; else its moment is now.
            let audio = source.audio.filter(|line| event && fits(line));
            Timeline {
                theirs: header.timestamp,
                ours: audio.map_or_else(|| self.next_timestamp(now, clock), |line| line.ours(header.timestamp)),
                their_clock: packet.clock,
                our_clock: clock,
            }
        });
        // An event's marker is its beginning's (RFC 4733 §2.3), and audio's that of a talkspurt or of a change that we made.
        let marker = header.marker || (!event && (new || known.is_none()));
        let timestamp = line.ours(header.timestamp);
        let sequence = header.sequence.wrapping_add(source.sequence_distance);
        if newer {
            let step = header.sequence.wrapping_sub(source.newest);
            (source.newest, source.valid) = (header.sequence, source.valid.saturating_add(step).min(JUMP));
            if !event {
                // Steps stay small, so that scaling never overflows.
                (line.theirs, line.ours) = (header.timestamp, timestamp);
            }
            self.sequence = sequence;
            if !(event && known.is_some()) {
                self.at(now, timestamp, clock);
            }
        }
        if event {
            self.event = Some((packet.slot, header.ssrc, line));
        } else {
            source.audio = Some(line);
        }
        self.source = Some(source);
        Some(Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        })
    }

    /// A packet of the source that the party cannot take: it is not there, so that it does not look lost.
    pub(super) fn skip(&mut self, packet: &Incoming) {
        if let Some(source) = &mut self.source
            && source.continues(packet)
            && is_newer(packet.header.sequence, source.newest)
        {
            source.sequence_distance = source.sequence_distance.wrapping_sub(1);
            (source.newest, source.valid) = (packet.header.sequence, 0);
        }
    }

    /// The header of a packet that we make ourselves.
    pub(super) fn own(&mut self, now: Instant, payload_type: u8, clock: u32, moment: Moment) -> Header {
        let timestamp = match moment {
            Moment::Now => self.next_timestamp(now, clock),
            Moment::At(timestamp) | Moment::Since(timestamp) => timestamp,
        };
        self.source = None;
        self.sequence = self.sequence.wrapping_add(1);
        match moment {
            Moment::Now | Moment::At(_) => self.at(now, timestamp, clock),
            Moment::Since(_) => {}
        }
        Header {
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        }
    }

    /// This timestamp is this moment. An event's later packets tell its beginning and say nothing of theirs.
    fn at(&mut self, now: Instant, timestamp: u32, clock: u32) {
        (self.timestamp, self.clock, self.sent_at) = (timestamp, clock, Some(now));
    }

    /// A packet went out.
    pub(super) fn count(&mut self, payload: usize) {
        self.packets += 1;
        self.octets += payload as u64;
    }

    /// The timestamp of audio that begins now.
    pub(super) fn next_timestamp(&self, now: Instant, clock: u32) -> u32 {
        match self.sent_at {
            Some(at) => {
                let gone = now.saturating_duration_since(at).max(self.step);
                self.timestamp.wrapping_add(ticks(gone, clock))
            }
            None => self.timestamp,
        }
    }
}

impl Source {
    fn continues(&self, packet: &Incoming) -> bool {
        let step = packet.header.sequence.wrapping_sub(self.newest);
        let near = step < JUMP || step > JUMP.wrapping_neg();
        self.slot == packet.slot && self.ssrc == packet.header.ssrc && near
    }
}

/// A span of time in units of a clock, wrapped as timestamps are.
fn ticks(span: Duration, clock: u32) -> u32 {
    (span.as_micros() * u128::from(clock) / 1_000_000) as u32
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
