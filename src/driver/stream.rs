//! One TCP connection: what comes is cut into messages, what goes is written, and silence has an end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::clock;
use crate::transport::{Flow, Frame, INCOMPLETE_LIMIT, PONG, StreamFramer};

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
            write: Duration::from_secs(10),
            per_source: 64,
        }
    }
}

/// What a connection tells the engine's loop.
#[derive(Debug)]
pub(super) enum StreamEvent {
    /// Somebody connected to this listener.
    Accepted {
        stream: TcpStream,
        local: SocketAddr,
        remote: SocketAddr,
    },
    /// A whole message came.
    Message { flow: Flow, bytes: Bytes },
    /// The connection has ended, or was never made.
    Closed { flow: Flow },
}

pub(super) type Events = mpsc::Sender<StreamEvent>;

/// Serves an open connection until it ends; says so once.
pub(super) async fn serve(
    stream: TcpStream,
    flow: Flow,
    outgoing: mpsc::Receiver<Bytes>,
    events: Events,
    limits: StreamLimits,
) {
    if let Err(error) = exchange(stream, flow, outgoing, &events, limits).await {
        tracing::debug!(remote = %flow.remote, %error, "connection ended");
    }
    events.send(StreamEvent::Closed { flow }).await.ok(); // the loop has ended: nobody wants to know
}

/// Opens a connection and serves it; what was queued meanwhile is sent first.
pub(super) async fn open(flow: Flow, outgoing: mpsc::Receiver<Bytes>, events: Events, limits: StreamLimits) {
    match timeout(limits.connect, connect(flow.local, flow.remote)).await {
        Ok(Ok(stream)) => return serve(stream, flow, outgoing, events, limits).await,
        Ok(Err(error)) => tracing::debug!(remote = %flow.remote, %error, "connection refused"),
        Err(_) => tracing::debug!(remote = %flow.remote, "connection not accepted in time"),
    }
    events.send(StreamEvent::Closed { flow }).await.ok(); // the loop has ended: nobody wants to know
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

async fn exchange(
    mut stream: TcpStream,
    flow: Flow,
    mut outgoing: mpsc::Receiver<Bytes>,
    events: &Events,
    limits: StreamLimits,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
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
                let Some(message) = message else { return Ok(()) };
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
async fn frames(
    framer: &mut StreamFramer,
    stream: &mut TcpStream,
    flow: Flow,
    events: &Events,
    limits: &StreamLimits,
) -> io::Result<bool> {
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

async fn write(stream: &mut TcpStream, octets: &[u8], limits: &StreamLimits) -> io::Result<()> {
    timeout(limits.write, stream.write_all(octets))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
