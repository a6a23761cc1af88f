//! RTCP (RFC 3550 §6): compound packets that we make, and what we read of a party's.
//!
//! Owns sender and receiver reports, the canonical name, BYE. Refuses everything else: feedback, extended reports and
//! other items of a party's packets are passed over by their length.
//!
//! Time is told since the program's media began, not of the day: RFC 3550 §6.4.1 lets a sender do so, reports need
//! differences only, and the core has no other clock.

use std::time::Duration;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// What a report says of a stream that its sender hears (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// Whose stream.
    pub ssrc: u32,
    /// Of 256, since the last report.
    pub fraction_lost: u8,
    /// Since the beginning, 24 bits.
    pub lost: u32,
    /// Extended highest sequence number.
    pub highest: u32,
    /// In units of the stream's clock.
    pub jitter: u32,
    /// The middle of the last sender report's time; 0 before one.
    pub last_report: u32,
    /// Since that report came, in units of 1/65,536 s.
    pub since_report: u32,
}

/// What a sender report says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP format: seconds and fraction.
    pub time: u64,
    /// The same moment in the stream's timestamps.
    pub timestamp: u32,
    /// Sent.
    pub packets: u32,
    /// Sent, payload only.
    pub octets: u32,
}

/// One compound packet of ours.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    /// Ours.
    pub ssrc: u32,
    /// RFC 3550 §6.5.1; cut to 255 octets.
    pub cname: &'a str,
    /// Where we sent lately; makes it a sender report.
    pub sent: Option<SenderInfo>,
    /// Of the stream that we hear.
    pub heard: Option<ReportBlock>,
    /// Whether this is the last one.
    pub bye: bool,
}

/// A span in NTP format.
pub fn ntp(since_start: Duration) -> u64 {
    let fraction = (u64::from(since_start.subsec_nanos()) << 32) / 1_000_000_000;
    (since_start.as_secs() << 32) | fraction
}

/// The middle 32 bits of a time in NTP format.
pub fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

impl Compound<'_> {
    /// Replaces what is in `packet` by this.
    pub fn write(&self, packet: &mut Vec<u8>) {
        packet.clear();
        let kind = if self.sent.is_some() {
            SENDER_REPORT
        } else {
            RECEIVER_REPORT
        };
        let words = 1 + if self.sent.is_some() { 5 } else { 0 } + if self.heard.is_some() { 6 } else { 0 };
        head(packet, u8::from(self.heard.is_some()), kind, words);
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some(sent) = &self.sent {
            packet.extend_from_slice(&sent.time.to_be_bytes());
            for word in [sent.timestamp, sent.packets, sent.octets] {
                packet.extend_from_slice(&word.to_be_bytes());
            }
        }
        if let Some(heard) = &self.heard {
            let loss = (u32::from(heard.fraction_lost) << 24) | heard.lost.min(0x7f_ffff);
            let (report, since) = (heard.last_report, heard.since_report);
            for word in [heard.ssrc, loss, heard.highest, heard.jitter, report, since] {
                packet.extend_from_slice(&word.to_be_bytes());
            }
        }
        self.write_name(packet);
        if self.bye {
            head(packet, 1, BYE, 1);
            packet.extend_from_slice(&self.ssrc.to_be_bytes());
        }
    }

    fn write_name(&self, packet: &mut Vec<u8>) {
        let name = self.cname.as_bytes();
        let name = name.get(..255).unwrap_or(name);
        // Item 1, length, text; then one to four zero octets to the next word's end (RFC 3550 §6.5).
        let words = (2 + name.len()) / 4 + 1;
        head(packet, 1, SOURCE_DESCRIPTION, 1 + words as u16);
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(&[1, name.len() as u8]);
        packet.extend_from_slice(name);
        packet.resize(packet.len() + 4 * words - 2 - name.len(), 0);
    }
}

fn head(packet: &mut Vec<u8>, count: u8, kind: u8, words: u16) {
    let [w0, w1] = words.to_be_bytes();
    packet.extend_from_slice(&[0x80 | count, kind, w0, w1]);
}

/// What a party's compound packet says that concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The party's sender report.
    Sent {
        /// The party's.
        ssrc: u32,
        /// Its figures.
        info: SenderInfo,
    },
    /// What the party says of one stream that it hears.
    Heard(ReportBlock),
    /// The party's stream has ended; its dialog has not (RFC 3550 §6.6).
    Bye {
        /// Which.
        ssrc: u32,
    },
}

/// Reads a compound packet, item by item; ends at the first that is malformed.
pub fn read(packet: &[u8], mut told: impl FnMut(Told)) {
    let mut rest = packet;
    while let Some(&[first, kind, w0, w1]) = rest.first_chunk() {
        let length = 4 * (usize::from(u16::from_be_bytes([w0, w1])) + 1);
        let Some(item) = rest.get(4..length).filter(|_| first >> 6 == 2) else {
            return;
        };
        let blocks = match kind {
            SENDER_REPORT => {
                let (Some(ssrc), Some(info)) = (word(item, 0), sender_info(item)) else {
                    return;
                };
                told(Told::Sent { ssrc, info });
                24
            }
            RECEIVER_REPORT => 4,
            BYE => {
                for at in 0..usize::from(first & 0x1f) {
                    if let Some(ssrc) = word(item, at) {
                        told(Told::Bye { ssrc });
                    }
                }
                item.len()
            }
            _ => item.len(),
        };
        let blocks = item.get(blocks..).unwrap_or_default().chunks_exact(24);
        blocks
            .take(usize::from(first & 0x1f))
            .filter_map(block)
            .for_each(|block| told(Told::Heard(block)));
        rest = rest.get(length..).unwrap_or_default();
    }
}

fn word(item: &[u8], at: usize) -> Option<u32> {
    let octets: &[u8; 4] = item.get(4 * at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*octets))
}

fn sender_info(item: &[u8]) -> Option<SenderInfo> {
    Some(SenderInfo {
        time: (u64::from(word(item, 1)?) << 32) | u64::from(word(item, 2)?),
        timestamp: word(item, 3)?,
        packets: word(item, 4)?,
        octets: word(item, 5)?,
    })
}

fn block(item: &[u8]) -> Option<ReportBlock> {
    let loss = word(item, 1)?;
    Some(ReportBlock {
        ssrc: word(item, 0)?,
        fraction_lost: (loss >> 24) as u8,
        lost: loss & 0x7f_ffff,
        highest: word(item, 2)?,
        jitter: word(item, 3)?,
        last_report: word(item, 4)?,
        since_report: word(item, 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_reads_back_and_an_independent_reader_agrees() {
        let info = SenderInfo {
            time: ntp(Duration::from_millis(2_500)),
            timestamp: 77,
            packets: 5,
            octets: 800,
        };
        let heard = ReportBlock {
            ssrc: 9,
            fraction_lost: 64,
            lost: 3,
            highest: 0x1_0001,
            jitter: 12,
            last_report: 4,
            since_report: 65_536,
        };
        for length in 0..9 {
            let compound = Compound {
                ssrc: 8,
                cname: &"abcdefghi"[..length],
                sent: Some(info),
                heard: Some(heard),
                bye: true,
            };
            let (mut packet, mut seen) = (Vec::new(), Vec::new());
            compound.write(&mut packet);
            read(&packet, |told| seen.push(told));
            let wanted = [Told::Sent { ssrc: 8, info }, Told::Heard(heard), Told::Bye { ssrc: 8 }];
            assert_eq!(seen, wanted);
            let mut octets = bytes::Bytes::copy_from_slice(&packet);
            let theirs = rtc_rtcp::packet::unmarshal(&mut octets).unwrap();
            assert_eq!((theirs.len(), octets.len()), (3, 0));
            assert!(format!("{:?}", theirs[1]).contains(&format!("{:?}", &"abcdefghi"[..length])));
        }
        assert_eq!(middle(info.time), (2 << 16) + 0x8000);
    }

    #[test]
    fn broken_lengths_end_the_reading() {
        let mut packet = Vec::new();
        let compound = Compound {
            ssrc: 8,
            cname: "x",
            sent: None,
            heard: None,
            bye: true,
        };
        compound.write(&mut packet);
        for cut in 0..packet.len() {
            let mut count = 0;
            read(&packet[..cut], |_| count += 1);
            assert_eq!(count, 0, "{cut}");
        }
        // A report that counts more blocks than it has.
        packet[0] = 0x9f;
        let mut seen = Vec::new();
        read(&packet, |told| seen.push(told));
        assert_eq!(seen, [Told::Bye { ssrc: 8 }]);
    }
}
