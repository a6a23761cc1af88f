//! Rows in chunks: a growing array whose elements never move and whose growth never copies.
//!
//! A `Vec` of a million rows doubles by copying 128 MB while every call waits; a chunk is added in microseconds.
//! The price is one more load, of a pointer that stays in the first-level cache (256 pointers for a million rows).

/// Elements of a chunk, as a power of two.
const CHUNK_BITS: u32 = 12;
const CHUNK: usize = 1 << CHUNK_BITS;

/// An array indexed by slot, grown by whole chunks.
#[derive(Debug)]
pub(in crate::dialog) struct Chunks<X> {
    chunks: Vec<Box<[X; CHUNK]>>,
}

impl<X> Chunks<X> {
    pub(in crate::dialog) fn new() -> Chunks<X> {
        Chunks { chunks: Vec::new() }
    }

    /// Elements that exist: a multiple of the chunk.
    pub(in crate::dialog) fn capacity(&self) -> usize {
        self.chunks.len() << CHUNK_BITS
    }

    /// Adds one chunk of what `make` gives.
    pub(in crate::dialog) fn grow(&mut self, make: impl FnMut() -> X) {
        let chunk: Vec<X> = std::iter::repeat_with(make).take(CHUNK).collect();
        if let Ok(chunk) = chunk.into_boxed_slice().try_into() {
            self.chunks.push(chunk);
        }
    }

    #[inline]
    pub(in crate::dialog) fn get(&self, slot: u32) -> Option<&X> {
        let chunk = self.chunks.get((slot >> CHUNK_BITS) as usize)?;
        chunk.get(slot as usize % CHUNK)
    }

    #[inline]
    pub(in crate::dialog) fn get_mut(&mut self, slot: u32) -> Option<&mut X> {
        let chunk = self.chunks.get_mut((slot >> CHUNK_BITS) as usize)?;
        chunk.get_mut(slot as usize % CHUNK)
    }

    pub(in crate::dialog) fn iter(&self) -> impl Iterator<Item = &X> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}
