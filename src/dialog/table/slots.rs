//! Slots: taken, chained into sets, released under the next generation, retired.

use super::row::{NONE, Row, State};
use super::{DialogHandle, Entry, Table};
use crate::dialog::seal::{Tag, TagParts};

impl<T> Table<T> {
    pub(super) fn occupy(
        &mut self,
        slot: u32,
        head: u32,
        parts: TagParts,
        call_id: &str,
        remote_tag: Option<&str>,
        make: impl FnOnce(DialogHandle, Tag) -> T,
    ) -> DialogHandle {
        let mut handle = DialogHandle {
            slot,
            generation: self.first_generation,
        };
        if let Some(row) = self.rows.get_mut(slot) {
            handle.generation = row.generation();
            row.occupy(call_id.as_bytes(), remote_tag.map(str::as_bytes));
        }
        let value = make(handle, self.seal.print(parts));
        if let Some(entry) = self.entries.get_mut(slot) {
            *entry = Some(Entry {
                parts,
                head,
                generation: handle.generation,
                value,
            });
            self.live += 1;
        }
        handle
    }

    /// A vacant slot, the table grown if need be.
    pub(super) fn take_slot(&mut self) -> u32 {
        while let Some(slot) = self.free.pop() {
            if self.rows.get(slot).is_some_and(|row| row.state() == State::Vacant) {
                return slot;
            }
        }
        let slot = self.used;
        self.grow_to(slot);
        self.used += 1;
        slot
    }

    fn grow_to(&mut self, slot: u32) {
        while self.rows.capacity() <= slot as usize {
            let generation = self.first_generation;
            self.rows.grow(|| Row::vacant(generation));
            self.entries.grow(|| None);
        }
    }

    /// Makes this very slot ready for a dialog of that generation; `false` if it is taken.
    pub(super) fn make_vacant(&mut self, slot: u32, generation: u32) -> bool {
        self.grow_to(slot);
        while self.used <= slot {
            self.free.push(self.used); // `slot` too: take_slot passes over it while it is taken
            self.used += 1;
        }
        match self.rows.get_mut(slot) {
            Some(row) if row.state() == State::Vacant => {
                row.vacate(generation);
                true
            }
            Some(_) | None => false,
        }
    }

    /// The last slot of a chain of forks, and how many it has.
    pub(super) fn chain_end(&self, head: u32) -> (u32, usize) {
        let (mut at, mut length) = (head, 1);
        while let Some(row) = self.rows.get(at)
            && row.next != NONE
        {
            at = row.next;
            length += 1;
        }
        (at, length)
    }

    pub(super) fn unlink(&mut self, head: u32, slot: u32) {
        let Some(next) = self.rows.get(slot).map(|row| row.next) else {
            return;
        };
        let mut at = head;
        while let Some(row) = self.rows.get_mut(at) {
            if row.next == slot {
                row.next = next;
                return;
            }
            at = row.next;
        }
    }

    /// The last dialog of a set has ended: so has its tag.
    pub(super) fn end_set(&mut self, head: u32, parts: TagParts) {
        self.adopted.remove(&parts);
        self.release(head);
    }

    /// Vacates a slot under the next generation, and retires it when that would be its first one again.
    pub(super) fn release(&mut self, slot: u32) {
        let Some(row) = self.rows.get_mut(slot) else {
            return;
        };
        row.vacate(row.generation().wrapping_add(1));
        if row.generation() != self.first_generation {
            self.free.push(slot);
        }
    }
}
