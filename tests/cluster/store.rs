//! The shared store in memory: claims with compare-and-set, records behind a fencing token, and every fault by order.

use std::collections::{BTreeMap, BTreeSet};

use warmline::cluster::{Claim, Held, Holder, Seen, StoreAnswer, StoreOrder};
use warmline::store::{Memory, Row, Store, Stored, rows};

/// What a store is asked, by the part of a process that decides and by the part that keeps.
#[derive(Debug)]
pub(crate) enum Question {
    Order(warmline::cluster::OrderId, StoreOrder),
    /// Keep these of that node, all or none.
    Write {
        held: Held,
        rows: Vec<Row>,
    },
    /// Bindings: the cluster's, not a node's.
    Users(Vec<Row>),
    /// Everything of that node, and all bindings.
    Read(Held),
}

/// What it answers; `None`: it failed.
#[derive(Debug)]
pub(crate) enum Answer {
    Order(warmline::cluster::OrderId, Option<StoreAnswer>),
    /// With the token that stands there: kept only if it is the one that was shown.
    Written(Held, Option<Option<u64>>),
    Users(Option<()>),
    Records(Held, Option<Vec<Stored>>),
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    /// Nobody listens: every question fails at once.
    Gone,
    /// It shows and does not change (a replica, or a disk that is full).
    ReadOnly,
}

/// What it was asked for, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) renewals: u64,
    /// Numbers given another beat.
    pub(crate) beats: u64,
    /// Rows shown to renewals.
    pub(crate) watched: u64,
    pub(crate) looks: u64,
    /// Rows shown to looks.
    pub(crate) looked: u64,
    pub(crate) claims: u64,
    pub(crate) lost_claims: u64,
    pub(crate) writes: u64,
    pub(crate) rows: u64,
    pub(crate) octets: u64,
    pub(crate) fenced: u64,
}

impl Load {
    /// Round trips for membership.
    pub(crate) fn membership(&self) -> u64 {
        self.renewals + self.looks + self.claims
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    claims: BTreeMap<u16, Seen>,
    token: u64,
    nodes: BTreeMap<u16, Memory>,
    users: Memory,
    pub(crate) health: Health,
    pub(crate) load: Load,
    /// Who got which token: never two.
    given: BTreeMap<u64, (u16, Holder)>,
    /// The token of the last write of each node that was let through.
    written: BTreeMap<u16, u64>,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        Shared {
            claims: BTreeMap::new(),
            token: 0,
            nodes: BTreeMap::new(),
            users: Memory::default(),
            health: Health::Well,
            load: Load::default(),
            given: BTreeMap::new(),
            written: BTreeMap::new(),
        }
    }

    pub(crate) fn ask(&mut self, question: Question) -> Answer {
        let (well, gone) = (self.health == Health::Well, self.health == Health::Gone);
        match question {
            Question::Order(id, order) => {
                let changes = !matches!(order, StoreOrder::Look);
                let answer = (!gone && (well || !changes)).then(|| self.perform(order));
                Answer::Order(id, answer)
            }
            Question::Write { held, rows } => Answer::Written(held, well.then(|| self.write(held, &rows))),
            Question::Users(rows) => Answer::Users(well.then(|| self.keep_users(&rows))),
            Question::Read(held) => Answer::Records(held, (!gone).then(|| self.read(held.node))),
        }
    }

    fn perform(&mut self, order: StoreOrder) -> StoreAnswer {
        match order {
            StoreOrder::Renew { held, watch } => {
                self.load.renewals += 1;
                let mut refused = Vec::new();
                for held in held {
                    match self.claims.get_mut(&held.node) {
                        Some(seen) if seen.claim.token == held.token => {
                            self.load.beats += 1;
                            seen.beat += 1;
                        }
                        other => refused.push((held, other.map(|seen| seen.claim.clone()))),
                    }
                }
                let seen: Vec<Seen> = watch.iter().filter_map(|node| self.claims.get(node).cloned()).collect();
                self.load.watched += seen.len() as u64;
                StoreAnswer::Renewed { refused, seen }
            }
            StoreOrder::Look => {
                self.load.looks += 1;
                self.load.looked += self.claims.len() as u64;
                StoreAnswer::Looked(self.claims.values().cloned().collect())
            }
            StoreOrder::Claim {
                node,
                expected,
                card,
                listeners,
                above,
            } => {
                self.load.claims += 1;
                let by = self.claims.get(&node).map(|seen| seen.claim.clone());
                if by.as_ref().map(|claim| claim.token) != expected {
                    self.load.lost_claims += 1;
                    return StoreAnswer::Lost { node, by };
                }
                self.token = self.token.max(above) + 1;
                let token = self.token;
                self.given.insert(token, (node, card.holder));
                let claim = Claim {
                    node,
                    token,
                    card: Some(card),
                    listeners,
                };
                self.claims.insert(node, Seen { claim, beat: 0 });
                StoreAnswer::Won(Held { node, token })
            }
            StoreOrder::Release { held, empty } => {
                if self
                    .claims
                    .get(&held.node)
                    .is_some_and(|seen| seen.claim.token == held.token)
                {
                    if empty {
                        assert_eq!(self.kept(held.node), 0, "records were left under {held:?}");
                        self.claims.remove(&held.node);
                    } else if let Some(seen) = self.claims.get_mut(&held.node) {
                        seen.claim.card = None;
                    }
                }
                StoreAnswer::Released
            }
        }
    }

    fn write(&mut self, held: Held, rows: &[Row]) -> Option<u64> {
        self.load.writes += 1;
        let stands = self.claims.get(&held.node).map(|seen| seen.claim.token);
        if stands != Some(held.token) {
            self.load.fenced += 1;
            return stands;
        }
        // At most one holder per token, and tokens of a node only grow.
        assert_eq!(self.given.get(&held.token).map(|(node, _)| *node), Some(held.node));
        let last = self.written.insert(held.node, held.token);
        assert!(last <= Some(held.token), "{held:?} writes after {last:?}");
        self.count(rows);
        let memory = self.nodes.entry(held.node).or_default();
        memory.keep(rows).expect("memory is always there");
        stands
    }

    fn keep_users(&mut self, rows: &[Row]) {
        self.load.writes += 1;
        self.count(rows);
        self.users.keep(rows).expect("memory is always there");
    }

    fn count(&mut self, rows: &[Row]) {
        self.load.rows += rows.len() as u64;
        let octets = |row: &Row| row.key.len() + row.value.as_ref().map_or(0, Vec::len);
        self.load.octets += rows.iter().map(|row| octets(row) as u64).sum::<u64>();
    }

    fn read(&mut self, node: u16) -> Vec<Stored> {
        let mut records = self.users.records().expect("memory is always there");
        records.extend(self.records(node));
        records
    }

    fn records(&self, node: u16) -> Vec<Stored> {
        let memory = self.nodes.get(&node).cloned();
        memory.map_or_else(Vec::new, |mut memory| memory.records().expect("memory is always there"))
    }

    /// It comes back empty.
    pub(crate) fn forget_everything(&mut self) {
        self.claims.clear();
        self.nodes.clear();
        self.users = Memory::default();
        self.token = 0;
    }

    /// Records that stand under a node.
    pub(crate) fn kept(&self, node: u16) -> usize {
        self.records(node).len()
    }

    /// Records that stand under all nodes.
    pub(crate) fn kept_at_all(&self) -> usize {
        self.nodes.keys().map(|node| self.kept(*node)).sum()
    }

    /// Octets that stand under all nodes.
    pub(crate) fn octets_at_all(&self) -> usize {
        let octets = |row: &Row| row.key.len() + row.value.as_ref().map_or(0, Vec::len);
        let records = self.nodes.keys().map(|node| self.records(*node));
        records
            .map(|records| rows(&records).iter().map(octets).sum::<usize>())
            .sum()
    }

    /// Who serves what.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().map(|seen| &seen.claim)
    }

    /// Each number's holder.
    pub(crate) fn holders(&self) -> BTreeSet<(u16, Option<Holder>)> {
        self.claims()
            .map(|claim| (claim.node, claim.card.map(|card| card.holder)))
            .collect()
    }
}

/// What is to be kept, told apart: a node's and the cluster's.
pub(crate) fn sorted(changes: &[Stored]) -> (Vec<Row>, Vec<Row>) {
    rows(changes)
        .into_iter()
        .partition(|row| !["bindings", "bans", "notes"].contains(&row.table))
}
