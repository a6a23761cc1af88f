//! Who hears whom, and the way of a packet or of a prompt's frame to all who hear it.

use std::time::Instant;

use super::Sessions;
use super::table::Row;
use crate::media::session::{Incoming, MediaSession, Played};
use crate::media::{Hear, Hears, PromptName};
use crate::vocabulary::LegHandle;

impl Sessions {
    /// Everybody whose payload types depend on this leg's description looks at it again.
    pub(super) fn learn(&mut self, now: Instant, leg: LegHandle, opened: bool) {
        let Some(row) = self.table.get(leg) else { return };
        if opened {
            let announced = row.announced.take();
            self.tune(now, leg);
            if let Some((name, again)) = announced {
                self.announce_to(now, leg, name, again);
            }
        } else {
            self.relearn_own(leg);
        }
        let mut at = 0;
        while let Some(listener) = self.table.listener(leg.slot, at) {
            self.relearn(listener, leg);
            at += 1;
        }
    }

    /// The leg looks again at whom it hears.
    fn relearn_own(&mut self, leg: LegHandle) {
        if let Some(row) = self.table.get(leg)
            && let (None, Hear::Leg(source)) = (&row.place, &row.hears)
        {
            let source = *source;
            self.relearn(leg.slot, source);
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
        if row.place.is_some() {
            return; // it hears its hub, and this when it has left
        }
        if let Hear::Leg(source) = before {
            self.table.forget_listener(source, leg.slot);
        }
        self.listen_to(leg, &what);
        self.tune(now, leg);
        self.arm(leg);
    }

    /// The packets of whom it hears come to it.
    pub(super) fn listen_to(&mut self, leg: LegHandle, what: &Hear) {
        if let Hear::Leg(source) = what
            && let Some(row) = self.table.row(*source)
        {
            row.listeners.push(leg.slot);
        }
    }

    /// The leg's session hears what its row says.
    pub(super) fn tune(&mut self, now: Instant, leg: LegHandle) {
        let Some(row) = self.table.get(leg) else { return };
        let Row {
            place, hears, session, ..
        } = row;
        let Some(session) = session else { return };
        let plays = match place {
            Some(place) => {
                session.heard_in_hub(place.heard);
                session.hears_hub(now, &place.hears);
                matches!(place.hears, Hears::Music(_))
            }
            None => {
                session.heard_in_hub(false);
                session.hears(now, hears);
                matches!(hears, Hear::Prompt { .. })
            }
        };
        if plays {
            self.playing.add(now, leg.slot);
        }
        self.relearn_own(leg);
    }

    /// Plays this to the leg in place of all that it hears.
    pub(super) fn announce_to(&mut self, now: Instant, leg: LegHandle, name: PromptName, again: bool) {
        let Some(row) = self.table.row(leg) else { return };
        match &mut row.session {
            Some(session) => {
                session.announce(name, again);
                self.playing.add(now, leg.slot);
            }
            None => row.announced = Some((name, again)),
        }
    }

    /// Ends that.
    pub(super) fn stop_announcing_to(&mut self, leg: LegHandle) {
        let Some(row) = self.table.get(leg) else { return };
        row.announced = None;
        if row.session.as_mut().is_some_and(|session| session.stop_announcing()) {
            self.relearn_own(leg);
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

    /// The next frame of every prompt, to everybody who hears it, and of every hub.
    pub(super) fn play(&mut self, now: Instant) {
        while let Some(tick) = self.playing.due(now) {
            let mut at = 0;
            while let Some(slot) = self.playing.get(at) {
                let session = self.table.session(slot);
                let played = session.map_or(Played::Nothing, |session| {
                    session.play(tick, &mut self.prompts, &mut self.out)
                });
                if played == Played::Back
                    && let Some(leg) = self.table.session(slot).map(|session| session.leg())
                {
                    self.relearn_own(leg);
                }
                at = self.playing.keep(at, played != Played::Nothing);
            }
            self.mix_all(tick);
        }
    }
}
