//! The one clock of all prompts and hubs: a frame of 20 ms to every listener at the same moment.

use std::time::{Duration, Instant};

use crate::media::audio::FRAME_MS;

const FRAME: Duration = Duration::from_millis(FRAME_MS as u64);
/// A thread that was kept away plays the frames it missed, but no more than these: nobody wants a second in one burst.
const MISSED: u32 = 10;

/// Who hears a prompt, whether there is a hub, and when the next frame is due.
#[derive(Debug, Default)]
pub(super) struct Playing {
    slots: Vec<u32>,
    mixing: bool,
    next: Option<Instant>,
}

impl Playing {
    /// This leg hears one from now on. An order may look through the list; a frame does not.
    pub(super) fn add(&mut self, now: Instant, slot: u32) {
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        self.next.get_or_insert(now);
    }

    /// Whether there are hubs.
    pub(super) fn mix(&mut self, now: Instant, mixing: bool) {
        self.mixing = mixing;
        if mixing {
            self.next.get_or_insert(now);
        }
    }

    /// When the next frame is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// The moment of a frame that is due; there is no next one while nobody listens and nobody is mixed.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let mut tick = self.next.filter(|tick| *tick <= now)?;
        if self.slots.is_empty() && !self.mixing {
            self.next = None;
            return None;
        }
        if now.saturating_duration_since(tick) > FRAME * MISSED {
            tick = now;
        }
        self.next = Some(tick + FRAME);
        Some(tick)
    }

    /// Whose turn it is.
    pub(super) fn get(&self, at: usize) -> Option<u32> {
        self.slots.get(at).copied()
    }

    /// Whether that one goes on listening; gives back the place of the next one.
    pub(super) fn keep(&mut self, at: usize, listens: bool) -> usize {
        if listens {
            return at + 1;
        }
        self.slots.swap_remove(at);
        at
    }
}
