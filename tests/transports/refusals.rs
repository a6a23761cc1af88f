//! Who is not let in, and what keeps a connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::{Error, Message};
use warmline::driver::{ListenerOptions, Options, StreamLimits};
use warmline::transport::Transport;

use super::wire::{tls, upgrade};
use super::{address, edge, runtime};

/// The HTTP answer to an upgrade that is refused.
fn refused(edge: std::net::SocketAddr, subprotocol: Option<&str>, origin: Option<&str>) -> (u16, String) {
    runtime().block_on(async {
        let stream = tokio::net::TcpStream::connect(edge).await.unwrap();
        let error = *upgrade(stream, "ws", edge, subprotocol, origin).await.unwrap_err();
        let Error::Http(answer) = error else { panic!("{error}") };
        let body = answer.body().clone().unwrap_or_default();
        (answer.status().as_u16(), String::from_utf8(body).unwrap())
    })
}

#[test]
fn a_client_without_the_subprotocol_is_refused_before_the_upgrade() {
    let (edge, _) = edge("subprotocol", "127.0.0.1", Options::default());
    let there = address(&edge, Transport::Ws);
    for subprotocol in [None, Some("mqtt"), Some("SIP"), Some("sips, sip2")] {
        let (status, body) = refused(there, subprotocol, None);
        assert_eq!(status, 400, "{subprotocol:?}");
        assert!(body.contains("Sec-WebSocket-Protocol: sip"), "{body}");
    }
    // One of several that are offered is enough, whatever the path.
    runtime().block_on(async {
        let stream = tokio::net::TcpStream::connect(there).await.unwrap();
        upgrade(stream, "ws", there, Some("mqtt, sip"), Some("https://any.test"))
            .await
            .unwrap();
    });
}

#[test]
fn a_page_of_an_origin_that_is_not_listed_is_refused() {
    let own = ListenerOptions {
        origins: vec!["https://phones.example.test".to_owned()],
        ..ListenerOptions::default()
    };
    let options = Options {
        listeners: vec![own; 5],
        ..Options::default()
    };
    let (edge, _) = edge("origin", "127.0.0.1", options);
    let there = address(&edge, Transport::Ws);
    let (status, body) = refused(there, Some("sip"), Some("https://evil.test"));
    assert!(status == 403 && body.contains("origins"), "{status} {body}");
    runtime().block_on(async {
        for origin in [Some("https://phones.example.test"), None] {
            let stream = tokio::net::TcpStream::connect(there).await.unwrap();
            upgrade(stream, "ws", there, Some("sip"), origin).await.unwrap();
        }
    });
}

#[test]
fn keepalives_of_a_websocket_are_answered_and_a_big_frame_ends_it() {
    let (edge, _) = edge("keepalive", "127.0.0.1", Options::default());
    let there = address(&edge, Transport::Ws);
    runtime().block_on(async {
        let stream = tokio::net::TcpStream::connect(there).await.unwrap();
        let mut socket = upgrade(stream, "ws", there, Some("sip"), None).await.unwrap();
        socket.send(Message::text("\r\n\r\n")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("\r\n"));
        socket.send(Message::Ping("x".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("x".into()));
        socket.send(Message::text("x".repeat(64 * 1024 + 1))).await.ok(); // it may be cut off in the middle
        while let Some(Ok(frame)) = socket.next().await {
            assert!(frame.is_close(), "{frame:?}");
        }
    });
}

#[test]
fn a_websocket_that_answers_no_ping_ends() {
    let options = Options {
        streams: StreamLimits {
            ping: Duration::from_millis(50),
            ..StreamLimits::default()
        },
        ..Options::default()
    };
    let (edge, _) = edge("ping", "127.0.0.1", options);
    let mut stream = TcpStream::connect(address(&edge, Transport::Ws)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
        )
        .unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let text = String::from_utf8_lossy(&all);
    assert!(
        text.starts_with("HTTP/1.1 101") && text.to_ascii_lowercase().contains("sec-websocket-protocol: sip"),
        "{text}"
    );
    assert!(all.windows(2).any(|octets| octets == [0x89, 0]), "no ping in {all:?}");
}

#[test]
fn a_handshake_that_does_not_come_ends_the_connection() {
    let options = Options {
        streams: StreamLimits {
            handshake: Duration::from_millis(50),
            ..StreamLimits::default()
        },
        ..Options::default()
    };
    let (edge, _) = edge("handshake", "127.0.0.1", options);
    for transport in [Transport::Tls, Transport::Wss, Transport::Ws] {
        let mut stream = TcpStream::connect(address(&edge, transport)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "{transport}");
    }
    // Nor is SIP in plain text taken for one.
    let mut stream = TcpStream::connect(address(&edge, Transport::Tls)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"OPTIONS sip:x SIP/2.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok(); // an alert, and a reset perhaps
    assert!(!answer.starts_with(b"SIP/2.0"));
}

#[test]
fn the_self_signed_certificate_outlives_the_process_and_is_for_our_names() {
    let (first, trusted) = edge("kept", "127.0.0.1", Options::default());
    let there = address(&first, Transport::Tls);
    runtime().block_on(tls(there, &trusted)).unwrap();
    let (other, _) = edge("kept-other", "127.0.0.1", Options::default());
    let stranger = address(&other, Transport::Tls);
    assert!(
        runtime().block_on(tls(stranger, &trusted)).is_err(),
        "another edge's certificate was trusted"
    );
    drop(first);
    let state = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("transports-kept");
    let mut settings = warmline::engine::Settings::loopback("127.0.0.1:0".parse().unwrap());
    settings.listeners[0].transport = Transport::Tls;
    let mut options = Options::default();
    options.tls.state = Some(state);
    let again = warmline::driver::Edge::start(settings, options).unwrap();
    runtime().block_on(tls(again.listeners()[0].address, &trusted)).unwrap();
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_and_ends_none() {
    let (edge, trusted) = edge("renewed", "127.0.0.1", Options::default());
    let there = address(&edge, Transport::Tls);
    let runtime = runtime();
    let mut old = runtime.block_on(tls(there, &trusted)).unwrap();
    let state = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("transports-renewed");
    let certificate = state.join("self-signed.pem");
    // Two files gone: the edge signs itself another one.
    std::fs::remove_file(&certificate).unwrap();
    std::fs::remove_file(state.join("self-signed.key")).unwrap();
    let settings = warmline::engine::Settings::loopback("127.0.0.1:0".parse().unwrap());
    let mut options = Options::default();
    options.tls.state = Some(state);
    edge.reload_certificates(&settings, &options).unwrap();
    let renewed = std::fs::read(&certificate).unwrap();
    assert!(
        runtime.block_on(tls(there, &trusted)).is_err(),
        "the old one is shown no more"
    );
    runtime.block_on(tls(there, &renewed)).unwrap();
    // A file that cannot be used changes nothing.
    std::fs::write(&certificate, "nonsense").unwrap();
    assert!(edge.reload_certificates(&settings, &options).is_err());
    runtime.block_on(tls(there, &renewed)).unwrap();
    // Who was connected still is.
    let options = "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKold\r\nMax-Forwards: 70\r\n\
        From: <sip:a@example.test>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: old\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let answer = runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        old.write_all(options.as_bytes()).await.unwrap();
        let mut octets = vec![0; 2_048];
        let length = old.read(&mut octets).await.unwrap();
        String::from_utf8_lossy(&octets[..length]).into_owned()
    });
    assert!(answer.starts_with("SIP/2.0 "), "{answer}");
}
