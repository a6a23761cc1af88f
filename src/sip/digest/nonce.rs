//! Nonces that prove themselves: time and source under a keyed MAC (RFC 7616 §3.3).

use compact_str::{CompactString, format_compact};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::fmt;
use std::hash::Hasher;
use subtle::ConstantTimeEq;

/// Seals and opens nonces. The key belongs to the cluster, so that any node can open any node's nonce.
#[derive(Clone)]
pub struct NonceKey([u8; 16]);

/// What a nonce turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// Ours, for this source, in time.
    Fresh,
    /// Ours, for this source, too old: answer `stale=true`, so that nobody is asked for a password again.
    Stale,
    /// Not ours, or given to another source.
    Forged,
}

/// 16 digits of time and 32 of MAC.
const LEN: usize = 48;

impl NonceKey {
    /// A key.
    pub fn new(key: [u8; 16]) -> NonceKey {
        NonceKey(key)
    }

    /// A nonce for a source (its address as text, without the port: a phone behind a NAT changes that). `now` is in
    /// milliseconds of the caller's clock, the same one for all nodes.
    pub fn seal(&self, now: u64, source: &str) -> CompactString {
        format_compact!("{now:016x}{:032x}", self.mac(now, source))
    }

    /// Opens a nonce; `lifetime` in milliseconds. One from the future is forged.
    pub fn check(&self, nonce: &str, now: u64, source: &str, lifetime: u64) -> NonceState {
        let time = nonce.get(..16).filter(|_| nonce.len() == LEN);
        let time = time.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let Some(time) = time else { return NonceState::Forged };
        let wanted = self.seal(time, source);
        let ours: bool = wanted.as_bytes().ct_eq(nonce.as_bytes()).into();
        match now.checked_sub(time) {
            Some(age) if ours && age <= lifetime => NonceState::Fresh,
            Some(_) if ours => NonceState::Stale,
            Some(_) | None => NonceState::Forged,
        }
    }

    fn mac(&self, time: u64, source: &str) -> u128 {
        let mut hash = SipHasher24::new_with_key(&self.0);
        hash.write(b"nonce");
        hash.write(&time.to_be_bytes());
        hash.write(source.as_bytes());
        hash.finish128().as_u128()
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_fresh_then_stale_and_forged_everywhere_else() {
        let key = NonceKey::new([7; 16]);
        let nonce = key.seal(1_000, "192.0.2.1");
        assert_eq!(key.check(&nonce, 61_000, "192.0.2.1", 60_000), NonceState::Fresh);
        assert_eq!(key.check(&nonce, 61_001, "192.0.2.1", 60_000), NonceState::Stale);
        assert_eq!(key.check(&nonce, 2_000, "192.0.2.2", 60_000), NonceState::Forged);
        assert_eq!(key.check(&nonce, 999, "192.0.2.1", 60_000), NonceState::Forged);
        assert_eq!(
            NonceKey::new([8; 16]).check(&nonce, 2_000, "192.0.2.1", 60_000),
            NonceState::Forged
        );
        assert_eq!(key.check("", 2_000, "192.0.2.1", 60_000), NonceState::Forged);
        assert_eq!(
            key.check(&"é".repeat(24), 2_000, "192.0.2.1", 60_000),
            NonceState::Forged
        );
        // A clock near its wrap.
        let late = key.seal(u64::MAX - 5, "x");
        assert_eq!(key.check(&late, u64::MAX, "x", 60_000), NonceState::Fresh);
    }
}
