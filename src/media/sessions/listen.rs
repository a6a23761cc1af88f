//! Who hears whom, and the way of a packet or of a prompt's frame to all who hear it.

use std::time::Instant;

use super::Sessions;
use crate::media::Hear;
use crate::media::session::{Incoming, MediaSession};
use crate::vocabulary::LegHandle;

impl Sessions {
    /// Everybody whose payload types depend on this leg's description looks at it again.
    pub(super) fn learn(&mut self, now: Instant, leg: LegHandle, opened: bool) {
        let Some(row) = self.table.get(leg) else { return };
        let hears = row.hears.clone();
        if opened {
            self.tune(now, leg, &hears);
        } else if let Hear::Leg(source) = hears {
            self.relearn(leg.slot, source);
        }
        let mut at = 0;
        while let Some(listener) = self.table.listener(leg.slot, at) {
            self.relearn(listener, leg);
            at += 1;
        }
    }

    fn relearn(&mut self, listener: u32, source: LegHandle) {
        match self.table.pair(listener, source.slot) {
            Some((listener, source_session)) => {
                listener.learn(source_session.filter(|session| session.leg() == source));
            }
            None if listener == source.slot => {
                let itself = self.table.session(listener).filter(|session| session.leg() == source);
                itself.into_iter().for_each(MediaSession::learn_itself);
            }
            None => {}
        }
    }

    pub(super) fn hear(&mut self, now: Instant, leg: LegHandle, what: Hear) {
        let Some(row) = self.table.row(leg) else { return };
        if row.hears == what && matches!(what, Hear::Leg(_)) {
            return; // it goes on as it is, and the stream has no seam
        }
        let before = std::mem::replace(&mut row.hears, what.clone());
        if let Hear::Leg(source) = before {
            self.table.forget_listener(source, leg.slot);
        }
        if let Hear::Leg(source) = &what
            && let Some(row) = self.table.row(*source)
        {
            row.listeners.push(leg.slot);
        }
        self.tune(now, leg, &what);
        self.arm(leg);
    }

    fn tune(&mut self, now: Instant, leg: LegHandle, what: &Hear) {
        if let Some(session) = self.table.session(leg.slot) {
            session.hears(now, what);
        }
        match what {
            Hear::Leg(source) => self.relearn(leg.slot, *source),
            Hear::Prompt { .. } => self.playing.add(now, leg.slot),
            Hear::Nothing => {}
        }
    }

    /// A packet goes to everybody who hears its leg.
    pub(super) fn spread(&mut self, now: Instant, packet: &Incoming, payload: &[u8]) {
        let mut at = 0;
        while let Some(listener) = self.table.listener(packet.slot, at) {
            if let Some(session) = self.table.session(listener) {
                session.relay(now, packet, payload, &mut self.out);
            }
            at += 1;
        }
    }

    /// The next frame of every prompt, to everybody who hears it.
    pub(super) fn play(&mut self, now: Instant) {
        while let Some(tick) = self.playing.due(now) {
            let mut at = 0;
            while let Some(slot) = self.playing.get(at) {
                let playing = self
                    .table
                    .session(slot)
                    .is_some_and(|session| session.play(tick, &mut self.prompts, &mut self.out));
                at = self.playing.keep(at, playing);
            }
        }
    }
}
