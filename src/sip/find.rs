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

/// Where `needle` stands first in a word, counted in octets.
#[inline]
pub(crate) const fn find_in_word(word: u64, needle: u8) -> Option<usize> {
    let found = hits(word, needle) & HIGH;
    if found == 0 {
        None
    } else {
        Some((found.trailing_zeros() / 8) as usize)
    }
}

#[inline]
fn search(data: &[u8], hit: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    let mut rest = data;
    while let Some((octets, next)) = rest.split_first_chunk::<8>() {
        let found = hit(u64::from_le_bytes(*octets)) & HIGH;
        if found != 0 {
            return Some(data.len() - rest.len() + (found.trailing_zeros() / 8) as usize);
        }
        rest = next;
    }
    if rest.is_empty() {
        return None;
    }
    match data.last_chunk::<8>() {
        // The last word overlaps what was searched: nothing was there.
        Some(octets) => {
            let found = hit(u64::from_le_bytes(*octets)) & HIGH;
            (found != 0).then(|| data.len() - 8 + (found.trailing_zeros() / 8) as usize)
        }
        None => data.iter().position(|octet| is(*octet)),
    }
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

/// The next CR or LF: most header lines are short, bodies and odd lines are not.
#[inline(always)]
pub(crate) fn find_line_end(data: &[u8]) -> Option<usize> {
    const SHORT: usize = 96;
    let mut rest = data;
    while let Some((octets, next)) = rest.split_first_chunk::<16>() {
        // Without a branch, so that all sixteen are compared at once.
        let any = |needle| octets.iter().fold(false, |any, octet| any | (*octet == needle));
        if any(b'\r') | any(b'\n') {
            let words = u128::from_le_bytes(*octets);
            let hit = |word| (hits(word, b'\r') | hits(word, b'\n')) & HIGH;
            let (low, high) = (hit(words as u64), hit((words >> 64) as u64));
            let bits = if low != 0 {
                low.trailing_zeros()
            } else {
                64 + high.trailing_zeros()
            };
            return Some(data.len() - rest.len() + (bits / 8) as usize);
        }
        rest = next;
        if data.len() - rest.len() >= SHORT {
            break;
        }
    }
    memchr::memchr2(b'\r', b'\n', rest).map(|found| data.len() - rest.len() + found)
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
            assert_eq!(find_line_end(&data), plain(b"\r\n"));
            let dull = vec![b'x'; len];
            assert_eq!(find_line_end(&dull), None);
            for end in [b'\r', b'\n'] {
                let late = [dull.as_slice(), &[end], b"\r\n"].concat();
                assert_eq!(find_line_end(&late), Some(len));
            }
        }
    }
}
