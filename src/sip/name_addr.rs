//! `name-addr` and `addr-spec` with parameters: From, To, Contact, Route, Refer-To and their like (RFC 3261 §20.10).

use super::chars::{is_lws, is_token_octet, quoted_len, split_once, trim_text};
use super::error::{ParseError, ParseErrorKind};
use super::find::find;
use super::header_name::HeaderName;
use super::message::Message;
use super::params::{self, OwnedParams};
use super::uri::{Scheme, Shape, Uri};
use compact_str::CompactString;
use std::fmt;

/// A party: display name, URI, header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name without its quotes.
    pub display: Option<CompactString>,
    /// The URI.
    pub uri: Uri,
    params: OwnedParams,
}

const BAD: ParseError = ParseError::new(ParseErrorKind::Value);

impl NameAddr {
    /// A party without a display name.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr {
            display: None,
            uri,
            params: OwnedParams::new(),
        }
    }

    /// The same with this display name; an empty one removes it.
    pub fn with_display(mut self, display: &str) -> NameAddr {
        self.display = (!display.is_empty()).then(|| display.into());
        self
    }

    /// Reads one value. In the form without angle brackets every `;` starts a header parameter and `?` and `,` are
    /// refused (RFC 3261 §20, RFC 4475 §3.1.2.13).
    pub fn parse(text: &str) -> Result<NameAddr, ParseError> {
        let pieces = Pieces::of(text)?;
        let params = params::owned(pieces.params)?;
        Ok(NameAddr {
            display: pieces.display.map(params::unquote),
            uri: Uri::parse(pieces.uri)?,
            params,
        })
    }

    /// The URI's scheme, if [`NameAddr::parse_bytes`] could read the value; nothing is kept of it. The tag, if there is
    /// one, is known to be a token: a value that has no other parameter needs no further look at it.
    pub(super) fn check(value: &[u8], tag: &[u8]) -> Result<Scheme, ParseError> {
        let Ok(text) = std::str::from_utf8(value) else {
            return NameAddr::parse_bytes(value).map(|party| party.uri.scheme());
        };
        let pieces = Pieces::of(text)?;
        let is_tag = |params: &str| params.strip_prefix(";tag=").is_some_and(|text| text.as_bytes() == tag);
        if tag.is_empty() || !is_tag(pieces.params) {
            params::check(pieces.params)?;
        }
        Shape::of(pieces.uri).map(|shape| shape.scheme)
    }

    /// As [`NameAddr::parse`]; octets that are not UTF-8 are replaced in the display name.
    pub fn parse_bytes(value: &[u8]) -> Result<NameAddr, ParseError> {
        match std::str::from_utf8(value) {
            Ok(text) => NameAddr::parse(text),
            Err(_) => NameAddr::parse(&String::from_utf8_lossy(value)),
        }
    }

    /// Every value of this header, in order; one that does not parse is an error.
    pub fn list(message: &Message, name: HeaderName) -> Result<Vec<NameAddr>, ParseError> {
        let mut list = Vec::new();
        for line in message.headers(name) {
            for value in params::comma_list(line) {
                list.push(NameAddr::parse_bytes(value).map_err(|error| error.within(name))?);
            }
        }
        Ok(list)
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").flatten()
    }

    /// A header parameter as it stands, quotes included; `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        self.params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_deref())
    }

    /// A header parameter without quotes.
    pub fn param_unquoted(&self, name: &str) -> Option<CompactString> {
        self.param(name).flatten().map(params::unquote)
    }

    /// All header parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> + '_ {
        self.params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The same with this header parameter (replacing one of the same name).
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> NameAddr {
        self.params.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.params.push((name.into(), value.map(CompactString::from)));
        self
    }

    /// The same without its header parameters.
    pub fn without_params(mut self) -> NameAddr {
        self.params.clear();
        self
    }
}

/// Where the parts of a value are, each as it stands.
struct Pieces<'a> {
    /// With its quotes, if it has some; none for a bare `addr-spec` and before a lone `<`.
    display: Option<&'a str>,
    uri: &'a str,
    params: &'a str,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str) -> Result<Pieces<'a>, ParseError> {
        let text = trim_text(text);
        let (display, rest) = if text.starts_with('"') {
            let len = quoted_len(text.as_bytes()).ok_or(BAD)?;
            let rest = trim_text(text.get(len..).unwrap_or_default());
            (text.get(..len), rest.strip_prefix('<').ok_or(BAD)?)
        } else if let Some((display, rest)) = split_once(text, b'<') {
            let display = trim_text(display);
            // RFC 4475 §3.1.2.15: an unquoted display name is tokens. Octets above ASCII are let pass: the field has them.
            let fits = |o: u8| is_token_octet(o) || is_lws(o) || o >= 0x80;
            if !display.bytes().all(fits) {
                return Err(BAD);
            }
            ((!display.is_empty()).then_some(display), rest)
        } else {
            let end = find(text.as_bytes(), b';').unwrap_or(text.len());
            let uri = trim_text(text.get(..end).unwrap_or_default());
            if uri.contains(['?', ',']) {
                return Err(BAD);
            }
            let params = text.get(end..).unwrap_or_default();
            return Ok(Pieces {
                display: None,
                uri,
                params,
            });
        };
        let (uri, tail) = split_once(rest, b'>').ok_or(BAD)?;
        Ok(Pieces {
            display,
            uri,
            params: trim_text(tail),
        })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            f.write_str("\"")?;
            for c in display.chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    '\r' | '\n' => f.write_str(" ")?,
                    _ => write!(f, "{c}")?,
                }
            }
            f.write_str("\" ")?;
        }
        write!(f, "<{}>", self.uri)?;
        params::write(f, &self.params)
    }
}

impl std::str::FromStr for NameAddr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<NameAddr, ParseError> {
        NameAddr::parse(text)
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> NameAddr {
        NameAddr::new(uri)
    }
}
