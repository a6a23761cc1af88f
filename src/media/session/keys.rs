//! Keys on their way: what the party pressed is told, what we press goes out as events, or as tones where it takes none.

use std::time::{Duration, Instant};

use super::event::{Pressed, Pressing};
use super::{MediaSession, Moment, payloads};
use crate::media::audio::{Dialling, Encoder, FRAME_MS};
use crate::media::output::Outputs;
use crate::media::{Codec, MediaEvent};

const FRAME: Duration = Duration::from_millis(FRAME_MS as u64);

/// Tones that go out in the party's audio.
pub(super) struct Tones {
    dialling: Dialling,
    encoder: Encoder,
    codec: Codec,
    next: Instant,
    begun: bool,
    pcm: Vec<i16>,
    frame: Vec<u8>,
}

impl std::fmt::Debug for Tones {
    /// Which digits are a secret of the caller's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tones")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl MediaSession {
    pub(super) fn tell(&self, key: Pressed, out: &mut Outputs) {
        out.event(MediaEvent::Digit {
            leg: self.leg,
            digit: key.key,
            milliseconds: key.milliseconds,
        });
    }

    /// Presses keys towards the party, after those that it is being sent.
    pub(in crate::media) fn press(&mut self, now: Instant, digits: &str) {
        let event = |codec: &Codec| matches!(codec, Codec::TelephoneEvent { .. });
        if self.endpoint.send.iter().any(|payload| event(&payload.codec)) {
            return self.pressing.press(now, digits);
        }
        if let Some(tones) = &mut self.tones {
            return tones.dialling.add(digits);
        }
        let codec = payloads::audio(&self.endpoint.send).map(|payload| payload.codec.clone());
        let made = codec.and_then(|codec| Some((Encoder::new(&codec)?, codec)));
        self.tones = made.map(|(encoder, codec)| {
            Box::new(Tones {
                dialling: Dialling::new(digits, encoder.rate()),
                encoder,
                codec,
                next: now,
                begun: false,
                pcm: Vec::new(),
                frame: Vec::new(),
            })
        });
    }

    /// Whether the party hears keys now, and nothing else.
    pub(super) fn is_pressing(&self) -> bool {
        self.pressing.is_busy() || self.tones.is_some()
    }

    pub(super) fn pressing_deadline(&self) -> Option<Instant> {
        let tones = self.tones.as_ref().map(|tones| tones.next);
        [self.pressing.deadline(), tones].into_iter().flatten().min()
    }

    /// Sends what is due of keys.
    pub(super) fn press_on(&mut self, now: Instant, out: &mut Outputs) {
        while let Some(at) = self.pressing.deadline().filter(|at| *at <= now) {
            self.send_key(at, out);
        }
        while let Some(tones) = self.tones.take_if(|tones| tones.next <= now) {
            self.tones = self.send_tone(tones, out);
        }
    }

    fn send_key(&mut self, at: Instant, out: &mut Outputs) {
        let event = |codec: &Codec| matches!(codec, Codec::TelephoneEvent { .. });
        let Some(payload) = self.endpoint.send.iter().find(|payload| event(&payload.codec)) else {
            self.pressing = Pressing::default(); // another description took the events away
            return;
        };
        let (number, clock) = (payload.number, payload.codec.clock());
        let Some(due) = self.pressing.due(at, self.endpoint.packet_ms, clock) else {
            return;
        };
        let moment = due.timestamp.map_or(Moment::Now, Moment::Since);
        let mut header = self.outgoing.own(at, number, clock, moment);
        header.marker = due.marker;
        self.pressing.begun(header.timestamp);
        let Some(to) = self.door.rtp().filter(|_| self.endpoint.direction.sends()) else {
            return;
        };
        self.send(at, to, (&header, &due.event.octets()), out);
    }

    fn send_tone(&mut self, mut tones: Box<Tones>, out: &mut Outputs) -> Option<Box<Tones>> {
        let at = tones.next;
        tones.pcm.clear();
        let target = self.endpoint.send.iter().find(|payload| payload.codec == tones.codec);
        let (number, more) = (target?.number, tones.dialling.frame(&mut tones.pcm));
        if !more {
            return None;
        }
        tones.frame.clear();
        tones.encoder.encode(&tones.pcm, &mut tones.frame);
        tones.next = at + FRAME;
        let mut header = self.outgoing.own(at, number, tones.codec.clock(), Moment::Now);
        header.marker = !std::mem::replace(&mut tones.begun, true);
        if let Some(to) = self.door.rtp().filter(|_| self.endpoint.direction.sends()) {
            self.send(at, to, (&header, &tones.frame), out);
        }
        Some(tones)
    }
}
