//! A call: the legs that talk together, and what passes between them.
//!
//! **Owns** who talks with whom, the forks of a call that still rings, hold and resume, and the passing of offers from
//! one side to the other. **Refuses** to know of transfers: a REFER rises as a [`Demand`]; a transfer takes the legs of
//! a call for as long as it lasts and gives them back, joined or as they were.
//!
//! ```text
//! Alerting ──first 2xx──▶ Connected ⇄ Held ──a side leaves──▶ Ended
//!     └── all forks refused, caller gone ────────────────────▶ Ended
//! Connected ⇄ Hub ──nobody is left──▶ Ended          (a hub may also begin as one: [`hub`])
//! ```
//!
//! RFC 3261 §16.7 (best response of the forks), RFC 3264, RFC 5359 §2.1.

pub mod bridge;
mod command;
mod dial;
pub mod hub;
mod kept;
mod setup;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::leg::{Deadlines, Leg, LegEvent, Legs};
use crate::sip::Message;
use crate::transaction::ServerHandle;
use crate::vocabulary::{
    CallHandle, CallView, Cause, CommandId, Event, LegHandle, LegOwner, Refusal, Reply, Slots, TransferHandle,
};
use bridge::Bridge;
pub use dial::Dialled;
pub use hub::{Entrusted, Hub, StoredHub};
pub use kept::StoredCall;

/// What a call cannot decide by itself.
#[derive(Clone, Debug)]
pub enum Demand {
    /// A party wants the other one moved.
    Refer {
        /// The call.
        call: CallHandle,
        /// The party that asks.
        transferor: LegHandle,
        /// Answer here.
        server: ServerHandle,
        /// The REFER.
        request: Message,
    },
    /// The first party of a call that the edge dials has answered: where is the second?
    Dial {
        /// The call.
        call: CallHandle,
        /// Who is to talk with whom.
        dialled: Dialled,
    },
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallState {
    /// The forks ring.
    Alerting {
        /// Those that have not refused.
        forks: Vec<LegHandle>,
        /// The best refusal so far.
        best: Option<u16>,
    },
    /// Two parties talk.
    Connected {
        /// The party that answered.
        callee: LegHandle,
    },
    /// Any number of parties, and who hears whom.
    Hub(Box<Hub>),
}

/// Nobody's leg: the caller of a call that has none.
pub(crate) const NOBODY: LegHandle = LegHandle {
    slot: u32::MAX,
    generation: 0,
};

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its handle.
    pub handle: CallHandle,
    /// The party whose call it is; after a transfer, the transferee stays in its place.
    pub caller: LegHandle,
    /// Where it stands.
    pub state: CallState,
    /// What passes between its legs at the moment.
    pub bridge: Bridge,
    /// How often it has been transferred.
    pub transfers: u8,
}

impl Call {
    /// One that begins: its caller and those who ring are put in as their legs are made.
    fn alerting(handle: CallHandle) -> Call {
        Call {
            handle,
            caller: NOBODY,
            state: CallState::Alerting {
                forks: Vec::new(),
                best: None,
            },
            bridge: Bridge::Quiet,
            transfers: 0,
        }
    }

    /// The party on the other side of `leg`, when two are connected.
    pub fn other(&self, leg: LegHandle) -> Option<LegHandle> {
        match &self.state {
            CallState::Connected { callee } if *callee == leg => Some(self.caller),
            CallState::Connected { callee } if self.caller == leg => Some(*callee),
            // A call that rings has an other side for its caller when there is no choice.
            CallState::Alerting { forks, .. } if self.caller == leg && forks.len() == 1 => forks.first().copied(),
            CallState::Alerting { forks, .. } if forks.contains(&leg) => Some(self.caller),
            // In a hub nobody is the other side of anybody.
            CallState::Connected { .. } | CallState::Alerting { .. } | CallState::Hub(_) => None,
        }
    }

    /// Its legs, the caller's first.
    pub fn legs(&self) -> Vec<LegHandle> {
        match &self.state {
            CallState::Alerting { forks, .. } => std::iter::once(&self.caller).chain(forks).copied().collect(),
            CallState::Connected { callee } => vec![self.caller, *callee],
            CallState::Hub(hub) => hub.legs(),
        }
    }
}

/// All calls, above all legs.
#[derive(Debug)]
pub struct Calls {
    /// The layer below.
    pub legs: Legs,
    /// Answers to commands, in the order in which they became known.
    pub replies: VecDeque<(CommandId, Result<Reply, Refusal>)>,
    pub(crate) table: Slots<CallHandle, Call>,
    /// Calls that an API client has the edge dial, until they are connected.
    pub(crate) dials: BTreeMap<CallHandle, Dialled>,
    /// Of hubs.
    pub(crate) deadlines: Deadlines<CallHandle>,
    /// What became of parties that transfers entrusted to applications, oldest first; for the layer above.
    pub entrusted: VecDeque<(TransferHandle, Entrusted)>,
}

impl Calls {
    /// No calls yet.
    pub fn new(legs: Legs) -> Calls {
        Calls {
            legs,
            replies: VecDeque::new(),
            table: Slots::default(),
            dials: BTreeMap::new(),
            deadlines: Deadlines::default(),
            entrusted: VecDeque::new(),
        }
    }

    /// The call, until it has ended.
    pub fn get(&self, handle: CallHandle) -> Option<&Call> {
        self.table.get(handle)
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What a leg of a call reports.
    pub fn handle(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, event: LegEvent) -> Option<Demand> {
        if self.is_dialling(handle) {
            return self.dial_reported(now, handle, leg, event);
        }
        let call = self.table.get(handle)?;
        let alerting = match &call.state {
            CallState::Hub(_) => return self.hub_reported(now, handle, leg, event),
            CallState::Alerting { .. } => true,
            CallState::Connected { .. } => false,
        };
        match event {
            LegEvent::Ringing { status, description } => self.ringing(now, handle, leg, status, description.as_ref()),
            LegEvent::Answered { description } => self.answered(now, handle, leg, description.as_ref()),
            LegEvent::Refused { status, response, .. } => self.refused(now, handle, leg, status, response.as_ref()),
            LegEvent::Acked { description } => self.acked(now, handle, leg, description.as_ref()),
            LegEvent::Offered { description, carrier } => self.offered(now, handle, leg, description, carrier),
            LegEvent::OfferAnswered { description } => self.offer_answered(now, handle, leg, description.as_ref()),
            LegEvent::OfferRefused { status } => self.offer_refused(now, handle, leg, status),
            LegEvent::Refreshed { changed } => self.refreshed(now, handle, changed),
            LegEvent::Released { .. } if alerting => self.left_while_alerting(now, handle, leg),
            LegEvent::Released { cause } => self.left(now, handle, leg, cause),
            LegEvent::Asked { server, request } => match call.other(leg) {
                Some(other) => self.legs.pass_on(now, other, server, &request),
                None => self.legs.refuse(now, server, &request, 480, None),
            },
            LegEvent::Referred { server, request } => {
                return Some(Demand::Refer {
                    call: handle,
                    transferor: leg,
                    server,
                    request,
                });
            }
            // A transfer's business; left over when it gave the leg back.
            LegEvent::Progress(_) | LegEvent::ReportSettled => {}
        }
        None
    }

    /// A side of a connected call has left: the other is released, once.
    fn left(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, cause: Cause) {
        if let Some(other) = self.table.get(handle).and_then(|call| call.other(leg)) {
            self.legs.release(now, other, Cause::OtherParty);
        }
        self.end(handle, cause);
    }

    /// Takes the call out; its legs finish by themselves.
    pub(crate) fn end(&mut self, handle: CallHandle, cause: Cause) {
        let Some(call) = self.table.remove(handle) else { return };
        self.dials.remove(&handle);
        for leg in call.legs() {
            if self
                .legs
                .get(leg)
                .is_some_and(|leg| leg.owner == LegOwner::Call(handle))
            {
                self.legs.set_owner(leg, LegOwner::Nobody);
            }
        }
        if let Bridge::Matching {
            command: Some(command), ..
        } = call.bridge
        {
            let why = "the call ended before both sides had agreed".to_owned();
            self.replies.push_back((command, Err(Refusal::Conflict { why })));
        }
        self.legs.events.push_back(Event::CallEnded { call: handle, cause });
    }

    /// Another process has it now: nobody here is told.
    pub(crate) fn forget(&mut self, handle: CallHandle) {
        self.table.remove(handle);
        self.dials.remove(&handle);
    }

    /// Lends the legs of a call to a transfer: it alone hears of them until [`Calls::give_back`] or [`Calls::join`].
    pub fn lend(&mut self, handle: CallHandle, to: LegOwner) {
        if let Some(call) = self.table.get_mut(handle) {
            for leg in call.legs() {
                self.legs.set_owner(leg, to);
            }
        }
    }

    /// Gives a call its legs back as they were, and brings its sides together again where a broken join left them apart.
    /// A side that has left in the meantime ends the call. `from`: the borrower.
    pub fn give_back(&mut self, now: Instant, handle: CallHandle, from: LegOwner) {
        let Some(call) = self.table.get(handle) else { return };
        let legs = call.legs();
        let alerting = matches!(call.state, CallState::Alerting { .. });
        let taken = |leg: &LegHandle| match self.legs.get(*leg).map(|leg| leg.owner) {
            Some(owner @ (LegOwner::Transfer(_) | LegOwner::Call(_))) => {
                owner != from && owner != LegOwner::Call(handle)
            }
            Some(LegOwner::Nobody) | None => false,
        };
        if legs.iter().any(taken) {
            // Another transfer has taken it over in the meantime, and will give it back.
            return;
        }
        for leg in &legs {
            self.legs.set_owner(*leg, LegOwner::Call(handle));
        }
        let gone = legs
            .iter()
            .copied()
            .find(|leg| !self.legs.get(*leg).is_some_and(Leg::is_alive));
        match gone {
            Some(leg) if alerting => self.left_while_alerting(now, handle, leg),
            Some(leg) => {
                let cause = self.legs.get(leg).and_then(|leg| leg.cause);
                self.left(now, handle, leg, cause.unwrap_or(Cause::Party));
            }
            None if alerting => {}
            None => self.bring_together(now, handle, None),
        }
    }

    /// Makes `one` and `other` the two sides of the call: the end of a transfer.
    pub fn join(&mut self, handle: CallHandle, one: LegHandle, other: LegHandle) {
        if let Some(call) = self.table.get_mut(handle) {
            call.caller = one;
            call.state = CallState::Connected { callee: other };
            call.bridge = Bridge::Quiet;
            call.transfers = call.transfers.saturating_add(1);
        }
        for leg in [one, other] {
            self.legs.set_owner(leg, LegOwner::Call(handle));
        }
        self.legs.events.push_back(Event::CallConnected {
            call: handle,
            legs: vec![one, other],
        });
    }

    /// What an observer sees of a call.
    pub fn view(&self, handle: CallHandle) -> Option<CallView> {
        let call = self.table.get(handle)?;
        let legs = |call: &Call| -> Vec<_> {
            let legs = call.legs().into_iter();
            legs.filter_map(|leg| self.legs.get(leg)).map(Leg::view).collect()
        };
        let (state, legs, hub) = match &call.state {
            CallState::Hub(hub) => {
                let (legs, hub) = self.hub_view(hub);
                ("hub", legs, Some(hub))
            }
            CallState::Alerting { .. } => ("alerting", legs(call), None),
            CallState::Connected { .. } => {
                let legs = legs(call);
                let held = legs.iter().any(|leg| leg.held);
                (if held { "held" } else { "connected" }, legs, None)
            }
        };
        Some(CallView {
            id: handle,
            state,
            legs,
            hub,
        })
    }

    /// All calls, in the order of their handles' slots.
    pub fn views(&self) -> Vec<CallView> {
        self.first_views(usize::MAX)
    }

    /// The first of them.
    pub fn first_views(&self, limit: usize) -> Vec<CallView> {
        let handles = self.table.iter().take(limit);
        handles.filter_map(|(handle, _)| self.view(handle)).collect()
    }
}
