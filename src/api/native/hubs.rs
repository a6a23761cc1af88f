//! Hubs: calls in which more than two may talk.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::dial::{ring_timeout, uri};
use super::named::Named;
use super::problem::Problem;
use super::role::{self, Role};
use super::{Shared, body, order, schema};
use crate::engine::{AudienceHandle, CallHandle, Command, HubSettings, NewParty, Reply};

/// What holds for a whole hub.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// Your own name for it.
    #[schema(example = "support 42")]
    name: Option<String>,
    /// What those hear who wait for its start, or are alone; an empty text: silence. Default: the configured hold music.
    music: Option<String>,
    /// No more participants than these, 1 to 1000. Default: 250.
    #[schema(minimum = 1, maximum = 1000)]
    most: Option<u16>,
    /// Whether it lives on while nobody is in it. Default: false.
    stays: bool,
}

impl Settings {
    fn read(octets: &[u8]) -> Result<HubSettings, Problem> {
        let given: Settings = if octets.is_empty() {
            Settings::default()
        } else {
            body::json(octets)?
        };
        let most = given.most.unwrap_or(HubSettings::default().most);
        if !(1..=1_000).contains(&most) {
            return Err(Problem::invalid("most", "from 1 to 1000 participants"));
        }
        Ok(HubSettings {
            name: role::text("name", given.name)?,
            music: role::text("music", given.music)?,
            most,
            stays: given.stays,
        })
    }
}

/// Somebody who is called into a hub.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Party {
    /// Whom.
    #[schema(example = "sip:agent1@example.test")]
    to: String,
    /// As whom. Default: as the edge.
    #[schema(example = "sip:+4930123456@example.test")]
    from: Option<String>,
    /// The name that the party's phone shows.
    from_name: Option<String>,
    /// Its place once it has answered.
    role: Option<Role>,
    /// How long it may ring, 1 to 600 seconds. Default: as configured.
    #[schema(minimum = 1, maximum = 600)]
    ring_timeout_s: Option<u64>,
    /// Further headers of the INVITE: none that SIP itself needs.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The `[[peer]]` by which it is reached, whatever the routes say.
    peer: Option<String>,
    /// For a challenge of its side.
    credentials: Option<Credentials>,
}

/// User and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    user: String,
    password: String,
}

fn party(octets: &[u8]) -> Result<NewParty, Problem> {
    let given: Party = body::json(octets)?;
    Ok(NewParty {
        to: uri("to", &given.to)?,
        from: given.from.as_deref().map(|from| uri("from", from)).transpose()?,
        from_name: role::text("from_name", given.from_name)?,
        role: given.role.unwrap_or_default().read("role.")?,
        ring_timeout: ring_timeout(given.ring_timeout_s)?,
        headers: given.headers.into_iter().collect(),
        peer: given.peer,
        credentials: given.credentials.map(|given| (given.user, given.password)),
    })
}

/// Open a hub with nobody in it. One that nobody joins ends after a minute.
#[utoipa::path(post, path = "/v1/hubs", tag = "hubs", request_body = Option<Settings>,
    params(("Idempotency-Key" = Option<String>, Header, description = "Same key and body: same answer, and no second hub")),
    responses((status = 202, body = schema::Call, headers(("Location" = String, description = "The hub is a call"))),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn open(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let command = |octets: &[u8]| {
        Ok(Command::OpenHub {
            settings: Settings::read(octets)?,
        })
    };
    order::accept(shared, request, command).await
}

/// Call somebody into a hub. Answered as soon as it is called; the first of its phones that answers joins.
#[utoipa::path(post, path = "/v1/calls/{call}/parties", tag = "hubs", request_body = Party,
    params(("call" = String, Path, description = "The hub"),
        ("Idempotency-Key" = Option<String>, Header, description = "Same key and body: same answer, and no second call")),
    responses((status = 202, body = schema::Legs, headers(("Location" = String, description = "The hub"))),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
    request: Request,
) -> Result<Response, Problem> {
    let command = move |octets: &[u8]| {
        Ok(Command::AddParty {
            call,
            party: Box::new(party(octets)?),
        })
    };
    order::accept(shared, request, command).await
}

/// Make a hub of a pair: both go on hearing each other.
#[utoipa::path(post, path = "/v1/calls/{call}/to-hub", tag = "hubs", request_body = Option<Settings>,
    params(("call" = String, Path, description = "Its handle")),
    responses((status = 204, description = "It is one"), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn to_hub(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let settings = Settings::read(&body::octets(request).await?)?;
    shared.done(Command::ToHub { call, settings }).await
}

/// Make a pair of a hub with two speakers in it.
#[utoipa::path(post, path = "/v1/calls/{call}/to-pair", tag = "hubs", params(("call" = String, Path, description = "The hub")),
    responses((status = 204, description = "It is one"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn to_pair(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
) -> Result<StatusCode, Problem> {
    shared.done(Command::ToPair { call }).await
}

/// What to play.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sound {
    /// A prompt of the configuration, or one that was added.
    #[schema(example = "sales")]
    sound: String,
    /// For ever instead of once.
    #[serde(default)]
    again: bool,
}

/// The order that a body means, for this audience.
pub(super) async fn sound(to: AudienceHandle, request: Request) -> Result<Command, Problem> {
    let Sound { sound, again } = body::json(&body::octets(request).await?)?;
    Ok(Command::Play { to, sound, again })
}

/// Play a sound to all in a hub who are not held, together with what is said there.
#[utoipa::path(post, path = "/v1/calls/{call}/play", tag = "hubs", params(("call" = String, Path, description = "The hub")),
    request_body = Sound,
    responses((status = 204, description = "It is being played; hub.announced says when it is over"),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn play(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
    request: Request,
) -> Result<StatusCode, Problem> {
    shared.done(sound(AudienceHandle::Hub(call), request).await?).await
}

/// End what is played to a hub.
#[utoipa::path(delete, path = "/v1/calls/{call}/play", tag = "hubs", params(("call" = String, Path, description = "The hub")),
    responses((status = 204, description = "Ended"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn stop_playing(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
) -> Result<StatusCode, Problem> {
    let to = AudienceHandle::Hub(call);
    shared.done(Command::StopPlaying { to }).await
}

/// Record a hub: all that is said in it, in one file.
#[utoipa::path(post, path = "/v1/calls/{call}/recording", tag = "hubs", params(("call" = String, Path, description = "The hub")),
    responses((status = 200, body = schema::Recording), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn record(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
) -> Result<Json<Value>, Problem> {
    let Reply::Recording(recording) = shared.ask(Command::RecordHub { call }).await? else {
        return Err(shared.confused());
    };
    Ok(Json(json!({ "recording": recording })))
}

/// End the recording of a hub.
#[utoipa::path(delete, path = "/v1/calls/{call}/recording", tag = "hubs", params(("call" = String, Path, description = "The hub")),
    responses((status = 204, description = "Ended"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn stop(
    State(shared): State<Arc<Shared>>,
    Named(call): Named<CallHandle>,
) -> Result<StatusCode, Problem> {
    shared.done(Command::StopRecordingHub { call }).await
}
