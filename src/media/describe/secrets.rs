//! Keys, passwords and numbers of endpoints, from one secret and a counter: no two alike, none to be guessed, and the same
//! again in a test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use compact_str::CompactString;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::media::{SrtpKey, SrtpProfile};

/// What a value is for; the same counter gives unrelated values for different uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Ssrc = 1,
    Ufrag,
    Password,
    Gcm,
    Counter,
    Name,
}

/// HMAC-SHA256 of use and counter under the secret (RFC 2104).
pub(super) fn octets(secret: &[u8; 32], serial: u64, of: Use) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return [0; 32]; // HMAC takes keys of any length
    };
    mac.update(&[of as u8]);
    mac.update(&serial.to_be_bytes());
    mac.finalize().into_bytes().into()
}

pub(super) fn number(secret: &[u8; 32], serial: u64, of: Use) -> u32 {
    let [a, b, c, d, ..] = octets(secret, serial, of);
    u32::from_be_bytes([a, b, c, d])
}

/// ICE characters only (RFC 8839 §5.4): letters, digits, `+`, `/`. The first `length` of at most 43.
pub(super) fn token(secret: &[u8; 32], serial: u64, of: Use, length: usize) -> CompactString {
    let text = STANDARD.encode(octets(secret, serial, of));
    text.chars().take(length.min(42)).collect()
}

/// RTCP's canonical name: letters and digits.
pub(super) fn name(secret: &[u8; 32], serial: u64) -> CompactString {
    let text = token(secret, serial, Use::Name, 16);
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Octets of key and salt.
pub(super) fn length(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AeadAes128Gcm => 28,
        SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => 30,
    }
}

/// A key for SDES.
pub(super) fn key(secret: &[u8; 32], serial: u64, profile: SrtpProfile) -> SrtpKey {
    let of = match profile {
        SrtpProfile::AeadAes128Gcm => Use::Gcm,
        SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => Use::Counter,
    };
    let octets = octets(secret, serial, of);
    SrtpKey {
        profile,
        key_and_salt: Bytes::copy_from_slice(octets.get(..length(profile)).unwrap_or_default()),
    }
}

/// A key as `inline:` has it.
pub(super) fn inline(key: &SrtpKey) -> String {
    STANDARD.encode(&key.key_and_salt)
}

/// The other way round; `None`: no key of that length.
pub(super) fn read(profile: SrtpProfile, text: &str) -> Option<SrtpKey> {
    if text.len() > 64 {
        return None;
    }
    let octets = STANDARD
        .decode(text)
        .ok()
        .filter(|octets| octets.len() == length(profile))?;
    Some(SrtpKey {
        profile,
        key_and_salt: octets.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_and_every_serial_has_its_own_value() {
        let secret = [7; 32];
        assert_eq!(octets(&secret, 1, Use::Ssrc), octets(&secret, 1, Use::Ssrc));
        assert_ne!(octets(&secret, 1, Use::Ssrc), octets(&secret, 2, Use::Ssrc));
        assert_ne!(octets(&secret, 1, Use::Ssrc), octets(&secret, 1, Use::Ufrag));
        assert_ne!(octets(&secret, 1, Use::Ssrc), octets(&[8; 32], 1, Use::Ssrc));
        let ice = token(&secret, 3, Use::Password, 24);
        assert_eq!(ice.len(), 24);
        assert!(ice.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '/'));
    }

    #[test]
    fn a_key_survives_its_text_and_no_other_length_does() {
        for profile in [SrtpProfile::AeadAes128Gcm, SrtpProfile::AesCm128HmacSha1_80] {
            let ours = key(&[1; 32], 9, profile);
            assert_eq!(read(profile, &inline(&ours)), Some(ours));
        }
        let gcm = inline(&key(&[1; 32], 9, SrtpProfile::AeadAes128Gcm));
        assert_eq!(read(SrtpProfile::AesCm128HmacSha1_80, &gcm), None);
        assert_eq!(read(SrtpProfile::AeadAes128Gcm, &"A".repeat(4_000)), None);
    }
}
