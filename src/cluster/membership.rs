//! A process's part in the cluster, as a state machine without a clock.

mod answers;
mod numbers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::peers::{Act, Peers, State};
use super::words::{Alarm, Card, Claim, Held, Input, OrderId, Output, StoreOrder, Terms};

/// Looks at everything are this many leases apart, in a cluster of up to a hundred nodes.
const LOOK_EVERY: u32 = 5;

/// A question is given up after so many leases. Its answer counts all the same if it comes.
const GIVE_UP: u32 = 2;

/// Addresses that a number carries along at the most, however often it is taken over.
const MOST_LISTENERS: usize = 16;

/// Where a node's messages belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To the engine of that number in this process.
    Here,
    /// To the process behind this link address.
    Peer(SocketAddr),
    /// To nobody at this moment: who had it does not answer. To be kept, and asked again after each input.
    Nowhere,
    /// Nobody is known to have had it.
    Unknown,
}

/// The number under which new calls begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// None; chosen when a look at everything has been answered.
    Unknown,
    /// The store was asked for it.
    Claiming(u16),
    /// This one.
    Here(u16),
    /// None any more: the process leaves.
    Given,
}

#[derive(Clone, Debug)]
struct Asked {
    order: StoreOrder,
    sent: Instant,
}

/// A number that this process serves.
#[derive(Clone, Debug)]
struct Own {
    token: u64,
    listeners: Vec<SocketAddr>,
}

/// How the store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    Answers,
    Slow { since: Instant },
    Unreachable { since: Instant },
}

/// A process's part in the cluster: which numbers it serves, and whom it watches.
#[derive(Debug)]
pub struct Membership {
    terms: Terms,
    me: Card,
    home: Home,
    held: BTreeMap<u16, Own>,
    peers: Peers,
    asked: BTreeMap<OrderId, Asked>,
    orders: u64,
    /// When the next renewal goes out.
    tick: Instant,
    /// When everything is looked at again.
    look: Instant,
    /// When the last answer came.
    heard: Instant,
    contact: Contact,
    /// A question failed since: what was observed of the others says nothing.
    blind: bool,
    /// Numbers whose claim may have been granted without our knowing.
    unsure: BTreeSet<u16>,
    exhausted: bool,
    /// The highest token that was ever seen.
    highest: u64,
    leaving: bool,
    outputs: VecDeque<Output>,
}

impl Own {
    fn held(&self, node: u16) -> Held {
        Held {
            node,
            token: self.token,
        }
    }
}

impl Membership {
    /// A process that begins at `now`, knows nobody and serves nothing. Its first question is due at once.
    pub fn new(terms: Terms, me: Card, now: Instant) -> Membership {
        Membership {
            peers: Peers::new(me, terms.lease),
            terms,
            me,
            home: Home::Unknown,
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
            orders: 0,
            tick: now,
            look: now,
            heard: now,
            contact: Contact::Answers,
            blind: false,
            unsure: BTreeSet::new(),
            exhausted: false,
            highest: 0,
            leaving: false,
            outputs: VecDeque::new(),
        }
    }

    /// How this process is reached.
    pub fn me(&self) -> &Card {
        &self.me
    }

    /// Whether SIP to this address is this process's, by itself or because it took a number over.
    pub fn has_listener(&self, address: SocketAddr) -> bool {
        self.terms.listeners.contains(&address) || self.held.values().any(|own| own.listeners.contains(&address))
    }

    /// The number under which new calls begin.
    pub fn home(&self) -> Option<Held> {
        match self.home {
            Home::Here(node) => self.held.get(&node).map(|own| own.held(node)),
            Home::Unknown | Home::Claiming(_) | Home::Given => None,
        }
    }

    /// Everything that this process serves, adopted numbers too.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.held.iter().map(|(node, own)| own.held(*node))
    }

    /// The claims of others that are known.
    pub fn others(&self) -> impl Iterator<Item = &Claim> {
        self.peers.claims()
    }

    /// The claim of the process that takes SIP at this address itself, if that is another one.
    pub fn at(&self, address: SocketAddr) -> Option<&Claim> {
        self.peers.at(address)
    }

    /// What this process says of a number that it serves, to a peer that asks or is mistaken.
    pub fn claim_of(&self, node: u16) -> Option<Claim> {
        match self.held.get(&node) {
            Some(own) => Some(Claim {
                node,
                token: own.token,
                card: Some(self.me),
                listeners: own.listeners.clone(),
            }),
            None => self.peers.get(node).map(|peer| peer.claim.clone()),
        }
    }

    /// Whether the store answers, soon or late.
    pub fn store_answers(&self) -> bool {
        match self.contact {
            Contact::Answers | Contact::Slow { .. } => true,
            Contact::Unreachable { .. } => false,
        }
    }

    /// Where the messages of this number belong now.
    pub fn place_of(&self, node: u16) -> Place {
        if self.held.contains_key(&node) {
            return Place::Here;
        }
        let Some(peer) = self.peers.get(node) else {
            return match self.home {
                Home::Claiming(claimed) if claimed == node => Place::Nowhere,
                Home::Unknown | Home::Claiming(_) | Home::Here(_) | Home::Given => Place::Unknown,
            };
        };
        match (peer.state, &peer.claim.card) {
            (State::Alive, Some(card)) => Place::Peer(card.link),
            (State::Alive | State::Pinged { .. } | State::Silent | State::Due { .. } | State::Claiming, _) => {
                Place::Nowhere
            }
        }
    }

    /// Takes one input. What follows from it is in [`Membership::poll_output`].
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Answered { id, answer } => self.answered(now, id, answer),
            Input::Failed { id } => self.failed(now, id),
            Input::PeerPinged(held) => self.peers.pinged(now, held),
            Input::PeerSilent { node } => {
                let act = self.peers.silent(now, node);
                self.act(now, act);
            }
            Input::LinkLost { link } => {
                let acts = self.peers.link_lost(now, link);
                self.act(now, acts);
            }
            Input::Told(claim) => self.told(now, claim),
            Input::WriteRefused { held, stands } => {
                self.refused(now, held, stands);
                self.look = now;
            }
            Input::Missed { node } => {
                if self.place_of(node) == Place::Unknown {
                    self.look = self.look.min(self.heard + self.terms.lease / 4).max(now);
                }
            }
            Input::Emptied { node } => {
                if self.leaving || self.home != Home::Here(node) {
                    self.release(now, node, true);
                }
            }
            Input::CannotServe { node } => self.release(now, node, false),
            Input::Leaving => self.leaving = true,
            Input::Ending => {
                self.leaving = true;
                for node in self.held.keys().copied().collect::<Vec<_>>() {
                    self.release(now, node, false);
                }
            }
        }
        self.settle(now);
    }

    /// Does what is due at `now`; earlier calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        let given_up: Vec<OrderId> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.sent + self.terms.lease * GIVE_UP <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in given_up {
            self.failed(now, id);
        }
        if self.lost_at().is_some_and(|at| at <= now) {
            self.contact = Contact::Unreachable { since: self.heard };
            self.blind = true;
            self.outputs.push_back(Output::Alarm(Alarm::StoreUnreachable));
        }
        let acts = self.peers.due(now);
        self.act(now, acts);
        self.settle(now);
    }

    /// When [`Membership::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let given_up = self.asked.values().map(|asked| asked.sent + self.terms.lease * GIVE_UP);
        let tick = (!self.is_asking(renews)).then_some(self.tick);
        let look = (!self.is_asking(looks)).then_some(self.look);
        given_up
            .chain(self.lost_at())
            .chain(tick)
            .chain(look)
            .chain(self.peers.next())
            .min()
    }

    /// The next thing to do outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn is_mine(&self, claim: &Claim) -> bool {
        claim.card.as_ref().is_some_and(|card| card.holder == self.me.holder)
    }

    fn act(&mut self, now: Instant, acts: impl IntoIterator<Item = Act>) {
        for act in acts {
            match act {
                Act::Ping { held, link } => self.outputs.push_back(Output::Ping { held, link }),
                Act::Claim { node, .. } if self.leaving || !self.store_answers() => {
                    self.peers.claim_failed(now, node);
                }
                Act::Claim { node, expected } => self.claim(now, node, Some(expected)),
            }
        }
    }

    /// Asks what is to be asked now.
    fn settle(&mut self, now: Instant) {
        if self.tick <= now && !self.is_asking(renews) {
            let held: Vec<Held> = self.held().collect();
            let watch = self.peers.watched();
            self.tick = now + self.terms.lease / 4;
            self.ask(now, StoreOrder::Renew { held, watch });
        }
        if self.look <= now && !self.is_asking(looks) {
            self.look = now + self.look_every();
            self.ask(now, StoreOrder::Look);
        }
    }

    /// A look at everything costs as much as there are nodes: the more there are, the rarer.
    fn look_every(&self) -> Duration {
        let homeless = self.home == Home::Unknown;
        let hundreds = u32::try_from(self.peers.len() / 100).unwrap_or(u32::MAX).max(1);
        match homeless {
            true => self.terms.lease / 4,
            false => self.terms.lease * LOOK_EVERY * hundreds,
        }
    }

    fn is_asking(&self, kind: fn(&StoreOrder) -> bool) -> bool {
        self.asked.values().any(|asked| kind(&asked.order))
    }

    fn ask(&mut self, now: Instant, order: StoreOrder) {
        self.orders += 1;
        let id = OrderId(self.orders);
        let asked = Asked {
            order: order.clone(),
            sent: now,
        };
        self.asked.insert(id, asked);
        self.outputs.push_back(Output::Store { id, order });
    }
}

fn renews(order: &StoreOrder) -> bool {
    matches!(order, StoreOrder::Renew { .. })
}

fn looks(order: &StoreOrder) -> bool {
    matches!(order, StoreOrder::Look)
}
