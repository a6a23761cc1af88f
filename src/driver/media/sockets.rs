//! The media sockets: found by what the packet half calls them, and by what epoll calls them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

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
    /// Of a process before this one, until somebody wants them: by port, 0 for the shared one.
    inherited: HashMap<u16, std::net::UdpSocket>,
    /// Those that a process after this one has got; it may give them back.
    parked: Vec<(usize, Socket)>,
}

impl Sockets {
    pub(super) fn new(address: IpAddr, inherited: HashMap<u16, std::net::UdpSocket>) -> Sockets {
        Sockets {
            address,
            inherited,
            parked: Vec::new(),
            list: Vec::new(),
            free: Vec::new(),
            by_port: vec![0; 1 << 16],
            shared: None,
        }
    }

    /// Opens the shared port and says where it is.
    pub(super) fn share(&mut self, registry: &Registry, address: SocketAddr) -> io::Result<SocketAddr> {
        let passed = self.inherited.remove(&0).filter(|passed| {
            let at = passed.local_addr();
            at.is_ok_and(|at| at.ip() == address.ip() && (address.port() == 0 || at.port() == address.port()))
        });
        let udp = match passed {
            Some(passed) => adopted(passed)?,
            None => UdpSocket::bind(address)?,
        };
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
        let udp = match self.inherited.remove(&port) {
            Some(passed) => adopted(passed)?,
            None => UdpSocket::bind(SocketAddr::new(self.address, port))?,
        };
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

    /// What nobody wanted is closed.
    pub(super) fn forget_inherited(&mut self) {
        self.inherited.clear();
    }

    /// Stops reading every socket but those of these ports, and gives copies of their descriptors; the shared one has port 0.
    pub(super) fn park(&mut self, registry: &Registry, keep: &[u16]) -> io::Result<Vec<(u16, OwnedFd)>> {
        let mut copies = Vec::new();
        for place in 0..self.list.len() {
            let Some(row) = self.list.get_mut(place) else { break };
            let Some(mut socket) = row.take() else { continue };
            let port = socket.local.number();
            if port.is_some_and(|port| keep.contains(&port) || keep.contains(&port.saturating_sub(1))) {
                *row = Some(socket);
                continue;
            }
            // The other process has the same open socket: our epoll would go on telling of it.
            registry.deregister(&mut socket.udp)?;
            let copy = socket.udp.as_fd().try_clone_to_owned();
            self.parked.push((place, socket));
            copies.push((port.unwrap_or_default(), copy?));
        }
        Ok(copies)
    }

    /// The other process did not come to be: everything is read again.
    pub(super) fn unpark(&mut self, registry: &Registry) {
        for (place, mut socket) in std::mem::take(&mut self.parked) {
            socket.ready = false;
            if let Err(error) = registry.register(&mut socket.udp, Token(place), Interest::READABLE) {
                tracing::error!(local = ?socket.local, %error, "a media socket cannot be read again");
            }
            if let Some(row) = self.list.get_mut(place) {
                *row = Some(socket);
            }
        }
    }

    /// They are the other process's now.
    pub(super) fn release(&mut self) {
        for (place, socket) in std::mem::take(&mut self.parked) {
            if let Some(row) = socket
                .local
                .number()
                .and_then(|port| self.by_port.get_mut(usize::from(port)))
                && *row == place as u32 + 1
            {
                *row = 0;
            }
            if socket.local == Local::Shared {
                self.shared = None;
            }
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

fn adopted(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    Ok(UdpSocket::from_std(socket))
}
