//! Look-ups of host names: they leave as [`Output::Resolve`], come back as [`Input::Resolved`], and are waited for a
//! bounded time. And where a configured host leads: its places, the good ones first.
//!
//! RFC 3263; which order the records of a name have is decided in [`crate::transport::locate`], by whoever resolves.
//!
//! | who asks | what it does with the answer | without one |
//! |---|---|---|
//! | a name of the configuration whose records have ended | takes the new places | keeps the old ones, asks again later |
//! | a leg | calls the first place, then the next | 502 or 503 with the name of the host; in a dialog: where it was made |
//! | a request that is forwarded | sends it to the first place, then the next | 502 or 503 with the name of the host |
//!
//! [`Input::Resolved`]: super::Input::Resolved

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Engine, LookupId, Output};
use crate::leg::LegHandle;
use crate::transaction::ServerHandle;
use crate::transport::locate::{Found, LookupFailed, Place, Wanted};
use crate::transport::{Flow, Transport};

/// Look-ups under way; whoever comes then is told that the name servers do not answer.
const MOST: usize = 4_096;
/// Places of one host that a request tries: by then nobody waits any more.
const MOST_TRIED: usize = 4;

/// Who waits for a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A name of the configuration, by its number in the book.
    Name(usize),
    Leg(LegHandle),
    /// One branch of a request that is forwarded.
    Forward(ServerHandle, u32),
}

#[derive(Debug)]
struct Asked {
    until: Instant,
    asker: Asker,
    wanted: Wanted,
}

/// Look-ups under way, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    next: u64,
    asked: BTreeMap<LookupId, Asked>,
}

impl Lookups {
    /// When the oldest has waited long enough: all wait equally long.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.asked.first_key_value().map(|(_, asked)| asked.until)
    }
}

impl Engine {
    pub(super) fn look_up(&mut self, now: Instant, asker: Asker, wanted: Wanted) {
        if let Some(place) = wanted.place() {
            let life = self.settings.lookup_timeout;
            let found = Found {
                places: vec![place],
                life,
            };
            self.found(now, asker, &wanted, Ok(found));
            return;
        }
        if self.lookups.asked.len() >= MOST {
            self.found(now, asker, &wanted, Err(LookupFailed::NoAnswer));
            return;
        }
        self.lookups.next += 1;
        let id = LookupId(self.lookups.next);
        let until = now + self.settings.lookup_timeout;
        let asked = Asked {
            until,
            asker,
            wanted: wanted.clone(),
        };
        self.lookups.asked.insert(id, asked);
        // RFC 2782: each look-up throws its own dice, so that calls spread by weight; from a seed, so that runs repeat.
        let seed = self.transfers.calls.legs.identity.hash(id.0, 5);
        let ours = self.transports();
        self.outputs.push_back(Output::Resolve { id, wanted, ours, seed });
    }

    /// What the outside found. An answer that comes too late finds nobody.
    pub(super) fn resolved(&mut self, now: Instant, id: LookupId, found: Result<Found, LookupFailed>) {
        if let Some(asked) = self.lookups.asked.remove(&id) {
            self.found(now, asked.asker, &asked.wanted, found);
        }
    }

    /// Names whose records have ended are asked again; look-ups that nobody answered have failed.
    pub(super) fn lookups_due(&mut self, now: Instant) {
        while let Some((number, wanted)) = self.legs().book.due(now) {
            self.look_up(now, Asker::Name(number), wanted);
        }
        while self.lookups.poll_timeout().is_some_and(|until| until <= now) {
            let Some((_, asked)) = self.lookups.asked.pop_first() else {
                return;
            };
            self.found(now, asked.asker, &asked.wanted, Err(LookupFailed::NoAnswer));
        }
    }

    fn found(&mut self, now: Instant, asker: Asker, wanted: &Wanted, found: Result<Found, LookupFailed>) {
        let reached = |engine: &Engine, found: Found| {
            let places: Vec<Place> = found.places.into_iter().filter(|place| engine.reaches(place)).collect();
            let life = found.life;
            (!places.is_empty())
                .then_some(Found { places, life })
                .ok_or(LookupFailed::OutOfReach)
        };
        let found = found.and_then(|found| reached(self, found));
        if let Err(why) = &found {
            tracing::warn!(host = %wanted.host, %why, "look-up failed");
        }
        let ordered = |engine: &Engine, found: Found| {
            let mut places = engine.transfers.calls.legs.book.ordered(now, found.places);
            places.truncate(MOST_TRIED);
            places
        };
        match asker {
            Asker::Name(number) => {
                if self.legs().book.learned(now, number, wanted, found.ok()) {
                    tracing::info!(host = %wanted.host, "a host name of the configuration leads elsewhere now");
                    let large = self.large();
                    self.legs().transactions.large_to(large);
                }
            }
            Asker::Leg(leg) => {
                let places = found.map(|found| ordered(self, found));
                if let Some(first) = places.as_ref().ok().and_then(|places| places.first()) {
                    let flow = self.transfers.calls.legs.identity.flow_to(first);
                    let credentials = self.settings.peer_credentials(&flow);
                    if credentials.is_some() {
                        self.legs().set_credentials(leg, credentials);
                    }
                }
                self.legs().located(now, leg, wanted, places);
            }
            Asker::Forward(server, branch) => {
                let places = found.map(|found| ordered(self, found));
                self.forward_located(now, server, branch, wanted, places);
            }
        }
    }

    /// What we can send by, in the order of the configuration, without WebSocket.
    fn transports(&self) -> Vec<Transport> {
        let mut ours = Vec::new();
        for listener in &self.settings.listeners {
            let web = matches!(listener.transport, Transport::Ws | Transport::Wss);
            if !web && !ours.contains(&listener.transport) {
                ours.push(listener.transport);
            }
        }
        ours
    }

    fn reaches(&self, place: &Place) -> bool {
        self.settings.listeners.iter().any(|listener| {
            listener.transport == place.transport && listener.address.is_ipv4() == place.address.is_ipv4()
        })
    }

    /// The flows to a configured host, in the order in which they are to be tried now. There is always one.
    pub(super) fn flows_to(&self, now: Instant, host: &str, first: Place) -> (Flow, Vec<Flow>) {
        let legs = &self.transfers.calls.legs;
        let places = legs.book.places(now, host, first);
        let reached = places.iter().filter(|place| self.reaches(place)).take(MOST_TRIED);
        let mut flows = reached.map(|place| legs.identity.flow_to(place));
        // What no listener fits is tried all the same: an embedding host may know how.
        let flow = flows.next().unwrap_or_else(|| legs.identity.flow_to(&first));
        (flow, flows.collect())
    }
}
