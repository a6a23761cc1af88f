//! What outlives the process: written as it changes, and taken back before the first message.
//!
//! After each input the engine looks at those legs, calls and transfers that it touched meanwhile, and says what is new of
//! them in one [`Output::Store`], before anything of that input leaves: a process that dies in between has written more than
//! it has said, and the next one says it. What is written at all is decided by the rooms themselves (`leg::kept`,
//! `call::kept`, `transfer::kept`).
//!
//! Back they come in the other order: registrations, legs, calls, transfers; then what legs owed is paid, transfers go on
//! or are taken back, and sides of a call that may not have each other's description are offered it. A leg that belongs to
//! nothing any more is ended by BYE. Last, what rang is taken up or told to stop (`ringing`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::guard::StoredBan;
use super::{Engine, Output};
use crate::call::{StoredCall, StoredHub};
use crate::dialog::Match;
use crate::leg::{LegHandle, LegOwner, StoredFlow, StoredLeg, StoredRinging, WallClock};
use crate::registrar::StoredUser;
use crate::sip::Message;
use crate::transfer::StoredTransfer;
use crate::transport::Flow;
use crate::vocabulary::{CallHandle, TransferHandle};

/// A record of the store: something as it is now, or that it is no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stored {
    /// All bindings of one user; without bindings: forget the user.
    User(StoredUser),
    /// A leg; `None`: forget it.
    Leg(LegHandle, Option<Box<StoredLeg>>),
    /// A call; `None`: forget it.
    Call(CallHandle, Option<StoredCall>),
    /// A transfer; `None`: forget it.
    Transfer(TransferHandle, Option<Box<StoredTransfer>>),
    /// A hub; `None`: forget it.
    Hub(CallHandle, Option<Box<StoredHub>>),
    /// An INVITE that has no final answer; `None`: it has one.
    Ringing(LegHandle, Option<Box<StoredRinging>>),
    /// A source that is banned; `None`: not any more.
    Ban(IpAddr, Option<StoredBan>),
    /// What somebody above the engine keeps, by kind and key, as JSON; `None`: forget it. The engine never has one.
    Note(NoteKind, CompactString, Option<String>),
}

/// Whose notes they are, and so who may read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoteKind {
    /// A call record; it belongs to the node that makes it.
    Record,
    /// Of the API and its dialects; it belongs to the cluster.
    Api,
}

/// What is written of whom. Only in an engine whose host keeps anything.
#[derive(Debug)]
pub(super) struct Keeper {
    epoch: Instant,
    unix: Duration,
    pub(super) legs: BTreeMap<LegHandle, u64>,
    pub(super) ringing: BTreeMap<LegHandle, u64>,
    pub(super) calls: BTreeMap<CallHandle, StoredCall>,
    pub(super) hubs: BTreeMap<CallHandle, StoredHub>,
    pub(super) transfers: BTreeMap<TransferHandle, StoredTransfer>,
}

impl Keeper {
    pub(super) fn clock(&self, now: Instant) -> WallClock {
        let unix = self.unix + now.saturating_duration_since(self.epoch);
        WallClock {
            now,
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What comes back, by kind.
#[derive(Default)]
struct Back {
    users: Vec<StoredUser>,
    legs: BTreeMap<LegHandle, Box<StoredLeg>>,
    calls: BTreeMap<CallHandle, StoredCall>,
    hubs: BTreeMap<CallHandle, Box<StoredHub>>,
    transfers: BTreeMap<TransferHandle, Box<StoredTransfer>>,
    ringing: BTreeMap<LegHandle, Box<StoredRinging>>,
    bans: Vec<(IpAddr, StoredBan)>,
}

impl Back {
    fn of(records: Vec<Stored>) -> Back {
        let mut back = Back::default();
        for record in records {
            match record {
                Stored::User(user) => back.users.push(user),
                Stored::Leg(leg, stored) => drop(stored.map(|stored| back.legs.insert(leg, stored))),
                Stored::Call(call, stored) => drop(stored.map(|stored| back.calls.insert(call, stored))),
                Stored::Hub(call, stored) => drop(stored.map(|stored| back.hubs.insert(call, stored))),
                Stored::Ringing(leg, stored) => drop(stored.map(|stored| back.ringing.insert(leg, stored))),
                Stored::Ban(source, stored) => back.bans.extend(stored.map(|ban| (source, ban))),
                Stored::Note(..) => {}
                Stored::Transfer(transfer, stored) => {
                    drop(stored.map(|stored| back.transfers.insert(transfer, stored)));
                }
            }
        }
        back
    }

    /// Whatever does not come back is forgotten by the store as well.
    fn note(&self, keeper: &mut Keeper) {
        keeper.legs = self.legs.keys().map(|leg| (*leg, 0)).collect();
        keeper.ringing = self.ringing.keys().map(|leg| (*leg, 0)).collect();
        keeper.calls.clone_from(&self.calls);
        keeper.hubs = self
            .hubs
            .iter()
            .map(|(call, stored)| (*call, (**stored).clone()))
            .collect();
        let transfers = self.transfers.iter();
        keeper.transfers = transfers
            .map(|(handle, stored)| (*handle, (**stored).clone()))
            .collect();
    }
}

impl Engine {
    /// An engine whose host keeps what [`Output::Store`] says: legs, calls and transfers too, not registrations alone.
    /// `now` as in [`Engine::new`].
    pub fn keeping(mut self, now: Instant) -> Engine {
        self.transfers.watch(self.settings.process.seed as u32);
        self.keeper = Some(Box::new(Keeper {
            epoch: now,
            unix: Duration::from_secs(self.settings.process.started.unwrap_or_default()),
            legs: BTreeMap::new(),
            ringing: BTreeMap::new(),
            calls: BTreeMap::new(),
            hubs: BTreeMap::new(),
            transfers: BTreeMap::new(),
        }));
        self
    }

    /// Whatever was kept is to be kept once more.
    pub(super) fn keep_again(&mut self) {
        self.registrar.store_all();
        let Some(keeper) = &mut self.keeper else { return };
        let (legs, ringing) = (std::mem::take(&mut keeper.legs), std::mem::take(&mut keeper.ringing));
        let (calls, hubs) = (std::mem::take(&mut keeper.calls), std::mem::take(&mut keeper.hubs));
        let transfers = std::mem::take(&mut keeper.transfers);
        for leg in legs.into_keys().chain(ringing.into_keys()) {
            self.legs().touch(leg);
        }
        for call in calls.into_keys().chain(hubs.into_keys()) {
            self.transfers.calls.touch(call);
        }
        for transfer in transfers.into_keys() {
            self.transfers.touch(transfer);
        }
    }

    /// What is to be kept from now on.
    pub(super) fn note_changes(&mut self, now: Instant) {
        let mut changes = Vec::new();
        while let Some(user) = self.registrar.poll_stored() {
            changes.push(Stored::User(user));
        }
        if let Some(mut keeper) = self.keeper.take() {
            let clock = keeper.clock(now);
            self.note_legs(&mut keeper, &clock, &mut changes);
            self.note_calls(&mut keeper, &clock, &mut changes);
            self.note_transfers(&mut keeper, &clock, &mut changes);
            self.keeper = Some(keeper);
        }
        if !changes.is_empty() {
            self.outputs.push_back(Output::Store { changes });
        }
    }

    fn note_legs(&mut self, keeper: &mut Keeper, clock: &WallClock, changes: &mut Vec<Stored>) {
        for leg in self.legs().take_touched() {
            self.note_ringing(keeper, clock, leg, changes);
            match self.legs().stamp(leg) {
                Some(stamp) => {
                    // A leg that never was confirmed is none that has to be ended.
                    let ends = !self.legs().get(leg).is_some_and(crate::leg::Leg::is_alive);
                    let known = keeper.legs.contains_key(&leg);
                    if (ends && !known) || keeper.legs.get(&leg) == Some(&stamp) {
                        continue;
                    }
                    keeper.legs.insert(leg, stamp);
                    let stored = self.legs().stored(leg, clock);
                    changes.push(Stored::Leg(leg, stored.map(Box::new)));
                }
                None if keeper.legs.remove(&leg).is_some() => changes.push(Stored::Leg(leg, None)),
                None => {}
            }
        }
    }

    fn note_ringing(&mut self, keeper: &mut Keeper, clock: &WallClock, leg: LegHandle, changes: &mut Vec<Stored>) {
        let by_transfer = |owner| matches!(owner, LegOwner::Transfer(_));
        let stamp = self.legs().ringing_stamp(leg);
        // What a transfer calls is kept with the transfer.
        let stamp = stamp.filter(|_| {
            !self
                .legs()
                .get(leg)
                .is_some_and(|leg| by_transfer(leg.owner) && leg.we_called())
        });
        match stamp {
            Some(stamp) if keeper.ringing.get(&leg) == Some(&stamp) => {}
            Some(stamp) => {
                keeper.ringing.insert(leg, stamp);
                let stored = self.legs().ringing(leg, clock);
                changes.push(Stored::Ringing(leg, stored.map(Box::new)));
            }
            None if keeper.ringing.remove(&leg).is_some() => changes.push(Stored::Ringing(leg, None)),
            None => {}
        }
    }

    fn note_calls(&mut self, keeper: &mut Keeper, clock: &WallClock, changes: &mut Vec<Stored>) {
        for call in self.transfers.calls.take_touched() {
            match self.transfers.calls.stored_hub(call, clock) {
                Some(stored) if keeper.hubs.get(&call) == Some(&stored) => {}
                Some(stored) => {
                    keeper.hubs.insert(call, stored.clone());
                    changes.push(Stored::Hub(call, Some(Box::new(stored))));
                }
                None if keeper.hubs.remove(&call).is_some() => changes.push(Stored::Hub(call, None)),
                None => {}
            }
            match self.transfers.calls.stored(call) {
                Some(stored) if keeper.calls.get(&call) == Some(&stored) => {}
                Some(stored) => {
                    keeper.calls.insert(call, stored.clone());
                    changes.push(Stored::Call(call, Some(stored)));
                }
                None if keeper.calls.remove(&call).is_some() => changes.push(Stored::Call(call, None)),
                None => {}
            }
        }
    }

    fn note_transfers(&mut self, keeper: &mut Keeper, clock: &WallClock, changes: &mut Vec<Stored>) {
        for transfer in self.transfers.take_touched() {
            match self.transfers.stored(transfer, clock) {
                Some(stored) if keeper.transfers.get(&transfer) == Some(&stored) => {}
                Some(stored) => {
                    keeper.transfers.insert(transfer, stored.clone());
                    changes.push(Stored::Transfer(transfer, Some(Box::new(stored))));
                }
                None if keeper.transfers.remove(&transfer).is_some() => changes.push(Stored::Transfer(transfer, None)),
                None => {}
            }
        }
    }

    /// Takes everything back that a process before this one kept.
    pub(super) fn restored(&mut self, now: Instant, records: Vec<Stored>) {
        let mut back = Back::of(records);
        self.restored_users(now, std::mem::take(&mut back.users));
        let Some(mut keeper) = self.keeper.take() else { return };
        let clock = keeper.clock(now);
        back.note(&mut keeper);
        self.keeper = Some(keeper);
        self.restored_bans(&clock, &back.bans);
        let mut known: Vec<LegHandle> = back.legs.keys().chain(back.ringing.keys()).copied().collect();
        let mut unfinished = Vec::new();
        for (_, stored) in std::mem::take(&mut back.legs) {
            unfinished.extend(self.restored_leg(&clock, *stored));
        }
        known.extend(unfinished.iter().map(crate::leg::Unfinished::leg));
        self.restored_calls(&clock, &back);
        let mut again = Vec::new();
        for unfinished in unfinished {
            again.extend(self.legs().finish_restored(now, unfinished));
        }
        self.go_on(now, &back);
        for leg in known {
            let owner = self.legs().get(leg).map(|leg| leg.owner);
            if owner == Some(LegOwner::Nobody) {
                self.legs().give_up_restored(now, leg);
            }
            self.legs().touch(leg);
        }
        for call in back.calls.keys().chain(back.hubs.keys()) {
            self.transfers.calls.touch(*call);
        }
        for transfer in back.transfers.keys() {
            self.transfers.touch(*transfer);
        }
        self.settle(now);
        for (flow, request) in again {
            if !flow.transport.is_reliable() {
                self.received(now, flow, request);
            }
        }
        let ringing = std::mem::take(&mut back.ringing).into_values();
        self.resume_ringing(now, &clock, ringing.map(|stored| *stored).collect());
    }

    /// A source was banned just now.
    pub(super) fn note_ban(&mut self, now: Instant, source: IpAddr) {
        let Some(clock) = self.keeper.as_ref().map(|keeper| keeper.clock(now)) else {
            return;
        };
        if let Some(ban) = self.guard.stored(source, &clock) {
            let changes = vec![Stored::Ban(source, Some(ban))];
            self.outputs.push_back(Output::Store { changes });
        }
    }

    fn restored_bans(&mut self, clock: &WallClock, bans: &[(IpAddr, StoredBan)]) {
        let over = bans
            .iter()
            .filter(|(source, ban)| !self.guard.restore(clock, *source, ban));
        let changes: Vec<_> = over.map(|(source, _)| Stored::Ban(*source, None)).collect();
        if !changes.is_empty() {
            self.outputs.push_back(Output::Store { changes });
        }
    }

    /// Calls, hubs and transfers; their legs are back.
    fn restored_calls(&mut self, clock: &WallClock, back: &Back) {
        for (call, stored) in &back.calls {
            if !self.transfers.calls.restore(*call, stored) {
                tracing::warn!(%call, "a call of the process before this one cannot go on");
            }
        }
        for (call, stored) in &back.hubs {
            if !self.transfers.calls.restore_hub(clock, *call, stored) {
                tracing::warn!(%call, "a hub of the process before this one cannot go on");
            }
        }
        for (transfer, stored) in &back.transfers {
            self.transfers.take_back(clock, *transfer, stored);
        }
    }

    /// What was under way is finished or taken back, and those who talk are brought together.
    fn go_on(&mut self, now: Instant, back: &Back) {
        for transfer in back.transfers.keys() {
            self.transfers.resume(now, *transfer);
        }
        for (call, stored) in &back.hubs {
            self.transfers.calls.resume_hub(now, *call, stored);
        }
        for call in self.transfers.calls.handles() {
            if self.transfers.calls.is_whole(call) {
                self.transfers.calls.bring_together(now, call, None);
            }
        }
    }

    /// Legs, calls and transfers that have not ended.
    pub fn living(&self) -> (Vec<LegHandle>, Vec<CallHandle>, Vec<TransferHandle>) {
        let calls = &self.transfers.calls;
        (calls.legs.alive(), calls.handles(), self.transfers.handles())
    }

    fn restored_leg(&mut self, clock: &WallClock, mut stored: StoredLeg) -> Option<crate::leg::Unfinished> {
        self.adapt_flow(&mut stored.dialog.flow);
        let flow = stored.dialog.flow.flow()?;
        let aors: Vec<_> = self
            .registrar
            .by_flow(&flow)
            .into_iter()
            .map(|binding| binding.aor.clone())
            .collect();
        let Engine {
            settings, transfers, ..
        } = self;
        let password = |user: &str, realm: Option<&str>| settings.credentials_of(user, realm);
        let unfinished = transfers.calls.legs.restore(clock, stored, password)?;
        if flow.transport.is_reliable() {
            self.legs().restored_lost(clock.now, unfinished.leg(), aors);
        }
        Some(unfinished)
    }

    /// The process before this one may have listened elsewhere: what it had goes out where we listen now.
    pub(super) fn adapt_flow(&self, flow: &mut StoredFlow) {
        let ours = |listener: &super::Listener| listener.address == flow.local;
        if !self.settings.listeners.iter().any(ours)
            && let Some(known) = flow.flow()
        {
            flow.local = self.flow_to(known.transport, known.remote).local;
        }
    }

    /// A final answer to an INVITE of a process before this one, or of a transaction that has ended. Its dialog must not
    /// be left with a party that waits for an ACK (RFC 3261 §13.2.2.4): one that lives is acknowledged and its sides brought
    /// together; one that does not is acknowledged and ended.
    pub(super) fn stray(&mut self, now: Instant, flow: Flow, response: &Message) {
        match self.legs().find(response) {
            Match::Found(leg) => {
                let leg = LegHandle::from(leg);
                let owner = self.legs().get(leg).map(|leg| leg.owner);
                if matches!(response.status(), Some(200..=299))
                    && self.legs().stray_accepted(leg, response)
                    && let Some(LegOwner::Call(call)) = owner
                {
                    self.transfers.calls.bring_together(now, call, None);
                    self.transfers.calls.settle_stray(now, leg);
                }
            }
            Match::Gone(_) if matches!(response.status(), Some(200..=299)) => {
                self.legs().end_stray(now, flow, response);
            }
            Match::Gone(_) => self.legs().acknowledge_stray(flow, response),
            Match::NotOurs | Match::Forged | Match::OtherNode(_) | Match::Mismatch => {}
        }
    }
}
