//! REGISTER, and whatever else comes outside of dialogs. Nothing falls through: answered here, forwarded, or refused.
//!
//! RFC 3261 §10, §11, §16; RFC 3327 (Path). LESSONS 11, 40.

use std::time::Instant;

use super::Engine;
use super::forward::Onward;
use super::route::Caller;
use crate::proxy::{Decision, Side};
use crate::sip::{Draft, Message, Uri};
use crate::transaction::ServerHandle;
use crate::transport::Flow;

impl Engine {
    pub(super) fn register(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        if let Some(pbx) = self.to_pbx(now).filter(|_| self.settings.registers_through()) {
            self.forward(now, flow, server, request, pbx);
            return;
        }
        let (response, changes) = self.registrar.register(now, flow, &request);
        if response.status() == Some(401) {
            self.challenge(now, flow, server, &response);
        } else {
            self.answer(now, server, &response);
        }
        self.note_bindings(now, changes);
    }

    /// Any other request outside of our dialogs: the proxy decides.
    pub(super) fn other_request(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        let request = self.proxy.loosened(&request, &self.flows).unwrap_or(request);
        let caller = self.caller(&flow, &request);
        let side = match caller {
            Caller::Pbx => Side::Pbx,
            Caller::Phone | Caller::Stranger | Caller::Trusted => Side::Phone,
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
            Decision::ForwardToPbx => match self.to_pbx(now) {
                Some(pbx) => self.forward(now, flow, server, request, pbx),
                None => self.legs().refuse(now, server, &request, 404, None),
            },
            Decision::ToFlow(out) => self.forward(now, flow, server, request, vec![to_phone(out, None)]),
            Decision::ToBinding(user) => {
                let ways = self.ways_to_bindings(now, &user, &request);
                if !ways.is_empty() {
                    self.forward(now, flow, server, request, ways);
                    return;
                }
                // RFC 3261 §16.3: what is wrong with the request comes before where it would go.
                match self.proxy.forward(&request, &self.flows, None).err() {
                    Some(refusal) => self.answer(now, server, &refusal),
                    None => self.legs().refuse(now, server, &request, 480, None),
                }
            }
            // What is somebody else's never comes here; a new method would.
            Decision::NotMine => self.legs().refuse(now, server, &request, 501, None),
        }
    }

    /// Every binding of the user (RFC 3261 §16.5); a Request-URI that is one of its contacts means that one.
    fn ways_to_bindings(&self, now: Instant, user: &str, request: &Message) -> Vec<Onward> {
        let asked = Uri::parse(request.request_uri().unwrap_or_default());
        let bindings = self.registrar.lookup(now, user);
        let named = |contact: &Uri| asked.as_ref().is_ok_and(|asked| asked.as_str() == contact.as_str());
        let the_one = bindings.iter().position(|binding| named(&binding.contact.uri));
        let chosen = bindings
            .iter()
            .enumerate()
            .filter(|(at, _)| the_one.is_none_or(|one| one == *at));
        chosen
            .map(|(_, binding)| to_phone(binding.flow, Some(binding.contact.uri.without_headers())))
            .collect()
    }

    /// The ways to the PBX, as one: its first place, and the others in reserve.
    fn to_pbx(&self, now: Instant) -> Option<Vec<Onward>> {
        let pbx = self.settings.pbx.as_ref()?;
        let (flow, next) = self.flows_to(now, &pbx.host, pbx.place());
        Some(vec![Onward {
            flow,
            next,
            target: None,
            wanted: None,
            phone: false,
        }])
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

fn to_phone(flow: Flow, target: Option<Uri>) -> Onward {
    Onward {
        flow,
        next: Vec::new(),
        target,
        wanted: None,
        phone: true,
    }
}
