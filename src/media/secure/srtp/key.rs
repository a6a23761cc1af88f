//! Session keys from a master key (RFC 3711 §4.3, RFC 7714 §11).

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};

/// What a session key is for (RFC 3711 §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// `N` octets for `label`; the key derivation rate is 0, as always without a parameter that says otherwise.
///
/// A salt of 12 octets (RFC 7714) counts as one of 14 with two zeroes behind it.
pub(super) fn derive<const N: usize>(master_key: &[u8; 16], master_salt: &[u8], label: Label) -> [u8; N] {
    let cipher = Aes128::new(master_key.into());
    let mut x = [0u8; 16];
    for (octet, salt) in x.iter_mut().zip(master_salt.iter().take(14)) {
        *octet = *salt;
    }
    // key_id is label * 2^48, added to the 112-bit salt: the octet seven places before the end of it.
    x[7] ^= label as u8;
    let mut out = [0u8; N];
    for (counter, chunk) in out.chunks_mut(16).enumerate() {
        let mut block = x;
        block[15] = counter as u8;
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        for (to, from) in chunk.iter_mut().zip(block) {
            *to = from;
        }
    }
    out
}
