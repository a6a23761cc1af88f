//! `name-addr` and `addr-spec` with parameters: From, To, Contact, Route, Refer-To and their like (RFC 3261 §20.10).

use super::chars::{is_lws, is_token_octet, quoted_len, trim_text};
use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::message::Message;
use super::params::{self, OwnedParams};
use super::uri::Uri;
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
        let text = trim_text(text);
        let Some((display, rest)) = split_display(text)? else {
            let end = text.find(';').unwrap_or(text.len());
            let uri = trim_text(text.get(..end).unwrap_or_default());
            if uri.contains(['?', ',']) {
                return Err(BAD);
            }
            let params = params::owned(text.get(end..).unwrap_or_default())?;
            return Ok(NameAddr {
                display: None,
                uri: Uri::parse(uri)?,
                params,
            });
        };
        let (uri, tail) = rest.split_once('>').ok_or(BAD)?;
        let params = params::owned(trim_text(tail))?;
        Ok(NameAddr {
            display,
            uri: Uri::parse(uri)?,
            params,
        })
    }

    /// As [`NameAddr::parse`]; octets that are not UTF-8 are replaced in the display name.
    pub fn parse_bytes(value: &[u8]) -> Result<NameAddr, ParseError> {
        NameAddr::parse(&String::from_utf8_lossy(value))
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

/// The display name and what follows `<`; `None` for a bare `addr-spec`.
fn split_display(text: &str) -> Result<Option<(Option<CompactString>, &str)>, ParseError> {
    if text.starts_with('"') {
        let len = quoted_len(text.as_bytes()).ok_or(BAD)?;
        let display = params::unquote(text.get(..len).unwrap_or_default());
        let rest = trim_text(text.get(len..).unwrap_or_default())
            .strip_prefix('<')
            .ok_or(BAD)?;
        return Ok(Some((Some(display), rest)));
    }
    let Some((display, rest)) = text.split_once('<') else {
        return Ok(None);
    };
    let display = trim_text(display);
    // RFC 4475 §3.1.2.15: an unquoted display name is tokens. Octets above ASCII are let pass: the field has them.
    let fits = |o: u8| is_token_octet(o) || is_lws(o) || o >= 0x80;
    if !display.bytes().all(fits) {
        return Err(BAD);
    }
    Ok(Some(((!display.is_empty()).then(|| display.into()), rest)))
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
