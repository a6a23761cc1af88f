//! A phone's socket: a datagram socket, or one connection to the edge that everything goes over.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::driver;
use crate::phone::PhoneTransport;
use crate::transport::{Frame, PONG, StreamFramer};

pub(super) enum Wire {
    Udp(UdpSocket),
    Tcp {
        stream: TcpStream,
        framer: StreamFramer,
        octets: BytesMut,
    },
}

impl Wire {
    pub(super) async fn open(transport: PhoneTransport, edge: SocketAddr) -> io::Result<Wire> {
        match transport {
            PhoneTransport::Udp => {
                let socket = UdpSocket::bind((edge.ip(), 0)).await?;
                socket.connect(edge).await?;
                Ok(Wire::Udp(socket))
            }
            PhoneTransport::Tcp => {
                let stream = TcpStream::connect(edge).await?;
                stream.set_nodelay(true)?;
                Ok(Wire::Tcp {
                    stream,
                    framer: StreamFramer::new(),
                    octets: BytesMut::with_capacity(8 * 1024),
                })
            }
            // The demo offers UDP and TCP.
            PhoneTransport::Tls | PhoneTransport::Ws | PhoneTransport::Wss => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Wire::Udp(socket) => socket.local_addr(),
            Wire::Tcp { stream, .. } => stream.local_addr(),
        }
    }

    pub(super) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Wire::Udp(socket) => socket.send(message).await.map(|_| ()),
            Wire::Tcp { stream, .. } => stream.write_all(message).await,
        }
    }

    /// The next whole message. May be dropped at any time without losing one.
    pub(super) async fn receive(&mut self) -> io::Result<Bytes> {
        match self {
            Wire::Udp(socket) => {
                let mut datagram = BytesMut::with_capacity(65_535);
                socket.recv_buf(&mut datagram).await?;
                Ok(datagram.freeze())
            }
            Wire::Tcp { stream, framer, octets } => loop {
                match framer.next().map_err(io::Error::other)? {
                    Some(Frame::Message(message)) => return Ok(message),
                    Some(Frame::Ping) => stream.write_all(PONG).await?,
                    Some(Frame::Pong) => {}
                    None => {
                        if stream.read_buf(octets).await? == 0 {
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                        framer.push(driver::now(), octets);
                        octets.clear();
                    }
                }
            },
        }
    }
}
