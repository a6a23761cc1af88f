//! RTP headers (RFC 3550 §5.1), read and written; which octets are RTP and which RTCP (RFC 5761 §4).
//!
//! Owns the twelve fixed octets. Refuses header extensions and contributing sources: they are skipped, because they
//! belong to the session of the side that wrote them (`a=extmap` is negotiated per leg).
//!
//! ```
//! use warmline::media::rtp::Header;
//!
//! let header = Header { marker: true, payload_type: 8, sequence: 7, timestamp: 160, ssrc: 9 };
//! let mut packet = Vec::new();
//! header.write(b"audio", &mut packet);
//! assert_eq!(Header::read(&packet), Some((header, 12..17)));
//! ```

use std::ops::Range;

/// The octets of a header without contributing sources.
pub const FIXED: usize = 12;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Begins a talkspurt (RFC 3551 §4.1).
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// One more with each packet.
    pub sequence: u16,
    /// Of the first sample, in units of the codec's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// The header of a packet and where its payload lies, without padding; `None` for what is no RTP of version 2.
    pub fn read(packet: &[u8]) -> Option<(Header, Range<usize>)> {
        let fixed: &[u8; FIXED] = packet.first_chunk()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return None;
        }
        let mut start = FIXED + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let extension: &[u8; 4] = packet.get(start..)?.first_chunk()?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        let mut end = packet.len();
        if first & 0x20 != 0 {
            // RFC 3550 §5.1: the last octet counts itself, so that 0 is no padding.
            let padding = usize::from(*packet.last()?);
            end = end.checked_sub(padding).filter(|_| padding > 0)?;
        }
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        };
        (start <= end).then_some((header, start..end))
    }

    /// Replaces what is in `packet` by a packet with this header.
    pub fn write(&self, payload: &[u8], packet: &mut Vec<u8>) {
        packet.clear();
        packet.extend_from_slice(&self.octets());
        packet.extend_from_slice(payload);
    }

    fn octets(&self) -> [u8; FIXED] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let second = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        [0x80, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]
    }
}

/// Whether octets on a port that carries both are RTCP. RFC 5761 §4: packet types 192 to 223 are payload types 64 to 95
/// with the marker bit, which nobody may use for RTP there.
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Whether `a` comes after `b` in sequence numbers that wrap (RFC 1982).
pub fn is_newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        marker: false,
        payload_type: 0,
        sequence: 0xfffe,
        timestamp: 0xdead_beef,
        ssrc: 0x0102_0304,
    };

    #[test]
    fn extensions_sources_and_padding_are_no_payload() {
        let mut packet = Vec::new();
        HEADER.write(&[], &mut packet);
        packet[0] |= 0x10 | 0x20 | 1;
        packet.extend_from_slice(&[9, 9, 9, 9]);
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        packet.extend_from_slice(b"talk\0\0\x03");
        let (header, payload) = Header::read(&packet).unwrap();
        assert_eq!((header, &packet[payload]), (HEADER, &b"talk"[..]));
    }

    #[test]
    fn what_lies_about_its_length_is_no_packet() {
        let mut packet = Vec::new();
        HEADER.write(b"x", &mut packet);
        assert!(Header::read(&packet[..11]).is_none());
        for (first, last) in [(0xa0, 0), (0xa0, 200), (0x8f, 1), (0x90, 1), (0x40, 1), (0x00, 1)] {
            packet[0] = first;
            packet[12] = last;
            assert!(Header::read(&packet).is_none(), "{first:#x}");
        }
    }

    #[test]
    fn rtcp_is_told_by_its_packet_type() {
        assert!(is_rtcp(&[0x81, 200]) && is_rtcp(&[0x81, 207]));
        assert!(!is_rtcp(&[0x80, 0]) && !is_rtcp(&[0x80, 0x80 | 111]) && !is_rtcp(&[0x80]));
    }

    #[test]
    fn order_survives_the_wrap() {
        assert!(is_newer(0, 0xffff) && is_newer(5, 4) && !is_newer(4, 5) && !is_newer(4, 4));
    }
}
