//! A message: its octets, and where everything in them stands.

use super::chars::is_lws;
use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::index::{Index, Start};
use super::limits::Limits;
use super::method::Method;
use super::name_addr::NameAddr;
use super::params::{comma_list, until_comma};
use super::scan::{leading_crlf, scan};
use super::via::Via;
use bytes::{Buf, Bytes};
use std::fmt;
use std::sync::Arc;

/// One SIP message. Cloning shares the octets and the index.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    index: Arc<Index>,
}

impl Message {
    /// Reads one whole message: a datagram, or what framing cut out of a stream. Leading CRLFs are skipped; what
    /// follows the body that Content-Length names is dropped (RFC 3261 §18.3).
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        Message::parse_with(bytes, &Limits::DEFAULT)
    }

    /// As [`Message::parse`], with other limits.
    pub fn parse_with(mut bytes: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        if bytes.len() > limits.message {
            return Err(ParseError::new(ParseErrorKind::TooLarge));
        }
        if matches!(bytes.first(), Some(b'\r' | b'\n')) {
            let blank = leading_crlf(&bytes);
            bytes.advance(blank);
        }
        let mut shared = Arc::new(Index::empty());
        // Nobody else holds it yet: filled in its place, it is never copied.
        let index = Arc::make_mut(&mut shared);
        scan(&bytes, limits, index)?;
        if let Some(length) = index.content_length {
            let end = usize::try_from(length)
                .ok()
                .and_then(|length| index.body.checked_add(length));
            match end {
                Some(end) if end <= bytes.len() => bytes.truncate(end),
                Some(_) | None => {
                    return Err(ParseError::at(ParseErrorKind::Truncated, HeaderName::ContentLength));
                }
            }
        }
        Ok(Message { bytes, index: shared })
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Exactly this message.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        match self.index.start {
            Start::Request { .. } => true,
            Start::Response { .. } => false,
        }
    }

    /// The method: of the start line of a request, of the CSeq of a response.
    pub fn method(&self) -> &Method {
        &self.index.method
    }

    /// The Request-URI as it stands; `None` for a response.
    pub fn request_uri(&self) -> Option<&str> {
        match self.index.start {
            Start::Request { uri } => uri.text(&self.bytes),
            Start::Response { .. } => None,
        }
    }

    /// The status code, 100 to 699; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.index.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase, which may be empty and need not be UTF-8; `None` for a request.
    pub fn reason_phrase(&self) -> Option<&[u8]> {
        match self.index.start {
            Start::Request { .. } => None,
            Start::Response { reason, .. } => Some(reason.of(&self.bytes)),
        }
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        self.index.call_id.text(&self.bytes).unwrap_or_default()
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&str> {
        self.index.from_tag.text(&self.bytes)
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.index.to_tag.text(&self.bytes)
    }

    /// The number of CSeq.
    pub fn cseq(&self) -> u32 {
        self.index.cseq
    }

    /// The branch of the top Via. `None` also for the bare magic cookie, which names no transaction
    /// (RFC 4475 §3.2.1): such a request is matched as RFC 2543 did.
    pub fn branch(&self) -> Option<&str> {
        self.index.branch.text(&self.bytes)
    }

    /// Content-Length as it was given.
    pub fn content_length(&self) -> Option<u32> {
        self.index.content_length
    }

    /// The top Via; `None` when it does not parse.
    pub fn top_via(&self) -> Option<Via<'_>> {
        let line = self.header(HeaderName::Via)?;
        let value = line.get(..until_comma(line))?;
        Via::parse(std::str::from_utf8(value).ok()?).ok()
    }

    /// The first line of this header: its value trimmed, folding left inside as it came.
    pub fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.headers(name).next()
    }

    /// As [`Message::header`], if it is UTF-8.
    pub fn text(&self, name: HeaderName) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first line of this header as one unsigned decimal of 32 bits, parameters behind `;` dropped.
    pub fn number(&self, name: HeaderName) -> Option<u32> {
        let value = self.header(name)?;
        let end = value
            .iter()
            .position(|octet| *octet == b';' || is_lws(*octet))
            .unwrap_or(value.len());
        super::chars::decimal_u32(value.get(..end)?)
    }

    /// All lines of this header, in order.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> + '_ {
        let entries = self
            .index
            .entries
            .iter()
            .filter(move |entry| entry.id == name && name != HeaderName::Other);
        entries.map(|entry| entry.value.of(&self.bytes))
    }

    /// The comma-separated values across all lines of this header, in order; quotes and angle brackets are respected.
    /// A value that is not UTF-8 is left out.
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &str> + '_ {
        self.octets(name).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// As [`Message::values`], each as it came: for tokens, which are compared and not kept.
    pub(crate) fn octets(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> + '_ {
        self.headers(name).flat_map(comma_list)
    }

    /// The first line of a header by its full name, in any case; compact forms match their full names.
    pub fn header_named(&self, name: &str) -> Option<&[u8]> {
        let id = HeaderName::lookup(name.as_bytes());
        let wanted = name.as_bytes();
        self.all_headers()
            .find(|(i, n, _)| *i == id && (id != HeaderName::Other || n.eq_ignore_ascii_case(wanted)))
            .map(|(_, _, value)| value)
    }

    /// Every header line in order: its name by number, its name as it came, its value.
    pub fn all_headers(&self) -> impl Iterator<Item = (HeaderName, &[u8], &[u8])> + '_ {
        let data = &self.bytes;
        self.index
            .entries
            .iter()
            .map(|entry| (entry.id, entry.name(data), entry.value.of(data)))
    }

    /// Whether one of the header's values is this token, in any case: option tags, methods of Allow.
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.octets(name)
            .any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The body: a slice of [`Message::bytes`].
    pub fn body(&self) -> Bytes {
        self.bytes.slice(self.index.body.min(self.bytes.len())..)
    }

    /// The From header.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.party(HeaderName::From)
    }

    /// The To header.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.party(HeaderName::To)
    }

    fn party(&self, name: HeaderName) -> Result<NameAddr, ParseError> {
        let value = self.header(name).ok_or(ParseError::at(ParseErrorKind::Missing, name))?;
        NameAddr::parse_bytes(value).map_err(|error| error.within(name))
    }

    /// The first Contact; `None` when there is none. `*` is an error here (see [`Message::has_token`]).
    pub fn contact(&self) -> Result<Option<NameAddr>, ParseError> {
        let Some(value) = self.headers(HeaderName::Contact).flat_map(comma_list).next() else {
            return Ok(None);
        };
        NameAddr::parse_bytes(value)
            .map(Some)
            .map_err(|error| error.within(HeaderName::Contact))
    }
}

impl fmt::Debug for Message {
    /// The start of it only: no header values, no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shape = f.debug_struct("Message");
        shape
            .field("method", self.method())
            .field("status", &self.status())
            .field("cseq", &self.cseq());
        shape.field("call_id", &self.call_id()).finish_non_exhaustive()
    }
}
