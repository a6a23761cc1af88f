//! The lines of a session description.

use super::direction::Direction;
use std::ops::Range;

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Offset of the line.
    pub(super) start: usize,
    /// The letter before `=`; 0 when the line is none of `x=…`.
    pub(super) kind: u8,
    /// Without the line end.
    pub(super) content: &'a [u8],
    /// CRLF, LF, or nothing at the end of the body.
    pub(super) end_of_line: &'a [u8],
    /// Everything.
    pub(super) whole: &'a [u8],
}

impl<'a> Line<'a> {
    /// What follows `x=`.
    pub(super) fn value(&self) -> &'a [u8] {
        self.content.get(2..).unwrap_or_default()
    }

    /// The direction, if this is a direction attribute.
    pub(super) fn direction(&self) -> Option<Direction> {
        if self.kind == b'a' {
            Direction::from_attribute(self.value().trim_ascii())
        } else {
            None
        }
    }

    /// Where the address of a c-line stands: `c=IN IP4 <address>[/ttl]`.
    pub(super) fn address(&self) -> Option<Range<usize>> {
        let value = self.value();
        let word = value.rsplit(|octet| *octet == b' ').find(|word| !word.is_empty())?;
        let spaces = value.len() - value.trim_ascii_end().len();
        let start = value.len().checked_sub(spaces + word.len())?;
        let len = word.iter().position(|octet| *octet == b'/').unwrap_or(word.len());
        let start = self.start + 2 + start;
        Some(start..start + len)
    }
}

/// Splits at LF; a CR before it belongs to the line end.
pub(super) fn lines(data: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = data.get(start..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (whole, _) = rest.split_at_checked(len)?;
        let content = whole.strip_suffix(b"\n").unwrap_or(whole);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let end_of_line = whole.get(content.len()..)?;
        let kind = match content {
            [letter, b'=', ..] if letter.is_ascii_alphabetic() => *letter,
            _ => 0,
        };
        let line = Line {
            start,
            kind,
            content,
            end_of_line,
            whole,
        };
        start += len;
        Some(line)
    })
}
