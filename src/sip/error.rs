//! What was wrong with a message, without the message.

use super::header_name::HeaderName;

/// The kind of a [`ParseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// The Request-Line or Status-Line does not follow RFC 3261 §7.1 or §7.2.
    StartLine,
    /// A SIP version other than 2.0 (RFC 3261 §21.5.6).
    Version,
    /// A URI does not follow RFC 3261 §19.1.
    Uri,
    /// A Request-URI longer than [`super::Limits::uri`].
    UriTooLong,
    /// A Request-URI with a scheme other than sip, sips and tel.
    Scheme,
    /// A header line without a proper name, or with a bare CR or LF.
    HeaderLine,
    /// The empty line after the headers never came.
    Unterminated,
    /// A mandatory header is missing.
    Missing,
    /// A header that may stand once stands twice.
    Duplicate,
    /// A header's value does not follow its grammar.
    Value,
    /// The method of the start line is not the method of CSeq (RFC 3261 §8.1.1.5).
    MethodMismatch,
    /// Content-Length says more than came (RFC 3261 §18.3).
    Truncated,
    /// More octets than [`super::Limits::message`].
    TooLarge,
    /// A header line is longer, or there are more headers, than the limits allow.
    HeadersTooLarge,
}

/// Why a message, or a part of one, was refused. Names the culprit and never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseError {
    /// What was wrong.
    pub kind: ParseErrorKind,
    /// In which header, where it was one.
    pub header: Option<HeaderName>,
}

impl ParseError {
    /// An error that belongs to no header.
    pub const fn new(kind: ParseErrorKind) -> ParseError {
        ParseError { kind, header: None }
    }

    /// An error in this header.
    pub const fn at(kind: ParseErrorKind, header: HeaderName) -> ParseError {
        ParseError {
            kind,
            header: Some(header),
        }
    }

    /// The same error, blamed on this header unless it is blamed already.
    pub fn within(self, header: HeaderName) -> ParseError {
        ParseError {
            kind: self.kind,
            header: self.header.or(Some(header)),
        }
    }

    /// The status code a UAS answers with.
    pub fn status(&self) -> u16 {
        match self.kind {
            ParseErrorKind::Version => 505,
            ParseErrorKind::Scheme => 416,
            ParseErrorKind::UriTooLong => 414,
            ParseErrorKind::TooLarge | ParseErrorKind::HeadersTooLarge => 513,
            ParseErrorKind::StartLine
            | ParseErrorKind::Uri
            | ParseErrorKind::HeaderLine
            | ParseErrorKind::Unterminated
            | ParseErrorKind::Missing
            | ParseErrorKind::Duplicate
            | ParseErrorKind::Value
            | ParseErrorKind::MethodMismatch
            | ParseErrorKind::Truncated => 400,
        }
    }

    /// A short reason phrase, such as `Bad CSeq header` (RFC 3261 §21.4.1 asks for one that names the problem).
    pub fn reason(&self) -> String {
        let name = self.header.map_or("", HeaderName::canonical);
        let text = match self.kind {
            ParseErrorKind::StartLine => "Bad start line",
            ParseErrorKind::Version => "Version Not Supported",
            ParseErrorKind::Uri if self.header.is_some() => return format!("Bad URI in {name} header"),
            ParseErrorKind::Uri => "Bad URI",
            ParseErrorKind::UriTooLong => "Request-URI Too Long",
            ParseErrorKind::Scheme => "Unsupported URI Scheme",
            ParseErrorKind::HeaderLine => "Bad header line",
            ParseErrorKind::Unterminated => "Unterminated headers",
            ParseErrorKind::Missing => return format!("Missing {name} header"),
            ParseErrorKind::Duplicate => return format!("More than one {name}"),
            ParseErrorKind::Value => return format!("Bad {name} header"),
            ParseErrorKind::MethodMismatch => "CSeq method does not match",
            ParseErrorKind::Truncated => "Body shorter than Content-Length",
            ParseErrorKind::TooLarge | ParseErrorKind::HeadersTooLarge => "Message Too Large",
        };
        text.to_owned()
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason())
    }
}

impl std::error::Error for ParseError {}
