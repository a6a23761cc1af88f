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
