//! Slots with generations: what a handle names.
//!
//! A slot is reused, its generation is not (until it has gone round all of 32 bits): a handle or a branch that outlived
//! its transaction finds another generation in the slot and therefore nothing. The last slot to become free is the
//! first to be taken again, which keeps the table as short as the busiest moment was.

/// A growing array of slots.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    first_generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    /// No slots; each new one begins with this generation.
    pub(super) fn new(first_generation: u32) -> Slots<T> {
        Slots {
            entries: Vec::new(),
            free: Vec::new(),
            first_generation,
        }
    }

    /// Puts what `make` makes from its future slot and generation.
    ///
    /// When all of 2^32 slots are taken the last is given again, which no memory lives to see.
    pub(super) fn insert_with(&mut self, make: impl FnOnce(u32, u32) -> T) -> (u32, u32) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.entries.push(Entry {
                    generation: self.first_generation,
                    value: None,
                });
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let generation = match self.entries.get_mut(slot as usize) {
            Some(entry) => {
                entry.value = Some(make(slot, entry.generation));
                entry.generation
            }
            None => self.first_generation,
        };
        (slot, generation)
    }

    pub(super) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        let entry = self.entries.get(slot as usize)?;
        if entry.generation == generation {
            entry.value.as_ref()
        } else {
            None
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.generation == generation {
            entry.value.as_mut()
        } else {
            None
        }
    }

    /// Empties the slot; its generation moves on, over the wrap.
    pub(super) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.generation != generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = generation.wrapping_add(1);
        self.free.push(slot);
        Some(value)
    }

    /// How many slots are taken.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// What is in the slots, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = ((u32, u32), &T)> {
        (0u32..)
            .zip(&self.entries)
            .filter_map(|(slot, entry)| Some(((slot, entry.generation), entry.value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_outlives_its_slot_over_the_wrap() {
        let mut slots = Slots::new(u32::MAX - 1);
        let mut seen = Vec::new();
        for round in 0..4 {
            let (slot, generation) = slots.insert_with(|slot, generation| (slot, generation, round));
            assert_eq!(slot, 0, "the free slot is taken again");
            assert_eq!(slots.get(slot, generation), Some(&(slot, generation, round)));
            for old in &seen {
                assert_eq!(slots.get(0, *old), None);
                assert_eq!(slots.remove(0, *old), None);
            }
            assert!(slots.remove(slot, generation).is_some());
            assert!(slots.remove(slot, generation).is_none(), "only once");
            seen.push(generation);
        }
        assert_eq!(seen, [u32::MAX - 1, u32::MAX, 0, 1]);
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn slots_are_walked_in_order() {
        let mut slots = Slots::new(0);
        let handles: Vec<_> = (0..5).map(|value| slots.insert_with(|_, _| value)).collect();
        slots.remove(handles[1].0, handles[1].1);
        slots.remove(handles[3].0, handles[3].1);
        assert_eq!(slots.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(slots.len(), 3);
    }
}
