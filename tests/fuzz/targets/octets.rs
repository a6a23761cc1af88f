//! Octets read as decisions: an input that is too short says 0 for ever, so that every input is a whole program.

/// What is left of an input.
pub(super) struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Octets<'a> {
        Octets(octets)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> u8 {
        self.some(1).first().copied().unwrap_or_default()
    }

    /// At most so many.
    pub(super) fn some(&mut self, count: usize) -> &'a [u8] {
        let (some, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        some
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = usize::from(self.next()) % from.len();
        from[at]
    }
}

/// Cuts an input into stretches at a mark that no text has: `0xff`.
pub(super) fn stretches(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    octets.split(|octet| *octet == 0xff)
}
