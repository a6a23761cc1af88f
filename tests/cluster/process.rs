//! One process: its part in the cluster, an engine for each number that it serves, and what waits for the store.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use warmline::cluster::{Card, Held, Holder, Membership, Output as Order, Terms};
use warmline::engine::{Engine, Event, Input, Output, Settings, Stored};
use warmline::store::Row;
use warmline::transport::Flow;

use super::store::{Question, sorted};

/// When virtual time began, Unix time in seconds.
const STARTED: u64 = 1_800_000_000;

/// What a process wants done outside.
#[derive(Debug)]
pub(crate) enum Wish {
    Store(Question),
    Cluster(Order),
    Transmit(Flow, Bytes),
}

/// One number that is served.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) held: Held,
    pub(crate) home: bool,
    /// `None`: its records are not read yet.
    engine: Option<Engine>,
    /// Rows that the store does not have yet: the latest of each.
    pending: BTreeMap<(&'static str, String), Row>,
    writing: Vec<Row>,
    asked: bool,
    /// With durability `confirmed`: messages that wait until the store has what came before them.
    gated: VecDeque<(Flow, Bytes)>,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) membership: Membership,
    pub(crate) serving: BTreeMap<u16, Serving>,
    pub(crate) waiting: Vec<(Instant, Flow, Bytes, bool)>,
    pub(crate) settings: Settings,
    users: BTreeMap<String, Row>,
    writing_users: Vec<Row>,
    pub(crate) durable: bool,
    pub(crate) ended: BTreeMap<(u16, String), usize>,
}

impl Process {
    pub(crate) fn new(settings: Settings, terms: Terms, me: Card, now: Instant, durable: bool) -> Process {
        Process {
            membership: Membership::new(terms, me, now),
            serving: BTreeMap::new(),
            waiting: Vec::new(),
            settings,
            users: BTreeMap::new(),
            writing_users: Vec::new(),
            durable,
            ended: BTreeMap::new(),
        }
    }

    pub(crate) fn holder(&self) -> Holder {
        self.membership.me().holder
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let engines = self
            .serving
            .values()
            .filter_map(|serving| serving.engine.as_ref()?.poll_timeout());
        engines.chain(self.membership.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.membership.poll_timeout().is_some_and(|at| at <= now) {
            self.membership.handle_timeout(now);
        }
        for serving in self.serving.values_mut() {
            if let Some(engine) = &mut serving.engine
                && engine.poll_timeout().is_some_and(|at| at <= now)
            {
                engine.handle_timeout(now);
            }
        }
    }

    /// The number is ours: its engine begins when its records have been read.
    pub(crate) fn serve(&mut self, held: Held, home: bool) {
        let serving = Serving {
            held,
            home,
            engine: None,
            pending: BTreeMap::new(),
            writing: Vec::new(),
            asked: false,
            gated: VecDeque::new(),
        };
        self.serving.insert(held.node, serving);
    }

    /// The records of a number have been read.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        held: Held,
        listeners: &[SocketAddr],
        epoch: Instant,
        records: Vec<Stored>,
    ) {
        let Some(serving) = self.serving.get_mut(&held.node).filter(|serving| serving.held == held) else {
            return;
        };
        let mut settings = self.settings.clone();
        settings.node = held.node;
        settings.process.seed = held.token.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        settings.process.started = Some(STARTED + now.duration_since(epoch).as_secs());
        if let Some(first) = settings.listeners.first().copied() {
            settings.listeners = listeners
                .iter()
                .map(|address| warmline::engine::Listener {
                    address: *address,
                    advertised: *address,
                    ..first
                })
                .collect();
        }
        let mut engine = Engine::new(settings, now).keeping(now);
        engine.handle_input(now, Input::Restored { records });
        serving.engine = Some(engine);
    }

    /// The store came back empty: everything goes there again, under another token.
    pub(crate) fn reclaimed(&mut self, now: Instant, held: Held) {
        if let Some(serving) = self.serving.get_mut(&held.node) {
            serving.held = held;
            (serving.asked, serving.writing) = (false, Vec::new());
            serving.pending.clear();
            if let Some(engine) = &mut serving.engine {
                engine.handle_input(now, Input::StoreForgot);
            }
        }
    }

    pub(crate) fn home(&self) -> Option<u16> {
        self.membership.home().map(|held| held.node)
    }

    /// Whether an engine took it.
    pub(crate) fn received(&mut self, now: Instant, node: u16, flow: Flow, bytes: Bytes) -> bool {
        let engine = self.serving.get_mut(&node).and_then(|serving| serving.engine.as_mut());
        match engine {
            Some(engine) => {
                engine.handle_input(now, Input::Received { flow, bytes });
                true
            }
            None => false,
        }
    }

    /// The store has what was written, refused it, or failed.
    pub(crate) fn written(&mut self, held: Held, done: Option<bool>) {
        let Some(serving) = self.serving.get_mut(&held.node).filter(|serving| serving.held == held) else {
            return;
        };
        serving.asked = false;
        let rows = std::mem::take(&mut serving.writing);
        if done != Some(true) {
            for row in rows {
                serving.pending.entry((row.table, row.key.clone())).or_insert(row);
            }
        }
    }

    pub(crate) fn users_written(&mut self, done: Option<()>) {
        let rows = std::mem::take(&mut self.writing_users);
        if done.is_none() {
            for row in rows {
                self.users.entry(row.key.clone()).or_insert(row);
            }
        }
    }

    /// Numbers that have nothing left and that are not the home.
    pub(crate) fn emptied(&self) -> Vec<u16> {
        let nothing = |serving: &&Serving| {
            let totals = serving.engine.as_ref().map(Engine::totals);
            let idle = totals.is_some_and(|totals| (totals.dialogs, totals.calls, totals.transfers) == (0, 0, 0));
            idle && !serving.home && serving.pending.is_empty() && !serving.asked
        };
        self.serving
            .values()
            .filter(nothing)
            .map(|serving| serving.held.node)
            .collect()
    }

    pub(crate) fn dialogs(&self) -> usize {
        let engines = self.serving.values().filter_map(|serving| serving.engine.as_ref());
        engines.map(|engine| engine.totals().dialogs).sum()
    }

    /// Everything that this process wants done now.
    pub(crate) fn wishes(&mut self, can_write: bool) -> Vec<Wish> {
        let mut wishes = Vec::new();
        while let Some(order) = self.membership.poll_output() {
            wishes.push(Wish::Cluster(order));
        }
        for serving in self.serving.values_mut() {
            let node = serving.held.node;
            while let Some(output) = serving.engine.as_mut().and_then(Engine::poll_output) {
                match output {
                    Output::Transmit { flow, bytes } => serving.gated.push_back((flow, bytes)),
                    Output::Store { changes } => {
                        let (rows, users) = sorted(&changes);
                        // The messages before it need not wait for it.
                        if self.durable && serving.pending.is_empty() && serving.writing.is_empty() {
                            wishes.extend(serving.gated.drain(..).map(|(flow, bytes)| Wish::Transmit(flow, bytes)));
                        }
                        serving
                            .pending
                            .extend(rows.into_iter().map(|row| ((row.table, row.key.clone()), row)));
                        self.users.extend(users.into_iter().map(|row| (row.key.clone(), row)));
                    }
                    Output::Event(
                        Event::TransferCompleted { transfer, .. } | Event::TransferFailed { transfer, .. },
                    ) => {
                        *self.ended.entry((node, transfer.to_string())).or_default() += 1;
                    }
                    Output::Event(_) | Output::Media(_) | Output::Reply { .. } | Output::Resolve { .. } => {}
                }
            }
            if can_write && !serving.asked && !serving.pending.is_empty() {
                serving.asked = true;
                serving.writing = std::mem::take(&mut serving.pending).into_values().collect();
                let (held, rows) = (serving.held, serving.writing.clone());
                wishes.push(Wish::Store(Question::Write { held, rows }));
            }
            if !self.durable || (serving.pending.is_empty() && serving.writing.is_empty()) {
                wishes.extend(serving.gated.drain(..).map(|(flow, bytes)| Wish::Transmit(flow, bytes)));
            }
        }
        if can_write && self.writing_users.is_empty() && !self.users.is_empty() {
            self.writing_users = std::mem::take(&mut self.users).into_values().collect();
            wishes.push(Wish::Store(Question::Users(self.writing_users.clone())));
        }
        wishes
    }

    /// How many rows wait for the store.
    pub(crate) fn queued(&self) -> usize {
        self.serving
            .values()
            .map(|serving| serving.pending.len() + serving.writing.len())
            .sum()
    }
}
