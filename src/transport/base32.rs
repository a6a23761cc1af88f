//! Base32 of RFC 4648 §6 in lower case, without padding: text that survives every token, user part and host rule of
//! RFC 3261, whatever the case in which somebody compares it.
//!
//! Decoding is strict, so that one value has exactly one text: lower case only, and the bits left over are zero.

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// How many characters `bytes` bytes become.
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Writes the text of `bytes` to the front of `out` and returns its length; stops early when `out` is too short.
pub fn encode(bytes: &[u8], out: &mut [u8]) -> usize {
    let mut source = bytes.iter();
    let (mut held, mut bits, mut length) = (0u32, 0u32, 0usize);
    for place in out.iter_mut().take(encoded_len(bytes.len())) {
        if bits < 5 {
            held = (held << 8) | u32::from(source.next().copied().unwrap_or(0));
            bits += 8;
        }
        bits -= 5;
        *place = letter(held >> bits);
        length += 1;
    }
    length
}

/// Fills `out` from `text`; `None` unless `text` is exactly the text of that many bytes.
pub fn decode(text: &[u8], out: &mut [u8]) -> Option<()> {
    if text.len() != encoded_len(out.len()) {
        return None;
    }
    let mut letters = text.iter();
    let (mut held, mut bits) = (0u32, 0u32);
    for place in out.iter_mut() {
        while bits < 8 {
            held = (held << 5) | value(*letters.next()?)?;
            bits += 5;
        }
        bits -= 8;
        *place = (held >> bits) as u8;
        held &= (1 << bits) - 1;
    }
    // One value, one text: no letter is left, and the bits that no byte took are zero.
    (letters.next().is_none() && held == 0).then_some(())
}

fn letter(bits: u32) -> u8 {
    ALPHABET.get((bits & 31) as usize).copied().unwrap_or(b'a')
}

fn value(letter: u8) -> Option<u32> {
    match letter {
        b'a'..=b'z' => Some(u32::from(letter - b'a')),
        b'2'..=b'7' => Some(u32::from(letter - b'2') + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = [0u8; 256];
        let length = encode(bytes, &mut out);
        String::from_utf8(out[..length].to_vec()).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(text(plain.as_bytes()), coded);
            let mut back = vec![0; plain.len()];
            assert_eq!(decode(coded.as_bytes(), &mut back), Some(()));
            assert_eq!(back, plain.as_bytes());
        }
    }

    #[test]
    fn one_value_has_one_text() {
        let mut out = [0u8; 1];
        assert_eq!(decode(b"my", &mut out), Some(()));
        for other in ["mz", "MY", "m", "mya", "m1", "m=", ""] {
            assert_eq!(decode(other.as_bytes(), &mut out), None, "{other}");
        }
    }

    #[test]
    fn every_length_comes_back() {
        for length in 0..64usize {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 37 + 11) as u8).collect();
            let mut back = vec![0; length];
            assert_eq!(decode(text(&bytes).as_bytes(), &mut back), Some(()));
            assert_eq!(back, bytes);
        }
    }
}
