//! The map of dialogs that the edge only proxies, or that are asked for from outside (API, logs).
//!
//! **Owns** what its user keeps about dialogs both of whose tags are strangers': there is no slot to read out of a tag,
//! so the three texts are hashed. **Refuses** to serve dialogs that the edge owns ([`Table`](super::Table) does), and
//! to be filled by strangers into one chain: the hash is keyed.
//!
//! **RFC sections**: RFC 3261 §12 (the dialog id; the two parties name it with the tags swapped), §16.
//!
//! | step | what |
//! |---|---|
//! | key | Call-ID and both tags, the smaller tag first: either party's request finds the dialog |
//! | hash | SipHash-1-3 of the key: 32 bits of it into the index, a probe compares them before it leaves the index |
//! | index | open addressing, at most three quarters full; removal closes the gap, so there are no tombstones |
//! | slab | a row of 128 bytes holds the texts; all of them are compared |
//!
//! ```
//! use warmline::dialog::Proxied;
//!
//! let mut proxied = Proxied::new([7; 16]);
//! proxied.insert("a84b4c76e66710", "1928301774", "314159", "a call");
//! assert_eq!(proxied.find("a84b4c76e66710", "314159", "1928301774"), Some(&"a call"));
//! assert_eq!(proxied.find("a84b4c76e66710", "314159", "stranger"), None);
//! assert_eq!(proxied.remove("a84b4c76e66710", "1928301774", "314159"), Some("a call"));
//! ```

use super::table::chunks::Chunks;
use super::table::row::Row;
use siphasher::sip::SipHasher13;
use std::fmt;

/// Texts that are joined without the heap.
const KEY: usize = 256;

/// Dialogs found by Call-ID and both tags, in whichever order the tags are given.
pub struct Proxied<T> {
    hasher: SipHasher13,
    /// A power of two of entries: 32 bits of hash, then slot + 1; 0 is empty.
    index: Vec<u64>,
    rows: Chunks<Row>,
    values: Chunks<Option<T>>,
    free: Vec<u32>,
    used: u32,
    live: usize,
}

/// A dialog's place.
struct Place {
    at: usize,
    slot: u32,
}

impl<T> Proxied<T> {
    /// An empty map, hashed under `key`: a secret, since strangers choose the texts.
    pub fn new(key: [u8; 16]) -> Proxied<T> {
        Proxied {
            hasher: SipHasher13::new_with_key(&key),
            index: vec![0; 16],
            rows: Chunks::new(),
            values: Chunks::new(),
            free: Vec::new(),
            used: 0,
            live: 0,
        }
    }

    /// Dialogs in the map.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The dialog with this Call-ID and these two tags; an absent tag is empty.
    #[inline]
    pub fn find(&self, call_id: &str, tag: &str, other: &str) -> Option<&T> {
        let place = with_key(call_id, tag, other, |key| self.probe(key, self.hash(key)))?;
        self.values.get(place.slot)?.as_ref()
    }

    /// The dialog with this Call-ID and these two tags, to change.
    pub fn find_mut(&mut self, call_id: &str, tag: &str, other: &str) -> Option<&mut T> {
        let place = with_key(call_id, tag, other, |key| self.probe(key, self.hash(key)))?;
        self.values.get_mut(place.slot)?.as_mut()
    }

    /// Adds a dialog; gives back what was there under the same texts.
    pub fn insert(&mut self, call_id: &str, tag: &str, other: &str, value: T) -> Option<T> {
        with_key(call_id, tag, other, |key| self.insert_key(key, value))
    }

    /// Removes a dialog.
    pub fn remove(&mut self, call_id: &str, tag: &str, other: &str) -> Option<T> {
        let place = with_key(call_id, tag, other, |key| self.probe(key, self.hash(key)))?;
        self.close_gap(place.at);
        self.rows.get_mut(place.slot)?.vacate(0);
        self.free.push(place.slot);
        self.live -= 1;
        self.values.get_mut(place.slot)?.take()
    }

    fn insert_key(&mut self, key: &[u8], value: T) -> Option<T> {
        let hash = self.hash(key);
        if let Some(place) = self.probe(key, hash) {
            return self.values.get_mut(place.slot)?.replace(value);
        }
        if (self.live + 1) * 4 > self.index.len() * 3 {
            self.grow();
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        if self.rows.capacity() <= slot as usize {
            self.rows.grow(|| Row::vacant(0));
            self.values.grow(|| None);
        }
        self.rows.get_mut(slot)?.occupy(key, Some(b""));
        self.live += 1;
        put(&mut self.index, u64::from(hash) << 32 | (u64::from(slot) + 1));
        self.values.get_mut(slot)?.replace(value)
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u32 {
        self.hasher.hash(key) as u32
    }

    #[inline]
    fn probe(&self, key: &[u8], hash: u32) -> Option<Place> {
        let mask = self.index.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let entry = *self.index.get(at)?;
            if entry == 0 {
                return None; // there is always an empty one: the index is never full
            }
            let slot = (entry as u32).wrapping_sub(1);
            if (entry >> 32) as u32 == hash
                && let Some(row) = self.rows.get(slot)
                && (row.is(0, key, b"") || row.call_id() == key)
            {
                return Some(Place { at, slot });
            }
            at = (at + 1) & mask;
        }
    }

    /// Twice the index, from the hashes in it: no text is read.
    fn grow(&mut self) {
        let mut index = vec![0; self.index.len() * 2];
        for entry in self.index.iter().filter(|entry| **entry != 0) {
            put(&mut index, *entry);
        }
        self.index = index;
    }

    /// Empties an entry and moves up those behind it that it kept from their place.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.index.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let Some(entry) = self.index.get(at).copied() else {
                return;
            };
            let home = (entry >> 32) as usize & mask;
            if entry != 0 && (at.wrapping_sub(home) & mask) < (at.wrapping_sub(gap) & mask) {
                continue; // it would move before its home
            }
            if let Some(empty) = self.index.get_mut(gap) {
                *empty = entry;
            }
            if entry == 0 {
                return;
            }
            gap = at;
        }
    }
}

impl<T> fmt::Debug for Proxied<T> {
    /// Without the key, and without the texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxied")
            .field("len", &self.live)
            .finish_non_exhaustive()
    }
}

/// Writes an entry into the first empty place from its home on.
fn put(index: &mut [u64], entry: u64) {
    let mask = index.len() - 1;
    let mut at = (entry >> 32) as usize & mask;
    while let Some(place) = index.get_mut(at) {
        if *place == 0 {
            *place = entry;
            return;
        }
        at = (at + 1) & mask;
    }
}

/// Joins the three texts, on the stack if they are of ordinary length. A space stands between them and in none of
/// them: neither a Call-ID nor a tag may hold one.
#[inline]
fn with_key<R>(call_id: &str, tag: &str, other: &str, then: impl FnOnce(&[u8]) -> R) -> R {
    let (first, second) = if tag <= other { (tag, other) } else { (other, tag) };
    let texts = [call_id, " ", first, " ", second];
    let length = call_id.len() + first.len() + second.len() + 2;
    let mut inline = [0; KEY];
    match inline.get_mut(..length) {
        Some(key) => {
            let mut rest = &mut *key;
            for text in texts {
                let (to, after) = rest.split_at_mut(text.len());
                to.copy_from_slice(text.as_bytes());
                rest = after;
            }
            then(key)
        }
        None => then(texts.concat().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn both_parties_find_it_and_nobody_else() {
        let mut map = Proxied::new([1; 16]);
        assert_eq!(map.insert("call", "a", "b", 1), None);
        assert_eq!(map.insert("call", "b", "a", 2), Some(1));
        assert_eq!(
            (map.find("call", "a", "b"), map.find("call", "b", "a")),
            (Some(&2), Some(&2))
        );
        assert_eq!(map.find("call", "a", "a"), None);
        assert_eq!(map.find("call", "a", ""), None);
        assert_eq!(map.find("cal", "la", "b"), None);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn long_texts_are_found_too() {
        let mut map = Proxied::new([1; 16]);
        for length in [0, 90, 108, 109, 250, 256, 257, 5_000] {
            let call_id = "c".repeat(length);
            map.insert(&call_id, "one", "two", length);
            *map.find_mut(&call_id, "two", "one").unwrap() += 1;
            assert_eq!(map.find(&call_id, "one", "two"), Some(&(length + 1)));
        }
    }

    proptest! {
        #[test]
        fn it_answers_as_a_sorted_map_would(
            steps in proptest::collection::vec((any::<bool>(), 0..40u8, 0..3u8, 0..3u8), 0..400)
        ) {
            let mut map = Proxied::new([9; 16]);
            let mut model = BTreeMap::new();
            for (number, (insert, call, a, b)) in steps.into_iter().enumerate() {
                let (call, a, b) = (call.to_string(), a.to_string(), b.to_string());
                let key = (call.clone(), a.clone().min(b.clone()), a.clone().max(b.clone()));
                if insert {
                    prop_assert_eq!(map.insert(&call, &a, &b, number), model.insert(key, number));
                } else {
                    prop_assert_eq!(map.remove(&call, &a, &b), model.remove(&key));
                }
                prop_assert_eq!(map.len(), model.len());
            }
            for call in 0..40u8 {
                for (a, b) in [("0", "1"), ("2", "0"), ("1", "1"), ("2", "1"), ("0", "0"), ("2", "2")] {
                    let key = (call.to_string(), a.min(b).to_owned(), a.max(b).to_owned());
                    prop_assert_eq!(map.find(&call.to_string(), a, b), model.get(&key));
                }
            }
        }
    }
}
