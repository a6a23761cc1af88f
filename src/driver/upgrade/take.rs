//! The newer process: what it is given, and how it says that it can go on.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::bond::Bond;
use super::link::{LANGUAGE, Link, Name, Word, number};
use crate::transport::{Flow, Transport};

/// The older process has sockets to pass and a store to close, and a disk that may be slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that the process before this one has passed on. Its end of the link waits for [`Heir::begin`].
#[derive(Debug)]
pub struct Inherited {
    link: Link,
    sockets: Vec<(Name, OwnedFd)>,
    kept: Vec<String>,
    ports: Vec<u16>,
    flows: Vec<Flow>,
}

impl Inherited {
    /// Says that this process is prepared, and waits for what it gets.
    ///
    /// # Errors
    /// When the other process speaks otherwise or has gone.
    pub fn receive(mut link: Link) -> io::Result<Inherited> {
        link.patience(Some(PATIENCE))?;
        link.say(&Word::Prepared {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            language: LANGUAGE,
        })?;
        let mut sockets = Vec::new();
        loop {
            match link.hear()? {
                Word::Sockets { names } => {
                    let descriptors = link.descriptors(names.len());
                    sockets.extend(names.into_iter().zip(descriptors));
                }
                Word::Offered {
                    kept,
                    ports,
                    connections,
                } => {
                    return Ok(Inherited {
                        link,
                        sockets,
                        kept,
                        ports,
                        flows: connections.iter().filter_map(super::WrittenFlow::flow).collect(),
                    });
                }
                Word::Prepared { .. }
                | Word::Ready { .. }
                | Word::Go
                | Word::Received { .. }
                | Word::Send { .. }
                | Word::Closed { .. } => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    fn take(&mut self, wanted: impl Fn(&Name) -> bool) -> Option<OwnedFd> {
        let at = self.sockets.iter().position(|(name, _)| wanted(name))?;
        Some(self.sockets.swap_remove(at).1)
    }

    /// The socket of this listener; port 0 is any port that the other process got.
    fn listener(&mut self, transport: Transport, wanted: SocketAddr) -> Option<OwnedFd> {
        self.take(|name| match name {
            Name::Listener {
                transport: its,
                address,
            } => {
                *its == number(transport)
                    && address.ip() == wanted.ip()
                    && (wanted.port() == 0 || wanted.port() == address.port())
            }
            Name::Media { .. } | Name::Api => false,
        })
    }

    pub(in crate::driver) fn udp(&mut self, wanted: SocketAddr) -> Option<UdpSocket> {
        self.listener(Transport::Udp, wanted).map(UdpSocket::from)
    }

    pub(in crate::driver) fn stream(&mut self, transport: Transport, wanted: SocketAddr) -> Option<TcpListener> {
        self.listener(transport, wanted).map(TcpListener::from)
    }

    /// The API's listener, if it is where this process wants it.
    pub fn api(&mut self, wanted: SocketAddr) -> Option<TcpListener> {
        let listener = TcpListener::from(self.take(|name| *name == Name::Api)?);
        let fits = listener.local_addr().is_ok_and(|address| {
            address.ip() == wanted.ip() && (wanted.port() == 0 || wanted.port() == address.port())
        });
        fits.then_some(listener)
    }

    /// Media sockets by port; 0: the shared one.
    pub(in crate::driver) fn media(&mut self) -> HashMap<u16, UdpSocket> {
        let (media, rest) = std::mem::take(&mut self.sockets)
            .into_iter()
            .partition(|(name, _)| matches!(name, Name::Media { .. }));
        self.sockets = rest;
        let port = |(name, descriptor): (Name, OwnedFd)| match name {
            Name::Media { port } => Some((port, UdpSocket::from(descriptor))),
            Name::Listener { .. } | Name::Api => None,
        };
        media.into_iter().filter_map(port).collect()
    }

    /// What is left when every socket has been taken by whom it is for; others are closed.
    pub(in crate::driver) fn heir(self) -> Heir {
        Heir {
            link: self.link,
            kept: self.kept,
            ports: self.ports,
            flows: self.flows,
        }
    }
}

/// A process that has everything and waits for the word.
#[derive(Debug)]
pub(in crate::driver) struct Heir {
    link: Link,
    /// Call-IDs of what the other process finishes.
    pub(in crate::driver) kept: Vec<String>,
    /// Its media ports.
    pub(in crate::driver) ports: Vec<u16>,
    /// Connections that it keeps open.
    pub(in crate::driver) flows: Vec<Flow>,
}

impl Heir {
    /// Says that it can go on, and waits for the word. An error: the other process goes on instead.
    pub(in crate::driver) fn begin(&mut self) -> io::Result<()> {
        self.link.patience(Some(PATIENCE))?;
        let pid = std::process::id();
        self.link.say(&Word::Ready { pid })?;
        let Word::Go = self.link.hear()? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        Ok(())
    }

    pub(in crate::driver) fn bond(self) -> io::Result<Bond> {
        Bond::new(self.link)
    }
}
