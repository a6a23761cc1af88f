//! The one pass over a message that builds its [`Index`].

use super::chars::{cut, decimal_u32, is_lws, is_printable, is_token, is_uri_text, quoted_len, trim_end, trim_start};
use super::error::{ParseError, ParseErrorKind};
use super::find::{count, find, find_line_feed, find2, find3};
use super::header_name::HeaderName;
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
    let mut lines = Lines { data, ends: 0 };
    let line_end = lines.end(0).ok_or(wrong(ParseErrorKind::StartLine))?;
    if line_end > limits.header_line.min(LONGEST_HEAD) {
        return Err(wrong(ParseErrorKind::UriTooLong));
    }
    start_line(cut(data, 0, line_end), limits, index)?;
    index.headers_start = (line_end + 2) as u16;
    let mut seen = Seen::default();
    let mut at = line_end + 2;
    while *data.get(at).ok_or(wrong(ParseErrorKind::Unterminated))? != b'\r' {
        at = header_line(&mut lines, at, limits, index, &mut seen)?;
    }
    if data.get(at + 1) != Some(&b'\n') {
        return Err(wrong(ParseErrorKind::HeaderLine));
    }
    lines.ends += 1;
    // Every CR belongs to a line end: two elements that read a bare one differently would see different messages.
    if count(cut(data, 0, at + 2), b'\r') != lines.ends {
        return Err(wrong(ParseErrorKind::HeaderLine));
    }
    index.headers_end = at as u16;
    index.body = at + 2;
    seen.complete()?;
    match index.start {
        Start::Request { .. } => {}
        Start::Response { .. } => {
            index.method = Method::parse(index.cseq_method.of(data)).map_err(|_| bad(HeaderName::CSeq))?;
        }
    }
    Ok(())
}

/// The line ends that were met.
struct Lines<'a> {
    data: &'a [u8],
    ends: usize,
}

impl Lines<'_> {
    /// The offset of the CR of the next CRLF; `None` when there is none or a bare LF comes before it.
    #[inline]
    fn end(&mut self, from: usize) -> Option<usize> {
        let at = from + find_line_feed(self.data.get(from..)?)?;
        let cr = at.checked_sub(1)?;
        self.ends += 1;
        (cr >= from && self.data.get(cr) == Some(&b'\r')).then_some(cr)
    }
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
    let last = memrchr(b' ', line)
        .filter(|last| *last > space)
        .ok_or(wrong(ParseErrorKind::StartLine))?;
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
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
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

/// Indexes the header line at `start`; returns where the next line starts.
#[inline]
fn header_line(
    lines: &mut Lines<'_>,
    start: usize,
    limits: &Limits,
    index: &mut Index,
    seen: &mut Seen,
) -> Result<usize, ParseError> {
    let data = lines.data;
    let line = data.get(start..).unwrap_or_default();
    // Beyond the end of the line this finds a "name" with a CRLF in it, which is none.
    let colon = find(line, b':').ok_or_else(|| no_line_end(line))?;
    let (id, name_len) = header_name(cut(line, 0, colon)).ok_or(wrong(ParseErrorKind::HeaderLine))?;
    let mut from = start + colon + 1;
    let end = loop {
        let end = lines.end(from).ok_or_else(|| no_line_end(line))?;
        match data.get(end + 2) {
            // A line that starts with white space continues the one before (RFC 3261 §7.3.1).
            Some(b' ' | b'\t') => from = end + 2,
            Some(_) | None => break end,
        }
    };
    if end - start > limits.header_line || end + 4 > LONGEST_HEAD || index.entries.len() >= limits.headers {
        return Err(wrong(ParseErrorKind::HeadersTooLarge));
    }
    let value = value_span(data, start + colon + 1, end);
    index.entries.push(Entry {
        id,
        name_len,
        line: start as u16,
        value,
    });
    if id <= HeaderName::ContentLength {
        meaning(data, id, value, index, seen)?;
    }
    Ok(end + 2)
}

/// The value between a colon and the end of its line, trimmed.
#[inline]
fn value_span(data: &[u8], mut start: usize, mut end: usize) -> Span {
    while start < end && data.get(start).is_some_and(|octet| is_lws(*octet)) {
        start += 1;
    }
    while start < end && data.get(end - 1).is_some_and(|octet| is_lws(*octet)) {
        end -= 1;
    }
    Span::new(start, end)
}

/// A message that ends too early, or a bare LF, or a line without a colon.
#[cold]
fn no_line_end(rest: &[u8]) -> ParseError {
    let more = find_line_feed(rest).is_some();
    wrong(if more {
        ParseErrorKind::HeaderLine
    } else {
        ParseErrorKind::Unterminated
    })
}

/// The number and the length of a header name. White space may stand behind it (RFC 3261 §7.3.1); a control or
/// anything else that is no token may not: a hop behind us could read another name.
#[inline]
fn header_name(name: &[u8]) -> Option<(HeaderName, u8)> {
    let mut name = name;
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    let id = HeaderName::lookup(name);
    // A known name is a token; any other must be looked at.
    if id == HeaderName::Other && !is_token(name) {
        return None;
    }
    Some((id, u8::try_from(name.len()).ok()?))
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

/// `1*DIGIT LWS Method`. RFC 3261 §8.1.1.5 allows less than 2³¹; what fits 32 bits is let pass, nothing wraps.
fn cseq_of(text: &[u8], span: Span) -> Option<(u32, Span)> {
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
fn tag_of(text: &[u8], span: Span) -> Option<Span> {
    let mut rest = text;
    // Over the display name to the `<` or, without one, to the first `;`.
    loop {
        let Some(at) = find3(rest, b'"', b'<', b';') else {
            return (!text.is_empty()).then(Span::default);
        };
        rest = rest.get(at..)?;
        match rest.first() {
            Some(b'"') => rest = rest.get(quoted_len(rest)?..)?,
            Some(b'<') => {
                rest = rest.get(find(rest, b'>')? + 1..)?;
                break;
            }
            Some(_) | None => break,
        }
    }
    param_span(rest, usize::from(span.end) - rest.len(), b"tag", false)
}

/// The `branch` of the first value of a Via line, as [`Index::branch`] wants it.
fn branch_of(text: &[u8], span: Span) -> Result<Span, ParseError> {
    let start = find2(text, b';', b',').unwrap_or(text.len());
    let rest = cut(text, start, text.len());
    let found = param_span(rest, usize::from(span.start) + start, b"branch", true).ok_or(bad(HeaderName::Via))?;
    // RFC 4475 §3.2.1: the magic cookie alone names no transaction; it must not make all such requests one.
    let bare = found.end - found.start == 7 && {
        let from = usize::from(found.start) - usize::from(span.start);
        cut(text, from, from + 7).eq_ignore_ascii_case(b"z9hG4bK")
    };
    Ok(if bare { Span::default() } else { found })
}

/// Looks for one parameter in a list that starts with white space or `;` at offset `base` of the message; stops at a
/// comma where the field is a list. `None` for a broken list or for two of that name; an empty span when it is not
/// there.
#[inline]
fn param_span<const N: usize>(text: &[u8], base: usize, wanted: &[u8; N], list: bool) -> Option<Span> {
    let mut found = Span::default();
    let mut rest = trim_start(text);
    let end = base + text.len();
    match rest.first() {
        None => return Some(found),
        Some(b',') if list => return Some(found),
        Some(b';') => rest = rest.get(1..)?,
        Some(_) => return None,
    }
    loop {
        let (param, tail) = rest.split_at_checked(param_end(rest, list)?)?;
        if let Some(value) = value_of(trim_start(param), wanted) {
            let blanks = value.len();
            let value = trim_end(value);
            let blanks = blanks - value.len();
            // What is no token, or stands twice, the next hop could read otherwise and match another dialog.
            if found.end != 0 || !is_token(value) {
                return None;
            }
            let end = end - tail.len() - blanks;
            found = Span::new(end - value.len(), end);
        }
        match tail.split_first() {
            Some((b';', next)) => rest = next,
            Some(_) | None => return Some(found),
        }
    }
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
