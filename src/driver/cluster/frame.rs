//! What nodes say to each other over the link, and how it is known to be said by one of them.
//!
//! A frame is its length (4 octets), then a MAC (16), then the number of the frame, then what it says: a line of JSON, and
//! behind it the bytes of a SIP message where there is one. The MAC is HMAC-SHA-256, cut to 128 bits, under a key that both
//! ends derive from the cluster's sealing key and 16 random octets of each end: what was said over another connection, in
//! another order, or twice, does not verify. Nothing is encrypted: the link runs over a network of the operator's own.

use bytes::Bytes;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::net::SocketAddr;
use subtle::ConstantTimeEq;

use crate::cluster::Claim;
use crate::transport::{Flow, Transport};

/// Octets of random that each end shows first.
pub(super) const NONCE: usize = 16;
const TAG: usize = 16;
const NUMBER: usize = 8;
/// A frame that says more is none: the largest message, and room for its head.
pub(super) const LONGEST: usize = 256 * 1_024;

/// A flow on the wire.
#[derive(Serialize, Deserialize)]
struct FlowHead {
    transport: String,
    local: SocketAddr,
    remote: SocketAddr,
    connection: u64,
}

impl FlowHead {
    fn new(flow: Flow) -> FlowHead {
        FlowHead {
            transport: flow.transport.as_str().to_owned(),
            local: flow.local,
            remote: flow.remote,
            connection: flow.connection,
        }
    }

    fn flow(self) -> Option<Flow> {
        Some(Flow {
            transport: Transport::parse(&self.transport)?,
            local: self.local,
            remote: self.remote,
            connection: self.connection,
        })
    }
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::driver) enum Said {
    /// Do you serve this number under this token? The answer goes to `reply`.
    Ping { node: u16, token: u64, reply: SocketAddr },
    /// I do.
    Pong { node: u16, token: u64 },
    /// I do not.
    NotMine { node: u16 },
    /// Who serves a number.
    Tell(Claim),
    /// This came here and is yours.
    Arrived { flow: Flow, bytes: Bytes },
    /// Send this by your socket.
    Send { flow: Flow, bytes: Bytes },
    /// What you wanted sent cannot be.
    Failed { flow: Flow },
}

#[derive(Serialize, Deserialize)]
enum Head {
    Ping { node: u16, token: u64, reply: SocketAddr },
    Pong { node: u16, token: u64 },
    NotMine { node: u16 },
    Tell(Claim),
    Arrived(FlowHead),
    Send(FlowHead),
    Failed(FlowHead),
}

impl Said {
    fn write(&self) -> (Head, Bytes) {
        let nothing = Bytes::new();
        match self {
            Said::Ping { node, token, reply } => (
                Head::Ping {
                    node: *node,
                    token: *token,
                    reply: *reply,
                },
                nothing,
            ),
            Said::Pong { node, token } => (
                Head::Pong {
                    node: *node,
                    token: *token,
                },
                nothing,
            ),
            Said::NotMine { node } => (Head::NotMine { node: *node }, nothing),
            Said::Tell(claim) => (Head::Tell(claim.clone()), nothing),
            Said::Arrived { flow, bytes } => (Head::Arrived(FlowHead::new(*flow)), bytes.clone()),
            Said::Send { flow, bytes } => (Head::Send(FlowHead::new(*flow)), bytes.clone()),
            Said::Failed { flow } => (Head::Failed(FlowHead::new(*flow)), nothing),
        }
    }

    fn read(head: Head, bytes: Bytes) -> Option<Said> {
        Some(match head {
            Head::Ping { node, token, reply } => Said::Ping { node, token, reply },
            Head::Pong { node, token } => Said::Pong { node, token },
            Head::NotMine { node } => Said::NotMine { node },
            Head::Tell(claim) => Said::Tell(claim),
            Head::Arrived(flow) => Said::Arrived {
                flow: flow.flow()?,
                bytes,
            },
            Head::Send(flow) => Said::Send {
                flow: flow.flow()?,
                bytes,
            },
            Head::Failed(flow) => Said::Failed { flow: flow.flow()? },
        })
    }
}

/// One connection's key, and how far its frames have been counted.
pub(super) struct Sealed {
    key: [u8; 32],
    number: u64,
}

impl Sealed {
    /// For frames from the end that connected (`theirs`: its nonce) to the end that accepted (`ours`: its nonce).
    pub(super) fn new(cluster: &[u8; 16], accepting: &[u8; NONCE], connecting: &[u8; NONCE]) -> Sealed {
        let mut key = [0; 32];
        key.copy_from_slice(&mac(cluster, &[b"warmline link", accepting, connecting]));
        Sealed { key, number: 0 }
    }

    /// The next frame.
    pub(super) fn seal(&mut self, said: &Said) -> Option<Bytes> {
        let (head, bytes) = said.write();
        let head = serde_json::to_vec(&head).ok()?;
        self.number += 1;
        let number = self.number.to_be_bytes();
        let tag = mac(&self.key, &[&number, &head, b"\n", &bytes]);
        let length = TAG + NUMBER + head.len() + 1 + bytes.len();
        let mut frame = Vec::with_capacity(4 + length);
        frame.extend_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
        frame.extend_from_slice(tag.get(..TAG)?);
        frame.extend_from_slice(&number);
        frame.extend_from_slice(&head);
        frame.push(b'\n');
        frame.extend_from_slice(&bytes);
        Some(frame.into())
    }

    /// What a frame says, without its length; `None`: it was not made for this place of this connection, or says nothing known.
    pub(super) fn open(&mut self, frame: &Bytes) -> Option<Said> {
        let (tag, rest) = (frame.get(..TAG)?, frame.get(TAG..)?);
        let (number, text) = (rest.get(..NUMBER)?, rest.get(NUMBER..)?);
        self.number += 1;
        let expected = self.number.to_be_bytes();
        let right = mac(&self.key, &[&expected, text]);
        if number != expected || !bool::from(right.get(..TAG)?.ct_eq(tag)) {
            return None;
        }
        let end = text.iter().position(|octet| *octet == b'\n')?;
        let head = serde_json::from_slice(text.get(..end)?).ok()?;
        Said::read(head, frame.slice(TAG + NUMBER + end + 1..))
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut sum = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(sum) => sum,
        Err(_) => return [0; 32], // HMAC takes keys of any length (RFC 2104 §3)
    };
    for part in parts {
        sum.update(part);
    }
    sum.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(key: [u8; 16]) -> Sealed {
        Sealed::new(&key, &[1; NONCE], &[2; NONCE])
    }

    fn arrived() -> Said {
        let flow = Flow {
            transport: Transport::Wss,
            local: "192.0.2.1:443".parse().unwrap(),
            remote: "198.51.100.7:40312".parse().unwrap(),
            connection: u64::MAX,
        };
        let bytes = Bytes::from_static(b"BYE sip:x SIP/2.0\r\n\r\n\n\n");
        Said::Arrived { flow, bytes }
    }

    #[test]
    fn what_is_said_is_heard() {
        let (mut here, mut there) = (ends([7; 16]), ends([7; 16]));
        for said in [arrived(), Said::NotMine { node: 3 }, arrived()] {
            let frame = here.seal(&said).unwrap();
            assert_eq!(there.open(&frame.slice(4..)), Some(said));
        }
    }

    #[test]
    fn forged_changed_repeated_and_reordered_frames_are_not_heard() {
        let frames: Vec<Bytes> = {
            let mut here = ends([7; 16]);
            (0..2).map(|_| here.seal(&arrived()).unwrap().slice(4..)).collect()
        };
        assert_eq!(ends([8; 16]).open(&frames[0]), None, "another cluster's key");
        let mut elsewhere = Sealed::new(&[7; 16], &[3; NONCE], &[2; NONCE]);
        assert_eq!(elsewhere.open(&frames[0]), None, "another connection");
        assert_eq!(ends([7; 16]).open(&frames[1]), None, "out of order");
        let mut there = ends([7; 16]);
        assert!(there.open(&frames[0]).is_some());
        assert_eq!(there.open(&frames[0]), None, "a second time");
        for at in 0..frames[0].len() {
            let mut changed = frames[0].to_vec();
            changed[at] ^= 1;
            assert_eq!(ends([7; 16]).open(&changed.into()), None, "octet {at} changed");
        }
        assert_eq!(ends([7; 16]).open(&Bytes::from_static(b"short")), None);
    }
}
