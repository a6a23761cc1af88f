//! A hub: everybody is decoded once, mixed once for each distinct audience, encoded once for each audience and codec.
//!
//! Owns its members' sound: who is heard by whom, the sums, the encoders, what is announced, the recording, who speaks.
//! Refuses RTP: a member's [`MediaSession`](crate::media::session::MediaSession) gives decoded sound and takes payloads, so
//! that its stream keeps SSRC, numbers and timestamps whatever it hears.
//!
//! | a member | hears, every 20 ms |
//! |---|---|
//! | says nothing, is not whispered to | the sum of all; one encode a codec serves all of these |
//! | speaks | the sum less itself, by an encoder of its own |
//! | is whispered to | the sum, less itself if it speaks, and the whispers |
//! | hears a sum in which nobody speaks | silence that was encoded once, ever: the stream never stops, so that NATs and timeouts live |
//!
//! **Two rates.** G.711 is summed at 8 kHz, G.722 and Opus at 16 kHz; a hub of telephones never leaves 8 kHz. Where both are
//! there, each *sum* is resampled for the other, not each voice: two filters a hub, however many speak. Opus is decoded to
//! 16 kHz, because what a hub encodes for it is wideband (32 kbit/s with FEC): 48 kHz would cost three times as much and be heard
//! by nobody.
//!
//! What a member does not say costs nothing but a look: no decode of comfort noise, no encode for an audience that
//! hears nobody. G.722 and Opus remember what they sent; a member that stops speaking keeps its own encoder for two
//! seconds, so that "yes" in a conversation does not change the encoder that its decoder follows.

mod bus;
mod ear;
mod sounds;
mod speaking;
mod tape;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::media::audio::Prompts;
use crate::media::output::Outputs;
use crate::media::session::Spoken;
use crate::media::{Heard, Hears, MediaEvent, Member, PromptName};
use crate::vocabulary::{CallHandle, LegHandle};

use super::table::Table;
use bus::Mix;
pub(super) use ear::Desk;
use ear::Ear;
use sounds::Sounds;
use speaking::Speaking;
use tape::Tape;

/// Ticks that an encoder and a filter need to let the last sound out.
const FLUSH: u32 = 5;

/// One hub.
#[derive(Debug)]
pub(super) struct Hub {
    call: CallHandle,
    /// In the order in which they were declared; `ears` has the same.
    seats: Vec<Seat>,
    ears: Vec<Ear>,
    mix: Mix,
    sounds: Sounds,
    tape: Option<Tape>,
}

/// What a member says.
#[derive(Debug)]
struct Seat {
    leg: LegHandle,
    heard: Heard,
    /// Its sound in this tick, where there is some.
    spoken: Option<Spoken>,
    frame: Vec<i16>,
    speaking: Speaking,
}

impl Seat {
    /// Its sound, and at which rate.
    fn sound(&self) -> Option<(&[i16], u32)> {
        self.spoken.map(|spoken| (self.frame.as_slice(), spoken.rate))
    }

    /// The same where it is part of the sum.
    fn summed(&self) -> Option<(&[i16], u32)> {
        match self.heard {
            Heard::ByAll => self.sound(),
            Heard::By(_) | Heard::ByNobody => None,
        }
    }
}

impl Hub {
    pub(super) fn new(call: CallHandle) -> Hub {
        Hub {
            call,
            seats: Vec::new(),
            ears: Vec::new(),
            mix: Mix::default(),
            sounds: Sounds::default(),
            tape: None,
        }
    }

    /// Everybody who is in it now.
    pub(super) fn legs(&self) -> impl Iterator<Item = LegHandle> {
        self.seats.iter().map(|seat| seat.leg)
    }

    /// Frames that it has encoded so far.
    #[cfg(test)]
    pub(super) fn encoded(&self) -> u64 {
        self.mix.encoded
    }

    /// Who is in it from now on; whoever stays keeps encoder and decoder.
    pub(super) fn set(&mut self, members: &[Member]) {
        let whisper = |(at, member): (usize, &Member)| match member.heard {
            Heard::By(listener) => Some((listener, at)),
            Heard::ByAll | Heard::ByNobody => None,
        };
        let whispers: Vec<(LegHandle, usize)> = members.iter().enumerate().filter_map(whisper).collect();
        let seats = std::mem::take(&mut self.seats).into_iter();
        let ears = std::mem::take(&mut self.ears);
        let mut before: BTreeMap<LegHandle, (Seat, Ear)> =
            seats.zip(ears).map(|(seat, ear)| (seat.leg, (seat, ear))).collect();
        for member in members {
            let (mut seat, mut ear) = before
                .remove(&member.leg)
                .unwrap_or_else(|| (Seat::new(member), Ear::default()));
            seat.heard = member.heard;
            ear.hears = member.hears.clone();
            let own = whispers.iter().filter(|(listener, _)| *listener == member.leg);
            ear.whispered_to(own.map(|(_, at)| *at));
            self.seats.push(seat);
            self.ears.push(ear);
        }
    }

    /// The leg has ended, or is another hub's.
    pub(super) fn forget(&mut self, leg: LegHandle) {
        let Some(at) = self.seats.iter().position(|seat| seat.leg == leg) else {
            return;
        };
        self.seats.remove(at);
        self.ears.remove(at);
        self.ears.iter_mut().for_each(|ear| ear.without(at));
    }

    /// Plays this to all who hear the hub; gives back the name of one that had to end for it.
    pub(super) fn announce(&mut self, name: PromptName, again: bool) -> Option<PromptName> {
        self.sounds.begin(name, again)
    }

    /// Ends all that is announced.
    pub(super) fn stop_announcing(&mut self) {
        self.sounds.stop();
    }

    /// 20 ms: everybody is heard, everybody hears.
    pub(super) fn tick(
        &mut self,
        tick: Instant,
        table: &mut Table,
        prompts: &Prompts,
        desk: &mut Desk,
        out: &mut Outputs,
    ) {
        self.mix.begin();
        self.gather(tick, table, out);
        for name in self.sounds.tick(prompts) {
            out.event(MediaEvent::Announced { call: self.call, name });
        }
        self.mix.sourced(self.sounds.sounding());
        if let Some(tape) = &mut self.tape {
            tape.tick(tick, &mut self.mix, &mut self.sounds);
            tape.write(tick, self.call, out);
        }
        self.serve(tick, table, desk, out);
    }

    fn gather(&mut self, tick: Instant, table: &mut Table, out: &mut Outputs) {
        for seat in &mut self.seats {
            let session = table.get(seat.leg).and_then(|row| row.session.as_mut());
            let spoken = match seat.heard {
                Heard::ByNobody => None,
                Heard::ByAll | Heard::By(_) => session.and_then(|session| session.speak(tick, &mut seat.frame)),
            };
            seat.spoken = spoken;
            if let Some((pcm, rate)) = seat.summed() {
                self.mix.add(rate, pcm);
            }
            let heard = seat.heard != Heard::ByNobody;
            if let Some(on) = seat.speaking.tick(spoken.map(|spoken| spoken.level), heard) {
                let (call, leg) = (self.call, seat.leg);
                out.event(MediaEvent::Speaking { call, leg, on });
            }
        }
    }

    fn serve(&mut self, tick: Instant, table: &mut Table, desk: &mut Desk, out: &mut Outputs) {
        for (at, ear) in self.ears.iter_mut().enumerate() {
            if matches!(ear.hears, Hears::Music(_)) {
                continue; // its session plays it
            }
            let Some(seat) = self.seats.get(at) else { return };
            let Some(session) = table.get(seat.leg).and_then(|row| row.session.as_mut()) else {
                continue;
            };
            let Some(target) = session.takes() else { continue };
            let (codec, kind) = (target.codec.clone(), (target.number, target.codec.clock()));
            let frame = match ear.hears {
                Hears::All => ear.frame(&codec, (at, &self.seats), (&mut self.mix, &mut self.sounds), desk),
                Hears::Music(_) | Hears::Nothing => desk.silence(&codec),
            };
            session.hear_hub(tick, kind, frame, out);
        }
    }
}

impl Seat {
    fn new(member: &Member) -> Seat {
        Seat {
            leg: member.leg,
            heard: member.heard,
            spoken: None,
            frame: Vec::new(),
            speaking: Speaking::default(),
        }
    }
}
