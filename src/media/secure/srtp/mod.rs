//! SRTP and SRTCP (RFC 3711, 7714): packets are protected and opened where they lie, without an allocation.
//!
//! **Owns** the session keys of one direction, the roll-over counters, and the windows against repeats. **Refuses** to
//! remember anything that is not authentic: a stream's state begins with its first authentic packet. Replay protection cannot be switched off.
//! MKI, key lifetimes and key derivation rates are not offered (RFC 4568 §6.1), so there are none.
//!
//! RFC 3711 §3.2, §3.3, §3.4, §4.1–4.3, §9.2 · RFC 7714 §8, §9 · RFC 4568 §6.2.

mod cipher;
mod key;
mod packet;
mod replay;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
mod vectors;

use super::super::SrtpKey;
use cipher::{Cipher, Ciphers, Place};
use replay::Window;

/// The flag in front of SRTCP's index: encrypted.
const E_FLAG: u32 = 0x8000_0000;
/// RFC 3711 §9.2: no more packets than this with one key.
const RTP_LIMIT: u64 = 1 << 48;
const RTCP_LIMIT: u64 = 1 << 31;
/// Roll-over counters that a stream may have that began in a process before this one: a week of 20 ms packets.
const MOST_ROLLS: u64 = 512;
/// Packets with which they are tried.
const SEARCHES: u8 = 64;
/// We send one SSRC for life and a few while a leg is rebuilt.
const SENT_STREAMS: usize = 8;
/// A PBX may begin a new SSRC with every party that it bridges; the one silent for longest makes room.
const RECEIVED_STREAMS: usize = 64;

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Shorter than its header, its tag and its index, or not encrypted.
    Malformed,
    /// Seen already, or older than the window.
    Replayed,
    /// The tag is wrong.
    NotAuthentic,
}

/// Protects what we send.
pub(super) struct Sender {
    ciphers: Ciphers,
    streams: Vec<SentStream>,
}

struct SentStream {
    ssrc: u32,
    rtp: Window,
    rtcp_index: u64,
}

impl Sender {
    /// `None` when the key has not its profile's length.
    pub(super) fn new(key: &SrtpKey) -> Option<Sender> {
        Some(Sender {
            ciphers: Ciphers::new(key)?,
            streams: Vec::new(),
        })
    }

    /// Protects an RTP packet; false when it is not one, or repeats an index (which would repeat the keystream).
    pub(super) fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> bool {
        let Some(fields) = packet::rtp(packet) else {
            return false;
        };
        let Some(stream) = sent_stream(&mut self.streams, fields.ssrc) else {
            return false;
        };
        let index = stream.rtp.index(fields.sequence).filter(|index| *index < RTP_LIMIT);
        let Some(index) = index.filter(|index| stream.rtp.fresh(*index)) else {
            return false;
        };
        stream.rtp.accept(index);
        self.ciphers.rtp.seal(&rtp_place(fields, index), packet)
    }

    /// Protects a compound RTCP packet; false when it is not one.
    pub(super) fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        let Some(ssrc) = packet::rtcp_ssrc(packet) else {
            return false;
        };
        let Some(stream) = sent_stream(&mut self.streams, ssrc) else {
            return false;
        };
        if stream.rtcp_index >= RTCP_LIMIT {
            return false;
        }
        let index = stream.rtcp_index;
        stream.rtcp_index += 1;
        self.ciphers.rtcp.seal(&rtcp_place(ssrc, index), packet)
    }
}

fn sent_stream(streams: &mut Vec<SentStream>, ssrc: u32) -> Option<&mut SentStream> {
    let at = match streams.iter().position(|stream| stream.ssrc == ssrc) {
        Some(at) => at,
        // Forgetting a stream would repeat its keystream when it comes back.
        None if streams.len() >= SENT_STREAMS => return None,
        None => {
            streams.push(SentStream {
                ssrc,
                rtp: Window::default(),
                rtcp_index: 0,
            });
            streams.len() - 1
        }
    };
    streams.get_mut(at)
}

/// Verifies and decrypts what the party sends.
pub(super) struct Receiver {
    ciphers: Ciphers,
    streams: Vec<ReceivedStream>,
    packets: u64,
    /// For how many packets more the roll-over counter of a stream that began before us is looked for.
    searches: u8,
}

struct ReceivedStream {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
    /// The receiver's packet count when this one was used last.
    used: u64,
}

impl Receiver {
    /// `None` when the key has not its profile's length.
    pub(super) fn new(key: &SrtpKey) -> Option<Receiver> {
        Some(Receiver {
            ciphers: Ciphers::new(key)?,
            streams: Vec::new(),
            packets: 0,
            searches: 0,
        })
    }

    /// The party has sent under this key to a process before this one: its first packet tells its roll-over counter, for
    /// its tag is right with one of them only (RFC 3711 §3.3.1). Ends with the first authentic packet; a stranger's packets
    /// do not keep it up for long.
    pub(super) fn adopt(&mut self) {
        self.searches = SEARCHES;
    }

    fn search(&mut self, fields: packet::RtpFields, packet: &mut Vec<u8>) -> Result<(), Refused> {
        self.searches -= 1;
        for rolls in 0..MOST_ROLLS {
            let mut copy = packet.clone();
            let index = rolls << 16 | u64::from(fields.sequence);
            if self.ciphers.rtp.open(&rtp_place(fields, index), &mut copy) {
                *packet = copy;
                self.searches = 0;
                self.stream(None, fields.ssrc).rtp.accept(index);
                return Ok(());
            }
        }
        Err(Refused::NotAuthentic)
    }

    /// Opens a packet in place.
    pub(super) fn open(&mut self, packet: &mut Vec<u8>, rtcp: bool) -> Result<(), Refused> {
        if rtcp {
            self.open_rtcp(packet)
        } else {
            self.open_rtp(packet)
        }
    }

    /// Opens an SRTP packet in place. A refused packet's octets may be changed.
    pub(super) fn open_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), Refused> {
        let fields = packet::rtp(packet).ok_or(Refused::Malformed)?;
        if packet.len() < fields.header + self.ciphers.rtp.tag() {
            return Err(Refused::Malformed);
        }
        let known = self.streams.iter().position(|stream| stream.ssrc == fields.ssrc);
        let window = known.and_then(|at| self.streams.get(at)).map(|stream| &stream.rtp);
        if window.is_none() && self.searches > 0 {
            return self.search(fields, packet);
        }
        let index = match window {
            Some(window) => window
                .index(fields.sequence)
                .filter(|index| *index < RTP_LIMIT && window.fresh(*index))
                .ok_or(Refused::Replayed)?,
            None => u64::from(fields.sequence),
        };
        if !self.ciphers.rtp.open(&rtp_place(fields, index), packet) {
            return Err(Refused::NotAuthentic);
        }
        self.stream(known, fields.ssrc).rtp.accept(index);
        Ok(())
    }

    /// Opens an SRTCP packet in place. A refused packet's octets may be changed.
    pub(super) fn open_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), Refused> {
        let ssrc = packet::rtcp_ssrc(packet).ok_or(Refused::Malformed)?;
        if packet.len() < 8 + 4 + self.ciphers.rtcp.tag() {
            return Err(Refused::Malformed);
        }
        let word = rtcp_word(&self.ciphers.rtcp, packet).ok_or(Refused::Malformed)?;
        // Never negotiated (RFC 4568 §6.3.2), so a packet in the clear is not the party's.
        if word & E_FLAG == 0 {
            return Err(Refused::Malformed);
        }
        let index = u64::from(word & !E_FLAG);
        let known = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        let window = known.and_then(|at| self.streams.get(at)).map(|stream| &stream.rtcp);
        if window.is_some_and(|window| !window.fresh(index)) {
            return Err(Refused::Replayed);
        }
        if !self.ciphers.rtcp.open(&rtcp_place(ssrc, index), packet) {
            return Err(Refused::NotAuthentic);
        }
        self.stream(known, ssrc).rtcp.accept(index);
        Ok(())
    }

    /// The state of a stream that has just proved authentic.
    fn stream(&mut self, known: Option<usize>, ssrc: u32) -> &mut ReceivedStream {
        self.packets += 1;
        let at = known.unwrap_or_else(|| {
            if self.streams.len() >= RECEIVED_STREAMS {
                let oldest = (0..self.streams.len()).min_by_key(|at| self.streams.get(*at).map(|stream| stream.used));
                self.streams.swap_remove(oldest.unwrap_or(0));
            }
            self.streams.push(ReceivedStream {
                ssrc,
                rtp: Window::default(),
                rtcp: Window::default(),
                used: 0,
            });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[at];
        stream.used = self.packets;
        stream
    }
}

fn rtp_place(fields: packet::RtpFields, index: u64) -> Place {
    Place {
        ssrc: fields.ssrc,
        index,
        header: fields.header,
        word: ((index >> 16) as u32).to_be_bytes(),
        rtcp: false,
    }
}

fn rtcp_place(ssrc: u32, index: u64) -> Place {
    Place {
        ssrc,
        index,
        header: 8,
        word: (E_FLAG | index as u32).to_be_bytes(),
        rtcp: true,
    }
}

/// E flag and index, wherever the transform puts them.
fn rtcp_word(cipher: &Cipher, packet: &[u8]) -> Option<u32> {
    let end = if cipher.index_before_tag() {
        packet.len().checked_sub(cipher.tag())?
    } else {
        packet.len()
    };
    packet
        .get(..end)?
        .last_chunk::<4>()
        .map(|word| u32::from_be_bytes(*word))
}
