//! Octet classes of RFC 3261 §25.1, and cuts that cannot panic.

use super::find::find2;

const TOKEN: u8 = 1;
/// What may stand in a Request-URI: printable ASCII but angle brackets and quotes (RFC 4475 §3.1.2.7).
const URI: u8 = 2;
/// Printable ASCII.
const PRINTABLE: u8 = 4;

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut octet = 0usize;
    while octet < 256 {
        let c = octet as u8;
        if c.is_ascii_alphanumeric() {
            table[octet] |= TOKEN;
        }
        if c > b' ' && c < 127 {
            table[octet] |= PRINTABLE;
            if !matches!(c, b'<' | b'>' | b'"') {
                table[octet] |= URI;
            }
        }
        octet += 1;
    }
    let marks = b"-.!%*_+`'~";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] |= TOKEN;
        i += 1;
    }
    table
}

static CLASS: [u8; 256] = classes();

/// `token` of RFC 3261 §25.1.
#[inline]
pub(crate) fn is_token_octet(octet: u8) -> bool {
    CLASS[octet as usize] & TOKEN != 0
}

#[inline]
fn all(text: &[u8], class: u8) -> bool {
    !text.is_empty() && text.iter().fold(class, |left, octet| left & CLASS[*octet as usize]) != 0
}

/// Non-empty, and fit for a Request-URI.
#[inline]
pub(crate) fn is_uri_text(text: &[u8]) -> bool {
    all(text, URI)
}

/// Non-empty printable ASCII in one piece.
#[inline]
pub(crate) fn is_printable(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    // The top bit of an octet is set where it is below `!` or above `~`.
    let odd = |word: u64| {
        (word.wrapping_sub(0x2121_2121_2121_2121) & !word) | word.wrapping_add(0x0101_0101_0101_0101) | word
    };
    let odd = words
        .iter()
        .fold(0, |odds, octets| odds | odd(u64::from_le_bytes(*octets)));
    odd & 0x8080_8080_8080_8080 == 0
        && !text.is_empty()
        && rest.iter().all(|octet| CLASS[*octet as usize] & PRINTABLE != 0)
}

/// A non-empty `token`.
pub(crate) fn is_token(text: &[u8]) -> bool {
    all(text, TOKEN)
}

/// White space as it stands inside a folded header value: SP, HT, CR, LF.
#[inline]
pub(crate) fn is_lws(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// A sub-slice; empty where the bounds are outside.
#[inline]
pub(crate) fn cut(data: &[u8], start: usize, end: usize) -> &[u8] {
    data.get(start..end).unwrap_or_default()
}

/// Without white space at the start, folding included.
#[inline]
pub(crate) fn trim_start(mut data: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = data {
        if !is_lws(*first) {
            break;
        }
        data = rest;
    }
    data
}

/// Without white space at the end, folding included.
#[inline]
pub(crate) fn trim_end(mut data: &[u8]) -> &[u8] {
    while let [rest @ .., last] = data {
        if !is_lws(*last) {
            break;
        }
        data = rest;
    }
    data
}

/// Without surrounding white space, folding included.
#[inline]
pub(crate) fn trim(data: &[u8]) -> &[u8] {
    trim_end(trim_start(data))
}

/// As [`trim`], for text.
pub(crate) fn trim_text(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// One unsigned decimal, nothing else; `None` also when it does not fit (RFC 4475 §3.1.2.4: never wrap).
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    text.iter()
        .try_fold(0u64, |value, octet| {
            digit(*octet).and_then(|d| value.checked_mul(10)?.checked_add(u64::from(d)))
        })
        .filter(|_| !text.is_empty())
}

/// As [`decimal`], at most 2³²−1.
#[inline]
pub(crate) fn decimal_u32(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |value, octet| {
        digit(*octet).and_then(|d| value.checked_mul(10)?.checked_add(u32::from(d)))
    })
}

#[inline]
fn digit(octet: u8) -> Option<u8> {
    octet.is_ascii_digit().then(|| octet - b'0')
}

/// The length of the quoted string at the start of `data`, both quotes counted; `None` when it does not end.
#[inline]
pub(crate) fn quoted_len(data: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += find2(data.get(at..)?, b'"', b'\\')?;
        if data.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}
