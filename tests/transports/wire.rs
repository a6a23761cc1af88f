//! One phone's wire over each transport, as a phone has it: written with the same libraries, but as a client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use tokio_tungstenite::{WebSocketStream, client_async};
use warmline::phone::PhoneTransport;
use warmline::transport::{Frame, StreamFramer};

/// The phone's end: what it sends, what came, and where it is.
pub(crate) struct Wire {
    pub(crate) sent: mpsc::UnboundedSender<Bytes>,
    pub(crate) came: mpsc::UnboundedReceiver<Bytes>,
    pub(crate) address: SocketAddr,
}

impl Wire {
    /// Connects; `trusted` is the edge's certificate in PEM, verified like everybody's.
    pub(crate) async fn open(transport: PhoneTransport, edge: SocketAddr, trusted: &[u8]) -> Wire {
        let (sent, outgoing) = mpsc::unbounded_channel();
        let (incoming, came) = mpsc::unbounded_channel();
        let address = match transport {
            PhoneTransport::Udp => {
                let socket = UdpSocket::bind((edge.ip(), 0)).await.unwrap();
                socket.connect(edge).await.unwrap();
                let address = socket.local_addr().unwrap();
                tokio::spawn(datagrams(socket, outgoing, incoming));
                address
            }
            PhoneTransport::Tcp => {
                let stream = TcpStream::connect(edge).await.unwrap();
                let address = stream.local_addr().unwrap();
                tokio::spawn(octets(stream, outgoing, incoming));
                address
            }
            PhoneTransport::Tls => {
                let stream = tls(edge, trusted).await.unwrap();
                let address = stream.get_ref().0.local_addr().unwrap();
                tokio::spawn(octets(stream, outgoing, incoming));
                address
            }
            PhoneTransport::Ws => {
                let stream = TcpStream::connect(edge).await.unwrap();
                let address = stream.local_addr().unwrap();
                let socket = upgrade(stream, "ws", edge, Some("sip"), None).await.unwrap();
                tokio::spawn(frames(socket, outgoing, incoming));
                address
            }
            PhoneTransport::Wss => {
                let stream = tls(edge, trusted).await.unwrap();
                let address = stream.get_ref().0.local_addr().unwrap();
                let socket = upgrade(stream, "wss", edge, Some("sip"), None).await.unwrap();
                tokio::spawn(frames(socket, outgoing, incoming));
                address
            }
        };
        Wire { sent, came, address }
    }
}

pub(crate) async fn tls(edge: SocketAddr, trusted: &[u8]) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trusted) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(edge).await?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::from(edge.ip()), stream)
        .await
}

/// The upgrade as a browser asks for it.
pub(crate) async fn upgrade<S>(
    stream: S,
    scheme: &str,
    edge: SocketAddr,
    subprotocol: Option<&str>,
    origin: Option<&str>,
) -> Result<WebSocketStream<S>, Box<Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("{scheme}://{edge}/any/path").into_client_request().unwrap();
    let headers = request.headers_mut();
    if let Some(subprotocol) = subprotocol {
        headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_str(subprotocol).unwrap());
    }
    if let Some(origin) = origin {
        headers.insert("Origin", HeaderValue::from_str(origin).unwrap());
    }
    client_async(request, stream)
        .await
        .map(|(socket, _)| socket)
        .map_err(Box::new)
}

type Outgoing = mpsc::UnboundedReceiver<Bytes>;
type Incoming = mpsc::UnboundedSender<Bytes>;

async fn datagrams(socket: UdpSocket, mut outgoing: Outgoing, incoming: Incoming) {
    let mut buffer = vec![0; 65_535];
    loop {
        tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => { socket.send(&message).await.ok(); }
                None => return,
            },
            Ok(length) = socket.recv(&mut buffer) => { incoming.send(Bytes::copy_from_slice(&buffer[..length])).ok(); }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "phones on real sockets live in real time")]
async fn octets(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut outgoing: Outgoing, incoming: Incoming) {
    let mut framer = StreamFramer::new();
    let mut octets = BytesMut::new();
    loop {
        tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => {
                    stream.write_all(&message).await.unwrap();
                    stream.flush().await.unwrap();
                }
                None => return,
            },
            read = stream.read_buf(&mut octets) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                framer.push(Instant::now(), &octets);
                octets.clear();
                while let Some(frame) = framer.next().unwrap() {
                    if let Frame::Message(message) = frame {
                        incoming.send(message).ok();
                    }
                }
            }
        }
    }
}

async fn frames<S>(mut socket: WebSocketStream<S>, mut outgoing: Outgoing, incoming: Incoming)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut binary = false;
    loop {
        tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => {
                    // Both kinds of frames carry messages (RFC 7118 §5.1).
                    binary = !binary;
                    let text = || String::from_utf8(message.to_vec()).unwrap();
                    let frame = if binary { WsMessage::Binary(message) } else { WsMessage::text(text()) };
                    socket.send(frame).await.unwrap();
                }
                None => return,
            },
            frame = socket.next() => match frame {
                Some(Ok(WsMessage::Text(text))) => { incoming.send(Bytes::from(text)).ok(); }
                Some(Ok(WsMessage::Binary(octets))) => { incoming.send(octets).ok(); }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}
