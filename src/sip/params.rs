//! Splitting of header values: comma lists and `;name=value` lists, with quotes and angle brackets respected.

use super::chars::{is_lws, is_token, quoted_len, split_once, trim, trim_text};
use super::error::{ParseError, ParseErrorKind};
use super::find::{find as find_octet, find2, find3};
use compact_str::CompactString;

/// The values of a comma-separated header line, trimmed; empty ones are skipped (RFC 3261 §7.3.1).
#[derive(Clone, Debug)]
pub(crate) struct CommaList<'a> {
    rest: &'a [u8],
}

pub(crate) fn comma_list(value: &[u8]) -> CommaList<'_> {
    CommaList { rest: value }
}

impl<'a> Iterator for CommaList<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = until_comma(self.rest);
            let value = trim(self.rest.get(..end).unwrap_or_default());
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// Where the first value of a list ends: at a comma outside quotes and angle brackets, or at the end.
pub(crate) fn until_comma(data: &[u8]) -> usize {
    let Some(comma) = find_octet(data, b',') else {
        return data.len();
    };
    if find2(data.get(..comma).unwrap_or_default(), b'"', b'<').is_none() {
        return comma; // nothing is open
    }
    let mut at = 0;
    while let Some(rest) = data.get(at..)
        && let Some(found) = find3(rest, b',', b'"', b'<')
    {
        let rest = rest.get(found..).unwrap_or_default();
        let len = match rest.first() {
            Some(b'"') => quoted_len(rest),
            Some(b'<') => find_octet(rest, b'>').map(|end| end + 1),
            Some(_) | None => return at + found,
        };
        // What is not closed runs to the end of its own line, never across it (RFC 4475 §3.1.2.6).
        let Some(len) = len else { return data.len() };
        at += found + len;
    }
    data.len()
}

/// One parameter as it stands: name and value trimmed, quotes kept.
pub(crate) type RawParam<'a> = (&'a str, Option<&'a str>);

/// The parameters of a `;name=value;name` list. Empty ones are an error when `strict`, else skipped.
pub(crate) fn params(text: &str, strict: bool) -> Params<'_> {
    Params {
        rest: text,
        strict,
        first: true,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Params<'a> {
    rest: &'a str,
    strict: bool,
    first: bool,
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<RawParam<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = until_semicolon(self.rest.as_bytes());
            let part = trim_text(self.rest.get(..end).unwrap_or_default());
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            // What stands before the first semicolon is no parameter.
            let lead = std::mem::replace(&mut self.first, false);
            if part.is_empty() {
                if lead || !self.strict {
                    continue;
                }
                return Some(Err(ParseError::new(ParseErrorKind::Value)));
            }
            if lead {
                return Some(Err(ParseError::new(ParseErrorKind::Value)));
            }
            return Some(Ok(match split_once(part, b'=') {
                Some((name, value)) => (trim_text(name), Some(trim_text(value))),
                None => (part, None),
            }));
        }
    }
}

fn until_semicolon(data: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = data.get(at..).and_then(|rest| find2(rest, b';', b'"')) {
        at += found;
        match data.get(at..) {
            Some(rest @ [b'"', ..]) => match quoted_len(rest) {
                Some(len) => at += len,
                None => return data.len(),
            },
            Some(_) | None => return at,
        }
    }
    data.len()
}

/// The first parameter of this name in a raw list; `Some(None)` when it has no value.
pub(crate) fn find<'a>(list: &'a str, name: &str) -> Option<Option<&'a str>> {
    params(list, false)
        .flatten()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// Parameters that outlive their message.
pub(crate) type OwnedParams = Vec<(CompactString, Option<CompactString>)>;

/// Reads a whole parameter list strictly: names are tokens, values are tokens, hosts or quoted strings.
pub(crate) fn owned(text: &str) -> Result<OwnedParams, ParseError> {
    let mut list = OwnedParams::new();
    for param in params(text, true) {
        let (name, value) = readable(param?)?;
        if list.is_empty() {
            list.reserve_exact(1); // mostly it is the tag alone, and a dialog keeps the list
        }
        list.push((name.into(), value.map(CompactString::from)));
    }
    Ok(list)
}

/// Whether [`owned`] could read the list.
pub(crate) fn check(text: &str) -> Result<(), ParseError> {
    params(text, true).try_for_each(|param| readable(param?).map(drop))
}

fn readable(param: RawParam<'_>) -> Result<RawParam<'_>, ParseError> {
    let (name, value) = param;
    if !is_token(name.as_bytes()) || value.is_some_and(|v| !is_param_value(v.as_bytes())) {
        return Err(ParseError::new(ParseErrorKind::Value));
    }
    Ok(param)
}

/// `gen-value` (token, host or quoted-string), with what the field adds: `/`, `=`, `@` and the like are let pass,
/// separators of the outer grammar and white space are not.
fn is_param_value(value: &[u8]) -> bool {
    match value.first() {
        None => false,
        Some(b'"') => quoted_len(value) == Some(value.len()),
        Some(_) => !value
            .iter()
            .any(|o| is_lws(*o) || matches!(o, b'"' | b',' | b';' | b'<' | b'>' | 0..=31 | 127)),
    }
}

/// The text inside a quoted string, its quoted pairs resolved; any other text as it is.
pub(crate) fn unquote(text: &str) -> CompactString {
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        None => text.into(),
        Some(inner) if !inner.contains('\\') => inner.into(),
        Some(inner) => {
            let mut plain = CompactString::default();
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                plain.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
            }
            plain
        }
    }
}

/// Prints a parameter list.
pub(crate) fn write(f: &mut std::fmt::Formatter<'_>, list: &OwnedParams) -> std::fmt::Result {
    for (name, value) in list {
        match value {
            Some(value) => write!(f, ";{name}={value}")?,
            None => write!(f, ";{name}")?,
        }
    }
    Ok(())
}
