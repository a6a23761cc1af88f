//! What parties say to each other inside a dialog beside offers: INFO, MESSAGE and the like are passed on.
//!
//! RFC 3261 §12.2, RFC 6086 (INFO). The owner says to whom; the body and the headers that describe it go over unchanged. DTMF in
//! an INFO becomes the other side's own DTMF where its media passes through the edge.

use std::time::Instant;

use bytes::Bytes;

use super::{LegHandle, Legs, Purpose};
use crate::sdp::Description;
use crate::sip::{ALLOW, SUPPORTED};
use crate::sip::{HeaderName, Message, Method};
use crate::transaction::ServerHandle;
use crate::vocabulary::{Event, MediaNote};

/// Of a digit in an INFO that does not say.
const DIGIT_MS: u32 = 100;

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

    /// The same request of a party that has no one other side: what only the edge could want is taken, the rest refused.
    pub fn take_alone(&mut self, now: Instant, from: LegHandle, server: ServerHandle, request: &Message) {
        let Some(digit) = digit(request) else {
            self.refuse(now, server, request, 480, None);
            return;
        };
        self.events.push_back(Event::Media(MediaNote::Digit {
            leg: from,
            digit,
            milliseconds: DIGIT_MS,
        }));
        self.transactions
            .respond(now, server, request.respond(200).print(), 200);
    }

    /// Passes a party's request on to another party; the answer goes back by itself.
    pub fn pass_on(&mut self, now: Instant, to: LegHandle, server: ServerHandle, request: &Message) {
        if let Some(digit) = digit(request)
            && self.play_digits(to, digit.encode_utf8(&mut [0; 4]))
        {
            // The other side gets it as it takes DTMF: its media passes through the edge.
            self.transactions
                .respond(now, server, request.respond(200).print(), 200);
            return;
        }
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

/// The key in an INFO of the kinds that phones send for DTMF: `application/dtmf-relay` (`Signal=5`) and `application/dtmf` (`5`).
fn digit(request: &Message) -> Option<char> {
    if *request.method() != Method::Info {
        return None;
    }
    let content_type = request.text(HeaderName::ContentType)?.to_ascii_lowercase();
    let body = request.body();
    let body = std::str::from_utf8(&body).ok()?;
    let signal = match content_type.split(';').next()?.trim() {
        "application/dtmf" => body.trim(),
        "application/dtmf-relay" => body
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("signal"))
            .map(|(_, value)| value.trim())?,
        _ => return None,
    };
    let mut keys = signal.chars();
    let key = keys.next()?.to_ascii_uppercase();
    let known = matches!(key, '0'..='9' | '*' | '#' | 'A'..='D');
    (known && keys.next().is_none()).then_some(key)
}

/// The session description in a message of a leg's party, if its body is one that can be read.
pub(crate) fn description_of(handle: LegHandle, message: &Message) -> Option<Description> {
    description(message).map(|description| description.marked(super::media::mark(handle)))
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
