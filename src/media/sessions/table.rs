//! The table of sessions by handle, and who listens to whom.

use crate::media::session::MediaSession;
use crate::media::{Hear, Hears, PromptName};
use crate::vocabulary::{CallHandle, LegHandle};

/// What is kept for a slot, whether its endpoint is open or somebody only spoke of it.
#[derive(Debug)]
pub(super) struct Row {
    generation: u32,
    pub(super) session: Option<Box<MediaSession>>,
    /// What it hears when it is in no hub.
    pub(super) hears: Hear,
    /// Its place in a hub.
    pub(super) place: Option<Place>,
    /// What waits for the endpoint, to be played to it.
    pub(super) announced: Option<(PromptName, bool)>,
    /// Slots of those whom this leg's packets go to.
    pub(super) listeners: Vec<u32>,
}

/// A leg's place in a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) hub: CallHandle,
    /// Whether somebody hears it there.
    pub(super) heard: bool,
    pub(super) hears: Hears,
}

/// All of them. Slots are the engine's: few are free between those in use.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    open: usize,
}

/// Slots come from the engine; an unlikely one must not take all memory.
const MOST: u32 = 1 << 24;

impl Table {
    /// The leg's row, made if there was none. `None`: the handle is older than what has the slot now.
    pub(super) fn row(&mut self, leg: LegHandle) -> Option<&mut Row> {
        if leg.slot >= MOST {
            return None;
        }
        let at = leg.slot as usize;
        while self.rows.len() <= at {
            self.rows.push(Row {
                generation: leg.generation,
                session: None,
                hears: Hear::Nothing,
                place: None,
                announced: None,
                listeners: Vec::new(),
            });
        }
        let row = self.rows.get_mut(at)?;
        if row.generation == leg.generation {
            return Some(row);
        }
        // A slot's first rows may be made by whoever comes first; what has a session has to be closed by its own handle.
        if row.session.is_some() {
            return None;
        }
        row.generation = leg.generation;
        row.hears = Hear::Nothing;
        (row.place, row.announced) = (None, None);
        row.listeners.clear();
        Some(row)
    }

    /// The leg's row, if it has one.
    pub(super) fn get(&mut self, leg: LegHandle) -> Option<&mut Row> {
        let row = self.rows.get_mut(leg.slot as usize)?;
        (row.generation == leg.generation).then_some(row)
    }

    /// The session of a slot.
    pub(super) fn session(&mut self, slot: u32) -> Option<&mut MediaSession> {
        self.rows.get_mut(slot as usize)?.session.as_deref_mut()
    }

    /// The listener at this place of a slot's list.
    pub(super) fn listener(&self, slot: u32, at: usize) -> Option<u32> {
        self.rows.get(slot as usize)?.listeners.get(at).copied()
    }

    /// Two sessions at once: one to change and one to look at.
    pub(super) fn pair(&mut self, changed: u32, seen: u32) -> Option<(&mut MediaSession, Option<&MediaSession>)> {
        let (changed, seen) = (changed as usize, seen as usize);
        if changed == seen {
            return None;
        }
        let (low, high) = self.rows.split_at_mut_checked(changed.max(seen))?;
        let (low, high) = (low.get_mut(changed.min(seen)), high.first_mut());
        let (changed, seen) = if changed < seen { (low, high) } else { (high, low) };
        let changed = changed?.session.as_deref_mut()?;
        Some((changed, seen.and_then(|row| row.session.as_deref())))
    }

    /// A leg no longer listens to another.
    pub(super) fn forget_listener(&mut self, source: LegHandle, listener: u32) {
        if let Some(row) = self.get(source) {
            row.listeners.retain(|slot| *slot != listener);
        }
    }

    /// A session was opened or closed.
    pub(super) fn count(&mut self, opened: bool) {
        self.open = if opened {
            self.open + 1
        } else {
            self.open.saturating_sub(1)
        };
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open
    }

    /// Handles of all that are open, in the order of their slots.
    pub(super) fn legs(&self) -> Vec<LegHandle> {
        let sessions = self.rows.iter().filter_map(|row| row.session.as_deref());
        sessions.map(MediaSession::leg).collect()
    }
}
