//! The whole edge over real sockets: phones on UDP, and the API as `warmline`'s own commands and other clients use it.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use warmline::api::native;
use warmline::driver::{Edge, Options};
use warmline::engine::{HoldDirection, Settings, User};
use warmline::observe::LadderLimits;
use warmline::phone::{CallState, Phone, PhoneCall, PhoneConfig};

const TOKEN: &str = "a-token-of-the-test";
const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const DOMAIN: &str = "example.test";

/// An edge with its API, and three phones; the index of a phone is that of its name.
struct World {
    phones: Vec<(Phone, UdpSocket)>,
    api: SocketAddr,
    runtime: tokio::runtime::Runtime,
    edge: Edge,
}

#[expect(clippy::disallowed_methods, reason = "phones on real sockets live in real time")]
fn now() -> Instant {
    Instant::now()
}

impl World {
    fn new() -> World {
        let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
        settings.domain = DOMAIN.to_owned();
        settings.open = false;
        settings.users = NAMES
            .map(|name| User {
                name: name.to_owned(),
                password: "secret".to_owned(),
            })
            .into();
        settings.key = [7; 16];
        let options = Options {
            ladders: Some(LadderLimits::default()),
            ..Options::default()
        };
        let edge = Edge::start(settings, options).unwrap();
        let address = edge.listeners()[0].address;
        let phone = |name: &&str| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(address).unwrap();
            socket.set_nonblocking(true).unwrap();
            let config = PhoneConfig::new(name, "secret", DOMAIN, socket.local_addr().unwrap(), address);
            (Phone::new(config), socket)
        };
        let phones = NAMES.iter().map(phone).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let metrics = Arc::clone(edge.metrics());
        let ladders = edge.ladders().cloned().unwrap();
        let router = native::router(native::Options {
            metrics: Arc::new(move |totals| metrics.render(totals)),
            ladder: Arc::new(move |call| serde_json::to_value(ladders.page(call)?).ok()),
            ..native::Options::new(
                edge.handle().clone(),
                native::Access::new(TOKEN, HoldDirection::SendOnly),
            )
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let api = listener.local_addr().unwrap();
        runtime.spawn(axum::serve(listener, router).into_future());
        let mut world = World {
            phones,
            api,
            runtime,
            edge,
        };
        for at in 0..NAMES.len() {
            world.phones[at].0.register(now());
        }
        world.until("all are registered", |world| {
            world.phones.iter().all(|(phone, _)| phone.is_registered())
        });
        world
    }

    fn phone(&mut self, at: usize) -> &mut Phone {
        &mut self.phones[at].0
    }

    /// Moves bytes once; says whether there were any.
    fn step(&mut self) -> bool {
        let mut moved = false;
        let mut buffer = [0; 65_535];
        for (phone, socket) in &mut self.phones {
            while let Ok(length) = socket.recv(&mut buffer) {
                phone.handle(now(), buffer[..length].to_vec().into());
                moved = true;
            }
            if phone.poll_timeout().is_some_and(|at| at <= now()) {
                phone.handle_timeout(now());
            }
            while let Some(bytes) = phone.poll_transmit() {
                socket.send(&bytes).unwrap();
                moved = true;
            }
        }
        moved
    }

    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        let deadline = now() + Duration::from_secs(10);
        while !done(self) {
            assert!(now() < deadline, "waited in vain: {what}");
            if !self.step() {
                pause();
            }
        }
    }

    /// Runs a command of ours while the phones go on.
    fn warmline(&mut self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmline"));
        command
            .args(args)
            .args(["--api", &format!("http://{}", self.api), "--token", TOKEN]);
        let running = std::thread::spawn(move || command.output().unwrap());
        self.until("the command ends", |_| running.is_finished());
        running.join().unwrap()
    }

    fn good(&mut self, args: &[&str]) -> String {
        let output = self.warmline(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Alice calls Bob: both ends of the call, and the handles of call, Alice's leg and Bob's leg.
    fn connected(&mut self) -> (PhoneCall, PhoneCall, [String; 3]) {
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
        let calls: Value = serde_json::from_str(&self.good(&["calls", "--json"])).unwrap();
        let call = &calls["calls"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert_eq!(call["state"], "connected");
        assert!(text(&call["legs"][0]["party"]).contains("alice") && text(&call["legs"][1]["party"]).contains("bob"));
        (
            outgoing,
            incoming,
            [
                text(&call["id"]),
                text(&call["legs"][0]["id"]),
                text(&call["legs"][1]["id"]),
            ],
        )
    }

    fn ended(&mut self) {
        self.until("all are on hook", |world| {
            world
                .phones
                .iter()
                .all(|(phone, _)| phone.live().is_empty() && !phone.is_busy())
        });
        // The last answer of a phone may still be on its way.
        self.until("nothing is left in the edge", |world| {
            let left = world.runtime.block_on(warmline::driver::totals(&world.edge)).unwrap();
            (left.calls, left.dialogs, left.transfers) == (0, 0, 0)
        });
        for (phone, _) in &self.phones {
            assert!(phone.complaints().is_empty(), "{:?}", phone.complaints());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real waiting")]
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

#[test]
fn a_client_holds_resumes_and_hangs_up() {
    let mut world = World::new();
    let (alice, bob, [call, alices_leg, _]) = world.connected();
    world.good(&["hold", &alices_leg]);
    assert!(world.phone(0).is_held(alice));
    assert!(world.good(&["calls"]).contains("held"));
    let again = world.warmline(&["transfer", "leg-ffff-0", "sip:carol@example.test"]);
    assert_eq!(again.status.code(), Some(1));
    world.good(&["resume", &alices_leg]);
    world.until("they talk again", |world| {
        world.phones[0].0.talks_with(alice, &world.phones[1].0, bob)
    });
    world.good(&["hangup", &call]);
    world.ended();
}

#[test]
fn a_client_transfers_to_an_address() {
    let mut world = World::new();
    let (alice, _, [_, _, bobs_leg]) = world.connected();
    world.phone(2).script().auto_answer = Some(Duration::from_millis(50));
    let told = world.good(&["transfer", &bobs_leg, &format!("sip:carol@{DOMAIN}"), "--wait"]);
    assert!(told.trim_end().ends_with("completed"), "{told}");
    world.until("alice talks with carol", |world| {
        let carol = &world.phones[2].0;
        carol
            .latest()
            .is_some_and(|call| world.phones[0].0.talks_with(alice, carol, call))
    });
    world.until("bob is out", |world| world.phones[1].0.live().is_empty());
    world.phone(0).bye(now(), alice).unwrap();
    world.ended();
}

#[test]
fn a_transfer_to_a_busy_target_says_so_and_leaves_the_call() {
    let mut world = World::new();
    let (alice, bob, [_, _, bobs_leg]) = world.connected();
    world.phone(2).script().reject_with = Some(486);
    let output = world.warmline(&["transfer", &bobs_leg, &format!("sip:carol@{DOMAIN}"), "--wait"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("target_busy (486)"),
        "{output:?}"
    );
    world.until("they still talk", |world| {
        world.phones[0].0.talks_with(alice, &world.phones[1].0, bob)
    });
    world.phone(1).bye(now(), bob).unwrap();
    world.ended();
}

#[test]
fn a_client_joins_the_parties_of_two_legs() {
    let mut world = World::new();
    let (alice, _, [first, _, bobs_leg]) = world.connected();
    let asking = world.phone(1).call(now(), &format!("sip:carol@{DOMAIN}"));
    world.phone(2).script().auto_answer = Some(Duration::from_millis(20));
    world.until("bob talks with carol", |world| {
        let carol = &world.phones[2].0;
        carol
            .latest()
            .is_some_and(|call| world.phones[1].0.talks_with(asking, carol, call))
            && !carol.is_busy()
    });
    let calls: Value = serde_json::from_str(&world.good(&["calls", "--json"])).unwrap();
    let consult = calls["calls"]
        .as_array()
        .unwrap()
        .iter()
        .find(|call| call["id"] != first.as_str())
        .unwrap();
    let other = consult["legs"][0]["id"].as_str().unwrap().to_owned();
    let told = world.good(&["transfer", &bobs_leg, &other, "--wait"]);
    assert!(told.trim_end().ends_with("completed"), "{told}");
    world.until("alice talks with carol", |world| {
        let carol = &world.phones[2].0;
        carol
            .latest()
            .is_some_and(|call| world.phones[0].0.talks_with(alice, carol, call))
    });
    world.until("bob is out", |world| world.phones[1].0.live().is_empty());
    world.phone(0).bye(now(), alice).unwrap();
    world.ended();
}

#[test]
fn a_ladder_tells_what_was_said_when_all_is_over() {
    let mut world = World::new();
    let (alice, bob, [call, _, bobs_leg]) = world.connected();
    world.phone(2).script().reject_with = Some(486);
    world.warmline(&["transfer", &bobs_leg, &format!("sip:carol@{DOMAIN}"), "--wait"]);
    world.until("they still talk", |world| {
        world.phones[0].0.talks_with(alice, &world.phones[1].0, bob)
    });
    world.phone(1).bye(now(), bob).unwrap();
    world.ended();
    let drawn = world.good(&["ladder", &call]);
    for words in [
        "alice",
        "edge",
        "bob",
        "INVITE bob",
        "200 OK (INVITE)",
        "SDP sendrecv :",
        "blind transfer requested",
        "INVITE carol",
        "486",
        "failed: target_busy (486)",
        "BYE",
    ] {
        assert!(drawn.contains(words), "`{words}` is missing in\n{drawn}");
    }
    assert!(!drawn.contains("response="), "a credential in\n{drawn}");
    let page: Value = serde_json::from_str(&world.good(&["ladder", &call, "--json"])).unwrap();
    let lines = page["lines"].as_array().unwrap();
    assert!(
        lines.iter().any(|line| line["way"] == "step") && lines.len() > 15,
        "{page:#}"
    );
    assert_eq!(world.warmline(&["ladder", "call-77-0"]).status.code(), Some(1));
}

#[test]
fn a_client_has_two_parties_called() {
    let mut world = World::new();
    world.phone(0).script().auto_answer = Some(Duration::from_millis(20));
    world.phone(2).script().auto_answer = Some(Duration::from_millis(200));
    let (from, to) = (format!("sip:alice@{DOMAIN}"), format!("sip:carol@{DOMAIN}"));
    let told = world.good(&["dial", &from, &to]);
    assert!(told.contains("call-"), "{told}");
    world.until("alice talks with carol", |world| {
        let (alice, carol) = (&world.phones[0].0, &world.phones[2].0);
        match (alice.latest(), carol.latest()) {
            (Some(one), Some(other)) => alice.talks_with(one, carol, other) && !carol.is_busy(),
            _ => false,
        }
    });
    let alice = world.phone(0).latest().unwrap();
    world.phone(0).bye(now(), alice).unwrap();
    world.ended();
}
