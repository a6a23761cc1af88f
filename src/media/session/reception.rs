//! What arrives of a party's stream: loss, order and jitter (RFC 3550 §6.4.1, A.1, A.3, A.8).

use std::time::Instant;

use crate::media::rtp::{Header, is_newer};

/// RFC 3550 A.1, MAX_DROPOUT.
const DROPOUT: u16 = 3_000;

/// Counters of what came from the party, over all its synchronisation sources.
#[derive(Debug, Default)]
pub(super) struct Reception {
    stream: Option<Stream>,
    /// Packets taken, ever.
    pub(super) received: u64,
    /// Lost in streams that ended.
    lost_before: u64,
}

/// One synchronisation source.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    first: u16,
    newest: u16,
    cycles: u32,
    received: u64,
    clock: u32,
    /// When the last packet came and its timestamp.
    last: (Instant, u32),
    /// In clock units, times 16 (A.8).
    jitter: u32,
    /// Expected and received when the last report was made.
    reported: (u64, u64),
}

/// A report block's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) ssrc: u32,
    /// Of 256, since the last report.
    pub(super) fraction_lost: u8,
    pub(super) lost: u32,
    pub(super) highest: u32,
    /// In clock units.
    pub(super) jitter: u32,
}

impl Reception {
    /// A packet was taken. `audio`: whether its timestamp moves with time; an event's does not.
    pub(super) fn packet(&mut self, now: Instant, header: &Header, clock: u32, audio: bool) {
        self.received += 1;
        match &mut self.stream {
            Some(stream) if stream.is_next(header) => stream.packet(now, header, clock, audio),
            Some(_) | None => {
                self.lost_before = self.lost();
                self.stream = Some(Stream::new(now, header, clock));
            }
        }
    }

    /// Packets that the numbers say were lost; one that comes twice makes up for one that does not.
    pub(super) fn lost(&self) -> u64 {
        let now = self.stream.as_ref().map_or(0, Stream::lost);
        self.lost_before + now
    }

    /// Of the stream that comes now, in milliseconds.
    pub(super) fn jitter_ms(&self) -> f32 {
        let jitter = |stream: &Stream| (stream.jitter >> 4) as f32 * 1_000.0 / stream.clock.max(1) as f32;
        self.stream.as_ref().map_or(0.0, jitter)
    }

    /// What a report says of the stream that comes now; begins another interval.
    pub(super) fn report(&mut self) -> Option<Block> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let (expected_before, received_before) = stream.reported;
        let expected_now = expected.saturating_sub(expected_before);
        let lost_now = expected_now.saturating_sub(stream.received.saturating_sub(received_before));
        stream.reported = (expected, stream.received);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        Some(Block {
            ssrc: stream.ssrc,
            fraction_lost: fraction.min(255) as u8,
            lost: stream.lost().min(0x7f_ffff) as u32,
            highest: (stream.cycles << 16) | u32::from(stream.newest),
            jitter: stream.jitter >> 4,
        })
    }
}

impl Stream {
    fn new(now: Instant, header: &Header, clock: u32) -> Stream {
        Stream {
            ssrc: header.ssrc,
            first: header.sequence,
            newest: header.sequence,
            cycles: 0,
            received: 1,
            clock,
            last: (now, header.timestamp),
            jitter: 0,
            reported: (0, 0),
        }
    }

    fn is_next(&self, header: &Header) -> bool {
        let step = header.sequence.wrapping_sub(self.newest);
        self.ssrc == header.ssrc && (step < DROPOUT || step > DROPOUT.wrapping_neg())
    }

    fn packet(&mut self, now: Instant, header: &Header, clock: u32, audio: bool) {
        self.received += 1;
        if is_newer(header.sequence, self.newest) {
            self.cycles += u32::from(header.sequence < self.newest);
            self.newest = header.sequence;
        }
        if !audio {
            return;
        }
        let (last, timestamp) = std::mem::replace(&mut self.last, (now, header.timestamp));
        if clock != self.clock {
            (self.clock, self.jitter) = (clock, 0);
            return;
        }
        let gone = now.saturating_duration_since(last).as_micros() * u128::from(clock) / 1_000_000;
        let difference = (gone as u32).wrapping_sub(header.timestamp.wrapping_sub(timestamp)) as i32;
        // A pause of the sender (hold, silence) is no jitter: its timestamps may have stood still.
        let difference = difference.unsigned_abs();
        if difference < clock {
            self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
        }
    }

    fn expected(&self) -> u64 {
        let highest = (u64::from(self.cycles) << 16) | u64::from(self.newest);
        (highest + 1).saturating_sub(u64::from(self.first))
    }

    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn header(sequence: u16) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 5,
        }
    }

    #[test]
    fn loss_is_counted_over_the_wrap_and_over_sources() {
        let start = Instant::now();
        let mut reception = Reception::default();
        for sequence in [65_530, 65_531, 65_534, 65_533, 0, 1] {
            reception.packet(start, &header(sequence), 8_000, true);
        }
        assert_eq!((reception.received, reception.lost()), (6, 2));
        let block = reception.report().unwrap();
        assert_eq!((block.lost, block.fraction_lost, block.highest), (2, 64, 0x1_0001));
        reception.packet(start, &Header { ssrc: 6, ..header(100) }, 8_000, true);
        reception.packet(start, &Header { ssrc: 6, ..header(102) }, 8_000, true);
        assert_eq!(reception.lost(), 3);
    }

    #[test]
    fn jitter_is_the_mean_of_what_packets_are_early_or_late() {
        let start = Instant::now();
        let mut reception = Reception::default();
        for count in 0..400u16 {
            let late = if count % 2 == 0 { 0 } else { 4 };
            let at = start + Duration::from_millis(u64::from(count) * 20 + late);
            reception.packet(at, &header(count), 8_000, true);
        }
        let jitter = reception.jitter_ms();
        assert!((3.5..4.5).contains(&jitter), "{jitter}");
        assert_eq!(reception.report().unwrap().fraction_lost, 0);
        assert_eq!(reception.lost(), 0);
    }
}
