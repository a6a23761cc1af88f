//! Messages that this edge originates, printed once.

use super::chars::{is_printable, is_token, trim};
use super::find::{find, find3};
use super::header_name::HeaderName;
use super::message::Message;
use super::method::Method;
use super::status;
use bytes::Bytes;
use compact_str::{CompactString, ToCompactString};
use memchr::memmem;
use std::fmt::{self, Display, Write};

/// Room for start line, Via and Content-Length, as long as they usually are.
const USUALLY: usize = 224;

#[derive(Clone, Debug)]
enum Start {
    Request { method: Method, uri: CompactString },
    Response { status: u16, reason: CompactString },
}

/// A message in the making: start line, header lines already printed in one buffer, and a body. The Via of a request
/// comes when it is printed, so that it is printed once.
#[derive(Clone)]
pub struct Draft {
    start: Start,
    /// Octets, for copied lines need not be UTF-8.
    head: Vec<u8>,
    /// Where a tag can be added to To, while it has none.
    to_end: Option<usize>,
    body: Bytes,
}

impl Draft {
    /// A request. White space and controls in `uri` are dropped: a start line has no other way to be read.
    pub fn request(method: &Method, uri: &str) -> Draft {
        let uri = one_word(uri);
        Draft::new(Start::Request {
            method: method.clone(),
            uri,
        })
    }

    /// A response without headers; see [`Message::respond`] for the one that a request is answered with.
    pub(super) fn status_line(status: u16) -> Draft {
        Draft::new(Start::Response {
            status,
            reason: CompactString::const_new(status::reason_phrase(status)),
        })
    }

    fn new(start: Start) -> Draft {
        Draft {
            start,
            head: Vec::with_capacity(512),
            to_end: None,
            body: Bytes::new(),
        }
    }

    /// Adds a header line. CR, LF and NUL inside the value become spaces: a value cannot make a second header.
    /// Content-Length is written by itself and refused here.
    pub fn header(mut self, name: HeaderName, value: impl Display) -> Draft {
        if !matches!(name, HeaderName::ContentLength | HeaderName::Other) {
            self.push_line(name, name.canonical(), value);
        }
        self
    }

    /// Adds a header line by its name; a name that is no token adds nothing.
    pub fn header_named(mut self, name: &str, value: impl Display) -> Draft {
        let id = HeaderName::lookup(name.as_bytes());
        if !is_token(name.as_bytes()) || id == HeaderName::ContentLength {
            return self;
        }
        self.push_line(id, name, value);
        self
    }

    fn push_line(&mut self, id: HeaderName, name: &str, value: impl Display) {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        let from = self.head.len();
        write!(OneLine(&mut self.head), "{value}").ok(); // writing to memory cannot fail
        if id == HeaderName::To {
            let value = std::str::from_utf8(self.head.get(from..).unwrap_or_default()).unwrap_or_default();
            let has_tag = super::params::find(after_bracket(value), "tag").is_some();
            self.to_end = (!has_tag).then_some(self.head.len());
        }
        self.head.extend_from_slice(b"\r\n");
    }

    /// Adds every line of this header of `message`, values byte for byte.
    pub fn copy(self, message: &Message, name: HeaderName) -> Draft {
        self.copy_all(message, |id| id == name)
    }

    /// Adds every line of `message` that is `wanted`, in their order, values byte for byte. A header that this library has
    /// no name for is never wanted.
    pub(super) fn copy_all(mut self, message: &Message, wanted: impl Fn(HeaderName) -> bool) -> Draft {
        for (id, text, value) in message.all_headers() {
            if id != HeaderName::Other && wanted(id) {
                self.copy_line(id, text, value);
                if id == HeaderName::To && message.to_tag().is_none() {
                    self.last_line_is_untagged_to();
                }
            }
        }
        self
    }

    pub(super) fn copy_line(&mut self, id: HeaderName, name: &[u8], value: &[u8]) {
        if id == HeaderName::ContentLength {
            return;
        }
        let name = match id.canonical() {
            "" => name,
            canonical => canonical.as_bytes(),
        };
        for part in [name, b": ", trim(value), b"\r\n"] {
            self.head.extend_from_slice(part);
        }
        if id == HeaderName::To {
            self.to_end = None;
        }
    }

    /// Lets [`Draft::to_tag`] add to the line that was copied last.
    pub(super) fn last_line_is_untagged_to(&mut self) {
        self.to_end = Some(self.head.len().saturating_sub(2));
    }

    /// Adds `;tag=` to To if it has none.
    pub fn to_tag(mut self, tag: &str) -> Draft {
        if let Some(at) = self.to_end.take().filter(|at| *at <= self.head.len()) {
            let tag = one_word(tag);
            self.head.splice(at..at, b";tag=".iter().chain(tag.as_bytes()).copied());
        }
        self
    }

    /// The same request under another number: of use when a challenge is answered (RFC 3261 §22.2).
    pub fn renumbered(mut self, cseq: u32) -> Draft {
        let start = if self.head.starts_with(b"CSeq: ") {
            Some(0)
        } else {
            memmem::find(&self.head, b"\r\nCSeq: ").map(|at| at + 2)
        };
        let Some(from) = start.map(|at| at + "CSeq: ".len()) else {
            return self;
        };
        let rest = self.head.get(from..).unwrap_or_default();
        let to = from + rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        self.head.splice(from..to, cseq.to_compact_string().bytes());
        self
    }

    /// Replaces the reason phrase of a response.
    pub fn reason_phrase(mut self, text: &str) -> Draft {
        match &mut self.start {
            Start::Request { .. } => {}
            Start::Response { reason, .. } => *reason = text.chars().filter(|c| !c.is_control()).collect(),
        }
        self
    }

    /// Sets the body and adds its Content-Type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Draft {
        self.body = body.into();
        self.header(HeaderName::ContentType, content_type)
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI of a request.
    pub fn request_uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The first value of a header that was added, if it is UTF-8.
    pub fn get(&self, name: HeaderName) -> Option<&str> {
        let found = self.head.split(|octet| *octet == b'\n').find_map(|line| {
            let (n, value) = line.split_at_checked(find(line, b':')?)?;
            (name != HeaderName::Other && HeaderName::lookup(n) == name).then_some(value)
        })?;
        std::str::from_utf8(trim(found.get(1..)?)).ok()
    }

    /// The whole message with its Content-Length: a response, or a request whose Via was added as a header.
    pub fn print(&self) -> Bytes {
        self.print_lines(|_| {})
    }

    /// A request with this Via as its first header line.
    pub fn print_with_via(&self, via: impl Display) -> Bytes {
        self.print_lines(|out| {
            out.extend_from_slice(b"Via: ");
            write!(OneLine(out), "{via}").ok(); // writing to memory cannot fail
            out.extend_from_slice(b"\r\n");
        })
    }

    fn print_lines(&self, via: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut out: Vec<u8> = Vec::with_capacity(self.head.len() + self.body.len() + USUALLY);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        match &self.start {
            Start::Request { method, uri } => {
                put(&[method.as_str().as_bytes(), b" ", uri.as_bytes(), b" SIP/2.0\r\n"]);
            }
            Start::Response { status, reason } => {
                let status = status.to_compact_string();
                put(&[b"SIP/2.0 ", status.as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
            }
        }
        via(&mut out);
        let length = self.body.len().to_compact_string();
        let parts: [&[u8]; 5] = [
            &self.head,
            b"Content-Length: ",
            length.as_bytes(),
            b"\r\n\r\n",
            &self.body,
        ];
        parts.iter().for_each(|part| out.extend_from_slice(part));
        Bytes::from(out)
    }
}

/// The text without white space and controls.
fn one_word(text: &str) -> CompactString {
    if is_printable(text.as_bytes()) {
        return text.into();
    }
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

/// What follows the address of a From or To value.
fn after_bracket(value: &str) -> &str {
    let from = value
        .rfind('>')
        .map_or_else(|| value.find(';').unwrap_or(value.len()), |at| at + 1);
    value.get(from..).unwrap_or_default()
}

/// Writes text that must stay on its line.
struct OneLine<'a>(&'a mut Vec<u8>);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let from = self.0.len();
        self.0.extend_from_slice(text.as_bytes());
        if find3(text.as_bytes(), b'\r', b'\n', 0).is_some() {
            let written = self.0.get_mut(from..).unwrap_or_default();
            written
                .iter_mut()
                .filter(|octet| matches!(**octet, b'\r' | b'\n' | 0))
                .for_each(|octet| *octet = b' ');
        }
        Ok(())
    }
}

impl fmt::Debug for Draft {
    /// The start line only: no header values, no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
