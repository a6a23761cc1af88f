//! One connection: what comes is cut into messages, what goes is written, and silence has an end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::clock;
use super::page::{self, Beginning};
use super::tls::Acceptor;
use super::trust::Connector;
use super::websocket::{self, Origins};
use crate::api::softphone::Site;
use crate::transport::{Flow, Frame, INCOMPLETE_LIMIT, PONG, StreamFramer, Transport};

/// How long streams may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// For a message to complete after its first octet.
    pub incomplete: Duration,
    /// Without an octet from a connection that never brought a whole message.
    pub silent: Duration,
    /// Without an octet either way from a connection that did. Longer than a binding lives, because a phone that
    /// sends no keepalives (RFC 5626 §4.4.1 is optional) is silent for as long as its call lasts; the system's own
    /// keepalives find those that have gone.
    pub idle: Duration,
    /// For a connection of ours to be accepted.
    pub connect: Duration,
    /// For a TLS or WebSocket handshake.
    pub handshake: Duration,
    /// Of silence, before a WebSocket is asked whether it lives; as much again for its answer.
    pub ping: Duration,
    /// For what we write to be taken.
    pub write: Duration,
    /// Connections that one source may have.
    pub per_source: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        StreamLimits {
            incomplete: INCOMPLETE_LIMIT,
            silent: Duration::from_secs(120),
            idle: Duration::from_secs(3_900),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            ping: Duration::from_secs(30),
            write: Duration::from_secs(10),
            per_source: 64,
        }
    }
}

/// What a connection tells the engine's loop.
pub(super) enum StreamEvent {
    /// Somebody connected to this listener.
    Accepted {
        stream: TcpStream,
        door: Door,
        remote: SocketAddr,
    },
    /// A whole message came.
    Message { flow: Flow, bytes: Bytes },
    /// The connection has ended, or was never made.
    Closed { flow: Flow },
}

pub(super) type Events = mpsc::Sender<StreamEvent>;

/// Where a connection came in, and what it must do before the first message.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    /// TLS and WSS.
    pub(super) tls: Option<Acceptor>,
    /// WS and WSS.
    pub(super) origins: Origins,
    /// WS and WSS: what those get who come with a browser and want no WebSocket.
    pub(super) site: Option<Arc<Site>>,
}

/// Serves a connection that came in until it ends; says so once.
pub(super) async fn serve(
    stream: TcpStream,
    door: Door,
    flow: Flow,
    outgoing: mpsc::Receiver<Bytes>,
    events: Events,
    limits: StreamLimits,
) {
    let served = async {
        prepare(&stream)?;
        match door.tls {
            Some(acceptor) => {
                let tls = in_time(limits.handshake, acceptor.now().accept(stream)).await?;
                speak(tls, &door.origins, door.site, flow, outgoing, &events, limits).await
            }
            None => speak(stream, &door.origins, door.site, flow, outgoing, &events, limits).await,
        }
    };
    ended(served.await, flow, events).await;
}

/// Opens a connection and serves it; what was queued meanwhile is sent first.
pub(super) async fn open(
    flow: Flow,
    connector: Connector,
    outgoing: mpsc::Receiver<Bytes>,
    events: Events,
    limits: StreamLimits,
) {
    let served = async {
        let stream = in_time(limits.connect, connect(flow.local, flow.remote)).await?;
        prepare(&stream)?;
        match flow.transport {
            Transport::Tcp => exchange(stream, flow, outgoing, &events, limits).await,
            Transport::Tls => {
                let tls = in_time(limits.handshake, connector.connect(stream, flow.remote)).await?;
                exchange(tls, flow, outgoing, &events, limits).await
            }
            // RFC 7118 §5: the client connects, never the server. Datagrams have no connection.
            Transport::Udp | Transport::Ws | Transport::Wss => Err(io::ErrorKind::Unsupported.into()),
        }
    };
    ended(served.await, flow, events).await;
}

async fn ended(result: io::Result<()>, flow: Flow, events: Events) {
    if let Err(error) = result {
        tracing::debug!(%flow, %error, "connection ended");
    }
    events.send(StreamEvent::Closed { flow }).await.ok(); // the loop has ended: nobody wants to know
}

async fn in_time<T>(limit: Duration, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, doing)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn speak<S>(
    stream: S,
    origins: &Origins,
    site: Option<Arc<Site>>,
    flow: Flow,
    outgoing: mpsc::Receiver<Bytes>,
    events: &Events,
    limits: StreamLimits,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match flow.transport {
        Transport::Udp | Transport::Tcp | Transport::Tls => exchange(stream, flow, outgoing, events, limits).await,
        Transport::Ws | Transport::Wss => {
            let stream = match page::begin(stream, site, flow, &limits).await? {
                Beginning::Upgrade(stream) => stream,
                Beginning::Answered => return Ok(()),
            };
            let socket = websocket::accept(stream, origins, &limits).await?;
            websocket::exchange(socket, flow, outgoing, events, limits).await
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if !local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
        // The peer matches us by the address that we advertise, not by the one the routing table would pick.
        socket.bind(SocketAddr::new(local.ip(), 0))?;
    }
    socket.connect(remote).await
}

async fn exchange<S>(
    mut stream: S,
    flow: Flow,
    mut outgoing: mpsc::Receiver<Bytes>,
    events: &Events,
    limits: StreamLimits,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut framer = StreamFramer::new();
    let mut octets = BytesMut::with_capacity(16 * 1024);
    let mut active = clock::now();
    let mut proved = false;
    loop {
        let until = deadline(&framer, active, proved, &limits);
        tokio::select! {
            read = stream.read_buf(&mut octets) => {
                if read? == 0 {
                    return Ok(());
                }
                active = clock::now();
                framer.push(active, &octets);
                octets.clear();
                proved |= frames(&mut framer, &mut stream, flow, events, &limits).await?;
            }
            message = outgoing.recv() => {
                let Some(message) = message else {
                    // Says goodbye in TLS too (close_notify), if it is taken in time.
                    return in_time(limits.write, stream.shutdown()).await;
                };
                write(&mut stream, &message, &limits).await?;
                active = clock::now();
            }
            () = sleep_until(until.into()) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn deadline(framer: &StreamFramer, active: Instant, proved: bool, limits: &StreamLimits) -> Instant {
    let idle = active + if proved { limits.idle } else { limits.silent };
    framer
        .incomplete_since()
        .map_or(idle, |since| idle.min(since + limits.incomplete))
}

/// Passes on every message that is complete; says whether there was one.
async fn frames<S>(
    framer: &mut StreamFramer,
    stream: &mut S,
    flow: Flow,
    events: &Events,
    limits: &StreamLimits,
) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = false;
    loop {
        match framer.next() {
            Ok(Some(Frame::Message(bytes))) => {
                messages = true;
                // A full queue makes this connection wait, and through TCP its sender.
                if events.send(StreamEvent::Message { flow, bytes }).await.is_err() {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
            Ok(Some(Frame::Ping)) => write(stream, PONG, limits).await?,
            Ok(Some(Frame::Pong)) => {}
            Ok(None) => return Ok(messages),
            Err(error) => {
                if let Some(answer) = &error.answer {
                    write(stream, answer, limits).await?;
                    stream.shutdown().await?;
                }
                return Err(io::Error::other(error));
            }
        }
    }
}

async fn write<S>(stream: &mut S, octets: &[u8], limits: &StreamLimits) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    in_time(limits.write, async {
        stream.write_all(octets).await?;
        stream.flush().await
    })
    .await
}
