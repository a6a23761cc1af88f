//! Events as they happen, as server-sent events (HTML Living Standard §9.2) or over a WebSocket (RFC 6455).
//!
//! Both pass the same authorisation, before the upgrade (LESSONS 41), and neither takes orders: what a client sends on
//! its WebSocket is read and dropped.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message as Heard, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::problem::Problem;
use crate::api::{Happened, Subscription};

/// A proxy between us and the client cuts what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The longest message that a client may send; none is of any use.
const MOST_HEARD: usize = 4_096;

/// Where to begin.
#[derive(Deserialize)]
pub(super) struct Start {
    after: Option<u64>,
}

/// Everything that happens, one event each with `id` (its number), `event` (its name) and `data` (one JSON object).
///
/// A client that comes back with `Last-Event-ID` gets what it missed first; `?after=0` gives all that is remembered.
/// When events have been forgotten meanwhile, `events.missed` says which. With `Upgrade: websocket` the same objects come
/// as text messages, from a page of the same origin or from no page at all.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client saw"),
        ("after" = Option<u64>, Query, description = "The same, for clients that cannot set headers")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 101, description = "WebSocket"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    query: Result<Query<Start>, axum::extract::rejection::QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Query(Start { after }) =
        query.map_err(|_| Problem::malformed("`after` must be the number of an event").field("after"))?;
    let after = match headers.get("last-event-id") {
        None => after,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .ok_or_else(|| {
                    Problem::malformed("the header must be the `id` of an event of this stream").field("Last-Event-ID")
                })?,
        ),
    };
    let subscription = shared.edge.events(after);
    if headers.contains_key(header::UPGRADE) {
        let upgrade = upgrade.map_err(|error| Problem::malformed(error.body_text()).field("Upgrade"))?;
        same_origin(&headers)?;
        return Ok(upgrade
            .max_message_size(MOST_HEARD)
            .on_upgrade(|socket| feed(socket, subscription)));
    }
    let stream = stream::unfold(subscription, async |mut subscription| {
        let over = subscription.over();
        let happened = tokio::select! {
            biased;
            happened = subscription.next() => happened,
            () = over => return None,
        };
        let sent = match happened {
            Happened::Event(stamped) => {
                let sent = Sent::default()
                    .id(stamped.sequence.to_string())
                    .event(stamped.event.name());
                sent.json_data(&*stamped)
                    .unwrap_or_else(|_| Sent::default().comment("unprintable event"))
            }
            Happened::Missed { from, to } => Sent::default()
                .id(to.to_string())
                .event("events.missed")
                .data(missed(from, to)),
        };
        Some((Ok::<_, Infallible>(sent), subscription))
    });
    let sent = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(sent.into_response())
}

fn missed(from: u64, to: u64) -> String {
    json!({ "event": "events.missed", "from": from, "to": to }).to_string()
}

/// RFC 6455 §10.2: a page of somebody else must not read through the browser of one who may.
fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(()); // no browser
    };
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Problem::foreign_origin(origin)),
    }
}

/// One JSON object a text message, until either side closes.
async fn feed(mut socket: WebSocket, mut subscription: Subscription) {
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    let over = subscription.over();
    tokio::pin!(over);
    loop {
        let sent = tokio::select! {
            happened = subscription.next() => {
                let text = match happened {
                    Happened::Event(stamped) => serde_json::to_string(&*stamped).unwrap_or_default(),
                    Happened::Missed { from, to } => missed(from, to),
                };
                socket.send(Heard::Text(text.into())).await
            }
            () = &mut over => return,
            _ = alive.tick() => socket.send(Heard::Ping(Bytes::new())).await,
            heard = socket.recv() => match heard {
                Some(Ok(Heard::Close(_)) | Err(_)) | None => return,
                Some(Ok(Heard::Text(_) | Heard::Binary(_) | Heard::Ping(_) | Heard::Pong(_))) => Ok(()),
            },
        };
        if sent.is_err() {
            return; // the client has gone
        }
    }
}
