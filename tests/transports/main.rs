//! Real sockets of every kind: phones register, call, are transferred from one transport to another, and strangers are
//! refused. UDP, TCP, TLS, WS and WSS, IPv4 and IPv6.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod refusals;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use warmline::driver::{Edge, Options};
use warmline::engine::{Listener, Settings, User};
use warmline::phone::{CallState, Phone, PhoneConfig, PhoneTransport};
use warmline::transport::Transport;
use wire::Wire;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const DOMAIN: &str = "example.test";
const ALL: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Ws,
    Transport::Wss,
];

#[expect(clippy::disallowed_methods, reason = "phones on real sockets live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// An edge that listens on every transport of `host`, and its self-signed certificate.
pub(crate) fn edge(name: &str, host: &str, mut options: Options) -> (Edge, Vec<u8>) {
    let mut settings = Settings::loopback(SocketAddr::new(host.parse().unwrap(), 0));
    let first = settings.listeners[0];
    settings.listeners = ALL.map(|transport| Listener { transport, ..first }).into();
    settings.domain = DOMAIN.to_owned();
    settings.open = false;
    settings.users = NAMES
        .map(|name| User {
            name: name.to_owned(),
            password: "secret".to_owned(),
        })
        .into();
    settings.key = [7; 16];
    let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("transports-{name}"));
    std::fs::remove_dir_all(&state).ok(); // of an earlier run
    options.tls.state = Some(state.clone());
    let edge = Edge::start(settings, options).unwrap();
    (edge, std::fs::read(state.join("self-signed.pem")).unwrap())
}

pub(crate) fn address(edge: &Edge, transport: Transport) -> SocketAddr {
    let listener = edge.listeners().iter().find(|listener| listener.transport == transport);
    listener.unwrap().address
}

struct World {
    phones: Vec<(Phone, Wire)>,
    runtime: Runtime,
    edge: Edge,
}

impl World {
    fn new(name: &str, host: &str, transports: [PhoneTransport; 3]) -> World {
        let (edge, trusted) = edge(name, host, Options::default());
        let runtime = runtime();
        let mut phones = Vec::new();
        for (name, transport) in NAMES.iter().zip(transports) {
            let listens = Transport::parse(transport.as_str()).unwrap();
            let there = address(&edge, listens);
            let wire = runtime.block_on(Wire::open(transport, there, &trusted));
            let mut config = PhoneConfig::new(name, "secret", DOMAIN, wire.address, there);
            config.transport = transport;
            phones.push((Phone::new(config), wire));
        }
        let mut world = World { phones, runtime, edge };
        for at in 0..NAMES.len() {
            world.phone(at).register(now());
        }
        world.until("all are registered", |world| {
            world.phones.iter().all(|(phone, _)| phone.is_registered())
        });
        world
    }

    fn phone(&mut self, at: usize) -> &mut Phone {
        &mut self.phones[at].0
    }

    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        let deadline = now() + Duration::from_secs(20);
        while !done(self) {
            if now() >= deadline {
                let lines = |phone: &Phone| {
                    phone
                        .lines()
                        .iter()
                        .map(|line| line.summary.clone())
                        .collect::<Vec<_>>()
                };
                let lines: Vec<_> = self.phones.iter().map(|(phone, _)| lines(phone)).collect();
                panic!("waited in vain: {what}\n{lines:#?}");
            }
            for (phone, wire) in &mut self.phones {
                while let Ok(bytes) = wire.came.try_recv() {
                    phone.handle(now(), bytes);
                }
                if phone.poll_timeout().is_some_and(|at| at <= now()) {
                    phone.handle_timeout(now());
                }
                while let Some(bytes) = phone.poll_transmit() {
                    wire.sent.send(bytes).unwrap();
                }
            }
            // The wires' turn.
            self.runtime
                .block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
    }

    /// Alice calls Bob, Bob holds her and transfers her to Carol, and they hang up.
    fn call_and_transfer(&mut self) {
        let outgoing = self.phone(0).call(now(), &format!("sip:bob@{DOMAIN}"));
        self.until("bob rings", |world| world.phones[1].0.latest().is_some());
        let incoming = self.phone(1).latest().unwrap();
        self.until("alice hears it", |world| {
            world.phones[0].0.state(outgoing) == Some(CallState::Early)
        });
        self.phone(1).answer(now(), incoming).unwrap();
        self.until("they talk", |world| {
            world.phones[0].0.talks_with(outgoing, &world.phones[1].0, incoming) && !world.phones[1].0.is_busy()
        });
        self.phone(1).hold(now(), incoming).unwrap();
        self.until("alice is held", |world| {
            world.phones[0].0.is_held(outgoing) && !world.phones[1].0.is_busy()
        });
        self.phone(2).script().auto_answer = Some(Duration::ZERO);
        self.phone(1).script().hang_up_on_success = true;
        self.phone(1)
            .refer(now(), incoming, &format!("sip:carol@{DOMAIN}"))
            .unwrap();
        self.until("alice talks with carol", |world| {
            let carol = &world.phones[2].0;
            carol
                .latest()
                .is_some_and(|call| world.phones[0].0.talks_with(outgoing, carol, call))
        });
        self.until("bob is out", |world| world.phones[1].0.live().is_empty());
        self.phone(0).bye(now(), outgoing).unwrap();
        self.until("all are on hook", |world| {
            world
                .phones
                .iter()
                .all(|(phone, _)| phone.live().is_empty() && !phone.is_busy())
        });
        self.until("nothing is left in the edge", |world| {
            let left = world.runtime.block_on(warmline::driver::totals(&world.edge)).unwrap();
            (left.calls, left.dialogs, left.transfers) == (0, 0, 0)
        });
        for (phone, _) in &self.phones {
            assert!(phone.complaints().is_empty(), "{:?}", phone.complaints());
        }
    }
}

#[test]
fn a_caller_on_udp_is_transferred_from_tls_to_a_websocket() {
    World::new(
        "a",
        "127.0.0.1",
        [PhoneTransport::Udp, PhoneTransport::Tls, PhoneTransport::Ws],
    )
    .call_and_transfer();
}

#[test]
fn a_caller_on_a_secure_websocket_is_transferred_from_tcp_to_udp() {
    World::new(
        "b",
        "127.0.0.1",
        [PhoneTransport::Wss, PhoneTransport::Tcp, PhoneTransport::Udp],
    )
    .call_and_transfer();
}

#[test]
fn a_caller_on_a_websocket_is_transferred_from_udp_to_tls() {
    World::new(
        "c",
        "127.0.0.1",
        [PhoneTransport::Ws, PhoneTransport::Udp, PhoneTransport::Tls],
    )
    .call_and_transfer();
}

#[test]
fn over_ipv6_from_udp_by_a_secure_websocket_to_tls() {
    World::new(
        "d",
        "::1",
        [PhoneTransport::Udp, PhoneTransport::Wss, PhoneTransport::Tls],
    )
    .call_and_transfer();
}
