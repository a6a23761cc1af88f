//! Bodies that clients and applications send: the native API, Twilio's forms and TwiML, RingCentral's JSON, bots' answers,
//! TaskRouter's expressions. The orders that come of them reach a real engine with two callers in it.
//!
//! The first line is `METHOD path`, or `TWIML`, `BOT`, `EXPRESSION` for what is read of an application's answer; the body
//! is the rest.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use warmline::api::{EngineHandle, EventLog, answers, native, ringcentral, twilio, webhook};
use warmline::config::Config;
use warmline::engine::{Engine, HoldDirection, Input, Output};
use warmline::transport::{Flow, Transport};

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
[[application]]
name = "sales"
match = "^1555"
[api]
listen = "127.0.0.1:8080"
token = "token-of-the-fuzzer"
[twilio]
account_sid = "AC00000000000000000000000000000000"
auth_token = "token-of-the-fuzzer"
[ringcentral]
client_id = "app"
client_secret = "secret-of-the-app"
account = "400100"
[[ringcentral.extension]]
user = "boss"
number = "103"
id = "1003"
admin = true
jwt = "assertion-of-the-boss"
"#;
const TOKEN: &str = "token-of-the-fuzzer";
/// `AC…:token-of-the-fuzzer`, and `app:secret-of-the-app`.
const TWILIO: &str = "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDp0b2tlbi1vZi10aGUtZnV6emVy";
const LOGIN: &str = "Basic YXBwOnNlY3JldC1vZi10aGUtYXBw";
const JWT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=assertion-of-the-boss";
/// What one desk remembers must not slow the next inputs down.
const INPUTS_A_DESK: u32 = 64;

thread_local! {
    static DESK: RefCell<Option<Desk>> = const { RefCell::new(None) };
}

pub(super) fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        let _ = answers::bot(octets);
        return;
    };
    let (first, body) = text.split_once('\n').unwrap_or((text, ""));
    match first {
        "TWIML" => drop(answers::twiml(body)),
        "BOT" => drop(answers::bot(body.as_bytes())),
        "EXPRESSION" => {
            let (expression, attributes) = body.split_once('\n').unwrap_or((body, "{}"));
            let _ = answers::expression(expression, attributes);
        }
        line => {
            let Some((method, path)) = line.split_once(' ') else {
                return;
            };
            DESK.with_borrow_mut(|desk| {
                let fresh = desk.as_ref().is_none_or(|desk| desk.asked >= INPUTS_A_DESK);
                if fresh {
                    *desk = Some(Desk::new());
                }
                if let Some(desk) = desk {
                    desk.asked += 1;
                    desk.ask(method, path, body);
                }
            });
        }
    }
}

struct Desk {
    runtime: Runtime,
    native: Router,
    twilio: Router,
    ringcentral: Router,
    bearer: String,
    asked: u32,
}

impl Desk {
    fn new() -> Desk {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let config = Config::read("edge.toml", FILE).unwrap_or_else(|report| panic!("{report}"));
        let log = Arc::new(EventLog::new());
        let (edge, orders) = EngineHandle::new(Arc::clone(&log));
        let (native, twilio, ringcentral) = runtime.block_on(async {
            tokio::spawn(work(engine(&config), orders, edge.clone()));
            dialects(&config, &edge)
        });
        let mut desk = Desk {
            runtime,
            native,
            twilio,
            ringcentral,
            bearer: String::new(),
            asked: 0,
        };
        let grant = desk.send("POST", "/restapi/oauth/token", JWT).unwrap_or_default();
        let grant: serde_json::Value = serde_json::from_slice(&grant).expect("a grant");
        desk.bearer = format!("Bearer {}", grant["access_token"].as_str().expect("a token"));
        desk
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) {
        let _ = self.send(method, path, body);
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> Option<Bytes> {
        let (router, authorization, kind) = match path {
            path if path.starts_with("/restapi/oauth") => {
                (&self.ringcentral, LOGIN, "application/x-www-form-urlencoded")
            }
            path if path.starts_with("/restapi") => (&self.ringcentral, self.bearer.as_str(), "application/json"),
            path if path.starts_with("/2010") || path.starts_with("/v1/Work") => {
                (&self.twilio, TWILIO, "application/x-www-form-urlencoded")
            }
            _ => (&self.native, "Bearer token-of-the-fuzzer", "application/json"),
        };
        // A stream of events has no end.
        let endless = path.contains("events") || path.contains("/media");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()))
            .ok()
            .filter(|_| !endless)?;
        let router = router.clone();
        self.runtime.block_on(async move {
            let response = router.oneshot(request).await.expect("never fails");
            let status = response.status();
            let answer = response.into_body().collect().await.ok()?.to_bytes();
            let text = String::from_utf8_lossy(&answer);
            assert_ne!(status.as_u16(), 500, "a defect by its own words: {text}");
            assert!(!text.contains(TOKEN), "a secret in {text}");
            Some(answer)
        })
    }
}

fn dialects(config: &Config, edge: &EngineHandle) -> (Router, Router, Router) {
    let hooks = webhook::Client::new(webhook::Options::default(), edge.clone()).expect("a client");
    let access = native::Access::new(TOKEN, HoldDirection::SendOnly);
    let native = native::router(native::Options::new(edge.clone(), access));
    let twilio = twilio::start(twilio::Options {
        account: config.twilio.clone().expect("[twilio]"),
        base_url: "http://127.0.0.1:8080".to_owned(),
        domain: config.domain(),
        edge: edge.clone(),
        hooks: hooks.clone(),
        recordings: None,
    });
    let ringcentral = ringcentral::router(ringcentral::Options {
        section: &config.ringcentral.clone().expect("[ringcentral]"),
        domain: &config.domain(),
        listens: "http://127.0.0.1:8080",
        salt: 0x5eed,
        edge: edge.clone(),
        hooks,
    });
    (native, twilio, ringcentral)
}

#[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
fn now() -> Instant {
    thread_local! {
        static NOW: Instant = Instant::now();
    }
    NOW.with(|now| *now)
}

/// Two callers wait in the application `sales`.
fn engine(config: &Config) -> Engine {
    let settings = config.settings([0; 16], |_| None).expect("no names to look up");
    let mut engine = Engine::new(settings, now());
    for caller in ["c1", "c2"] {
        let body =
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let invite = format!(
            "INVITE sip:1555@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:6000;branch=z9hG4bK{caller}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{caller}@example.test>;tag={caller}\r\nTo: <sip:1555@example.test>\r\n\
             Call-ID: {caller}\r\nCSeq: 1 INVITE\r\nContact: <sip:{caller}@127.0.0.1:6000>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let flow = Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().expect("an address"),
            remote: "127.0.0.1:6000".parse().expect("an address"),
            connection: 0,
        };
        let bytes = Bytes::from(invite);
        engine.handle_input(now(), Input::Received { flow, bytes });
    }
    engine
}

/// Carries orders out. What waits for a party is never answered: there is none.
async fn work(mut engine: Engine, mut orders: tokio::sync::mpsc::Receiver<warmline::api::Order>, edge: EngineHandle) {
    let mut number = 0;
    loop {
        let Some(order) = orders.recv().await else { return };
        number += 1;
        let id = warmline::engine::CommandId(number);
        engine.handle_input(
            now(),
            Input::Command {
                id,
                command: order.command,
            },
        );
        let mut reply = None;
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Reply {
                    id: answered,
                    reply: given,
                } if answered == id => reply = Some(given),
                Output::Event(event) => edge.tell(event),
                Output::Reply { .. }
                | Output::Transmit { .. }
                | Output::Store { .. }
                | Output::Media(_)
                | Output::Resolve { .. } => {}
            }
        }
        if let Some(reply) = reply {
            order.answer.send(reply).ok(); // the asker may have gone
        }
    }
}
