//! Hubs through the native API, with the engine itself behind it: what each path does, and what it says when it cannot.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]
#![expect(
    clippy::disallowed_methods,
    reason = "an engine without timers of interest: any base of time will do"
)]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use warmline::api::{EngineHandle, EventLog, Order, native};
use warmline::engine::*;
use warmline::sip::Message;
use warmline::transport::Flow;

const TOKEN: &str = "a-token-of-the-test";
const EDGE: &str = "127.0.0.1:5060";
const CARRIER: &str = "192.0.2.9:5060";

struct World {
    router: axum::Router,
    engine: Arc<Mutex<Engine>>,
    sent: Arc<Mutex<Vec<Message>>>,
}

/// An edge with an application for 1555…, and a carrier by which parties are reached.
fn world() -> World {
    let mut settings = Settings::loopback(EDGE.parse().unwrap());
    settings.applications = vec![Application {
        name: "sales".to_owned(),
        pattern: regex::Regex::new("^1555").unwrap(),
    }];
    settings.peers = vec![Peer {
        name: "carrier".to_owned(),
        networks: vec![Network {
            address: "192.0.2.9".parse().unwrap(),
            prefix: 32,
        }],
        auth: PeerAuth::None,
        transfer: TransferMode::Native,
        refer_answer: ReferAnswer::Auto,
        credentials: None,
        keeps_call_id: false,
        media: PeerMedia::default(),
    }];
    settings.recordings = true;
    let engine = Arc::new(Mutex::new(Engine::new(settings, Instant::now())));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (edge, mut orders) = EngineHandle::new(Arc::new(EventLog::new()));
    let (behind, out) = (Arc::clone(&engine), Arc::clone(&sent));
    tokio::spawn(async move {
        let mut waiting = std::collections::HashMap::new();
        let mut next = 0;
        while let Some(Order { command, answer }) = orders.recv().await {
            next += 1;
            waiting.insert(CommandId(next), answer);
            let mut engine = behind.lock().unwrap();
            let id = CommandId(next);
            engine.handle_input(Instant::now(), Input::Command { id, command });
            while let Some(output) = engine.poll_output() {
                match output {
                    Output::Reply { id, reply } => drop(waiting.remove(&id).unwrap().send(reply)),
                    Output::Transmit { bytes, .. } => out.lock().unwrap().push(Message::parse(bytes).unwrap()),
                    Output::Store { .. } | Output::Media(_) | Output::Event(_) | Output::Resolve { .. } => {}
                }
            }
        }
    });
    let access = native::Access::new(TOKEN, HoldDirection::SendOnly);
    let router = native::router(native::Options::new(edge, access));
    World { router, engine, sent }
}

impl World {
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.ask_with(None, method, path, body).await
    }

    async fn ask_with(&self, key: Option<&str>, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Authorization", format!("Bearer {TOKEN}"))
            .header("Content-Type", "application/json");
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&octets).unwrap_or(Value::Null))
    }

    /// A call of the carrier's for an application.
    fn arrives(&self, number: u32) {
        let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let invite = format!(
            "INVITE sip:1555{number}@{EDGE} SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bK{number}\r\n\
             From: <sip:bob@192.0.2.9>;tag={number}\r\nTo: <sip:1555{number}@{EDGE}>\r\nCall-ID: {number}\r\nCSeq: 1 INVITE\r\n\
             Max-Forwards: 70\r\nContact: <sip:bob@{CARRIER}>\r\nX-Ticket: 42\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        let flow = Flow {
            transport: Transport::Udp,
            local: EDGE.parse().unwrap(),
            remote: CARRIER.parse().unwrap(),
            connection: 0,
        };
        let input = Input::Received {
            flow,
            bytes: invite.into(),
        };
        self.engine.lock().unwrap().handle_input(Instant::now(), input);
    }

    fn statuses(&self) -> Vec<u16> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter_map(Message::status).collect()
    }
}

#[tokio::test]
async fn a_caller_is_rung_answered_moved_and_its_role_changed() {
    let world = world();
    world.arrives(1);
    world.arrives(2);
    let (_, calls) = world.ask("GET", "/v1/calls", "").await;
    assert_eq!(calls["calls"][0]["state"], "hub");
    assert_eq!(calls["calls"][0]["hub"]["participants"][0]["joined"], false);
    let (first, second) = ("leg-0-0", "leg-1-0");
    assert_eq!(world.ask("POST", &format!("/v1/legs/{first}/ring"), "").await.0, 204);
    let role = r#"{"label":"customer","ends":true,"beep":"on_enter"}"#;
    assert_eq!(
        world.ask("POST", &format!("/v1/legs/{first}/answer"), role).await.0,
        204
    );
    assert_eq!(world.statuses(), [180, 200]);
    let (status, hub) = world.ask("POST", "/v1/hubs", r#"{"name":"support","most":3}"#).await;
    assert_eq!((status, &hub["hub"]["name"]), (202, &json!("support")));
    let call = hub["id"].as_str().unwrap().to_owned();
    let body = json!({ "to": call, "role": { "part": "monitor" } }).to_string();
    assert_eq!(
        world.ask("POST", &format!("/v1/legs/{second}/move"), &body).await.0,
        204
    );
    let body = json!({ "to": call }).to_string();
    assert_eq!(world.ask("POST", &format!("/v1/legs/{first}/move"), &body).await.0, 204);
    let coach = json!({ "part": "coach", "of": first }).to_string();
    assert_eq!(
        world.ask("PUT", &format!("/v1/legs/{second}/role"), &coach).await.0,
        204
    );
    let (_, shown) = world.ask("GET", &format!("/v1/calls/{call}"), "").await;
    let participants = shown["hub"]["participants"].clone();
    assert_eq!(
        (
            &participants[0]["part"],
            &participants[0]["of"],
            &participants[1]["part"]
        ),
        (&json!("coach"), &json!(first), &json!("speaker"))
    );
    let (status, recording) = world.ask("POST", &format!("/v1/calls/{call}/recording"), "").await;
    assert_eq!((status, recording["recording"].is_string()), (200, true));
    assert_eq!(
        world.ask("DELETE", &format!("/v1/calls/{call}/recording"), "").await.0,
        204
    );
    for target in [format!("/v1/calls/{call}/play"), format!("/v1/legs/{first}/play")] {
        assert_eq!(world.ask("POST", &target, r#"{"sound":"sales"}"#).await.0, 204);
        assert_eq!(world.ask("DELETE", &target, "").await.0, 204);
    }
    assert_eq!(world.ask("DELETE", &format!("/v1/calls/{call}"), "").await.0, 204);
    let (_, calls) = world.ask("GET", "/v1/calls", "").await;
    assert_eq!(calls["total"], 0);
}

#[tokio::test]
async fn a_party_is_called_by_a_peer_once_for_a_key() {
    let world = world();
    let (_, hub) = world.ask("POST", "/v1/hubs", "").await;
    let call = hub["id"].as_str().unwrap().to_owned();
    let body = r#"{"to":"sip:+4930@example.test","from":"sip:+1555@example.test","from_name":"Sales","peer":"carrier",
        "headers":{"X-Ticket":"42","P-Asserted-Identity":"<sip:+1555@example.test>"},"credentials":{"user":"u","password":"p"}}"#;
    let path = format!("/v1/calls/{call}/parties");
    for _ in 0..2 {
        let (status, legs) = world.ask_with(Some("k-1"), "POST", &path, body).await;
        assert_eq!((status, legs), (202, json!({ "legs": ["leg-0-0"] })));
    }
    assert_eq!(world.sent.lock().unwrap().len(), 1, "called once");
    let invite = world.sent.lock().unwrap().remove(0);
    assert_eq!(invite.request_uri(), Some("sip:+4930@192.0.2.9:5060"));
    let from = invite.from().unwrap();
    assert_eq!(
        (from.display.as_deref(), from.uri.as_str()),
        (Some("Sales"), "sip:+1555@example.test")
    );
    assert_eq!(invite.header_named("X-Ticket"), Some(b"42".as_slice()));
    assert_eq!(
        invite.header_named("P-Asserted-Identity"),
        Some(b"<sip:+1555@example.test>".as_slice())
    );
    let (_, shown) = world.ask("GET", &format!("/v1/calls/{call}"), "").await;
    assert_eq!(shown["hub"]["participants"][0]["joined"], false);
}

#[tokio::test]
async fn what_cannot_be_is_told_with_its_field_or_its_reason() {
    let world = world();
    world.arrives(1);
    let (_, hub) = world.ask("POST", "/v1/hubs", "").await;
    let call = hub["id"].as_str().unwrap().to_owned();
    let parties = format!("/v1/calls/{call}/parties");
    let with_headers =
        |name: &str, value: &str| json!({ "to": "sip:a@b", "peer": "carrier", "headers": { name: value } }).to_string();
    for (method, path, body, status, field) in [
        ("POST", "/v1/hubs", r#"{"most":0}"#.to_owned(), 422, "most"),
        ("POST", "/v1/hubs", r#"{"color":1}"#.to_owned(), 422, "color"),
        ("POST", &parties, r#"{"to":"http://b"}"#.to_owned(), 422, "to"),
        (
            "POST",
            &parties,
            r#"{"to":"sip:nobody@127.0.0.1"}"#.to_owned(),
            422,
            "to",
        ),
        (
            "POST",
            &parties,
            r#"{"to":"sip:a@b","peer":"nobody"}"#.to_owned(),
            422,
            "peer",
        ),
        ("POST", &parties, with_headers("Via", "x"), 422, "headers"),
        ("POST", &parties, with_headers("X-A", "x\r\nVia: y"), 422, "headers"),
        ("POST", &parties, with_headers("X A", "x"), 422, "headers"),
        (
            "POST",
            &parties,
            r#"{"to":"sip:a@b","role":{"part":"coach"}}"#.to_owned(),
            422,
            "role.of",
        ),
        (
            "POST",
            &parties,
            r#"{"to":"sip:a@b","role":{"part":"chief"}}"#.to_owned(),
            422,
            "role.part",
        ),
        (
            "POST",
            "/v1/calls/call-9-0/parties",
            r#"{"to":"sip:a@b"}"#.to_owned(),
            404,
            "",
        ),
        (
            "POST",
            "/v1/legs/leg-0-0/reject",
            r#"{"status":200}"#.to_owned(),
            422,
            "status",
        ),
        ("POST", "/v1/legs/leg-9-0/answer", String::new(), 404, ""),
        ("PUT", "/v1/legs/leg-0-0/role", "{}".to_owned(), 409, ""),
        (
            "POST",
            "/v1/legs/leg-0-0/move",
            r#"{"to":"leg-0-0"}"#.to_owned(),
            422,
            "to",
        ),
        (
            "POST",
            "/v1/legs/leg-0-0/move",
            r#"{"to":"call-9-0"}"#.to_owned(),
            404,
            "",
        ),
        (
            "POST",
            "/v1/legs/leg-0-0/refer",
            r#"{"to":"sip:a@b"}"#.to_owned(),
            409,
            "",
        ),
        ("POST", "/v1/legs/leg-0-0/play", r#"{"sound":"x"}"#.to_owned(), 409, ""),
        ("POST", &format!("/v1/calls/{call}/to-hub"), String::new(), 409, ""),
        ("POST", &format!("/v1/calls/{call}/to-pair"), String::new(), 409, ""),
        ("DELETE", &format!("/v1/calls/{call}/recording"), String::new(), 409, ""),
        (
            "POST",
            &format!("/v1/calls/{call}/play"),
            r#"{"sound":""}"#.to_owned(),
            422,
            "sound",
        ),
    ] {
        let (got, problem) = world.ask(method, path, &body).await;
        assert_eq!(got, status, "{method} {path} {body}: {problem}");
        if !field.is_empty() {
            assert_eq!(problem["field"], field, "{path} {body}: {problem}");
        }
    }
    assert!(world.sent.lock().unwrap().is_empty(), "nobody was called or told");
    let (_, calls) = world.ask("GET", "/v1/calls", "").await;
    assert_eq!(calls["total"], 2, "and nothing was changed");
    assert_eq!(world.ask("POST", "/v1/legs/leg-0-0/reject", "").await.0, 204);
    assert_eq!(world.statuses(), [603]);
}
