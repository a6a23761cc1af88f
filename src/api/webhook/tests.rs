//! Over real sockets on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::api::{EventLog, Happened};
use crate::engine::Event;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn loopback() -> Options {
    Options {
        allow: vec![Network {
            address: "127.0.0.0".parse().unwrap(),
            prefix: 8,
        }],
        retry: Retry {
            first: Duration::from_millis(1),
            ..Retry::default()
        },
        ..Options::default()
    }
}

fn client(options: Options) -> (Client, EngineHandle) {
    let (edge, _) = EngineHandle::new(Arc::new(EventLog::new()));
    (Client::new(options, edge.clone()).unwrap(), edge)
}

fn post(url: String, body: &'static str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(body.as_bytes())).unwrap()
}

/// A server that answers the first connection with the first answer, and so on; tells what it was asked.
async fn server(answers: Vec<&'static str>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            told.send(request(&mut stream).await).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, asked)
}

async fn request<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .split_once("content-length: ")
                .map_or(0, |(_, rest)| rest.lines().next().unwrap().parse::<usize>().unwrap());
            if body.len() >= length {
                return String::from_utf8(seen).unwrap();
            }
        }
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "the client closed");
    }
}

#[tokio::test]
async fn a_request_goes_out_whole_and_its_answer_comes_back() {
    let (address, mut asked) = server(vec![OK]).await;
    let (hooks, _) = client(loopback());
    let answer = hooks
        .send(post(format!("http://me:se%20cret@{address}/a?b=c"), "x=1"))
        .await
        .unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"hello"[..]));
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: {address}\r\n")), "{asked}");
    assert!(asked.contains("authorization: Basic bWU6c2UlMjBjcmV0\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\nx=1"), "{asked}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (address, mut asked) = server(vec![
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ])
    .await;
    let (hooks, _) = client(loopback());
    let refused = hooks.send(post(format!("http://{address}/"), "")).await;
    assert_eq!(refused.unwrap_err(), WebhookError::Redirected { status: 302 });
    asked.recv().await.unwrap();
}

#[tokio::test]
async fn an_answer_has_bounds() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {0}\r\n\r\n{1}",
        MOST_BODY + 1,
        "x".repeat(MOST_BODY + 1)
    );
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(17);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(256 * 1024));
    for (answer, told) in [(long, true), (chunked, true), (head, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.ok(); // cut off in the middle
        });
        let refused = client(loopback())
            .0
            .send(post(format!("http://{address}/"), ""))
            .await
            .unwrap_err();
        assert_eq!(refused == WebhookError::TooLong, told, "{refused}");
    }
}

#[tokio::test]
async fn who_is_slow_or_closes_is_not_waited_for() {
    let (hooks, _) = client(Options {
        patience: Duration::from_millis(50),
        ..loopback()
    });
    for sent in ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let holding = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(sent.as_bytes()).await.unwrap();
            // Until the other side closes: that it does is what the bound is for.
            stream.read_to_end(&mut Vec::new()).await.ok();
        });
        let refused = hooks.send(post(format!("http://{address}/"), "")).await.unwrap_err();
        assert_eq!(refused, WebhookError::Late(Duration::from_millis(50)));
        holding.await.unwrap();
    }
    let (hooks, _) = client(loopback());
    for sent in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
        "no HTTP at all\r\n\r\n",
    ] {
        let (address, _asked) = server(vec![sent]).await;
        let refused = hooks.send(post(format!("http://{address}/"), "")).await.unwrap_err();
        assert!(matches!(refused, WebhookError::Connection(_)), "{sent}: {refused}");
    }
}

#[tokio::test]
async fn addresses_of_our_own_network_are_refused_before_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (hooks, _) = client(Options::default());
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "0x7f.1"] {
        let refused = hooks
            .send(post(format!("http://{host}:{port}/"), ""))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, WebhookError::Forbidden { why: "loopback", .. }),
            "{host}: {refused}"
        );
    }
    for url in ["ftp://127.0.0.1/", "/only/a/path", "file:///etc/passwd"] {
        assert!(
            hooks
                .send(Request::get(url).body(Bytes::new()).unwrap_or_default())
                .await
                .is_err()
        );
    }
    // Not blocking: a connection would be there by now.
    assert_eq!(
        listener.into_std().unwrap().accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
}

/// The second answer of such a name server would be our own machine.
#[tokio::test]
async fn a_name_is_looked_up_once_and_the_judged_address_is_the_one_that_is_asked() {
    let (address, mut asked) = server(vec![OK]).await;
    let looked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looked);
    let (hooks, _) = client(Options {
        resolve: Arc::new(move |_| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let answer = if first { "127.0.0.1" } else { "10.0.0.1" };
            Box::pin(async move { Ok(vec![answer.parse().unwrap()]) })
        }),
        ..loopback()
    });
    let url = format!("http://rebound.example:{}/", address.port());
    hooks.send(post(url.clone(), "")).await.unwrap();
    assert_eq!(looked.load(Ordering::SeqCst), 1);
    asked.recv().await.unwrap();
    let refused = hooks.send(post(url, "")).await.unwrap_err();
    assert!(
        matches!(refused, WebhookError::Forbidden { why: "private", .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn https_needs_a_certificate_that_we_trust_for_that_name() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let file: PathBuf = std::env::temp_dir().join(format!("warmline-webhook-{}.pem", std::process::id()));
    std::fs::write(&file, certificate.pem()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            stream.shutdown().await.ok(); // the client may have closed before
        }
    });
    let (strangers, _) = client(loopback());
    let (friends, _) = client(Options {
        ca: Some(file.clone()),
        ..loopback()
    });
    std::fs::remove_file(&file).unwrap();
    let url = format!("https://127.0.0.1:{port}/");
    let refused = strangers.send(post(url.clone(), "")).await.unwrap_err();
    assert!(matches!(refused, WebhookError::Tls(_)), "{refused}");
    assert_eq!(friends.send(post(url, "")).await.unwrap().status(), 200);
    let other = friends
        .send(post(format!("https://localhost:{port}/"), ""))
        .await
        .unwrap_err();
    assert!(matches!(other, WebhookError::Tls(_)), "{other}");
    assert!(
        Client::new(
            Options {
                ca: Some(file),
                ..loopback()
            },
            client(loopback()).1
        )
        .is_err()
    );
}

const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn notifications_of_a_lane_keep_their_order_through_retries() {
    let (address, mut asked) = server(vec![BUSY, "", OK, OK]).await;
    let (hooks, _) = client(loopback());
    for body in ["n=1", "n=2"] {
        assert!(hooks.queue("CA1", post(format!("http://{address}/"), body)));
    }
    for expect in ["n=1", "n=1", "n=1", "n=2"] {
        assert!(asked.recv().await.unwrap().ends_with(expect));
    }
}

#[tokio::test]
async fn what_nobody_takes_is_given_up_with_an_event_that_gives_nothing_away() {
    let refusal = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let (address, mut asked) = server(vec![BUSY, BUSY, refusal]).await;
    let mut options = loopback();
    options.retry.tries = 2;
    let (hooks, edge) = client(options);
    let mut events = edge.events(None);
    for body in ["password=1", "password=2"] {
        hooks.queue("CA1", post(format!("http://user:pass@{address}/secret?token=1"), body));
    }
    for expect in [("the answer was 503", 2), ("the answer was 404", 1)] {
        let Happened::Event(stamped) = events.next().await else {
            panic!("missed")
        };
        let Event::WebhookFailed { to, why, tries } = &stamped.event else {
            panic!("{stamped:?}")
        };
        assert_eq!((why.as_str(), *tries), expect);
        assert_eq!(*to, format!("http://{address}"));
    }
    for _ in 0..3 {
        asked.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_lane_has_a_bound_and_holds_up_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stuck = listener.local_addr().unwrap();
    let (free, mut asked) = server(vec![OK]).await;
    let (hooks, edge) = client(loopback());
    let mut events = edge.events(None);
    let taken = (0..300)
        .filter(|_| hooks.queue("stuck", post(format!("http://{stuck}/"), "")))
        .count();
    assert_eq!(taken, 256);
    assert!(hooks.queue("free", post(format!("http://{free}/"), "through")));
    assert!(asked.recv().await.unwrap().ends_with("through"));
    let Happened::Event(stamped) = events.next().await else {
        panic!("missed")
    };
    let Event::WebhookFailed { why, tries, .. } = &stamped.event else {
        panic!("{stamped:?}")
    };
    assert_eq!((why.as_str(), *tries), ("too many wait already", 0));
}
