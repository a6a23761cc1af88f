//! The identifiers inside From, To, Via and CSeq values, read where they stand.

use super::chars::{cut, is_token, quoted_len, trim_end, trim_start};
use super::error::{ParseError, ParseErrorKind};
use super::find::{find, find2, find3};
use super::header_name::HeaderName;
use super::index::Span;

/// `1*DIGIT LWS Method`. RFC 3261 §8.1.1.5 allows less than 2³¹; what fits 32 bits is let pass, nothing wraps.
pub(crate) fn cseq_of(text: &[u8], span: Span) -> Option<(u32, Span)> {
    let mut number = 0u32;
    let mut rest = text;
    while let Some((digit @ b'0'..=b'9', next)) = rest.split_first() {
        number = number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))?;
        rest = next;
    }
    let method = trim_start(rest);
    if rest.len() == text.len() || method.len() == rest.len() || !is_token(method) {
        return None;
    }
    let end = usize::from(span.end);
    Some((number, Span::new(end - method.len(), end)))
}

/// The `tag` of a From or To value: empty when there is none, `None` when the value cannot be read or has two.
pub(crate) fn tag_of(text: &[u8], span: Span) -> Option<Span> {
    let params = after_address(text)?;
    let end = usize::from(span.end);
    // Nearly always the tag is the only parameter.
    if let Some((b";tag=", tag)) = params.split_first_chunk::<5>()
        && is_token(tag)
    {
        return Some(Span::new(end - tag.len(), end));
    }
    param_span(params, end, b"tag", false)
}

/// What stands behind the address of a From or To value; `None` when that does not end.
#[inline]
fn after_address(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    // Over the display name to the `<` or, without one, to the first `;`.
    loop {
        match rest.first()? {
            b'"' => rest = trim_start(rest.get(quoted_len(rest)?..)?),
            b'<' => return rest.get(find(rest, b'>')? + 1..),
            b';' => return Some(rest),
            _ => match find3(rest, b'"', b'<', b';') {
                Some(at) => rest = rest.get(at..)?,
                None => return Some(&[]),
            },
        }
    }
}

/// The `branch` of the first value of a Via line, as the index wants it.
pub(crate) fn branch_of(text: &[u8], span: Span) -> Result<Span, ParseError> {
    let start = find2(text, b';', b',').unwrap_or(text.len());
    let params = cut(text, start, text.len());
    let found = match first_branch(params, usize::from(span.end)) {
        Some(found) => found,
        None => param_span(params, usize::from(span.end), b"branch", true)
            .ok_or(ParseError::at(ParseErrorKind::Value, HeaderName::Via))?,
    };
    // RFC 4475 §3.2.1: the magic cookie alone names no transaction; it must not make all such requests one.
    let bare = found.end - found.start == 7 && {
        let from = usize::from(found.start) - usize::from(span.start);
        cut(text, from, from + 7).eq_ignore_ascii_case(b"z9hG4bK")
    };
    Ok(if bare { Span::default() } else { found })
}

/// The branch where it comes first and what follows is too short for another one, as nearly always.
#[inline]
fn first_branch(params: &[u8], end: usize) -> Option<Span> {
    let (b";branch=", rest) = params.split_first_chunk::<8>()? else {
        return None;
    };
    let (branch, tail) = rest.split_at_checked(find2(rest, b';', b',').unwrap_or(rest.len()))?;
    if tail.len() > b";branch=".len() || !is_token(branch) {
        return None;
    }
    let stop = end - tail.len();
    Some(Span::new(stop - branch.len(), stop))
}

/// Looks for one parameter in a list that starts with white space or `;` and ends at offset `end` of the message; stops
/// at a comma where the field is a list. `None` for a broken list or for two of that name; an empty span when it is not
/// there.
fn param_span<const N: usize>(text: &[u8], end: usize, wanted: &[u8; N], list: bool) -> Option<Span> {
    let mut found = Span::default();
    let mut rest = trim_start(text);
    while let Some((first, next)) = rest.split_first() {
        match first {
            b';' => {}
            b',' if list => break,
            _ => return None,
        }
        let (param, tail) = next.split_at_checked(param_end(next, list)?)?;
        rest = tail;
        if let Some(value) = value_of(trim_start(param), wanted) {
            let trimmed = trim_end(value);
            // What is no token, or stands twice, the next hop could read otherwise and match another dialog.
            if found.end != 0 || !is_token(trimmed) {
                return None;
            }
            let stop = end - tail.len() - (value.len() - trimmed.len());
            found = Span::new(stop - trimmed.len(), stop);
        }
    }
    Some(found)
}

/// What follows `name =`, if the parameter has this name (in lower case here, in any case there).
#[inline]
fn value_of<'a, const N: usize>(param: &'a [u8], name: &[u8; N]) -> Option<&'a [u8]> {
    let (start, rest) = param.split_first_chunk::<N>()?;
    let differs = start
        .iter()
        .zip(name)
        .fold(0, |differs, (a, b)| differs | ((a | 0x20) ^ b));
    if differs != 0 {
        return None;
    }
    match trim_start(rest).split_first() {
        Some((b'=', value)) => Some(trim_start(value)),
        Some(_) | None => None,
    }
}

/// Where a parameter ends; `None` for a quoted string that does not.
#[inline]
fn param_end(text: &[u8], list: bool) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let Some(at) = find3(rest, b';', b'"', b',') else {
            return Some(text.len());
        };
        match rest.get(at) {
            Some(b'"') => from += at + quoted_len(rest.get(at..)?)?,
            Some(b',') if !list => from += at + 1,
            Some(_) | None => return Some(from + at),
        }
    }
}
