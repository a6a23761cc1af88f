//! Opens the sockets that the settings ask for, before anything else starts.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::upgrade::Inherited;
use crate::engine::Listener;
use crate::transport::Transport;

/// A burst of registrations must fit into the kernel's buffer while the engine is busy.
const UDP_BUFFER: usize = 4 * 1024 * 1024;
const BACKLOG: i32 = 1_024;

/// Why the driver did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be opened.
    #[error("{} {address}: {source}", transport.as_str())]
    Bind {
        /// Of the listener.
        transport: Transport,
        /// Of the listener.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// A certificate, a key or a file of roots cannot be used.
    #[error("{}: {what}", path.display())]
    Certificate {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A host name of the configuration has no address.
    #[error(transparent)]
    Unresolved(#[from] crate::config::Unresolved),
    /// What should outlive the process cannot be kept.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The system refused a thread, a timer or random numbers.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl StartError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::Bind {
                transport,
                address,
                source,
            } => bind_hint(transport.param(), *address, source),
            StartError::Certificate { .. } => {
                Some("PEM files are wanted, the listener's own certificate first".to_owned())
            }
            StartError::Unresolved(_) => {
                Some("check the name and this machine's resolver, or write the address".to_owned())
            }
            StartError::Store(error) => Some(error.hint().to_owned()),
            StartError::System { .. } => None,
        }
    }
}

/// What a person can do when a port cannot be had.
pub fn bind_hint(what: &str, address: SocketAddr, error: &io::Error) -> Option<String> {
    let (port, kind) = (address.port(), error.kind());
    if kind == io::ErrorKind::AddrInUse {
        let switch = if what == "udp" { "-u" } else { "-t" };
        return Some(format!(
            "port in use: `ss -lnp {switch} sport = :{port}` shows by whom; stop it or choose another port"
        ));
    }
    if kind == io::ErrorKind::AddrNotAvailable {
        return Some(format!(
            "this machine has no address {}: `ip address` shows those it has",
            address.ip()
        ));
    }
    (kind == io::ErrorKind::PermissionDenied)
        .then(|| "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one".to_owned())
}

/// Sockets that are open and not yet served.
pub(super) struct Bound {
    pub(super) udp: Vec<(Listener, UdpSocket)>,
    /// With the listener's place in the list.
    pub(super) streams: Vec<(usize, TcpListener)>,
}

/// Opens every listener. Port 0 becomes the port that the system chose, in `listeners` too.
/// What a process before this one has passed on is taken as it is.
pub(super) fn bind(listeners: &mut [Listener], mut inherited: Option<&mut Inherited>) -> Result<Bound, StartError> {
    let mut bound = Bound {
        udp: Vec::new(),
        streams: Vec::new(),
    };
    // Phones expect one port for UDP and TCP: a listener with port 0 takes the port that its sibling got.
    let mut siblings: Vec<SocketAddr> = Vec::new();
    for (at, listener) in listeners.iter_mut().enumerate() {
        let Listener { transport, address, .. } = *listener;
        let wrong = |source| StartError::Bind {
            transport,
            address,
            source,
        };
        let shares = address.port() == 0 && matches!(transport, Transport::Udp | Transport::Tcp);
        let sibling = siblings.iter().find(|sibling| shares && sibling.ip() == address.ip());
        let wanted = sibling.copied().unwrap_or(address);
        match transport {
            Transport::Udp => {
                let passed = inherited.as_deref_mut().and_then(|inherited| inherited.udp(wanted));
                let socket = match passed {
                    Some(socket) => socket,
                    None => udp(wanted).or_else(|_| udp(address)).map_err(wrong)?,
                };
                let actual = socket.local_addr().map_err(wrong)?;
                settle(listener, actual);
                bound.udp.push((*listener, socket));
                siblings.push(actual);
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let passed = inherited
                    .as_deref_mut()
                    .and_then(|inherited| inherited.stream(transport, wanted));
                let socket = match passed {
                    Some(socket) => socket,
                    None => tcp(wanted).or_else(|_| tcp(address)).map_err(wrong)?,
                };
                let actual = socket.local_addr().map_err(wrong)?;
                settle(listener, actual);
                bound.streams.push((at, socket));
                if shares {
                    siblings.push(actual);
                }
            }
        }
    }
    Ok(bound)
}

fn settle(listener: &mut Listener, actual: SocketAddr) {
    listener.address = actual;
    if listener.advertised.port() == 0 {
        listener.advertised.set_port(actual.port());
    }
}

pub(super) fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    prepare(&socket, address)?;
    socket.set_recv_buffer_size(UDP_BUFFER).ok(); // the system may allow less, and then less it is
    socket.set_send_buffer_size(UDP_BUFFER).ok(); // likewise
    socket.bind(&address.into())?;
    Ok(socket.into())
}

pub(super) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    prepare(&socket, address)?;
    // A restart must not wait for the connections of the process before it (TIME_WAIT).
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        // [::] and 0.0.0.0 are two listeners, each with its own advertised address.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(transport: Transport) -> Listener {
        let address = "127.0.0.1:0".parse().unwrap();
        Listener {
            transport,
            address,
            advertised: address,
        }
    }

    #[test]
    fn udp_and_tcp_share_the_port_that_the_system_chose() {
        let mut listeners = [any(Transport::Udp), any(Transport::Tcp)];
        let bound = bind(&mut listeners, None).unwrap();
        assert_ne!(listeners[0].address.port(), 0);
        assert_eq!(listeners[0].address, listeners[1].address);
        assert_eq!(listeners[0].advertised, listeners[0].address);
        assert_eq!((bound.udp.len(), bound.streams.len()), (1, 1));
    }

    #[test]
    fn a_port_in_use_says_so() {
        let mut first = [any(Transport::Udp)];
        let _held = bind(&mut first, None).unwrap();
        let error = bind(&mut first, None).err().unwrap();
        assert!(
            error.to_string().starts_with(&format!("UDP {}: ", first[0].address)),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("port in use"), "{error}");
    }
}
