//! Several datagrams of one socket by one system call.
//!
//! Most media sockets have one datagram at a time. A call that asks for more and gets one has also said that nothing else
//! waits, which by itself would cost another call a packet.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

/// A datagram this long is no audio packet; it was cut, and is dropped.
const TOO_LONG: usize = 2_048;

/// Room for some datagrams.
#[derive(Debug)]
pub(super) struct Batch {
    rooms: Box<[[u8; TOO_LONG]; Batch::SIZE]>,
    headers: MultiHeaders<SockaddrStorage>,
    arrived: Vec<(usize, Option<SocketAddr>)>,
}

impl Batch {
    /// So many at most.
    pub(super) const SIZE: usize = 8;

    pub(super) fn new() -> Batch {
        Batch {
            rooms: Box::new([[0; TOO_LONG]; Batch::SIZE]),
            headers: MultiHeaders::preallocate(Batch::SIZE, None),
            arrived: Vec::with_capacity(Batch::SIZE),
        }
    }

    /// Takes what waits at a socket, and says how many datagrams that were: fewer than [`SIZE`](Self::SIZE): nothing is left.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.arrived.clear();
        let mut rooms = self.rooms.each_mut().map(|room| [IoSliceMut::new(room)]);
        let arrived = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            rooms.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        self.arrived
            .extend(arrived.map(|datagram| (datagram.bytes, datagram.address.and_then(plain))));
        Ok(self.arrived.len())
    }

    /// One of those that came last, with its sender; `None` for one that was cut.
    pub(super) fn datagram(&self, at: usize) -> Option<(&[u8], SocketAddr)> {
        let (length, from) = *self.arrived.get(at)?;
        let octets = self.rooms.get(at)?.get(..length)?;
        (length < TOO_LONG).then_some((octets, from?))
    }
}

fn plain(address: SockaddrStorage) -> Option<SocketAddr> {
    let four = address.as_sockaddr_in().map(|four| SocketAddrV4::from(*four).into());
    four.or_else(|| address.as_sockaddr_in6().map(|six| SocketAddrV6::from(*six).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_at_once_and_in_order_and_what_was_cut_is_left_out() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let mut batch = Batch::new();
            let ours = UdpSocket::bind(host.parse().unwrap()).unwrap();
            let theirs = std::net::UdpSocket::bind(host).unwrap();
            let nothing = batch.receive(&ours).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
            let address = ours.local_addr().unwrap();
            for length in [1, 0, TOO_LONG - 1, TOO_LONG, 9_000, 5, 6, 7, 8, 9] {
                theirs.send_to(&vec![length as u8; length], address).unwrap();
            }
            assert_eq!(batch.receive(&ours).unwrap(), Batch::SIZE);
            let from = theirs.local_addr().unwrap();
            let lengths: Vec<Option<usize>> = (0..Batch::SIZE)
                .map(|at| {
                    let (octets, sender) = batch.datagram(at)?;
                    assert!(sender == from && octets.iter().all(|octet| *octet == octets.len() as u8));
                    Some(octets.len())
                })
                .collect();
            let whole = Some(TOO_LONG - 1);
            assert_eq!(
                lengths,
                [Some(1), Some(0), whole, None, None, Some(5), Some(6), Some(7)]
            );
            assert_eq!(batch.receive(&ours).unwrap(), 2);
            assert_eq!(batch.datagram(1), Some((&[9u8; 9][..], from)));
            assert_eq!(batch.datagram(2), None, "of the batch before");
        }
    }
}
