//! What is known of places: where the configured host names lead now, and which places have failed lately.
//!
//! **Owns** the places of host names that the edge was configured with, the moment at which each is to be asked again
//! (the life of its records), and the memory of failures (RFC 3263 §4.3: what failed is tried last, so that the next call
//! does not wait for it again). **Refuses** to ask anybody: whoever holds it does, and tells what came of it.
//!
//! | comes | becomes |
//! |---|---|
//! | a name's records have ended | it is [`due`](Book::due); its old places serve until the answer is there |
//! | the answer | the new places, until their own end |
//! | no answer, or none that can be used | the old places stay, and it is asked again half a minute later |
//! | a failure at a place | behind all others for a while, never left out: it may be the only one |
//!
//! ```
//! use std::time::{Duration, Instant};
//! use warmline::transport::locate::Place;
//! use warmline::transport::{Book, Transport};
//!
//! let now = Instant::now();
//! let place = |address: &str| Place { address: address.parse().unwrap(), transport: Transport::Udp };
//! let (one, two) = (place("192.0.2.1:5060"), place("192.0.2.2:5060"));
//! let mut book = Book::new(Vec::new(), Duration::from_secs(32), now);
//! book.failed(now, one, None);
//! assert_eq!(book.ordered(now, vec![one, two]), [two, one]);
//! assert_eq!(book.ordered(now + Duration::from_secs(33), vec![one, two]), [one, two]);
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::locate::{Found, Place, Wanted};

/// After a look-up that brought nothing.
const AGAIN: Duration = Duration::from_secs(30);
/// Shorter lives are not believed: a zone with a TTL of zero would keep us asking.
const SHORTEST: Duration = Duration::from_secs(5);
/// Longer ones neither: a name server that is set right should be heard within a day.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Failures that are remembered; the soonest forgotten make room.
const MOST: usize = 1_024;
/// A Retry-After that asks for more is not believed (RFC 3261 §21.5.4 has the server say it, and it may be wrong).
const LONGEST_AVOIDED: Duration = Duration::from_secs(600);

/// A host name of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// As it stands in Request-URIs of ours; with `first` it says which entry of the configuration is meant.
    pub host: String,
    /// The place by which the rest of the configuration knows it.
    pub first: Place,
    /// What is to be looked up.
    pub wanted: Wanted,
    /// Where it leads, the first one first.
    pub places: Vec<Place>,
    /// For how long.
    pub life: Duration,
}

#[derive(Debug)]
struct Entry {
    name: Named,
    /// When it is asked again; `None`: the question is out.
    due: Option<Instant>,
}

/// Names and failures.
#[derive(Debug)]
pub struct Book {
    entries: Vec<Entry>,
    bad: BTreeMap<Place, Instant>,
    avoid: Duration,
}

impl Default for Book {
    fn default() -> Book {
        Book {
            entries: Vec::new(),
            bad: BTreeMap::new(),
            avoid: Duration::from_secs(32),
        }
    }
}

impl Book {
    /// A book of these names. `avoid`: for how long a place that failed is tried last.
    pub fn new(names: Vec<Named>, avoid: Duration, now: Instant) -> Book {
        let mut book = Book {
            avoid,
            ..Book::default()
        };
        book.rename(names, avoid, now);
        book
    }

    /// Other names from now on; failures stay known.
    pub fn rename(&mut self, names: Vec<Named>, avoid: Duration, now: Instant) {
        let entry = |name: Named| Entry {
            due: Some(now + name.life.clamp(SHORTEST, LONGEST)),
            name,
        };
        (self.entries, self.avoid) = (names.into_iter().map(entry).collect(), avoid);
    }

    /// Every place of this host, in the order in which they are to be tried now. A host that is an address has the one.
    pub fn places(&self, now: Instant, host: &str, first: Place) -> Vec<Place> {
        let known = self.entry(host, first).map(|entry| entry.name.places.clone());
        self.ordered(now, known.unwrap_or_else(|| vec![first]))
    }

    /// Whether a message from this address comes from one of the host's places.
    pub fn is_at(&self, host: &str, first: Place, from: impl Fn(SocketAddr) -> bool) -> bool {
        let named = || self.entry(host, first).into_iter().flat_map(|entry| &entry.name.places);
        from(first.address) || named().any(|place| from(place.address))
    }

    fn entry(&self, host: &str, first: Place) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.name.first == first && entry.name.host == host)
    }

    /// The places of all names.
    pub fn every_place(&self) -> impl Iterator<Item = Place> + '_ {
        self.entries.iter().flat_map(|entry| entry.name.places.iter().copied())
    }

    /// The same places, those that failed lately behind the others.
    pub fn ordered(&self, now: Instant, mut places: Vec<Place>) -> Vec<Place> {
        // A stable sort: among equals the order of RFC 2782 stays.
        places.sort_by_key(|place| self.is_bad(now, place));
        places
    }

    fn is_bad(&self, now: Instant, place: &Place) -> bool {
        self.bad.get(place).is_some_and(|until| now < *until)
    }

    /// A request got no answer there, or 503; `retry_after` is what the 503 asked for.
    pub fn failed(&mut self, now: Instant, place: Place, retry_after: Option<Duration>) {
        let wait = retry_after.map_or(self.avoid, |wait| wait.min(LONGEST_AVOIDED));
        if wait.is_zero() {
            return;
        }
        self.bad.retain(|_, until| now < *until);
        if self.bad.len() >= MOST
            && let Some(soonest) = self
                .bad
                .iter()
                .min_by_key(|(_, until)| **until)
                .map(|(place, _)| *place)
        {
            self.bad.remove(&soonest);
        }
        self.bad.insert(place, now + wait);
    }

    /// A name that is to be asked again now: its number, and what is wanted. It is given out once.
    pub fn due(&mut self, now: Instant) -> Option<(usize, Wanted)> {
        let is_due = |entry: &Entry| entry.due.is_some_and(|due| due <= now);
        let (number, entry) = self.entries.iter_mut().enumerate().find(|(_, entry)| is_due(entry))?;
        entry.due = None;
        Some((number, entry.name.wanted.clone()))
    }

    /// What came of it. `true`: its places have changed.
    pub fn learned(&mut self, now: Instant, number: usize, wanted: &Wanted, found: Option<Found>) -> bool {
        // A reload may have put another name in its place meanwhile.
        let Some(entry) = self
            .entries
            .get_mut(number)
            .filter(|entry| entry.name.wanted == *wanted)
        else {
            return false;
        };
        match found.filter(|found| !found.places.is_empty()) {
            Some(found) => {
                entry.due = Some(now + found.life.clamp(SHORTEST, LONGEST));
                let changed = entry.name.places != found.places;
                entry.name.places = found.places;
                changed
            }
            None => {
                entry.due = Some(now + AGAIN);
                false
            }
        }
    }

    /// When a name is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.due).min()
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
