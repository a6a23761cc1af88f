//! Media of a leg that passes through the edge: digits, recordings.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::named::Named;
use super::problem::Problem;
use super::{Shared, body, schema};
use crate::engine::{Command, LegHandle, Reply};

/// What to play.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Digits {
    /// 1 to 64 of 0-9, *, #, A-D.
    #[schema(example = "42#")]
    digits: String,
}

/// Play DTMF to the party of a leg whose media passes through the edge (RFC 4733, or tones).
#[utoipa::path(post, path = "/v1/legs/{leg}/digits", tag = "legs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Digits,
    responses((status = 204, description = "They are being played"), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn digits(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let octets = body::octets(request).await?;
    let digits = body::json::<Digits>(&octets)?.digits;
    shared.done(Command::Digits { leg, digits }).await
}

/// Record the party of a leg and what it hears, through holds and transfers, until its end.
#[utoipa::path(post, path = "/v1/legs/{leg}/recording", tag = "legs", params(("leg" = String, Path, description = "Its handle")),
    responses((status = 200, body = schema::Recording), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn record(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
) -> Result<Json<Value>, Problem> {
    let Reply::Recording(recording) = shared.ask(Command::Record { leg }).await? else {
        return Err(shared.confused());
    };
    Ok(Json(json!({ "recording": recording })))
}

/// End the recording of a leg.
#[utoipa::path(delete, path = "/v1/legs/{leg}/recording", tag = "legs", params(("leg" = String, Path, description = "Its handle")),
    responses((status = 204, description = "Ended"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn stop(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
) -> Result<StatusCode, Problem> {
    shared.done(Command::StopRecording { leg }).await
}
