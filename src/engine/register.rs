//! REGISTER, and whatever else comes outside of dialogs. Nothing falls through: answered here, forwarded, or refused.
//!
//! RFC 3261 §10, §11, §16; RFC 3327 (Path). LESSONS 11, 40.

use std::time::Instant;

use super::Engine;
use super::route::Caller;
use crate::proxy;
use crate::sip::Message;
use crate::transaction::ServerHandle;
use crate::transport::Flow;

impl Engine {
    pub(super) fn register(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        if self.settings.registers_through() && self.caller(&flow, &request) == Caller::Phone {
            self.register_through(now, flow, server, request);
            return;
        }
        let (response, changes) = self.registrar.register(now, flow, &request);
        let status = response.status().unwrap_or(500);
        self.legs().transactions.respond(now, server, response.print(), status);
        self.note_bindings(changes);
    }
}
