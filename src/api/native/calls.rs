//! Calls, legs and bindings: what is there, hold, resume, hang up.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::named::Named;
use super::page::Page;
use super::problem::Problem;
use super::{Shared, body, schema};
use crate::engine::{CallHandle, Command, HoldDirection, LegHandle, Reply};

/// All calls.
#[utoipa::path(get, path = "/v1/calls", tag = "calls",
    params(("limit" = Option<usize>, Query, description = "At most so many")),
    responses((status = 200, body = schema::Calls), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>, page: Page) -> Result<Json<Value>, Problem> {
    let limit = page.limit();
    let Reply::FirstCalls { calls, total } = shared.ask(Command::FirstCalls { limit }).await? else {
        return Err(shared.confused());
    };
    Ok(Json(json!({ "calls": calls, "total": total })))
}

/// One call.
#[utoipa::path(get, path = "/v1/calls/{call}", tag = "calls", params(("call" = String, Path, description = "Its handle")),
    responses((status = 200, body = schema::Call), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
) -> Result<Json<Value>, Problem> {
    let Reply::Call(call) = shared.ask(Command::Call { call }).await? else {
        return Err(shared.confused());
    };
    Ok(Json(json!(call)))
}

/// Hang up: every leg of the call is released.
#[utoipa::path(delete, path = "/v1/calls/{call}", tag = "calls", params(("call" = String, Path, description = "Its handle")),
    responses((status = 204, description = "Hung up"), (status = 404, body = Problem)))]
pub(super) async fn hang_up(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
) -> Result<StatusCode, Problem> {
    shared.done(Command::HangUpCall { call }).await
}

/// How to hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Hold {
    /// Default: as configured.
    direction: Option<Direction>,
    /// The prompt that the party hears. Default: the configured hold music.
    #[schema(example = "sales")]
    music: Option<String>,
}

/// What the held party is told (RFC 3264 §8.4).
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    /// The party keeps listening.
    SendOnly,
    /// No media either way.
    Inactive,
}

/// Put the party of a leg on hold by re-INVITE. Answered when the party has agreed.
#[utoipa::path(post, path = "/v1/legs/{leg}/hold", tag = "legs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Option<Hold>,
    responses((status = 204, description = "Held"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 502, body = Problem, description = "The party did not agree")))]
pub(super) async fn hold(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let octets = body::octets(request).await?;
    let wish = if octets.is_empty() {
        Hold {
            direction: None,
            music: None,
        }
    } else {
        body::json::<Hold>(&octets)?
    };
    let music = wish.music;
    let direction = match wish.direction {
        None if music.is_some() => HoldDirection::SendOnly,
        Some(Direction::SendOnly) => HoldDirection::SendOnly,
        Some(Direction::Inactive) => HoldDirection::Inactive,
        None => shared.access.hold(),
    };
    shared.done(Command::Hold { leg, direction, music }).await
}

/// Take the party of a leg back from hold. Answered when the party has agreed.
#[utoipa::path(post, path = "/v1/legs/{leg}/resume", tag = "legs", params(("leg" = String, Path, description = "Its handle")),
    responses((status = 204, description = "Resumed"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 502, body = Problem, description = "The party did not agree")))]
pub(super) async fn resume(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
) -> Result<StatusCode, Problem> {
    shared.done(Command::Resume { leg }).await
}

/// End a leg, and with it its call.
#[utoipa::path(delete, path = "/v1/legs/{leg}", tag = "legs", params(("leg" = String, Path, description = "Its handle")),
    responses((status = 204, description = "Hung up"), (status = 404, body = Problem)))]
pub(super) async fn drop_leg(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
) -> Result<StatusCode, Problem> {
    shared.done(Command::HangUpLeg { leg }).await
}

/// All bindings of the registrar.
#[utoipa::path(get, path = "/v1/registrations", tag = "registrations",
    params(("limit" = Option<usize>, Query, description = "At most so many")),
    responses((status = 200, body = schema::Registrations), (status = 400, body = Problem)))]
pub(super) async fn registrations(State(shared): State<Arc<Shared>>, page: Page) -> Result<Json<Value>, Problem> {
    let Reply::Registrations(bindings) = shared.ask(Command::Registrations).await? else {
        return Err(shared.confused());
    };
    let total = bindings.len();
    Ok(Json(json!({ "registrations": page.first(bindings), "total": total })))
}
