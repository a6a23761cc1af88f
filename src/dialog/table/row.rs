//! The match row: all that a look-up reads of a dialog, in two adjacent cache lines.
//!
//! There is no fingerprint beside the texts. A fingerprint saves reading the Call-ID and the remote tag where they
//! lie elsewhere; here they lie in the row itself, and comparing them is both cheaper than hashing the query and exact.

/// Call-ID and remote tag together, in bytes, that a row holds itself. A UUID, a host name and a tag of 32 fit.
const INLINE: usize = 108;

/// In place of the Call-ID's length: the texts did not fit. No inline text is so long.
const LONG: usize = 0xfff;

/// No slot: the end of a chain of forks.
pub(in crate::dialog) const NONE: u32 = u32::MAX;

/// What a row stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::dialog) enum State {
    /// Nobody: free, or retired because its generations are used up.
    Vacant,
    /// A dialog set whose remote tag is not known yet: any remote tag is ours.
    Open,
    /// A dialog with both tags. A peer of RFC 2543 has the empty one.
    Live,
    /// The first dialog of a set has ended and other forks of it live: the row only leads to them.
    Ended,
}

/// One dialog's match state: 128 bytes.
#[repr(C, align(128))]
#[derive(Debug)]
pub(in crate::dialog) struct Row {
    /// Generation, state and the lengths of both texts: what must agree before the texts are worth comparing.
    shape: u64,
    /// Call-ID, then remote tag.
    text: [u8; INLINE],
    /// The next dialog of the same set (same local tag, other remote tag).
    pub(in crate::dialog) next: u32,
    /// Texts that do not fit.
    long: Option<Box<Long>>,
}

const _: () = assert!(size_of::<Row>() == 128, "a look-up reads two cache lines");

#[derive(Debug)]
struct Long {
    call_id: Box<[u8]>,
    remote_tag: Box<[u8]>,
}

/// Bits 0–31 generation, 32–33 state, 40–51 and 52–63 the lengths. Lengths of a query may overflow their bits; then
/// the texts tell.
#[inline]
fn shape(generation: u32, state: State, call_id_len: usize, remote_len: usize) -> u64 {
    u64::from(generation) | (state as u64) << 32 | (call_id_len as u64) << 40 | (remote_len as u64) << 52
}

impl Row {
    pub(in crate::dialog) fn vacant(generation: u32) -> Row {
        Row {
            shape: shape(generation, State::Vacant, 0, 0),
            text: [0; INLINE],
            next: NONE,
            long: None,
        }
    }

    pub(in crate::dialog) fn generation(&self) -> u32 {
        self.shape as u32
    }

    pub(in crate::dialog) fn state(&self) -> State {
        match self.shape >> 32 & 3 {
            0 => State::Vacant,
            1 => State::Open,
            2 => State::Live,
            _ => State::Ended,
        }
    }

    fn lengths(&self) -> (usize, usize) {
        ((self.shape >> 40 & 0xfff) as usize, (self.shape >> 52) as usize)
    }

    /// The ordinary case in one piece: a live dialog of this generation, with these texts, all of them in the row.
    #[inline]
    pub(in crate::dialog) fn is(&self, generation: u32, call_id: &[u8], remote_tag: &[u8]) -> bool {
        self.shape == shape(generation, State::Live, call_id.len(), remote_tag.len())
            && self.text.get(..call_id.len()) == Some(call_id)
            && self.text.get(call_id.len()..call_id.len() + remote_tag.len()) == Some(remote_tag)
    }

    /// Takes the row into use, in its generation. No remote tag: a dialog set.
    pub(in crate::dialog) fn occupy(&mut self, call_id: &[u8], remote_tag: Option<&[u8]>) {
        self.next = NONE;
        let state = if remote_tag.is_some() { State::Live } else { State::Open };
        self.write(state, call_id, remote_tag.unwrap_or_default());
    }

    /// The remote tag has become known, or has changed.
    pub(in crate::dialog) fn set_remote_tag(&mut self, remote_tag: &[u8]) {
        let call_id = self.call_id().to_vec();
        self.write(State::Live, &call_id, remote_tag);
    }

    /// The first dialog of a set has ended; its Call-ID is that of the others too.
    pub(in crate::dialog) fn end_head(&mut self) {
        let (call_id_len, remote_len) = self.lengths();
        self.shape = shape(self.generation(), State::Ended, call_id_len, remote_len);
    }

    /// Empties the row; its next dialog will be of this generation.
    pub(in crate::dialog) fn vacate(&mut self, generation: u32) {
        self.shape = shape(generation, State::Vacant, 0, 0);
        self.next = NONE;
        self.long = None;
    }

    fn write(&mut self, state: State, call_id: &[u8], remote_tag: &[u8]) {
        if call_id.len() + remote_tag.len() <= INLINE {
            self.long = None;
            self.shape = shape(self.generation(), state, call_id.len(), remote_tag.len());
            for (to, from) in self.text.iter_mut().zip(call_id.iter().chain(remote_tag)) {
                *to = *from;
            }
        } else {
            self.shape = shape(self.generation(), state, LONG, 0);
            self.long = Some(Box::new(Long {
                call_id: call_id.into(),
                remote_tag: remote_tag.into(),
            }));
        }
    }

    pub(in crate::dialog) fn call_id(&self) -> &[u8] {
        match &self.long {
            None => self.text.get(..self.lengths().0).unwrap_or_default(),
            Some(long) => &long.call_id,
        }
    }

    pub(in crate::dialog) fn remote_tag(&self) -> &[u8] {
        let (call_id_len, remote_len) = self.lengths();
        match &self.long {
            None => self.text.get(call_id_len..call_id_len + remote_len).unwrap_or_default(),
            Some(long) => &long.remote_tag,
        }
    }

    /// Bytes on the heap beside the row.
    pub(in crate::dialog) fn heap(&self) -> usize {
        self.long
            .as_ref()
            .map_or(0, |long| size_of::<Long>() + long.call_id.len() + long.remote_tag.len())
    }

    /// A word of each of the row's two lines. Reading it early brings both into the cache.
    #[inline]
    pub(in crate::dialog) fn touch(&self) -> u32 {
        self.shape as u32 ^ self.next
    }
}
