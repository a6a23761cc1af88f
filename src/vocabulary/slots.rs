//! A table addressed by handle: slot and generation, so that a handle of something that ended never reaches what took its place.

use std::marker::PhantomData;

/// Places beyond the table that a value may open at once when it comes back: no memory bomb.
const AHEAD: usize = 1 << 22;

/// What addresses a [`Slots`] table.
pub trait Handle: Copy {
    /// From its parts.
    fn new(slot: u32, generation: u32) -> Self;
    /// Slot and generation.
    fn parts(self) -> (u32, u32);
}

/// Values by handle, iterated in the order of their slots.
#[derive(Debug)]
pub struct Slots<H, T> {
    rows: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
    live: usize,
    /// The generation of a place that nobody has had.
    first: u32,
    /// Who was looked at to be changed, or left; `None`: nobody asks.
    touched: Option<Vec<H>>,
    handle: PhantomData<H>,
}

impl<H: Handle, T> Default for Slots<H, T> {
    fn default() -> Self {
        Slots {
            rows: Vec::new(),
            free: Vec::new(),
            live: 0,
            first: 0,
            touched: None,
            handle: PhantomData,
        }
    }
}

impl<H: Handle + Ord, T> Slots<H, T> {
    /// From now on it is noted which values may have changed. Handles begin at this generation, so that those of an
    /// earlier process name nothing here but what comes back by [`Slots::insert_at`].
    pub fn watch(&mut self, first: u32) {
        self.first = first;
        self.touched.get_or_insert_default();
    }

    /// Which values may have changed, or left, since this was asked last; each once, in the order of their slots.
    pub fn take_touched(&mut self) -> Vec<H> {
        let mut touched = self.touched.as_mut().map(std::mem::take).unwrap_or_default();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Puts a value in under the handle that it had; `false`: its place is taken, or is beyond what one process ever had.
    pub fn insert_at(&mut self, handle: H, value: T) -> bool {
        let (slot, generation) = handle.parts();
        if slot as usize >= self.rows.len() + AHEAD {
            return false;
        }
        while self.rows.len() <= slot as usize {
            self.free.push(self.rows.len() as u32);
            self.rows.push((self.first, None));
        }
        match self.rows.get_mut(slot as usize) {
            Some(row) if row.1.is_none() => *row = (generation, Some(value)),
            Some(_) | None => return false,
        }
        self.live += 1;
        self.touch(handle);
        true
    }
}

impl<H: Handle, T> Slots<H, T> {
    /// Puts in what `make` makes of its own handle.
    pub fn insert_with(&mut self, make: impl FnOnce(H) -> T) -> H {
        // A place that is free may have been taken by its former owner in the meantime.
        let vacant =
            |rows: &[(u32, Option<T>)], slot: &u32| rows.get(*slot as usize).is_some_and(|row| row.1.is_none());
        let slot = loop {
            match self.free.pop() {
                Some(slot) if vacant(&self.rows, &slot) => break slot,
                Some(_) => {}
                None => {
                    self.rows.push((self.first, None));
                    break u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX);
                }
            }
        };
        let row = &mut self.rows[slot as usize];
        let handle = H::new(slot, row.0);
        row.1 = Some(make(handle));
        self.live += 1;
        self.touch(handle);
        handle
    }

    /// The value, while it lives.
    pub fn get(&self, handle: H) -> Option<&T> {
        let (slot, generation) = handle.parts();
        self.rows
            .get(slot as usize)
            .filter(|row| row.0 == generation)
            .and_then(|row| row.1.as_ref())
    }

    /// The value, while it lives.
    pub fn get_mut(&mut self, handle: H) -> Option<&mut T> {
        self.touch(handle);
        let (slot, generation) = handle.parts();
        self.rows
            .get_mut(slot as usize)
            .filter(|row| row.0 == generation)
            .and_then(|row| row.1.as_mut())
    }

    /// Takes the value out; the handle is dead from now on, also after 2^32 reuses of the slot came by only one in 2^32.
    pub fn remove(&mut self, handle: H) -> Option<T> {
        self.touch(handle);
        let (slot, generation) = handle.parts();
        let row = self.rows.get_mut(slot as usize).filter(|row| row.0 == generation)?;
        let value = row.1.take()?;
        row.0 = row.0.wrapping_add(1);
        self.free.push(slot);
        self.live -= 1;
        Some(value)
    }

    #[inline]
    fn touch(&mut self, handle: H) {
        if let Some(touched) = &mut self.touched {
            touched.push(handle);
        }
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// All values in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (H, &T)> {
        self.rows.iter().enumerate().filter_map(|(slot, (generation, value))| {
            value.as_ref().map(|value| (H::new(slot as u32, *generation), value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::CallHandle;

    #[test]
    fn a_handle_of_what_ended_reaches_nothing() {
        let mut slots: Slots<CallHandle, &str> = Slots::default();
        let first = slots.insert_with(|_| "first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert_with(|_| "second");
        assert_eq!(
            (second.slot, slots.get(first), slots.get(second)),
            (first.slot, None, Some(&"second"))
        );
        assert_eq!((slots.remove(first), slots.len()), (None, 1));
    }

    #[test]
    fn a_generation_goes_on_over_its_wrap() {
        let mut slots: Slots<CallHandle, &str> = Slots::default();
        let early = slots.insert_with(|_| "early");
        slots.remove(early);
        slots.rows[0].0 = u32::MAX;
        let last = slots.insert_with(|_| "last");
        assert_eq!((last.slot, last.generation), (0, u32::MAX));
        slots.remove(last);
        let next = slots.insert_with(|_| "next");
        assert_eq!((next.slot, next.generation), (0, 0));
        assert_eq!((slots.get(last), slots.get(next)), (None, Some(&"next")));
    }
}
