//! ICE as a lite agent (RFC 8445 §2.5): answers checks, keeps what they prove, never sends one.
//!
//! **Owns** the credentials of the endpoint (two generations of them while ICE restarts), the addresses that proved to
//! know our password, and which of them was nominated. **Refuses** to answer what is not authentic: an answer to a
//! stranger would be an oracle and an amplifier, so RFC 8489's 400 and 401 for unauthenticated requests are silence here, and
//! counted.
//!
//! - A *check* is a binding request with FINGERPRINT, USERNAME and MESSAGE-INTEGRITY, all of them right. It makes its source address
//!   a pair, and renews the pair's consent; a pair without a check for 30 s is dead (RFC 7675 §5.1 from the receiving end:
//!   browsers send one every 2.5 to 5 s).
//! - USE-CANDIDATE nominates. The latest nomination wins, so a party that moves (other network, NAT rebinding) takes its
//!   media along; a party that nominates aggressively (RFC 5245 §8.1.1.2: USE-CANDIDATE in every check) stays on the pair of highest priority.
//! - After a restart (RFC 8445 §9) the old pair carries packets until a check of the new generation nominates one.
//!
//! RFC 8445 §2.5, §7.3, §8.1.1, §9 · RFC 8489 §9.1, §14 · RFC 7675 §5.1.

mod stun;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use compact_str::CompactString;

use super::super::IceCredentials;
pub use stun::stun_username;
use stun::{Answer, Class, Message, answer};

/// RFC 7675 §5.1: consent lasts 30 s after the last check.
pub(super) const CONSENT: Duration = Duration::from_secs(30);
/// After this long without a nomination the selected pair of an aggressive party is given up for any other.
const STALE_NOMINATION: Duration = Duration::from_secs(5);
/// A browser on many networks has about eight addresses; the longest silent one makes room.
const PAIRS: usize = 16;

/// An ICE-lite agent for one component (rtcp-mux, BUNDLE).
#[derive(Debug)]
pub(super) struct IceLite {
    credentials: IceCredentials,
    /// Of the generation before, while it may still carry packets.
    previous: Option<IceCredentials>,
    generation: u32,
    pairs: Vec<Pair>,
    selected: Option<SocketAddr>,
    /// From when on the lack of a check counts.
    waiting_since: Option<Instant>,
    lost: bool,
}

/// An address that proved to know our password.
#[derive(Debug)]
struct Pair {
    remote: SocketAddr,
    generation: u32,
    last_check: Instant,
    nominated: Option<Nomination>,
    /// A check without USE-CANDIDATE came: the party nominates regularly (RFC 8445 §8.1.1).
    checked_first: bool,
}

#[derive(Clone, Copy, Debug)]
struct Nomination {
    at: Instant,
    priority: u32,
}

/// What became of a STUN message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// A valid check: send this to where it came from.
    Answer(Vec<u8>),
    /// An indication: nothing to do.
    Ignored,
    /// Not a STUN message with a right FINGERPRINT, or one that a lite agent never asked for.
    Malformed,
    /// Without the right USERNAME or MESSAGE-INTEGRITY.
    NotAuthentic,
}

impl IceLite {
    pub(super) fn new(now: Instant, credentials: &IceCredentials) -> IceLite {
        IceLite {
            waiting_since: (!credentials.remote_ufrag.is_empty()).then_some(now),
            credentials: credentials.clone(),
            previous: None,
            generation: 0,
            pairs: Vec::new(),
            selected: None,
            lost: false,
        }
    }

    /// Takes the credentials of a new description: a new local ufrag is a restart, a remote one alone completes ours.
    pub(super) fn update(&mut self, now: Instant, credentials: &IceCredentials) {
        if *credentials == self.credentials {
            return;
        }
        if credentials.local_ufrag != self.credentials.local_ufrag {
            let before = std::mem::replace(&mut self.credentials, credentials.clone());
            // A second restart before the first one nominated: the pair in use is still that of the oldest generation.
            if self.previous.is_none() || self.selected_generation() == Some(self.generation) {
                self.previous = Some(before);
            }
            self.generation += 1;
            self.waiting_since = None;
        } else {
            self.credentials = credentials.clone();
        }
        if !self.credentials.remote_ufrag.is_empty() && self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
    }

    /// Our ufrags under which checks may come: two while ICE restarts.
    pub(super) fn local_ufrags(&self) -> impl Iterator<Item = &CompactString> {
        let previous = self.previous.iter().map(|credentials| &credentials.local_ufrag);
        std::iter::once(&self.credentials.local_ufrag).chain(previous)
    }

    /// Where packets go: the nominated pair, with consent.
    pub(super) fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    /// Of this address: rises with every restart in which it passed a check.
    pub(super) fn generation_of(&self, address: SocketAddr) -> u32 {
        let pair = self.pairs.iter().find(|pair| pair.remote == address);
        pair.map_or(0, |pair| pair.generation)
    }

    fn selected_generation(&self) -> Option<u32> {
        self.selected.map(|selected| self.generation_of(selected))
    }

    /// Whether this address passed a check within the last 30 s.
    pub(super) fn validated(&self, now: Instant, from: SocketAddr) -> bool {
        self.pairs
            .iter()
            .any(|pair| pair.remote == from && now < pair.last_check + CONSENT)
    }

    /// Reads a STUN message.
    pub(super) fn handle_stun(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Checked {
        let Some(message) = Message::read(datagram) else {
            return Checked::Malformed;
        };
        match message.class {
            Class::Request => {}
            Class::Indication => return Checked::Ignored,
            Class::Other => return Checked::Malformed,
        }
        let Some((generation, password)) = self.verify(&message) else {
            return Checked::NotAuthentic;
        };
        let reply = if message.controlled && message.controlling {
            Answer::BadRequest
        } else if message.controlled {
            // RFC 8445 §6.1.1: a lite agent is always controlled, and cannot switch.
            Answer::RoleConflict
        } else if !message.unknown().is_empty() {
            Answer::Unknown(message.unknown())
        } else {
            Answer::Mapped(from)
        };
        let bytes = answer(&message, reply, &password);
        if let Answer::Mapped(_) = reply {
            self.take_check(now, from, generation, message.priority, message.use_candidate);
        }
        Checked::Answer(bytes)
    }

    /// The generation whose credentials the request has, and its password.
    fn verify(&self, message: &Message<'_>) -> Option<(u32, CompactString)> {
        let (local, remote) = message.username?;
        let generations = [
            (self.generation, Some(&self.credentials)),
            (self.generation.wrapping_sub(1), self.previous.as_ref()),
        ];
        generations
            .into_iter()
            .filter_map(|(generation, credentials)| Some((generation, credentials?)))
            .find(|(_, credentials)| {
                local == credentials.local_ufrag
                    // RFC 8445 §7.3: a check may come before the party's description.
                    && (credentials.remote_ufrag.is_empty() || remote == credentials.remote_ufrag)
                    && message.authentic(&credentials.local_password)
            })
            .map(|(generation, credentials)| (generation, credentials.local_password.clone()))
    }

    fn take_check(&mut self, now: Instant, from: SocketAddr, generation: u32, priority: u32, nominates: bool) {
        let at = match self.pairs.iter().position(|pair| pair.remote == from) {
            Some(at) => at,
            None => self.add_pair(now, from, generation),
        };
        let Some(pair) = self.pairs.get_mut(at) else { return };
        pair.last_check = now;
        // An old check that was overtaken must not take a pair back to the generation before.
        if generation >= pair.generation {
            pair.generation = generation;
        }
        if !nominates {
            pair.checked_first = true;
            return;
        }
        pair.nominated = Some(Nomination { at: now, priority });
        let regular = pair.checked_first;
        if self.nomination_wins(now, from, generation, priority, regular) {
            self.select(from, generation);
        }
    }

    fn add_pair(&mut self, now: Instant, remote: SocketAddr, generation: u32) -> usize {
        if self.pairs.len() >= PAIRS {
            let oldest = (0..self.pairs.len())
                .filter(|&at| self.pairs.get(at).map(|pair| pair.remote) != self.selected)
                .min_by_key(|&at| self.pairs.get(at).map(|pair| pair.last_check));
            if let Some(oldest) = oldest {
                self.pairs.swap_remove(oldest);
            }
        }
        self.pairs.push(Pair {
            remote,
            generation,
            last_check: now,
            nominated: None,
            checked_first: false,
        });
        self.pairs.len() - 1
    }

    fn nomination_wins(&self, now: Instant, from: SocketAddr, generation: u32, priority: u32, regular: bool) -> bool {
        let selected = self.pairs.iter().find(|pair| Some(pair.remote) == self.selected);
        let Some((selected, nomination)) = selected.and_then(|pair| Some((pair, pair.nominated?))) else {
            return true;
        };
        if generation != selected.generation {
            return generation > selected.generation;
        }
        selected.remote == from
            || regular
            // RFC 5245 §8.1.1.2: an aggressive party nominates every pair, and the highest priority is meant.
            || priority >= nomination.priority
            || now >= nomination.at + STALE_NOMINATION
    }

    fn select(&mut self, remote: SocketAddr, generation: u32) {
        self.selected = Some(remote);
        self.lost = false;
        if generation == self.generation {
            self.previous = None;
            self.pairs.retain(|pair| pair.generation == generation);
        }
    }

    /// When something may be lost next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let consent = self.pairs.iter().map(|pair| pair.last_check + CONSENT).min();
        let first = self
            .waiting_since
            .filter(|_| self.selected.is_none() && !self.lost)
            .map(|since| since + CONSENT);
        [consent, first].into_iter().flatten().min()
    }

    /// Forgets pairs without consent; true when there is no pair left to send on, told once until one is nominated again.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.pairs.retain(|pair| now < pair.last_check + CONSENT);
        if let Some(selected) = self.selected
            && !self.pairs.iter().any(|pair| pair.remote == selected)
        {
            self.selected = self.best_nominated();
        }
        let waited = self.waiting_since.is_some_and(|since| now >= since + CONSENT);
        if self.selected.is_none() && waited && !self.lost {
            self.lost = true;
            return true;
        }
        false
    }

    fn best_nominated(&self) -> Option<SocketAddr> {
        let nominated = self.pairs.iter().filter_map(|pair| {
            let nomination = pair.nominated?;
            Some((pair.generation, nomination.at, nomination.priority, pair.remote))
        });
        nominated
            .max_by_key(|(generation, at, priority, _)| (*generation, *at, *priority))
            .map(|(.., remote)| remote)
    }
}
