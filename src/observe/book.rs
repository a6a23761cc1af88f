//! The ladders of the last calls: what each said and was told, and which rule fired at each step of a transfer.
//!
//! Bounded in every direction: so many calls, so many messages and octets a dialog, and so many dialogs that belong to no
//! call (yet). A message is copied behind the others of its Call-ID, which costs less than to keep its buffer alive; nothing
//! of it is parsed or drawn before somebody asks, and then outside of the book ([`Excerpt::page`]).

mod dialogs;
mod page;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use super::metrics::Way;
use crate::engine::{CallHandle, Event, LegHandle, TransferHandle};

use dialogs::{Dialogs, Key};
pub use page::{Excerpt, LadderLine, LadderPage};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderLimits {
    /// Calls; the oldest goes first.
    pub calls: usize,
    /// Messages of one dialog; later ones are counted.
    pub messages: usize,
    /// Whether numbers and names are hidden.
    pub redact: bool,
}

impl Default for LadderLimits {
    fn default() -> Self {
        LadderLimits {
            calls: 200,
            messages: 200,
            redact: false,
        }
    }
}

/// A message as it passes.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'m> {
    /// When.
    pub at: Instant,
    /// To or from the edge.
    pub way: Way,
    /// Where from, or where to.
    pub remote: SocketAddr,
    /// The whole message.
    pub bytes: &'m [u8],
}

/// A leg that was started.
#[derive(Debug)]
struct Started {
    dialog: Key,
    /// How many of the calls in the book it belongs to.
    calls: usize,
}

/// One step of a transfer.
#[derive(Clone, Debug)]
struct Step {
    order: u64,
    at: Instant,
    text: String,
}

#[derive(Debug, Default)]
struct Transfer {
    legs: BTreeSet<LegHandle>,
    ended: bool,
    steps: Vec<Step>,
}

/// What is remembered of the last calls.
#[derive(Debug)]
pub struct Book {
    limits: LadderLimits,
    next: u64,
    dialogs: Dialogs,
    legs: BTreeMap<LegHandle, Started>,
    calls: BTreeMap<CallHandle, Vec<LegHandle>>,
    order: VecDeque<CallHandle>,
    transfers: BTreeMap<TransferHandle, Transfer>,
}

impl Book {
    /// An empty one.
    pub fn new(limits: LadderLimits) -> Book {
        Book {
            limits,
            next: 0,
            dialogs: Dialogs::default(),
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            order: VecDeque::new(),
            transfers: BTreeMap::new(),
        }
    }

    /// A message passed. Only dialogs that begin with an INVITE are kept.
    pub fn message(&mut self, seen: &Seen<'_>) {
        let order = self.count();
        let gone = self.dialogs.file(seen, order, self.limits.messages);
        self.unstarted(gone);
    }

    /// A leg that no call ever took, and whose dialog made room.
    fn unstarted(&mut self, gone: Option<LegHandle>) {
        if let Some(leg) = gone {
            self.legs.remove(&leg);
        }
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Something happened.
    pub fn event(&mut self, at: Instant, event: &Event) {
        match event {
            Event::LegStarted {
                leg,
                call,
                transfer,
                party,
                call_id,
                inbound: _,
            } => self.leg_started(*leg, *call, *transfer, party, call_id),
            Event::CallConnected { call, legs } => legs.iter().for_each(|leg| self.belongs(*call, *leg)),
            Event::TransferRequested {
                transfer,
                kind,
                mode,
                transferor,
                transferee,
                target: _,
                target_leg,
            } => {
                let text = format!("{kind:?} transfer requested, mode {mode:?}").to_lowercase();
                if ![transferor, transferee].into_iter().any(|leg| self.is_in_a_call(leg)) {
                    return; // of a call that is forgotten
                }
                let legs = [*transferor, *transferee].into_iter().chain(*target_leg).collect();
                self.transfers.insert(
                    *transfer,
                    Transfer {
                        legs,
                        ..Transfer::default()
                    },
                );
                self.step(at, *transfer, text);
            }
            Event::TransferProgress {
                transfer,
                state,
                status,
                rule,
            } => {
                let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
                self.step(at, *transfer, format!("{state}{status}: {rule}"));
            }
            Event::TransferCompleted { transfer, target, .. } => {
                if let Some(kept) = self.transfers.get_mut(transfer) {
                    kept.legs.extend(*target);
                    kept.ended = true;
                }
                self.step(at, *transfer, "completed".to_owned());
            }
            Event::TransferFailed {
                transfer,
                reason,
                status,
            } => {
                if let Some(kept) = self.transfers.get_mut(transfer) {
                    kept.ended = true;
                }
                let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
                self.step(at, *transfer, format!("failed: {}{status}", reason.name()));
            }
            Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::CallStarted { .. }
            | Event::CallHeld { .. }
            | Event::CallResumed { .. }
            | Event::CallForwarded { .. }
            | Event::CallRestored { .. }
            | Event::CallEnded { .. }
            | Event::LegRinging { .. }
            | Event::LegConfirmed { .. }
            | Event::LegEnded { .. }
            | Event::Media(_)
            | Event::SourceLimited { .. }
            | Event::SourceBanned { .. }
            | Event::Hub(_)
            | Event::MessageRefused { .. }
            | Event::WebhookFailed { .. } => {}
        }
    }

    fn step(&mut self, at: Instant, transfer: TransferHandle, text: String) {
        let order = self.count();
        if let Some(kept) = self.transfers.get_mut(&transfer) {
            kept.steps.push(Step { order, at, text });
        }
    }

    fn leg_started(
        &mut self,
        leg: LegHandle,
        call: Option<CallHandle>,
        transfer: Option<TransferHandle>,
        party: &str,
        call_id: &str,
    ) {
        let dialog = self.dialogs.key(call_id);
        self.dialogs.claim(dialog, leg, party);
        self.legs.insert(leg, Started { dialog, calls: 0 });
        match call {
            Some(call) => self.belongs(call, leg),
            None => match transfer.and_then(|transfer| self.transfers.get_mut(&transfer)) {
                Some(kept) => {
                    kept.legs.insert(leg);
                }
                None => {
                    let gone = self.dialogs.unclaim(dialog);
                    self.unstarted(gone);
                }
            },
        }
    }

    fn belongs(&mut self, call: CallHandle, leg: LegHandle) {
        let legs = self.calls.entry(call).or_default();
        if legs.is_empty() {
            self.order.push_back(call);
        }
        if !legs.contains(&leg) {
            legs.push(leg);
            if let Some(started) = self.legs.get_mut(&leg) {
                started.calls += 1;
            }
        }
        while self.order.len() > self.limits.calls.max(1)
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// Forgets a call, its transfers, and every leg that is in no other one.
    fn forget(&mut self, call: CallHandle) {
        let mut legs = self.calls.remove(&call).unwrap_or_default();
        for leg in &legs {
            if let Some(started) = self.legs.get_mut(leg) {
                started.calls = started.calls.saturating_sub(1);
            }
        }
        let gone: Vec<TransferHandle> = self
            .transfers_of(&legs)
            .filter(|(_, kept)| !kept.legs.iter().any(|leg| self.is_in_a_call(leg)))
            .map(|(handle, _)| handle)
            .collect();
        for transfer in gone {
            legs.extend(self.transfers.remove(&transfer).into_iter().flat_map(|kept| kept.legs));
        }
        for leg in legs {
            if !self.is_in_a_call(&leg)
                && let Some(started) = self.legs.remove(&leg)
            {
                self.dialogs.remove(started.dialog);
            }
        }
    }

    fn is_in_a_call(&self, leg: &LegHandle) -> bool {
        self.legs.get(leg).is_some_and(|started| started.calls > 0)
    }

    fn transfers_of(&self, legs: &[LegHandle]) -> impl Iterator<Item = (TransferHandle, &Transfer)> {
        let shares = move |kept: &Transfer| legs.iter().any(|leg| kept.legs.contains(leg));
        self.transfers
            .iter()
            .filter(move |(_, kept)| shares(kept))
            .map(|(handle, kept)| (*handle, kept))
    }

    /// What is remembered of a call, with the legs and steps of its transfers; `None`: it is not remembered.
    pub fn excerpt(&self, call: CallHandle) -> Option<Excerpt> {
        let own = self.calls.get(&call)?;
        let transfers: Vec<_> = self.transfers_of(own).collect();
        let further = transfers.iter().flat_map(|(_, kept)| &kept.legs);
        let legs: BTreeSet<LegHandle> = own.iter().chain(further).copied().collect();
        // Two legs have one Call-ID where the edge keeps the caller's.
        let keys: BTreeSet<Key> = legs.iter().filter_map(|leg| Some(self.legs.get(leg)?.dialog)).collect();
        let dialogs = keys.into_iter().filter_map(|key| self.dialogs.get(key)).cloned();
        let steps = transfers
            .iter()
            .flat_map(|(handle, kept)| kept.steps.iter().map(|step| (*handle, step.clone())));
        Some(Excerpt {
            call,
            dialogs: dialogs.collect(),
            steps: steps.collect(),
            redact: self.limits.redact,
        })
    }
}

#[cfg(test)]
mod tests;
