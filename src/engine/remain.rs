//! Two processes at one set of sockets, for as long as the older one has something to finish.
//!
//! What the store keeps whole goes to the newer process: registrations, and calls of two whose sides rest. Everything else (what
//! rings, what is being transferred, hubs, a re-INVITE that is out) stays with the process that began it, as it is in no store.
//! The newer one reads the sockets, and gives on what it does not know ([`Engine::knows`]); the older one answers it itself.
//!
//! | a message that came to the newer process | goes to |
//! |---|---|
//! | response with a branch of its own, or in a dialog of its own | itself |
//! | any other response | the older one |
//! | request of a transaction of its own | itself |
//! | request in a dialog that it has | itself |
//! | in any other dialog; CANCEL and ACK of no INVITE of its own | the older one |
//! | INVITE that the older one has (by its Call-ID) | the older one |
//! | anything else | itself |
//!
//! RFC 3261 §17.1.3, §17.2.3 and §12.2.2 say what belongs to what.

use std::time::Instant;

use super::{Engine, Stored};
use crate::call::CallState;
use crate::dialog::Match;
use crate::leg::{LegHandle, LegOwner};
use crate::sip::{Message, Method};
use crate::transport::Flow;
use crate::vocabulary::CallHandle;

/// What an engine does not hand over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remainder {
    /// Its legs.
    pub legs: Vec<LegHandle>,
    /// Their Call-IDs.
    pub call_ids: Vec<String>,
    /// Their media ports; the one behind each is theirs, too.
    pub ports: Vec<u16>,
    /// Makes the store forget what stays: the newer process must not take it up. [`Input::StoreForgot`] puts it back.
    ///
    /// [`Input::StoreForgot`]: super::Input::StoreForgot
    pub forget: Vec<Stored>,
}

impl Engine {
    /// Whether a message belongs to a transaction of this engine.
    pub fn has(&self, message: &Message) -> bool {
        self.transfers.calls.legs.transactions.has(message)
    }

    /// Whether a message belongs to something that this engine has, or begins something new.
    pub fn knows(&self, message: &Message) -> bool {
        let legs = &self.transfers.calls.legs;
        if self.has(message) {
            return true;
        }
        let here = || matches!(legs.find(message), Match::Found(_));
        if !message.is_request() {
            return here();
        }
        match message.method() {
            Method::Cancel => false,
            Method::Register => true,
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Options
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Extension(_) => message.to_tag().is_none() || here(),
        }
    }

    /// What would not come back from a store as it is now.
    pub fn remainder(&self) -> Remainder {
        let mut remainder = Remainder::default();
        for handle in self.all_legs() {
            if self.rests(handle) {
                continue;
            }
            let Some(leg) = self.transfers.calls.legs.get(handle) else {
                continue;
            };
            remainder.legs.push(handle);
            remainder.call_ids.push(leg.dialog.id.call_id.to_string());
            if let Some(port) = leg.media_port() {
                remainder.ports.push(port);
            }
        }
        self.note_remainder(&mut remainder);
        remainder
    }

    fn note_remainder(&self, remainder: &mut Remainder) {
        let Some(keeper) = &self.keeper else { return };
        let legs = keeper.legs.keys().filter(|leg| !self.rests(**leg));
        let calls = keeper.calls.keys().filter(|call| !self.call_rests(**call));
        let forget = &mut remainder.forget;
        forget.extend(legs.map(|leg| Stored::Leg(*leg, None)));
        forget.extend(keeper.ringing.keys().map(|leg| Stored::Ringing(*leg, None)));
        forget.extend(calls.map(|call| Stored::Call(*call, None)));
        forget.extend(keeper.hubs.keys().map(|call| Stored::Hub(*call, None)));
        forget.extend(
            keeper
                .transfers
                .keys()
                .map(|transfer| Stored::Transfer(*transfer, None)),
        );
    }

    /// From now on only what was not handed over exists here. Nobody is told anything: the rest goes on elsewhere.
    pub fn keep_remainder(&mut self) {
        self.keeper = None;
        let calls = self.transfers.calls.handles();
        let resting: Vec<CallHandle> = calls.into_iter().filter(|call| self.call_rests(*call)).collect();
        let legs: Vec<LegHandle> = self.all_legs().into_iter().filter(|leg| self.rests(*leg)).collect();
        for leg in legs {
            self.legs().forget(leg);
        }
        for call in resting {
            self.transfers.calls.forget(call);
        }
    }

    /// How much of it is left.
    pub fn is_finished(&self) -> bool {
        let totals = self.totals();
        totals.calls + totals.transfers + totals.dialogs == 0 && self.forwarded.is_empty()
    }

    /// The process before this one keeps connections open for us, and needs some ports.
    pub(super) fn beside(&mut self, now: Instant, flows: &[Flow], ports: &[u16]) {
        self.legs().endpoints.avoid(ports);
        for flow in flows {
            let changes = self.registrar.flow_back(flow);
            self.note_bindings(now, changes);
            self.legs().flow_back(flow);
        }
    }

    fn all_legs(&self) -> Vec<LegHandle> {
        let legs = &self.transfers.calls.legs;
        legs.table.iter().map(|(handle, _)| LegHandle::from(handle)).collect()
    }

    fn call_rests(&self, call: CallHandle) -> bool {
        let calls = &self.transfers.calls;
        let Some(found) = calls.get(call) else { return false };
        match &found.state {
            CallState::Connected { callee } => [found.caller, *callee].into_iter().all(|leg| {
                let found = calls.legs.get(leg);
                found.is_some_and(|found| found.owner == LegOwner::Call(call) && found.is_quiet())
            }),
            CallState::Alerting { .. } | CallState::Hub(_) => false,
        }
    }

    fn rests(&self, leg: LegHandle) -> bool {
        match self.transfers.calls.legs.get(leg).map(|leg| leg.owner) {
            Some(LegOwner::Call(call)) => self.call_rests(call),
            Some(LegOwner::Transfer(_) | LegOwner::Nobody) | None => false,
        }
    }
}
