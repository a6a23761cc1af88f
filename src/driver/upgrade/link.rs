//! The Unix socket between two processes of the edge: what is said on it, and how descriptors pass along it.
//!
//! A frame is two lengths (its words as JSON, its octets), then both. Descriptors travel with the first octet of the frame that
//! names them (`SCM_RIGHTS`).

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use bytes::{Buf, Bytes, BytesMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::transport::{Flow, Transport};

/// Descriptors in one frame: the kernel takes 253 at a time.
pub(super) const CROWD: usize = 200;
/// Longer frames come from nobody who speaks this language.
const LONGEST: usize = 64 << 20;

/// A flow as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) struct WrittenFlow {
    transport: u8,
    local: SocketAddr,
    remote: SocketAddr,
    connection: u64,
}

const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Ws,
    Transport::Wss,
];

pub(super) fn number(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    }
}

impl WrittenFlow {
    pub(in crate::driver) fn of(flow: &Flow) -> WrittenFlow {
        WrittenFlow {
            transport: number(flow.transport),
            local: flow.local,
            remote: flow.remote,
            connection: flow.connection,
        }
    }

    pub(in crate::driver) fn flow(&self) -> Option<Flow> {
        Some(Flow {
            transport: *TRANSPORTS.get(usize::from(self.transport))?,
            local: self.local,
            remote: self.remote,
            connection: self.connection,
        })
    }
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) enum Name {
    /// A listener of the settings, UDP or accepting connections.
    Listener { transport: u8, address: SocketAddr },
    /// A media socket by its port; 0: the shared one.
    Media { port: u16 },
    /// The API's listener.
    Api,
}

impl Name {
    pub(in crate::driver) fn listener(transport: Transport, address: SocketAddr) -> Name {
        Name::Listener {
            transport: number(transport),
            address,
        }
    }
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) enum Word {
    /// The successor has read its configuration, and could start.
    Prepared { version: String, language: u32 },
    /// Descriptors that come with this frame.
    Sockets { names: Vec<Name> },
    /// All of them have come; the store is closed.
    Offered {
        /// Call-IDs of what the predecessor finishes itself.
        kept: Vec<String>,
        /// Media ports that it keeps for it.
        ports: Vec<u16>,
        /// Connections that it keeps open for the successor.
        connections: Vec<WrittenFlow>,
    },
    /// The successor has everything that it needs.
    Ready { pid: u32 },
    /// From here on it is the successor's.
    Go,
    /// This message came: it is for you.
    Received { flow: WrittenFlow },
    /// Send this message on your connection.
    Send { flow: WrittenFlow },
    /// That connection is no more.
    Closed { flow: WrittenFlow },
}

/// The version of this language; both must speak the same.
pub(in crate::driver) const LANGUAGE: u32 = 1;

/// A frame as it is sent.
pub(super) fn written(word: &Word, octets: &[u8]) -> io::Result<Vec<u8>> {
    let words = serde_json::to_vec(word)?;
    let mut frame = Vec::with_capacity(8 + words.len() + octets.len());
    for part in [words.len(), octets.len()] {
        let length = u32::try_from(part).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        frame.extend_from_slice(&length.to_be_bytes());
    }
    frame.extend_from_slice(&words);
    frame.extend_from_slice(octets);
    Ok(frame)
}

/// Takes a frame out of what has come; `None`: it is not whole yet.
pub(super) fn taken(octets: &mut BytesMut) -> io::Result<Option<(Word, Bytes)>> {
    let Some((lengths, _)) = octets.split_first_chunk::<8>() else {
        return Ok(None);
    };
    let [a, b, c, d, e, f, g, h] = *lengths;
    let words = u32::from_be_bytes([a, b, c, d]) as usize;
    let more = u32::from_be_bytes([e, f, g, h]) as usize;
    if words > LONGEST || more > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if octets.len() < 8 + words + more {
        return Ok(None);
    }
    octets.advance(8);
    let word = serde_json::from_slice(&octets.split_to(words))?;
    Ok(Some((word, octets.split_to(more).freeze())))
}

/// One end while both still wait for each other.
#[derive(Debug)]
pub struct Link {
    pub(super) stream: UnixStream,
    pub(super) came: BytesMut,
    descriptors: VecDeque<OwnedFd>,
}

impl Link {
    /// Over this socket.
    pub fn new(stream: UnixStream) -> Link {
        Link {
            stream,
            came: BytesMut::new(),
            descriptors: VecDeque::new(),
        }
    }

    /// The other end must say something within this time; `None`: it may think as long as it likes.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn patience(&self, limit: Option<std::time::Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(limit)?;
        self.stream.set_write_timeout(limit)
    }

    pub(super) fn say(&self, word: &Word) -> io::Result<()> {
        use std::io::Write;
        (&self.stream).write_all(&written(word, &[])?)
    }

    /// Sends descriptors with their names, as many frames as it takes.
    pub(super) fn pass(&self, sockets: &[(Name, BorrowedFd<'_>)]) -> io::Result<()> {
        use std::io::Write;
        for crowd in sockets.chunks(CROWD) {
            let names = crowd.iter().map(|(name, _)| *name).collect();
            let descriptors: Vec<_> = crowd.iter().map(|(_, descriptor)| *descriptor).collect();
            let frame = written(&Word::Sockets { names }, &[])?;
            let mut room = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CROWD))];
            let mut rights = SendAncillaryBuffer::new(&mut room);
            if !rights.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let sent = sendmsg(
                self.stream.as_fd(),
                &[IoSlice::new(&frame)],
                &mut rights,
                SendFlags::empty(),
            )?;
            (&self.stream).write_all(frame.get(sent..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// The next thing that is said. The end of the socket is an error.
    pub(super) fn hear(&mut self) -> io::Result<Word> {
        loop {
            if let Some((word, _)) = taken(&mut self.came)? {
                return Ok(word);
            }
            let mut octets = [0; 16 * 1024];
            let mut room = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
            let mut rights = RecvAncillaryBuffer::new(&mut room);
            let flags = RecvFlags::CMSG_CLOEXEC;
            let came = recvmsg(
                self.stream.as_fd(),
                &mut [IoSliceMut::new(&mut octets)],
                &mut rights,
                flags,
            )?;
            for message in rights.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    self.descriptors.extend(descriptors);
                }
            }
            if came.bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.came
                .extend_from_slice(octets.get(..came.bytes).unwrap_or_default());
        }
    }

    /// The descriptors of a frame that was heard.
    pub(super) fn descriptors(&mut self, count: usize) -> Vec<OwnedFd> {
        self.descriptors.drain(..count.min(self.descriptors.len())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_arrive_with_their_names_however_many_they_are() {
        let (one, other) = UnixStream::pair().unwrap();
        let sockets: Vec<_> = (0..450)
            .map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<u16> = sockets.iter().map(|s| s.local_addr().unwrap().port()).collect();
        let named: Vec<_> = sockets
            .iter()
            .zip(&ports)
            .map(|(socket, port)| (Name::Media { port: *port }, socket.as_fd()))
            .collect();
        let giver = Link::new(one);
        let mut taker = Link::new(other);
        let mut got = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                giver.pass(&named).unwrap();
                giver.say(&Word::Go).unwrap();
            });
            while let Word::Sockets { names } = taker.hear().unwrap() {
                let descriptors = taker.descriptors(names.len());
                assert_eq!(names.len(), descriptors.len());
                got.extend(names.into_iter().zip(descriptors));
            }
        });
        assert_eq!(got.len(), 450);
        for (name, descriptor) in got {
            let port = std::net::UdpSocket::from(descriptor).local_addr().unwrap().port();
            assert_eq!(name, Name::Media { port });
        }
    }

    #[test]
    fn a_frame_in_pieces_is_whole_in_the_end() {
        let flow = Flow {
            transport: Transport::Wss,
            local: "127.0.0.1:1".parse().unwrap(),
            remote: "[::1]:2".parse().unwrap(),
            connection: 7,
        };
        let word = Word::Send {
            flow: WrittenFlow::of(&flow),
        };
        let frame = written(&word, b"BYE").unwrap();
        let mut came = BytesMut::new();
        for (at, octet) in frame.iter().enumerate() {
            assert!(taken(&mut came).unwrap().is_none(), "{at}");
            came.extend_from_slice(&[*octet]);
        }
        let (heard, octets) = taken(&mut came).unwrap().unwrap();
        assert_eq!((heard, &octets[..]), (word, &b"BYE"[..]));
        assert_eq!(WrittenFlow::of(&flow).flow(), Some(flow));
    }
}
