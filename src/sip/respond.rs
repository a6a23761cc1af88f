//! Responses: to a request that parsed, and to one that did not.

use super::chars::{cut, is_token_octet, trim};
use super::draft::Draft;
use super::error::ParseError;
use super::header_name::HeaderName;
use super::message::Message;
use super::method::Method;
use bytes::Bytes;
use memchr::memmem;

impl Message {
    /// The response to this request: Via, From, To, Call-ID and CSeq copied as they came, Timestamp for 100
    /// (RFC 3261 §8.2.6). The to-tag, Contact, Record-Route and the rest are the caller's.
    pub fn respond(&self, status: u16) -> Draft {
        Draft::status_line(status).copy_all(self, |name| {
            let copied = [
                HeaderName::Via,
                HeaderName::From,
                HeaderName::To,
                HeaderName::CallId,
                HeaderName::CSeq,
            ];
            copied.contains(&name) || (name == HeaderName::Timestamp && status == 100)
        })
    }

    /// The refusal of a message that [`Message::parse`] refused: its status, a reason phrase that names the culprit,
    /// and the routing headers as far as they could be read. `None` for responses, for ACK (RFC 3261 §17.1.1.3: it is
    /// never answered), for what has no Via, and for what is no SIP at all.
    pub fn salvage(bytes: impl AsRef<[u8]>) -> Option<Draft> {
        let bytes = bytes.as_ref();
        let error = match Message::parse(Bytes::copy_from_slice(bytes)) {
            Ok(message) => message.validate().err()?,
            Err(error) => error,
        };
        salvage(bytes, error)
    }

    /// As [`Message::salvage`], when the error is known.
    pub fn salvage_as(bytes: impl AsRef<[u8]>, error: ParseError) -> Option<Draft> {
        salvage(bytes.as_ref(), error)
    }
}

fn salvage(bytes: &[u8], error: ParseError) -> Option<Draft> {
    let data = cut(bytes, super::scan::leading_crlf(bytes), bytes.len());
    let head = cut(data, 0, memmem::find(data, b"\r\n\r\n").map_or(data.len(), |at| at + 2));
    let mut lines = unfolded_lines(head);
    let start = lines.next()?;
    let method = start.split(|octet| *octet == b' ').next()?;
    let names_sip = memmem::find(start, b" SIP/").is_some();
    if !names_sip || Method::parse(method).is_ok_and(|method| method == Method::Ack) || method.contains(&b'/') {
        return None;
    }
    let mut draft = Draft::status_line(error.status()).reason_phrase(&error.reason());
    let wanted = [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
    ];
    let all: Vec<(HeaderName, &[u8], &[u8])> = lines.filter_map(header_of).collect();
    for name in wanted {
        let mut any = false;
        for (id, text, value) in all.iter().filter(|(id, _, value)| *id == name && !value.is_empty()) {
            any = true;
            draft.copy_line(*id, text, value);
            if name == HeaderName::To && memmem::find(&value.to_ascii_lowercase(), b"tag").is_none() {
                draft.last_line_is_untagged_to();
            }
            // A single-value header that came twice is answered with its first.
            if name != HeaderName::Via {
                break;
            }
        }
        if name == HeaderName::Via && !any {
            return None;
        }
    }
    Some(draft)
}

/// Header lines with their continuation lines.
fn unfolded_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        loop {
            let end = memmem::find(rest.get(from..)?, b"\r\n").map_or(rest.len(), |at| from + at);
            if matches!(rest.get(end + 2), Some(b' ' | b'\t')) {
                from = end + 2;
                continue;
            }
            let line = cut(rest, 0, end);
            rest = cut(rest, end + 2, rest.len());
            return Some(line);
        }
    })
}

fn header_of(line: &[u8]) -> Option<(HeaderName, &[u8], &[u8])> {
    let len = line.iter().take_while(|octet| is_token_octet(**octet)).count();
    let colon = memchr::memchr(b':', line)?;
    if !cut(line, len, colon).iter().all(|octet| matches!(octet, b' ' | b'\t')) {
        return None;
    }
    let name = cut(line, 0, len);
    // A bare CR or LF inside would become a second header in our answer.
    let value = trim(cut(line, colon + 1, line.len()));
    let bare = value.iter().enumerate().any(|(at, octet)| match octet {
        b'\r' => value.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || value.get(at - 1) != Some(&b'\r'),
        _ => false,
    });
    (!bare).then_some((HeaderName::lookup(name), name, value))
}
