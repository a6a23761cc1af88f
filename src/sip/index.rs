//! Where everything of a message stands: spans into its octets.

use super::chars::cut;
use super::header_name::HeaderName;
use super::method::Method;

/// A piece of the header section. Empty means absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Span {
    /// Offsets beyond the largest header section (65,535 octets, checked by the scanner) do not occur.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u16,
            end: end as u16,
        }
    }

    #[inline]
    pub(crate) fn of(self, data: &[u8]) -> &[u8] {
        cut(data, usize::from(self.start), usize::from(self.end))
    }

    #[inline]
    pub(crate) fn text(self, data: &[u8]) -> Option<&str> {
        if self.start == self.end {
            None
        } else {
            std::str::from_utf8(self.of(data)).ok()
        }
    }
}

/// One header line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: HeaderName,
    /// Length of the name without white space before the colon.
    pub(crate) name_len: u8,
    /// Where the line starts.
    pub(crate) line: u16,
    /// The value, trimmed.
    pub(crate) value: Span,
}

impl Entry {
    pub(crate) const NONE: Entry = Entry {
        id: HeaderName::Other,
        name_len: 0,
        line: 0,
        value: Span { start: 0, end: 0 },
    };

    pub(crate) fn name<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        let line = usize::from(self.line);
        cut(data, line, line + usize::from(self.name_len))
    }
}

/// How many header lines an index holds without a second allocation.
const INLINE: usize = 26;

/// The header lines in order.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    len: usize,
    inline: [Entry; INLINE],
    more: Vec<Entry>,
}

impl Entries {
    pub(crate) const fn new() -> Entries {
        Entries {
            len: 0,
            inline: [Entry::NONE; INLINE],
            more: Vec::new(),
        }
    }

    /// Adds a line; `false` when that would be more than `most` (asked only beyond the inline ones).
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry, most: usize) -> bool {
        match self.inline.get_mut(self.len) {
            Some(place) => *place = entry,
            None if self.len >= most => return false,
            None => self.more.push(entry),
        }
        self.len += 1;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> + Clone + '_ {
        let inline = self.inline.get(..self.len).unwrap_or(&self.inline);
        inline.iter().chain(&self.more)
    }
}

/// The start line.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Request { uri: Span },
    Response { status: u16, reason: Span },
}

/// Everything that one pass finds.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) start: Start,
    /// Request: of the start line. Response: of CSeq.
    pub(crate) method: Method,
    /// The method of CSeq, where it is not `method`.
    pub(crate) cseq_method: Span,
    pub(crate) cseq: u32,
    pub(crate) call_id: Span,
    pub(crate) from_tag: Span,
    pub(crate) to_tag: Span,
    pub(crate) branch: Span,
    pub(crate) content_length: Option<u32>,
    pub(crate) entries: Entries,
    /// Where the header lines start.
    pub(crate) headers_start: u16,
    /// Where the empty line starts.
    pub(crate) headers_end: u16,
    /// Where the body starts; it ends with the message.
    pub(crate) body: usize,
}

impl Index {
    /// An index of nothing, to be filled by the scanner in its place.
    #[inline]
    pub(crate) const fn empty() -> Index {
        const NONE: Span = Span { start: 0, end: 0 };
        Index {
            start: Start::Request { uri: NONE },
            method: Method::Invite,
            cseq_method: NONE,
            cseq: 0,
            call_id: NONE,
            from_tag: NONE,
            to_tag: NONE,
            branch: NONE,
            content_length: None,
            entries: Entries::new(),
            headers_start: 0,
            headers_end: 0,
            body: 0,
        }
    }
}
