//! What comes first over a connection to a `ws` or `wss` listener: the upgrade to a WebSocket, or a browser that wants
//! the softphone page, which may so have the origin and the certificate of its WebSocket.
//!
//! Only the head of the first request is looked at, and only for its Upgrade header (RFC 9110 §7.8): everything else
//! about it is for those to judge who get the connection, with the octets that were read already in front.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::stream::StreamLimits;
use crate::api::softphone::{Asked, Site};
use crate::transport::{Flow, Transport};

/// Of the first request's head. Browsers send less than 2 KiB; cookies of other servers on the same host may add to it.
const HEAD: usize = 16 * 1024;
/// For the page's files to be taken over one connection.
const LONGEST: Duration = Duration::from_secs(30);

/// How a connection began.
pub(super) enum Beginning<S> {
    /// With an upgrade, nothing of which was answered yet.
    Upgrade(Replayed<S>),
    /// With a request for the page, which was answered.
    Answered,
}

/// Reads the head of the first request, and answers it if it is no upgrade.
pub(super) async fn begin<S>(
    mut stream: S,
    site: Option<Arc<Site>>,
    flow: Flow,
    limits: &StreamLimits,
) -> io::Result<Beginning<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let head = timeout(limits.handshake, head(&mut stream)).await.map_err(late)??;
    let upgrade = asks_for_upgrade(&head);
    let stream = Replayed { head, stream };
    match site {
        Some(site) if !upgrade => {
            let served = timeout(LONGEST, serve(stream, site, flow)).await.map_err(late)?;
            served.map_err(io::Error::other)?;
            Ok(Beginning::Answered)
        }
        Some(_) | None => Ok(Beginning::Upgrade(stream)),
    }
}

/// Up to the empty line, or as much as may come before it.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Bytes> {
    let mut octets = BytesMut::with_capacity(2 * 1024);
    while octets.len() < HEAD {
        let seen = octets.len();
        if stream.read_buf(&mut octets).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The empty line may have begun in what was there before.
        let from = seen.saturating_sub(3);
        if memchr::memmem::find(octets.get(from..).unwrap_or_default(), b"\r\n\r\n").is_some() {
            break;
        }
    }
    Ok(octets.freeze())
}

fn asks_for_upgrade(head: &[u8]) -> bool {
    let name = b"upgrade:";
    head.split(|octet| *octet == b'\n').skip(1).any(|line| {
        line.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    })
}

async fn serve<S>(stream: Replayed<S>, site: Arc<Site>, flow: Flow) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<Response<Full<Bytes>>, Infallible>(respond(&site, &request, flow)) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    connection.await
}

fn respond(site: &Site, request: &Request<Incoming>, flow: Flow) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST);
    let path = request.uri().path();
    let asked = Asked {
        // There is nothing else here: whoever types the bare address means the page.
        path: if path == "/" { "/phone" } else { path },
        host: host.and_then(|host| host.to_str().ok()),
        tls: flow.transport == Transport::Wss,
        port: flow.local.port(),
    };
    site.respond(request.method(), &asked).map(Full::new)
}

/// A connection with what was read of it in front again.
pub(super) struct Replayed<S> {
    head: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.head.len().min(buffer.remaining());
        buffer.put_slice(self.head.get(..length).unwrap_or_default());
        self.head.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
