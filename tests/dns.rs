//! RFC 3263 over real sockets: an edge that asks a name server on loopback while it runs, with name servers that answer,
//! that lose questions, that are wrong, and that are not there.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod sockets;

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use warmline::config::Config;
use warmline::driver::{self, Edge};
use warmline::phone::{CallState, EndReason, PhoneCall};

use sockets::{Phones, now};

/// Name, type and data of a record (RFC 1035 §4.1.3).
type Record = (String, u16, Vec<u8>);

/// How a name server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Answers,
    /// The first time that a question comes it is lost.
    LosesFirst,
    Silent,
    /// Says that it cannot: response code 2 (SERVFAIL).
    Fails,
    /// Says something that is no DNS message.
    Babbles,
    /// Answers another question than it was asked.
    Confuses,
}

struct Server {
    address: SocketAddr,
    zone: Arc<Mutex<Vec<Record>>>,
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut octets: Vec<u8> = labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    octets.push(0);
    octets
}

fn srv(of: &str, priority: u16, port: u16, target: &str) -> Record {
    let numbers = [priority, 0, port].map(u16::to_be_bytes).concat();
    (of.to_owned(), 33, [numbers, name(target)].concat())
}

fn a(of: &str) -> Record {
    (of.to_owned(), 1, vec![127, 0, 0, 1])
}

/// A name server for as long as the process lives. Its records live for no time at all.
fn serve(manner: Manner, zone: Vec<Record>) -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = Server {
        address: socket.local_addr().unwrap(),
        zone: Arc::new(Mutex::new(zone)),
    };
    let zone = Arc::clone(&server.zone);
    std::thread::spawn(move || {
        let mut octets = [0; 1_500];
        let mut heard: Vec<Vec<u8>> = Vec::new();
        while let Ok((length, from)) = socket.recv_from(&mut octets) {
            let (mut at, mut labels) = (12, Vec::new());
            while octets[at] != 0 {
                let end = at + 1 + usize::from(octets[at]);
                labels.push(String::from_utf8_lossy(&octets[at + 1..end]).to_ascii_lowercase());
                at = end;
            }
            let question = octets[12..(at + 5).min(length)].to_vec();
            let new = !heard.contains(&question);
            heard.push(question.clone());
            let kind = u16::from_be_bytes([octets[at + 1], octets[at + 2]]);
            let asked = labels.join(".");
            let records: Vec<Record> = zone.lock().unwrap().clone();
            let answers: Vec<_> = records
                .iter()
                .filter(|(of, its, _)| *of == asked && *its == kind)
                .collect();
            let code = if manner == Manner::Fails { 2 } else { 0 };
            let mut out = octets[..2].to_vec();
            out.extend([0x85, 0x80 | code, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0]);
            match manner {
                Manner::Silent => continue,
                Manner::LosesFirst if new => continue,
                Manner::Babbles => out = b"SIP/2.0 200 OK".to_vec(),
                Manner::Confuses => out.extend(name("another.test").into_iter().chain([0, 1, 0, 1])),
                Manner::Answers | Manner::LosesFirst | Manner::Fails => out.extend(question),
            }
            if matches!(manner, Manner::Answers | Manner::LosesFirst) {
                for (_, kind, data) in answers {
                    out.extend([0xc0, 12]);
                    out.extend(kind.to_be_bytes());
                    out.extend([0, 1, 0, 0, 0, 0]);
                    out.extend((data.len() as u16).to_be_bytes());
                    out.extend(data);
                }
            }
            socket.send_to(&out, from).unwrap();
        }
    });
    server
}

/// An edge that reaches out, and phones: 0 is registered at it, the others are what the names lead to.
struct World {
    edge: Edge,
    phones: Phones,
}

fn world(dns: SocketAddr) -> World {
    let text = format!(
        "[edge]\ndomain = \"{}\"\nreach = [\"*.partner.test\"]\n[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
         [registrar]\nopen = true\n[dns]\nservers = [\"{dns}\"]\ntimeout_ms = 1500\n[timers]\nt1_ms = 20\nt2_ms = 100\n",
        sockets::DOMAIN
    );
    let config = Config::read("test.toml", &text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let settings = runtime.block_on(driver::resolve(&config)).unwrap();
    let options = driver::options(&config, &settings);
    let edge = Edge::start(settings, options).unwrap();
    let address = edge.listeners()[0].address;
    let mut phones = Phones::default();
    for name in ["alice", "one", "two"] {
        phones.add(name, address);
    }
    phones.register(0);
    World { edge, phones }
}

impl World {
    fn port(&mut self, at: usize) -> u16 {
        self.phones.phone(at).config().address.port()
    }

    fn call(&mut self) -> PhoneCall {
        self.phones.phone(0).call(now(), "sip:them@sip.partner.test")
    }

    /// Alice calls, and `at` is who rings; they talk, and she hangs up.
    fn reaches(&mut self, at: usize) {
        let call = self.call();
        let phones = &mut self.phones;
        let before = phones.phone(at).latest();
        phones.until("it rings", |phones| phones.phone(at).latest() != before);
        let incoming = phones.phone(at).latest().unwrap();
        phones.phone(at).answer(now(), incoming).unwrap();
        phones.until("they talk", |phones| phones.talk(0, call, at, incoming));
        phones.phone(0).bye(now(), call).unwrap();
        phones.until("both hung up", |phones| {
            matches!(phones.phone(at).state(incoming), Some(CallState::Ended(_)) | None)
        });
    }

    fn is_refused(&mut self) -> EndReason {
        let call = self.call();
        let mut why = None;
        self.phones
            .until("an answer", |phones| match phones.phone(0).state(call) {
                Some(CallState::Ended(reason)) => {
                    why = Some(reason);
                    true
                }
                Some(_) | None => false,
            });
        why.unwrap()
    }

    fn stop(self) {
        self.edge.stop();
    }
}

#[test]
fn a_domain_is_found_by_srv_and_when_its_records_change_so_does_the_way() {
    let server = serve(Manner::Answers, Vec::new());
    let mut world = world(server.address);
    let (one, two) = (world.port(1), world.port(2));
    let zone = |port| {
        vec![
            srv("_sip._udp.sip.partner.test", 1, port, "gw.partner.test"),
            a("gw.partner.test"),
        ]
    };
    *server.zone.lock().unwrap() = zone(one);
    world.reaches(1);
    *server.zone.lock().unwrap() = zone(two);
    world.reaches(2);
    world.stop();
}

#[test]
fn a_server_of_the_domain_that_is_silent_costs_the_first_call_a_wait_and_the_next_one_none() {
    let server = serve(Manner::Answers, Vec::new());
    let mut world = world(server.address);
    // It has a port and says nothing.
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap();
    let two = world.port(2);
    *server.zone.lock().unwrap() = vec![
        srv(
            "_sip._udp.sip.partner.test",
            1,
            dead.local_addr().unwrap().port(),
            "gw.partner.test",
        ),
        srv("_sip._udp.sip.partner.test", 2, two, "gw.partner.test"),
        a("gw.partner.test"),
    ];
    world.reaches(2);
    dead.set_nonblocking(true).unwrap();
    let mut octets = [0; 4_096];
    let mut tried = 0;
    while dead.recv(&mut octets).is_ok() {
        tried += 1;
    }
    assert!(tried > 1, "the first place was tried, and again");
    world.reaches(2);
    assert!(dead.recv(&mut octets).is_err(), "it is remembered as dead");
    world.stop();
}

#[test]
fn a_question_that_was_lost_is_asked_again() {
    let server = serve(Manner::LosesFirst, Vec::new());
    let mut world = world(server.address);
    let one = world.port(1);
    *server.zone.lock().unwrap() = vec![
        srv("_sip._udp.sip.partner.test", 1, one, "gw.partner.test"),
        a("gw.partner.test"),
    ];
    world.reaches(1);
    world.stop();
}

#[test]
fn a_name_that_is_not_there_is_refused() {
    let server = serve(Manner::Answers, Vec::new());
    let mut world = world(server.address);
    assert_eq!(world.is_refused(), EndReason::Refused(502));
    world.stop();
}

#[test]
fn name_servers_that_are_silent_wrong_or_gone_end_in_an_answer_and_not_in_a_hang() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let manners = [Manner::Silent, Manner::Fails, Manner::Babbles, Manner::Confuses];
    let servers = manners.map(|manner| serve(manner, Vec::new()).address);
    for dns in servers.into_iter().chain([gone]) {
        let mut world = world(dns);
        assert_eq!(world.is_refused(), EndReason::Refused(503));
        // Straight after it, too: a failure is remembered, not repeated.
        assert_eq!(world.is_refused(), EndReason::Refused(503));
        world.stop();
    }
}
