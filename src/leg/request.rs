//! What parties say to each other inside a dialog beside offers: INFO, MESSAGE and the like are passed on.
//!
//! RFC 3261 §12.2, RFC 6086 (INFO). The owner says to whom; the body and the headers that describe it go over unchanged.

use std::time::Instant;

use bytes::Bytes;

use super::{LegHandle, Legs, Purpose};
use crate::sdp::Description;
use crate::sip::{ALLOW, SUPPORTED};
use crate::sip::{HeaderName, Message};
use crate::transaction::ServerHandle;

impl Legs {
    /// Answers a request with a status and, where it needs one, a reason that names what is wrong.
    pub fn refuse(&mut self, now: Instant, server: ServerHandle, request: &Message, status: u16, reason: Option<&str>) {
        // RFC 3261 §8.2.6.2: every response but 100 has a To tag.
        let mut draft = request
            .respond(status)
            .to_tag(&request.stateless_tag(&self.identity.key));
        if let Some(reason) = reason {
            draft = draft.reason_phrase(reason);
        }
        if matches!(status, 405 | 501) {
            draft = draft.header(HeaderName::Allow, ALLOW);
        }
        self.transactions.respond(now, server, draft.print(), status);
    }

    /// OPTIONS inside a dialog (RFC 3261 §11.2).
    pub(crate) fn options_received(&mut self, now: Instant, server: ServerHandle, request: &Message) {
        let draft = request
            .respond(200)
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Supported, SUPPORTED)
            .header(HeaderName::Accept, "application/sdp, message/sipfrag");
        self.transactions.respond(now, server, draft.print(), 200);
    }

    /// Passes a party's request on to another party; the answer goes back by itself.
    pub fn pass_on(&mut self, now: Instant, to: LegHandle, server: ServerHandle, request: &Message) {
        let Some(leg) = self.table.get_mut(to.into()).filter(|leg| leg.is_confirmed()) else {
            self.refuse(now, server, request, 480, None);
            return;
        };
        let mut draft = leg.dialog.next_request(request.method());
        for name in [
            HeaderName::InfoPackage,
            HeaderName::ContentDisposition,
            HeaderName::ContentEncoding,
            HeaderName::Subject,
        ] {
            draft = draft.copy(request, name);
        }
        if let Some(content_type) = request.text(HeaderName::ContentType) {
            draft = draft.body(content_type, request.body());
        }
        self.passed_on.insert(server, request.clone());
        self.request(now, to, &draft, Purpose::PassOn(server));
    }

    /// The answer to a request that was passed on.
    pub(crate) fn passed_on_answered(
        &mut self,
        now: Instant,
        handle: LegHandle,
        server: ServerHandle,
        status: u16,
        response: Option<&Message>,
    ) {
        self.paid(handle);
        let Some(request) = self.passed_on.remove(&server) else {
            return;
        };
        let mut draft = request.respond(status);
        if let Some(response) = response
            && let Some(content_type) = response.text(HeaderName::ContentType)
        {
            draft = draft.body(content_type, response.body());
        }
        // RFC 4320 §4.2: a non-INVITE is never answered 408; silence says the same.
        if status != 408 {
            self.transactions.respond(now, server, draft.print(), status);
        }
    }
}

/// The session description in a message, if its body is one that can be read.
pub(crate) fn description(message: &Message) -> Option<Description> {
    let content_type = message.text(HeaderName::ContentType)?;
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/sdp") {
        return None;
    }
    // Copied: a leg that keeps the description for the length of a call would keep the whole datagram with it.
    Description::parse(Bytes::copy_from_slice(&message.body())).ok()
}
