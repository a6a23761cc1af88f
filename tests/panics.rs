//! A panic while one message is handled costs that message: the edge goes on, and counts it.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use warmline::driver::{Edge, Options};
use warmline::engine::{Command, NewCall, Plugin, Reply, Routing, Settings};

/// A site policy with a defect.
#[derive(Debug)]
struct Faulty;

impl Plugin for Faulty {
    fn route(&mut self, call: &NewCall<'_>) -> Routing {
        assert!(call.target.user() != Some("trap"), "the defect of this policy");
        Routing::AsUsual
    }
}

fn send(phone: &UdpSocket, edge: SocketAddr, method: &str, user: &str, call: &str) {
    let me = phone.local_addr().unwrap();
    let request = format!(
        "{method} sip:{user}@{edge} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@{edge}>;tag=a\r\nTo: <sip:{user}@{edge}>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:alice@{me}>\r\nContent-Length: 0\r\n\r\n"
    );
    phone.send_to(request.as_bytes(), edge).unwrap();
}

/// The final status of this call.
fn status(phone: &UdpSocket, call: &str) -> Option<String> {
    let mut buffer = [0; 2_048];
    loop {
        let length = phone.recv(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.contains(call) && !text.starts_with("SIP/2.0 100") {
            return text.split(' ').nth(1).map(str::to_owned);
        }
    }
}

#[test]
fn a_defect_costs_its_message_and_nothing_else() {
    let options = Options {
        plugin: Some(Box::new(Faulty)),
        ..Options::default()
    };
    let edge = Edge::start(Settings::loopback("127.0.0.1:0".parse().unwrap()), options).unwrap();
    let at = edge.listeners()[0].address;
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for round in 0..3 {
        send(&phone, at, "INVITE", "trap", &format!("trap{round}"));
        // Answered after it on the same socket: the defect did not take the engine along. Nobody is registered.
        let call = format!("after{round}");
        send(&phone, at, "OPTIONS", "bob", &call);
        assert_eq!(status(&phone, &call).as_deref(), Some("480"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let Ok(Reply::Totals(totals)) = runtime.block_on(edge.handle().command(Command::Totals)) else {
        panic!("the engine answers no more");
    };
    let page = edge.metrics().render(&totals);
    assert!(page.contains("warmline_panics_total 3\n"), "{page}");
    edge.stop();
}
