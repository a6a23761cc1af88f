//! Legs that wait for an application or take part in a hub.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::dial::uri;
use super::hubs::{Sound, sound};
use super::named::Named;
use super::problem::Problem;
use super::role::Role;
use super::{Shared, body};
use crate::engine::{self, AudienceHandle, CallHandle, Command, LegHandle};

/// The role in a body that may be missing.
async fn role(request: Request) -> Result<engine::Role, Problem> {
    let octets = body::octets(request).await?;
    let role: Role = if octets.is_empty() {
        Role::default()
    } else {
        body::json(&octets)?
    };
    role.read("")
}

/// Tell a caller that waits for an application that it rings (180).
#[utoipa::path(post, path = "/v1/legs/{leg}/ring", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    responses((status = 204, description = "Told"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn ring(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
) -> Result<StatusCode, Problem> {
    shared.done(Command::Ring { leg }).await
}

/// Answer a caller that waits for an application: it is in a hub of its own from then on.
#[utoipa::path(post, path = "/v1/legs/{leg}/answer", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Option<Role>,
    responses((status = 204, description = "Answered"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem, description = "What it offers cannot be answered")))]
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let role = role(request).await?;
    shared.done(Command::Answer { leg, role }).await
}

/// How to refuse.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rejection {
    /// 400 to 699. Default: 603.
    #[schema(minimum = 400, maximum = 699)]
    status: Option<u16>,
}

/// Refuse a caller that waits for an application.
#[utoipa::path(post, path = "/v1/legs/{leg}/reject", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Option<Rejection>,
    responses((status = 204, description = "Refused"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn reject(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let octets = body::octets(request).await?;
    let given: Rejection = if octets.is_empty() {
        Rejection::default()
    } else {
        body::json(&octets)?
    };
    let status = given.status.unwrap_or(603);
    shared.done(Command::Reject { leg, status }).await
}

/// Give a participant another place in its hub: the whole of it, nobody is re-INVITEd.
#[utoipa::path(put, path = "/v1/legs/{leg}/role", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Role,
    responses((status = 204, description = "It has it"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn set_role(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let role = body::json::<Role>(&body::octets(request).await?)?.read("")?;
    shared.done(Command::SetRole { leg, role }).await
}

/// Where to move a party.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Destination {
    /// The hub.
    #[schema(example = "call-1f-2")]
    to: String,
    /// Its place there.
    role: Option<Role>,
}

/// Move a party into a hub, out of whatever call it is in. Who is left behind in a pair waits there with music.
#[utoipa::path(post, path = "/v1/legs/{leg}/move", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Destination,
    responses((status = 204, description = "It is there"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem, description = "What it offers cannot be answered")))]
pub(super) async fn move_to(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Destination { to, role } = body::json(&body::octets(request).await?)?;
    let to: CallHandle = to
        .parse()
        .map_err(|error: engine::BadHandle| Problem::invalid("to", error.to_string()))?;
    let role = role.unwrap_or_default().read("role.")?;
    shared.done(Command::Move { leg, to, role }).await
}

/// Play a sound to one party, in place of all that it hears else.
#[utoipa::path(post, path = "/v1/legs/{leg}/play", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Sound,
    responses((status = 204, description = "It is being played; media.prompt_ended says when it is over"),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn play(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    shared.done(sound(AudienceHandle::Leg(leg), request).await?).await
}

/// End what is played to one party.
#[utoipa::path(delete, path = "/v1/legs/{leg}/play", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    responses((status = 204, description = "Ended"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn stop_playing(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
) -> Result<StatusCode, Problem> {
    let to = AudienceHandle::Leg(leg);
    shared.done(Command::StopPlaying { to }).await
}

/// Whom a party is sent to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Away {
    /// Whom it calls.
    #[schema(example = "sip:+4930123456@carrier.example")]
    to: String,
}

/// Send a party of a hub away by REFER: it calls somebody else by itself, and the edge drops out. `hub.referred` says what
/// comes of it.
#[utoipa::path(post, path = "/v1/legs/{leg}/refer", tag = "hubs", params(("leg" = String, Path, description = "Its handle")),
    request_body = Away,
    responses((status = 204, description = "Sent"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn refer(
    State(shared): State<Arc<Shared>>,
    Named(leg): Named<LegHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Away { to } = body::json(&body::octets(request).await?)?;
    let to = uri("to", &to)?.without_headers();
    shared.done(Command::Refer { leg, to }).await
}
