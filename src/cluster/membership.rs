//! A process's part in the cluster, as a state machine without a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::peers::{Act, Peers, State};
use super::words::{Alarm, Card, Claim, Held, Input, OrderId, Output, Seen, StoreAnswer, StoreOrder, Terms};

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

    fn answered(&mut self, now: Instant, id: OrderId, answer: StoreAnswer) {
        let asked = self.asked.remove(&id);
        let sent = asked.as_ref().map(|asked| asked.sent);
        // A store that only shows (read-only, full) is as bad as none: nobody can renew.
        if let (Some(sent), StoreAnswer::Renewed { .. }) = (sent, &answer) {
            self.in_contact(now, sent);
        }
        match (answer, sent) {
            (StoreAnswer::Renewed { refused, seen }, Some(sent)) => {
                if let Some(Asked {
                    order: StoreOrder::Renew { watch, .. },
                    ..
                }) = asked
                {
                    self.peers.vanished(sent, &watch, &seen);
                }
                for (held, by) in refused {
                    self.refused(now, held, by.as_ref().map(|claim| claim.token));
                    by.map(|claim| self.learn(now, claim));
                }
                self.seen(now, sent, seen);
            }
            (StoreAnswer::Looked(seen), Some(sent)) => {
                let shown = seen.iter().map(|seen| seen.claim.node).collect();
                self.peers.keep_only(sent, &shown);
                self.seen(now, sent, seen);
                self.find_home(now);
            }
            // What was observed that long ago says nothing.
            (StoreAnswer::Renewed { .. } | StoreAnswer::Looked(_), None) => {}
            (StoreAnswer::Won(held), _) => self.won(now, held),
            (StoreAnswer::Lost { node, by }, _) => self.lost(now, node, by),
            (StoreAnswer::Released, _) => {}
        }
    }

    fn lost(&mut self, now: Instant, node: u16, by: Option<Claim>) {
        if let Some(claim) = by.as_ref().filter(|claim| self.is_mine(claim)) {
            // An earlier claim, whose answer never came.
            let token = claim.token;
            self.won(now, Held { node, token });
            return;
        }
        self.unsure.remove(&node);
        self.peers.forget(node);
        if let Some(own) = self.held.get(&node).map(|own| own.held(node)) {
            // Somebody came first at a store that had begun anew.
            self.fenced(own);
        }
        by.map(|claim| self.learn(now, claim));
        if self.home == Home::Claiming(node) {
            self.home = Home::Unknown;
            self.find_home(now);
        }
    }

    fn is_mine(&self, claim: &Claim) -> bool {
        claim.card.as_ref().is_some_and(|card| card.holder == self.me.holder)
    }

    /// When the store is believed to be gone, if it says nothing until then.
    fn lost_at(&self) -> Option<Instant> {
        match self.contact {
            Contact::Answers => Some(self.heard + self.terms.lease),
            Contact::Slow { .. } => Some(self.heard + self.terms.lease * GIVE_UP),
            Contact::Unreachable { .. } => None,
        }
    }

    fn in_contact(&mut self, now: Instant, sent: Instant) {
        self.heard = now;
        let trip = now.saturating_duration_since(sent);
        self.peers.answered_after(trip);
        if std::mem::take(&mut self.blind) {
            self.peers.begin_anew(now);
            self.look = now;
        }
        // Not the same measure for both, so that a store between them does not raise an alarm with every answer.
        let (slow, fast) = (trip * 2 >= self.terms.lease, trip * 4 < self.terms.lease);
        match self.contact {
            Contact::Answers if !slow => {}
            Contact::Slow { .. } if !fast => {}
            Contact::Answers => {
                self.contact = Contact::Slow { since: sent };
                self.outputs.push_back(Output::Alarm(Alarm::StoreSlow { trip }));
            }
            Contact::Unreachable { since } if !fast => {
                self.contact = Contact::Slow { since };
                self.outputs.push_back(Output::Alarm(Alarm::StoreSlow { trip }));
            }
            Contact::Slow { since } | Contact::Unreachable { since } => {
                self.contact = Contact::Answers;
                let after = now.saturating_duration_since(since);
                self.outputs.push_back(Output::Alarm(Alarm::StoreBack { after }));
            }
        }
    }

    fn failed(&mut self, now: Instant, id: OrderId) {
        let Some(asked) = self.asked.remove(&id) else { return };
        self.blind = true;
        match asked.order {
            StoreOrder::Claim { node, .. } => {
                self.unsure.insert(node);
                self.peers.claim_failed(now, node);
                if self.home == Home::Claiming(node) {
                    self.home = Home::Unknown;
                }
                self.look = self.look.min(now + self.terms.lease / 4);
            }
            StoreOrder::Look => self.look = now + self.terms.lease / 4,
            StoreOrder::Renew { .. } => {}
            // Its lease runs out.
            StoreOrder::Release { .. } => {}
        }
    }

    fn seen(&mut self, now: Instant, sent: Instant, seen: Vec<Seen>) {
        for seen in seen {
            let claim = &seen.claim;
            self.highest = self.highest.max(claim.token);
            let ours = self.is_mine(claim);
            let held = Held {
                node: claim.node,
                token: claim.token,
            };
            if ours && self.unsure.contains(&claim.node) {
                self.won(now, held);
            } else if !ours && self.held.get(&claim.node).is_some_and(|own| own.token < claim.token) {
                self.told(now, seen.claim);
            } else if !ours && !self.held.contains_key(&claim.node) {
                let act = self.peers.see(sent, now, seen);
                self.act(now, act);
            }
        }
    }

    fn learn(&mut self, now: Instant, claim: Claim) {
        self.highest = self.highest.max(claim.token);
        self.peers.told(now, claim);
    }

    fn told(&mut self, now: Instant, claim: Claim) {
        if self.is_mine(&claim) {
            return;
        }
        match self.held.get(&claim.node).map(|own| own.token) {
            Some(ours) if ours > claim.token => {
                let answer = self.claim_of(claim.node).map(Output::Tell);
                self.outputs.extend(answer);
            }
            Some(ours) => {
                self.fenced(Held {
                    node: claim.node,
                    token: ours,
                });
                self.learn(now, claim);
            }
            None => {
                self.learn(now, claim);
            }
        }
    }

    /// The store does not know that claim: somebody else has the number, or nobody, because the store came back empty.
    fn refused(&mut self, now: Instant, held: Held, stands: Option<u64>) {
        match stands {
            // Perhaps it is our own new token: the answer to the claim says.
            Some(_) if self.is_claiming(held.node) => {}
            Some(_) => self.fenced(held),
            None if self.held.get(&held.node).map(|own| own.token) == Some(held.token) => {
                if !self.is_claiming(held.node) {
                    self.outputs.push_back(Output::Alarm(Alarm::StoreForgot(held)));
                    self.claim(now, held.node, None);
                }
            }
            None => {}
        }
    }

    fn is_claiming(&self, wanted: u16) -> bool {
        let claims = |asked: &Asked| matches!(asked.order, StoreOrder::Claim { node, .. } if node == wanted);
        self.asked.values().any(claims)
    }

    /// Somebody else serves it.
    fn fenced(&mut self, held: Held) {
        if self.held.get(&held.node).map(|own| own.token) != Some(held.token) {
            return;
        }
        self.held.remove(&held.node);
        self.outputs.push_back(Output::Fenced(held));
        if self.home == Home::Here(held.node) {
            self.home = if self.leaving { Home::Given } else { Home::Unknown };
            self.look = self.tick.min(self.look);
        }
    }

    fn won(&mut self, now: Instant, held: Held) {
        self.unsure.remove(&held.node);
        self.highest = self.highest.max(held.token);
        if let Some(own) = self.held.get_mut(&held.node) {
            if own.token < held.token {
                own.token = held.token;
                self.outputs.push_back(Output::Reclaimed(held));
                self.outputs.extend(self.claim_of(held.node).map(Output::Tell));
            }
            return;
        }
        let from = self.peers.forget(held.node);
        let (token, listeners) = (held.token, self.listeners_with(from.as_ref()));
        self.held.insert(held.node, Own { token, listeners });
        if self.leaving {
            self.release(now, held.node, false);
            return;
        }
        let home = match self.home {
            Home::Claiming(node) => node == held.node,
            Home::Unknown => self.terms.pool.contains(&held.node) && from.is_none(),
            Home::Here(_) | Home::Given => false,
        };
        if home {
            self.home = Home::Here(held.node);
            self.exhausted = false;
        }
        self.outputs.push_back(Output::Serve { held, home, from });
        self.outputs.extend(self.claim_of(held.node).map(Output::Tell));
    }

    fn release(&mut self, now: Instant, node: u16, empty: bool) {
        let Some(own) = self.held.remove(&node) else { return };
        let held = own.held(node);
        if self.home == Home::Here(node) {
            self.home = if self.leaving { Home::Given } else { Home::Unknown };
        }
        self.ask(now, StoreOrder::Release { held, empty });
        self.outputs.push_back(Output::Released(held));
    }

    /// Chooses the home number, once it is known which ones there are.
    fn find_home(&mut self, now: Instant) {
        if self.home != Home::Unknown || self.leaving {
            return;
        }
        match self.candidate() {
            Some((node, expected)) => {
                self.home = Home::Claiming(node);
                self.claim(now, node, expected);
            }
            None if self.exhausted => {}
            None => {
                self.exhausted = true;
                self.outputs.push_back(Output::Alarm(Alarm::PoolExhausted));
            }
        }
    }

    /// The number that was wished for if nobody has it, else a free one: from a place of the pool that is this process's
    /// own, so that many that begin at once do not all ask for the same.
    fn candidate(&self) -> Option<(u16, Option<u64>)> {
        if let Some(wanted) = self.terms.wanted.filter(|wanted| !self.held.contains_key(wanted)) {
            match self.peers.get(wanted).map(|peer| &peer.claim) {
                None => return Some((wanted, None)),
                Some(Claim { token, card: None, .. }) => return Some((wanted, Some(*token))),
                Some(Claim { card: Some(_), .. }) => {}
            }
        }
        let (first, last) = (u64::from(*self.terms.pool.start()), u64::from(*self.terms.pool.end()));
        let size = last.checked_sub(first)? + 1;
        let begin = self.me.holder.0 % size;
        let numbers = (0..size).filter_map(|n| u16::try_from(first + (begin + n) % size).ok());
        let mut free = numbers.filter(|node| self.peers.get(*node).is_none() && !self.held.contains_key(node));
        free.next().map(|node| (node, None))
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

    fn claim(&mut self, now: Instant, node: u16, expected: Option<u64>) {
        let order = StoreOrder::Claim {
            node,
            expected,
            card: self.me,
            listeners: match self.held.get(&node) {
                Some(own) => own.listeners.clone(),
                None => self.listeners_with(self.peers.get(node).map(|peer| &peer.claim)),
            },
            above: self.highest,
        };
        self.ask(now, order);
    }

    /// Our addresses, and behind them those of who served a number before.
    fn listeners_with(&self, from: Option<&Claim>) -> Vec<SocketAddr> {
        let mut listeners = self.terms.listeners.clone();
        for inherited in from.iter().flat_map(|claim| &claim.listeners) {
            if !listeners.contains(inherited) && listeners.len() < MOST_LISTENERS {
                listeners.push(*inherited);
            }
        }
        listeners
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
