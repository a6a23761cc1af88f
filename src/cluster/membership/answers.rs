//! What the store answers, or does not, and what peers say.

use std::time::Instant;

use super::{Asked, Contact, GIVE_UP, Home, Membership};
use crate::cluster::words::{Alarm, Claim, Held, OrderId, Output, Seen, StoreAnswer, StoreOrder};

impl Membership {
    pub(super) fn answered(&mut self, now: Instant, id: OrderId, answer: StoreAnswer) {
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
                    if let Some(claim) = by {
                        self.learn(now, claim);
                    }
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

    /// When the store is believed to be gone, if it says nothing until then.
    pub(super) fn lost_at(&self) -> Option<Instant> {
        match self.contact {
            Contact::Answers => Some(self.heard + self.terms.lease),
            Contact::Slow { .. } => Some(self.heard + self.terms.lease * GIVE_UP),
            Contact::Unreachable { .. } => None,
        }
    }

    pub(super) fn in_contact(&mut self, now: Instant, sent: Instant) {
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

    pub(super) fn failed(&mut self, now: Instant, id: OrderId) {
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

    pub(super) fn seen(&mut self, now: Instant, sent: Instant, seen: Vec<Seen>) {
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

    pub(super) fn learn(&mut self, now: Instant, claim: Claim) {
        self.highest = self.highest.max(claim.token);
        self.peers.told(now, claim);
    }

    pub(super) fn told(&mut self, now: Instant, claim: Claim) {
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
}
