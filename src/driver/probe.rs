//! Whether the PBX answers: OPTIONS (RFC 3261 §11) every half minute, from a socket of its own beside the engine.
//!
//! Any answer counts, a refusal too: the question is whether somebody is there. It never touches a call: an edge whose PBX
//! is silent goes on trying it for every call, and only says at `/readyz` that others should be preferred.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::clock;
use crate::engine::{Pbx, Settings};
use crate::observe::Metrics;
use crate::transport::Transport;

const EVERY: Duration = Duration::from_secs(30);
/// After a silence the next question comes sooner.
const SOONER: Duration = Duration::from_secs(3);
/// RFC 3261 §17.1.2.1: T1, and twice as long each time.
const TRIES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(1_000),
    Duration::from_millis(2_000),
    Duration::from_millis(4_000),
];

/// Asks for as long as the edge runs.
pub(super) async fn ask(settings: Settings, metrics: Arc<Metrics>) {
    let Some(pbx) = settings.pbx else { return };
    // Any of its places will do (RFC 3263 §4.3): calls find the one that lives.
    let named = settings
        .names
        .iter()
        .find(|name| name.host == pbx.host && name.first == pbx.place());
    let mut places: Vec<Pbx> = vec![pbx.clone()];
    for place in named
        .iter()
        .flat_map(|name| &name.places)
        .filter(|place| **place != pbx.place())
    {
        places.push(Pbx {
            address: place.address,
            transport: place.transport,
            ..pbx.clone()
        });
    }
    let listener = settings.listeners.iter().map(|listener| listener.address.ip());
    let own = listener
        .filter(|ip| ip.is_ipv4() == pbx.address.is_ipv4())
        .find(|ip| !ip.is_unspecified());
    let mut was = None;
    loop {
        let mut up = false;
        for place in &places {
            up = up || answers(place, own).await;
        }
        metrics.set_pbx_up(up);
        if was != Some(up) {
            tracing::info!(pbx = %pbx.address, up, "PBX");
            was = Some(up);
        }
        tokio::time::sleep(if up { EVERY } else { SOONER }).await;
    }
}

async fn answers(pbx: &Pbx, own: Option<std::net::IpAddr>) -> bool {
    let all: Duration = TRIES.iter().sum();
    let asked = async {
        match pbx.transport {
            Transport::Udp => over_udp(pbx, own).await,
            Transport::Tcp => over_tcp(pbx).await,
            // That it takes connections has to do: the handshake is the engine's own flow's business.
            Transport::Tls | Transport::Ws | Transport::Wss => TcpStream::connect(pbx.address).await.map(|_| true),
        }
    };
    matches!(tokio::time::timeout(all, asked).await, Ok(Ok(true)))
}

async fn over_udp(pbx: &Pbx, own: Option<std::net::IpAddr>) -> std::io::Result<bool> {
    let any = if pbx.address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = match own {
        Some(ip) => UdpSocket::bind((ip, 0)).await?,
        None => UdpSocket::bind(any).await?,
    };
    socket.connect(pbx.address).await?;
    let request = options(pbx, socket.local_addr()?)?;
    let mut octets = [0; 2_048];
    for patience in TRIES {
        socket.send(request.as_bytes()).await?;
        match tokio::time::timeout(patience, socket.recv(&mut octets)).await {
            Ok(length) => return Ok(is_answer(octets.get(..length?).unwrap_or_default())),
            Err(_) => continue,
        }
    }
    Ok(false)
}

async fn over_tcp(pbx: &Pbx) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(pbx.address).await?;
    let request = options(pbx, stream.local_addr()?)?;
    stream.write_all(request.as_bytes()).await?;
    let mut octets = [0; 12];
    stream.read_exact(&mut octets).await?;
    Ok(is_answer(&octets))
}

fn is_answer(octets: &[u8]) -> bool {
    octets.starts_with(b"SIP/2.0 ")
}

fn options(pbx: &Pbx, own: SocketAddr) -> std::io::Result<String> {
    let dice = clock::random()?;
    let word: String = dice.iter().map(|octet| format!("{octet:02x}")).collect();
    let (host, transport) = (&pbx.host, pbx.transport.as_str());
    Ok(format!(
        "OPTIONS sip:{host}:{port} SIP/2.0\r\nVia: SIP/2.0/{transport} {own};rport;branch=z9hG4bK{word}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:warmline@{own}>;tag={word}\r\nTo: <sip:{host}:{port}>\r\nCall-ID: {word}\r\n\
         CSeq: 1 OPTIONS\r\nContact: <sip:warmline@{own}>\r\nAccept: application/sdp\r\nUser-Agent: warmline\r\nContent-Length: 0\r\n\r\n",
        port = pbx.address.port(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Register;

    #[tokio::test]
    async fn a_pbx_that_answers_is_up_and_one_that_is_gone_is_down() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut pbx = Pbx {
            host: "127.0.0.1".to_owned(),
            address: socket.local_addr().unwrap(),
            transport: Transport::Udp,
            register: Register::Through,
        };
        let answering = tokio::spawn(async move {
            let mut octets = [0; 2_048];
            let (length, from) = socket.recv_from(&mut octets).await.unwrap();
            let text = String::from_utf8_lossy(&octets[..length]).into_owned();
            assert!(
                crate::sip::Message::parse(text.clone().into()).is_ok_and(|message| message.validate().is_ok()),
                "{text}"
            );
            socket.send_to(b"SIP/2.0 403 Forbidden\r\n\r\n", from).await.unwrap();
        });
        assert!(answers(&pbx, None).await, "a refusal is an answer");
        answering.await.unwrap();
        // The socket is closed now: the system says so at once.
        assert!(!answers(&pbx, Some("127.0.0.1".parse().unwrap())).await);
        pbx.transport = Transport::Tcp;
        assert!(!answers(&pbx, None).await);
    }
}
