//! Replaces (RFC 3891): which dialog an INVITE takes over.

use super::error::{ParseError, ParseErrorKind};
use super::escape::{escape_header, unescape_text};
use super::header_name::HeaderName;
use super::message::Message;
use super::params;
use super::uri::Uri;
use compact_str::CompactString;
use std::fmt;

/// A Replaces value: the dialog as its recipient sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Call-ID of the dialog.
    pub call_id: CompactString,
    /// The recipient's local tag.
    pub to_tag: CompactString,
    /// The recipient's remote tag.
    pub from_tag: CompactString,
    /// Only an early dialog may be replaced.
    pub early_only: bool,
}

const BAD: ParseError = ParseError::at(ParseErrorKind::Value, HeaderName::Replaces);

impl Replaces {
    /// Reads a header value. Exactly one to-tag and one from-tag (RFC 3891 §3), else an error.
    pub fn parse(value: &str) -> Result<Replaces, ParseError> {
        let value = value.trim();
        let (call_id, list) = value.split_at(value.find(';').ok_or(BAD)?);
        let call_id = call_id.trim();
        if call_id.is_empty() || !call_id.bytes().all(|o| (0x21..0x7f).contains(&o) && o != b',') {
            return Err(BAD);
        }
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for (name, value) in params::owned(list).map_err(|_| BAD)? {
            let tag = if name.eq_ignore_ascii_case("to-tag") {
                &mut to_tag
            } else if name.eq_ignore_ascii_case("from-tag") {
                &mut from_tag
            } else {
                early_only |= name.eq_ignore_ascii_case("early-only");
                continue;
            };
            if tag.is_some() {
                return Err(BAD);
            }
            *tag = Some(value.ok_or(BAD)?);
        }
        match (to_tag, from_tag) {
            (Some(to_tag), Some(from_tag)) => Ok(Replaces {
                call_id: call_id.into(),
                to_tag,
                from_tag,
                early_only,
            }),
            (Some(_), None) | (None, Some(_)) | (None, None) => Err(BAD),
        }
    }

    /// The Replaces header of a request; a second one is an error (RFC 3891 §3).
    pub fn of(message: &Message) -> Result<Option<Replaces>, ParseError> {
        let mut lines = message.headers(HeaderName::Replaces);
        let Some(value) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(ParseError::at(ParseErrorKind::Duplicate, HeaderName::Replaces));
        }
        Replaces::parse(std::str::from_utf8(value).map_err(|_| BAD)?).map(Some)
    }

    /// The dialog that the Join header of a request names (RFC 3911 §7.1: the same grammar); a second one is an error.
    pub fn of_join(message: &Message) -> Result<Option<Replaces>, ParseError> {
        let mut lines = message.headers(HeaderName::Join);
        let Some(value) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(ParseError::at(ParseErrorKind::Duplicate, HeaderName::Join));
        }
        let bad = |_| ParseError::at(ParseErrorKind::Value, HeaderName::Join);
        let text = std::str::from_utf8(value).map_err(|_| ParseError::at(ParseErrorKind::Value, HeaderName::Join))?;
        Replaces::parse(text).map(Some).map_err(bad)
    }

    /// The Replaces header inside a Refer-To URI, unescaped once; a second one is an error.
    pub fn in_refer_to(uri: &Uri) -> Result<Option<Replaces>, ParseError> {
        let is_replaces = |name: &str| unescape_text(name).is_some_and(|n| n.eq_ignore_ascii_case("Replaces"));
        let mut values = uri
            .headers()
            .filter(|(name, _)| is_replaces(name))
            .map(|(_, value)| value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(ParseError::at(ParseErrorKind::Duplicate, HeaderName::Replaces));
        }
        Replaces::parse(&unescape_text(value).ok_or(BAD)?).map(Some)
    }

    /// `Replaces=…`, escaped for the headers of a URI.
    pub fn to_uri_header(&self) -> String {
        format!("Replaces={}", escape_header(&self.to_string()))
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only {
            f.write_str(";early-only")
        } else {
            Ok(())
        }
    }
}
