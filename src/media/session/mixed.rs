//! A leg's place in a hub: what its party says is decoded, what it hears is made by the hub.

use std::time::Instant;

use super::sound::Player;
use super::voice::Voice;
use super::{MediaSession, Moment, Routes, payloads};
use crate::media::output::Outputs;
use crate::media::{Hear, Hears, Payload};

impl MediaSession {
    /// The party hears this as a member of a hub, from now on.
    pub(in crate::media) fn hears_hub(&mut self, now: Instant, what: &Hears) {
        self.switch();
        self.watch.hears(now, true);
        self.routes = Routes::default();
        self.player = match what {
            Hears::Music(name) => Player::of(&Hear::Prompt {
                name: name.clone(),
                again: true,
            }),
            Hears::All | Hears::Nothing => None,
        };
    }

    /// Whether what the party says is wanted by a hub. Who is heard by nobody is not even decoded.
    pub(in crate::media) fn heard_in_hub(&mut self, heard: bool) {
        if heard != self.voice.is_some() {
            self.voice = heard.then(|| Box::new(Voice::default()));
        }
    }

    /// What a hub's sound for the party is to be encoded as; `None`: it hears no hub at the moment.
    pub(in crate::media) fn takes(&self) -> Option<&Payload> {
        let free = self.endpoint.direction.sends() && self.announcement.is_none() && !self.is_pressing();
        let way = self.door.rtp().filter(|_| free);
        way.and_then(|_| payloads::audio(&self.endpoint.send))
    }

    /// A frame of the hub's sound for the party.
    pub(in crate::media) fn hear_hub(&mut self, tick: Instant, kind: (u8, u32), frame: &[u8], out: &mut Outputs) {
        let Some(to) = self.door.rtp() else { return };
        let (number, clock) = kind;
        let mut header = self.outgoing.own(tick, number, clock, Moment::Now);
        header.marker = !std::mem::replace(&mut self.flowing, true);
        self.send(tick, to, (&header, frame), out);
    }
}
