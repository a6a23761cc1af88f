//! Audio that the edge makes: another party's in another codec, and prompts.

use std::time::Instant;

use bytes::Bytes;

use super::{Incoming, MediaSession, Moment, Routes, payloads};
use crate::media::audio::{Encoder, Prompts, Transcoder};
use crate::media::output::Outputs;
use crate::media::{Codec, Hear, MediaEvent, PromptName};

/// One source's stream on its way into another codec.
pub(super) struct Transcoding {
    /// Whose: slot, SSRC, payload type.
    of: (u32, u32, u8),
    /// `None`: one of the codecs is beyond us.
    transcoder: Option<Transcoder>,
    /// What its timestamp 0 is in our stream.
    base: Option<u32>,
    frame: Vec<u8>,
}

impl std::fmt::Debug for Transcoding {
    /// Codecs have much state and nothing to say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcoding")
            .field("of", &self.of)
            .finish_non_exhaustive()
    }
}

/// A prompt at its place.
#[derive(Debug)]
pub(super) struct Player {
    name: PromptName,
    again: bool,
    /// Frames since its beginning.
    index: u64,
    /// What is sent in place of a prompt that nobody has.
    silence: Option<(Codec, Bytes)>,
    /// Whether frames follow each other without a pause.
    flowing: bool,
    /// Frames for which its beginning has waited for a way to the party.
    waited: u16,
}

/// A prompt that plays once waits so long for ICE and DTLS: 5 s in frames.
const MOST_WAITED: u16 = 250;

/// What came of a frame's moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum Played {
    /// The party hears no prompt any more.
    Nothing,
    /// There are more.
    GoesOn,
    /// An announcement is over: the party hears again what it heard before.
    Back,
}

impl Player {
    pub(super) fn of(what: &Hear) -> Option<Player> {
        match what {
            Hear::Prompt { name, again } => Some(Player {
                name: name.clone(),
                again: *again,
                index: 0,
                silence: None,
                flowing: false,
                waited: 0,
            }),
            Hear::Nothing | Hear::Leg(_) => None,
        }
    }

    fn silence(&mut self, codec: &Codec) -> Option<Bytes> {
        match &self.silence {
            Some((of, octets)) if of == codec => Some(octets.clone()),
            Some(_) | None => {
                let mut octets = Vec::new();
                Encoder::new(codec)?.encode(&[], &mut octets);
                let octets = Bytes::from(octets);
                self.silence = Some((codec.clone(), octets.clone()));
                Some(octets)
            }
        }
    }
}

impl MediaSession {
    /// A packet of the source goes on in another codec.
    pub(super) fn transcode(
        &mut self,
        now: Instant,
        packet: &Incoming,
        payload: &[u8],
        way: (Codec, Codec, u8),
        out: &mut Outputs,
    ) {
        let Some(to) = self.door.rtp() else { return };
        let (from, target, number) = way;
        let of = (packet.slot, packet.header.ssrc, packet.header.payload_type);
        let mut transcoding = match self.transcoding.take() {
            Some(going) if going.of == of => going,
            Some(_) | None => Box::new(Transcoding {
                of,
                transcoder: Transcoder::new(&from, &target),
                base: None,
                frame: Vec::new(),
            }),
        };
        let clock = target.clock();
        if let Some(transcoder) = &mut transcoding.transcoder {
            transcoder.push(packet.header.timestamp, payload);
            while let Some(made) = transcoder.poll(&mut transcoding.frame) {
                let next = || self.outgoing.next_timestamp(now, clock).wrapping_sub(made.timestamp);
                let base = *transcoding.base.get_or_insert_with(next);
                let moment = Moment::At(base.wrapping_add(made.timestamp));
                let mut header = self.outgoing.own(now, number, clock, moment);
                header.marker = made.marker;
                self.send(now, to, (&header, &transcoding.frame), out);
                transcoding.frame.clear();
            }
        }
        self.transcoding = Some(transcoding);
    }

    /// Plays this to the party in place of all that it hears, from now on.
    pub(in crate::media) fn announce(&mut self, name: PromptName, again: bool) {
        self.switch();
        self.routes = Routes::default();
        self.announcement = Player::of(&Hear::Prompt { name, again });
    }

    /// Ends what is announced; false: nothing was.
    pub(in crate::media) fn stop_announcing(&mut self) -> bool {
        let was = self.announcement.take().is_some();
        if was {
            self.switch();
        }
        was
    }

    /// The moment of a prompt's next frame.
    pub(in crate::media) fn play(&mut self, tick: Instant, prompts: &mut Prompts, out: &mut Outputs) -> Played {
        let announced = self.announcement.take();
        let is_announced = announced.is_some();
        let Some(mut player) = announced.or_else(|| self.player.take()) else {
            return Played::Nothing;
        };
        let leg = self.leg;
        let missing = prompts.frames(&player.name).is_none();
        if missing && player.index == 0 {
            let name = player.name.clone();
            out.event(MediaEvent::PromptMissing { leg, name });
        }
        // Whoever waits for an announcement's end must not wait for ever.
        let over = missing && is_announced || !self.play_frame(tick, &mut player, prompts, out);
        match (over, is_announced) {
            (false, true) => self.announcement = Some(player),
            (false, false) => self.player = Some(player),
            (true, _) => {
                let name = player.name;
                out.event(MediaEvent::PromptEnded { leg, name });
            }
        }
        match (over, is_announced) {
            (false, _) => Played::GoesOn,
            (true, false) => Played::Nothing,
            (true, true) => {
                self.switch();
                Played::Back
            }
        }
    }

    /// False: it is over.
    fn play_frame(&mut self, tick: Instant, player: &mut Player, prompts: &mut Prompts, out: &mut Outputs) -> bool {
        let Some(target) = payloads::audio(&self.endpoint.send) else {
            return true;
        };
        let to = self.door.rtp();
        if to.is_none() && !player.again && player.waited < MOST_WAITED {
            player.waited += 1;
            return true;
        }
        let index = player.index;
        player.index += 1;
        let frame = match prompts.frames(&player.name) {
            None => player.silence(&target.codec),
            Some(_) => prompts.frame(&player.name, &target.codec, index, player.again),
        };
        let Some(frame) = frame else { return false };
        let (number, clock) = (target.number, target.codec.clock());
        let Some(to) = to else { return true };
        if !self.endpoint.direction.sends() || self.is_pressing() {
            player.flowing = false;
            return true;
        }
        let mut header = self.outgoing.own(tick, number, clock, Moment::Now);
        header.marker = !std::mem::replace(&mut player.flowing, true);
        self.send(tick, to, (&header, &frame), out);
        true
    }
}
