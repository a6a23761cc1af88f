//! Both sides of REFER and of Replaces, as a phone sees them (RFC 3515, 3891, 3892, 5589).

use std::time::Instant;

use bytes::Bytes;

use super::client::Purpose;
use super::event::{CallState, Misuse, Notified, PhoneCall, PhoneEvent};
use super::server::ServerId;
use super::{ALLOW, Phone};
use crate::sip::{HeaderName, Message, Method, ReferTo, Replaces, Sipfrag, Uri};

impl Phone {
    /// Blind transfer: asks the other side of `call` to call `target` (RFC 5589 §6.1).
    pub fn refer(&mut self, now: Instant, call: PhoneCall, target: &str) -> Result<(), Misuse> {
        self.refer_to(now, call, &format!("<{target}>"))
    }

    /// Attended transfer: asks the other side of `call` to take our place in `other` (RFC 5589 §7.3). Refer-To is the
    /// remote target of `other` with Replaces made from our identifiers of it.
    pub fn refer_attended(&mut self, now: Instant, call: PhoneCall, other: PhoneCall) -> Result<(), Misuse> {
        let target = self.in_dialog(other, "refer to")?.remote_target.clone();
        let replaces = self
            .replaces(other)
            .map(|replaces| escaped(&replaces))
            .unwrap_or_default();
        self.refer_to(now, call, &format!("<{target}?Replaces={replaces}>"))
    }

    /// REFER with this Refer-To value, right or wrong.
    pub fn refer_to(&mut self, now: Instant, call: PhoneCall, refer_to: &str) -> Result<(), Misuse> {
        let request = self.in_dialog(call, "refer")?.request(Method::Refer);
        let aor = self.config.aor();
        let request = request
            .header(HeaderName::Contact, format!("<{}>", self.config.contact()))
            .header(HeaderName::ReferTo, refer_to)
            .header(HeaderName::ReferredBy, format!("<{aor}>"))
            .header(HeaderName::Supported, "replaces");
        self.send(now, request, Purpose::Refer(call));
        Ok(())
    }

    /// What a third party must put into Replaces to take our place in `call`: the tags as its other side sees them, so
    /// that their to-tag is our remote tag (RFC 3891 §3). `None` while the dialog has no remote tag.
    pub fn replaces(&self, call: PhoneCall) -> Option<Replaces> {
        let call = self.calls.get(call.0)?;
        Some(Replaces {
            call_id: call.call_id.as_str().into(),
            to_tag: call.remote_tag.as_deref()?.into(),
            from_tag: call.local_tag.as_str().into(),
            early_only: false,
        })
    }

    pub(super) fn refer_answered(&mut self, handle: PhoneCall, status: u16) {
        if let Some(call) = self.calls.get_mut(handle.0) {
            call.refer_status = Some(status);
        }
        self.emit(PhoneEvent::ReferAnswered { call: handle, status });
    }

    /// NOTIFY of a REFER of ours: recorded, whatever it says (RFC 3515 §2.4.5).
    pub(super) fn handle_notify(&mut self, now: Instant, id: ServerId, handle: PhoneCall, notify: &Message) {
        let event = notify.text(HeaderName::Event).unwrap_or_default();
        let mut parts = event.split(';').map(str::trim);
        if parts.next() != Some("refer") {
            self.complain(format!("NOTIFY with Event `{event}`"));
            return self.answer_plainly(now, id, 489);
        }
        let notified = Notified {
            status: Sipfrag::parse(&notify.body()).map(|sipfrag| sipfrag.status),
            terminated: notify
                .text(HeaderName::SubscriptionState)
                .is_some_and(|state| state.trim_start().to_ascii_lowercase().starts_with("terminated")),
            id: parts.find_map(|part| part.strip_prefix("id=")).map(str::to_owned),
        };
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        let complaint = if call
            .notified
            .last()
            .is_some_and(|last| last.terminated && last.id == notified.id)
        {
            Some("NOTIFY after the subscription was terminated: RFC 6665 §4.2.2")
        } else if notify.header(HeaderName::SubscriptionState).is_none() {
            Some("NOTIFY without Subscription-State: RFC 6665 §4.2.2")
        } else {
            None
        };
        call.notified.push(notified.clone());
        if let Some(complaint) = complaint {
            self.complain(complaint.to_owned());
        }
        if !self.script.ignore_notify {
            self.answer_plainly(now, id, self.script.notify_answer.unwrap_or(200));
        }
        let success = notified.status.is_some_and(|status| (200..300).contains(&status));
        self.emit(PhoneEvent::Notified { call: handle, notified });
        if success && self.script.hang_up_on_success {
            self.send_bye(now, handle);
        }
    }

    /// REFER to us: we call the target, and report how that goes (RFC 3515 §2.4.2).
    pub(super) fn handle_refer(&mut self, now: Instant, id: ServerId, handle: PhoneCall, refer: &Message) {
        if let Some(status) = self.script.refer_answer {
            return self.answer_plainly(now, id, status);
        }
        if !self.config.refer {
            let draft = self
                .response(id, 405)
                .map(|draft| draft.header(HeaderName::Allow, ALLOW));
            return self.respond_with(now, id, draft, 405);
        }
        let Ok(refer_to) = ReferTo::of(refer) else {
            return self.answer_plainly(now, id, 400);
        };
        let contact = format!("<{}>", self.config.contact());
        let draft = self
            .response(id, 202)
            .map(|draft| draft.header(HeaderName::Contact, contact));
        self.respond_with(now, id, draft, 202);
        let target = refer_to.target.uri.as_str().to_owned();
        self.emit(PhoneEvent::Referred {
            call: handle,
            target: target.clone(),
        });
        if self.script.refer_without_report {
            return;
        }
        let silent = refer
            .text(HeaderName::ReferSub)
            .is_some_and(|value| value.starts_with("false"));
        if let Some(call) = self.calls.get_mut(handle.0) {
            call.subscription = (!silent).then(|| refer.cseq());
        }
        let mut headers = Vec::new();
        if let Some(replaces) = &refer_to.replaces {
            headers.push((HeaderName::Replaces, plain(replaces)));
            headers.push((HeaderName::Require, "replaces".to_owned()));
        }
        if let Some(referred_by) = refer.text(HeaderName::ReferredBy) {
            headers.push((HeaderName::ReferredBy, referred_by.to_owned()));
        }
        self.notify(now, handle, 100);
        let new = self.invite(now, &target, headers);
        if let Some(call) = self.calls.get_mut(new.0) {
            call.obeys = Some(handle);
        }
    }

    /// Tells whoever made us place `call` how it stands (RFC 3515 §2.4.5).
    pub(super) fn report(&mut self, now: Instant, call: PhoneCall, status: u16) {
        if let Some(referred) = self.calls.get(call.0).and_then(|call| call.obeys) {
            self.notify(now, referred, status);
        }
    }

    fn notify(&mut self, now: Instant, handle: PhoneCall, status: u16) {
        let Some(call) = self.calls.get_mut(handle.0).filter(|call| call.is_live()) else {
            return;
        };
        let Some(id) = call.subscription else { return };
        let state = match status {
            ..200 => "active;expires=60",
            _ => "terminated;reason=noresource",
        };
        if status >= 200 {
            call.subscription = None;
        }
        let sipfrag = format!("SIP/2.0 {status} {}\r\n", crate::sip::reason_phrase(status));
        let request = call
            .request(Method::Notify)
            .header(HeaderName::Contact, format!("<{}>", self.config.contact()))
            .header(HeaderName::Event, format!("refer;id={id}"))
            .header(HeaderName::SubscriptionState, state)
            .body("message/sipfrag;version=2.0", Bytes::from(sipfrag));
        self.send(now, request, Purpose::Notify(handle));
    }

    pub(super) fn forget_subscription(&mut self, handle: PhoneCall) {
        if let Some(call) = self.calls.get_mut(handle.0) {
            call.subscription = None;
        }
    }

    /// The call that `invite` wants to take the place of, or the status that refuses it (RFC 3891 §3).
    pub(super) fn replaced_by(&self, invite: &Message) -> Result<Option<PhoneCall>, u16> {
        let replaces = match Replaces::of(invite) {
            Ok(Some(replaces)) if self.config.replaces => replaces,
            // §5: a phone that does not know the header ignores it; `Require` was refused before.
            Ok(_) => return Ok(None),
            Err(_) => return Err(400),
        };
        let at = self
            .calls
            .iter()
            .position(|call| call.is_named_by(&replaces))
            .ok_or(481_u16)?;
        match self.calls[at].state {
            CallState::Ended(_) => Err(603),
            CallState::Ringing => Err(481),
            CallState::Connected if replaces.early_only => Err(486),
            CallState::Calling | CallState::Early | CallState::Connected => Ok(Some(PhoneCall(at))),
        }
    }

    /// The call that took the place of another is answered: the other one goes (RFC 3891 §3).
    pub(super) fn shut_down_replaced(&mut self, now: Instant, new: PhoneCall) {
        let Some(old) = self.calls.get_mut(new.0).and_then(|call| call.replaces.take()) else {
            return;
        };
        let Some(state) = self.calls.get(old.0).map(|call| call.state) else {
            return;
        };
        self.emit(PhoneEvent::Replaced { old, new });
        match state {
            CallState::Connected => self.send_bye(now, old),
            CallState::Calling | CallState::Early => self.cancel_invite(now, old),
            CallState::Ringing | CallState::Ended(_) => {}
        }
    }

    /// Calls `uri` with this Replaces header.
    pub fn invite_with_replaces(&mut self, now: Instant, uri: &str, replaces: &Replaces) -> PhoneCall {
        self.invite(
            now,
            uri,
            vec![
                (HeaderName::Replaces, plain(replaces)),
                (HeaderName::Require, "replaces".to_owned()),
            ],
        )
    }

    /// Calls `uri` with these headers added, right or wrong: Replaces without tags, Join beside it, and the like.
    pub fn invite_with(&mut self, now: Instant, uri: &str, headers: &[(HeaderName, &str)]) -> PhoneCall {
        self.invite(
            now,
            uri,
            headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        )
    }
}

/// The header's value (RFC 3891 §6.1), written here so that the edge's printing is checked by other code than its own.
fn plain(replaces: &Replaces) -> String {
    let early = if replaces.early_only { ";early-only" } else { "" };
    format!(
        "{};to-tag={};from-tag={}{early}",
        replaces.call_id, replaces.to_tag, replaces.from_tag
    )
}

/// The same as a header of a URI: everything but unreserved characters is escaped (RFC 3261 §19.1.1).
fn escaped(replaces: &Replaces) -> String {
    let mut out = String::new();
    for byte in plain(replaces).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The user part of a URI text, for events and ladders.
pub(super) fn user_of(uri: &str) -> String {
    Uri::parse(uri)
        .ok()
        .and_then(|uri| uri.user().map(str::to_owned))
        .unwrap_or_else(|| uri.to_owned())
}
