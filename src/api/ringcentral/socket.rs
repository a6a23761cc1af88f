//! Notifications over a WebSocket: JSON arrays of `[meta, body]`, requests about subscriptions, heartbeats, and recovery.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::access::random_hex;
use super::fault::Fault;
use super::state::Shared;
use super::subscribe::{BUFFERED, RECOVERY};
use crate::api::{rfc3339, time};

/// The longest message that a client may send.
const MOST_HEARD: usize = 64 * 1024;
/// A client that says nothing for so long has gone.
const IDLE: Duration = Duration::from_secs(1_800);
/// No connection lasts longer.
const ABSOLUTE: Duration = Duration::from_secs(86_400);

/// How a client proves who it is, and what it wants to take up again.
#[derive(Deserialize)]
pub(super) struct Entry {
    access_token: Option<String>,
    wsc: Option<String>,
}

pub(super) async fn connect(
    State(shared): State<Arc<Shared>>,
    entry: Result<Query<Entry>, axum::extract::rejection::QueryRejection>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let (Ok(Query(entry)), Ok(upgrade)) = (entry, upgrade) else {
        return Fault::uri().into_response();
    };
    let token = entry.access_token.unwrap_or_default();
    let owner = shared.access().take_socket(time::now(), &token);
    upgrade.max_message_size(MOST_HEARD).on_upgrade(async move |mut socket| match owner {
        Some(owner) => serve(&shared, socket, owner, entry.wsc.as_deref()).await,
        None => {
            // Clients read the refusal here, not in the handshake.
            let meta = json!({ "type": "Error", "messageId": random_hex(32).unwrap_or_default(), "status": 401, "headers": {} });
            let fault = Fault::token("OAU-128", "Access token corrupted");
            say(&mut socket, json!([meta, fault.json()])).await;
        }
    })
}

async fn say(socket: &mut WebSocket, frame: Value) -> bool {
    socket.send(Message::Text(frame.to_string().into())).await.is_ok()
}

async fn serve(shared: &Arc<Shared>, mut socket: WebSocket, owner: usize, wsc: Option<&str>) {
    let now = time::now();
    let (recovered, state) = match wsc {
        Some(token) => match shared.subscriptions().recover(token, owner, now) {
            Some(found) => (Some(found), Some("Successful")),
            None => (None, Some("Failed")),
        },
        None => (None, None),
    };
    let (name, mut inlet, missed) = match recovered {
        Some(found) => found,
        None => match shared.subscriptions().connect(owner, now) {
            Ok((name, inlet)) => (name, inlet, Vec::new()),
            Err(_) => return, // no random numbers: the client comes back
        },
    };
    let details = details(shared, &name, state);
    let mut open = say(&mut socket, details).await;
    for text in missed {
        open = open && socket.send(Message::Text(text.into())).await.is_ok();
    }
    if open {
        exchange(shared, &mut socket, owner, &name, &mut inlet).await;
    }
    drop(inlet);
    shared.subscriptions().disconnect(&name, time::now());
}

/// The first frame.
fn details(shared: &Shared, name: &str, recovery: Option<&str>) -> Value {
    let meta = json!({
        "type": "ConnectionDetails",
        "messageId": random_hex(32).unwrap_or_default(),
        "status": 200,
        "wsc": shared.subscriptions().wsc(name),
        "headers": {},
    });
    let mut body = json!({
        "creationTime": rfc3339(time::now()),
        "maxConnectionsPerSession": 5,
        "recoveryBufferSize": BUFFERED,
        "recoveryTimeout": RECOVERY.as_secs(),
        "idleTimeout": IDLE.as_secs(),
        "absoluteTimeout": ABSOLUTE.as_secs(),
        "maxActiveRequests": 10,
    });
    if let (Some(state), Some(object)) = (recovery, body.as_object_mut()) {
        object.insert("recoveryState".to_owned(), json!(state));
    }
    json!([meta, body])
}

async fn exchange(
    shared: &Arc<Shared>,
    socket: &mut WebSocket,
    owner: usize,
    name: &str,
    inlet: &mut mpsc::Receiver<String>,
) {
    let end = Instant::now() + ABSOLUTE;
    let mut idle = Instant::now() + IDLE;
    loop {
        let sent = tokio::select! {
            text = inlet.recv() => match text {
                Some(text) => socket.send(Message::Text(text.into())).await.is_ok(),
                None => return, // too slow, or taken up elsewhere
            },
            heard = socket.recv() => {
                idle = Instant::now() + IDLE;
                match heard {
                    Some(Ok(Message::Text(text))) => match answer(shared, owner, name, &text).await {
                        Some(frame) => say(socket, frame).await,
                        None => true,
                    },
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => true,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
            }
            () = sleep_until(idle.min(end)) => return,
        };
        if !sent {
            return;
        }
    }
}

/// What one message of the client is answered with.
async fn answer(shared: &Arc<Shared>, owner: usize, name: &str, text: &str) -> Option<Value> {
    let frame: Option<Vec<Value>> = serde_json::from_str(text).ok();
    let frame = frame.unwrap_or_default();
    let meta = frame.first().cloned().unwrap_or_default();
    let word = |key: &str| meta.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = word("messageId");
    match word("type").as_str() {
        "Heartbeat" => Some(json!([{ "type": "Heartbeat", "messageId": id }])),
        "ClientRequest" => {
            let body = frame.get(1).cloned().unwrap_or_else(|| json!({}));
            let (path, method) = (word("path"), word("method"));
            let done = request(shared, owner, name, &method.to_ascii_uppercase(), &path, body).await;
            let wsc = shared.subscriptions().wsc(name);
            Some(match done {
                Ok((status, headers, body)) => {
                    let meta = json!({ "type": "ClientRequest", "messageId": id, "status": status, "headers": headers, "wsc": wsc });
                    json!([meta, body])
                }
                Err(fault) => {
                    let meta = json!({ "type": "ClientRequest", "messageId": id, "status": fault.status(), "headers": {}, "wsc": wsc });
                    json!([meta, fault.json()])
                }
            })
        }
        _ => {
            let meta = json!({ "type": "Error", "messageId": id, "status": 400, "headers": {} });
            Some(json!([meta, Fault::body("no frame of this protocol").json()]))
        }
    }
}

/// Status, headers and body of an answer. Every one about a subscription names it in its headers: clients need that.
async fn request(
    shared: &Arc<Shared>,
    owner: usize,
    name: &str,
    method: &str,
    path: &str,
    body: Value,
) -> Result<(u16, Value, Value), Fault> {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let path = path.strip_prefix("/restapi/v1.0").unwrap_or(path);
    let id = path
        .strip_prefix("/subscription")
        .ok_or_else(Fault::uri)?
        .trim_start_matches('/');
    let wanted = || serde_json::from_value(body).map_err(|_| Fault::parameter("eventFilters", ""));
    let (status, told) = match (method, id) {
        ("POST", "") => (200, shared.subscribe(owner, wanted()?, Some(name)).await?),
        ("PUT", id) if !id.is_empty() => (200, shared.resubscribe(owner, id, wanted()?, Some(name)).await?),
        ("GET", id) if !id.is_empty() => (200, shared.subscription(owner, id)?),
        ("DELETE", id) if !id.is_empty() => {
            shared.unsubscribe(owner, id)?;
            (204, json!({}))
        }
        _ => return Err(Fault::method()),
    };
    let known = told.get("id").and_then(Value::as_str).unwrap_or(id);
    let headers = json!({ "RCRequestId": random_hex(32)?, "WSG-SubscriptionId": known });
    Ok((status, headers, told))
}
