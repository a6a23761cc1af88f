//! The message ladder of a call.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::named::Named;
use super::problem::Problem;
use super::{Shared, schema};
use crate::engine::CallHandle;

/// What was said in a call and its transfers, message by message, with the rule that fired at each step; also for a while
/// after its end. `Accept: text/plain` gives it drawn.
#[utoipa::path(get, path = "/v1/calls/{call}/ladder", tag = "calls", params(("call" = String, Path, description = "Its handle")),
    responses((status = 200, body = schema::Ladder), (status = 404, body = Problem)))]
pub(super) async fn ladder(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let page = (shared.ladder)(call).ok_or_else(|| Problem::no_ladder(&call.to_string()))?;
    let plain = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.trim_start().starts_with("text/plain"));
    if plain {
        return Ok(page["text"].as_str().unwrap_or_default().to_owned().into_response());
    }
    Ok(Json(page).into_response())
}
