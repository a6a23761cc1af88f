//! Whether a party is heard, and whether there is anything for it to hear.

use std::time::{Duration, Instant};

use crate::media::MediaSettings;

/// What is watched of one leg.
#[derive(Debug)]
pub(super) struct Watch {
    silence: Duration,
    /// When the last packet came.
    heard_at: Option<Instant>,
    /// Since when packets may come, by the descriptions.
    expected_since: Instant,
    /// Since when it ought to hear something.
    hears_since: Option<Instant>,
    silent: bool,
    one_way: bool,
    /// Packets received and sent when the last look was taken, and when that was.
    looked: (u64, u64, Instant),
}

impl Watch {
    pub(super) fn new(now: Instant, settings: &MediaSettings) -> Watch {
        Watch {
            silence: settings.silence,
            heard_at: None,
            expected_since: now,
            hears_since: None,
            silent: false,
            one_way: false,
            looked: (0, 0, now),
        }
    }

    /// A packet of the party was taken; true for the first.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.silent = false;
        self.heard_at.replace(now).is_none()
    }

    /// The descriptions changed: what was before says nothing about what may come.
    pub(super) fn expect(&mut self, now: Instant) {
        self.expected_since = now;
        self.silent = false;
    }

    /// Something, or nothing, is there for the party.
    pub(super) fn hears(&mut self, now: Instant, something: bool) {
        self.hears_since = something.then_some(now);
    }

    /// When silence becomes an event, if nothing comes until then.
    pub(super) fn deadline(&self, receives: bool) -> Option<Instant> {
        (receives && !self.silent).then(|| self.since() + self.silence)
    }

    /// For how many seconds nothing came, once.
    pub(super) fn silent(&mut self, now: Instant, receives: bool) -> Option<u32> {
        if self.deadline(receives)? > now {
            return None;
        }
        self.silent = true;
        let seconds = now.saturating_duration_since(self.since()).as_secs();
        Some(seconds.min(u64::from(u32::MAX)) as u32)
    }

    /// Taken from time to time: whether packets went one way only since the last look; `Some(true)`: the party is not
    /// heard. Once.
    pub(super) fn one_way(&mut self, now: Instant, ways: (bool, bool), received: u64, sent: u64) -> Option<bool> {
        let (received_before, sent_before, looked) = std::mem::replace(&mut self.looked, (received, sent, now));
        let (receives, sends) = ways;
        let came = received > received_before;
        let went = sent > sent_before;
        let unheard = receives && went && !came && self.expected_since <= looked;
        let unserved = sends && came && !went && self.hears_since.is_some_and(|since| since <= looked);
        if self.one_way || !(unheard || unserved) {
            return None;
        }
        self.one_way = true;
        Some(unheard)
    }

    fn since(&self) -> Instant {
        self.heard_at
            .map_or(self.expected_since, |at| at.max(self.expected_since))
    }
}
