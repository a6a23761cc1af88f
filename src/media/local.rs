//! Which of a leg's sockets a datagram came in by, or goes out by.

use super::LocalPort;

/// A socket, by the leg's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Local {
    /// The leg's own port.
    Rtp(u16),
    /// The port after this one, which is the leg's own.
    Rtcp(u16),
    /// The port of all browser legs.
    Shared,
}

impl Local {
    /// The port's number; `None` for the shared one, whose number the driver knows.
    pub fn number(self) -> Option<u16> {
        match self {
            Local::Rtp(port) => Some(port),
            Local::Rtcp(port) => Some(port.saturating_add(1)),
            Local::Shared => None,
        }
    }

    pub(super) fn rtp(port: LocalPort) -> Local {
        match port {
            LocalPort::Own(port) => Local::Rtp(port),
            LocalPort::Shared => Local::Shared,
        }
    }

    pub(super) fn rtcp(port: LocalPort) -> Local {
        match port {
            LocalPort::Own(port) => Local::Rtcp(port),
            LocalPort::Shared => Local::Shared,
        }
    }
}
