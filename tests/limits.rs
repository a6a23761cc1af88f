//! How much a source and a user may ask for, and who is shut out (`[limits]`). Virtual time, no network.

#![allow(clippy::unwrap_used, reason = "a message that does not parse fails the test")]

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::engine::{
    Engine, Event, Input, Output, Peer, PeerAuth, PeerMedia, Rate, ReferAnswer, Settings, TransferMode, User,
};
use warmline::sip::{Challenge, HeaderName, Message, Method, answer};
use warmline::transport::{Flow, Transport};

const EDGE: &str = "192.0.2.1:5060";
const ALICE: &str = "198.51.100.7:40000";
const GUESSER: &str = "203.0.113.66:5060";

struct Edge {
    now: Instant,
    engine: Engine,
    branch: u32,
    events: Vec<Event>,
}

fn udp(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: EDGE.parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: 0,
    }
}

impl Edge {
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    fn with(change: impl FnOnce(&mut Settings)) -> Edge {
        let now = Instant::now();
        let address: SocketAddr = EDGE.parse().unwrap();
        let mut settings = Settings::loopback(address);
        settings.open = false;
        settings.domain = "example.com".into();
        settings.users = vec![User {
            name: "alice".into(),
            password: "secret".into(),
        }];
        change(&mut settings);
        Edge {
            now,
            engine: Engine::new(settings, now),
            branch: 0,
            events: Vec::new(),
        }
    }

    /// Takes one message; what the edge answers.
    fn receive(&mut self, flow: Flow, text: String) -> Vec<Message> {
        let bytes = Bytes::from(text);
        self.engine.handle_input(self.now, Input::Received { flow, bytes });
        let mut sent = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => sent.push(Message::parse(bytes).unwrap()),
                Output::Event(event) => self.events.push(event),
                Output::Store { .. } | Output::Reply { .. } | Output::Resolve { .. } | Output::Media(_) => {}
            }
        }
        sent
    }

    fn request(&mut self, flow: Flow, method: &str, user: &str, more: &str) -> Vec<Message> {
        self.branch += 1;
        let n = self.branch;
        let (remote, to) = (flow.remote, if method == "REGISTER" { user } else { "bob" });
        let target = if method == "REGISTER" {
            "sip:example.com".to_owned()
        } else {
            format!("sip:{to}@example.com")
        };
        self.receive(
            flow,
            format!(
                "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{} {remote};branch=z9hG4bK{n};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:{user}@example.com>;tag=t{n}\r\nTo: <sip:{to}@example.com>\r\nCall-ID: c{n}\r\n\
                 CSeq: {n} {method}\r\nContact: <sip:{user}@{remote}>\r\n{more}Content-Length: 0\r\n\r\n",
                flow.transport.as_str(),
            ),
        )
    }

    fn status(&mut self, flow: Flow, method: &str, user: &str, more: &str) -> Vec<u16> {
        let answers = self.request(flow, method, user, more);
        answers
            .iter()
            .filter_map(Message::status)
            .filter(|status| *status >= 200)
            .collect()
    }

    /// A REGISTER with this password for the challenge that the one before got.
    fn register(&mut self, flow: Flow, password: &str) -> Option<u16> {
        let challenged = self.request(flow, "REGISTER", "alice", "");
        let value = challenged.first()?.text(HeaderName::WwwAuthenticate)?.to_owned();
        let challenge = Challenge::parse(&value).unwrap();
        let credentials = answer(
            &challenge,
            "alice",
            password,
            &Method::Register,
            "sip:example.com",
            "abc",
        );
        let line = format!("Authorization: {credentials}\r\n");
        self.status(flow, "REGISTER", "alice", &line).first().copied()
    }

    fn bans(&self) -> Vec<(IpAddr, u64)> {
        let ban = |event: &Event| {
            let Event::SourceBanned { source, seconds } = event else {
                return None;
            };
            Some((*source, *seconds))
        };
        self.events.iter().filter_map(ban).collect()
    }

    fn limited(&self) -> usize {
        let limited = |event: &&Event| matches!(event, Event::SourceLimited { .. });
        self.events.iter().filter(limited).count()
    }
}

fn slow(settings: &mut Settings) {
    settings.limits.source = Rate {
        per_minute: 60,
        burst: 20,
    };
}

#[test]
fn a_flood_of_one_source_is_dropped_and_told_once() {
    for method in ["REGISTER", "INVITE", "OPTIONS", "MESSAGE"] {
        let mut edge = Edge::with(slow);
        let answered = (0..10_000).filter(|_| !edge.request(udp(GUESSER), method, "alice", "").is_empty());
        assert_eq!(answered.count(), 20, "{method}");
        assert_eq!(edge.limited(), 1);
        // Whoever else comes is served, and the flood's host again when it is quiet.
        assert_eq!(edge.register(udp(ALICE), "secret"), Some(200));
        edge.now += Duration::from_secs(2);
        assert_eq!(edge.register(udp(GUESSER), "secret"), Some(200));
        let live = edge.engine.totals().transactions;
        assert!(live <= 60, "a dropped request costs no transaction: {live}");
    }
}

#[test]
fn guessing_passwords_bans_the_source_and_nobody_else() {
    let mut edge = Edge::with(|_| {});
    for guess in 0..9 {
        assert_eq!(edge.register(udp(GUESSER), &format!("guess {guess}")), Some(401));
    }
    assert!(edge.bans().is_empty());
    assert_eq!(edge.register(udp(GUESSER), "the tenth"), Some(401));
    let guesser: IpAddr = udp(GUESSER).remote.ip();
    assert_eq!(edge.bans(), [(guesser, 900)]);
    assert_eq!(
        edge.register(udp(GUESSER), "secret"),
        None,
        "silence, even for the right one"
    );
    assert_eq!(edge.register(udp(ALICE), "secret"), Some(200));
    edge.now += Duration::from_secs(901);
    assert_eq!(edge.register(udp(GUESSER), "secret"), Some(200));
}

/// Who forges another's address never sees the nonce that was made for it.
#[test]
fn a_forged_source_address_bans_nobody() {
    let mut edge = Edge::with(|_| {});
    let challenged = edge.request(udp(GUESSER), "REGISTER", "alice", "");
    let value = challenged[0].text(HeaderName::WwwAuthenticate).unwrap().to_owned();
    let challenge = Challenge::parse(&value).unwrap();
    let wrong = answer(
        &challenge,
        "alice",
        "wrong",
        &Method::Register,
        "sip:example.com",
        "abc",
    );
    for _ in 0..100 {
        // His own nonce, shown from alice's address.
        let line = format!("Authorization: {wrong}\r\n");
        assert_eq!(edge.status(udp(ALICE), "REGISTER", "alice", &line), [401]);
    }
    assert!(edge.bans().is_empty());
    assert_eq!(edge.register(udp(ALICE), "secret"), Some(200));
}

/// A connection proves the way back by itself.
#[test]
fn over_a_connection_every_wrong_password_counts() {
    let mut edge = Edge::with(|_| {});
    let flow = Flow {
        transport: Transport::Tcp,
        connection: 7,
        ..udp(GUESSER)
    };
    let forged = "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"made-up\", uri=\"sip:example.com\", \
                  response=\"00000000000000000000000000000000\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"a\"\r\n";
    let refused = (0..20)
        .filter(|_| edge.status(flow, "REGISTER", "alice", forged) == [401])
        .count();
    assert_eq!((refused, edge.bans().len()), (10, 1));
}

#[test]
fn a_peer_is_never_limited() {
    let mut edge = Edge::with(|settings| {
        slow(settings);
        settings.peers = vec![Peer {
            networks: vec![warmline::transport::Network {
                address: udp(GUESSER).remote.ip(),
                prefix: 32,
            }],
            name: "carrier".into(),
            auth: PeerAuth::Digest,
            transfer: TransferMode::Native,
            refer_answer: ReferAnswer::Auto,
            credentials: None,
            keeps_call_id: false,
            media: PeerMedia::default(),
        }];
    });
    let answered = (0..1_000).filter(|_| !edge.request(udp(GUESSER), "OPTIONS", "alice", "").is_empty());
    assert_eq!(answered.count(), 1_000);
}

/// What belongs to a dialog is answered whatever its host asks for besides, even when it is banned.
#[test]
fn requests_within_dialogs_are_never_held_up() {
    let mut edge = Edge::with(slow);
    for _ in 0..30 {
        edge.request(udp(GUESSER), "OPTIONS", "alice", "");
    }
    assert!(edge.request(udp(GUESSER), "OPTIONS", "alice", "").is_empty());
    edge.branch += 1;
    let n = edge.branch;
    let bye = format!(
        "BYE sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {GUESSER};branch=z9hG4bKb{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\nCall-ID: gone\r\nCSeq: 2 BYE\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let answers = edge.receive(udp(GUESSER), bye);
    assert_eq!(answers.first().and_then(Message::status), Some(481));
}
