//! Look-ups while the edge runs: each in a task of its own, so that slow name servers hold up nobody but those who wait.
//!
//! Records are kept by the resolver for as long as they live; here only failures are remembered for a moment, so that a
//! name that is called again and again does not ask dead servers each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

use super::dns::Dns;
use crate::engine::LookupId;
use crate::transport::Transport;
use crate::transport::locate::{Found, LookupFailed, Wanted};

/// For how long a failure is believed.
const FAILED: Duration = Duration::from_secs(3);
/// Names whose failures are remembered.
const MOST_FAILED: usize = 1_024;
/// Look-ups at a time; more wait their turn, and the engine gives them up when that takes too long.
const AT_A_TIME: usize = 64;

/// What came of a look-up.
pub(super) struct Answer {
    pub(super) id: LookupId,
    pub(super) wanted: Wanted,
    pub(super) found: Result<Found, LookupFailed>,
}

/// The resolver of a running edge.
pub(super) struct Names {
    dns: Arc<Dns>,
    turns: Arc<Semaphore>,
    answers: mpsc::UnboundedSender<Answer>,
    failed: HashMap<Wanted, (Instant, LookupFailed)>,
}

impl Names {
    pub(super) fn new(dns: Dns, answers: mpsc::UnboundedSender<Answer>) -> Names {
        Names {
            dns: Arc::new(dns),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            answers,
            failed: HashMap::new(),
        }
    }

    /// Asks; the answer comes by the channel.
    pub(super) fn resolve(&mut self, now: Instant, id: LookupId, wanted: Wanted, ours: Vec<Transport>, seed: u64) {
        if let Some((_, why)) = self.failed.get(&wanted).filter(|(until, _)| now < *until) {
            let found = Err(*why);
            self.answers.send(Answer { id, wanted, found }).ok(); // the edge is stopping
            return;
        }
        let (dns, turns, answers) = (Arc::clone(&self.dns), Arc::clone(&self.turns), self.answers.clone());
        tokio::spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return };
            let found = dns.locate(&wanted, &ours, seed).await;
            answers.send(Answer { id, wanted, found }).ok(); // the edge is stopping
        });
    }

    /// Remembers what failed.
    pub(super) fn note(&mut self, now: Instant, answer: &Answer) {
        match &answer.found {
            Ok(_) => drop(self.failed.remove(&answer.wanted)),
            Err(why) => {
                if self.failed.len() >= MOST_FAILED {
                    self.failed.clear();
                }
                let known = self.failed.get(&answer.wanted).is_some_and(|(until, _)| now < *until);
                if !known {
                    self.failed.insert(answer.wanted.clone(), (now + FAILED, *why));
                }
            }
        }
    }
}
