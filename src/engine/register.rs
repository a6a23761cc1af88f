//! REGISTER, and whatever else comes outside of dialogs. Nothing falls through: answered here, forwarded, or refused.
//!
//! RFC 3261 §10, §11, §16; RFC 3327 (Path). LESSONS 11, 40.

use std::time::Instant;

use super::Engine;
use super::route::Caller;
use crate::leg::TransactionUser;
use crate::proxy::{self, Decision, Side};
use crate::sip::{Draft, Forward, Message, Method, Uri};
use crate::transaction::ServerHandle;
use crate::transport::{Flow, ViaParam};

impl Engine {
    pub(super) fn register(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        if let Some(out) = self.flow_to_pbx().filter(|_| self.settings.registers_through()) {
            self.forward(now, flow, server, request, out, None);
            return;
        }
        let (response, changes) = self.registrar.register(now, flow, &request);
        if response.status() == Some(401) {
            self.challenge(now, flow, server, &response);
        } else {
            self.answer(now, server, &response);
        }
        self.note_bindings(changes);
    }

    /// Any other request outside of our dialogs: the proxy decides.
    pub(super) fn other_request(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        let caller = self.caller(&flow, &request);
        let side = match caller {
            Caller::Pbx => Side::Pbx,
            Caller::Phone | Caller::Trusted => Side::Phone,
        };
        let decision = self.proxy.what_to_do(&request, side, &self.flows);
        let passes = matches!(
            decision,
            Decision::ForwardToPbx | Decision::ToFlow(_) | Decision::ToBinding(_)
        );
        if passes
            && caller == Caller::Phone
            && !self.settings.registers_through()
            && let Err(challenge) = self.registrar.authenticate(now, flow, &request, true)
        {
            self.challenge(now, flow, server, &challenge);
            return;
        }
        match decision {
            Decision::AnswerHere(draft) | Decision::Refuse(draft) => self.answer(now, server, &draft),
            Decision::ForwardToPbx => match self.flow_to_pbx() {
                Some(out) => self.forward(now, flow, server, request, out, None),
                None => self.legs().refuse(now, server, &request, 404, None),
            },
            Decision::ToFlow(out) => self.forward(now, flow, server, request, out, None),
            Decision::ToBinding(user) => match self.registrar.lookup(now, &user).first() {
                Some(binding) => {
                    let (out, target) = (binding.flow, binding.contact.uri.without_headers());
                    self.forward(now, flow, server, request, out, Some(&target));
                }
                // RFC 3261 §16.3: what is wrong with the request comes before where it would go.
                None => match self.proxy.forward(&request, &self.flows, None).err() {
                    Some(refusal) => self.answer(now, server, &refusal),
                    None => self.legs().refuse(now, server, &request, 480, None),
                },
            },
            // What is somebody else's never comes here; a new method would.
            Decision::NotMine => self.legs().refuse(now, server, &request, 501, None),
        }
    }

    fn flow_to_pbx(&self) -> Option<Flow> {
        let pbx = self.settings.pbx.as_ref()?;
        Some(self.flow_to(pbx.transport, pbx.address))
    }

    fn forward(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: Message,
        out: Flow,
        target: Option<&Uri>,
    ) {
        let edge = self.transfers.calls.legs.identity.host_port(&out);
        let forward = if *request.method() == Method::Register {
            // RFC 3327 §5.1: the PBX keeps the binding and will come back along our Path.
            self.proxy
                .register_through(&request, &flow, &self.flows, &edge, out.transport)
        } else if *request.method() == Method::Subscribe {
            // What comes later in this dialog, from either side, finds the phone along its flow.
            let phone = if self.caller(&flow, &request) == Caller::Pbx {
                &out
            } else {
                &flow
            };
            self.proxy
                .forward_recorded(&request, phone, &self.flows, &edge, out.transport, target)
        } else {
            self.proxy.forward(&request, &self.flows, target)
        };
        match forward {
            Ok(forward) => {
                let method = forward.method().clone();
                self.transfers.calls.legs.transactions.forward(
                    now,
                    out,
                    method,
                    TransactionUser::Forwarded(server),
                    via(out, &edge, forward),
                );
                self.forwarded.insert(server, (flow, request));
            }
            Err(refusal) => self.answer(now, server, &refusal),
        }
    }

    /// A response to a request that was forwarded goes back as it came, less our Via.
    pub(super) fn forwarded_answered(&mut self, now: Instant, server: ServerHandle, response: &Message) {
        // RFC 3261 §16.7 step 5: 100 is for one hop.
        let Some(status) = response.status().filter(|status| *status > 100) else {
            return;
        };
        self.legs()
            .transactions
            .respond(now, server, proxy::response_back(response), status);
        if status < 200 {
            return;
        }
        if let Some((flow, request)) = self.forwarded.remove(&server)
            && *request.method() == Method::Register
        {
            let changes = self.registrar.learn(now, flow, &request, response);
            self.note_bindings(changes);
        }
    }

    /// RFC 3261 §16.9: a transport error is 503; RFC 4320 §4.2: silence is passed on as silence.
    pub(super) fn forwarded_unanswered(&mut self, now: Instant, server: ServerHandle, status: u16) {
        if let Some((_, request)) = self.forwarded.remove(&server)
            && status != 408
        {
            self.legs().refuse(now, server, &request, 503, Some("PBX Unreachable"));
        }
    }

    /// A stranger over UDP gets one answer and leaves nothing behind: its source may be somebody else's address, at whom
    /// retransmissions would be aimed (RFC 3261 §26.3.2.4).
    pub(super) fn challenge(&mut self, now: Instant, flow: Flow, server: ServerHandle, draft: &Draft) {
        if flow.transport.is_reliable() {
            self.answer(now, server, draft);
        } else {
            self.legs().transactions.respond_and_forget(server, draft.print());
        }
    }

    pub(super) fn answer(&mut self, now: Instant, server: ServerHandle, draft: &Draft) {
        let status = draft.status().unwrap_or(500);
        self.legs().transactions.respond(now, server, draft.print(), status);
    }
}

/// Prints a forwarded request under our Via.
fn via<'m>(out: Flow, edge: &str, forward: Forward<'m>) -> impl FnOnce(&str) -> bytes::Bytes + use<'m> {
    let (edge, transport) = (edge.to_owned(), out.transport);
    // Printed once, with the branch that leads its response back.
    move |branch| {
        forward
            .push_via(ViaParam {
                transport,
                sent_by: &edge,
                branch,
            })
            .print()
    }
}
