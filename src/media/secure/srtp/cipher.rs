//! The two transforms, over octets in place and without allocation: AES counter mode with HMAC-SHA1 (RFC 3711 §4),
//! and AES-128-GCM (RFC 7714).
//!
//! Our own and not `rtc-srtp`'s: that one copies every packet into a new buffer, parses the RTP header into vectors and guesses the
//! authenticated header's length from them, keeps state for every SSRC that a stranger writes into a packet *before* authenticating it
//! (a million forged packets are a million states), and signs with ring's HMAC-SHA1, which has no SHA-NI code.

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, Mac};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::Sha1;

use super::super::super::{SrtpKey, SrtpProfile};
use super::key::{Label, derive};

/// The longest tag.
pub(super) const TAG: usize = 16;

/// Session keys of one direction.
pub(super) struct Ciphers {
    pub(super) rtp: Cipher,
    pub(super) rtcp: Cipher,
}

/// One transform with its key.
pub(super) enum Cipher {
    Cm(Box<CounterMode>),
    Gcm(Box<Gcm>),
}

pub(super) struct CounterMode {
    aes: Aes128,
    salt: [u8; 14],
    mac: Hmac<Sha1>,
    tag: usize,
}

pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Ciphers {
    /// `None` when key and salt have not the profile's lengths.
    pub(super) fn new(key: &SrtpKey) -> Option<Ciphers> {
        let (master, salt) = key.key_and_salt.split_first_chunk::<16>()?;
        let rtp = [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt];
        let rtcp = [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt];
        Some(match key.profile {
            SrtpProfile::AeadAes128Gcm if salt.len() == 12 => Ciphers {
                rtp: Cipher::Gcm(Box::new(Gcm::new(master, salt, rtp)?)),
                rtcp: Cipher::Gcm(Box::new(Gcm::new(master, salt, rtcp)?)),
            },
            SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 if salt.len() == 14 => {
                // RFC 4568 §6.2.2: the short tag is for RTP only.
                let tag = if key.profile == SrtpProfile::AesCm128HmacSha1_32 {
                    4
                } else {
                    10
                };
                Ciphers {
                    rtp: Cipher::Cm(Box::new(CounterMode::new(master, salt, rtp, tag)?)),
                    rtcp: Cipher::Cm(Box::new(CounterMode::new(master, salt, rtcp, 10)?)),
                }
            }
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => {
                return None;
            }
        })
    }
}

impl CounterMode {
    fn new(master: &[u8; 16], salt: &[u8], labels: [Label; 3], tag: usize) -> Option<CounterMode> {
        let [encryption, authentication, salting] = labels;
        Some(CounterMode {
            aes: Aes128::new(&derive::<16>(master, salt, encryption).into()),
            salt: derive(master, salt, salting),
            mac: <Hmac<Sha1> as Mac>::new_from_slice(&derive::<20>(master, salt, authentication)).ok()?,
            tag,
        })
    }

    #[cfg(test)]
    pub(super) fn with_session_key(key: &[u8; 16], salt: [u8; 14]) -> CounterMode {
        CounterMode {
            aes: Aes128::new(key.into()),
            salt,
            mac: <Hmac<Sha1> as Mac>::new_from_slice(&[0; 20]).expect("any length serves"),
            tag: 10,
        }
    }

    /// RFC 3711 §4.1.1: salt · 2^16 XOR SSRC · 2^64 XOR index · 2^16.
    pub(super) fn apply(&self, ssrc: u32, index: u64, octets: &mut [u8]) {
        let mut iv = [0u8; 16];
        for (to, from) in iv.iter_mut().zip(self.salt) {
            *to = from;
        }
        for (to, from) in iv.iter_mut().skip(4).zip(ssrc.to_be_bytes()) {
            *to ^= from;
        }
        for (to, from) in iv.iter_mut().skip(6).zip(index.to_be_bytes()) {
            *to ^= from;
        }
        let core = CtrCore::<&Aes128, Ctr128BE>::inner_iv_init(&self.aes, &iv.into());
        let mut stream = StreamCipherCoreWrapper::from_core(core);
        // A keystream of 2^128 blocks does not end within a datagram.
        let _ = stream.try_apply_keystream(octets);
    }
}

impl Gcm {
    fn new(master: &[u8; 16], salt: &[u8], labels: [Label; 3]) -> Option<Gcm> {
        let [encryption, _, salting] = labels;
        Gcm::with_session_key(&derive(master, salt, encryption), derive(master, salt, salting))
    }

    pub(super) fn with_session_key(key: &[u8; 16], salt: [u8; 12]) -> Option<Gcm> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).ok()?);
        Some(Gcm { key, salt })
    }

    /// RFC 7714 §8.1 (index: roll-over counter and sequence number) and §9.1 (index: the SRTCP index).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut iv = [0u8; 12];
        for (to, from) in iv.iter_mut().skip(2).zip(ssrc.to_be_bytes()) {
            *to = from;
        }
        for (to, from) in iv.iter_mut().skip(4).zip(index.to_be_bytes()) {
            *to ^= from;
        }
        for (to, salt) in iv.iter_mut().zip(self.salt) {
            *to ^= salt;
        }
        Nonce::assume_unique_for_key(iv)
    }
}

/// A packet's place in its stream, and what is authenticated beyond the packet.
pub(super) struct Place {
    pub(super) ssrc: u32,
    /// RTP: roll-over counter · 2^16 + sequence number. RTCP: the SRTCP index.
    pub(super) index: u64,
    /// Octets in front that stay in the clear.
    pub(super) header: usize,
    /// RTP: the roll-over counter. RTCP: E flag and index.
    pub(super) word: [u8; 4],
    pub(super) rtcp: bool,
}

impl Cipher {
    /// How much longer a protected packet is, without RTCP's index.
    pub(super) fn tag(&self) -> usize {
        match self {
            Cipher::Cm(cm) => cm.tag,
            Cipher::Gcm(_) => TAG,
        }
    }

    /// Whether RTCP's index stands before the tag (RFC 3711 §3.4) or behind it (RFC 7714 §9.3).
    pub(super) fn index_before_tag(&self) -> bool {
        matches!(self, Cipher::Cm(_))
    }

    /// Encrypts `packet` behind its header and appends the tag (and, for RTCP, the index).
    pub(super) fn seal(&self, place: &Place, packet: &mut Vec<u8>) -> bool {
        match self {
            Cipher::Cm(cm) => {
                let Some(body) = packet.get_mut(place.header..) else {
                    return false;
                };
                cm.apply(place.ssrc, place.index, body);
                if place.rtcp {
                    packet.extend_from_slice(&place.word);
                }
                let mut mac = cm.mac.clone();
                mac.update(packet);
                if !place.rtcp {
                    mac.update(&place.word);
                }
                packet.extend(mac.finalize().into_bytes().iter().take(cm.tag));
            }
            Cipher::Gcm(gcm) => {
                let Some((header, body)) = packet.split_at_mut_checked(place.header) else {
                    return false;
                };
                let nonce = gcm.nonce(place.ssrc, place.index);
                let sealed = if place.rtcp {
                    let Some(aad) = rtcp_aad(header, place.word) else {
                        return false;
                    };
                    gcm.key.seal_in_place_separate_tag(nonce, Aad::from(aad), body)
                } else {
                    gcm.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body)
                };
                let Ok(tag) = sealed else { return false };
                packet.extend_from_slice(tag.as_ref());
                if place.rtcp {
                    packet.extend_from_slice(&place.word);
                }
            }
        }
        true
    }

    /// Verifies and decrypts `packet` in place and cuts off tag and index; the packet is garbage when this fails.
    pub(super) fn open(&self, place: &Place, packet: &mut Vec<u8>) -> bool {
        match self {
            Cipher::Cm(cm) => {
                let Some((signed, tag)) = packet
                    .len()
                    .checked_sub(cm.tag)
                    .and_then(|at| packet.split_at_checked(at))
                else {
                    return false;
                };
                let mut mac = cm.mac.clone();
                mac.update(signed);
                if !place.rtcp {
                    mac.update(&place.word);
                }
                if mac.verify_truncated_left(tag).is_err() {
                    return false;
                }
                let end = signed.len() - if place.rtcp { 4 } else { 0 };
                packet.truncate(end);
                let Some(body) = packet.get_mut(place.header..) else {
                    return false;
                };
                cm.apply(place.ssrc, place.index, body);
            }
            Cipher::Gcm(gcm) => {
                let end = packet.len() - if place.rtcp { 4 } else { 0 };
                let Some((header, rest)) = packet.split_at_mut_checked(place.header) else {
                    return false;
                };
                let Some(body) = rest.get_mut(..end.saturating_sub(place.header)) else {
                    return false;
                };
                let nonce = gcm.nonce(place.ssrc, place.index);
                let opened = if place.rtcp {
                    let Some(aad) = rtcp_aad(header, place.word) else {
                        return false;
                    };
                    gcm.key.open_in_place(nonce, Aad::from(aad), body)
                } else {
                    gcm.key.open_in_place(nonce, Aad::from(&*header), body)
                };
                if opened.is_err() {
                    return false;
                }
                packet.truncate(end - TAG);
            }
        }
        true
    }
}

/// RFC 7714 §9.2: the first eight octets, then E flag and index.
fn rtcp_aad(header: &[u8], word: [u8; 4]) -> Option<[u8; 12]> {
    let mut aad = [0; 12];
    let (start, end) = aad.split_at_mut(8);
    start.copy_from_slice(header.get(..8)?);
    end.copy_from_slice(&word);
    Some(aad)
}
