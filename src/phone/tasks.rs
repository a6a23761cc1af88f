//! What waits in a call until its INVITE transactions are settled, and how a call ends.

use std::time::Instant;

use super::Phone;
use super::call::{Offer, Task};
use super::client::Purpose;
use super::event::{CallState, EndReason, PhoneCall, PhoneEvent};
use super::server::Server;
use crate::sip::{HeaderName, Method};

impl Phone {
    pub(super) fn send_bye(&mut self, now: Instant, handle: PhoneCall) {
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        let bye = call.request(Method::Bye);
        self.send(now, bye, Purpose::Bye(handle));
        self.end(handle, EndReason::HungUp);
    }

    pub(super) fn tasks(&mut self, handle: PhoneCall, task: Task) {
        if let Some(call) = self.calls.get_mut(handle.0) {
            call.tasks.push_back(task);
        }
    }

    /// Whoever hangs up wants nothing else any more.
    pub(super) fn forget_tasks(&mut self, handle: PhoneCall) {
        if let Some(call) = self.calls.get_mut(handle.0) {
            call.tasks.clear();
            call.retry = None;
        }
    }

    /// Does what waited for INVITE transactions to be settled: one offer at a time (RFC 3261 §14.1), and no BYE from us
    /// before the ACK of our 200 (§15).
    pub(super) fn perform_tasks(&mut self, now: Instant) {
        for at in 0..self.calls.len() {
            let handle = PhoneCall(at);
            while let Some(task) = self.calls[at].tasks.front().copied() {
                let owed = |server: &Server| server.call == Some(handle) && server.is_unacknowledged();
                let unacknowledged = self.servers.iter().any(owed);
                // §15 speaks of the ACK that confirms the dialog; a re-INVITE's holds nobody back.
                let unconfirmed = self
                    .servers
                    .iter()
                    .any(|server| owed(server) && server.request.to_tag().is_none());
                let offering = self.is_waiting(|purpose| match purpose {
                    Purpose::Invite(call) | Purpose::Reinvite(call, _) | Purpose::Update(call, _) => call == handle,
                    Purpose::Register
                    | Purpose::Cancel(_)
                    | Purpose::Bye(_)
                    | Purpose::Refer(_)
                    | Purpose::Notify(_)
                    | Purpose::Raw(_) => false,
                });
                let early = self.calls[at].state != CallState::Connected;
                match task {
                    Task::Bye if unconfirmed || early => break,
                    Task::Offer(_) if unacknowledged || early || offering || self.is_served(handle) => break,
                    Task::Bye => {
                        self.send_bye(now, handle);
                    }
                    Task::Offer(offer) => {
                        self.calls[at].tasks.pop_front();
                        self.send_offer(now, handle, offer);
                    }
                }
            }
        }
    }

    fn send_offer(&mut self, now: Instant, handle: PhoneCall, offer: Offer) {
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        call.retry = None;
        let body = offer.described.then(|| call.session.offer(&self.config, offer.holding));
        let request = call
            .request(Method::Invite)
            .header(HeaderName::Contact, format!("<{}>", self.config.contact()));
        let request = self.advertised(request);
        let mut request = self.timed(handle, request);
        if let Some(body) = body {
            request = request.body("application/sdp", body);
        }
        self.send(now, request, Purpose::Reinvite(handle, offer));
    }

    /// Ends a call, once.
    pub(super) fn end(&mut self, handle: PhoneCall, reason: EndReason) {
        let Some(call) = self.calls.get_mut(handle.0).filter(|call| call.is_live()) else {
            return;
        };
        call.state = CallState::Ended(reason);
        call.tasks.clear();
        call.answer_at = None;
        call.retry = None;
        self.emit(PhoneEvent::Ended { call: handle, reason });
    }
}
