//! SIP over WebSocket, the server's side (RFC 7118): the upgrade, one message a frame, keepalive both ways.
//!
//! A browser that does not offer the subprotocol `sip` is no SIP client and is refused before the upgrade: the library
//! would upgrade it all the same. A page of another site may open a WebSocket to us in its visitor's browser, so the
//! origin is looked at (RFC 6455 §10.2).

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::{Message as WsMessage, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::clock;
use super::stream::{Events, StreamEvent, StreamLimits};
use crate::transport::{Flow, MESSAGE_LIMIT, PONG};

const SUBPROTOCOL: &str = "sip";

/// Whose pages may connect.
#[derive(Clone, Debug)]
pub(super) enum Origins {
    /// Everybody's: for listeners on loopback.
    Any,
    /// Those that we were loaded from: the origin's host is the one that was asked for.
    Same,
    /// These.
    Listed(Arc<[String]>),
}

/// How much of a connection is read before it says anything that is understood: a message of [`MESSAGE_LIMIT`] at most.
pub fn websocket_limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MESSAGE_LIMIT)
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT))
}

/// Upgrades a connection, or says why not.
pub(super) async fn accept<S>(stream: S, origins: &Origins, limits: &StreamLimits) -> io::Result<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    #[expect(clippy::result_large_err, reason = "the library's callback")]
    let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        check(request.headers(), origins)?;
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    };
    let upgraded = accept_hdr_async_with_config(stream, look, Some(websocket_limits()));
    timeout(limits.handshake, upgraded)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(other)
}

#[expect(clippy::result_large_err, reason = "the library's callback")]
fn check(headers: &HeaderMap, origins: &Origins) -> Result<(), ErrorResponse> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let words = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    // RFC 6455 §4.2.2: subprotocols are compared as they are written.
    if !words.into_iter().any(|word| word.trim() == SUBPROTOCOL) {
        let why = "this is a SIP server: ask for it with `Sec-WebSocket-Protocol: sip` (RFC 7118)\n";
        return Err(refusal(StatusCode::BAD_REQUEST, why));
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // Only browsers say an origin, and only they can be misled by a page.
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let good = match origins {
        Origins::Any => true,
        Origins::Same => origin
            .split_once("://")
            .is_some_and(|(_, host)| text(header::HOST) == Some(host)),
        Origins::Listed(list) => list.iter().any(|known| known.eq_ignore_ascii_case(origin)),
    };
    if good {
        Ok(())
    } else {
        let why = "pages of this origin may not connect: add it to `origins` of the listener\n";
        Err(refusal(StatusCode::FORBIDDEN, why))
    }
}

fn refusal(status: StatusCode, why: &'static str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(why.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(why.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Carries messages until one side ends it.
pub(super) async fn exchange<S>(
    mut socket: WebSocketStream<S>,
    flow: Flow,
    mut outgoing: mpsc::Receiver<Bytes>,
    events: &Events,
    limits: StreamLimits,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut heard = clock::now();
    let mut pinged: Option<Instant> = None;
    loop {
        // A ping for each interval of silence; two intervals without any sign, and the client has gone.
        let until = heard + if pinged.is_some() { 2 * limits.ping } else { limits.ping };
        tokio::select! {
            frame = socket.next() => {
                let Some(frame) = frame else { return Ok(()) };
                heard = clock::now();
                pinged = None;
                let message = match frame.map_err(other)? {
                    WsMessage::Text(text) => Bytes::from(text),
                    WsMessage::Binary(octets) => octets,
                    // The library has queued the answer.
                    WsMessage::Ping(_) | WsMessage::Close(_) => {
                        flush(&mut socket, &limits).await?;
                        continue;
                    }
                    WsMessage::Pong(_) | WsMessage::Frame(_) => continue,
                };
                if message.iter().all(|octet| matches!(octet, b'\r' | b'\n')) {
                    // RFC 7118 §6, RFC 5626 §4.4.1: a double CRLF asks, a single one answers.
                    if message.len() >= 2 * PONG.len() {
                        send(&mut socket, Bytes::from_static(PONG), &limits).await?;
                    }
                    continue;
                }
                if events.send(StreamEvent::Message { flow, bytes: message }).await.is_err() {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
            message = outgoing.recv() => {
                let Some(message) = message else {
                    return timeout(limits.write, socket.close(None)).await.map_or(Ok(()), |closed| closed.map_err(other));
                };
                send(&mut socket, message, &limits).await?;
            }
            () = sleep_until(until.into()) => {
                if pinged.is_some() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                pinged = Some(clock::now());
                timeout(limits.write, socket.send(WsMessage::Ping(Bytes::new())))
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                    .map_err(other)?;
            }
        }
    }
}

/// Text where it is text, because browsers' libraries expect it; binary where it is not (RFC 7118 §5.1 wants both).
async fn send<S>(socket: &mut WebSocketStream<S>, message: Bytes, limits: &StreamLimits) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = match Utf8Bytes::try_from(message.clone()) {
        Ok(text) => WsMessage::Text(text),
        Err(_) => WsMessage::Binary(message),
    };
    timeout(limits.write, socket.send(frame))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(other)
}

async fn flush<S>(socket: &mut WebSocketStream<S>, limits: &StreamLimits) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(limits.write, socket.flush()).await {
        Ok(Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) => Ok(()),
        Ok(Err(error)) => Err(other(error)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn other(error: Error) -> io::Error {
    io::Error::other(error)
}
