//! Who is heard at all: the bounds of `guard`, applied to messages.
//!
//! RFC 3261 §26.3.2.4; §21.5.4 (503 and Retry-After).

use std::time::Instant;

use super::guard::Verdict;
use super::{Engine, Event};
use crate::sip::{HeaderName, Message, Method};
use crate::transaction::ServerHandle;
use crate::transport::Flow;

/// When a user who asks for too much may ask again, in seconds.
const RETRY_AFTER: u32 = 10;

impl Engine {
    /// Whether a message is looked at. Asked of requests outside of dialogs only: responses, and what belongs to a call,
    /// are never held up. A stranger that is not welcome gets no answer, which would be its weapon against others.
    pub(super) fn is_welcome(&mut self, now: Instant, flow: &Flow, message: &Message) -> bool {
        let outside = message.to_tag().is_none() || *message.method() == Method::Register;
        let asked = message.is_request() && outside && !matches!(message.method(), Method::Ack | Method::Cancel);
        if !asked || self.is_known(flow) {
            return true;
        }
        let source = flow.remote.ip().to_canonical();
        match self.guard.request(now, source) {
            Verdict::Welcome => true,
            Verdict::Banned => false,
            Verdict::TooMuch { news } => {
                if news {
                    self.event(Event::SourceLimited { source });
                }
                false
            }
        }
    }

    /// The PBX and the peers: a carrier's calls all come from one address.
    fn is_known(&self, flow: &Flow) -> bool {
        let ip = flow.remote.ip();
        self.settings.peer(ip).is_some()
            || self
                .settings
                .pbx
                .as_ref()
                .is_some_and(|pbx| self.is_pbx(pbx, |place| place.ip() == ip))
    }

    /// The message that was just handled showed a wrong password.
    pub(super) fn count_failure(&mut self, now: Instant, flow: &Flow) {
        if !self.registrar.take_wrong() || self.is_known(flow) {
            return;
        }
        let source = flow.remote.ip().to_canonical();
        if let Some(ban) = self.guard.failed(now, source) {
            let seconds = ban.as_secs();
            self.note_ban(now, source);
            self.event(Event::SourceBanned { source, seconds });
        }
    }

    /// A user begins more calls or transfers than it may.
    pub(super) fn refuse_too_many(&mut self, now: Instant, server: ServerHandle, request: &Message) {
        let tag = request.stateless_tag(&self.transfers.calls.legs.identity.key);
        let draft = request
            .respond(503)
            .to_tag(&tag)
            .header(HeaderName::RetryAfter, RETRY_AFTER);
        self.legs().transactions.respond(now, server, draft.print(), 503);
    }
}
