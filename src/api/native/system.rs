//! What machines ask: health, metrics, the description of the API.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Shared, schema};
use crate::engine::{Command, Reply, Totals};

/// A load balancer does not wait longer.
const HEALTHY_WITHIN: Duration = Duration::from_secs(2);

async fn totals(shared: &Shared) -> Result<Totals, Problem> {
    let Reply::Totals(totals) = shared.ask(Command::Totals).await? else {
        return Err(shared.confused());
    };
    Ok(totals)
}

/// Whether the engine answers. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "system", security(()),
    responses((status = 200, body = schema::Health), (status = 503, body = Problem), (status = 504, body = Problem)))]
pub(super) async fn health(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Problem> {
    tokio::time::timeout(HEALTHY_WITHIN, totals(&shared))
        .await
        .map_err(|_| Problem::late())??;
    Ok(Json(json!({ "status": "ok" })))
}

/// What stands between the edge and new calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The edge is on its way out.
    pub draining: bool,
    /// Whether the PBX answers OPTIONS; `None`: there is none, or it was not asked yet.
    pub pbx_up: Option<bool>,
}

/// Whether new calls should come here: the listeners are bound, the edge is not stopping, and the PBX, if there is one,
/// answers. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "system", security(()),
    responses((status = 200, body = schema::Ready), (status = 503, body = Problem), (status = 504, body = Problem)))]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Problem> {
    // The engine runs only with all its listeners bound; that it answers says both.
    tokio::time::timeout(HEALTHY_WITHIN, totals(&shared))
        .await
        .map_err(|_| Problem::late())??;
    let Readiness { draining, pbx_up } = (shared.ready)();
    match (draining, pbx_up) {
        (true, _) => Err(Problem::not_ready("the edge is stopping and takes no new calls")),
        (false, Some(false)) => Err(Problem::not_ready("the PBX does not answer OPTIONS")
            .hint("is it up, and does it answer this machine? [pbx] uri says where it is asked")),
        (false, Some(true) | None) => Ok(Json(json!({ "status": "ready", "pbx_up": pbx_up }))),
    }
}

/// Counters and gauges for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "system", responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<impl IntoResponse, Problem> {
    let page = (shared.metrics)(&totals(&shared).await?);
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        page,
    ))
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "system", responses((status = 200, content_type = "application/json", body = Object)))]
pub(super) async fn description(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], shared.description.clone())
}
