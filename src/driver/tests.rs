use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::*;
use crate::engine::{Command, Reply};
use crate::transport::Transport;

fn edge(limits: StreamLimits) -> (Edge, SocketAddr) {
    let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
    let udp = settings.listeners[0];
    settings.listeners.push(Listener {
        transport: Transport::Tcp,
        ..udp
    });
    let edge = Edge::start(
        settings,
        Options {
            streams: limits,
            ..Options::default()
        },
    )
    .unwrap();
    let address = edge.listeners()[1].address;
    (edge, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Whether the other side has closed; waits up to five seconds for it.
fn closed(stream: &mut TcpStream) -> bool {
    let mut octets = [0; 2_048];
    loop {
        match stream.read(&mut octets) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn a_ping_is_answered_with_a_pong() {
    let (_edge, address) = edge(StreamLimits::default());
    let mut stream = connect(address);
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[test]
fn a_message_that_does_not_complete_ends_its_connection() {
    let (_edge, address) = edge(StreamLimits {
        incomplete: Duration::from_millis(50),
        ..StreamLimits::default()
    });
    let mut stream = connect(address);
    stream.write_all(b"OPTIONS sip:x SIP/2.0\r\nVia").unwrap();
    assert!(closed(&mut stream));
}

#[test]
fn a_silent_connection_ends() {
    let (_edge, address) = edge(StreamLimits {
        silent: Duration::from_millis(50),
        ..StreamLimits::default()
    });
    assert!(closed(&mut connect(address)));
}

#[test]
fn a_stream_that_cannot_be_cut_ends_at_once() {
    let (_edge, address) = edge(StreamLimits::default());
    let mut stream = connect(address);
    stream
        .write_all(b"INVITE sip:x SIP/2.0\r\nContent-Length: minus one\r\n\r\n")
        .unwrap();
    assert!(closed(&mut stream));
}

#[test]
fn one_source_has_so_many_connections_and_no_more() {
    let (_edge, address) = edge(StreamLimits {
        per_source: 2,
        ..StreamLimits::default()
    });
    let mut held: Vec<TcpStream> = (0..2).map(|_| connect(address)).collect();
    for stream in &mut held {
        stream.write_all(b"\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
    }
    assert!(closed(&mut connect(address)));
    // A place that is given back can be taken again.
    drop(held.pop());
    let served = (0..100).any(|_| {
        let mut stream = connect(address);
        stream.write_all(b"\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 2]).is_ok()
    });
    assert!(served);
}

#[test]
fn orders_are_answered_until_the_edge_stops() {
    let (edge, _) = edge(StreamLimits::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let handle = edge.handle().clone();
    let reply = runtime.block_on(handle.command(Command::Calls)).unwrap();
    assert!(matches!(reply, Reply::Calls(calls) if calls.is_empty()));
    let left = runtime.block_on(drain(&edge, Duration::from_secs(1))).unwrap();
    assert_eq!(left, Default::default());
    edge.stop();
    assert_eq!(
        runtime.block_on(handle.command(Command::Calls)).unwrap_err(),
        crate::api::CommandError::Stopped
    );
}

#[test]
fn a_certificate_that_cannot_be_read_is_refused_before_a_port_is_bound() {
    let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
    settings.listeners[0].transport = Transport::Tls;
    let mut options = Options::default();
    options.tls.identity = Some(KeyFiles {
        certificate: "/nowhere/edge.pem".into(),
        key: "/nowhere/edge.key".into(),
    });
    let error = Edge::start(settings, options).unwrap_err();
    assert!(
        error.to_string().contains("/nowhere/edge.pem") && error.hint().is_some(),
        "{error}"
    );
}

/// An edge whose number 1 leads over TCP to `route`.
fn routed(route: SocketAddr) -> (Edge, std::net::UdpSocket) {
    routed_by(Transport::Tcp, route)
}

fn routed_by(transport: Transport, route: SocketAddr) -> (Edge, std::net::UdpSocket) {
    routed_with(transport, route, Options::default())
}

fn routed_with(transport: Transport, route: SocketAddr, options: Options) -> (Edge, std::net::UdpSocket) {
    let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
    let udp = settings.listeners[0];
    settings.listeners.push(Listener {
        transport: Transport::Tcp,
        ..udp
    });
    settings.listeners.push(Listener {
        transport: Transport::Tls,
        ..udp
    });
    let (pattern, host) = (regex::Regex::new("^1$").unwrap(), route.to_string());
    settings.routes = vec![crate::engine::Route {
        pattern,
        address: route,
        transport,
        host,
        users: Vec::new(),
    }];
    let edge = Edge::start(settings, options).unwrap();
    let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    phone.connect(edge.listeners()[0].address).unwrap();
    (edge, phone)
}

fn request(method: &str, phone: &std::net::UdpSocket) -> Vec<u8> {
    let (own, edge) = (phone.local_addr().unwrap(), phone.peer_addr().unwrap());
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 20004 RTP/AVP 0\r\n";
    let large = format!(
        "{sdp}{}",
        "a=x-filler:0123456789012345678901234567890123456789\r\n".repeat(30)
    );
    let (method, body) = match method {
        "LARGE" => ("INVITE", large.as_str()),
        "INVITE" => ("INVITE", sdp),
        other => (other, ""),
    };
    let text = format!(
        "{method} sip:1@{edge} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:a@{own}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    text.into_bytes()
}

/// The first answer that is no 100.
fn answer(phone: &std::net::UdpSocket) -> String {
    let mut octets = [0; 8_192];
    loop {
        let length = phone.recv(&mut octets).unwrap();
        let text = String::from_utf8_lossy(&octets[..length]).into_owned();
        if !text.starts_with("SIP/2.0 100") {
            return text;
        }
    }
}

#[test]
fn a_datagram_is_answered_and_line_ends_are_not() {
    let (_edge, phone) = routed("127.0.0.1:9".parse().unwrap());
    for keepalive in ["", "\r\n\r\n", "\0\0\0\0"] {
        phone.send(keepalive.as_bytes()).unwrap();
    }
    phone.send(&request("OPTIONS", &phone)).unwrap();
    let told = answer(&phone);
    assert!(
        told.starts_with("SIP/2.0 ") && told.contains("CSeq: 1 OPTIONS"),
        "{told}"
    );
}

#[test]
fn a_connection_is_opened_for_a_call_that_needs_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_edge, phone) = routed(listener.local_addr().unwrap());
    phone.send(&request("INVITE", &phone)).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut octets = [0; 4_096];
    let length = stream.read(&mut octets).unwrap();
    let told = String::from_utf8_lossy(&octets[..length]).into_owned();
    assert!(
        told.starts_with("INVITE sip:1@") && told.contains("SIP/2.0/TCP"),
        "{told}"
    );
    // What the other side then says on that connection reaches the caller.
    let line = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let (via, from, to) = (line("Via:"), line("From:"), line("To:"));
    let (call_id, cseq) = (line("Call-ID:"), line("CSeq:"));
    let busy = format!(
        "SIP/2.0 486 Busy Here\r\n{via}\r\n{from}\r\n{to};tag=9\r\n{call_id}\r\n{cseq}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(busy.as_bytes()).unwrap();
    assert!(answer(&phone).starts_with("SIP/2.0 486"));
}

#[test]
fn a_connection_that_nobody_accepts_fails_the_call_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let (_edge, phone) = routed(address);
    phone.send(&request("INVITE", &phone)).unwrap();
    let told = answer(&phone);
    assert!(told.starts_with("SIP/2.0 5") || told.starts_with("SIP/2.0 4"), "{told}");
}

/// RFC 3261 §18.1.1.
#[test]
fn a_request_that_is_too_large_for_a_datagram_goes_over_tcp_where_that_is_taken() {
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    let datagrams = std::net::UdpSocket::bind(address).unwrap();
    datagrams.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut octets = [0; 8_192];
    let first = |length: usize, octets: &[u8]| String::from_utf8_lossy(&octets[..length]).into_owned();

    let (_edge, phone) = routed_by(Transport::Udp, address);
    phone.send(&request("INVITE", &phone)).unwrap();
    let length = datagrams.recv(&mut octets).unwrap();
    assert!(
        first(length, &octets).contains("Via: SIP/2.0/UDP"),
        "a small one stays a datagram"
    );

    let (_edge, phone) = routed_by(Transport::Udp, address);
    phone.send(&request("LARGE", &phone)).unwrap();
    let (mut stream, _) = place.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let length = stream.read(&mut octets).unwrap();
    assert!(
        first(length, &octets).contains("Via: SIP/2.0/TCP"),
        "{}",
        first(length, &octets)
    );

    drop((place, stream));
    let (_edge, phone) = routed_by(Transport::Udp, address);
    phone.send(&request("LARGE", &phone)).unwrap();
    loop {
        let length = datagrams.recv(&mut octets).unwrap();
        let told = first(length, &octets);
        // What is left of the first call may come in between.
        if told.starts_with("INVITE") && length > 1_300 {
            assert!(told.contains("Via: SIP/2.0/UDP"), "{told}");
            break;
        }
    }
}

#[test]
fn a_connection_of_ours_by_tls_is_made_to_those_whose_certificate_is_trusted() {
    let state = std::env::temp_dir().join(format!("warmline-tls-{}", std::process::id()));
    let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
    settings.listeners[0].transport = Transport::Tls;
    let mut options = Options::default();
    options.tls.state = Some(state.clone());
    let other = Edge::start(settings, options).unwrap();
    let there = other.listeners()[0].address;

    let (_edge, phone) = routed_by(Transport::Tls, there);
    phone.send(&request("INVITE", &phone)).unwrap();
    assert!(answer(&phone).starts_with("SIP/2.0 503"), "nobody vouches for it");

    let mut options = Options::default();
    options.tls.ca = Some(state.join("self-signed.pem"));
    let (_edge, phone) = routed_with(Transport::Tls, there, options);
    phone.send(&request("INVITE", &phone)).unwrap();
    let told = answer(&phone);
    assert!(
        told.starts_with("SIP/2.0 404"),
        "the other edge knows no such user: {told}"
    );

    let mut options = Options::default();
    options.tls.unverified = vec![crate::engine::Network {
        address: there.ip(),
        prefix: 32,
    }];
    let (_edge, phone) = routed_with(Transport::Tls, there, options);
    phone.send(&request("INVITE", &phone)).unwrap();
    assert!(answer(&phone).starts_with("SIP/2.0 404"));
    std::fs::remove_dir_all(&state).ok(); // a leftover in the temporary folder is no failure
}

/// A certificate for 127.0.0.1, its key, and that of the authority that signed it, as files in a folder of their own.
fn authority(name: &str) -> (std::path::PathBuf, KeyFiles, std::path::PathBuf) {
    let folder = std::env::temp_dir().join(format!("warmline-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let files = KeyFiles {
        certificate: folder.join("own.pem"),
        key: folder.join("own.key"),
    };
    let ca_file = folder.join("ca.pem");
    std::fs::write(&files.certificate, own.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    std::fs::write(&ca_file, ca_certificate.pem()).unwrap();
    (folder, files, ca_file)
}

#[test]
fn a_listener_with_client_ca_lets_in_only_who_shows_a_certificate_of_it() {
    let (folder, files, ca) = authority("client-ca");
    let (strange, strangers, _) = authority("client-ca-stranger");
    let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
    settings.listeners[0].transport = Transport::Tls;
    let options = Options {
        listeners: vec![ListenerOptions {
            identity: Some(files.clone()),
            client_ca: Some(ca.clone()),
            origins: Vec::new(),
        }],
        ..Options::default()
    };
    let other = Edge::start(settings, options).unwrap();
    let there = other.listeners()[0].address;
    let network = crate::engine::Network {
        address: there.ip(),
        prefix: 32,
    };
    let elsewhere = crate::engine::Network {
        address: "192.0.2.1".parse().unwrap(),
        prefix: 32,
    };
    let cases = [
        (Vec::new(), "SIP/2.0 503"),
        (vec![(network, strangers)], "SIP/2.0 503"),
        (vec![(elsewhere, files.clone())], "SIP/2.0 503"),
        (vec![(network, files)], "SIP/2.0 404"),
    ];
    for (clients, wanted) in cases {
        let mut options = Options::default();
        options.tls.ca = Some(ca.clone());
        options.tls.clients = clients;
        let (_edge, phone) = routed_with(Transport::Tls, there, options);
        phone.send(&request("INVITE", &phone)).unwrap();
        let told = answer(&phone);
        assert!(told.starts_with(wanted), "{wanted}: {told}");
    }
    for folder in [folder, strange] {
        std::fs::remove_dir_all(&folder).ok(); // a leftover in the temporary folder is no failure
    }
}
