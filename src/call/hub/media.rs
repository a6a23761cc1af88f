//! The descriptions of a hub's members: each talks with the edge's own voice.

use std::time::Instant;

use super::super::Calls;
use crate::leg::{Leg, voice};
use crate::vocabulary::{CallHandle, Event, LegHandle, MediaNote};

impl Calls {
    /// Offers a member the edge's voice, if it does not talk with it yet and nothing else is under way.
    pub(crate) fn settle_member(&mut self, now: Instant, leg: LegHandle) {
        let Some(member) = self.legs.get(leg) else { return };
        if !member.is_confirmed() || member.is_offered() {
            return;
        }
        if member.wants_voice() {
            self.legs.offer_voice(now, leg);
        } else {
            self.legs.take_voice(leg);
        }
    }

    /// Answers a member's re-INVITE, or gives it the offer that it wants. RFC 3264 §6.1: a party that holds is answered in
    /// the mirror of its direction; it alone is concerned.
    pub(super) fn answer_member(&mut self, now: Instant, handle: CallHandle, leg: LegHandle) {
        match voice() {
            Some(voice) => self.legs.answer_offer(now, leg, &voice),
            None => self.legs.refuse_offer(now, leg, 500),
        }
        self.remix(handle);
    }

    /// A member has answered the edge's offer.
    pub(super) fn member_answered(&mut self, now: Instant, handle: CallHandle, leg: LegHandle) {
        if self.legs.get(leg).is_some_and(Leg::owes_ack) {
            // It was asked for its own offer.
            self.legs.acknowledge(now, leg, voice().as_ref());
        }
        self.settle_member(now, leg);
        self.remix(handle);
    }

    /// A member refuses the edge's offer: it is asked for its own once (RFC 6337 §5), and stays without audio after that.
    pub(super) fn member_refused(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, status: u16) {
        let Some(participant) = self.hub_mut(handle).and_then(|hub| hub.participant_mut(leg)) else {
            return;
        };
        if matches!(status, 488 | 606) && !participant.asked {
            participant.asked = true;
            self.legs.offer(now, leg, None);
            return;
        }
        let why = format!("it refused to talk with the hub ({status})");
        self.legs.events.push_back(Event::Media(MediaNote::Failed { leg, why }));
    }
}
