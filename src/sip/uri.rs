//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966), kept as the text that came.

use super::chars::{cut, decimal, is_addr_spec, is_host_name};
use super::error::{ParseError, ParseErrorKind};
use super::escape::{escape_user, normalised_user, unescape_text};
use super::find::{find, find2, find3};
use super::params;
use compact_str::{CompactString, format_compact};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The scheme of a [`Uri`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Anything else; only the text is kept.
    Other,
}

#[derive(Clone, Copy, Default)]
struct Span(u16, u16);

/// Where the parts of a URI stand in its text: what a check needs, and a [`Uri`] keeps.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) scheme: Scheme,
    user: Option<Span>,
    host: Span,
    port: Option<u16>,
    params: Span,
    headers: Span,
}

/// A URI. Equality, hashing and display go by its text; see [`Uri::same_user`] for RFC 3261 §19.1.4.
#[derive(Clone)]
pub struct Uri {
    text: CompactString,
    shape: Shape,
}

const BAD: ParseError = ParseError::new(ParseErrorKind::Uri);

/// No URI of a message may be longer, whatever its header line allows.
const LONGEST: usize = 8_192;

impl Shape {
    /// Reads an `addr-spec`.
    pub(super) fn of(text: &str) -> Result<Shape, ParseError> {
        if text.len() > LONGEST || !is_addr_spec(text.as_bytes()) {
            return Err(BAD);
        }
        let colon = find(text.as_bytes(), b':').ok_or(BAD)?;
        let scheme = scheme(text.get(..colon).unwrap_or_default()).ok_or(BAD)?;
        let mut shape = Shape {
            scheme,
            user: None,
            host: Span::default(),
            port: None,
            params: Span::default(),
            headers: Span::default(),
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => shape.locate_sip(text, colon + 1)?,
            Scheme::Tel => shape.locate_tel(text, colon + 1)?,
            Scheme::Other if text.len() == colon + 1 => return Err(BAD),
            Scheme::Other => {}
        }
        Ok(shape)
    }

    fn locate_tel(&mut self, text: &str, start: usize) -> Result<(), ParseError> {
        let rest = text.get(start..).unwrap_or_default();
        let end = find(rest.as_bytes(), b';').map_or(text.len(), |at| start + at);
        // RFC 3966 §3 has no headers: what stands behind a `?` would go on as part of the number (LESSONS 36).
        if end == start || find(rest.as_bytes(), b'?').is_some() {
            return Err(BAD);
        }
        self.user = Some(span(start, end));
        self.params = span(end, text.len());
        Ok(())
    }

    fn locate_sip(&mut self, text: &str, start: usize) -> Result<(), ParseError> {
        let octets = text.as_bytes();
        // The user part may hold `;`, `?`, `/` and more, but never `@` (RFC 4475 §3.1.1.9): so that goes first.
        let host_start = match find(octets.get(start..).unwrap_or_default(), b'@') {
            Some(0) => return Err(BAD),
            Some(at) => {
                self.user = Some(span(start, start + at));
                start + at + 1
            }
            None => start,
        };
        let tail = octets.get(host_start..).unwrap_or_default();
        let host_len = if tail.starts_with(b"[") {
            find(tail, b']').ok_or(BAD)? + 1
        } else {
            find3(tail, b':', b';', b'?').unwrap_or(tail.len())
        };
        let mut at = host_start + host_len;
        if !text.get(host_start..at).is_some_and(is_host) {
            return Err(BAD);
        }
        self.host = span(host_start, at);
        if octets.get(at) == Some(&b':') {
            let digits = octets.get(at + 1..).unwrap_or_default();
            let len = find2(digits, b';', b'?').unwrap_or(digits.len());
            let port = decimal(digits.get(..len).unwrap_or_default());
            self.port = Some(port.and_then(|port| u16::try_from(port).ok()).ok_or(BAD)?);
            at += 1 + len;
        }
        self.params = span(at, octets.len());
        self.headers = span(octets.len(), octets.len());
        match octets.get(at) {
            None => Ok(()),
            Some(b';' | b'?') => self.locate_tail(octets, at),
            Some(_) => Err(BAD),
        }
    }

    /// Parameters and headers, in which no second `@` may stand.
    fn locate_tail(&mut self, octets: &[u8], at: usize) -> Result<(), ParseError> {
        let tail = octets.get(at..).unwrap_or_default();
        let query = find(tail, b'?').map_or(octets.len(), |query| at + query);
        if find(cut(octets, at, query), b'@').is_some() {
            return Err(BAD);
        }
        self.params = span(at, query);
        self.headers = span((query + 1).min(octets.len()), octets.len());
        Ok(())
    }

    /// Whether there are headers behind `?`.
    pub(super) fn has_headers(&self, text: &str) -> bool {
        let Span(start, end) = self.headers;
        cut(text.as_bytes(), usize::from(start), usize::from(end))
            .iter()
            .any(|octet| *octet != b'&')
    }
}

impl Uri {
    /// Reads an `addr-spec`, without angle brackets or surrounding white space.
    pub fn parse(text: &str) -> Result<Uri, ParseError> {
        let shape = Shape::of(text)?;
        Ok(Uri {
            text: text.into(),
            shape,
        })
    }

    /// Makes `sip:user@host_port`; what may not stand in a user part is escaped. A `host_port` that is no host gives
    /// `sip:invalid.invalid`.
    pub fn sip(user: Option<&str>, host_port: &str) -> Uri {
        let text = match user {
            Some(user) if !user.is_empty() => format_compact!("sip:{}@{host_port}", escape_user(user)),
            Some(_) | None => format_compact!("sip:{host_port}"),
        };
        Uri::parse(&text).unwrap_or_else(|_| Uri {
            text: CompactString::const_new("sip:invalid.invalid"),
            shape: Shape {
                scheme: Scheme::Sip,
                user: None,
                host: Span(4, 19),
                port: None,
                params: Span(19, 19),
                headers: Span(19, 19),
            },
        })
    }

    fn at(&self, span: Span) -> &str {
        self.text
            .get(usize::from(span.0)..usize::from(span.1))
            .unwrap_or_default()
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.shape.scheme
    }

    /// The user part as escaped, password included; the number of a tel URI.
    pub fn user(&self) -> Option<&str> {
        self.shape.user.map(|user| self.at(user))
    }

    /// The user part, unescaped once; `None` when there is none or it is not UTF-8.
    pub fn user_unescaped(&self) -> Option<Cow<'_, str>> {
        self.user().and_then(unescape_text)
    }

    /// The host, an IPv6 address with its brackets; empty for tel and unknown schemes.
    pub fn host(&self) -> &str {
        self.at(self.shape.host)
    }

    /// The port, if the URI names one.
    pub fn port(&self) -> Option<u16> {
        self.shape.port
    }

    /// `host` or `host:port`, as it stands.
    pub fn host_port(&self) -> &str {
        if self.shape.host.0 == self.shape.host.1 {
            return "";
        }
        self.at(Span(self.shape.host.0, self.shape.params.0))
    }

    /// A URI parameter; `Some(None)` when it stands without a value.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        params::find(self.at(self.shape.params), name)
    }

    /// A header of the URI (after `?`), still escaped.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All headers of the URI, still escaped, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.at(self.shape.headers)
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| part.split_once('=').unwrap_or((part, "")))
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same URI without its headers.
    pub fn without_headers(&self) -> Uri {
        match self.shape.scheme {
            Scheme::Sip | Scheme::Sips => {
                let end = usize::from(self.shape.params.1);
                let mut uri = self.clone();
                uri.text.truncate(end);
                uri.shape.headers = span(end, end);
                uri
            }
            Scheme::Tel | Scheme::Other => self.clone(),
        }
    }

    /// The address that the host names by itself, port 5060 (5061 for sips) where none is given.
    pub fn addr(&self) -> Option<SocketAddr> {
        let default = if self.shape.scheme == Scheme::Sips { 5061 } else { 5060 };
        host_addr(self.host()).map(|ip| SocketAddr::new(ip, self.shape.port.unwrap_or(default)))
    }

    /// Same user and same host: escapes of unreserved characters equal, host without case (RFC 3261 §19.1.4).
    pub fn same_user(&self, other: &Uri) -> bool {
        let user = |uri: &Uri| uri.user().map(normalised_user);
        user(self) == user(other) && self.host().eq_ignore_ascii_case(other.host())
    }

    /// The same URI with this parameter added (replacing one of the same name).
    pub fn with_param(self, name: &str, value: Option<&str>) -> Uri {
        if self.shape.scheme == Scheme::Other {
            return self;
        }
        let mut text = CompactString::from(self.text.get(..usize::from(self.shape.params.0)).unwrap_or_default());
        for (n, v) in params::params(self.at(self.shape.params), false).flatten() {
            if !n.eq_ignore_ascii_case(name) {
                push_param(&mut text, n, v);
            }
        }
        push_param(&mut text, name, value);
        let headers = self.at(self.shape.headers);
        if !headers.is_empty() {
            text.push('?');
            text.push_str(headers);
        }
        Uri::parse(&text).unwrap_or(self)
    }
}

fn scheme(name: &str) -> Option<Scheme> {
    let letters = |o: u8| o.is_ascii_alphanumeric() || matches!(o, b'+' | b'-' | b'.');
    match name.as_bytes() {
        [b's' | b'S', b'i' | b'I', b'p' | b'P'] => Some(Scheme::Sip),
        [b's' | b'S', b'i' | b'I', b'p' | b'P', b's' | b'S'] => Some(Scheme::Sips),
        [b't' | b'T', b'e' | b'E', b'l' | b'L'] => Some(Scheme::Tel),
        [first, rest @ ..] if first.is_ascii_alphabetic() && rest.iter().all(|o| letters(*o)) => Some(Scheme::Other),
        _ => None,
    }
}

fn push_param(text: &mut CompactString, name: &str, value: Option<&str>) {
    text.push(';');
    text.push_str(name);
    if let Some(value) = value {
        text.push('=');
        text.push_str(value);
    }
}

fn span(start: usize, end: usize) -> Span {
    // Offsets fit: a URI is at most `LONGEST` octets.
    Span(
        u16::try_from(start).unwrap_or(u16::MAX),
        u16::try_from(end).unwrap_or(u16::MAX),
    )
}

/// Host name, IPv4 address, or IPv6 reference. Underscores are let pass: the field has them.
pub(crate) fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or_default();
        return inner.contains(':') && inner.bytes().all(|o| o.is_ascii_hexdigit() || matches!(o, b':' | b'.'));
    }
    is_host_name(host.as_bytes())
}

/// The address that a host names by itself. RFC 5118 §4.10: `:::` came from a bug in the ABNF and means `::`.
pub(crate) fn host_addr(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match inner {
        None => host.parse().ok(),
        Some(inner) if inner.contains(":::") => inner.replacen(":::", "::", 1).parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl std::hash::Hash for Uri {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({:?})", self.text.as_str())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Uri, ParseError> {
        Uri::parse(text)
    }
}
