//! What a request that came to a phone means.

use std::time::Instant;

use super::call::Call;
use super::client::Purpose;
use super::event::{CallState, EndReason, PhoneCall, PhoneEvent};
use super::server::ServerId;
use super::{ALLOW, Phone, ReinviteAnswer, description};
use crate::sip::{Draft, HeaderName, Message, Method};

impl Phone {
    /// A request that is neither ACK, CANCEL nor a repetition.
    pub(super) fn handle_new_request(&mut self, now: Instant, id: ServerId, request: Message) {
        if request.header(HeaderName::MaxForwards).is_none() {
            self.complain(format!("{} without Max-Forwards: RFC 3261 §8.1.1.6", request.method()));
        }
        if request.to_tag().is_some() {
            return self.handle_in_dialog(now, id, request);
        }
        match request.method() {
            Method::Invite => self.handle_invite(now, id, &request),
            Method::Options => self.answer_options(now, id),
            Method::Message | Method::Info => self.answer_plainly(now, id, 200),
            Method::Bye => self.answer_plainly(now, id, 481),
            Method::Notify => {
                self.complain("NOTIFY outside of a dialog".to_owned());
                self.answer_plainly(now, id, 481);
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Refer
            | Method::Publish
            | Method::Extension(_) => self.refuse_method(now, id),
        }
    }

    fn handle_in_dialog(&mut self, now: Instant, id: ServerId, request: Message) {
        let Some(at) = self.calls.iter().position(|call| call.owns(&request)) else {
            self.complain(format!("{} for a dialog that never was", request.method()));
            return self.answer_plainly(now, id, 481);
        };
        let (handle, call) = (PhoneCall(at), &mut self.calls[at]);
        if let CallState::Ended(reason) = call.state {
            // Crossing our own BYE is nobody's fault; after theirs nothing more may come (LESSONS 5).
            if reason == EndReason::HungUpByRemote {
                self.complain(format!("{} after their own BYE", request.method()));
            }
            return self.answer_plainly(now, id, 481);
        }
        if call.remote_cseq.is_some_and(|last| request.cseq() <= last) {
            self.complain(format!("{} with an old CSeq: RFC 3261 §12.2.2", request.method()));
            return self.answer_plainly(now, id, 500);
        }
        call.remote_cseq = Some(request.cseq());
        self.assign(id, handle);
        match request.method() {
            Method::Invite => self.handle_reinvite(now, id, handle, &request),
            Method::Bye => self.handle_bye(now, id, handle),
            Method::Notify => self.handle_notify(now, id, handle, &request),
            Method::Refer => self.handle_refer(now, id, handle, &request),
            Method::Options => self.answer_options(now, id),
            Method::Message | Method::Info => self.answer_plainly(now, id, 200),
            Method::Update => self.handle_update(now, id, handle, &request),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Subscribe
            | Method::Publish
            | Method::Extension(_) => self.refuse_method(now, id),
        }
    }

    fn handle_invite(&mut self, now: Instant, id: ServerId, invite: &Message) {
        if invite.contact().ok().flatten().is_none() {
            self.complain("INVITE without Contact: RFC 3261 §8.1.1.8".to_owned());
        }
        let required: Vec<_> = invite.values(HeaderName::Require).collect();
        if let Some(unknown) = required.iter().find(|tag| **tag != "replaces" || !self.config.replaces) {
            let draft = self
                .response(id, 420)
                .map(|draft| draft.header(HeaderName::Unsupported, unknown));
            return self.respond_with(now, id, draft, 420);
        }
        if let Some(least) = self.too_short(invite) {
            let draft = self
                .response(id, 422)
                .map(|draft| draft.header(HeaderName::MinSe, least));
            return self.respond_with(now, id, draft, 422);
        }
        if description(invite).is_some_and(|offer| !super::session::speaks(&self.config, &offer)) {
            return self.answer_plainly(now, id, 488);
        }
        let replaced = match self.replaced_by(invite) {
            Ok(replaced) => replaced,
            Err(status) => return self.answer_plainly(now, id, status),
        };
        let tag = self.token();
        let session = self.session();
        let mut call = Call::incoming(invite, tag, session);
        call.replaces = replaced;
        if let Some(offer) = description(invite) {
            call.session.offered(offer);
        }
        let from = call.remote.clone();
        let handle = PhoneCall(self.calls.len());
        self.calls.push(call);
        self.assign(id, handle);
        self.emit(PhoneEvent::Incoming { call: handle, from });
        if replaced.is_some() {
            // RFC 3891 §3: the user has said yes to the call that is replaced.
            return self.accept(now, handle);
        }
        if let Some(to) = self.script.forward_to.clone() {
            return self.send_elsewhere(now, handle, &to);
        }
        if let Some(status) = self.script.reject_with {
            return self.refuse(now, handle, status);
        }
        if self.script.ring {
            self.send_ringing(now, handle);
        }
        if let (Some(delay), Some(call)) = (self.script.auto_answer, self.calls.get_mut(handle.0)) {
            call.answer_at = Some(now + delay);
        }
    }

    fn handle_reinvite(&mut self, now: Instant, id: ServerId, handle: PhoneCall, invite: &Message) {
        // RFC 3261 §14.2: an offer of ours is out → 491; an earlier INVITE is unanswered → 500.
        if self.is_waiting(
            |purpose| matches!(purpose, Purpose::Reinvite(call, _) | Purpose::Update(call, _) if call == handle),
        ) {
            return self.answer_plainly(now, id, 491);
        }
        if self.open_invite(handle).is_some_and(|open| open != id) {
            let draft = self
                .response(id, 500)
                .map(|draft| draft.header(HeaderName::RetryAfter, 1));
            return self.respond_with(now, id, draft, 500);
        }
        if let Some(least) = self.too_short(invite) {
            let draft = self
                .response(id, 422)
                .map(|draft| draft.header(HeaderName::MinSe, least));
            return self.respond_with(now, id, draft, 422);
        }
        if description(invite).is_some_and(|offer| !super::session::speaks(&self.config, &offer)) {
            return self.answer_plainly(now, id, 488);
        }
        match self.script.reinvites.pop_front() {
            Some(ReinviteAnswer::Status(status)) => return self.answer_plainly(now, id, status),
            Some(ReinviteAnswer::Silence) => return,
            Some(ReinviteAnswer::Right) | None => {}
        }
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        call.retarget(invite);
        let complaint = description(invite).and_then(|offer| call.session.offered(offer));
        if let Some(complaint) = complaint {
            self.complain(complaint);
        }
        self.send_accept(now, id, handle, description(invite).is_some());
        self.emit(PhoneEvent::Changed { call: handle });
    }

    fn handle_bye(&mut self, now: Instant, id: ServerId, handle: PhoneCall) {
        if self
            .servers
            .iter()
            .any(|server| server.call == Some(handle) && server.is_unacknowledged())
        {
            self.complain("BYE came before the ACK that an INVITE is owed".to_owned());
        }
        if !self.script.ignore_bye {
            self.answer_plainly(now, id, 200);
        }
        // RFC 3261 §15.1.2: a pending request of the dialog is answered 487.
        if let Some(open) = self.open_invite(handle) {
            self.answer_plainly(now, open, 487);
        }
        self.end(handle, EndReason::HungUpByRemote);
    }

    /// CANCEL is answered for itself; the INVITE, if still open, gets 487 (RFC 3261 §9.2).
    pub(super) fn handle_cancel(&mut self, now: Instant, id: ServerId, invite: Option<ServerId>, cancel: &Message) {
        let Some(invite) = invite else {
            self.complain(format!("CANCEL of an INVITE that never came: {}", cancel.call_id()));
            return self.answer_plainly(now, id, 481);
        };
        self.answer_plainly(now, id, 200);
        let open = self
            .server(invite)
            .filter(|server| server.is_open_invite())
            .and_then(|server| server.call);
        if let Some(call) = open {
            self.answer_plainly(now, invite, 487);
            self.end(call, EndReason::Cancelled);
        }
    }

    /// 200 with our description: the answer to the offer that came, or the offer that was asked for (§13.3.1.4).
    pub(super) fn send_accept(&mut self, now: Instant, id: ServerId, handle: PhoneCall, offered: bool) {
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        let body = match offered {
            true => call.session.answer(&self.config, self.script.ignore_direction),
            false => {
                let holding = call.session.holding;
                call.session.offer(&self.config, holding)
            }
        };
        let draft = self
            .response(id, 200)
            .map(|draft| self.advertise(draft).body("application/sdp", body));
        let request = self.server(id).map(|server| server.request.clone());
        let draft = match (draft, request) {
            (Some(draft), Some(request)) => Some(self.agree(now, handle, &request, draft)),
            (draft, _) => draft,
        };
        self.respond_with(now, id, draft, 200);
    }

    /// The ACK of our 200 is in; where we offered it has the answer (§13.2.2.4).
    pub(super) fn acknowledged(&mut self, now: Instant, handle: PhoneCall, ack: &Message) {
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        if call.session.is_offering() {
            let complaint = match description(ack) {
                Some(answer) => call.session.answered(answer),
                None => {
                    call.session.roll_back();
                    Some("the ACK brought no answer to our offer: RFC 3261 §13.2.2.4".to_owned())
                }
            };
            if let Some(complaint) = complaint {
                self.complain(complaint);
            }
        }
        if self.script.hang_up_on_ack {
            self.send_bye(now, handle);
        }
    }

    pub(super) fn respond_with(&mut self, now: Instant, id: ServerId, draft: Option<Draft>, status: u16) {
        if let Some(draft) = draft {
            self.respond(now, id, &draft, status);
        }
    }

    fn answer_options(&mut self, now: Instant, id: ServerId) {
        let draft = self.response(id, 200).map(|draft| self.advertise(draft));
        self.respond_with(now, id, draft, 200);
    }

    pub(super) fn refuse_method(&mut self, now: Instant, id: ServerId) {
        let draft = self
            .response(id, 405)
            .map(|draft| draft.header(HeaderName::Allow, ALLOW));
        self.respond_with(now, id, draft, 405);
    }
}
