//! Transfers: start one, see what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::named::Named;
use super::page::Page;
use super::problem::Problem;
use super::{Shared, body, order, schema};
use crate::engine::{
    BadHandle, Command, LegHandle, OnFailure, Reply, Rung, TransferHandle, TransferMode, TransferTarget,
};
use crate::sip::{Scheme, Uri};

/// All transfers that are running, and the last ones that ended.
#[utoipa::path(get, path = "/v1/transfers", tag = "transfers",
    params(("limit" = Option<usize>, Query, description = "At most so many, the newest")),
    responses((status = 200, body = schema::Transfers), (status = 400, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>, page: Page) -> Result<Json<Value>, Problem> {
    let Reply::Transfers(transfers) = shared.ask(Command::Transfers).await? else {
        return Err(shared.confused());
    };
    let total = transfers.len();
    Ok(Json(json!({ "transfers": page.last(transfers), "total": total })))
}

/// One transfer.
#[utoipa::path(get, path = "/v1/transfers/{transfer}", tag = "transfers",
    params(("transfer" = String, Path, description = "Its handle")),
    responses((status = 200, body = schema::Transfer), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Named(transfer): Named<TransferHandle>,
) -> Result<Json<Value>, Problem> {
    let Reply::Transfer(transfer) = shared.ask(Command::Transfer { transfer }).await? else {
        return Err(shared.confused());
    };
    Ok(Json(json!(transfer)))
}

/// Take a transfer back that is not decided yet: everybody is as before.
#[utoipa::path(delete, path = "/v1/transfers/{transfer}", tag = "transfers",
    params(("transfer" = String, Path, description = "Its handle")),
    responses((status = 200, body = schema::Transfer), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn cancel(
    State(shared): State<Arc<Shared>>,
    Named(transfer): Named<TransferHandle>,
) -> Result<Json<Value>, Problem> {
    let Reply::Transfer(transfer) = shared.ask(Command::CancelTransfer { transfer }).await? else {
        return Err(shared.confused());
    };
    Ok(Json(json!(transfer)))
}

/// Who is to be transferred to whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The leg of the operator who leaves; the party that it talks with is transferred.
    #[schema(example = "leg-1-0")]
    transferor: String,
    /// Who comes instead: a SIP URI to dial (blind), or another leg of the operator, whose party is joined (attended).
    #[schema(example = "sip:agent2@example.test")]
    target: String,
    /// Default: by the transferee's peer profile.
    mode: Option<Mode>,
    /// How long the target may ring, 1 to 600 seconds. Default: as configured.
    #[schema(minimum = 1, maximum = 600)]
    ring_timeout_s: Option<u64>,
    /// Where the customer goes when the target cannot be had. Default: as configured.
    on_failure: Option<Failing>,
    /// With `on_failure` `next`: SIP URIs, tried one after the other.
    next: Option<Vec<String>>,
    /// With `on_failure` `ladder`: steps, taken one after the other until one takes the customer.
    ladder: Option<Vec<Step>>,
}

/// A step of a ladder: one of these.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Step {
    /// Ring a SIP URI.
    Ring(Ring),
    /// Offer the customer to an application of the configuration: a queue, a bot.
    Application(String),
    /// Give the customer back, if the transferor is still there.
    Transferor,
    /// Release both.
    HangUp,
}

/// Whom a step rings.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ring {
    /// Whom.
    #[schema(example = "sip:reception@example.test")]
    target: String,
    /// How long, 1 to 600 seconds. Default: as the first target.
    #[schema(minimum = 1, maximum = 600)]
    ring_timeout_s: Option<u64>,
}

impl Step {
    fn rung(self) -> Result<Rung, Problem> {
        Ok(match self {
            Step::Ring(ring) => Rung::Target {
                uri: uri("ladder", &ring.target)?,
                ring_timeout: super::dial::ring_timeout(ring.ring_timeout_s)?,
            },
            Step::Application(name) => Rung::Application(name),
            Step::Transferor => Rung::Transferor,
            Step::HangUp => Rung::HangUp,
        })
    }
}

/// Who performs the transfer.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// The edge joins the legs.
    Native,
    /// The edge sends REFER to the transferee.
    Refer,
    /// `refer` if the transferee can do it, else `native`.
    Auto,
}

/// Where the customer goes when the target cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Failing {
    /// Back to the transferor.
    Transferor,
    /// To the first of `next` that answers.
    Next,
    /// Nowhere: both are released.
    HangUp,
    /// Along `ladder`.
    Ladder,
}

impl Start {
    fn command(self) -> Result<Command, Problem> {
        let wrong = |field| move |error: BadHandle| Problem::invalid(field, error.to_string());
        let transferor: LegHandle = self.transferor.parse().map_err(wrong("transferor"))?;
        let target = if self.target.starts_with("leg-") {
            TransferTarget::Leg(self.target.parse().map_err(wrong("target"))?)
        } else {
            TransferTarget::Uri(uri("target", &self.target)?)
        };
        let mode = self.mode.map(|mode| match mode {
            Mode::Native => TransferMode::Native,
            Mode::Refer => TransferMode::Refer,
            Mode::Auto => TransferMode::Auto,
        });
        let ring_timeout = match self.ring_timeout_s {
            None => None,
            Some(seconds @ 1..=600) => Some(Duration::from_secs(seconds)),
            Some(_) => return Err(Problem::invalid("ring_timeout_s", "from 1 to 600 seconds")),
        };
        let climbs = self.on_failure == Some(Failing::Ladder);
        let ladder = match self.ladder {
            Some(steps) if climbs && !steps.is_empty() => {
                let rungs: Result<_, _> = steps.into_iter().map(Step::rung).collect();
                rungs?
            }
            None if !climbs => Vec::new(),
            Some(_) if !climbs => {
                return Err(Problem::invalid("on_failure", "must be ladder when `ladder` is given"));
            }
            Some(_) | None => return Err(Problem::invalid("ladder", "`on_failure` ladder needs steps")),
        };
        let on_failure = match (self.on_failure, self.next) {
            (Some(Failing::Ladder), None) => Some(OnFailure::Ladder(ladder)),
            (Some(Failing::Next), Some(next)) if !next.is_empty() => {
                let uris: Result<_, _> = next.iter().map(|text| uri("next", text)).collect();
                Some(OnFailure::Next(uris?))
            }
            (Some(Failing::Next), _) => {
                return Err(Problem::invalid("next", "`on_failure` next needs somebody to go to"));
            }
            (_, Some(_)) => return Err(Problem::invalid("on_failure", "must be next when `next` is given")),
            (Some(Failing::Transferor), None) => Some(OnFailure::Transferor),
            (Some(Failing::HangUp), None) => Some(OnFailure::HangUp),
            (None, None) => None,
        };
        Ok(Command::StartTransfer {
            transferor,
            target,
            mode,
            ring_timeout,
            on_failure,
        })
    }
}

fn uri(field: &'static str, text: &str) -> Result<Uri, Problem> {
    let hint = "write sip:user@host, or a leg handle as in leg-1-0";
    let uri = Uri::parse(text).map_err(|error| Problem::invalid(field, error.reason()).hint(hint))?;
    match uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(uri),
        Scheme::Other => Err(Problem::invalid(field, "only sip, sips and tel can be dialled").hint(hint)),
    }
}

/// Transfer the party that talks with the transferor. Answered as soon as the transfer is accepted; its outcome comes as
/// an event, and from `GET /v1/transfers/{transfer}`.
#[utoipa::path(post, path = "/v1/transfers", tag = "transfers", request_body = Start,
    params(("Idempotency-Key" = Option<String>, Header, description = "Same key and body: same answer, and no second transfer")),
    responses((status = 202, body = schema::Transfer, headers(("Location" = String, description = "The transfer"))),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn start(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    order::accept(shared, request, |octets| body::json::<Start>(octets)?.command()).await
}
