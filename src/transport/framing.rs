//! A byte stream cut into messages (RFC 3261 §18.3, §7.5; keepalive: RFC 5626 §4.4.1).
//!
//! On a stream the Content-Length says where a message ends, so that a stream whose length cannot be trusted cannot be
//! read any further: the error closes it, after a 400 when the message let itself be answered. The header section must
//! be of CRLF lines without stray CR or LF: two readers that see different lines would see different messages.
//!
//! | at the boundary of two messages | becomes |
//! |---|---|
//! | CRLF CRLF | [`Frame::Ping`]: the driver sends [`PONG`] |
//! | CRLF alone, by the end of what came | [`Frame::Pong`]: the answer to our own ping, or padding before a message |
//! | anything else | the start of a message |

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use crate::sip::{HeaderName, Message, ParseError, ParseErrorKind};

/// The most octets that one message on a stream may have.
pub const MESSAGE_LIMIT: usize = 64 * 1024;
/// How long a message may take to arrive after its first octet; then the driver closes the stream.
pub const INCOMPLETE_LIMIT: Duration = Duration::from_secs(10);
/// The answer to a [`Frame::Ping`].
pub const PONG: &[u8] = b"\r\n";

/// Two CRLFs are one ping only when they come together: pongs that arrive half a minute apart are none.
const PING_WITHIN: Duration = Duration::from_secs(1);

/// What the framer found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// Exactly one message, not parsed yet.
    Message(Bytes),
    /// A keepalive that wants [`PONG`].
    Ping,
    /// A lone CRLF: the other side is alive.
    Pong,
}

/// Why the stream must be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameErrorKind {
    /// No Content-Length, which a stream cannot do without.
    #[error("missing Content-Length")]
    LengthMissing,
    /// A Content-Length that is no unsigned decimal number.
    #[error("bad Content-Length")]
    LengthBad,
    /// Two Content-Lengths that differ.
    #[error("contradicting Content-Length")]
    LengthContradicts,
    /// More than [`MESSAGE_LIMIT`] octets.
    #[error("message too large")]
    TooLarge,
    /// A CR or LF that is no CRLF in the header section.
    #[error("stray CR or LF")]
    StrayLineBreak,
}

impl FrameErrorKind {
    /// The same in the words of the message layer, which chooses the status and the reason phrase.
    fn blame(self) -> ParseError {
        match self {
            FrameErrorKind::LengthMissing => ParseError::at(ParseErrorKind::Missing, HeaderName::ContentLength),
            FrameErrorKind::LengthBad => ParseError::at(ParseErrorKind::Value, HeaderName::ContentLength),
            FrameErrorKind::LengthContradicts => ParseError::at(ParseErrorKind::Duplicate, HeaderName::ContentLength),
            FrameErrorKind::TooLarge => ParseError::new(ParseErrorKind::TooLarge),
            FrameErrorKind::StrayLineBreak => ParseError::new(ParseErrorKind::HeaderLine),
        }
    }
}

/// The error that ends a stream, and what may be sent before closing it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct FrameError {
    /// Why.
    pub kind: FrameErrorKind,
    /// A 400 (or 513) for the request that could not be framed, when its routing headers could be read.
    pub answer: Option<Bytes>,
}

/// Cuts one stream into messages. Feed it with [`push`](Self::push), then call [`next`](Self::next) until it says
/// `None`.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// How far the end of the header section has been looked for, so that octets that trickle are read once.
    searched: usize,
    /// The whole length of the message at the front, once its header section is complete.
    length: Option<usize>,
    /// When the first octet of the message at the front came.
    started: Option<Instant>,
    /// When a CRLF came that may be the first half of a ping.
    half_ping: Option<Instant>,
    last_push: Option<Instant>,
    broken: Option<FrameErrorKind>,
}

impl StreamFramer {
    /// A framer for a new stream.
    pub fn new() -> StreamFramer {
        StreamFramer::default()
    }

    /// Takes what has been read from the stream.
    pub fn push(&mut self, now: Instant, octets: &[u8]) {
        // A stream that has been refused takes no more memory.
        if self.broken.is_none() {
            self.buffer.extend_from_slice(octets);
            self.last_push = Some(now);
        }
    }

    /// The next frame; `None` when more octets are needed.
    ///
    /// # Errors
    /// The stream cannot be read any further: send the error's answer, if any, and close. Every later call says so
    /// again, without an answer.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would have to end; more octets may come after None"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(kind) = self.broken {
            return Err(FrameError { kind, answer: None });
        }
        let frame = match self.cut() {
            Ok(frame) => frame,
            Err(kind) => return Err(self.refuse(kind)),
        };
        if frame.is_none() {
            self.started = if self.buffer.is_empty() {
                None
            } else {
                self.started.or(self.last_push)
            };
        }
        Ok(frame)
    }

    /// When the message that is still incomplete began; the stream is to be closed [`INCOMPLETE_LIMIT`] after.
    pub fn incomplete_since(&self) -> Option<Instant> {
        self.started
    }

    /// How many octets wait for the rest of their message.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameErrorKind> {
        if self.length.is_none() {
            if let Some(frame) = self.cut_keepalive() {
                return Ok(Some(frame));
            }
            self.length = self.find_length()?;
        }
        match self.length {
            Some(length) if self.buffer.len() >= length => {
                self.length = None;
                self.searched = 0;
                self.started = None;
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            Some(_) => Ok(None),
            None if self.buffer.len() > MESSAGE_LIMIT => Err(FrameErrorKind::TooLarge),
            None => Ok(None),
        }
    }

    /// A CRLF at the boundary of messages.
    fn cut_keepalive(&mut self) -> Option<Frame> {
        if self.searched != 0 {
            return None;
        }
        while self.buffer.starts_with(PONG) {
            self.buffer.advance(PONG.len());
            self.started = None;
            let now = self.last_push?;
            match self.half_ping.take() {
                Some(first) if now.saturating_duration_since(first) <= PING_WITHIN => return Some(Frame::Ping),
                Some(_) | None => self.half_ping = Some(now),
            }
            if self.buffer.is_empty() {
                return Some(Frame::Pong);
            }
        }
        if self.buffer.first().is_some_and(|octet| *octet != b'\r') {
            self.half_ping = None;
        }
        None
    }

    /// The whole length of the message at the front, when its header section is complete.
    fn find_length(&mut self) -> Result<Option<usize>, FrameErrorKind> {
        let from = self.searched.saturating_sub(3);
        let found = self.buffer.get(from..).and_then(|rest| memmem::find(rest, b"\r\n\r\n"));
        let Some(at) = found else {
            // One octet may be the CR of a keepalive: a search begins with the second.
            self.searched = if self.buffer.len() > 1 { self.buffer.len() } else { 0 };
            return Ok(None);
        };
        let head = from + at + 4;
        let section = self.buffer.get(..head).unwrap_or_default();
        let body = content_length(section)?;
        match head.checked_add(body) {
            Some(length) if length <= MESSAGE_LIMIT => Ok(Some(length)),
            Some(_) | None => Err(FrameErrorKind::TooLarge),
        }
    }

    fn refuse(&mut self, kind: FrameErrorKind) -> FrameError {
        self.broken = Some(kind);
        self.started = None;
        let octets = std::mem::take(&mut self.buffer);
        // Only a complete header section is answered: a cut one may hide whose request it was.
        let head = memmem::find(&octets, b"\r\n\r\n").map(|at| octets.freeze().split_to(at + 4));
        let answer = head
            .and_then(|head| Message::salvage_as(head, kind.blame()))
            .map(|draft| draft.print());
        FrameError { kind, answer }
    }
}

/// The Content-Length of a header section that ends with an empty line; folded lines and the compact form `l` count.
fn content_length(section: &[u8]) -> Result<usize, FrameErrorKind> {
    let mut length: Option<usize> = None;
    // The start line is no header, and a fold after it would be none either.
    let mut lines = Lines { rest: section };
    lines.next().transpose()?;
    let mut current: Option<&[u8]> = None;
    let mut take = |value: Option<&[u8]>| -> Result<(), FrameErrorKind> {
        let Some(value) = value else { return Ok(()) };
        let number = decimal(value).ok_or(FrameErrorKind::LengthBad)?;
        match length.replace(number) {
            Some(other) if other != number => Err(FrameErrorKind::LengthContradicts),
            Some(_) | None => Ok(()),
        }
    };
    for line in lines {
        let line = line?;
        if line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t')) {
            // RFC 3261 §7.3.1: a fold continues the value. A number broken in two is no number; one that only
            // stands on its own line is.
            match current {
                Some(value) if value.trim_ascii().is_empty() => current = Some(line),
                Some(_) if line.trim_ascii().is_empty() => {}
                Some(_) => return Err(FrameErrorKind::LengthBad),
                None => {}
            }
            continue;
        }
        take(current.take())?;
        if let Some(colon) = memchr::memchr(b':', line) {
            let (name, value) = line.split_at(colon);
            let name = name.trim_ascii_end();
            if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
                current = value.get(1..);
            }
        }
    }
    take(current)?;
    length.ok_or(FrameErrorKind::LengthMissing)
}

/// One unsigned decimal number with white space around it, of at most nine digits, which is more than any limit.
fn decimal(value: &[u8]) -> Option<usize> {
    let digits = value.trim_ascii();
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

/// The CRLF lines of a header section up to its empty line; a CR or LF on its own is an error.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], FrameErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr2(b'\r', b'\n', self.rest)?;
        let (line, after) = self.rest.split_at(end);
        let Some(after) = after.strip_prefix(PONG) else {
            self.rest = &[];
            return Some(Err(FrameErrorKind::StrayLineBreak));
        };
        self.rest = after;
        (!line.is_empty()).then_some(Ok(line))
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
