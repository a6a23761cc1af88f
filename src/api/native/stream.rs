//! Events as they happen, as server-sent events (HTML Living Standard §9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::problem::Problem;
use crate::api::Happened;

/// A proxy between us and the client cuts what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where to begin.
#[derive(Deserialize)]
pub(super) struct Start {
    after: Option<u64>,
}

/// Everything that happens, one event each with `id` (its number), `event` (its name) and `data` (one JSON object).
///
/// A client that comes back with `Last-Event-ID` gets what it missed first; `?after=0` gives all that is remembered.
/// When events have been forgotten meanwhile, `events.missed` says which.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client saw"),
        ("after" = Option<u64>, Query, description = "The same, for clients that cannot set headers")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 400, body = Problem)))]
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    query: Result<Query<Start>, axum::extract::rejection::QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Problem> {
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
    let stream = stream::unfold(subscription, async |mut subscription| {
        let sent = match subscription.next().await {
            Happened::Event(stamped) => {
                let sent = Sent::default()
                    .id(stamped.sequence.to_string())
                    .event(stamped.event.name());
                sent.json_data(&*stamped)
                    .unwrap_or_else(|_| Sent::default().comment("unprintable event"))
            }
            Happened::Missed { from, to } => {
                let data = json!({ "event": "events.missed", "from": from, "to": to });
                Sent::default()
                    .id(to.to_string())
                    .event("events.missed")
                    .data(data.to_string())
            }
        };
        Some((Ok(sent), subscription))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
