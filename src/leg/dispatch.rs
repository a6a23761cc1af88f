//! From the transaction layer to the procedures: which method and which purpose goes where. Nothing is decided here.

use std::time::Instant;

use super::{LegEvent, LegHandle, Legs, Purpose};
use crate::dialog::DialogHandle;
use crate::sip::{Message, Method};
use crate::transaction::ServerHandle;
use crate::transport::Flow;

impl From<DialogHandle> for LegHandle {
    fn from(handle: DialogHandle) -> LegHandle {
        LegHandle {
            slot: handle.slot,
            generation: handle.generation,
        }
    }
}

impl From<LegHandle> for DialogHandle {
    fn from(handle: LegHandle) -> DialogHandle {
        DialogHandle {
            slot: handle.slot,
            generation: handle.generation,
        }
    }
}

impl Legs {
    /// A request inside the leg's dialog.
    pub fn request_received(
        &mut self,
        now: Instant,
        handle: LegHandle,
        flow: Flow,
        server: ServerHandle,
        request: Message,
    ) {
        let Some(leg) = self.get_mut(handle) else {
            self.refuse(now, server, &request, 481, None);
            return;
        };
        let checked = match leg.early_dialog(request.from_tag().unwrap_or_default()) {
            Some(early) => early.dialog.check_cseq(&request),
            None => leg.dialog.check_cseq(&request),
        };
        if let Err(error) = checked {
            self.refuse(now, server, &request, error.status(), Some(&error.to_string()));
            return;
        }
        // A phone behind NAT or on a new connection: it has proved by both tags that it is the same one.
        let moved = leg.dialog.route_set.is_empty()
            && leg.dialog.flow.remote.ip() == flow.remote.ip()
            && leg.dialog.flow != flow;
        let confirmed = leg.is_confirmed();
        if moved {
            self.move_to(handle, flow);
        }
        match request.method() {
            Method::Invite | Method::Update => self.offer_received(now, handle, server, request),
            Method::Bye => self.bye_received(now, handle, server, &request),
            // A process before this one has accepted it, and its answer was lost.
            Method::Refer if confirmed && self.get(handle).is_some_and(|leg| leg.referred == Some(request.cseq())) => {
                self.accept_again(now, handle, server, &request);
            }
            Method::Refer if confirmed => self.tell(handle, LegEvent::Referred { server, request }),
            Method::Notify => self.notify_received(now, handle, server, &request),
            Method::Options => self.options_received(now, server, &request),
            Method::Info | Method::Message => self.tell(handle, LegEvent::Asked { server, request }),
            Method::Refer => self.refuse(now, server, &request, 481, None),
            Method::Prack => self.prack_received(now, handle, server, &request),
            Method::Register | Method::Subscribe | Method::Publish => {
                self.refuse(now, server, &request, 405, None);
            }
            // ACK and CANCEL make no server transaction of their own.
            Method::Ack | Method::Cancel | Method::Extension(_) => self.refuse(now, server, &request, 501, None),
        }
    }

    /// A response to one of the leg's requests.
    pub fn response_received(&mut self, now: Instant, handle: LegHandle, purpose: Purpose, response: &Message) {
        let Some(status) = response.status() else { return };
        match purpose {
            Purpose::Setup => self.setup_answered(now, handle, response),
            Purpose::Offer
            | Purpose::Bye
            | Purpose::Prack
            | Purpose::Cancel
            | Purpose::Notify
            | Purpose::Refer
            | Purpose::PassOn(_)
                if status < 200 => {}
            Purpose::Offer
            | Purpose::Bye
            | Purpose::Prack
            | Purpose::Cancel
            | Purpose::Notify
            | Purpose::Refer
            | Purpose::PassOn(_) => {
                self.settled(now, handle, purpose, status, Some(response));
            }
        }
    }

    /// No final answer came: 408 for silence, 503 for a transport error (RFC 3261 §8.1.3.1).
    pub fn no_response(&mut self, now: Instant, handle: LegHandle, purpose: Purpose, status: u16) {
        self.settled(now, handle, purpose, status, None);
    }

    fn settled(&mut self, now: Instant, handle: LegHandle, purpose: Purpose, status: u16, response: Option<&Message>) {
        if let (401 | 407, Some(response)) = (status, response)
            && purpose != Purpose::Setup
            && self.answered_challenge(now, handle, purpose, response)
        {
            return;
        }
        if self.goes_elsewhere(now, handle, purpose, status, response) {
            return;
        }
        if let (200.., Some(response), Some(leg)) = (status, response, self.get_mut(handle)) {
            leg.outstanding.retain(|sent| sent.cseq != response.cseq());
        }
        match purpose {
            Purpose::Setup => self.setup_failed(now, handle, status, response),
            Purpose::Offer => self.offer_answered(now, handle, status, response),
            Purpose::Bye => self.bye_settled(now, handle, response.is_some()),
            // What it acknowledged has arrived; the INVITE's own final answer decides.
            Purpose::Prack => self.paid(handle),
            // The INVITE's own final answer decides; a lost CANCEL leaves it to the ring deadline.
            Purpose::Cancel => {}
            Purpose::Notify => self.report_answered(now, handle, status),
            Purpose::Refer => self.refer_answered(handle, status),
            Purpose::PassOn(server) => self.passed_on_answered(now, handle, server, status, response),
        }
    }

    /// Lets the legs whose deadlines have come act on them.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(handle) = self.deadlines.pop_due(now) {
            self.ring_timeout(now, handle);
            self.prack_timeout(now, handle);
            self.exchange_timeout(now, handle);
            self.session_timeout(now, handle);
            self.release_timeout(now, handle);
            self.flow_timeout(now, handle);
        }
    }
}
