//! What is known of the others' numbers, and how a death is seen.
//!
//! A number's beat stands still: that alone is evidence, and only as long as the store answered all the while. The time
//! that counts runs from the answer that first showed this beat to the *sending* of the last question whose answer still
//! shows it; so a slow store makes nobody look dead, and a store that was away makes every observation begin anew.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher24;

use super::words::{Card, Claim, Held, Holder, Seen};

/// How many survivors look at a number in every quarter of a lease. Three die together rarely, and then the look at
/// everything finds what they watched.
pub const WATCHERS: usize = 3;

/// How far it is with a number that others serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its beat changes, or it answered a ping.
    Alive,
    /// Its beat stands still for half a lease: asked over the link, until then.
    Pinged { until: Instant },
    /// It did not answer.
    Silent,
    /// Its lease ran out as well: claimed at that moment, if nobody else did before.
    Due { at: Instant },
    /// The store is asked to put us in its place.
    Claiming,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) claim: Claim,
    beat: u64,
    /// When this beat was first shown to us.
    since: Instant,
    /// When the last question was sent whose answer still showed it.
    seen: Instant,
    pub(super) state: State,
}

/// What is to be done about a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Ping { held: Held, link: SocketAddr },
    Claim { node: u16, expected: u64 },
}

#[derive(Debug)]
pub(super) struct Peers {
    me: Card,
    lease: Duration,
    known: BTreeMap<u16, Peer>,
    /// Whose own address each is.
    addresses: BTreeMap<SocketAddr, u16>,
    /// Those that are not [`State::Alive`]: all that a tick has to look at.
    suspects: BTreeSet<u16>,
    /// The longest of the last round trips; renewals of the others take as long.
    trip: Duration,
    watch: Vec<u16>,
    stale_watch: bool,
}

impl Peers {
    pub(super) fn new(me: Card, lease: Duration) -> Peers {
        Peers {
            me,
            lease,
            known: BTreeMap::new(),
            addresses: BTreeMap::new(),
            suspects: BTreeSet::new(),
            trip: Duration::ZERO,
            watch: Vec::new(),
            stale_watch: true,
        }
    }

    pub(super) fn get(&self, node: u16) -> Option<&Peer> {
        self.known.get(&node)
    }

    /// The claim whose holder takes SIP at this address itself.
    pub(super) fn at(&self, address: SocketAddr) -> Option<&Claim> {
        let node = self.addresses.get(&address)?;
        self.known.get(node).map(|peer| &peer.claim)
    }

    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.known.values().map(|peer| &peer.claim)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Nobody serves it any more, or we do.
    pub(super) fn forget(&mut self, node: u16) -> Option<Claim> {
        self.suspects.remove(&node);
        self.stale_watch = true;
        let claim = self.known.remove(&node)?.claim;
        if let Some(own) = claim.listeners.first()
            && self.addresses.get(own) == Some(&node)
        {
            self.addresses.remove(own);
        }
        Some(claim)
    }

    /// A look at everything, asked for at `sent`, showed these numbers and no other.
    pub(super) fn keep_only(&mut self, sent: Instant, shown: &BTreeSet<u16>) {
        let nodes: Vec<u16> = self
            .known
            .keys()
            .filter(|node| !shown.contains(node))
            .copied()
            .collect();
        self.forget_before(sent, nodes);
    }

    /// Of these the question that was sent at `sent` wanted to know, and those were there.
    pub(super) fn vanished(&mut self, sent: Instant, asked: &[u16], shown: &[Seen]) {
        let is_shown = |node: &u16| shown.iter().any(|seen| seen.claim.node == *node);
        self.forget_before(sent, asked.iter().copied().filter(|node| !is_shown(node)).collect());
    }

    fn forget_before(&mut self, sent: Instant, nodes: Vec<u16>) {
        for node in nodes {
            if self
                .known
                .get(&node)
                .is_some_and(|peer| peer.since <= sent && peer.state != State::Claiming)
            {
                self.forget(node);
            }
        }
    }

    /// The store showed this, to a question that was sent at `sent`.
    pub(super) fn see(&mut self, sent: Instant, now: Instant, seen: Seen) -> Option<Act> {
        let node = seen.claim.node;
        let known = self.known.get_mut(&node);
        match known {
            // Shown before what we know already. If not, the store has begun anew, and its word counts.
            Some(peer) if peer.claim.token > seen.claim.token && peer.since >= sent => None,
            Some(peer) if peer.claim == seen.claim && peer.beat == seen.beat => {
                peer.seen = peer.seen.max(sent);
                self.judge(now, node)
            }
            Some(peer) if peer.claim == seen.claim => {
                (peer.beat, peer.since, peer.seen) = (seen.beat, now, now);
                self.set(node, State::Alive);
                None
            }
            Some(_) | None => {
                self.learn(now, seen.claim, seen.beat);
                self.judge(now, node)
            }
        }
    }

    /// Who serves this number from now on. `false`: that is old news.
    pub(super) fn told(&mut self, now: Instant, claim: Claim) -> bool {
        let old = self
            .known
            .get(&claim.node)
            .is_some_and(|peer| peer.claim.token >= claim.token);
        if !old {
            self.learn(now, claim, 0);
        }
        !old
    }

    fn learn(&mut self, now: Instant, claim: Claim, beat: u64) {
        let node = claim.node;
        self.forget(node);
        if let Some(own) = claim.listeners.first() {
            self.addresses.insert(*own, node);
        }
        let (since, seen, state) = (now, now, State::Alive);
        let peer = Peer {
            claim,
            beat,
            since,
            seen,
            state,
        };
        self.known.insert(node, peer);
    }

    /// The store answered after so long.
    pub(super) fn answered_after(&mut self, trip: Duration) {
        self.trip = trip.max(self.trip / 2);
    }

    /// The store did not answer for a while: what was observed before says nothing, for nobody could renew.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        for peer in self.known.values_mut() {
            (peer.since, peer.seen) = (now, now);
            if peer.state != State::Claiming {
                peer.state = State::Alive;
            }
        }
        let known = &self.known;
        self.suspects
            .retain(|node| known.get(node).is_some_and(|peer| peer.state == State::Claiming));
    }

    /// It answered: it lives, whatever the store shows.
    pub(super) fn pinged(&mut self, now: Instant, held: Held) {
        if let Some(peer) = self.known.get_mut(&held.node)
            && peer.claim.token <= held.token
            && peer.state != State::Claiming
        {
            (peer.since, peer.seen) = (now, now);
            self.set(held.node, State::Alive);
        }
    }

    /// It did not answer.
    pub(super) fn silent(&mut self, now: Instant, node: u16) -> Option<Act> {
        if let Some(State::Pinged { .. }) = self.known.get(&node).map(|peer| peer.state) {
            self.set(node, State::Silent);
        }
        self.judge(now, node)
    }

    /// The link to this address broke: whoever was there is asked at once.
    pub(super) fn link_lost(&mut self, now: Instant, link: SocketAddr) -> Vec<Act> {
        let there =
            |peer: &&Peer| peer.state == State::Alive && peer.claim.card.as_ref().is_some_and(|card| card.link == link);
        let nodes: Vec<u16> = self.known.values().filter(there).map(|peer| peer.claim.node).collect();
        nodes.into_iter().filter_map(|node| self.ping(now, node)).collect()
    }

    /// A claim came to nothing that is known: the number is looked at again from the beginning.
    pub(super) fn claim_failed(&mut self, now: Instant, node: u16) {
        if let Some(peer) = self.known.get_mut(&node) {
            (peer.since, peer.seen) = (now, now);
            self.set(node, State::Alive);
        }
    }

    /// What is due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        for node in self.suspects.clone() {
            match self.known.get(&node).map(|peer| peer.state) {
                Some(State::Pinged { until }) if until <= now => acts.extend(self.silent(now, node)),
                Some(State::Due { at }) if at <= now => acts.extend(self.claim(node)),
                Some(State::Pinged { .. } | State::Due { .. } | State::Alive | State::Silent | State::Claiming)
                | None => {}
            }
        }
        acts
    }

    /// When something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = |node: &u16| match self.known.get(node)?.state {
            State::Pinged { until } => Some(until),
            State::Due { at } => Some(at),
            State::Alive | State::Silent | State::Claiming => None,
        };
        self.suspects.iter().filter_map(due).min()
    }

    /// Whose beats are looked at: those that this process is among the first to take over, and all that are suspected.
    pub(super) fn watched(&mut self) -> Vec<u16> {
        if std::mem::take(&mut self.stale_watch) {
            let holders = self.living();
            self.watch = self
                .known
                .values()
                .filter(|peer| self.rank(&holders, &peer.claim) < WATCHERS)
                .map(|peer| peer.claim.node)
                .collect();
        }
        let mut nodes = self.watch.clone();
        nodes.extend(&self.suspects);
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    fn set(&mut self, node: u16, state: State) {
        if let Some(peer) = self.known.get_mut(&node) {
            peer.state = state;
            match state {
                State::Alive => self.suspects.remove(&node),
                State::Pinged { .. } | State::Silent | State::Due { .. } | State::Claiming => {
                    self.suspects.insert(node)
                }
            };
        }
    }

    /// What its beat says now.
    fn judge(&mut self, now: Instant, node: u16) -> Option<Act> {
        let window = self.lease.max(self.trip * 5 / 2);
        let peer = self.known.get(&node)?;
        let still = peer.seen.saturating_duration_since(peer.since);
        match peer.state {
            // The process before this one: a ping would come to ourselves, and so would its parties' messages.
            State::Alive if still >= window / 2 && self.is_before_us(&peer.claim) => self.wait_our_turn(now, node),
            // Given up by who had it: there is nobody to ask and nothing to wait for.
            State::Alive if peer.claim.card.is_none() => self.wait_our_turn(now, node),
            State::Alive if still >= window / 2 => return self.ping(now, node),
            State::Silent if still >= window => self.wait_our_turn(now, node),
            State::Alive | State::Pinged { .. } | State::Silent | State::Due { .. } | State::Claiming => {}
        }
        None
    }

    fn ping(&mut self, now: Instant, node: u16) -> Option<Act> {
        let claim = &self.known.get(&node)?.claim;
        let held = Held {
            node,
            token: claim.token,
        };
        let link = claim.card.as_ref()?.link;
        let until = now + self.lease / 4;
        self.set(node, State::Pinged { until });
        Some(Act::Ping { held, link })
    }

    fn claim(&mut self, node: u16) -> Option<Act> {
        let expected = self.known.get(&node)?.claim.token;
        self.set(node, State::Claiming);
        Some(Act::Claim { node, expected })
    }

    /// One survivor is the first for each number, and another one for the next: so few claims collide, and the dead
    /// node's numbers are spread. The process that stands where the dead one stood has its addresses, and comes first.
    fn wait_our_turn(&mut self, now: Instant, node: u16) {
        let Some(peer) = self.known.get(&node) else { return };
        let wait = match self.is_before_us(&peer.claim) {
            true => Duration::ZERO,
            false => {
                let rank = self.rank(&self.living(), &peer.claim).min(WATCHERS);
                let dice = draw(&peer.claim, self.me.holder) % 1_024;
                self.lease / 4 * u32::try_from(rank).unwrap_or(u32::MAX)
                    + self.lease / 16 * u32::try_from(dice).unwrap_or_default() / 1_024
            }
        };
        self.set(node, State::Due { at: now + wait });
    }

    fn is_before_us(&self, claim: &Claim) -> bool {
        claim.card.as_ref().is_some_and(|card| card.link == self.me.link)
    }

    /// The processes that may take something over, this one among them.
    fn living(&self) -> BTreeSet<Holder> {
        let lives = |peer: &&Peer| matches!(peer.state, State::Alive | State::Pinged { .. });
        let others = self
            .known
            .values()
            .filter(lives)
            .filter_map(|peer| peer.claim.card.as_ref());
        others.map(|card| card.holder).chain([self.me.holder]).collect()
    }

    /// How many come before this process for that number; counted no further than [`WATCHERS`].
    fn rank(&self, holders: &BTreeSet<Holder>, claim: &Claim) -> usize {
        let ours = draw(claim, self.me.holder);
        let theirs = claim.card.as_ref().map(|card| card.holder);
        holders
            .iter()
            .filter(|holder| Some(**holder) != theirs && draw(claim, **holder) < ours)
            .take(WATCHERS)
            .count()
    }
}

/// The lot of a process for a claim (rendezvous: the lowest comes first), the same wherever it is drawn.
fn draw(claim: &Claim, holder: Holder) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write_u16(claim.node);
    hasher.write_u64(claim.token);
    hasher.write_u64(holder.0);
    hasher.finish()
}
