//! What clients can ask for by its identifier, in the order in which it came, with a bound on what is over.

use std::collections::{BTreeMap, HashMap};

use super::sid::Sid;

/// Of one kind; more are forgotten, the oldest that are over first.
const KEPT: usize = 10_000;
/// How many of the oldest are looked at when one must go.
const LOOKED_AT: usize = 64;

/// Resources of one kind.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: BTreeMap<u64, (Sid, T)>,
    places: HashMap<Sid, u64>,
    next: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            rows: BTreeMap::new(),
            places: HashMap::new(),
            next: 0,
        }
    }
}

impl<T> Table<T> {
    /// Adds one, and forgets an old one of which `over` says that nothing more will come of it.
    pub(super) fn add(&mut self, sid: Sid, row: T, over: impl Fn(&T) -> bool) {
        if self.rows.len() >= KEPT {
            let mut oldest = self.rows.iter().take(LOOKED_AT);
            let found = oldest
                .find(|(_, (_, row))| over(row))
                .map(|(place, (sid, _))| (*place, sid.clone()));
            if let Some((place, sid)) = found {
                self.rows.remove(&place);
                self.places.remove(&sid);
            }
        }
        self.places.insert(sid.clone(), self.next);
        self.rows.insert(self.next, (sid, row));
        self.next += 1;
    }

    pub(super) fn get(&self, sid: &Sid) -> Option<&T> {
        let place = self.places.get(sid)?;
        self.rows.get(place).map(|(_, row)| row)
    }

    pub(super) fn get_mut(&mut self, sid: &Sid) -> Option<&mut T> {
        let place = self.places.get(sid)?;
        self.rows.get_mut(place).map(|(_, row)| row)
    }

    pub(super) fn remove(&mut self, sid: &Sid) -> Option<T> {
        let place = self.places.remove(sid)?;
        self.rows.remove(&place).map(|(_, row)| row)
    }

    /// The newest first, as lists show them.
    pub(super) fn newest(&self) -> impl Iterator<Item = &T> {
        self.rows.values().rev().map(|(_, row)| row)
    }

    /// The oldest first.
    pub(super) fn oldest(&self) -> impl Iterator<Item = &T> {
        self.rows.values().map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_forgotten_before_what_lives() {
        let mut table = Table::default();
        let living = Sid::new("CA");
        table.add(living.clone(), true, |lives| !lives);
        let first_over = Sid::new("CA");
        table.add(first_over.clone(), false, |lives| !lives);
        for _ in 0..KEPT {
            table.add(Sid::new("CA"), false, |lives| !lives);
        }
        assert_eq!(table.get(&living), Some(&true));
        assert_eq!(table.get(&first_over), None);
        assert_eq!(table.newest().count(), KEPT);
        assert_eq!(table.remove(&living), Some(true));
        assert_eq!(table.get(&living), None);
    }
}
