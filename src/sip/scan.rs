//! The one pass over a message that builds its [`Index`].

use super::chars::{cut, decimal_u32, is_printable, is_token, is_uri_text, trim_end, trim_start};
use super::error::{ParseError, ParseErrorKind};
use super::find::{find, find_line_end};
use super::header_name::{HeaderName, known_at};
use super::identifiers::{branch_of, cseq_of, tag_of};
use super::index::{Entry, Index, Span, Start};
use super::limits::Limits;
use super::method::Method;
use memchr::memrchr;

/// The longest header section: its offsets are 16 bits wide.
const LONGEST_HEAD: usize = 65_535;

const fn bad(header: HeaderName) -> ParseError {
    ParseError::at(ParseErrorKind::Value, header)
}

const fn wrong(kind: ParseErrorKind) -> ParseError {
    ParseError::new(kind)
}

/// How many octets of CRLF stand before the start line (RFC 3261 §7.5: they are ignored).
pub(crate) fn leading_crlf(data: &[u8]) -> usize {
    data.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count()
}

/// Indexes the message at the start of `data` into an empty index; `data` may be longer than the message.
pub(crate) fn scan(data: &[u8], limits: &Limits, index: &mut Index) -> Result<(), ParseError> {
    let first = find_line_end(data).ok_or(wrong(ParseErrorKind::StartLine))?;
    if first > limits.header_line.min(LONGEST_HEAD) {
        return Err(wrong(ParseErrorKind::UriTooLong));
    }
    let (line, rest) = data.split_at_checked(first).ok_or(wrong(ParseErrorKind::StartLine))?;
    if !rest.starts_with(b"\r\n") {
        return Err(wrong(ParseErrorKind::StartLine));
    }
    start_line(line, limits, index)?;
    index.headers_start = (first + 2) as u16;
    let mut seen = Seen::default();
    header_lines(data, first + 2, limits, index, &mut seen)?;
    seen.complete()?;
    match index.start {
        Start::Request { .. } => {}
        Start::Response { .. } => {
            index.method = Method::parse(index.cseq_method.of(data)).map_err(|_| bad(HeaderName::CSeq))?;
        }
    }
    Ok(())
}

/// Indexes the lines from `at` to the empty one.
#[inline(never)]
fn header_lines(
    data: &[u8],
    mut at: usize,
    limits: &Limits,
    index: &mut Index,
    seen: &mut Seen,
) -> Result<(), ParseError> {
    loop {
        let Some(line) = data.get(at..) else {
            return Err(wrong(ParseErrorKind::Unterminated));
        };
        match line.first() {
            // RFC 3261 §7: an empty line ends the headers.
            Some(b'\r') => break,
            Some(_) => {}
            None => return Err(wrong(ParseErrorKind::Unterminated)),
        }
        let (id, name_len, colon) = match known_at(line) {
            Some((id, colon)) => (id, colon as u8, colon),
            None => header_name(line)?,
        };
        let Some(after) = line.get(colon + 1..) else {
            return Err(wrong(ParseErrorKind::Unterminated));
        };
        let mut end = find_line_end(after).ok_or(wrong(ParseErrorKind::Unterminated))?;
        let value = loop {
            match after.split_at_checked(end) {
                // A line that starts with white space continues the one before (RFC 3261 §7.3.1).
                Some((_, [b'\r', b'\n', b' ' | b'\t', ..])) => end = folded(after, end)?,
                Some((value, [b'\r', b'\n', ..])) => break value,
                // A bare CR or LF is neither a line end nor content: two elements that read it differently would see
                // two different messages.
                Some(_) | None => return Err(wrong(ParseErrorKind::HeaderLine)),
            }
        };
        // Nearly always a value has one space in front and nothing behind.
        let (start, stop) = match value {
            [b' ', first, .., last] if *first > b' ' && *last > b' ' => (1, end),
            _ => trimmed(value),
        };
        let next = at + colon + 3 + end;
        let base = at + colon + 1;
        let value = Span::new(base + start, base + stop);
        let entry = Entry {
            id,
            name_len,
            line: at as u16,
            value,
        };
        if next - at > limits.header_line || next > LONGEST_HEAD || !index.entries.push(entry, limits.headers) {
            return Err(wrong(ParseErrorKind::HeadersTooLarge));
        }
        if id <= HeaderName::ContentLength {
            meaning(data, id, value, index, seen)?;
        }
        at = next;
    }
    if data.get(at + 1) != Some(&b'\n') {
        return Err(wrong(ParseErrorKind::HeaderLine));
    }
    if index.entries.len() > limits.headers {
        return Err(wrong(ParseErrorKind::HeadersTooLarge));
    }
    index.headers_end = at as u16;
    index.body = at + 2;
    Ok(())
}

/// Where the continuation line behind the line end at `end` ends.
#[inline(never)]
fn folded(after: &[u8], end: usize) -> Result<usize, ParseError> {
    let more = find_line_end(after.get(end + 2..).unwrap_or_default());
    Ok(end + 2 + more.ok_or(wrong(ParseErrorKind::Unterminated))?)
}

/// Where a value starts and ends without the white space around it.
#[inline(never)]
fn trimmed(value: &[u8]) -> (usize, usize) {
    let stop = trim_end(value).len();
    (stop - trim_start(cut(value, 0, stop)).len(), stop)
}

/// Which of the mandatory fields have come.
#[derive(Default)]
struct Seen {
    via: bool,
    from: bool,
    to: bool,
    call_id: bool,
    cseq: bool,
}

impl Seen {
    /// RFC 3261 §8.1.1: what every message has. Max-Forwards came after RFC 2543 and may be missing.
    fn complete(&self) -> Result<(), ParseError> {
        let missing = |name| Err(ParseError::at(ParseErrorKind::Missing, name));
        match self {
            Seen { via: false, .. } => missing(HeaderName::Via),
            Seen { from: false, .. } => missing(HeaderName::From),
            Seen { to: false, .. } => missing(HeaderName::To),
            Seen { call_id: false, .. } => missing(HeaderName::CallId),
            Seen { cseq: false, .. } => missing(HeaderName::CSeq),
            Seen {
                via: true,
                from: true,
                to: true,
                call_id: true,
                cseq: true,
            } => Ok(()),
        }
    }
}

/// RFC 3261 §7.1 and §7.2. Exactly one SP between the elements and none after them.
fn start_line(line: &[u8], limits: &Limits, index: &mut Index) -> Result<(), ParseError> {
    let space = find(line, b' ').ok_or(wrong(ParseErrorKind::StartLine))?;
    let first = cut(line, 0, space);
    // A "/" is no token octet: this is a Status-Line and no method.
    if first.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/")) {
        version(first)?;
        let code = cut(line, space + 1, space + 4);
        let status = decimal_u32(code).and_then(|code| u16::try_from(code).ok());
        let status = status
            .filter(|code| code_in_range(*code))
            .ok_or(wrong(ParseErrorKind::StartLine))?;
        let reason = match line.get(space + 4) {
            // noreason of RFC 4475 has the SP; a phrase-less line without it is let pass.
            None => Span::default(),
            Some(b' ') => Span::new(space + 5, line.len()),
            Some(_) => return Err(wrong(ParseErrorKind::StartLine)),
        };
        index.start = Start::Response { status, reason };
        return Ok(());
    }
    let last = match line.strip_suffix(b" SIP/2.0") {
        Some(before) => before.len(),
        None => memrchr(b' ', line).ok_or(wrong(ParseErrorKind::StartLine))?,
    };
    let uri = cut(line, space + 1, last);
    if !is_uri_text(uri) {
        return Err(wrong(ParseErrorKind::StartLine));
    }
    index.method = Method::parse(first)?;
    version(cut(line, last + 1, line.len()))?;
    if uri.len() > limits.uri {
        return Err(wrong(ParseErrorKind::UriTooLong));
    }
    index.start = Start::Request {
        uri: Span::new(space + 1, last),
    };
    Ok(())
}

fn code_in_range(code: u16) -> bool {
    (100..=699).contains(&code)
}

/// `SIP/2.0`, in any case (RFC 3261 §7.1). Another number is 505, anything else is no SIP.
fn version(text: &[u8]) -> Result<(), ParseError> {
    if text == b"SIP/2.0" || text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let number = text
        .get(..4)
        .filter(|name| name.eq_ignore_ascii_case(b"SIP/"))
        .and(text.get(4..));
    let is_number = number.is_some_and(|n| {
        n.contains(&b'.')
            && n.first().is_some_and(u8::is_ascii_digit)
            && n.iter().all(|o| o.is_ascii_digit() || *o == b'.')
    });
    Err(wrong(if is_number {
        ParseErrorKind::Version
    } else {
        ParseErrorKind::StartLine
    }))
}

/// A header name that was not known at first sight: its number, its length, and where its colon stands. White space may
/// stand behind it (RFC 3261 §7.3.1); a control or anything else that is no token may not: a hop behind us could read
/// another name.
#[inline(never)]
fn header_name(line: &[u8]) -> Result<(HeaderName, u8, usize), ParseError> {
    // Beyond the end of the line this finds a "name" with a CRLF in it, which is none.
    let colon = find(line, b':').ok_or_else(|| match find_line_end(line) {
        Some(_) => wrong(ParseErrorKind::HeaderLine),
        None => wrong(ParseErrorKind::Unterminated),
    })?;
    let mut name = cut(line, 0, colon);
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    match u8::try_from(name.len()) {
        Ok(len) if is_token(name) => Ok((HeaderName::lookup(name), len, colon)),
        Ok(_) | Err(_) => Err(wrong(ParseErrorKind::HeaderLine)),
    }
}

/// Reads the fields that transaction and dialog matching need.
fn meaning(data: &[u8], id: HeaderName, value: Span, index: &mut Index, seen: &mut Seen) -> Result<(), ParseError> {
    let text = value.of(data);
    let once = |seen: &mut bool| {
        if std::mem::replace(seen, true) {
            Err(ParseError::at(ParseErrorKind::Duplicate, id))
        } else {
            Ok(())
        }
    };
    if id == HeaderName::Via {
        if !seen.via {
            seen.via = true;
            index.branch = branch_of(text, value)?;
        }
    } else if id == HeaderName::From {
        once(&mut seen.from)?;
        index.from_tag = tag_of(text, value).ok_or(bad(id))?;
    } else if id == HeaderName::To {
        once(&mut seen.to)?;
        index.to_tag = tag_of(text, value).ok_or(bad(id))?;
    } else if id == HeaderName::CallId {
        once(&mut seen.call_id)?;
        // Printable ASCII in one piece: wider than `word ["@" word]`, and what every peer compares alike.
        if !is_printable(text) {
            return Err(bad(id));
        }
        index.call_id = value;
    } else if id == HeaderName::CSeq {
        once(&mut seen.cseq)?;
        (index.cseq, index.cseq_method) = cseq_of(text, value).ok_or(bad(id))?;
    } else {
        let length = decimal_u32(text).ok_or(bad(id))?;
        // Two lines that agree are let pass; two that differ are a smuggler's (RFC 4475 §3.3.9).
        if index.content_length.is_some_and(|before| before != length) {
            return Err(ParseError::at(ParseErrorKind::Duplicate, id));
        }
        index.content_length = Some(length);
    }
    Ok(())
}
