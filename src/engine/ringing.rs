//! Calls that rang when the process before this one died: nobody hangs (`leg::StoredRinging` has the table).

use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;

use super::Engine;
use crate::leg::{StoredCancel, StoredRinging, WallClock};
use crate::sip::{HeaderName, Message, Uri};
use crate::transaction::Received;
use crate::transport::Flow;

/// When a caller whose INVITE is too old to be taken up may try again, in seconds: at once.
const RETRY_AFTER: u32 = 1;
/// Phones that may ring and cannot be told yet; more than any process has.
const MOST: usize = 65_536;

/// A phone that rings for nobody, and has no connection.
#[derive(Debug)]
pub(super) struct RingsOn {
    contact: Uri,
    cancel: StoredCancel,
}

impl Engine {
    /// First everybody is told to stop, then callers are taken up: a phone that rings for the same call is busy no more.
    pub(super) fn resume_ringing(&mut self, now: Instant, clock: &WallClock, ringing: Vec<StoredRinging>) {
        let mut callers = Vec::new();
        for stored in ringing {
            match stored {
                StoredRinging::Caller {
                    flow,
                    user,
                    request,
                    until,
                } => callers.push((flow, user, request, until)),
                StoredRinging::Called(cancel) => self.stop_ringing(cancel),
            }
        }
        for (mut flow, user, request, until) in callers {
            self.adapt_flow(&mut flow);
            let Some(flow) = flow.flow().filter(|flow| !flow.transport.is_reliable()) else {
                continue;
            };
            let late = clock.left(until).is_zero();
            self.take_up(now, flow, user, request, late);
        }
    }

    fn stop_ringing(&mut self, mut cancel: StoredCancel) {
        self.adapt_flow(&mut cancel.flow);
        let Some(flow) = cancel.flow.flow() else { return };
        if !flow.transport.is_reliable() {
            self.legs().cancel_stray(&cancel);
            return;
        }
        let request = Message::parse(cancel.request.clone());
        let contact = request.ok().and_then(|request| Uri::parse(request.request_uri()?).ok());
        if let Some(contact) = contact
            && self.rings_on.len() < MOST
        {
            self.rings_on.push(RingsOn { contact, cancel });
        }
    }

    /// A caller's INVITE, as if it came now. Who it is was proven to the process before this one.
    fn take_up(&mut self, now: Instant, flow: Flow, user: Option<CompactString>, request: Bytes, late: bool) {
        let Ok(message) = Message::parse(request) else { return };
        let received = self.legs().transactions.receive(now, flow, message);
        let Some(Received::Request { server, message }) = received else {
            return;
        };
        if late {
            let tag = message.stateless_tag(&self.transfers.calls.legs.identity.key);
            let draft = message.respond(503).to_tag(&tag);
            self.answer(now, server, &draft.header(HeaderName::RetryAfter, RETRY_AFTER));
            return;
        }
        self.proven = user;
        self.invite(now, flow, server, message);
        self.proven = None;
    }

    /// A phone has registered on a new connection: if it rings for nobody, it hears so now.
    pub(super) fn stop_ringing_on(&mut self, contact: &Uri, flow: Flow) {
        let theirs = |rings: &RingsOn| rings.contact.same_user(contact) && rings.contact.port() == contact.port();
        let (told, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.rings_on).into_iter().partition(theirs);
        self.rings_on = others;
        for rings in told {
            self.legs().transactions.send_stateless(flow, rings.cancel.request);
        }
    }
}
