//! A table of strangers: it never grows beyond its bound, however many there are.
//!
//! When it is full, one that has not been heard of for a turn of the hand gives way (second chance). Whoever must not be
//! forgotten yet, a banned one, is passed over for as long as the hand finds anybody else.

use std::collections::BTreeMap;

/// The most rows that are looked at for one that may go: the cost of a newcomer has an end.
const LOOKED_AT: usize = 64;

struct Row<K, V> {
    key: K,
    value: V,
    /// Heard of since the hand was here last.
    fresh: bool,
}

/// At most so many values, by key.
pub(super) struct Bounded<K, V> {
    index: BTreeMap<K, u32>,
    rows: Vec<Row<K, V>>,
    hand: usize,
    most: usize,
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    pub(super) fn new(most: usize) -> Bounded<K, V> {
        Bounded {
            index: BTreeMap::new(),
            rows: Vec::new(),
            hand: 0,
            most: most.max(1),
        }
    }

    /// The value of a key, made if it is not there. `stays` says who must not give way to it.
    pub(super) fn entry(&mut self, key: &K, make: impl FnOnce() -> V, stays: impl Fn(&V) -> bool) -> Option<&mut V> {
        let at = match self.index.get(key) {
            Some(at) => *at as usize,
            None => self.place(key.clone(), make(), stays),
        };
        let row = self.rows.get_mut(at)?;
        row.fresh = true;
        Some(&mut row.value)
    }

    fn place(&mut self, key: K, value: V, stays: impl Fn(&V) -> bool) -> usize {
        let row = Row {
            key: key.clone(),
            value,
            fresh: true,
        };
        let at = if self.rows.len() < self.most {
            self.rows.push(row);
            self.rows.len() - 1
        } else {
            let at = self.victim(stays);
            if let Some(place) = self.rows.get_mut(at) {
                self.index.remove(&place.key);
                *place = row;
            }
            at
        };
        self.index.insert(key, u32::try_from(at).unwrap_or(u32::MAX));
        at
    }

    fn victim(&mut self, stays: impl Fn(&V) -> bool) -> usize {
        for _ in 0..LOOKED_AT {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.rows.len().max(1);
            if let Some(row) = self.rows.get_mut(at)
                && !std::mem::take(&mut row.fresh)
                && !stays(&row.value)
            {
                return at;
            }
        }
        self.hand
    }
}

impl<K, V> std::fmt::Debug for Bounded<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bounded")
            .field("len", &self.rows.len())
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<K: Ord + Clone, V> Bounded<K, V> {
        fn get(&self, key: &K) -> Option<&V> {
            let at = *self.index.get(key)?;
            self.rows.get(at as usize).map(|row| &row.value)
        }
    }

    #[test]
    fn it_never_grows_beyond_its_bound_and_keeps_whom_it_must() {
        let mut table = Bounded::new(8);
        table.entry(&0, || true, |stays| *stays).unwrap();
        for key in 1..10_000 {
            *table.entry(&key, || false, |stays| *stays).unwrap() = false;
        }
        assert_eq!((table.rows.len(), table.index.len()), (8, 8));
        assert_eq!(table.get(&0), Some(&true), "the one that stays");
        assert_eq!(table.get(&9_999), Some(&false), "the newest");
        assert_eq!(table.get(&1), None);
    }

    #[test]
    fn even_a_table_of_those_who_stay_takes_a_newcomer() {
        let mut table = Bounded::new(4);
        for key in 0..9 {
            table.entry(&key, || true, |_| true).unwrap();
        }
        assert_eq!(table.rows.len(), 4);
        assert!(table.get(&8).is_some());
    }
}
