//! The one pass over a message that builds its [`Index`].

use super::chars::{cut, decimal, decimal_u32, is_lws, is_token, is_token_octet, quoted_len, trim};
use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::index::{Entries, Entry, Index, Span, Start};
use super::limits::Limits;
use super::method::Method;
use memchr::{memchr, memchr2, memrchr};

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

/// Indexes the message at the start of `data`; `data` may be longer than the message.
pub(crate) fn scan(data: &[u8], limits: &Limits) -> Result<Index, ParseError> {
    let line_end = end_of_line(data, 0).ok_or(wrong(ParseErrorKind::StartLine))?;
    if line_end > limits.header_line.min(LONGEST_HEAD) {
        return Err(wrong(ParseErrorKind::UriTooLong));
    }
    let (start, method) = start_line(cut(data, 0, line_end), limits)?;
    let mut index = Index {
        start,
        method: method.unwrap_or(Method::Invite),
        cseq_method: Span::default(),
        cseq: 0,
        call_id: Span::default(),
        from_tag: Span::default(),
        to_tag: Span::default(),
        branch: Span::default(),
        content_length: None,
        entries: Entries::new(),
        headers_start: (line_end + 2) as u16,
        headers_end: 0,
        body: 0,
    };
    let mut seen = Seen::default();
    let mut at = line_end + 2;
    loop {
        match data.get(at) {
            Some(b'\r') => break,
            Some(_) => at = header_line(data, at, limits, &mut index, &mut seen)?,
            None => return Err(wrong(ParseErrorKind::Unterminated)),
        }
    }
    if data.get(at + 1) != Some(&b'\n') {
        return Err(wrong(ParseErrorKind::HeaderLine));
    }
    index.headers_end = at as u16;
    index.body = at + 2;
    seen.complete()?;
    if let Start::Response { .. } = index.start {
        index.method = Method::parse(index.cseq_method.of(data)).map_err(|_| bad(HeaderName::CSeq))?;
    }
    Ok(index)
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
            Seen { via: true, from: true, to: true, call_id: true, cseq: true } => Ok(()),
        }
    }
}

/// The offset of the CR of the next CRLF. A bare CR or LF is no line end and no content either: two elements that
/// read it differently would see two different messages.
fn end_of_line(data: &[u8], from: usize) -> Option<usize> {
    let at = from + memchr2(b'\r', b'\n', data.get(from..)?)?;
    (data.get(at) == Some(&b'\r') && data.get(at + 1) == Some(&b'\n')).then_some(at)
}

/// RFC 3261 §7.1 and §7.2. Exactly one SP between the elements and none after them.
fn start_line(line: &[u8], limits: &Limits) -> Result<(Start, Option<Method>), ParseError> {
    let space = memchr(b' ', line).ok_or(wrong(ParseErrorKind::StartLine))?;
    let first = cut(line, 0, space);
    // A "/" is no token octet: this is a Status-Line and no method.
    if first.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/")) {
        version(first)?;
        let code = cut(line, space + 1, space + 4);
        let status = decimal_u32(code).and_then(|code| u16::try_from(code).ok());
        let status = status.filter(|code| code_in_range(*code)).ok_or(wrong(ParseErrorKind::StartLine))?;
        return match line.get(space + 4) {
            // noreason of RFC 4475 has the SP; a phrase-less line without it is let pass.
            None => Ok((Start::Response { status, reason: Span::default() }, None)),
            Some(b' ') => {
                Ok((Start::Response { status, reason: Span::new(space + 5, line.len()) }, None))
            }
            Some(_) => Err(wrong(ParseErrorKind::StartLine)),
        };
    }
    let last = memrchr(b' ', line).filter(|last| *last > space).ok_or(wrong(ParseErrorKind::StartLine))?;
    let uri = cut(line, space + 1, last);
    if uri.is_empty() || uri.iter().any(|octet| !is_uri_octet(*octet)) {
        return Err(wrong(ParseErrorKind::StartLine));
    }
    let method = Method::parse(first)?;
    version(cut(line, last + 1, line.len()))?;
    if uri.len() > limits.uri {
        return Err(wrong(ParseErrorKind::UriTooLong));
    }
    Ok((Start::Request { uri: Span::new(space + 1, last) }, Some(method)))
}

fn code_in_range(code: u16) -> bool {
    (100..=699).contains(&code)
}

/// Printable ASCII but angle brackets and quotes (RFC 4475 §3.1.2.7).
#[inline]
fn is_uri_octet(octet: u8) -> bool {
    octet > b' ' && octet < 127 && !matches!(octet, b'<' | b'>' | b'"')
}

/// `SIP/2.0`, in any case (RFC 3261 §7.1). Another number is 505, anything else is no SIP.
fn version(text: &[u8]) -> Result<(), ParseError> {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let number = text.get(..4).filter(|name| name.eq_ignore_ascii_case(b"SIP/")).and(text.get(4..));
    let is_number = number.is_some_and(|n| {
        n.contains(&b'.') && n.first().is_some_and(u8::is_ascii_digit) && n.iter().all(|o| o.is_ascii_digit() || *o == b'.')
    });
    Err(wrong(if is_number { ParseErrorKind::Version } else { ParseErrorKind::StartLine }))
}

/// Indexes the header line at `start`; returns where the next line starts.
#[inline]
fn header_line(
    data: &[u8],
    start: usize,
    limits: &Limits,
    index: &mut Index,
    seen: &mut Seen,
) -> Result<usize, ParseError> {
    let (name_len, colon) = header_name(data, start).ok_or(wrong(ParseErrorKind::HeaderLine))?;
    let mut from = colon + 1;
    let end = loop {
        let rest = data.get(from..).unwrap_or_default();
        let at = from + memchr2(b'\r', b'\n', rest).ok_or(wrong(ParseErrorKind::Unterminated))?;
        if data.get(at) != Some(&b'\r') || data.get(at + 1) != Some(&b'\n') {
            return Err(wrong(ParseErrorKind::HeaderLine));
        }
        match data.get(at + 2) {
            // A line that starts with white space continues the one before (RFC 3261 §7.3.1).
            Some(b' ' | b'\t') => from = at + 3,
            Some(_) | None => break at,
        }
    };
    if end - start > limits.header_line || end + 4 > LONGEST_HEAD || index.entries.len() >= limits.headers {
        return Err(wrong(ParseErrorKind::HeadersTooLarge));
    }
    let name = cut(data, start, start + usize::from(name_len));
    let id = HeaderName::lookup(name);
    let mut value_start = colon + 1;
    while value_start < end && data.get(value_start).is_some_and(|octet| is_lws(*octet)) {
        value_start += 1;
    }
    let mut value_end = end;
    while value_end > value_start && data.get(value_end - 1).is_some_and(|octet| is_lws(*octet)) {
        value_end -= 1;
    }
    let value = Span::new(value_start, value_end);
    index.entries.push(Entry { id, name_len, line: start as u16, value });
    if id <= HeaderName::ContentLength {
        meaning(data, id, value, index, seen)?;
    }
    Ok(end + 2)
}

/// The length of the token at `start` and where its colon stands. White space may come between them (RFC 3261 §7.3.1);
/// a control or anything else may not: a hop behind us could read another name (LESSONS of other edges).
#[inline]
fn header_name(data: &[u8], start: usize) -> Option<(u8, usize)> {
    let mut at = start;
    while is_token_octet(*data.get(at)?) {
        at += 1;
    }
    let len = u8::try_from(at - start).ok().filter(|len| *len > 0)?;
    while matches!(data.get(at)?, b' ' | b'\t') {
        at += 1;
    }
    (*data.get(at)? == b':').then_some((len, at))
}

/// Reads the fields that transaction and dialog matching need.
fn meaning(data: &[u8], id: HeaderName, value: Span, index: &mut Index, seen: &mut Seen) -> Result<(), ParseError> {
    let text = value.of(data);
    let once = |seen: &mut bool| {
        if std::mem::replace(seen, true) { Err(ParseError::at(ParseErrorKind::Duplicate, id)) } else { Ok(()) }
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
        if text.is_empty() || !text.iter().all(|octet| (0x21..0x7f).contains(octet)) {
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
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let number = decimal(cut(text, 0, digits)).and_then(|n| u32::try_from(n).ok())?;
    let blank = text.iter().skip(digits).take_while(|octet| is_lws(**octet)).count();
    let method = digits + blank;
    if blank == 0 || !is_token(cut(text, method, text.len())) {
        return None;
    }
    Some((number, Span::new(usize::from(span.start) + method, usize::from(span.end))))
}

/// The `tag` of a From or To value: empty when there is none, `None` when the value cannot be read or has two.
fn tag_of(text: &[u8], span: Span) -> Option<Span> {
    let mut at = 0;
    // Over the display name to the `<` or, without one, to the first `;`.
    let params = loop {
        match text.get(at) {
            None => break text.len(),
            Some(b'"') => at += quoted_len(cut(text, at, text.len()))?,
            Some(b'<') => break at + memchr(b'>', cut(text, at, text.len()))? + 1,
            Some(b';') => break at,
            Some(_) => at += 1,
        }
    };
    if text.is_empty() {
        return None;
    }
    param_span(text, params, b"tag", false).map(|(found, _)| shift(found, span))
}

/// The `branch` of the first value of a Via line, as [`Index::branch`] wants it.
fn branch_of(text: &[u8], span: Span) -> Result<Span, ParseError> {
    let bad = bad(HeaderName::Via);
    let params = memchr2(b';', b',', text).unwrap_or(text.len());
    let (found, _) = param_span(text, params, b"branch", true).ok_or(bad)?;
    // RFC 4475 §3.2.1: the magic cookie alone names no transaction; it must not make all such requests one.
    if found.of(text).eq_ignore_ascii_case(b"z9hG4bK") {
        return Ok(Span::default());
    }
    Ok(shift(found, span))
}

fn shift(found: Span, outer: Span) -> Span {
    if found.start == found.end {
        return Span::default();
    }
    let base = usize::from(outer.start);
    Span::new(base + usize::from(found.start), base + usize::from(found.end))
}

/// Looks for one parameter from `at` on; stops at a comma where the field is a list. `None` for a broken list or for
/// two of that name; an empty span when it is not there.
fn param_span(text: &[u8], mut at: usize, wanted: &[u8], list: bool) -> Option<(Span, usize)> {
    let mut found = Span::default();
    loop {
        while text.get(at).is_some_and(|octet| is_lws(*octet)) {
            at += 1;
        }
        match text.get(at) {
            None => return Some((found, at)),
            Some(b',') if list => return Some((found, at)),
            Some(b';') => at += 1,
            Some(_) => return None,
        }
        let start = at;
        let mut equals = None;
        while let Some(octet) = text.get(at) {
            match octet {
                b';' => break,
                b',' if list => break,
                b'"' => at += quoted_len(cut(text, at, text.len()))?,
                b'=' if equals.is_none() => {
                    equals = Some(at);
                    at += 1;
                }
                _ => at += 1,
            }
        }
        let Some(equals) = equals else { continue };
        if !trim(cut(text, start, equals)).eq_ignore_ascii_case(wanted) {
            continue;
        }
        let (mut from, mut to) = (equals + 1, at);
        while from < to && text.get(from).is_some_and(|octet| is_lws(*octet)) {
            from += 1;
        }
        while to > from && text.get(to - 1).is_some_and(|octet| is_lws(*octet)) {
            to -= 1;
        }
        let value = cut(text, from, to);
        // An identifier that two elements could read differently is refused: empty, twice, quoted, with blanks.
        let fits = |octet: &u8| (0x21..0x7f).contains(octet) && !matches!(octet, b'"' | b'<' | b'>' | b',');
        if value.is_empty() || found != Span::default() || !value.iter().all(fits) {
            return None;
        }
        found = Span::new(from, to);
    }
}
