//! The match row: all that a look-up reads of a dialog, in two adjacent cache lines.
//!
//! There is no fingerprint beside the texts. A fingerprint saves reading the Call-ID and the remote tag where they
//! lie elsewhere; here they lie in the row itself, and comparing them is both cheaper than hashing the query and exact.

/// Call-ID and remote tag together, in bytes, that a row holds itself. A UUID, a host name and a tag of 32 fit.
pub(super) const INLINE: usize = 109;

/// No slot: the end of a chain of forks.
pub(super) const NONE: u32 = u32::MAX;

/// What a row stands for.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
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
pub(super) struct Row {
    pub(super) generation: u32,
    /// The next dialog of the same set (same local tag, other remote tag).
    pub(super) next: u32,
    /// Texts that do not fit; then the inline lengths mean nothing.
    long: Option<Box<Long>>,
    text: [u8; INLINE],
    pub(super) state: State,
    call_id_len: u8,
    remote_len: u8,
}

const _: () = assert!(size_of::<Row>() == 128, "a look-up reads two cache lines");

#[derive(Debug)]
struct Long {
    call_id: Box<[u8]>,
    remote_tag: Box<[u8]>,
}

impl Row {
    pub(super) fn vacant(generation: u32) -> Row {
        Row {
            generation,
            next: NONE,
            long: None,
            text: [0; INLINE],
            state: State::Vacant,
            call_id_len: 0,
            remote_len: 0,
        }
    }

    /// Takes the row into use. No remote tag: a dialog set.
    pub(super) fn occupy(&mut self, call_id: &[u8], remote_tag: Option<&[u8]>) {
        self.next = NONE;
        self.state = if remote_tag.is_some() { State::Live } else { State::Open };
        self.write(call_id, remote_tag.unwrap_or_default());
    }

    /// The remote tag has become known, or has changed.
    pub(super) fn set_remote_tag(&mut self, remote_tag: &[u8]) {
        let call_id = self.call_id().to_vec();
        self.write(&call_id, remote_tag);
        self.state = State::Live;
    }

    pub(super) fn vacate(&mut self) {
        self.state = State::Vacant;
        self.next = NONE;
        self.long = None;
        (self.call_id_len, self.remote_len) = (0, 0);
    }

    fn write(&mut self, call_id: &[u8], remote_tag: &[u8]) {
        let fits = call_id.len() + remote_tag.len() <= INLINE;
        match (u8::try_from(call_id.len()), u8::try_from(remote_tag.len())) {
            (Ok(call_id_len), Ok(remote_len)) if fits => {
                self.long = None;
                (self.call_id_len, self.remote_len) = (call_id_len, remote_len);
                for (to, from) in self.text.iter_mut().zip(call_id.iter().chain(remote_tag)) {
                    *to = *from;
                }
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                (self.call_id_len, self.remote_len) = (0, 0);
                self.long = Some(Box::new(Long {
                    call_id: call_id.into(),
                    remote_tag: remote_tag.into(),
                }));
            }
        }
    }

    #[inline]
    pub(super) fn call_id(&self) -> &[u8] {
        match &self.long {
            None => self.text.get(..usize::from(self.call_id_len)).unwrap_or_default(),
            Some(long) => &long.call_id,
        }
    }

    #[inline]
    pub(super) fn remote_tag(&self) -> &[u8] {
        match &self.long {
            None => {
                let start = usize::from(self.call_id_len);
                self.text
                    .get(start..start + usize::from(self.remote_len))
                    .unwrap_or_default()
            }
            Some(long) => &long.remote_tag,
        }
    }

    /// Bytes on the heap beside the row.
    pub(super) fn heap(&self) -> usize {
        self.long
            .as_ref()
            .map_or(0, |long| size_of::<Long>() + long.call_id.len() + long.remote_tag.len())
    }

    /// A word of each of the row's two lines. Reading it early brings both into the cache.
    #[inline]
    pub(super) fn touch(&self) -> u32 {
        self.generation ^ u32::from(self.remote_len)
    }
}
