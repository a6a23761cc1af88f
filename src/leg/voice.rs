//! The edge's own voice: what a party is described when nobody else's description is its other side.
//!
//! A party of a hub talks with the mixer. It is offered and answered one description, made of the edge's own codecs, that
//! carries a mark of its own; [`super::media`] puts our end in its place as it does with any other, so that ICE, DTLS and SDES
//! work as between two parties, and SSRC, mid and m-lines stay when a pair becomes a hub and a hub a pair again.
//!
//! RFC 3264 §5, §6; RFC 7874 §3 (Opus and G.711 are what everybody has); RFC 4733.

use std::time::Instant;

use super::{Leg, LegHandle, Legs};
use crate::media::Hear;
use crate::sdp::{Description, Direction};

/// No leg's descriptions have it: theirs is a slot and a generation, plus one.
const MARK: u64 = u64::MAX;

const TEXT: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 9 RTP/AVP 111 9 0 8 101 110\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\n";

/// What a party of a hub is told, both ways.
pub(crate) fn voice() -> Option<Description> {
    let voice = Description::parse(bytes::Bytes::from_static(TEXT.as_bytes())).ok()?;
    Some(voice.marked(MARK))
}

/// Whether this is what [`voice`] says, in whatever direction.
pub(crate) fn is_voice(description: &Description) -> bool {
    description.mark() == MARK
}

impl Leg {
    /// Whether the party must be offered the edge's voice before it can take part in a hub: its media goes elsewhere, or has
    /// codecs that cannot be mixed, or only one way.
    pub fn wants_voice(&self) -> bool {
        let Some(end) = self.our_end().filter(|end| !end.leaving && !end.moved) else {
            return true;
        };
        let both_ways = self
            .sent
            .as_ref()
            .is_some_and(|sent| sent.direction() == Direction::SendRecv);
        !end.mixes() || (!both_ways && !self.holding)
    }
}

impl Legs {
    /// Offers the party the edge's own voice.
    pub fn offer_voice(&mut self, now: Instant, handle: LegHandle) {
        self.offer(now, handle, voice());
    }

    /// The party talks with the mixer from now on, and needs no offer for it: what it hears no longer is another leg's.
    pub fn take_voice(&mut self, handle: LegHandle) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let Some(sent) = leg.sent.as_ref().filter(|sent| !is_voice(sent)) else {
            return;
        };
        let direction = sent.direction();
        leg.sent = voice().map(|voice| voice.with_direction(direction));
        if let Some(end) = &mut leg.media.end {
            end.hear(Hear::Nothing);
            end.tell(&mut self.endpoints.commands);
        }
    }

    /// Two parties of a hub hear each other without the mixer, by the ends that they have; nobody is offered anything.
    /// `false`: they cannot, and must be brought together by offers.
    pub fn hear_each_other(&mut self, one: LegHandle, other: LegHandle) -> bool {
        let transcode = self.endpoints.settings.transcode;
        let ready = |leg: Option<&Leg>| leg.is_some_and(|leg| leg.is_settled() && !leg.holding && !leg.wants_voice());
        if !transcode || !ready(self.get(one)) || !ready(self.get(other)) {
            return false;
        }
        for (of, with) in [(one, other), (other, one)] {
            let remote = self.get(with).and_then(|leg| leg.remote.clone());
            let Some(leg) = self.table.get_mut(of.into()) else {
                continue;
            };
            leg.sent = remote.map(|remote| remote.with_direction(Direction::SendRecv));
            if let Some(end) = &mut leg.media.end {
                end.hear(Hear::Leg(with));
                end.tell(&mut self.endpoints.commands);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_voice_is_known_in_every_direction_and_is_no_leg_s() {
        let voice = voice().expect("a description");
        let held = voice.with_direction(Direction::SendOnly).with_origin(7, 3);
        assert!(is_voice(&voice) && is_voice(&held));
        assert_eq!(held.direction(), Direction::SendOnly);
        assert!(crate::media::describe::check(&voice).is_ok());
        assert!(!is_voice(&Description::parse(TEXT.into()).unwrap().marked(
            super::super::media::mark(LegHandle {
                slot: u32::MAX - 1,
                generation: 0
            })
        )));
    }
}
