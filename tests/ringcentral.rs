//! The RingCentral dialect as HTTP: logins, subscriptions, refusals in both shapes, and bodies of whoever means no good.
//! Calls behind it are those of tests/dialects/ringcentral.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use warmline::api::{EngineHandle, EventLog, ringcentral, webhook};
use warmline::config::Config;
use warmline::engine::*;

const FILE: &str = r#"
[[listen]]
transport = "udp"
address = "127.0.0.1:5060"
[edge]
domain = "example.test"
[[user]]
name = "agent1"
password = "x"
[[user]]
name = "boss"
password = "y"
[ringcentral]
client_id = "app"
client_secret = "secret-of-the-app"
account = "400100"
[[ringcentral.extension]]
user = "agent1"
number = "101"
id = "1001"
password = "password-of-agent1"
jwt = "assertion-of-agent1"
[[ringcentral.extension]]
user = "boss"
number = "103"
id = "1003"
admin = true
jwt = "assertion-of-the-boss"
"#;
const BASIC: &str = "Basic YXBwOnNlY3JldC1vZi10aGUtYXBw";
const JWT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
const ACCOUNT: &str = "/restapi/v1.0/account/~";

/// A router before an engine that refuses every order, and what it was told.
struct World {
    router: axum::Router,
    log: Arc<EventLog>,
    told: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> World {
        let log = Arc::new(EventLog::new());
        let (edge, mut orders) = EngineHandle::new(Arc::clone(&log));
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                let answer = if matches!(order.command, Command::Calls) {
                    Ok(Reply::Calls(Vec::new()))
                } else if matches!(order.command, Command::Registrations) {
                    Ok(Reply::Registrations(Vec::new()))
                } else {
                    heard.lock().unwrap().push(format!("{:?}", order.command));
                    let why = "this engine carries nothing out".to_owned();
                    Err(Refusal::Conflict { why })
                };
                order.answer.send(answer).ok();
            }
        });
        let config = Config::read("edge.toml", FILE).unwrap();
        let hooks = webhook::Client::new(webhook::Options::default(), edge.clone()).unwrap();
        let section = config.ringcentral.clone().unwrap();
        let router = ringcentral::router(ringcentral::Options {
            section: &section,
            domain: &config.domain(),
            listens: "http://127.0.0.1:8080",
            salt: 0x5eed,
            edge,
            hooks,
        });
        World { router, log, told }
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self
            .router
            .clone()
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&octets).unwrap_or(Value::Null))
    }

    async fn token(&self, form: &str) -> (StatusCode, Value) {
        self.ask(
            "POST",
            "/restapi/oauth/token",
            &[("authorization", BASIC)],
            form.to_owned(),
        )
        .await
    }

    async fn log_in(&self, jwt: &str) -> String {
        let (status, body) = self.token(&format!("{JWT}{jwt}")).await;
        assert_eq!(status, 200, "{body}");
        format!("Bearer {}", body["access_token"].as_str().unwrap())
    }

    async fn as_agent(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let bearer = self.log_in("assertion-of-agent1").await;
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.ask(method, path, &[("authorization", &bearer)], body).await
    }

    /// +1555 talks with agent1.
    async fn talk(&self) -> String {
        let leg = |slot| LegHandle { slot, generation: 0 };
        let call = CallHandle { slot: 1, generation: 0 };
        let started = |slot, user: &str| Event::LegStarted {
            leg: leg(slot),
            call: Some(call),
            transfer: None,
            inbound: slot == 1,
            party: format!("sip:{user}@example.test"),
            call_id: format!("id-{slot}"),
        };
        let (from, to) = (
            "sip:+1555@example.test".to_owned(),
            "sip:agent1@example.test".to_owned(),
        );
        for event in [
            started(1, "+1555"),
            Event::CallStarted {
                call,
                leg: leg(1),
                from,
                to,
            },
            started(2, "agent1"),
            Event::CallConnected {
                call,
                legs: vec![leg(1), leg(2)],
            },
        ] {
            self.log
                .push(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000), event);
        }
        loop {
            let path = format!("{ACCOUNT}/extension/~/presence?detailedTelephonyState=true&sipData=true");
            let (_, presence) = self.as_agent("GET", &path, Value::Null).await;
            if let Some(session) = presence["activeCalls"][0]["telephonySessionId"].as_str() {
                return session.to_owned();
            }
            tokio::task::yield_now().await;
        }
    }
}

fn both_shapes(body: &Value) -> &str {
    let code = body["errorCode"]
        .as_str()
        .unwrap_or_else(|| panic!("no errorCode in {body}"));
    assert_eq!(body["errors"][0]["errorCode"], code);
    assert_eq!(body["errors"][0]["message"], body["message"]);
    code
}

#[tokio::test]
async fn every_grant_and_every_refusal_of_it() {
    let world = World::new();
    let (status, body) = world.token(&format!("{JWT}assertion-of-agent1")).await;
    assert_eq!(status, 200);
    for key in [
        "access_token",
        "refresh_token",
        "scope",
        "owner_id",
        "endpoint_id",
        "session_id",
    ] {
        assert!(body[key].is_string(), "{key} in {body}");
    }
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("bearer"), &json!(3_600))
    );
    assert_eq!(body["owner_id"], "1001");
    let refresh = body["refresh_token"].as_str().unwrap();
    assert_eq!(
        world
            .token(&format!("grant_type=refresh_token&refresh_token={refresh}"))
            .await
            .0,
        200
    );
    let password = "grant_type=password&username=%2B1555*101&password=password-of-agent1";
    assert_eq!(world.token(password).await.0, 200);
    for (form, status, code, word) in [
        (
            format!("grant_type=refresh_token&refresh_token={refresh}"),
            400,
            "OAU-140",
            "invalid_grant",
        ),
        (format!("{JWT}nobody"), 400, "OAU-140", "invalid_grant"),
        (
            "grant_type=password&username=101&password=wrong".to_owned(),
            400,
            "OAU-140",
            "invalid_grant",
        ),
        (
            "grant_type=password&username=101".to_owned(),
            400,
            "CMN-101",
            "invalid_request",
        ),
        (
            "grant_type=telepathy".to_owned(),
            400,
            "OAU-250",
            "unsupported_grant_type",
        ),
        (String::new(), 400, "CMN-101", "invalid_request"),
    ] {
        let (got, body) = world.token(&form).await;
        assert_eq!(
            (got.as_u16(), both_shapes(&body), body["error"].as_str()),
            (status, code, Some(word)),
            "{form}"
        );
        assert!(body["error_description"].is_string());
    }
    for headers in [
        &[][..],
        &[("authorization", "Basic YXBwOng=")],
        &[("authorization", "Basic !!")],
    ] {
        let (status, body) = world
            .ask(
                "POST",
                "/restapi/oauth/token",
                headers,
                format!("{JWT}assertion-of-agent1"),
            )
            .await;
        assert_eq!((status.as_u16(), body["error"].as_str()), (401, Some("invalid_client")));
    }
}

#[tokio::test]
async fn nobody_passes_without_a_token() {
    let world = World::new();
    let path = format!("{ACCOUNT}/extension/~");
    for (headers, code) in [
        (&[][..], "OAU-123"),
        (&[("authorization", "Bearer x")], "OAU-128"),
        (&[("authorization", BASIC)], "OAU-149"),
    ] {
        let (status, body) = world.ask("GET", &path, headers, Body::empty()).await;
        assert_eq!((status.as_u16(), both_shapes(&body)), (401, code));
    }
    let bearer = world.log_in("assertion-of-agent1").await;
    let lower = bearer.replace("Bearer", "bearer");
    for bearer in [&bearer, &lower] {
        assert_eq!(
            world
                .ask("GET", &path, &[("authorization", bearer)], Body::empty())
                .await
                .0,
            200
        );
    }
    let token = format!("token={}", bearer.trim_start_matches("Bearer "));
    assert_eq!(
        world
            .ask("POST", "/restapi/oauth/revoke", &[("authorization", BASIC)], token)
            .await
            .0,
        200
    );
    assert_eq!(
        world
            .ask("GET", &path, &[("authorization", &bearer)], Body::empty())
            .await
            .0,
        401
    );
}

#[tokio::test]
async fn look_ups_say_who_one_is() {
    let world = World::new();
    let (_, me) = world
        .as_agent("GET", &format!("{ACCOUNT}/extension/~"), Value::Null)
        .await;
    assert_eq!((&me["id"], &me["account"]["id"]), (&json!(1_001), &json!("400100")));
    let (_, devices) = world
        .as_agent("GET", &format!("{ACCOUNT}/extension/~/device"), Value::Null)
        .await;
    assert_eq!(
        (&devices["records"][0]["id"], &devices["records"][0]["status"]),
        (&json!("801001"), &json!("Offline"))
    );
    for (path, status) in [
        (format!("{ACCOUNT}/extension/1003"), 403),
        (format!("{ACCOUNT}/extension/77"), 404),
        (format!("{ACCOUNT}/presence"), 403),
        ("/restapi/v1.0/account/99/extension/~".to_owned(), 404),
        ("/restapi/v1.0/nowhere".to_owned(), 404),
    ] {
        let (got, body) = world.as_agent("GET", &path, Value::Null).await;
        assert_eq!(got.as_u16(), status, "{path}: {body}");
        both_shapes(&body);
    }
    let (got, body) = world
        .as_agent("DELETE", &format!("{ACCOUNT}/extension/~"), Value::Null)
        .await;
    assert_eq!((got.as_u16(), both_shapes(&body)), (405, "CMN-120"));
}

#[tokio::test]
async fn what_the_engine_refuses_changes_nothing() {
    let world = World::new();
    let session = world.talk().await;
    let base = format!("{ACCOUNT}/telephony/sessions/{session}");
    let party = format!("{base}/parties/p-{}-2", session.trim_start_matches("s-"));
    let before = world.as_agent("GET", &base, Value::Null).await.1;
    assert_eq!(before["parties"][1]["status"]["code"], "Answered");
    assert_eq!(before["parties"][1]["owner"]["extensionId"], "1001");
    for (order, body) in [
        ("hold", Value::Null),
        ("transfer", json!({ "phoneNumber": "+1556" })),
        ("park", Value::Null),
        ("recordings", Value::Null),
        ("flip", json!({ "callFlipId": "1" })),
    ] {
        let (status, answer) = world.as_agent("POST", &format!("{party}/{order}"), body).await;
        let expected = if order == "flip" {
            (404, "CMN-102")
        } else {
            (409, "TAS-102")
        };
        assert_eq!((status.as_u16(), both_shapes(&answer)), expected, "{order}");
    }
    let (status, answer) = world.as_agent("PATCH", &party, json!({ "muted": true })).await;
    assert_eq!((status.as_u16(), both_shapes(&answer)), (403, "TAS-115"));
    let after = world.as_agent("GET", &base, Value::Null).await.1;
    assert_eq!(before, after, "nothing has changed");
    let orders = world.told.lock().unwrap().len();
    for (order, body) in [
        ("unhold", Value::Null),
        ("reject", Value::Null),
        ("forward", json!({ "phoneNumber": "+1556" })),
        ("ignore", json!({ "deviceId": "801001" })),
        ("answer", json!({ "deviceId": "801001" })),
        ("pickup", json!({ "deviceId": "801001" })),
        ("reply", json!({ "replyWithText": "later" })),
    ] {
        let (status, answer) = world.as_agent("POST", &format!("{party}/{order}"), body).await;
        assert_eq!((status.as_u16(), both_shapes(&answer)), (409, "TAS-102"), "{order}");
    }
    assert_eq!(
        world.told.lock().unwrap().len(),
        orders,
        "a wrong state never reaches the engine"
    );
}

#[tokio::test]
async fn a_webhook_in_private_is_never_asked() {
    let world = World::new();
    let own = json!([format!("{ACCOUNT}/extension/~/telephony/sessions")]);
    let subscription = |filters: &Value, mode: Value| json!({ "eventFilters": filters, "deliveryMode": mode });
    let hook = json!({ "transportType": "WebHook", "address": "http://127.0.0.1:1/x" });
    for (body, code) in [
        (subscription(&own, hook.clone()), "SUB-525"),
        (subscription(&own, json!({ "transportType": "PubNub" })), "CMN-101"),
        (subscription(&own, json!({ "transportType": "WebSocket" })), "CMN-101"),
        (subscription(&json!([]), hook.clone()), "CMN-101"),
        (subscription(&json!(["/x"]), hook.clone()), "CMN-101"),
        (
            subscription(&json!(["/account/~/telephony/sessions?direction=up"]), hook.clone()),
            "CMN-101",
        ),
        (subscription(&json!(["/account/~/telephony/sessions"]), hook), "CMN-401"),
        (json!({}), "CMN-101"),
        (json!([]), "CMN-101"),
    ] {
        let (status, answer) = world.as_agent("POST", "/restapi/v1.0/subscription", body.clone()).await;
        assert!(status.is_client_error());
        assert_eq!(both_shapes(&answer), code, "{body}");
    }
    let (status, answer) = world
        .as_agent("GET", "/restapi/v1.0/subscription/none", Value::Null)
        .await;
    assert_eq!((status.as_u16(), both_shapes(&answer)), (404, "CMN-102"));
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_break_nothing() {
    let world = World::new();
    let session = world.talk().await;
    let tail = session.trim_start_matches("s-").to_owned();
    let bearer = world.log_in("assertion-of-the-boss").await;
    let description = serde_json::to_value(ringcentral::openapi()).unwrap();
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"\"x\"".to_vec(),
        b"1e999".to_vec(),
        b"{\"a\":".to_vec(),
        vec![0xff, 0xfe, 0x00],
        "[".repeat(100_000).into_bytes(),
        br#"{"phoneNumber":"sip:x@y\r\nVia: z"}"#.to_vec(),
        br#"{"phoneNumber":{},"party":7,"muted":"yes","eventFilters":{"a":1},"mode":[1],"callFlipId":-1}"#.to_vec(),
        br#"{"telephonySessionId":"s-\u0000","partyId":"","sessionId":"s-","deviceId":18446744073709551615}"#.to_vec(),
        format!(r#"{{"replyWithText":"{}"}}"#, "x".repeat(300_000)).into_bytes(),
    ];
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 25, "{}", paths.len());
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            for (ids, body) in [(true, 0), (false, 1)]
                .iter()
                .flat_map(|(ids, _)| bodies.iter().map(move |body| (*ids, body)))
            {
                let (s, p) = if ids {
                    (session.clone(), format!("p-{tail}-2"))
                } else {
                    ("s-%00z".to_owned(), "p-%F0%9F".to_owned())
                };
                let path = path
                    .replace("{account}", "~")
                    .replace("{session}", &s)
                    .replace("{party}", &p)
                    .replace("{extension}", "~")
                    .replace("{subscription}", "none")
                    .replace("{recording}", "none");
                let method = method.to_ascii_uppercase();
                let (status, _) = world
                    .ask(&method, &path, &[("authorization", &bearer)], body.clone())
                    .await;
                assert!(
                    !status.is_server_error(),
                    "{method} {path} {:?}: {status}",
                    String::from_utf8_lossy(&body[..body.len().min(80)])
                );
            }
        }
    }
}
