//! A jitter buffer, for where packets are decoded by a clock of our own: mixing, and playing to what ticks.
//!
//! Packets go in as they come and come out in their order, one at a time, when the listener's clock asks. The buffer
//! holds them back for as long as the network's jitter wants, which it learns from how late packets are beside the
//! earliest of the last seconds. Whoever only forwards, transcoded or not, needs none: the receiver has its own.
//!
//! | at [`pop`](Jitter::pop) | comes out |
//! |---|---|
//! | after the beginning, a restart or a pause, until the first packet is due | [`Played::Nothing`] |
//! | the next packet is there | [`Played::Packet`] |
//! | the next is missing, later ones are there | [`Played::Lost`]; but `Nothing` while jitter may still bring it |
//! | nothing is there | [`Played::Nothing`]: what is late may still come, and the delay has grown by a tick |
//! | more than wanted is held back, for two seconds | the packet after one that is left out |
//! | the next is one that [`pass`](Jitter::pass)ed | what is behind it |
//!
//! So a sender whose clock is slow makes the buffer run dry for one tick now and then, and of a fast one a packet is
//! left out. Bounded by [`MOST_PACKETS`]; payloads are not looked into. RFC 3550 §6.4.1, A.1.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most that jitter can want, in microseconds.
const MOST_WANTED: i64 = 200_000;
/// The least: a tick of 20 ms never meets a packet at its first moment.
const LEAST_WANTED: i64 = 20_000;
/// Packets kept; the oldest go first.
pub const MOST_PACKETS: usize = 64;
/// Sequence numbers further ahead or behind are another stream, when two follow each other (RFC 3550 A.1).
const AHEAD: i64 = 3_000;
const BEHIND: i64 = -100;
/// Ticks without a packet that make a pause.
const PAUSE_TICKS: u32 = 5;
/// How long too much may be held back.
const PATIENCE: Duration = Duration::from_secs(2);
/// Further from the earliest packet than any network keeps one, in microseconds.
const STRANGE_TRANSIT: i64 = 1_000_000;
/// The earliest packet is looked for in windows of this length.
const WINDOW: Duration = Duration::from_secs(4);

/// One stream's packets on their way into a decoder.
#[derive(Debug)]
pub struct Jitter {
    clock: u32,
    /// In order of their sequence numbers.
    packets: VecDeque<Packet>,
    /// The one that plays next; `None` before the first.
    next: Option<i64>,
    /// A sequence number that did not fit: the next one after it starts anew.
    strange: Option<u16>,
    state: State,
    timing: Option<Timing>,
    /// Timestamp and number of the latest that came in order, for the length of a packet.
    latest: (i64, u32),
    /// Ticks of the clock in a packet.
    step: u32,
    /// Since when more than wanted is held back.
    surplus: Option<Instant>,
    playing: Packet,
    spare: Vec<Vec<u8>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Packet {
    number: i64,
    timestamp: u32,
    payload: Vec<u8>,
    /// It has its place in the order and nothing to play.
    passed: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The first packet waits until it is due.
    Filling,
    Playing {
        /// Ticks without a packet.
        dry: u32,
    },
}

/// When packets come, beside when their timestamps say so; microseconds.
#[derive(Debug)]
struct Timing {
    began: Instant,
    first: u32,
    /// The least transit of the window before and of this one.
    least: (i64, i64),
    window: Instant,
    /// The latest packets' lateness: rises at once, falls slowly.
    wanted: i64,
}

/// What happened to packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Came after their turn.
    pub late: u64,
    /// Came twice.
    pub duplicate: u64,
    /// Never came in time.
    pub lost: u64,
    /// Were left out to shorten the delay, or for want of room.
    pub left_out: u64,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It waits for its turn.
    Kept,
    /// Its turn is over.
    Late,
    /// It is there already.
    Duplicate,
    /// It does not fit this stream; if the one after it comes as well, a new stream has begun.
    Strange,
}

/// What a tick plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played<'a> {
    /// Conceal it, or silence.
    Nothing,
    /// Decode it.
    Packet {
        /// Of the RTP header.
        timestamp: u32,
        /// As it came.
        payload: &'a [u8],
    },
    /// A packet is given up.
    Lost {
        /// How long it was, in the stream's clock.
        ticks: u32,
        /// The one right after it, in which Opus may have a copy.
        next: Option<&'a [u8]>,
    },
}

impl Jitter {
    /// For a stream whose timestamps run at `clock` Hz.
    pub fn new(clock: u32) -> Jitter {
        let clock = clock.max(1_000);
        Jitter {
            clock,
            packets: VecDeque::with_capacity(MOST_PACKETS),
            next: None,
            strange: None,
            state: State::Filling,
            timing: None,
            latest: (0, 0),
            step: clock / 50,
            surplus: None,
            playing: Packet::default(),
            spare: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How long packets are held back at present.
    pub fn wanted(&self) -> Duration {
        let wanted = self.timing.as_ref().map_or(LEAST_WANTED, Timing::wanted);
        Duration::from_micros(wanted.unsigned_abs())
    }

    /// A packet came.
    pub fn push(&mut self, now: Instant, sequence: u16, timestamp: u32, payload: &[u8]) -> Arrival {
        let number = match self.number(sequence) {
            Some(number) => number,
            None if self.strange.replace(sequence.wrapping_add(1)) != Some(sequence) => return Arrival::Strange,
            None => {
                self.restart();
                i64::from(sequence)
            }
        };
        self.strange = None;
        self.learn(now, number, timestamp);
        if self.next.is_some_and(|next| number < next) {
            self.counts.late += 1;
            return Arrival::Late;
        }
        self.keep(number, timestamp, Some(payload))
    }

    /// A packet of the stream came that is no audio: an event (RFC 4733), comfort noise (RFC 3389). It is not lost, and
    /// nothing is played for it. Its timestamp says nothing of the network: all packets of an event have the same.
    pub fn pass(&mut self, sequence: u16) {
        let number = self.number(sequence).filter(|_| self.timing.is_some());
        let Some(number) = number.filter(|number| self.next.is_none_or(|next| *number >= next)) else {
            return;
        };
        let (latest, timestamp) = self.latest;
        let ahead = (number - latest).wrapping_mul(i64::from(self.step));
        self.keep(number, timestamp.wrapping_add(ahead as u32), None);
    }

    fn keep(&mut self, number: i64, timestamp: u32, payload: Option<&[u8]>) -> Arrival {
        let place = self.packets.partition_point(|packet| packet.number < number);
        if self.packets.get(place).is_some_and(|packet| packet.number == number) {
            self.counts.duplicate += 1;
            return Arrival::Duplicate;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.extend_from_slice(payload.unwrap_or_default());
        self.packets.insert(
            place,
            Packet {
                number,
                timestamp,
                payload: copy,
                passed: payload.is_none(),
            },
        );
        if self.packets.len() > MOST_PACKETS {
            self.leave_out();
        }
        Arrival::Kept
    }

    /// A tick: what plays now. Where packets are shorter than ticks, ask until there is enough.
    pub fn pop(&mut self, now: Instant) -> Played<'_> {
        self.drop_passed();
        let Some(held) = self.packets.front().map(|packet| self.held(now, packet.timestamp)) else {
            self.run_dry();
            return Played::Nothing;
        };
        let wanted = self.timing.as_ref().map_or(LEAST_WANTED, Timing::wanted);
        match self.state {
            State::Filling if held < wanted => return Played::Nothing,
            State::Filling => self.next = self.packets.front().map(|packet| packet.number),
            State::Playing { .. } => {}
        }
        self.state = State::Playing { dry: 0 };
        self.shorten(now, held - wanted);
        let first = self.packets.front().map_or(0, |packet| packet.number);
        let missing = first - self.next.unwrap_or(first);
        if missing == 0 {
            return self.play();
        }
        let packet = self.microseconds(i64::from(self.step));
        if held + missing * packet < wanted {
            // Waiting costs the same as giving up, and what is late may come.
            return Played::Nothing;
        }
        self.counts.lost += 1;
        self.next = self.next.map(|next| next + 1);
        let after = self.packets.front().filter(|_| missing == 1);
        Played::Lost {
            ticks: self.step,
            next: after.map(|packet| packet.payload.as_slice()),
        }
    }

    fn play(&mut self) -> Played<'_> {
        let Some(packet) = self.packets.pop_front() else {
            return Played::Nothing;
        };
        self.next = Some(packet.number + 1);
        let played = std::mem::replace(&mut self.playing, packet);
        self.reuse(played);
        Played::Packet {
            timestamp: self.playing.timestamp,
            payload: &self.playing.payload,
        }
    }

    /// Packets without audio take no time.
    fn drop_passed(&mut self) {
        let state = self.state;
        let turn = |packet: &Packet, next: Option<i64>| match state {
            State::Filling => true,
            State::Playing { .. } => next.is_none_or(|next| packet.number == next),
        };
        while let Some(packet) = self
            .packets
            .pop_front_if(|packet| packet.passed && turn(packet, self.next))
        {
            self.next = self.next.map(|next| next.max(packet.number + 1));
            self.reuse(packet);
        }
    }

    fn run_dry(&mut self) {
        self.state = match self.state {
            State::Filling => State::Filling,
            State::Playing { dry } if dry + 1 >= PAUSE_TICKS => State::Filling,
            State::Playing { dry } => State::Playing { dry: dry + 1 },
        };
    }

    /// Leaves packets out where the delay has been too long for too long, or far too long.
    fn shorten(&mut self, now: Instant, surplus: i64) {
        let packet = self.microseconds(i64::from(self.step));
        if surplus <= packet + LEAST_WANTED / 2 {
            self.surplus = None;
            return;
        }
        let since = *self.surplus.get_or_insert(now);
        let mut left = surplus;
        while left > MOST_WANTED && self.packets.len() > 1 {
            self.leave_out();
            left -= packet.max(1);
        }
        if now.saturating_duration_since(since) >= PATIENCE && self.packets.len() > 1 {
            self.leave_out();
            self.surplus = None;
        }
    }

    fn leave_out(&mut self) {
        if let Some(packet) = self.packets.pop_front() {
            self.counts.left_out += 1;
            self.next = self.next.map(|_| packet.number + 1);
            self.reuse(packet);
        }
    }

    fn reuse(&mut self, mut packet: Packet) {
        packet.payload.clear();
        if self.spare.len() < MOST_PACKETS {
            self.spare.push(packet.payload);
        }
    }

    /// The sequence number beyond 16 bits; `None` where it does not fit.
    fn number(&self, sequence: u16) -> Option<i64> {
        if self.timing.is_none() {
            return Some(i64::from(sequence));
        }
        let (latest, _) = self.latest;
        let step = i64::from(sequence.wrapping_sub(latest as u16) as i16);
        (BEHIND..AHEAD).contains(&step).then_some(latest + step)
    }

    fn restart(&mut self) {
        while let Some(packet) = self.packets.pop_front() {
            self.reuse(packet);
        }
        (self.next, self.timing, self.surplus, self.state) = (None, None, None, State::Filling);
    }

    fn learn(&mut self, now: Instant, number: i64, timestamp: u32) {
        let clock = self.clock;
        match &mut self.timing {
            Some(timing) => timing.learn(now, timestamp, clock),
            None => {
                self.timing = Some(Timing {
                    began: now,
                    first: timestamp,
                    least: (0, 0),
                    window: now,
                    wanted: LEAST_WANTED,
                });
                self.latest = (number, timestamp);
            }
        }
        let (latest, before) = self.latest;
        let step = timestamp.wrapping_sub(before);
        if number == latest + 1 && (1..=clock * 120 / 1_000).contains(&step) {
            self.step = step;
        }
        if number > latest {
            self.latest = (number, timestamp);
        }
    }

    /// How long a packet of this timestamp would have waited had it come as early as the earliest.
    fn held(&self, now: Instant, timestamp: u32) -> i64 {
        self.timing
            .as_ref()
            .map_or(0, |timing| timing.transit(now, timestamp, self.clock) - timing.least())
    }

    fn microseconds(&self, ticks: i64) -> i64 {
        ticks * 1_000_000 / i64::from(self.clock)
    }
}

impl Timing {
    /// How much later than the first packet, beside its timestamp.
    fn transit(&self, now: Instant, timestamp: u32, clock: u32) -> i64 {
        let by_clock = now.saturating_duration_since(self.began).as_micros() as i64;
        let by_stamp = i64::from(timestamp.wrapping_sub(self.first) as i32) * 1_000_000 / i64::from(clock);
        by_clock - by_stamp
    }

    fn least(&self) -> i64 {
        self.least.0.min(self.least.1)
    }

    fn wanted(&self) -> i64 {
        self.wanted.clamp(LEAST_WANTED, MOST_WANTED)
    }

    fn learn(&mut self, now: Instant, timestamp: u32, clock: u32) {
        let before = self.transit(now, timestamp, clock);
        if now.saturating_duration_since(self.window) >= WINDOW {
            // From here on time is counted from this packet, so that timestamps may wrap.
            self.least = (self.least.1 - before, 0);
            (self.began, self.first, self.window) = (now, timestamp, now);
        }
        let transit = self.transit(now, timestamp, clock);
        if (transit - self.least()).abs() > STRANGE_TRANSIT {
            // The sender's timestamps jumped or stood still during a pause: that is no jitter.
            (self.began, self.first, self.window, self.least) = (now, timestamp, now, (0, 0));
            return;
        }
        self.least.1 = self.least.1.min(transit);
        let late = transit - self.least();
        self.wanted = late.max(self.wanted - self.wanted / 256).min(4 * MOST_WANTED);
    }
}

#[cfg(test)]
mod tests;
