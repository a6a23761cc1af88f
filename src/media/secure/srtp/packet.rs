//! The few fields of RTP and RTCP headers that SRTP needs (RFC 3550 §5.1, §5.3.1, §6.4).

/// Of an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpFields {
    pub(super) sequence: u16,
    pub(super) ssrc: u32,
    /// Fixed header, contributing sources and header extension, as they stand in the packet.
    pub(super) header: usize,
}

/// `None` unless the packet is version 2 and holds its whole header.
pub(super) fn rtp(packet: &[u8]) -> Option<RtpFields> {
    let fixed = packet.first_chunk::<12>()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut header = 12 + 4 * usize::from(fixed[0] & 0x0f);
    if fixed[0] & 0x10 != 0 {
        let extension = packet.get(header..header + 4)?;
        header += 4 + 4 * usize::from(u16::from_be_bytes([*extension.get(2)?, *extension.get(3)?]));
    }
    (header <= packet.len()).then_some(RtpFields {
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        header,
    })
}

/// The sender's SSRC of an RTCP packet; `None` unless it is version 2 and at least a header with an SSRC.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let fixed = packet.first_chunk::<8>()?;
    (fixed[0] >> 6 == 2).then(|| u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
}
