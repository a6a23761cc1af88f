//! Telephone-events of RFC 4733: the four octets, keys that a party presses, keys that we press for it.

use std::time::{Duration, Instant};

use compact_str::CompactString;

/// One event's payload (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyEvent {
    /// 0 to 15 are keys.
    pub(super) code: u8,
    pub(super) end: bool,
    /// Attenuation, 0 to 63.
    pub(super) volume: u8,
    /// Up to now, in clock units.
    pub(super) duration: u16,
}

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

impl KeyEvent {
    pub(super) fn read(payload: &[u8]) -> Option<KeyEvent> {
        let [code, flags, d0, d1] = *payload.first_chunk()?;
        Some(KeyEvent {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    pub(super) fn octets(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.code, (u8::from(self.end) << 7) | (self.volume & 0x3f), d0, d1]
    }

    /// The same on another clock.
    pub(super) fn rescaled(self, from: u32, to: u32) -> KeyEvent {
        let duration = u64::from(self.duration) * u64::from(to) / u64::from(from.max(1));
        KeyEvent {
            duration: duration.min(0xffff) as u16,
            ..self
        }
    }

    fn key(self) -> Option<char> {
        KEYS.get(usize::from(self.code)).map(|key| char::from(*key))
    }
}

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pressed {
    pub(super) key: char,
    pub(super) milliseconds: u32,
}

/// An event whose end did not come is over when nothing of it came for so long (RFC 4733 §2.5.2.2: three packet intervals at
/// least).
const OVER: Duration = Duration::from_millis(200);

/// Finds in the packets of events the keys that were pressed, each once.
#[derive(Debug, Default)]
pub(super) struct Keys {
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    timestamp: u32,
    event: KeyEvent,
    clock: u32,
    at: Instant,
    told: bool,
}

impl Keys {
    /// A packet of an event came. RFC 4733 §2.5.1.3: its end comes three times, and the timestamp tells one event from
    /// the next, also of the same key.
    pub(super) fn packet(&mut self, now: Instant, timestamp: u32, event: KeyEvent, clock: u32) -> [Option<Pressed>; 2] {
        let new = self.current.is_none_or(|current| current.timestamp != timestamp);
        let before = if new { self.finish() } else { None };
        let told = !new && self.current.is_some_and(|current| current.told);
        let current = Current {
            timestamp,
            event,
            clock,
            at: now,
            told: told || event.end,
        };
        self.current = Some(current);
        [before, (event.end && !told).then(|| current.pressed()).flatten()]
    }

    /// Another packet came, or time went by: an event without an end is over by now.
    pub(super) fn time(&mut self, now: Instant) -> Option<Pressed> {
        let current = self.current.as_ref().filter(|current| !current.told)?;
        if now.saturating_duration_since(current.at) < OVER {
            return None;
        }
        self.finish()
    }

    fn finish(&mut self) -> Option<Pressed> {
        let current = self.current.as_mut().filter(|current| !current.told)?;
        current.told = true;
        current.pressed()
    }
}

impl Current {
    fn pressed(&self) -> Option<Pressed> {
        let milliseconds = u64::from(self.event.duration) * 1_000 / u64::from(self.clock.max(1));
        let key = self.event.key()?;
        Some(Pressed {
            key,
            milliseconds: milliseconds as u32,
        })
    }
}

/// A key is held so long.
const HELD: Duration = Duration::from_millis(100);
/// Between two keys; Q.24 wants 40 ms at least, and gateways that make tones of events want more.
const PAUSE: Duration = Duration::from_millis(80);
/// RFC 4733 §2.5.1.4: the last packet is sent three times.
const ENDS: u8 = 3;
/// −10 dBm0 (RFC 4733 §2.3.3; the usual one).
const VOLUME: u8 = 10;

/// Keys that we press towards a party, packet by packet.
#[derive(Debug, Default)]
pub(super) struct Pressing {
    waiting: CompactString,
    key: Option<Key>,
    next: Option<Instant>,
}

#[derive(Debug)]
struct Key {
    code: u8,
    timestamp: Option<u32>,
    packets: u32,
    ends: u8,
}

/// A packet of an event that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) event: KeyEvent,
    pub(super) marker: bool,
    /// Of the event; `None`: it begins now, and [`Pressing::begun`] wants to hear its timestamp.
    pub(super) timestamp: Option<u32>,
}

impl Pressing {
    /// More keys, after those that wait. What is no key is left out.
    pub(super) fn press(&mut self, now: Instant, digits: &str) {
        let upper = digits.chars().map(|digit| digit.to_ascii_uppercase());
        self.waiting.extend(upper.filter(|digit| code(*digit).is_some()));
        if self.key.is_none() && !self.waiting.is_empty() {
            self.next.get_or_insert(now);
        }
    }

    /// Whether a key is held or waits: the party hears nothing else meanwhile.
    pub(super) fn is_busy(&self) -> bool {
        self.next.is_some()
    }

    /// When the next packet is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The packet that is due, if one is.
    pub(super) fn due(&mut self, now: Instant, packet_ms: u8, clock: u32) -> Option<Due> {
        let at = self.next.filter(|at| *at <= now)?;
        let step = Duration::from_millis(u64::from(packet_ms.max(10)));
        if self.key.is_none() && self.waiting.is_empty() {
            self.next = None;
            return None;
        }
        let key = self.key.get_or_insert_with(|| Key {
            code: code(self.waiting.remove(0)).unwrap_or(0),
            timestamp: None,
            packets: 0,
            ends: 0,
        });
        key.packets += 1;
        let held = (step * key.packets).min(HELD);
        let end = held >= HELD;
        key.ends += u8::from(end);
        let due = Due {
            event: KeyEvent {
                code: key.code,
                end,
                volume: VOLUME,
                duration: (held.as_millis() as u32 * (clock / 1_000)).min(0xffff) as u16,
            },
            marker: key.timestamp.is_none(),
            timestamp: key.timestamp,
        };
        // The end's repetitions need no 20 ms, but a burst would be lost as one.
        let over = key.ends >= ENDS;
        if over {
            self.key = None;
        }
        self.next = Some(at + if over { PAUSE } else { step });
        Some(due)
    }

    /// The event began at this timestamp.
    pub(super) fn begun(&mut self, timestamp: u32) {
        if let Some(key) = &mut self.key {
            key.timestamp.get_or_insert(timestamp);
        }
    }
}

fn code(digit: char) -> Option<u8> {
    KEYS.iter()
        .position(|key| char::from(*key) == digit)
        .map(|code| code as u8)
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
