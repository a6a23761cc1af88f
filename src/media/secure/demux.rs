//! Telling apart what shares a port (RFC 7983 §7, RFC 5761 §4).

/// What a datagram is, by its first octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// First octet 0 to 3, with the magic cookie of RFC 8489 §5.
    Stun,
    /// First octet 20 to 63.
    Dtls,
    /// RTP or SRTP: first octet 128 to 191.
    Rtp,
    /// RTCP or SRTCP: as RTP, with a packet type of 192 to 223.
    Rtcp,
    /// Anything else (ZRTP, TURN channels, QUIC, noise): not for us.
    Unknown,
}

/// What `datagram` is; no more of it is checked than its first eight octets.
///
/// ```
/// use warmline::media::secure::{Kind, kind};
///
/// assert_eq!(kind(&[0x80, 0, 0, 1]), Kind::Rtp);
/// assert_eq!(kind(&[0x80, 200, 0, 1]), Kind::Rtcp);
/// assert_eq!(kind(&[22, 0xfe, 0xfd]), Kind::Dtls);
/// assert_eq!(kind(b"hello"), Kind::Unknown);
/// ```
pub fn kind(datagram: &[u8]) -> Kind {
    match datagram {
        [0..=3, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] => Kind::Stun,
        [20..=63, ..] => Kind::Dtls,
        // RFC 5761 §4: payload types 64 to 95 are not used for RTP where RTCP shares the port.
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        _ => Kind::Unknown,
    }
}
