//! UPDATE of a phone (RFC 3311): a change of the session without INVITE, in either direction.

use std::time::Instant;

use super::call::Offer;
use super::client::Purpose;
use super::event::{CallState, Misuse, PhoneCall, PhoneEvent};
use super::request::Request;
use super::server::ServerId;
use super::{Phone, description};
use crate::sip::{HeaderName, Message, Method};

impl Phone {
    /// Holds the other side, or takes it back, by UPDATE. In an early dialog the first answer must be there (§5.1).
    pub fn update(&mut self, now: Instant, call: PhoneCall, holding: bool) -> Result<(), Misuse> {
        self.expect(call, "update", &[CallState::Connected, CallState::Early])?;
        let contact = format!("<{}>", self.config.contact());
        let Some(known) = self.calls.get_mut(call.0) else {
            return Ok(());
        };
        let body = known.session.offer(&self.config, holding);
        let request = known.request(Method::Update).header(HeaderName::Contact, contact);
        let request = self.advertised(request).body("application/sdp", body);
        let offer = Offer {
            holding,
            described: true,
        };
        self.send(now, request, Purpose::Update(call, offer));
        Ok(())
    }

    /// The final answer to our UPDATE.
    pub(super) fn update_answered(
        &mut self,
        now: Instant,
        call: PhoneCall,
        _: &Request,
        response: &Message,
        status: u16,
    ) {
        let answer = description(response);
        let Some(known) = self.calls.get_mut(call.0) else {
            return;
        };
        let complaint = match (status, answer) {
            (200..=299, Some(answer)) => known.session.answered(answer),
            (200..=299, None) => {
                known.session.roll_back();
                Some("a 200 to an UPDATE with an offer brought no answer: RFC 3311 §5.2".to_owned())
            }
            _ => {
                known.session.roll_back();
                None
            }
        };
        if status < 300 {
            known.retarget(response);
            self.take_timer(now, call, response);
        }
        if let Some(complaint) = complaint {
            self.complain(complaint);
        }
        self.emit(PhoneEvent::Answered {
            call: Some(call),
            method: Method::Update,
            status,
        });
    }

    /// The other side's UPDATE.
    pub(super) fn handle_update(&mut self, now: Instant, id: ServerId, handle: PhoneCall, update: &Message) {
        if !self.config.update {
            return self.refuse_method(now, id);
        }
        let offer = description(update);
        let busy = self.calls.get(handle.0).is_some_and(|call| call.session.is_offering());
        if offer.is_some() && busy {
            return self.answer_plainly(now, id, 491);
        }
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        call.retarget(update);
        let mut body = None;
        let mut complaint = None;
        if let Some(offer) = offer {
            complaint = call.session.offered(offer);
            body = Some(call.session.answer(&self.config, self.script.ignore_direction));
        }
        if let Some(complaint) = complaint {
            self.complain(complaint);
        }
        let Some(draft) = self.response(id, 200) else { return };
        let mut draft = self.advertise(draft);
        if let Some(body) = body {
            draft = draft.body("application/sdp", body);
        }
        let draft = self.agree(now, handle, update, draft);
        self.respond(now, id, &draft, 200);
        self.emit(PhoneEvent::Changed { call: handle });
    }
}
