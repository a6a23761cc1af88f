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
            tap: None,
            streams: limits,
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
fn a_listener_that_this_version_lacks_is_refused() {
    let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
    settings.listeners[0].transport = Transport::Tls;
    let error = Edge::start(settings, Options::default()).unwrap_err();
    assert!(error.to_string().contains("not in this version") && error.hint().is_some());
}
