//! The media sockets: found by what the packet half calls them, and by what epoll calls them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::media::Local;

/// Of the shared port: 20 ms of a few thousand browsers.
const SHARED_BUFFER: usize = 4 * 1024 * 1024;

/// A socket and its name.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) local: Local,
    pub(super) udp: UdpSocket,
    /// Whether it waits in the list of those that have something to read.
    pub(super) ready: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sockets {
    address: IpAddr,
    list: Vec<Option<Socket>>,
    free: Vec<usize>,
    /// Its place in the list plus one, by port; 0: there is none.
    by_port: Vec<u32>,
    shared: Option<usize>,
}

impl Sockets {
    pub(super) fn new(address: IpAddr) -> Sockets {
        Sockets {
            address,
            list: Vec::new(),
            free: Vec::new(),
            by_port: vec![0; 1 << 16],
            shared: None,
        }
    }

    /// Opens the shared port and says where it is.
    pub(super) fn share(&mut self, registry: &Registry, address: SocketAddr) -> io::Result<SocketAddr> {
        let udp = UdpSocket::bind(address)?;
        let address = udp.local_addr()?;
        // All browsers' packets wait here; a smaller buffer than asked for is no reason not to start.
        socket2::SockRef::from(&udp).set_recv_buffer_size(SHARED_BUFFER).ok();
        self.shared = Some(self.enter(registry, Local::Shared, udp)?);
        Ok(address)
    }

    /// Opens a socket; one that is open already stays as it is.
    pub(super) fn bind(&mut self, registry: &Registry, local: Local) -> io::Result<()> {
        let Some(port) = local.number() else { return Ok(()) };
        let at = usize::from(port);
        if let Some(socket) = self.place(local).and_then(|place| self.list.get_mut(place)?.as_mut()) {
            socket.local = local;
            return Ok(());
        }
        let udp = UdpSocket::bind(SocketAddr::new(self.address, port))?;
        let place = self.enter(registry, local, udp)?;
        if let Some(row) = self.by_port.get_mut(at) {
            *row = place as u32 + 1;
        }
        Ok(())
    }

    fn enter(&mut self, registry: &Registry, local: Local, mut udp: UdpSocket) -> io::Result<usize> {
        let place = self.free.last().copied().unwrap_or(self.list.len());
        registry.register(&mut udp, Token(place), Interest::READABLE)?;
        let socket = Socket {
            local,
            udp,
            ready: false,
        };
        match self.list.get_mut(place) {
            Some(row) => {
                *row = Some(socket);
                self.free.pop();
            }
            None => self.list.push(Some(socket)),
        }
        Ok(place)
    }

    /// Closes a socket, unless it has got another name since.
    pub(super) fn unbind(&mut self, local: Local) {
        let Some(place) = self.place(local) else { return };
        let named = self.at(place).is_some_and(|socket| socket.local == local);
        let port = local.number().map(usize::from);
        if named && let Some(row) = port.and_then(|port| self.by_port.get_mut(port)) {
            *row = 0;
            self.list[place] = None;
            self.free.push(place);
        }
    }

    /// The socket that epoll or the list of the ready means.
    pub(super) fn at(&mut self, place: usize) -> Option<&mut Socket> {
        self.list.get_mut(place)?.as_mut()
    }

    /// Sends; what does not go is lost, as datagrams are.
    pub(super) fn send(&self, local: Local, to: SocketAddr, octets: &[u8]) -> io::Result<()> {
        let socket = self.place(local).and_then(|place| self.list.get(place)?.as_ref());
        let socket = socket.ok_or(io::ErrorKind::NotConnected)?;
        // A socket for both families knows IPv4 addresses as IPv6 ones (RFC 4291 §2.5.5.2).
        let to = match to {
            SocketAddr::V4(v4) if self.address.is_ipv6() => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            SocketAddr::V4(_) | SocketAddr::V6(_) => to,
        };
        match socket.udp.send_to(octets, to) {
            // Left over from an ICMP answer to an earlier datagram; this one was not sent and is tried once more.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => socket.udp.send_to(octets, to),
            sent => sent,
        }
        .map(|_| ())
    }

    fn place(&self, local: Local) -> Option<usize> {
        let Some(port) = local.number() else { return self.shared };
        let row = self.by_port.get(usize::from(port))?;
        row.checked_sub(1).map(|place| place as usize)
    }
}
