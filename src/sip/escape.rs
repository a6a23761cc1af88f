//! %-escapes of URIs (RFC 3261 §19.1.2).

use std::borrow::Cow;
use std::fmt::Write;

fn hex(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Decodes every well-formed escape once (RFC 4475 §3.1.1.3: never recursively); anything else stays as it is.
pub(crate) fn unescape(text: &str) -> Cow<'_, [u8]> {
    let data = text.as_bytes();
    if !data.contains(&b'%') {
        return Cow::Borrowed(data);
    }
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    while let Some(octet) = data.get(at) {
        let pair = match (octet, data.get(at + 1), data.get(at + 2)) {
            (b'%', Some(high), Some(low)) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            None => {
                out.push(*octet);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// As [`unescape`], as text; `None` when the octets are not UTF-8.
pub(crate) fn unescape_text(text: &str) -> Option<Cow<'_, str>> {
    match unescape(text) {
        Cow::Borrowed(_) => Some(Cow::Borrowed(text)),
        Cow::Owned(octets) => String::from_utf8(octets).ok().map(Cow::Owned),
    }
}

/// Escapes everything but `unreserved` and `hnv-unreserved`, for a URI header's name or value.
pub(crate) fn escape_header(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for octet in text.bytes() {
        let plain = octet.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&octet);
        if plain {
            out.push(char::from(octet));
        } else {
            write!(out, "%{octet:02X}").ok(); // writing to a String cannot fail
        }
    }
    out
}

/// Escapes what may not stand in a URI's user part.
pub(crate) fn escape_user(text: &str) -> Cow<'_, str> {
    let plain = |o: u8| o.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%".contains(&o);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for octet in text.bytes() {
        if plain(octet) {
            out.push(char::from(octet));
        } else {
            write!(out, "%{octet:02X}").ok(); // writing to a String cannot fail
        }
    }
    Cow::Owned(out)
}

/// One user part in the form in which equal ones are equal octets: RFC 3261 §19.1.4 makes an escape equal to its
/// character unless that character is reserved.
pub(crate) fn normalised_user(text: &str) -> Vec<u8> {
    let data = text.as_bytes();
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    while let Some(octet) = data.get(at) {
        let pair = match (octet, data.get(at + 1), data.get(at + 2)) {
            (b'%', Some(high), Some(low)) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                let decoded = high << 4 | low;
                if decoded.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&decoded) {
                    out.push(decoded);
                } else {
                    out.extend_from_slice(format!("%{decoded:02X}").as_bytes());
                }
                at += 3;
            }
            None => {
                out.push(*octet);
                at += 1;
            }
        }
    }
    out
}
