//! POSTs that make something: carried out once for each `Idempotency-Key`, answered with 202 and where it is.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::idempotency::{self, Answer};
use super::problem::Problem;
use super::{Shared, body};
use crate::engine::{Command, Reply};

/// Reads the body with `command`, carries it out, and answers.
pub(super) async fn accept(
    shared: Arc<Shared>,
    request: Request,
    command: impl FnOnce(&[u8]) -> Result<Command, Problem>,
) -> Result<Response, Problem> {
    let key = idempotency::key(request.headers())?;
    let path = request.uri().path().to_owned();
    let octets = body::octets(request).await?;
    let command = command(&octets)?;
    let Some(key) = key else {
        return Ok(carry_out(&shared, command).await?.into_response());
    };
    // The same key and body at another path is another wish.
    let digest = Sha256::new().chain_update(path).chain_update([0]).chain_update(&octets);
    if let Some(answer) = shared.answers().begin(&key, digest.finalize().into())? {
        return Ok(answer.into_response());
    }
    // A task of its own: a client that hangs up now must find the answer when it comes back.
    let carried_out = tokio::spawn(async move {
        let result = carry_out(&shared, command).await;
        let answer = match &result {
            Ok(answer) => Some(answer.clone()),
            // What the edge could not do today it may do tomorrow; what the engine refused, it refused.
            Err(problem) if problem.status >= 500 => None,
            Err(problem) => Some(refused(problem)),
        };
        shared.answers().end(&key, answer);
        result
    });
    let result = carried_out.await.map_err(|_| Problem::defect("the order was lost"))?;
    Ok(result?.into_response())
}

async fn carry_out(shared: &Shared, command: Command) -> Result<Answer, Problem> {
    let printed = |json: Result<Vec<u8>, serde_json::Error>| json.map_err(|error| Problem::defect(error.to_string()));
    let into = if let Command::AddParty { call, .. } = &command {
        Some(*call)
    } else {
        None
    };
    let (location, json) = match shared.ask(command).await? {
        Reply::Legs(legs) => (
            into.map(|call| format!("/v1/calls/{call}")).unwrap_or_default(),
            printed(serde_json::to_vec(&json!({ "legs": legs })))?,
        ),
        Reply::Transfer(transfer) => (
            format!("/v1/transfers/{}", transfer.id),
            printed(serde_json::to_vec(&transfer))?,
        ),
        Reply::Call(call) => (format!("/v1/calls/{}", call.id), printed(serde_json::to_vec(&call))?),
        Reply::Calls(_)
        | Reply::FirstCalls { .. }
        | Reply::Transfers(_)
        | Reply::Registrations(_)
        | Reply::Totals(_)
        | Reply::Recording(_)
        | Reply::Done => {
            return Err(shared.confused());
        }
    };
    Ok(Answer {
        status: StatusCode::ACCEPTED,
        kind: "application/json",
        location: Some(location),
        body: json.into(),
    })
}

fn refused(problem: &Problem) -> Answer {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::CONFLICT);
    let body = serde_json::to_vec(problem).unwrap_or_default().into();
    Answer {
        status,
        kind: "application/problem+json",
        location: None,
        body,
    }
}
