//! Numbers of our own: won, lost, given back.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Asked, Home, MOST_LISTENERS, Membership, Own};
use crate::cluster::words::{Alarm, Claim, Held, Output, StoreOrder};

impl Membership {
    pub(super) fn lost(&mut self, now: Instant, node: u16, by: Option<Claim>) {
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
        if let Some(claim) = by {
            self.learn(now, claim);
        }
        if self.home == Home::Claiming(node) {
            self.home = Home::Unknown;
            self.find_home(now);
        }
    }

    /// The store does not know that claim: somebody else has the number, or nobody, because the store came back empty.
    pub(super) fn refused(&mut self, now: Instant, held: Held, stands: Option<u64>) {
        let ours = self.held.get(&held.node).map(|own| own.token) == Some(held.token);
        match stands {
            // Perhaps it is our own new token: the answer to the claim says.
            Some(_) | None if self.is_claiming(held.node) => {}
            Some(_) => self.fenced(held),
            None if ours => {
                self.outputs.push_back(Output::Alarm(Alarm::StoreForgot(held)));
                self.claim(now, held.node, None);
            }
            None => {}
        }
    }

    pub(super) fn is_claiming(&self, wanted: u16) -> bool {
        let claims = |asked: &Asked| matches!(asked.order, StoreOrder::Claim { node, .. } if node == wanted);
        self.asked.values().any(claims)
    }

    /// Somebody else serves it.
    pub(super) fn fenced(&mut self, held: Held) {
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

    pub(super) fn won(&mut self, now: Instant, held: Held) {
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

    pub(super) fn release(&mut self, now: Instant, node: u16, empty: bool) {
        let Some(own) = self.held.remove(&node) else { return };
        let held = own.held(node);
        if self.home == Home::Here(node) {
            self.home = if self.leaving { Home::Given } else { Home::Unknown };
        }
        self.ask(now, StoreOrder::Release { held, empty });
        self.outputs.push_back(Output::Released(held));
    }

    /// Chooses the home number, once it is known which ones there are.
    pub(super) fn find_home(&mut self, now: Instant) {
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
    pub(super) fn candidate(&self) -> Option<(u16, Option<u64>)> {
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

    pub(super) fn claim(&mut self, now: Instant, node: u16, expected: Option<u64>) {
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
    pub(super) fn listeners_with(&self, from: Option<&Claim>) -> Vec<SocketAddr> {
        let mut listeners = self.terms.listeners.clone();
        for inherited in from.iter().flat_map(|claim| &claim.listeners) {
            if !listeners.contains(inherited) && listeners.len() < MOST_LISTENERS {
                listeners.push(*inherited);
            }
        }
        listeners
    }
}
