//! What the user of a phone does: register, call, answer, hold, hang up.

use std::time::Instant;

use bytes::Bytes;

use super::call::{Call, Offer, Task};
use super::client::Purpose;
use super::event::{CallState, EndReason, Misuse, PhoneCall, PhoneEvent};
use super::request::Request;
use super::session::Session;
use super::{ALLOW, Phone};
use crate::sip::{Draft, HeaderName, Method};

impl Phone {
    /// Registers our contact for an hour (RFC 3261 §10.2). [`PhoneEvent::Registered`] or
    /// [`PhoneEvent::RegistrationFailed`] says how it went.
    pub fn register(&mut self, now: Instant) {
        self.unregistering = false;
        self.send_register(now, 3_600);
    }

    /// Takes our contact back (RFC 3261 §10.2.2).
    pub fn unregister(&mut self, now: Instant) {
        self.unregistering = true;
        self.send_register(now, 0);
    }

    fn send_register(&mut self, now: Instant, expires: u32) {
        self.register_cseq += 1;
        let aor = self.config.aor();
        let from = format!("<{aor}>;tag={}", self.token());
        let registrar = format!("sip:{}", self.config.domain);
        let call_id = format!("register-{}-{}", self.config.user, self.config.seed);
        let cseq = self.register_cseq;
        let request = Request::new(Method::Register, &registrar, &from, &format!("<{aor}>"), &call_id, cseq)
            .header(HeaderName::Contact, format!("<{}>", self.config.contact()))
            .header(HeaderName::Expires, expires.to_string())
            .header(HeaderName::Supported, "path");
        self.send(now, request, Purpose::Register);
    }

    /// Calls `uri` with our description as offer.
    pub fn call(&mut self, now: Instant, uri: &str) -> PhoneCall {
        self.invite(now, uri, Vec::new())
    }

    /// Calls `uri` without a description: the other side offers in its 200, and we answer in the ACK (RFC 3261 §13.2.1).
    pub fn call_without_offer(&mut self, now: Instant, uri: &str) -> PhoneCall {
        self.send_invite(now, uri, Vec::new(), false)
    }

    pub(super) fn invite(&mut self, now: Instant, uri: &str, headers: Vec<(HeaderName, String)>) -> PhoneCall {
        self.send_invite(now, uri, headers, true)
    }

    fn send_invite(
        &mut self,
        now: Instant,
        uri: &str,
        headers: Vec<(HeaderName, String)>,
        described: bool,
    ) -> PhoneCall {
        let (call_id, tag) = (format!("{}@{}", self.token(), self.config.address.ip()), self.token());
        let mut call = Call::outgoing(call_id, tag, self.config.aor(), uri, self.session());
        let offer = described.then(|| call.session.offer(&self.config, false));
        let mut request = call
            .request(Method::Invite)
            .header(HeaderName::Contact, format!("<{}>", self.config.contact()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let handle = PhoneCall(self.calls.len());
        self.calls.push(call);
        let request = self.advertised(request);
        let mut request = self.timed(handle, request);
        if let Some(offer) = offer {
            request = request.body("application/sdp", offer);
        }
        self.send(now, request, Purpose::Invite(handle));
        handle
    }

    /// Says 180 to a call that came.
    pub fn ring(&mut self, now: Instant, call: PhoneCall) -> Result<(), Misuse> {
        self.expect(call, "ring", &[CallState::Ringing])?;
        self.send_ringing(now, call);
        Ok(())
    }

    pub(super) fn send_ringing(&mut self, now: Instant, call: PhoneCall) {
        let Some(id) = self.open_invite(call) else { return };
        let contact = format!("<{}>", self.config.contact());
        let draft = self
            .response(id, 180)
            .map(|draft| draft.header(HeaderName::Contact, contact));
        self.respond_with(now, id, draft, 180);
    }

    /// Answers a call that came.
    pub fn answer(&mut self, now: Instant, call: PhoneCall) -> Result<(), Misuse> {
        self.expect(call, "answer", &[CallState::Ringing])?;
        self.accept(now, call);
        Ok(())
    }

    pub(super) fn accept(&mut self, now: Instant, handle: PhoneCall) {
        let Some(id) = self.open_invite(handle) else { return };
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        call.state = CallState::Connected;
        call.answer_at = None;
        let offered = call.session.remote().is_some();
        self.send_accept(now, id, handle, offered);
        self.emit(PhoneEvent::Connected { call: handle });
        self.shut_down_replaced(now, handle);
    }

    /// Refuses a call that came.
    pub fn reject(&mut self, now: Instant, call: PhoneCall, status: u16) -> Result<(), Misuse> {
        self.expect(call, "reject", &[CallState::Ringing])?;
        self.refuse(now, call, status);
        Ok(())
    }

    /// Sends a call that came on to somebody else (RFC 3261 §21.3.3).
    pub fn forward(&mut self, now: Instant, call: PhoneCall, to: &str) -> Result<(), Misuse> {
        self.expect(call, "forward", &[CallState::Ringing])?;
        self.send_elsewhere(now, call, to);
        Ok(())
    }

    pub(super) fn send_elsewhere(&mut self, now: Instant, call: PhoneCall, to: &str) {
        if let Some(id) = self.open_invite(call)
            && let Some(draft) = self.response(id, 302)
        {
            let draft = draft.header(HeaderName::Contact, format_args!("<{to}>"));
            self.respond(now, id, &draft, 302);
        }
        self.end(call, EndReason::Refused(302));
    }

    pub(super) fn refuse(&mut self, now: Instant, call: PhoneCall, status: u16) {
        if let Some(id) = self.open_invite(call) {
            self.answer_plainly(now, id, status);
        }
        self.end(call, EndReason::Refused(status));
    }

    /// Gives up a call that is not answered yet (RFC 3261 §9.1). An answer that crosses is ended with BYE.
    pub fn cancel(&mut self, now: Instant, call: PhoneCall) -> Result<(), Misuse> {
        self.expect(call, "cancel", &[CallState::Calling, CallState::Early])?;
        self.cancel_invite(now, call);
        self.tasks(call, Task::Bye);
        Ok(())
    }

    /// Hangs up an answered call. Waits for the ACK if the other side owes us one (RFC 3261 §15).
    pub fn bye(&mut self, now: Instant, call: PhoneCall) -> Result<(), Misuse> {
        self.expect(call, "hang up", &[CallState::Connected])?;
        self.forget_tasks(call);
        self.tasks(call, Task::Bye);
        self.perform_tasks(now);
        Ok(())
    }

    /// Holds the other side by a re-INVITE with `sendonly` (RFC 5359 §2.1).
    pub fn hold(&mut self, now: Instant, call: PhoneCall) -> Result<(), Misuse> {
        self.reinvite(
            now,
            call,
            "hold",
            Offer {
                holding: true,
                described: true,
            },
        )
    }

    /// Takes the other side back by a re-INVITE with `sendrecv`.
    pub fn resume(&mut self, now: Instant, call: PhoneCall) -> Result<(), Misuse> {
        self.reinvite(
            now,
            call,
            "resume",
            Offer {
                holding: false,
                described: true,
            },
        )
    }

    /// Asks the other side for an offer by a re-INVITE without description (RFC 6337 §5).
    pub fn reinvite_without_offer(&mut self, now: Instant, call: PhoneCall) -> Result<(), Misuse> {
        let holding = self.is_holding(call);
        self.reinvite(
            now,
            call,
            "re-invite",
            Offer {
                holding,
                described: false,
            },
        )
    }

    fn reinvite(&mut self, now: Instant, call: PhoneCall, command: &'static str, offer: Offer) -> Result<(), Misuse> {
        self.expect(call, command, &[CallState::Connected])?;
        self.tasks(call, Task::Offer(offer));
        self.perform_tasks(now);
        Ok(())
    }

    /// Sends a request of any kind in the dialog, with these headers and body.
    pub fn request(
        &mut self,
        now: Instant,
        call: PhoneCall,
        method: Method,
        headers: &[(&str, &str)],
        body: Option<(&str, &str)>,
    ) -> Result<(), Misuse> {
        let mut request = self.in_dialog(call, "send a request in")?.request(method);
        for (name, value) in headers {
            request = request.named(name, value);
        }
        if let Some((content_type, body)) = body {
            request = request.body(content_type, Bytes::copy_from_slice(body.as_bytes()));
        }
        self.send(now, request, Purpose::Raw(Some(call)));
        Ok(())
    }

    /// Asks `uri` for its abilities, outside of any dialog (RFC 3261 §11).
    pub fn options(&mut self, now: Instant, uri: &str) {
        self.request_outside(now, Method::Options, uri, &[]);
    }

    /// Sends a request of any kind outside of dialogs.
    pub fn request_outside(&mut self, now: Instant, method: Method, uri: &str, headers: &[(&str, &str)]) {
        let from = format!("<{}>;tag={}", self.config.aor(), self.token());
        let call_id = format!("{}@{}", self.token(), self.config.address.ip());
        let contact = format!("<{}>", self.config.contact());
        let mut request =
            Request::new(method, uri, &from, &format!("<{uri}>"), &call_id, 1).header(HeaderName::Contact, contact);
        for (name, value) in headers {
            request = request.named(name, value);
        }
        self.send(now, request, Purpose::Raw(None));
    }

    /// Sends these octets as they are.
    pub fn send_octets(&mut self, now: Instant, bytes: impl Into<Bytes>) {
        self.transmit(now, bytes.into());
    }

    /// What we can do, in every message that makes or changes a session (RFC 3891 §6.2, RFC 3261 §13.2.1).
    pub(super) fn advertise(&self, draft: Draft) -> Draft {
        let draft = draft
            .header(HeaderName::Contact, format_args!("<{}>", self.config.contact()))
            .header(HeaderName::Allow, self.allow());
        match self.supported() {
            Some(supported) => draft.header(HeaderName::Supported, supported),
            None => draft,
        }
    }

    pub(super) fn advertised(&self, request: Request) -> Request {
        let request = request.header(HeaderName::Allow, self.allow());
        match self.supported() {
            Some(supported) => request.header(HeaderName::Supported, supported),
            None => request,
        }
    }

    fn allow(&self) -> String {
        let known = match self.config.refer {
            true => ALLOW,
            false => "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, MESSAGE, INFO",
        };
        match self.config.update {
            true => format!("{known}, UPDATE"),
            false => known.to_owned(),
        }
    }

    fn supported(&self) -> Option<&'static str> {
        match (self.config.replaces, self.config.timer.is_some()) {
            (true, true) => Some("replaces, timer"),
            (true, false) => Some("replaces"),
            (false, true) => Some("timer"),
            (false, false) => None,
        }
    }

    pub(super) fn session(&mut self) -> Session {
        self.counter += 1;
        Session::new(1_000 + self.counter)
    }

    pub(super) fn in_dialog(&mut self, call: PhoneCall, command: &'static str) -> Result<&mut Call, Misuse> {
        self.expect(
            call,
            command,
            &[CallState::Connected, CallState::Early, CallState::Ringing],
        )?;
        let user = self.config.user.clone();
        let missing = || Misuse {
            user,
            command,
            call: call.0,
            state: "unknown".to_owned(),
        };
        self.calls.get_mut(call.0).ok_or_else(missing)
    }

    pub(super) fn expect(&self, call: PhoneCall, command: &'static str, allowed: &[CallState]) -> Result<(), Misuse> {
        let state = self.calls.get(call.0).map(|call| call.state);
        match state {
            Some(state) if allowed.contains(&state) => Ok(()),
            Some(_) | None => Err(Misuse {
                user: self.config.user.clone(),
                command,
                call: call.0,
                state: state.map_or_else(|| "unknown".to_owned(), |state| format!("{state:?}")),
            }),
        }
    }
}
