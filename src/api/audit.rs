//! What the audit log is told: orders of API clients, with whose token and from where, and the events that matter for security.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{EventLog, Happened};
use crate::engine::Event;

/// Takes one entry: an object.
pub type Sink = Arc<dyn Fn(Value) + Send + Sync>;

/// Passes a request on and notes what came of it. Questions (GET, HEAD, OPTIONS) are noted only when they were refused.
pub async fn note_orders(sink: Sink, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(200).collect();
    let from = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|from| from.0.ip().to_canonical().to_string());
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .map(|value| fingerprint(value.as_bytes()));
    let response = next.run(request).await;
    let status = response.status();
    let asks = matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !asks || matches!(status.as_u16(), 401 | 403) {
        sink(json!({
            "what": "api", "method": method.as_str(), "path": path, "status": status.as_u16(), "from": from, "token": token,
        }));
    }
    response
}

/// Tells tokens apart without giving them away: half of these bits would do for that, and nobody finds a token by them.
fn fingerprint(authorization: &[u8]) -> String {
    let digest = Sha256::digest(authorization);
    digest.iter().take(4).map(|octet| format!("{octet:02x}")).collect()
}

/// Notes events until the edge ends.
pub async fn note_events(log: Arc<EventLog>, sink: Sink) {
    let mut events = EventLog::subscribe(&log, None);
    loop {
        match events.next().await {
            Happened::Event(stamped) if matters(&stamped.event) => {
                let mut entry = serde_json::to_value(&stamped.event).unwrap_or_default();
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("what".to_owned(), json!("event"));
                    entry.insert("sequence".to_owned(), json!(stamped.sequence));
                }
                sink(entry);
            }
            Happened::Event(_) => {}
            Happened::Missed { from, to } => sink(json!({"what": "missed", "from": from, "to": to})),
        }
    }
}

fn matters(event: &Event) -> bool {
    match event {
        Event::RegistrationAdded { .. }
        | Event::RegistrationRemoved { .. }
        | Event::CallForwarded { .. }
        | Event::TransferRequested { .. }
        | Event::TransferCompleted { .. }
        | Event::TransferFailed { .. }
        | Event::SourceLimited { .. }
        | Event::SourceBanned { .. }
        | Event::WebhookFailed { .. } => true,
        // Calls have their records; a stranger can cause as many refusals as it likes.
        Event::CallStarted { .. }
        | Event::CallConnected { .. }
        | Event::CallHeld { .. }
        | Event::CallResumed { .. }
        | Event::CallRestored { .. }
        | Event::CallEnded { .. }
        | Event::LegStarted { .. }
        | Event::LegRinging { .. }
        | Event::LegConfirmed { .. }
        | Event::LegEnded { .. }
        | Event::TransferProgress { .. }
        | Event::MessageRefused { .. }
        | Event::Media(_)
        | Event::Hub(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn orders_and_refusals_are_noted_without_their_token() {
        let noted: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&noted);
        let sink: Sink = Arc::new(move |entry| kept.lock().unwrap().push(entry));
        let refuse = async || axum::http::StatusCode::UNAUTHORIZED;
        let router = Router::new()
            .route("/v1/calls", get(async || "[]").post(async || "done"))
            .route("/v1/secret", get(refuse))
            .layer(middleware::from_fn(move |request, next| {
                note_orders(Arc::clone(&sink), request, next)
            }));
        for (method, path) in [
            ("GET", "/v1/calls"),
            ("POST", "/v1/calls?secret=1"),
            ("GET", "/v1/secret"),
        ] {
            let request = axum::http::Request::builder().method(method).uri(path);
            let request = request
                .header("authorization", "Bearer hunter2")
                .body(Body::empty())
                .unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        let noted = noted.lock().unwrap();
        let told: Vec<_> = noted
            .iter()
            .map(|entry| (entry["path"].as_str().unwrap(), entry["status"].as_u64().unwrap()))
            .collect();
        assert_eq!(told, [("/v1/calls", 200), ("/v1/secret", 401)]);
        let text = serde_json::to_string(&*noted).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("secret=1"), "{text}");
        assert_eq!(noted[0]["token"], noted[1]["token"]);
    }
}
