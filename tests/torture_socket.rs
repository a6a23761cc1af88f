//! Every message of RFC 4475 and RFC 5118, once, as a datagram to a running edge. What `index.csv` expects of a UAS,
//! registrar or proxy is what comes back; and after each of them the edge answers the next.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "vectors/index.rs"]
mod index;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use index::{Row, codes, folder, rows};
use warmline::driver::{Edge, Options};
use warmline::engine::Settings;
use warmline::sip::Message;

/// What may come back.
#[derive(Debug)]
enum Expected {
    Silence,
    /// One of these, and nothing too if that is tolerated.
    Status(Vec<u16>, bool),
    /// Taken as a good message: any final answer that does not call it malformed; or, where that is allowed too, one
    /// of these.
    Taken(Vec<u16>),
}

fn expected(row: &Row) -> Expected {
    let get = |name: &str| row.get(name).map(String::as_str).unwrap_or_default();
    let mut uas = get("expected_uas_registrar");
    if uas.is_empty() {
        uas = get("expected"); // RFC 5118 has one column
    }
    if uas == "same" {
        uas = get("expected_proxy");
    }
    let codes = codes(uas);
    if get("kind") == "response" {
        Expected::Silence
    } else if codes.is_empty()
        || codes.iter().any(|code| *code < 300)
        || uas.contains("process")
        || uas.starts_with("REGISTER ok")
    {
        // The users of the vectors are nobody here, so that 200 becomes 404: taken as a good message all the same.
        Expected::Taken(codes)
    } else {
        Expected::Status(codes, get("expected_proxy").contains("silent drop tolerated"))
    }
}

/// Where the top Via wants its answers: the port of sent-by (RFC 3261 §18.2.2).
fn port(octets: &[u8]) -> u16 {
    let parsed = Message::parse(octets.to_vec().into()).ok();
    parsed
        .and_then(|message| message.top_via().and_then(|via| via.port))
        .unwrap_or(5060)
}

struct Tester {
    home: Ipv4Addr,
    edge: SocketAddr,
    probes: u32,
}

impl Tester {
    /// Sends the octets and gives the statuses of what came back before the answer to a harmless request.
    fn send(&mut self, octets: &[u8]) -> Vec<u16> {
        let socket = UdpSocket::bind((self.home, port(octets))).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send_to(octets, self.edge).unwrap();
        self.probes += 1;
        let probe = format!("probe{}", self.probes);
        let own = socket.local_addr().unwrap();
        let options = format!(
            "OPTIONS sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{probe}\r\nMax-Forwards: 70\r\n\
             From: <sip:probe@example.com>;tag=1\r\nTo: <sip:{}>\r\nCall-ID: {probe}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            self.edge, self.edge
        );
        socket.send_to(options.as_bytes(), self.edge).unwrap();
        let (mut buffer, mut came) = ([0; 65_535], Vec::new());
        loop {
            let length = socket.recv(&mut buffer).expect("the edge is alive");
            // An answer to what is malformed copies what is malformed.
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status = answer
                .strip_prefix("SIP/2.0 ")
                .and_then(|rest| rest.get(..3)?.parse().ok())
                .unwrap();
            if answer.contains(&format!("Call-ID: {probe}\r\n")) {
                assert_eq!(status, 200);
                return came;
            }
            came.push(status);
        }
    }
}

/// An edge that is registrar of `example.com`, and a tester with loopback addresses of its own in each process.
fn start(open: bool) -> (Edge, Tester) {
    let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
    settings.domain = "example.com".to_owned();
    settings.open = open;
    let edge = Edge::start(settings, Options::default()).unwrap();
    let [.., high, low] = std::process::id().to_be_bytes();
    let tester = Tester {
        home: Ipv4Addr::new(127, 45, high, low),
        edge: edge.listeners()[0].address,
        probes: 0,
    };
    (edge, tester)
}

#[test]
fn all_61_messages_meet_their_verdict_over_a_socket() {
    let (edge, mut tester) = start(true);
    // Only a registrar with passwords has a challenge for an unknown scheme.
    let (_strict, mut strict) = start(false);
    let mut count = 0;
    let mut wrong = Vec::new();
    for set in ["rfc4475", "rfc5118"] {
        for row in rows(set) {
            let file = row["file"].as_str();
            let expected = expected(&row);
            let tester = if file == "regaut01.dat" {
                &mut strict
            } else {
                &mut tester
            };
            let came = tester.send(&std::fs::read(folder(set).join(file)).unwrap());
            let finals: Vec<u16> = came.into_iter().filter(|status| *status >= 200).collect();
            let good = match &expected {
                Expected::Silence => finals.is_empty(),
                Expected::Status(codes, silence) => match finals[..] {
                    [] => *silence,
                    [only] => codes.contains(&only),
                    _ => false,
                },
                Expected::Taken(codes) => {
                    matches!(finals[..], [only] if codes.contains(&only) || !matches!(only, 400 | 500..))
                }
            };
            if !good {
                wrong.push(format!("{set}/{file}: {finals:?}, expected {expected:?}"));
            }
            count += 1;
        }
    }
    assert_eq!(count, 61);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        edge.metrics()
            .render(&warmline::engine::Totals::default())
            .contains("warmline")
    );
}

#[test]
fn a_keepalive_by_stun_is_answered_with_the_address_it_came_from() {
    let (_edge, tester) = start(true);
    for home in ["127.0.0.1:0", "127.45.0.1:0"] {
        let socket = UdpSocket::bind(home).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend(*b"twelve bytes");
        socket.send_to(&request, tester.edge).unwrap();
        let mut buffer = [0; 128];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((length, from), (32, tester.edge));
        assert_eq!(buffer[8..20], request[8..20]);
        let port = u16::from_be_bytes([buffer[26] ^ 0x21, buffer[27] ^ 0x12]);
        assert_eq!(port, socket.local_addr().unwrap().port());
    }
}
