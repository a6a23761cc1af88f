//! How a message finds its transaction.
//!
//! A **response** finds its client transaction by our own branch: the magic cookie of RFC 3261 §8.1.1.7, then slot,
//! generation and a 64-bit SipHash-2-4 of them in lower-case base32. Opening it is arithmetic; a branch that we did not
//! make is refused before any table is touched, and one that we did make is an array index (RFC 3261 §17.1.3).
//!
//! A **request** finds its server transaction by a stranger's branch (RFC 3261 §17.2.3): branch, sent-by and method,
//! hashed to 128 bits by SipHash-2-4 under a key that no stranger knows, so that the index needs neither their text nor
//! a defence against chosen collisions.
//!
//! | request | key |
//! |---|---|
//! | branch with the cookie and something after it | branch, sent-by (host in any case, port or its default), method |
//! | any other branch, or none (RFC 2543) | Request-URI, From tag, To tag, Call-ID, CSeq number, whole top Via, method |
//! | ACK | as the INVITE that it is for |
//! | merged request (RFC 3261 §8.2.2.2) | From tag, Call-ID, CSeq number, method |

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher24x128};
use subtle::ConstantTimeEq;

use crate::sip::{HeaderName, Message, Via};
use crate::transport::{Transport, base32};

/// What every branch of RFC 3261 begins with.
pub(super) const COOKIE: &str = "z9hG4bK";

const SEALED: usize = 4 + 4 + 8;
const SEALED_TEXT: usize = base32::encoded_len(SEALED);
const BRANCH: usize = COOKIE.len() + SEALED_TEXT;

/// A branch of ours, on the stack.
pub(super) struct Branch {
    text: [u8; BRANCH],
}

impl Branch {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or(COOKIE) // always ASCII
    }
}

/// A server transaction's key, or that of a merged request.
pub(super) type Key = u128;

/// The index of server transactions. Its keys are already hashes under our own key: hashing them again gains nothing.
pub(super) type Index<T> = HashMap<Key, T, BuildHasherDefault<AlreadyHashed>>;

/// Takes a [`Key`] for its own hash.
#[derive(Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// Makes branches and keys; everything under one seed.
pub(super) struct Keys {
    branches: SipHasher24,
    requests: SipHasher24x128,
    acks: u64,
}

impl Keys {
    pub(super) fn new(seed: [u8; 16]) -> Keys {
        // One seed, two keys: what is learned of one hash says nothing of the other.
        let mut derive = SipHasher24x128::new_with_key(&seed);
        derive.write(b"branches");
        let branches = SipHasher24::new_with_key(&derive.finish128().as_bytes());
        derive.write(b" and requests");
        let requests = SipHasher24x128::new_with_key(&derive.finish128().as_bytes());
        Keys {
            branches,
            requests,
            acks: 0,
        }
    }

    /// The branch of the client transaction in this slot.
    pub(super) fn branch(&self, slot: u32, generation: u32) -> Branch {
        let fields = (u64::from(slot) << 32) | u64::from(generation);
        let mut hasher = self.branches;
        hasher.write_u64(fields);
        seal(fields, hasher.finish())
    }

    /// A branch that no transaction has: for the ACK of a 2xx (RFC 3261 §13.2.2.4), to which nothing answers.
    pub(super) fn branch_of_ack(&mut self) -> Branch {
        self.acks = self.acks.wrapping_add(1);
        let mut hasher = self.branches;
        hasher.write_u64(self.acks);
        hasher.write_u8(b'a'); // another length: never the seal of a slot
        seal(self.acks, hasher.finish())
    }

    /// The slot and generation in a branch that we made for a transaction; `None` for every other. What a proxy adds to it
    /// begins with a dot (RFC 5393 §4.2.1) and is nothing to us.
    pub(super) fn open(&self, branch: &str) -> Option<(u32, u32)> {
        let mut sealed = [0u8; SEALED];
        let branch = branch.split('.').next().unwrap_or_default();
        base32::decode(branch.as_bytes().strip_prefix(COOKIE.as_bytes())?, &mut sealed)?;
        let (fields, mac) = sealed.split_first_chunk::<8>()?;
        let fields = u64::from_be_bytes(*fields);
        let mut hasher = self.branches;
        hasher.write_u64(fields);
        // Constant time: a forger must not learn how much of the MAC was right.
        bool::from(hasher.finish().to_be_bytes().ct_eq(mac)).then_some(((fields >> 32) as u32, fields as u32))
    }

    /// The key of the server transaction to which a request of `method` with this top Via belongs. For an ACK ask with
    /// `INVITE`.
    pub(super) fn request(&self, message: &Message, via: &Via<'_>, method: &str) -> Option<Key> {
        match compliant_branch(message) {
            Some(branch) => {
                let mut hasher = self.hasher(b'3', method);
                field(&mut hasher, branch.as_bytes());
                if via.host.bytes().any(|octet| octet.is_ascii_uppercase()) {
                    field(&mut hasher, via.host.to_ascii_lowercase().as_bytes());
                } else {
                    field(&mut hasher, via.host.as_bytes());
                }
                let default = Transport::parse(via.transport).map_or(5060, Transport::default_port);
                hasher.write_u16(via.port.unwrap_or(default));
                Some(hasher.finish128().as_u128())
            }
            None => self.old_request(message, method, message.to_tag()),
        }
    }

    /// The key of RFC 2543's matching with this To tag.
    pub(super) fn old_request(&self, message: &Message, method: &str, to_tag: Option<&str>) -> Option<Key> {
        let mut hasher = self.hasher(b'2', method);
        field(&mut hasher, message.request_uri()?.as_bytes());
        field(&mut hasher, message.from_tag().unwrap_or_default().as_bytes());
        field(&mut hasher, to_tag.unwrap_or_default().as_bytes());
        field(&mut hasher, message.call_id().as_bytes());
        hasher.write_u32(message.cseq());
        field(&mut hasher, message.values(HeaderName::Via).next()?.as_bytes());
        Some(hasher.finish128().as_u128())
    }

    /// The key under which merged requests meet (RFC 3261 §8.2.2.2): requests without a To tag only.
    pub(super) fn merged(&self, message: &Message) -> Option<Key> {
        if message.to_tag().is_some() {
            return None;
        }
        let mut hasher = self.hasher(b'm', message.method().as_str());
        field(&mut hasher, message.from_tag()?.as_bytes());
        field(&mut hasher, message.call_id().as_bytes());
        hasher.write_u32(message.cseq());
        Some(hasher.finish128().as_u128())
    }

    /// A To tag for the responses that the layer gives by itself to this transaction.
    pub(super) fn tag(&self, key: Key) -> [u8; base32::encoded_len(8)] {
        let mut hasher = self.hasher(b't', "");
        hasher.write_u128(key);
        let mut text = [0; base32::encoded_len(8)];
        base32::encode(&hasher.finish().to_be_bytes(), &mut text);
        text
    }

    fn hasher(&self, domain: u8, method: &str) -> SipHasher24x128 {
        let mut hasher = self.requests;
        hasher.write_u8(domain);
        field(&mut hasher, method.as_bytes());
        hasher
    }
}

/// The branch of the top Via, when it promises to be unique. A cookie with nothing after it does not (RFC 4475 §3.2.1);
/// the message layer says then that there is none.
pub(super) fn compliant_branch(message: &Message) -> Option<&str> {
    message.branch().filter(|branch| branch.starts_with(COOKIE))
}

/// A field with its length before it, so that no two lists of fields run together.
fn field(hasher: &mut SipHasher24x128, octets: &[u8]) {
    hasher.write_usize(octets.len());
    hasher.write(octets);
}

fn seal(fields: u64, mac: u64) -> Branch {
    let mut text = [b'a'; BRANCH];
    let (cookie, sealed) = text.split_at_mut(COOKIE.len());
    cookie.copy_from_slice(COOKIE.as_bytes());
    let octets = (u128::from(fields) << 64 | u128::from(mac)).to_be_bytes();
    base32::encode(&octets, sealed);
    Branch { text }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
