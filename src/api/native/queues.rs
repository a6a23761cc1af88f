//! Queues: who waits, and what users do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::Problem;
use super::{Shared, body};
use crate::api::queue::desk::UserState;

/// All queues: how many wait, how long on average, how many users are available.
#[utoipa::path(get, path = "/v1/queues", tag = "queues",
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Problem> {
    let queues = shared.queues.as_ref().ok_or_else(none)?;
    queues.queues().await.map(Json).ok_or_else(Problem::late)
}

/// Who waits in a queue, the next one first.
#[utoipa::path(get, path = "/v1/queues/{queue}/callers", tag = "queues",
    params(("queue" = String, Path, description = "Its name")),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn callers(
    State(shared): State<Arc<Shared>>,
    Path(queue): Path<String>,
) -> Result<Json<Value>, Problem> {
    let queues = shared.queues.as_ref().ok_or_else(none)?;
    let found = queues.callers(&queue).await;
    found.map(Json).ok_or_else(|| Problem::no_queue("queue", &queue))
}

/// All users of queues: what they do and can.
#[utoipa::path(get, path = "/v1/agents", tag = "queues",
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn agents(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Problem> {
    let queues = shared.queues.as_ref().ok_or_else(none)?;
    queues.agents().await.map(Json).ok_or_else(Problem::late)
}

/// What a user does from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Does {
    state: Word,
}

/// What a user can say of itself.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    /// Takes the next caller.
    Available,
    /// Does something else.
    Busy,
    /// Takes none.
    Away,
}

/// Say what a user does.
#[utoipa::path(put, path = "/v1/agents/{agent}", tag = "queues", request_body = Does,
    params(("agent" = String, Path, description = "Its name")),
    responses((status = 204, description = "So it is"), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn set_state(
    State(shared): State<Arc<Shared>>,
    Path(agent): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let queues = shared.queues.as_ref().ok_or_else(none)?;
    let Does { state } = body::json(&body::octets(request).await?)?;
    let state = match state {
        Word::Available => UserState::Available,
        Word::Busy => UserState::Busy,
        Word::Away => UserState::Away,
    };
    match queues.set_state(&agent, state).await {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::no_queue("agent", &agent)),
    }
}

fn none() -> Problem {
    Problem::no_queue("queue", "any")
}
