//! The native API as its clients see it: a router in front of a scripted engine, and once over a real connection.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tower::ServiceExt;
use warmline::api::{EngineHandle, EventLog, native};
use warmline::engine::*;

const TOKEN: &str = "a-token-of-the-test";

/// A router, the log behind it, and what the engine was told.
struct World {
    router: axum::Router,
    log: Arc<EventLog>,
    told: Arc<Mutex<Vec<Command>>>,
}

/// An engine that knows call-1-0 with leg-1-0 and leg-2-0.
fn engine(command: &Command) -> Result<Reply, Refusal> {
    let leg = |slot| LegHandle { slot, generation: 0 };
    let unknown = |what, handle: String| Err(Refusal::NotFound { what, handle });
    let call = || CallView {
        id: CallHandle { slot: 1, generation: 0 },
        state: "connected",
        legs: vec![LegView {
            id: leg(1),
            party: "sip:alice@example.test".to_owned(),
            state: "confirmed",
            held: false,
            holding: false,
            call_id: "abc".to_owned(),
            description: Some("v=0\r\n".to_owned()),
            sent_description: None,
            address: "192.0.2.1:5060".parse().unwrap(),
            media: "direct",
            quality: None,
        }],
        hub: None,
    };
    match command {
        Command::FirstCalls { .. } => Ok(Reply::FirstCalls {
            calls: vec![call()],
            total: 1,
        }),
        Command::Call { call: wanted } if wanted.slot == 1 => Ok(Reply::Call(call())),
        Command::Call { call } | Command::HangUpCall { call } if call.slot != 1 => unknown("call", call.to_string()),
        Command::Hold { leg, .. } if leg.slot == 2 => Err(Refusal::Party { status: 488 }),
        Command::Hold { leg, .. } | Command::Resume { leg } | Command::HangUpLeg { leg } if leg.slot > 2 => {
            unknown("leg", leg.to_string())
        }
        Command::Resume { .. } => Err(Refusal::Conflict {
            why: "the party is not held".to_owned(),
        }),
        Command::Dial { to, .. } if to.user() == Some("nobody") => Err(Refusal::Invalid {
            field: "to",
            why: "its phone is not registered".to_owned(),
        }),
        Command::Dial { .. } => Ok(Reply::Call(call())),
        Command::StartTransfer {
            transferor,
            target,
            mode,
            ..
        } => {
            if transferor.slot > 2 {
                return unknown("leg", transferor.to_string());
            }
            let target = match target {
                TransferTarget::Uri(uri) => uri.to_string(),
                TransferTarget::Leg(leg) => leg.to_string(),
            };
            Ok(Reply::Transfer(TransferView {
                id: TransferHandle {
                    slot: 10,
                    generation: 2,
                },
                kind: TransferKind::Blind,
                mode: mode.unwrap_or_default(),
                state: "trying",
                transferor: *transferor,
                transferee: leg(2),
                target_leg: None,
                target,
                reason: None,
                status: None,
            }))
        }
        Command::Transfers => Ok(Reply::Transfers(Vec::new())),
        Command::CancelTransfer { transfer } if transfer.slot == 10 => Err(Refusal::Conflict {
            why: "it is decided already".to_owned(),
        }),
        Command::Transfer { transfer } | Command::CancelTransfer { transfer } => {
            unknown("transfer", transfer.to_string())
        }
        Command::Registrations => Ok(Reply::Registrations(Vec::new())),
        Command::Totals => Ok(Reply::Totals(Totals {
            calls: 1,
            dialogs: 2,
            ..Totals::default()
        })),
        Command::Record { leg } if leg.slot == 1 => Ok(Reply::Recording("abc".to_owned())),
        Command::Digits { digits, .. } if digits.is_empty() => Err(Refusal::Invalid {
            field: "digits",
            why: "none".to_owned(),
        }),
        Command::Record { leg } => unknown("leg", leg.to_string()),
        Command::Digits { .. } | Command::StopRecording { .. } => Ok(Reply::Done),
        Command::Call { .. } | Command::HangUpCall { .. } | Command::Hold { .. } | Command::HangUpLeg { .. } => {
            Ok(Reply::Done)
        }
        Command::OpenHub { .. }
        | Command::ToHub { .. }
        | Command::ToPair { .. }
        | Command::AddParty { .. }
        | Command::Ring { .. }
        | Command::Answer { .. }
        | Command::Reject { .. }
        | Command::Move { .. }
        | Command::SetRole { .. }
        | Command::Play { .. }
        | Command::StopPlaying { .. }
        | Command::RecordHub { .. }
        | Command::StopRecordingHub { .. }
        | Command::Divert { .. }
        | Command::Refer { .. } => Err(Refusal::Conflict {
            why: "there are no hubs here".to_owned(),
        }),
    }
}

fn world() -> World {
    let log = Arc::new(EventLog::new());
    let (edge, mut orders) = EngineHandle::new(Arc::clone(&log));
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            order.answer.send(engine(&order.command)).ok();
            heard.lock().unwrap().push(order.command);
        }
    });
    let metrics: native::MetricsPage = Arc::new(|totals| format!("warmline_calls {}\n", totals.calls));
    let hold = HoldDirection::SendOnly;
    let router = native::router(native::Options {
        metrics,
        ..native::Options::new(edge, native::Access::new(TOKEN, hold))
    });
    World { router, log, told }
}

fn request(method: &str, path: &str, body: &str) -> Request<Body> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("Authorization", format!("Bearer {TOKEN}"));
    let builder = if body.is_empty() {
        builder
    } else {
        builder.header("Content-Type", "application/json")
    };
    builder.body(Body::from(body.to_owned())).unwrap()
}

impl World {
    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        read(self.send(request(method, path, body)).await).await
    }

    fn told(&self) -> Vec<Command> {
        self.told.lock().unwrap().clone()
    }
}

async fn read(response: Response<Body>) -> (u16, Value) {
    let status = response.status();
    let kind = response
        .headers()
        .get("content-type")
        .map(|kind| kind.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{status} {body:?}");
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], status.as_u16());
        assert!(problem["type"].is_string() && problem["title"].is_string() && problem["detail"].is_string());
        return (status.as_u16(), problem);
    }
    let value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    };
    (status.as_u16(), value)
}

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let world = world();
    for path in ["/v1/calls", "/metrics", "/openapi.json", "/v1/events", "/nowhere"] {
        for header in [None, Some("Bearer wrong"), Some("Basic YTpi"), Some("Bearer"), Some("")] {
            let mut builder = Request::builder().uri(path);
            if let Some(header) = header {
                builder = builder.header("Authorization", header);
            }
            let response = world.send(builder.body(Body::empty()).unwrap()).await;
            assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"warmline\"");
            let (status, problem) = read(response).await;
            assert_eq!(status, 401, "{path} {header:?}");
            assert!(problem["hint"].as_str().unwrap().contains("Bearer"));
        }
    }
    let lower = Request::builder()
        .uri("/v1/calls")
        .header("Authorization", format!("bearer {TOKEN}"));
    assert_eq!(world.send(lower.body(Body::empty()).unwrap()).await.status(), 200);
    let health = Request::builder().uri("/healthz").body(Body::empty()).unwrap();
    assert_eq!(read(world.send(health).await).await, (200, json!({ "status": "ok" })));
}

#[tokio::test]
async fn calls_are_listed_shown_and_hung_up() {
    let world = world();
    let (status, list) = world.ask("GET", "/v1/calls", "").await;
    assert_eq!(
        (status, &list["calls"][0]["legs"][0]["party"]),
        (200, &json!("sip:alice@example.test"))
    );
    let (status, call) = world.ask("GET", "/v1/calls/call-1-0", "").await;
    assert_eq!((status, &call), (200, &list["calls"][0]));
    assert_eq!(world.ask("DELETE", "/v1/calls/call-1-0", "").await.0, 204);
    assert_eq!(world.ask("DELETE", "/v1/legs/leg-1-0", "").await.0, 204);
    assert_eq!(world.ask("GET", "/v1/calls/call-9-0", "").await.0, 404);
    let (status, problem) = world.ask("GET", "/v1/calls/leg-1-0", "").await;
    assert_eq!((status, &problem["field"]), (400, &json!("call")));
    assert_eq!(world.ask("GET", "/v1/calls/%ff", "").await.0, 400);
    assert_eq!(
        world.ask("GET", "/v1/registrations", "").await,
        (200, json!({ "registrations": [], "total": 0 }))
    );
}

#[tokio::test]
async fn hold_and_resume_say_how_and_why_not() {
    let world = world();
    assert_eq!(world.ask("POST", "/v1/legs/leg-1-0/hold", "").await.0, 204);
    assert_eq!(
        world
            .ask("POST", "/v1/legs/leg-1-0/hold", "{\"direction\":\"inactive\"}")
            .await
            .0,
        204
    );
    let told = world.told();
    assert!(matches!(
        told[0],
        Command::Hold {
            direction: HoldDirection::SendOnly,
            ..
        }
    ));
    assert!(matches!(
        told[1],
        Command::Hold {
            direction: HoldDirection::Inactive,
            ..
        }
    ));
    let (status, problem) = world
        .ask("POST", "/v1/legs/leg-1-0/hold", "{\"direction\":\"sendrecv\"}")
        .await;
    assert_eq!((status, &problem["field"]), (422, &json!("direction")));
    let (status, problem) = world.ask("POST", "/v1/legs/leg-2-0/hold", "").await;
    assert_eq!((status, &problem["sip_status"]), (502, &json!(488)));
    let (status, problem) = world.ask("POST", "/v1/legs/leg-1-0/resume", "").await;
    assert_eq!((status, &problem["detail"]), (409, &json!("the party is not held")));
}

#[tokio::test]
async fn a_transfer_is_accepted_with_its_place() {
    let world = world();
    let body = r#"{"transferor":"leg-1-0","target":"sip:carol@example.test","mode":"refer","ring_timeout_s":20}"#;
    let response = world.send(request("POST", "/v1/transfers", body)).await;
    assert_eq!(response.headers()["location"], "/v1/transfers/transfer-a-2");
    let (status, transfer) = read(response).await;
    assert_eq!(
        (status, &transfer["id"], &transfer["mode"]),
        (202, &json!("transfer-a-2"), &json!("refer"))
    );
    let twenty = Some(Duration::from_secs(20));
    assert!(matches!(&world.told()[0], Command::StartTransfer { ring_timeout, .. } if *ring_timeout == twenty));
    let body = r#"{"transferor":"leg-1-0","target":"leg-2-0"}"#;
    assert_eq!(world.ask("POST", "/v1/transfers", body).await.1["target"], "leg-2-0");
    assert_eq!(
        world.ask("GET", "/v1/transfers", "").await,
        (200, json!({ "transfers": [], "total": 0 }))
    );
    assert_eq!(world.ask("GET", "/v1/transfers/transfer-9-9", "").await.0, 404);
    assert_eq!(world.ask("DELETE", "/v1/transfers/transfer-9-9", "").await.0, 404);
    assert_eq!(world.ask("DELETE", "/v1/transfers/transfer-a-2", "").await.0, 409);
    let body = r#"{"transferor":"leg-1-0","target":"sip:a@b","on_failure":"next","next":["sip:c@d"]}"#;
    assert_eq!(world.ask("POST", "/v1/transfers", body).await.0, 202);
    let last = world.told().pop().expect("an order");
    assert!(matches!(last, Command::StartTransfer { on_failure: Some(OnFailure::Next(next)), .. } if next.len() == 1));
}

#[tokio::test]
async fn a_bad_body_is_told_with_its_field() {
    let world = world();
    for (body, status, field) in [
        ("{", 400, None),
        ("{\"transferor\":\"leg-1-0\",}", 400, None),
        ("[1]", 422, Some("[0]")),
        ("{}", 422, Some("transferor")),
        (r#"{"transferor":7,"target":"leg-2-0"}"#, 422, Some("transferor")),
        (
            r#"{"transferor":"call-1-0","target":"leg-2-0"}"#,
            422,
            Some("transferor"),
        ),
        (r#"{"transferor":"leg-1-0","target":"leg-x"}"#, 422, Some("target")),
        (
            r#"{"transferor":"leg-1-0","target":"http://example.test"}"#,
            422,
            Some("target"),
        ),
        (
            r#"{"transferor":"leg-1-0","target":"sip:a@b","on_failure":"next"}"#,
            422,
            Some("next"),
        ),
        (
            r#"{"transferor":"leg-1-0","target":"sip:a@b","next":["sip:c@d"]}"#,
            422,
            Some("on_failure"),
        ),
        (
            r#"{"transferor":"leg-1-0","target":"sip:a@b","on_failure":"next","next":["http://c"]}"#,
            422,
            Some("next"),
        ),
        (
            r#"{"transferor":"leg-1-0","target":"sip:a@b","mode":"pass"}"#,
            422,
            Some("mode"),
        ),
        (
            r#"{"transferor":"leg-1-0","target":"sip:a@b","ring_timeout_s":0}"#,
            422,
            Some("ring_timeout_s"),
        ),
        (
            r#"{"transferor":"leg-1-0","target":"sip:a@b","ring_timeout_s":-1}"#,
            422,
            Some("ring_timeout_s"),
        ),
        (
            r#"{"transferor":"leg-1-0","target":"sip:a@b","color":1}"#,
            422,
            Some("color"),
        ),
    ] {
        let (got, problem) = world.ask("POST", "/v1/transfers", body).await;
        assert_eq!(got, status, "{body}: {problem}");
        if let Some(field) = field {
            assert_eq!(problem["field"], field, "{body}: {problem}");
        }
    }
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    assert_eq!(world.ask("POST", "/v1/transfers", &deep).await.0, 400);
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    assert_eq!(world.ask("POST", "/v1/transfers", &large).await.0, 413);
    let mut text = request("POST", "/v1/transfers", "{}");
    text.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(read(world.send(text).await).await.0, 415);
    assert!(world.told().is_empty());
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let world = world();
    let (status, problem) = world.ask("GET", "/v1/nothing", "").await;
    assert_eq!((status, &problem["detail"]), (404, &json!("/v1/nothing")));
    let response = world.send(request("PUT", "/v1/calls", "")).await;
    assert!(response.headers()["allow"].to_str().unwrap().contains("GET"));
    assert_eq!(read(response).await.0, 405);
}

#[tokio::test]
async fn the_same_key_gives_the_same_transfer() {
    let world = world();
    let keyed = |body: &str| {
        let mut request = request("POST", "/v1/transfers", body);
        request.headers_mut().insert("idempotency-key", "k-1".parse().unwrap());
        request
    };
    let body = r#"{"transferor":"leg-1-0","target":"sip:carol@example.test"}"#;
    let first = world.send(keyed(body)).await;
    let again = world.send(keyed(body)).await;
    assert_eq!(first.headers()["location"], again.headers()["location"]);
    assert_eq!(read(first).await, read(again).await);
    assert_eq!(world.told().len(), 1);
    let (status, problem) = read(
        world
            .send(keyed(r#"{"transferor":"leg-2-0","target":"sip:carol@x"}"#))
            .await,
    )
    .await;
    assert_eq!((status, &problem["field"]), (422, &json!("Idempotency-Key")));
    // A refusal is an answer too.
    let mut refused = request(
        "POST",
        "/v1/transfers",
        r#"{"transferor":"leg-9-0","target":"sip:carol@x"}"#,
    );
    refused.headers_mut().insert("idempotency-key", "k-2".parse().unwrap());
    assert_eq!(read(world.send(refused).await).await.0, 404);
    let mut empty = request("POST", "/v1/transfers", body);
    empty.headers_mut().insert("idempotency-key", "".parse().unwrap());
    assert_eq!(read(world.send(empty).await).await.0, 400);
}

#[tokio::test]
async fn metrics_and_the_description_are_there() {
    let world = world();
    let response = world.send(request("GET", "/metrics", "")).await;
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "warmline_calls 1\n"
    );
    let (status, description) = world.ask("GET", "/openapi.json", "").await;
    assert_eq!(status, 200);
    for (path, methods) in [
        ("/v1/calls", &["get", "post"][..]),
        ("/v1/calls/{call}/ladder", &["get"]),
        ("/readyz", &["get"]),
        ("/v1/calls/{call}", &["get", "delete"]),
        ("/v1/legs/{leg}", &["delete"]),
        ("/v1/legs/{leg}/hold", &["post"]),
        ("/v1/legs/{leg}/resume", &["post"]),
        ("/v1/legs/{leg}/digits", &["post"]),
        ("/v1/legs/{leg}/recording", &["post", "delete"]),
        ("/v1/hubs", &["post"]),
        ("/v1/calls/{call}/parties", &["post"]),
        ("/v1/calls/{call}/to-hub", &["post"]),
        ("/v1/calls/{call}/to-pair", &["post"]),
        ("/v1/calls/{call}/play", &["post", "delete"]),
        ("/v1/calls/{call}/recording", &["post", "delete"]),
        ("/v1/legs/{leg}/ring", &["post"]),
        ("/v1/legs/{leg}/answer", &["post"]),
        ("/v1/legs/{leg}/reject", &["post"]),
        ("/v1/legs/{leg}/role", &["put"]),
        ("/v1/legs/{leg}/move", &["post"]),
        ("/v1/legs/{leg}/play", &["post", "delete"]),
        ("/v1/legs/{leg}/refer", &["post"]),
        ("/v1/transfers", &["get", "post"]),
        ("/v1/transfers/{transfer}", &["get"]),
        ("/v1/registrations", &["get"]),
        ("/v1/nodes", &["get"]),
        ("/v1/records", &["get"]),
        ("/v1/records/{record}", &["get"]),
        ("/v1/queues", &["get"]),
        ("/v1/queues/{queue}/callers", &["get"]),
        ("/v1/agents", &["get"]),
        ("/v1/agents/{agent}", &["put"]),
        ("/v1/events", &["get"]),
        ("/healthz", &["get"]),
        ("/metrics", &["get"]),
        ("/openapi.json", &["get"]),
    ] {
        for method in methods {
            assert!(
                description["paths"][path][method].is_object(),
                "{method} {path} is not described"
            );
        }
    }
    assert_eq!(description["paths"].as_object().unwrap().len(), 36);
    for name in [
        "Call",
        "Leg",
        "Transfer",
        "Registration",
        "Problem",
        "Start",
        "Dial",
        "Ladder",
        "Digits",
        "Recording",
    ] {
        assert!(
            description["components"]["schemas"][name].is_object(),
            "{name} is not described"
        );
    }
    assert_eq!(
        description["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );
    assert_eq!(description["paths"]["/healthz"]["get"]["security"], json!([{}]));
}

fn held(slot: u32) -> Event {
    let (call, leg) = (CallHandle { slot, generation: 0 }, LegHandle { slot, generation: 0 });
    Event::CallHeld { call, leg }
}

#[tokio::test]
async fn events_come_over_a_connection_and_again_after_it_broke() {
    let world = world();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let connect = async |more: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        BufReader::new(stream).lines()
    };
    let wait = Duration::from_secs(5);
    let mut live = connect("").await;
    let mut seen = Vec::new();
    while !seen.contains(&String::new()) {
        seen.push(
            tokio::time::timeout(wait, live.next_line())
                .await
                .unwrap()
                .unwrap()
                .unwrap(),
        );
    }
    assert!(seen[0].contains("200"), "{seen:?}");
    assert!(
        seen.iter()
            .any(|line| line.to_lowercase() == "content-type: text/event-stream"),
        "{seen:?}"
    );
    for slot in 1..=3 {
        world.log.push(SystemTime::UNIX_EPOCH, held(slot));
    }
    let next = async |lines: &mut tokio::io::Lines<BufReader<tokio::net::TcpStream>>| {
        let mut found = Vec::new();
        while found.len() < 3 {
            let line = tokio::time::timeout(wait, lines.next_line())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            if ["id:", "event:", "data:"].iter().any(|name| line.starts_with(name)) {
                found.push(line);
            }
        }
        found
    };
    let first = next(&mut live).await;
    assert!(
        first.contains(&"id: 1".to_owned()) && first.contains(&"event: call.held".to_owned()),
        "{first:?}"
    );
    let data = first.iter().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        (&data["sequence"], &data["event"], &data["call"]),
        (&json!(1), &json!("call.held"), &json!("call-1-0"))
    );
    assert_eq!(data["at"], "1970-01-01T00:00:00.000Z");
    drop(live);
    let mut again = connect("Last-Event-ID: 2\r\n").await;
    assert!(next(&mut again).await.contains(&"id: 3".to_owned()));
    let (status, problem) = {
        let mut bad = request("GET", "/v1/events", "");
        bad.headers_mut().insert("last-event-id", "x".parse().unwrap());
        read(world.send(bad).await).await
    };
    assert_eq!(
        (status, &problem["field"]),
        (StatusCode::BAD_REQUEST.as_u16(), &json!("Last-Event-ID"))
    );
    assert_eq!(world.ask("GET", "/v1/events?after=x", "").await.0, 400);
}

#[tokio::test]
async fn a_call_is_dialled_with_its_place_and_once_for_a_key() {
    let world = world();
    let body = r#"{"from":"sip:alice@example.test","to":"tel:+4930123456","ring_timeout_s":20}"#;
    for _ in 0..2 {
        let mut request = request("POST", "/v1/calls", body);
        request.headers_mut().insert("idempotency-key", "one".parse().unwrap());
        let response = world.send(request).await;
        assert_eq!(response.headers()["location"], "/v1/calls/call-1-0");
        assert_eq!(read(response).await.0, 202);
    }
    let told = world.told();
    assert!(
        matches!(&told[..], [Command::Dial { from, ring_timeout: Some(_), .. }] if from.user() == Some("alice")),
        "{told:?}"
    );
    for (body, field) in [
        (r#"{"from":"sip:a@x"}"#, "to"),
        (r#"{"from":"http://x","to":"sip:a@x"}"#, "from"),
        (r#"{"from":"sip:a@x","to":"sip:nobody@x"}"#, "to"),
        (
            r#"{"from":"sip:a@x","to":"sip:b@x","ring_timeout_s":0}"#,
            "ring_timeout_s",
        ),
        (r#"{"from":"sip:a@x","to":"sip:b@x","two":1}"#, "two"),
    ] {
        let (status, problem) = world.ask("POST", "/v1/calls", body).await;
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{body}");
    }
}

#[tokio::test]
async fn long_lists_can_be_cut() {
    let world = world();
    let (status, list) = world.ask("GET", "/v1/calls?limit=1", "").await;
    assert_eq!((status, &list["total"]), (200, &json!(1)));
    for query in ["limit=0", "limit=x", "limti=1"] {
        let (status, problem) = world.ask("GET", &format!("/v1/transfers?{query}"), "").await;
        assert_eq!((status, &problem["field"]), (400, &json!("limit")), "{query}");
    }
}

#[tokio::test]
async fn readiness_is_told_without_a_token() {
    for (draining, pbx_up, expect) in [
        (false, None, 200),
        (false, Some(true), 200),
        (false, Some(false), 503),
        (true, Some(true), 503),
    ] {
        let (edge, mut orders) = EngineHandle::new(Arc::new(EventLog::new()));
        tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                order.answer.send(engine(&order.command)).ok();
            }
        });
        let access = native::Access::new(TOKEN, HoldDirection::SendOnly);
        let router = native::router(native::Options {
            ready: Arc::new(move || native::Readiness { draining, pbx_up }),
            ..native::Options::new(edge, access)
        });
        let ready = Request::builder().uri("/readyz").body(Body::empty()).unwrap();
        assert_eq!(read(router.oneshot(ready).await.unwrap()).await.0, expect);
    }
}

#[tokio::test]
async fn the_token_changes_while_the_api_serves() {
    let (edge, _orders) = EngineHandle::new(Arc::new(EventLog::new()));
    let access = native::Access::new("old", HoldDirection::SendOnly);
    let router = native::router(native::Options::new(edge, access.clone()));
    access.set_token(TOKEN);
    let asked = |token: &str| {
        let request = Request::builder().uri("/openapi.json");
        let request = request.header("Authorization", format!("Bearer {token}"));
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    assert_eq!(asked("old").await.unwrap().status(), 401);
    assert_eq!(asked(TOKEN).await.unwrap().status(), 200);
}

#[tokio::test]
async fn events_come_over_a_websocket_to_those_who_may_read() {
    use tokio::io::AsyncReadExt;
    let world = world();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    world.log.push(SystemTime::UNIX_EPOCH, held(1));
    let upgrade = |more: String| async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let text = format!(
            "GET /v1/events?after=0 HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut octets = Vec::new();
        while !octets.windows(4).any(|four| four == b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut octets).await.unwrap(), 0);
        }
        (stream, octets)
    };
    let status = |octets: &[u8]| String::from_utf8_lossy(&octets[9..12]).into_owned();
    let may = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(status(&upgrade(String::new()).await.1), "401");
    assert_eq!(
        status(&upgrade(format!("{may}Origin: http://evil.test\r\n")).await.1),
        "403"
    );
    assert_eq!(status(&upgrade(format!("{may}Origin: null\r\n")).await.1), "403");
    let (mut stream, mut octets) = upgrade(format!("{may}Origin: http://{address}\r\n")).await;
    assert_eq!(status(&octets), "101");
    // What is written to it is read and dropped; the event comes all the same.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'{', b'}']).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !String::from_utf8_lossy(&octets).contains("\"event\":\"call.held\"") {
        let read = tokio::time::timeout_at(deadline, stream.read_buf(&mut octets)).await;
        assert_ne!(read.unwrap().unwrap(), 0);
    }
    assert!(world.told().is_empty());
}

#[tokio::test]
async fn digits_are_played_and_a_leg_is_recorded() {
    let world = world();
    let (status, _) = world
        .ask("POST", "/v1/legs/leg-1-0/digits", "{\"digits\":\"42#\"}")
        .await;
    assert_eq!(status, 204);
    assert!(matches!(&world.told()[0], Command::Digits { digits, .. } if digits == "42#"));
    let (status, problem) = world.ask("POST", "/v1/legs/leg-1-0/digits", "{\"digits\":\"\"}").await;
    assert_eq!((status, &problem["field"]), (422, &json!("digits")));
    let (status, recording) = world.ask("POST", "/v1/legs/leg-1-0/recording", "").await;
    assert_eq!((status, recording), (200, json!({ "recording": "abc" })));
    let (status, _) = world.ask("POST", "/v1/legs/leg-7-0/recording", "").await;
    assert_eq!(status, 404);
    let (status, _) = world.ask("DELETE", "/v1/legs/leg-1-0/recording", "").await;
    assert_eq!(status, 204);
    let (status, _) = world
        .ask("POST", "/v1/legs/leg-1-0/hold", "{\"music\":\"sales\"}")
        .await;
    assert_eq!(status, 204);
    let told = world.told();
    let held = told.last().unwrap();
    assert!(
        matches!(held, Command::Hold { music: Some(music), direction: HoldDirection::SendOnly, .. } if music == "sales")
    );
}
