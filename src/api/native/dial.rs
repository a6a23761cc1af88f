//! Click to dial.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::{Shared, body, order, schema};
use crate::engine::Command;
use crate::sip::{Scheme, Uri};

/// Who is to talk with whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dial {
    /// Rings first.
    #[schema(example = "sip:agent1@example.test")]
    from: String,
    /// Rings when `from` has answered.
    #[schema(example = "sip:+4930123456@example.test")]
    to: String,
    /// How long each may ring, 1 to 600 seconds. Default: as configured.
    #[schema(minimum = 1, maximum = 600)]
    ring_timeout_s: Option<u64>,
}

fn command(octets: &[u8]) -> Result<Command, Problem> {
    let Dial {
        from,
        to,
        ring_timeout_s,
    } = body::json(octets)?;
    Ok(Command::Dial {
        from: uri("from", &from)?,
        to: uri("to", &to)?,
        ring_timeout: ring_timeout(ring_timeout_s)?,
    })
}

pub(super) fn ring_timeout(seconds: Option<u64>) -> Result<Option<Duration>, Problem> {
    match seconds {
        None => Ok(None),
        Some(seconds @ 1..=600) => Ok(Some(Duration::from_secs(seconds))),
        Some(_) => Err(Problem::invalid("ring_timeout_s", "from 1 to 600 seconds")),
    }
}

pub(super) fn uri(field: &str, text: &str) -> Result<Uri, Problem> {
    let hint = "write sip:user@host";
    let uri = Uri::parse(text).map_err(|error| Problem::invalid(field, error.reason()).hint(hint))?;
    match uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(uri),
        Scheme::Other => Err(Problem::invalid(field, "only sip, sips and tel can be dialled").hint(hint)),
    }
}

/// Call one party and, when it has answered, the other. Answered as soon as the first is called; what comes of it comes
/// as events, and from `GET /v1/calls/{call}`.
#[utoipa::path(post, path = "/v1/calls", tag = "calls", request_body = Dial,
    params(("Idempotency-Key" = Option<String>, Header, description = "Same key and body: same answer, and no second call")),
    responses((status = 202, body = schema::Call, headers(("Location" = String, description = "The call"))),
        (status = 409, body = Problem), (status = 422, body = Problem, description = "Among others: a party that cannot be called")))]
pub(super) async fn dial(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    order::accept(shared, request, command).await
}
