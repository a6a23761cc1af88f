//! Searches over the short stretches that a header value is made of: eight octets at a time, without a call.
//!
//! `memchr` is faster on long stretches and is used there; on the 5 to 60 octets between two separators its call costs
//! as much as the search.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A word in which the lowest octet with its top bit set is the first octet of `word` that equals `needle`; the other
/// bits of each octet, and everything above that octet, mean nothing.
#[inline]
const fn hits(word: u64, needle: u8) -> u64 {
    let x = word ^ (LOW * needle as u64);
    x.wrapping_sub(LOW) & !x
}

#[inline]
fn search(data: &[u8], hit: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    let mut rest = data;
    let mut at = 0;
    while let Some((octets, next)) = rest.split_first_chunk::<8>() {
        let found = hit(u64::from_le_bytes(*octets)) & HIGH;
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
        rest = next;
    }
    for octet in rest {
        if is(*octet) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Where `a` stands first.
#[inline]
pub(crate) fn find(data: &[u8], a: u8) -> Option<usize> {
    search(data, |word| hits(word, a), |octet| octet == a)
}

/// Where one of two octets stands first.
#[inline]
pub(crate) fn find2(data: &[u8], a: u8, b: u8) -> Option<usize> {
    search(
        data,
        |word| hits(word, a) | hits(word, b),
        |octet| octet == a || octet == b,
    )
}

/// Where one of three octets stands first.
#[inline]
pub(crate) fn find3(data: &[u8], a: u8, b: u8, c: u8) -> Option<usize> {
    search(
        data,
        |word| hits(word, a) | hits(word, b) | hits(word, c),
        |octet| octet == a || octet == b || octet == c,
    )
}

/// The next line feed: most header lines are short, bodies and odd lines are not.
#[inline]
pub(crate) fn find_line_feed(data: &[u8]) -> Option<usize> {
    const SHORT: usize = 96;
    let mut rest = data;
    let mut at = 0;
    while at < SHORT
        && let Some((octets, next)) = rest.split_first_chunk::<16>()
    {
        let words = u128::from_le_bytes(*octets);
        let (low, high) = (hits(words as u64, b'\n'), hits((words >> 64) as u64, b'\n'));
        if (low | high) & HIGH != 0 {
            let (low, high) = (low & HIGH, high & HIGH);
            let bits = if low != 0 {
                low.trailing_zeros()
            } else {
                64 + high.trailing_zeros()
            };
            return Some(at + (bits / 8) as usize);
        }
        at += 16;
        rest = next;
    }
    memchr::memchr(b'\n', rest).map(|found| at + found)
}

/// How many octets equal `needle`.
#[inline]
pub(crate) fn count(data: &[u8], needle: u8) -> usize {
    // Sums of at most 128 fit an octet, so that sixteen are added at once.
    let sum = |part: &[u8]| usize::from(part.iter().fold(0u8, |sum, octet| sum + u8::from(*octet == needle)));
    let (parts, rest) = data.as_chunks::<128>();
    let (small, rest) = rest.as_chunks::<16>();
    let whole: usize = parts.iter().map(|part| sum(part)).sum();
    let small: usize = small.iter().map(|part| sum(part)).sum();
    whole + small + sum(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_search_agrees_with_the_plain_one() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for len in 0..300 {
            let data: Vec<u8> = (0..len).map(|_| (next() % 24) | (next() & 0x80)).collect();
            let plain = |list: &[u8]| data.iter().position(|octet| list.contains(octet));
            assert_eq!(find(&data, 3), plain(&[3]));
            assert_eq!(find2(&data, 3, 0x83), plain(&[3, 0x83]));
            assert_eq!(find3(&data, 0, 1, 2), plain(&[0, 1, 2]));
            assert_eq!(find_line_feed(&data), plain(b"\n"));
            assert_eq!(count(&data, 10), data.iter().filter(|octet| **octet == 10).count());
            assert_eq!(count(&vec![7; len], 7), len);
        }
    }
}
