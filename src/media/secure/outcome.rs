//! What came of a datagram, and what the packet half is told.

use super::super::MediaFailure;

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// RTP of the party, in the clear now.
    Rtp,
    /// RTCP of the party, in the clear now.
    Rtcp,
    /// STUN or DTLS; there may be something to transmit.
    Consumed,
    /// Nothing that counts; its octets may have been changed.
    Dropped(Why),
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Not a protocol that this endpoint speaks.
    NotForUs,
    /// Media or DTLS from an address that passed no ICE check, or is not the described one.
    Stranger,
    /// Too short, or broken.
    Malformed,
    /// Wrong password, wrong key.
    NotAuthentic,
    /// Seen before, or too old to tell.
    Replayed,
    /// Before there are keys, or before the certificate was verified.
    TooEarly,
}

/// What was refused since the endpoint was opened, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// See [`Why::NotForUs`].
    pub not_for_us: u64,
    /// See [`Why::Stranger`].
    pub stranger: u64,
    /// See [`Why::Malformed`].
    pub malformed: u64,
    /// See [`Why::NotAuthentic`].
    pub not_authentic: u64,
    /// See [`Why::Replayed`].
    pub replayed: u64,
    /// See [`Why::TooEarly`].
    pub too_early: u64,
}

/// What the packet half must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecureEvent {
    /// Packets can be sent and received; again after a loss.
    Connected,
    /// No more packets can be sent. [`MediaFailure::Ice`] heals when the party's checks come back; DTLS does not, without a new
    /// description.
    Failed(MediaFailure),
    /// The party closed its DTLS association: it has left, and its BYE may still come.
    Closed,
}

impl Counts {
    pub(super) fn count(&mut self, why: Why) {
        let counter = match why {
            Why::NotForUs => &mut self.not_for_us,
            Why::Stranger => &mut self.stranger,
            Why::Malformed => &mut self.malformed,
            Why::NotAuthentic => &mut self.not_authentic,
            Why::Replayed => &mut self.replayed,
            Why::TooEarly => &mut self.too_early,
        };
        *counter += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.not_for_us + self.stranger + self.malformed + self.not_authentic + self.replayed + self.too_early
    }
}
