//! Audio that the edge makes: another party's in another codec, and prompts.

use std::time::Instant;

use bytes::Bytes;

use super::{Incoming, MediaSession, Moment, payloads};
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

    /// The moment of a prompt's next frame; false: the party hears no prompt any more.
    pub(in crate::media) fn play(&mut self, tick: Instant, prompts: &mut Prompts, out: &mut Outputs) -> bool {
        let busy = self.is_pressing();
        let Some(player) = &mut self.player else { return false };
        let leg = self.leg;
        let index = player.index;
        player.index += 1;
        let missing = prompts.frames(&player.name).is_none();
        if missing && index == 0 {
            let name = player.name.clone();
            out.event(MediaEvent::PromptMissing { leg, name });
        }
        let Some(target) = payloads::audio(&self.endpoint.send) else {
            return true;
        };
        let frame = if missing {
            player.silence(&target.codec)
        } else {
            prompts.frame(&player.name, &target.codec, index, player.again)
        };
        let Some(frame) = frame else {
            let name = player.name.clone();
            self.player = None;
            out.event(MediaEvent::PromptEnded { leg, name });
            return false;
        };
        let (number, clock) = (target.number, target.codec.clock());
        let Some(to) = self.door.rtp() else { return true };
        if !self.endpoint.direction.sends() || busy {
            player.flowing = false;
            return true;
        }
        let mut header = self.outgoing.own(tick, number, clock, Moment::Now);
        header.marker = !std::mem::replace(&mut player.flowing, true);
        self.send(tick, to, (&header, &frame), out);
        true
    }
}
