//! The table of dialogs that the edge owns: an array addressed by the sealed tag.
//!
//! **Owns** the match state of every dialog (128 bytes each for ordinary Call-IDs and tags) and, beside it, the
//! payload `T` of its user. **Refuses** to hash, to lock, to grow by copying, and to match on less than local tag,
//! Call-ID and remote tag; knows nothing of SIP methods or dialog states.
//!
//! **RFC sections**: RFC 3261 §12 (the dialog id), §12.1.2 and §13.2.2.4 (several dialogs from one request),
//! §12.2.2 (tags of a node that has gone); RFC 3891 §3 (what Replaces must match).
//!
//! | the tag | its row | result |
//! |---|---|---|
//! | not 32 of our characters | not read | `NotOurs` |
//! | MAC fails | not read | `Forged` |
//! | another node's, not adopted | not read | `OtherNode` |
//! | ours | other generation, or vacant | `Gone` |
//! | ours | same generation, other Call-ID | `Mismatch` |
//! | ours | remote tag not known yet | `Found`: the dialog set |
//! | ours | remote tag of the dialog or of a fork of it | `Found` |
//! | ours | none of these remote tags | `Mismatch` |
//!
//! A slot that is used again has a new generation, so the tag of an ended dialog never finds its successor. A slot
//! whose generations have all been used is retired: 128 bytes lost after four thousand million calls.
//!
//! ```
//! use warmline::dialog::{Match, Seal, TAG_LEN, Table};
//!
//! let mut table = Table::new(Seal::new([7; 16], 3), 1);
//! let mut ours = None;
//! let alice = table.insert_with("a84b4c76e66710@pc33", Some("1928301774"), |_handle, tag| {
//!     ours = Some(tag);
//!     "alice"
//! });
//! let tag = ours.expect("made");
//! assert_eq!(table.find(&tag, "a84b4c76e66710@pc33", "1928301774"), Match::Found(alice));
//! assert_eq!(table.find(&tag, "a84b4c76e66710@pc33", "stranger"), Match::Mismatch);
//! assert_eq!(table.remove(alice), Some("alice"));
//! assert_eq!(table.find(&tag, "a84b4c76e66710@pc33", "1928301774"), Match::Gone(alice));
//! ```

pub(super) mod chunks;
mod find;
pub(super) mod row;
mod slots;
#[cfg(test)]
mod tests;

pub use find::{BATCH, Match, Query};

use super::seal::{Seal, Tag, TagParts};
use chunks::Chunks;
use row::{NONE, Row, State};
use std::collections::BTreeMap;

/// Dialogs that one tag may name. A proxy that invents forks without end stops here.
pub const MAX_FORKS: usize = 32;

/// Slots beyond the table that an adopted tag may open at once: what one node ever had, and no memory bomb.
const ADOPT_AHEAD: usize = 1 << 22;

/// Names one dialog of a [`Table`] as long as it lives; a later dialog in the same slot has another generation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DialogHandle {
    /// Index into the table.
    pub slot: u32,
    /// Which user of that slot.
    pub generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    /// What the dialog's local tag says. Forks share their head's; adopted dialogs keep their first owner's.
    parts: TagParts,
    /// Slot of the first dialog of the set.
    head: u32,
    generation: u32,
    value: T,
}

/// Every dialog that the edge owns, found by its sealed local tag.
#[derive(Debug)]
pub struct Table<T> {
    seal: Seal,
    first_generation: u32,
    rows: Chunks<Row>,
    entries: Chunks<Option<Entry<T>>>,
    /// Free slots, latest first. May name a slot that an adopted dialog has taken since.
    free: Vec<u32>,
    /// Slots below this have been used or are in `free`.
    used: u32,
    live: usize,
    /// Tags that do not name their own slot here: adopted from another node, or from a process before this one.
    adopted: BTreeMap<TagParts, u32>,
    /// Who was looked at to be changed, or left; `None`: nobody asks.
    touched: Option<Vec<DialogHandle>>,
}

impl<T> Table<T> {
    /// An empty table. `first_generation` is the generation of every slot's first dialog: draw it at random for each
    /// process, because the seal's key outlives the process and RFC 3261 §19.3 forbids a tag to be used again.
    pub fn new(seal: Seal, first_generation: u32) -> Table<T> {
        Table {
            seal,
            first_generation,
            rows: Chunks::new(),
            entries: Chunks::new(),
            free: Vec::new(),
            used: 0,
            live: 0,
            adopted: BTreeMap::new(),
            touched: None,
        }
    }

    /// The seal that makes this table's tags.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Dialogs that live, each fork counted.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no dialog lives.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of match state: rows, and Call-IDs and tags that do not fit into them. Payload not counted.
    pub fn match_bytes(&self) -> usize {
        let heap: usize = self.rows.iter().map(Row::heap).sum();
        self.rows.capacity() * size_of::<Row>() + heap + self.free.capacity() * size_of::<u32>()
    }

    /// Adds a dialog under a fresh local tag, which `make` receives together with the handle.
    ///
    /// `remote_tag`: of a UAS, the From tag of the request, `Some("")` if it has none; of a UAC, `None` until a
    /// response tells it, and until then the entry stands for the whole dialog set.
    pub fn insert_with(
        &mut self,
        call_id: &str,
        remote_tag: Option<&str>,
        make: impl FnOnce(DialogHandle, Tag) -> T,
    ) -> DialogHandle {
        let slot = self.take_slot();
        let node = self.seal.node();
        if let Some(row) = self.rows.get_mut(slot) {
            // A tag of this slot that an earlier process gave away may live on in `adopted`.
            while self.adopted.contains_key(&TagParts {
                node,
                slot,
                generation: row.generation(),
            }) {
                row.vacate(row.generation().wrapping_add(1));
            }
        }
        let generation = self
            .rows
            .get(slot)
            .map_or(self.first_generation, |row| row.generation());
        self.occupy(
            slot,
            slot,
            TagParts { node, slot, generation },
            call_id,
            remote_tag,
            make,
        )
    }

    /// Adds another dialog of the set that `of` belongs to: same local tag and Call-ID, other remote tag
    /// (RFC 3261 §13.2.2.4). `None` if `of` has ended or the set is full ([`MAX_FORKS`]).
    pub fn fork(
        &mut self,
        of: DialogHandle,
        remote_tag: &str,
        make: impl FnOnce(DialogHandle, Tag) -> T,
    ) -> Option<DialogHandle> {
        let entry = self.entry(of)?;
        let (head, parts) = (entry.head, entry.parts);
        let call_id = self.call_id(of)?.to_owned();
        let (last, length) = self.chain_end(head);
        if length >= MAX_FORKS {
            return None;
        }
        let slot = self.take_slot();
        let handle = self.occupy(slot, head, parts, &call_id, Some(remote_tag), make);
        if let Some(row) = self.rows.get_mut(last) {
            row.next = slot;
        }
        Some(handle)
    }

    /// Adds a dialog that already has a tag of this cluster: restored after a restart, or taken over from another
    /// node. It keeps its tag; its own slot is used where that is free. `None` if the tag is not of this cluster or lives here.
    pub fn adopt(
        &mut self,
        tag: &str,
        call_id: &str,
        remote_tag: Option<&str>,
        make: impl FnOnce(DialogHandle, Tag) -> T,
    ) -> Option<DialogHandle> {
        let parts = self.seal.open(tag)?;
        if self.head(parts).is_some() {
            return None;
        }
        let near = (parts.slot as usize) < self.rows.capacity() + ADOPT_AHEAD;
        if parts.node == self.seal.node() && near && self.make_vacant(parts.slot, parts.generation) {
            return Some(self.occupy(parts.slot, parts.slot, parts, call_id, remote_tag, make));
        }
        let slot = self.take_slot();
        self.adopted.insert(parts, slot);
        Some(self.occupy(slot, slot, parts, call_id, remote_tag, make))
    }

    /// The dialog's payload, while it lives.
    #[inline]
    pub fn get(&self, handle: DialogHandle) -> Option<&T> {
        self.entry(handle).map(|entry| &entry.value)
    }

    /// The dialog's payload, to change.
    #[inline]
    pub fn get_mut(&mut self, handle: DialogHandle) -> Option<&mut T> {
        self.touch(handle);
        let entry = self.entries.get_mut(handle.slot)?.as_mut()?;
        (entry.generation == handle.generation).then_some(&mut entry.value)
    }

    /// The dialog's local tag.
    pub fn tag(&self, handle: DialogHandle) -> Option<Tag> {
        self.entry(handle).map(|entry| self.seal.print(entry.parts))
    }

    /// The dialog's Call-ID.
    pub fn call_id(&self, handle: DialogHandle) -> Option<&str> {
        self.entry(handle)?;
        std::str::from_utf8(self.rows.get(handle.slot)?.call_id()).ok()
    }

    /// The dialog's remote tag; `None` too while it is not known.
    pub fn remote_tag(&self, handle: DialogHandle) -> Option<&str> {
        self.entry(handle)?;
        let row = self.rows.get(handle.slot)?;
        match row.state() {
            State::Live => std::str::from_utf8(row.remote_tag()).ok(),
            State::Open | State::Ended | State::Vacant => None,
        }
    }

    /// A response has told the remote tag, or a later one another (RFC 3261 §12.1.2). `false`: the dialog has ended.
    pub fn set_remote_tag(&mut self, handle: DialogHandle, remote_tag: &str) -> bool {
        let lives = self.entry(handle).is_some();
        match self.rows.get_mut(handle.slot) {
            Some(row) if lives => {
                row.set_remote_tag(remote_tag.as_bytes());
                true
            }
            Some(_) | None => false,
        }
    }

    /// The dialogs of the same set, `handle`'s own among them, oldest first; empty if it has ended.
    pub fn forks(&self, handle: DialogHandle) -> impl Iterator<Item = DialogHandle> + '_ {
        let head = self.entry(handle).map(|entry| entry.head);
        let slots = std::iter::successors(head, |slot| {
            self.rows.get(*slot).map(|row| row.next).filter(|next| *next != NONE)
        });
        slots.filter_map(|slot| self.handle_at(slot))
    }

    /// Every live dialog, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (DialogHandle, &T)> {
        let entries = self.entries.iter().take(self.used as usize);
        (0..).zip(entries).filter_map(|(slot, entry)| {
            entry.as_ref().map(|entry| {
                (
                    DialogHandle {
                        slot,
                        generation: entry.generation,
                    },
                    &entry.value,
                )
            })
        })
    }

    /// Ends a dialog and gives its payload back. Its tag finds nothing any more, unless other forks of its set live.
    pub fn remove(&mut self, handle: DialogHandle) -> Option<T> {
        self.touch(handle);
        let (head, parts) = self.entry(handle).map(|entry| (entry.head, entry.parts))?;
        let entry = self.entries.get_mut(handle.slot)?.take()?;
        self.live -= 1;
        if handle.slot == head {
            match self.rows.get_mut(head) {
                Some(row) if row.next != NONE => row.end_head(),
                Some(_) | None => self.end_set(head, parts),
            }
        } else {
            self.unlink(head, handle.slot);
            self.release(handle.slot);
            if self
                .rows
                .get(head)
                .is_some_and(|row| row.state() == State::Ended && row.next == NONE)
            {
                self.end_set(head, parts);
            }
        }
        Some(entry.value)
    }

    /// From now on it is noted whose payload may have changed.
    pub fn watch(&mut self) {
        self.touched.get_or_insert_default();
    }

    /// Whose payload may have changed, or who has ended, since this was asked last; each once, in the order of their slots.
    pub fn take_touched(&mut self) -> Vec<DialogHandle> {
        let mut touched = self.touched.as_mut().map(std::mem::take).unwrap_or_default();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    #[inline]
    fn touch(&mut self, handle: DialogHandle) {
        if let Some(touched) = &mut self.touched
            && touched.last() != Some(&handle)
        {
            touched.push(handle);
        }
    }

    #[inline]
    fn entry(&self, handle: DialogHandle) -> Option<&Entry<T>> {
        let entry = self.entries.get(handle.slot)?.as_ref()?;
        (entry.generation == handle.generation).then_some(entry)
    }

    fn handle_at(&self, slot: u32) -> Option<DialogHandle> {
        let entry = self.entries.get(slot)?.as_ref()?;
        Some(DialogHandle {
            slot,
            generation: entry.generation,
        })
    }
}
