//! What passes through the edge without a dialog of its own: forks and the best answer, loops and breadth, flows that have
//! gone, strict routers, subscriptions, what strangers may do, and messages too large for a datagram. Virtual time, no network.

#![allow(clippy::unwrap_used, reason = "a message that does not parse fails the test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use regex::Regex;
use warmline::engine::{Engine, Input, Listener, Output, Pbx, Register, Route, Settings};
use warmline::sip::{HeaderName, Message, Method};
use warmline::transport::{Flow, Transport};

const EDGE: &str = "192.0.2.1:5060";
const PBX: &str = "192.0.2.80:5080";
const TRUNK: &str = "192.0.2.90:5060";
const STRANGER: &str = "203.0.113.66:5060";
const ALICE: &str = "198.51.100.7:40000";

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn udp(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: EDGE.parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: 0,
    }
}

fn tcp(remote: &str, connection: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        connection,
        ..udp(remote)
    }
}

struct Edge {
    now: Instant,
    engine: Engine,
}

impl Edge {
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    fn with(change: impl FnOnce(&mut Settings)) -> Edge {
        let now = Instant::now();
        let edge: SocketAddr = EDGE.parse().unwrap();
        let mut settings = Settings::loopback(edge);
        let listener = |transport| Listener {
            transport,
            address: edge,
            advertised: edge,
        };
        settings.domain = "example.com".into();
        settings.listeners = vec![listener(Transport::Udp), listener(Transport::Tcp)];
        change(&mut settings);
        let engine = Engine::new(settings, now);
        Edge { now, engine }
    }

    /// Its own registrar, open to everybody.
    fn local() -> Edge {
        Edge::with(|_| {})
    }

    /// A PBX that keeps the bindings and authenticates, and a trunk for numbers.
    fn through() -> Edge {
        Edge::with(|settings| {
            settings.open = false;
            settings.pbx = Some(Pbx {
                host: "pbx.internal:5080".into(),
                address: at(PBX),
                transport: Transport::Udp,
                register: Register::Through,
            });
            settings.routes = vec![Route {
                pattern: Regex::new("^[0-9]+$").unwrap(),
                address: at(TRUNK),
                transport: Transport::Udp,
                host: "trunk.example".into(),
                users: Vec::new(),
            }];
        })
    }

    fn sent(&mut self) -> Vec<(Flow, Message)> {
        let mut sent = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => sent.push((flow, Message::parse(bytes).unwrap())),
                Output::Event(_)
                | Output::Store { .. }
                | Output::Reply { .. }
                | Output::Resolve { .. }
                | Output::Media(_) => {}
            }
        }
        sent
    }

    /// Takes one message; what the edge sends at once.
    fn receive(&mut self, flow: Flow, text: &str) -> Vec<(Flow, Message)> {
        self.now += Duration::from_millis(1);
        let bytes = Bytes::from(text.to_owned());
        self.engine.handle_input(self.now, Input::Received { flow, bytes });
        self.sent()
    }

    /// As [`Edge::receive`], for what makes exactly one message.
    fn pass(&mut self, flow: Flow, text: &str) -> (Flow, Message) {
        let mut sent = self.receive(flow, text);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn fail(&mut self, flow: Flow) -> Vec<(Flow, Message)> {
        self.engine.handle_input(self.now, Input::FlowFailed { flow });
        self.sent()
    }

    /// Lets everything happen that is due within the time.
    fn wait(&mut self, seconds: u64) -> Vec<(Flow, Message)> {
        let end = self.now + Duration::from_secs(seconds);
        let mut sent = Vec::new();
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.engine.handle_timeout(at);
            sent.extend(self.sent());
        }
        self.now = end;
        sent
    }

    /// A phone registers, through to the PBX if there is one; gives the Path by which the PBX reaches it.
    fn register(&mut self, flow: Flow, user: &str, contact: &str) -> String {
        let lines = format!("Contact: <{contact}>\r\nExpires: 600");
        let register = request("REGISTER", "sip:example.com", user, "", &lines);
        let mut sent = self.receive(flow, &register);
        let (to, message) = sent.remove(0);
        if message.status() == Some(200) {
            return String::new();
        }
        assert_eq!(to.remote, at(PBX));
        let path = message.text(HeaderName::Path).unwrap().to_owned();
        let accepted = answer(&message, 200, &format!("Contact: <{contact}>;expires=600\r\n"));
        assert_eq!(self.pass(udp(PBX), &accepted).1.status(), Some(200));
        path
    }
}

/// Each has its own Call-ID, and the branch that belongs to it.
fn request(method: &str, uri: &str, from: &str, to_tag: &str, lines: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let to = if method == "REGISTER" { from } else { "them" };
    let lines = if lines.is_empty() {
        String::new()
    } else {
        format!("{lines}\r\n")
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7:5062;rport;branch=z9hG4bK{number}\r\n\
         From: <sip:{from}@example.com>;tag=f\r\nTo: <sip:{to}@example.com>{to_tag}\r\nCall-ID: c{number}\r\n\
         CSeq: {number} {method}\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}

fn answer(request: &Message, status: u16, lines: &str) -> String {
    let text = request.respond(status).to_tag("there").print();
    String::from_utf8(text.to_vec())
        .unwrap()
        .replacen("Content-Length:", &format!("{lines}Content-Length:"), 1)
}

/// Bob has two phones; a MESSAGE for him goes to both.
fn two_phones(edge: &mut Edge) -> [Flow; 2] {
    let phones = ["198.51.100.21:5060", "198.51.100.22:5060"].map(udp);
    for phone in phones {
        edge.register(phone, "bob", &format!("sip:bob@{}", phone.remote));
    }
    phones
}

fn to_both(edge: &mut Edge, lines: &str) -> Vec<(Flow, Message)> {
    two_phones(edge);
    let sent = edge.receive(
        udp(ALICE),
        &request("MESSAGE", "sip:bob@example.com", "alice", "", lines),
    );
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_ne!(sent[0].0, sent[1].0);
    assert_ne!(sent[0].1.branch(), sent[1].1.branch());
    sent
}

/// What alice hears when the two phones answer so, in this order.
fn outcome(answers: [u16; 2]) -> Vec<u16> {
    let mut edge = Edge::local();
    let sent = to_both(&mut edge, "");
    let mut heard = Vec::new();
    for ((flow, message), status) in sent.iter().zip(answers) {
        for (to, response) in edge.receive(*flow, &answer(message, status, "")) {
            assert_eq!(to.remote, at(ALICE));
            assert_eq!(response.headers(HeaderName::Via).count(), 1);
            heard.extend(response.status());
        }
    }
    heard
}

#[test]
fn a_message_reaches_every_phone_and_the_best_answer_goes_back_once() {
    assert_eq!(outcome([200, 200]), [200], "the second is for nobody");
    assert_eq!(outcome([486, 200]), [200]);
    assert_eq!(outcome([404, 302]), [302], "the lowest class");
    assert_eq!(outcome([500, 404]), [404]);
    assert_eq!(outcome([415, 404]), [415], "what tells the sender what to do");
    assert_eq!(outcome([404, 603]), [603], "6xx before all");
    assert_eq!(outcome([503, 500]), [500]);
}

#[test]
fn silence_of_one_leaves_the_answer_of_the_other_and_silence_of_all_stays_silence() {
    let mut edge = Edge::local();
    let sent = to_both(&mut edge, "");
    assert!(
        edge.receive(sent[0].0, &answer(&sent[0].1, 404, "")).is_empty(),
        "the other may still say 200"
    );
    let statuses: Vec<_> = edge
        .wait(40)
        .iter()
        .filter_map(|(_, message)| message.status())
        .filter(|status| *status >= 200)
        .collect();
    assert_eq!(statuses, [404], "while the sender still listens");

    let mut edge = Edge::local();
    to_both(&mut edge, "");
    let finals = edge.wait(200).into_iter().filter_map(|(_, message)| message.status());
    assert_eq!(finals.filter(|status| *status >= 200).count(), 0, "RFC 4320 §4.2");
    assert_eq!(edge.engine.totals().transactions, 0);
}

#[test]
fn the_challenges_of_all_phones_go_back_together() {
    let mut edge = Edge::local();
    let sent = to_both(&mut edge, "");
    let challenge = |realm: &str| format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"n\"\r\n");
    edge.receive(sent[0].0, &answer(&sent[0].1, 401, &challenge("one")));
    let (_, response) = edge.pass(sent[1].0, &answer(&sent[1].1, 401, &challenge("two")));
    assert_eq!(response.headers(HeaderName::WwwAuthenticate).count(), 2);
}

#[test]
fn a_request_for_a_contact_goes_to_that_phone_alone() {
    let mut edge = Edge::local();
    let [_, second] = two_phones(&mut edge);
    let uri = format!("sip:bob@{}", second.remote);
    // Only the PBX writes contacts; here the domain is the address of the edge, so it must be asked as such.
    let uri = uri.replace(&second.remote.to_string(), "example.com");
    assert_eq!(
        edge.receive(udp(ALICE), &request("MESSAGE", &uri, "alice", "", ""))
            .len(),
        2
    );
    let mut edge = Edge::with(|settings| {
        settings.pbx = Some(Pbx {
            host: "pbx.internal".into(),
            address: at(PBX),
            transport: Transport::Udp,
            register: Register::Local,
        });
    });
    let [_, second] = two_phones(&mut edge);
    let uri = format!("sip:bob@{}", second.remote);
    assert_eq!(
        edge.pass(udp(PBX), &request("MESSAGE", &uri, "alice", "", "")).0,
        second
    );
}

#[test]
fn breadth_is_shared_among_forks_and_where_there_is_none_left_it_is_refused() {
    let mut edge = Edge::local();
    let sent = to_both(&mut edge, "Max-Breadth: 9");
    for (_, message) in &sent {
        assert_eq!(message.number(HeaderName::MaxBreadth), Some(4));
    }
    let narrow = request("MESSAGE", "sip:bob@example.com", "alice", "", "Max-Breadth: 1");
    assert_eq!(edge.pass(udp(ALICE), &narrow).1.status(), Some(440));
    // The same for calls.
    let invite = request(
        "INVITE",
        "sip:bob@example.com",
        "alice",
        "",
        "Contact: <sip:alice@10.0.0.7>\r\nMax-Breadth: 1",
    );
    assert_eq!(edge.pass(udp(ALICE), &invite).1.status(), Some(440));
    let invite = request(
        "INVITE",
        "sip:bob@example.com",
        "alice",
        "",
        "Contact: <sip:alice@10.0.0.7>\r\nMax-Breadth: 7",
    );
    let shares: Vec<_> = edge
        .receive(udp(ALICE), &invite)
        .iter()
        .filter(|(_, message)| *message.method() == Method::Invite)
        .map(|(_, message)| message.number(HeaderName::MaxBreadth))
        .collect();
    assert_eq!(shares, [Some(3), Some(3)]);
}

#[test]
fn what_comes_back_unchanged_has_looped_and_what_comes_back_changed_has_not() {
    let mut edge = Edge::through();
    let (_, passed) = edge.pass(udp(ALICE), &request("MESSAGE", "sip:bob@example.com", "alice", "", ""));
    let passed = String::from_utf8(passed.bytes().to_vec()).unwrap();
    // The PBX is no party of this: somebody else sent it round.
    let round = |uri: &str, branch: &str| {
        passed.replacen("sip:bob@example.com", uri, 1).replacen(
            "\r\nVia:",
            &format!("\r\nVia: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{branch}\r\nVia:"),
            1,
        )
    };
    assert_eq!(
        edge.pass(udp(STRANGER), &round("sip:bob@example.com", "a")).1.status(),
        Some(482)
    );
    let (to, spiral) = edge.pass(udp(STRANGER), &round("sip:carol@example.com", "b"));
    assert_eq!((to, spiral.status()), (udp(PBX), None));
    // Somebody else's branch says nothing to us.
    let other = round("sip:bob@example.com", "c").replacen(EDGE, "192.0.2.111:5060", 1);
    assert_eq!(edge.pass(udp(STRANGER), &other).0, udp(PBX));
}

#[test]
fn a_flow_that_has_gone_is_430_to_the_pbx() {
    for method in ["MESSAGE", "INVITE"] {
        let mut edge = Edge::through();
        let phone = tcp(ALICE, 7);
        let path = edge.register(phone, "alice", "sip:alice@10.0.0.7:5062");
        let lines = format!("Route: {path}\r\nContact: <sip:pbx@{PBX}>");
        let sent = edge.receive(udp(PBX), &request(method, "sip:alice@10.0.0.7:5062", "bob", "", &lines));
        assert!(sent.iter().any(|(to, _)| *to == phone), "{sent:?}");
        let answers = edge.fail(phone);
        let statuses: Vec<_> = answers.iter().filter_map(|(_, message)| message.status()).collect();
        assert_eq!(statuses, [430], "{method}");
    }
}

/// The Record-Route of a request in Route order for whoever was the next hop.
fn recorded(message: &Message) -> Vec<String> {
    message.values(HeaderName::RecordRoute).map(str::to_owned).collect()
}

#[test]
fn a_subscription_from_tcp_to_udp_lives_both_ways_until_it_ends() {
    let mut edge = Edge::through();
    let phone = tcp(ALICE, 3);
    edge.register(phone, "alice", "sip:alice@10.0.0.7:5062;transport=tcp");
    let lines = "Event: message-summary\r\nContact: <sip:alice@10.0.0.7:5062;transport=tcp>\r\nExpires: 300";
    let (to, subscribe) = edge.pass(
        phone,
        &request("SUBSCRIBE", "sip:alice@example.com", "alice", "", lines),
    );
    assert_eq!(to, udp(PBX));
    let routes = recorded(&subscribe);
    assert_eq!(routes.len(), 2, "RFC 5658 §4: one for each side");
    assert!(routes[0].contains("transport=udp") && routes[1].contains("transport=tcp"));
    let (to, accepted) = edge.pass(
        udp(PBX),
        &answer(
            &subscribe,
            200,
            "Expires: 300\r\nContact: <sip:mwi@192.0.2.80:5080>\r\n",
        ),
    );
    assert_eq!((to, accepted.status()), (phone, Some(200)));
    // The PBX is the UAS: the routes in order.
    let from_pbx = format!(
        "Route: {}, {}\r\nEvent: message-summary\r\nSubscription-State: active",
        routes[0], routes[1]
    );
    let notify = request(
        "NOTIFY",
        "sip:alice@10.0.0.7:5062;transport=tcp",
        "alice",
        ";tag=f",
        &from_pbx,
    );
    let (to, notify) = edge.pass(udp(PBX), &notify);
    assert_eq!(
        (to, notify.header(HeaderName::Route)),
        (phone, None),
        "both of ours have done their work"
    );
    assert_eq!(edge.pass(phone, &answer(&notify, 200, "")).0, udp(PBX));
    // The phone is the UAC: in reverse. A refresh, and the end.
    for expires in [300, 0] {
        let lines = format!(
            "Route: {}\r\nRoute: {}\r\nEvent: message-summary\r\nExpires: {expires}",
            routes[1], routes[0]
        );
        let (to, again) = edge.pass(
            phone,
            &request("SUBSCRIBE", "sip:mwi@192.0.2.80:5080", "alice", ";tag=there", &lines),
        );
        assert_eq!((to, again.header(HeaderName::Route)), (udp(PBX), None));
        assert_eq!(again.request_uri(), Some("sip:mwi@192.0.2.80:5080"));
        edge.pass(udp(PBX), &answer(&again, 200, ""));
    }
    // The phone's connection has gone: the PBX is told, and gives the subscription up.
    edge.fail(phone);
    let notify = request(
        "NOTIFY",
        "sip:alice@10.0.0.7:5062;transport=tcp",
        "alice",
        ";tag=f",
        &from_pbx,
    );
    edge.receive(udp(PBX), &notify);
    let statuses: Vec<_> = edge
        .fail(phone)
        .iter()
        .filter_map(|(_, message)| message.status())
        .collect();
    assert_eq!(statuses, [430]);
    edge.wait(60);
    assert_eq!(edge.engine.totals().transactions, 0);
}

#[test]
fn a_strict_router_in_between_breaks_no_subscription() {
    let mut edge = Edge::through();
    let phone = udp(ALICE);
    edge.register(phone, "alice", "sip:alice@10.0.0.7:5062");
    let lines = "Event: dialog\r\nContact: <sip:alice@10.0.0.7:5062>";
    let (_, subscribe) = edge.pass(phone, &request("SUBSCRIBE", "sip:bob@example.com", "alice", "", lines));
    let ours = recorded(&subscribe).remove(0);
    let ours = ours.trim_start_matches('<').trim_end_matches('>');
    // RFC 3261 §16.4: ours is the Request-URI, and the contact the last Route.
    let lines = "Route: <sip:elsewhere.example;lr>, <sip:alice@10.0.0.7:5062;x=1>\r\nEvent: dialog\r\nSubscription-State: active";
    let (to, notify) = edge.pass(udp(PBX), &request("NOTIFY", ours, "alice", ";tag=f", lines));
    assert_eq!(to, phone);
    assert_eq!(notify.request_uri(), Some("sip:alice@10.0.0.7:5062;x=1"));
    assert_eq!(notify.text(HeaderName::Route), Some("<sip:elsewhere.example;lr>"));
    // A token that is not ours makes no such request of it.
    let forged = ours.replacen("sip:", "sip:a", 1);
    assert_eq!(
        edge.pass(udp(PBX), &request("NOTIFY", &forged, "alice", ";tag=f", lines))
            .1
            .status(),
        Some(481)
    );
}

/// LESSONS 40: the PBX authenticates, so a stranger reaches the PBX, and never a phone or a trunk.
#[test]
fn a_stranger_reaches_the_pbx_and_nobody_else() {
    let mut edge = Edge::through();
    let alice = udp(ALICE);
    let path = edge.register(alice, "alice", "sip:alice@10.0.0.7:5062");
    let methods = [
        "INVITE",
        "MESSAGE",
        "SUBSCRIBE",
        "INFO",
        "PUBLISH",
        "REFER",
        "NOTIFY",
        "OPTIONS",
        "UPDATE",
        "BYE",
        "HELLO",
    ];
    let uris = [
        "sip:alice@example.com",
        "sip:alice@10.0.0.7:5062",
        &format!("sip:alice@{ALICE}"),
        "sip:4930123@example.com",
        &format!("sip:4930123@{TRUNK}"),
        path.trim_start_matches('<').trim_end_matches('>'),
    ];
    for method in methods {
        for uri in uris {
            for route in [
                String::new(),
                format!("Route: {path}\r\n"),
                format!("Route: <sip:{EDGE};lr>, <sip:{ALICE};lr>\r\n"),
            ] {
                for to_tag in ["", ";tag=x"] {
                    let lines = format!(
                        "{route}Contact: <sip:x@{STRANGER}>\r\nEvent: presence\r\nRefer-To: <sip:4930123@example.com>"
                    );
                    // From says alice: that proves nothing from there.
                    let request = request(method, uri, "alice", to_tag, &lines);
                    for (to, message) in edge.receive(udp(STRANGER), &request) {
                        let known = [STRANGER, PBX].map(|address| address.parse::<SocketAddr>().unwrap());
                        assert!(known.contains(&to.remote), "{request}\n went to {to} as {message:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_route_is_for_registered_phones_and_not_under_another_name() {
    let mut edge = Edge::through();
    let alice = udp(ALICE);
    let goes = |edge: &mut Edge, flow, from: &str| {
        let invite = request(
            "INVITE",
            "sip:4930123@example.com",
            from,
            "",
            "Contact: <sip:x@10.0.0.7>",
        );
        let sent = edge.receive(flow, &invite);
        let calls = sent
            .iter()
            .filter(|(_, message)| *message.method() == Method::Invite && message.is_request());
        calls.map(|(to, _)| to.remote.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(goes(&mut edge, alice, "alice"), [PBX], "not registered yet");
    edge.register(alice, "alice", "sip:alice@10.0.0.7:5062");
    assert_eq!(goes(&mut edge, alice, "alice"), [TRUNK]);
    assert_eq!(
        goes(&mut edge, alice, "bob"),
        [PBX],
        "the PBX has not accepted bob there"
    );
    assert_eq!(goes(&mut edge, udp(STRANGER), "alice"), [PBX]);
}

/// RFC 3261 §18.1.1, for what is spliced.
#[test]
fn a_large_message_goes_to_the_pbx_by_tcp_and_by_udp_if_that_cannot_be() {
    let mut edge = Edge::through();
    let large = |edge: &mut Edge, length: usize| {
        let lines = format!("Subject: {}", "x".repeat(length));
        edge.pass(
            udp(ALICE),
            &request("MESSAGE", "sip:bob@example.com", "alice", "", &lines),
        )
    };
    assert_eq!(large(&mut edge, 100).0, udp(PBX));
    let (to, message) = large(&mut edge, 1_300);
    assert_eq!((to.transport, to.remote), (Transport::Tcp, at(PBX)));
    assert!(message.text(HeaderName::Via).unwrap().starts_with("SIP/2.0/TCP"));
    let branch = message.branch().map(str::to_owned);
    let again = edge.fail(to);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].0, udp(PBX));
    assert_eq!(again[0].1.branch().map(str::to_owned), branch);
    assert!(again[0].1.text(HeaderName::Via).unwrap().starts_with("SIP/2.0/UDP"));
    assert_eq!(edge.pass(udp(PBX), &answer(&again[0].1, 202, "")).1.status(), Some(202));
}

/// RFC 3261 §11.1, §16.3 step 3: whoever may not pass an OPTIONS on answers it.
#[test]
fn options_that_may_not_go_on_are_answered_here() {
    let mut edge = Edge::through();
    let options = request("OPTIONS", "sip:bob@example.com", "alice", "", "");
    let (to, answer) = edge.pass(udp(ALICE), &options.replacen("Max-Forwards: 70", "Max-Forwards: 0", 1));
    assert_eq!((to, answer.status()), (udp(ALICE), Some(200)));
    assert!(answer.header(HeaderName::Allow).is_some() && answer.header(HeaderName::Accept).is_some());
    let message = request("MESSAGE", "sip:bob@example.com", "alice", "", "");
    let refused = edge.pass(udp(ALICE), &message.replacen("Max-Forwards: 70", "Max-Forwards: 0", 1));
    assert_eq!(refused.1.status(), Some(483));
}

fn tls(remote: &str) -> Flow {
    Flow {
        transport: Transport::Tls,
        connection: 5,
        ..udp(remote)
    }
}

/// The same by TLS everywhere.
fn secure(transport: Transport) -> Edge {
    Edge::with(|settings| {
        let first = settings.listeners[0];
        settings.listeners.push(Listener {
            transport: Transport::Tls,
            ..first
        });
        settings.pbx = Some(Pbx {
            host: "pbx.internal".into(),
            address: at(PBX),
            transport,
            register: Register::Local,
        });
        settings.open = true;
    })
}

fn is_sips_refusal(message: &Message) {
    assert_eq!(message.status(), Some(480), "{message:?}");
    assert!(message.text(HeaderName::Warning).unwrap().starts_with("380 "));
    assert!(message.text(HeaderName::Reason).unwrap().contains("SIPS Not Allowed"));
}

#[test]
fn sips_goes_by_tls_on_every_hop_or_is_refused_with_the_reason() {
    for method in ["INVITE", "MESSAGE"] {
        let ask = || {
            request(
                method,
                "sips:carol@example.com",
                "alice",
                "",
                "Contact: <sips:alice@10.0.0.7>",
            )
        };
        // It came in the clear.
        let mut edge = secure(Transport::Tls);
        is_sips_refusal(&edge.pass(udp(ALICE), &ask()).1);
        // It would go on in the clear.
        let mut edge = secure(Transport::Tcp);
        is_sips_refusal(&edge.pass(tls(ALICE), &ask()).1);
        // By TLS both ways.
        let mut edge = secure(Transport::Tls);
        let sent = edge.receive(tls(ALICE), &ask());
        let (to, passed) = sent.iter().find(|(_, message)| message.is_request()).unwrap();
        assert_eq!((to.transport, to.remote), (Transport::Tls, at(PBX)), "{method}");
        assert!(passed.request_uri().unwrap().starts_with("sips:"), "{method}");
        if method == "INVITE" {
            assert!(
                passed.text(HeaderName::Contact).unwrap().starts_with("<sips:"),
                "RFC 3261 §8.1.1.8"
            );
        }
        // A phone that registered in the clear is not rung for it, one that registered by TLS is.
        let mut edge = secure(Transport::Tls);
        edge.register(udp(STRANGER), "bob", &format!("sip:bob@{STRANGER}"));
        let to_bob = || {
            request(
                method,
                "sips:bob@example.com",
                "alice",
                "",
                "Contact: <sips:alice@10.0.0.7>",
            )
        };
        let asked = edge.receive(tls(ALICE), &to_bob());
        assert!(asked.iter().all(|(to, _)| *to != udp(STRANGER)), "{method}: {asked:?}");
    }
}
