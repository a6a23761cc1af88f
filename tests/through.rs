//! Phones that register through the edge with the PBX: RFC 3327 §5, RFC 5626 §5, in virtual time and without a network.

#![expect(clippy::unwrap_used, reason = "a message that does not parse fails the test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::engine::{Engine, Event, Input, Listener, Output, Pbx, Register, Settings};
use warmline::sip::{HeaderName, Message};
use warmline::transport::{Flow, Transport};

const EDGE: &str = "192.0.2.1:5060";
const PBX: &str = "192.0.2.80:5080";
/// Where the phone is seen from; it believes to be at 10.0.0.7:5062.
const PHONE: &str = "198.51.100.7:40000";

fn flow(remote: &str) -> Flow {
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Flow {
        transport: Transport::Udp,
        local: address(EDGE),
        remote: address(remote),
        connection: 0,
    }
}

struct Edge {
    now: Instant,
    engine: Engine,
    events: Vec<Event>,
}

impl Edge {
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    fn new() -> Edge {
        let now = Instant::now();
        let edge: SocketAddr = EDGE.parse().unwrap();
        let mut settings = Settings::loopback(edge);
        settings.domain = "example.com".into();
        settings.listeners = vec![Listener {
            transport: Transport::Udp,
            address: edge,
            advertised: edge,
        }];
        settings.open = false;
        settings.pbx = Some(Pbx {
            host: "pbx.internal:5080".into(),
            address: PBX.parse().unwrap(),
            transport: Transport::Udp,
            register: Register::Through,
        });
        Edge {
            now,
            engine: Engine::new(settings, now),
            events: Vec::new(),
        }
    }

    /// Takes one message from `from`; returns where each message of the edge goes.
    fn receive(&mut self, from: &str, text: &str) -> Vec<(String, Message)> {
        self.now += Duration::from_millis(1);
        let bytes = Bytes::from(text.to_owned());
        self.engine.handle_input(
            self.now,
            Input::Received {
                flow: flow(from),
                bytes,
            },
        );
        let mut sent = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => {
                    sent.push((flow.remote.to_string(), Message::parse(bytes).unwrap()))
                }
                Output::Store { .. } | Output::Resolve { .. } | Output::Media(_) => {}
                Output::Event(event) => self.events.push(event),
                Output::Reply { .. } => {}
            }
        }
        sent
    }

    /// As [`Edge::receive`], for what makes exactly one message.
    fn pass(&mut self, from: &str, text: &str) -> (String, Message) {
        let mut sent = self.receive(from, text);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// Registers the phone; returns the Path by which the PBX reaches it.
    fn register(&mut self, cseq: u32) -> String {
        let contact = "Contact: <sip:alice@10.0.0.7:5062>\r\nExpires: 600";
        let (to, request) = self.pass(PHONE, &request("REGISTER sip:example.com", cseq, "", contact));
        assert_eq!(to, PBX);
        let path = request.text(HeaderName::Path).unwrap().to_owned();
        assert!(request.has_token(HeaderName::Supported, "path"));
        let answer = answer(&request, 200, "Contact: <sip:alice@10.0.0.7:5062>;expires=600\r\n");
        let (to, response) = self.pass(PBX, &answer);
        assert_eq!((to.as_str(), response.status()), (PHONE, Some(200)));
        assert_eq!(response.headers(HeaderName::Via).count(), 1);
        path
    }
}

fn request(start: &str, cseq: u32, to_tag: &str, lines: &str) -> String {
    let method = start.split(' ').next().unwrap();
    format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7:5062;rport;branch=z9hG4bK{method}{cseq}\r\n\
         From: <sip:alice@example.com>;tag=f\r\nTo: <sip:alice@example.com>{to_tag}\r\nCall-ID: c\r\n\
         CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{lines}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn answer(request: &Message, status: u16, lines: &str) -> String {
    let text = request.respond(status).to_tag("pbx").print();
    String::from_utf8(text.to_vec())
        .unwrap()
        .replacen("Content-Length:", &format!("{lines}Content-Length:"), 1)
}

#[test]
fn a_registration_passes_and_the_edge_remembers_the_flow() {
    let mut edge = Edge::new();
    edge.register(1);
    assert_eq!(edge.engine.totals().registrations, 1);
    edge.register(2);
    let added = edge
        .events
        .iter()
        .filter(|event| matches!(event, Event::RegistrationAdded { .. }))
        .count();
    assert_eq!(added, 1, "a refresh is no new registration");
    assert_eq!(edge.engine.totals().transactions, 4);
    // Ten minutes later the PBX has heard nothing, and neither has the edge.
    edge.now += Duration::from_secs(600);
    edge.engine.handle_timeout(edge.now);
    assert_eq!(
        (edge.engine.totals().registrations, edge.engine.totals().transactions),
        (0, 0)
    );
}

#[test]
fn the_pbx_challenges_and_the_edge_passes_it_on() {
    let mut edge = Edge::new();
    let (_, asked) = edge.pass(
        PHONE,
        &request("REGISTER sip:example.com", 1, "", "Contact: <sip:alice@10.0.0.7:5062>"),
    );
    assert!(
        edge.receive(PBX, &answer(&asked, 100, "")).is_empty(),
        "100 is for one hop"
    );
    let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\"\r\n";
    let (to, response) = edge.pass(PBX, &answer(&asked, 401, challenge));
    assert_eq!((to.as_str(), response.status()), (PHONE, Some(401)));
    assert!(response.header(HeaderName::WwwAuthenticate).is_some());
    assert_eq!(edge.engine.totals().registrations, 0);
}

#[test]
fn what_the_pbx_sends_along_the_path_reaches_the_phone_on_its_flow() {
    let mut edge = Edge::new();
    let route = edge.register(1);
    let options = request("OPTIONS sip:alice@10.0.0.7:5062", 7, "", &format!("Route: {route}"));
    let (to, passed) = edge.pass(PBX, &options);
    assert_eq!(
        (to.as_str(), passed.request_uri()),
        (PHONE, Some("sip:alice@10.0.0.7:5062"))
    );
    assert_eq!(
        passed.header(HeaderName::Route),
        None,
        "the phone sees nothing of our token"
    );
    // A stranger who has seen the token reaches the PBX with it, and no phone.
    let (to, _) = edge.pass("203.0.113.66:5060", &options.replace("z9hG4bK", "z9hG4bKx"));
    assert_eq!(to, PBX);
    // A token that nobody sealed is refused.
    let forged = route.replacen("sip:", "sip:a", 1);
    let refused = request("OPTIONS sip:alice@10.0.0.7:5062", 8, "", &format!("Route: {forged}"));
    assert_eq!(edge.pass(PBX, &refused).1.status(), Some(403));
}

#[test]
fn the_notify_of_a_subscription_finds_the_phone_and_a_stray_one_gets_481() {
    let mut edge = Edge::new();
    edge.register(1);
    let lines = "Event: dialog\r\nContact: <sip:alice@10.0.0.7:5062>";
    let (to, subscribe) = edge.pass(PHONE, &request("SUBSCRIBE sip:bob@example.com", 2, "", lines));
    assert_eq!(to, PBX);
    let route = subscribe.text(HeaderName::RecordRoute).unwrap().to_owned();
    let (_, accepted) = edge.pass(PBX, &answer(&subscribe, 200, ""));
    assert_eq!(accepted.status(), Some(200));
    let notify = |cseq: u32, lines: &str| request("NOTIFY sip:alice@10.0.0.7:5062", cseq, ";tag=f", lines);
    assert_eq!(edge.pass(PBX, &notify(3, &format!("Route: {route}"))).0, PHONE);
    assert_eq!(edge.pass(PBX, &notify(4, "Event: dialog")).1.status(), Some(481));
    // The phone's own refresh goes the same way back.
    let refresh = request(
        "SUBSCRIBE sip:pbx.internal",
        5,
        ";tag=pbx",
        &format!("Route: {route}\r\nEvent: dialog"),
    );
    assert_eq!(edge.pass(PHONE, &refresh).0, PBX);
}
