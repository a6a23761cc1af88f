//! Sessions: call somebody, look, end.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::ask::{Caller, Named, Octets, text_or_number};
use super::control::Target;
use super::fault::Fault;
use super::people::Extension;
use super::state::{SOON, Shared};
use super::words::Origin;
use crate::engine::{Command, Reply};

/// Who calls whom.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CallOut {
    from: From,
    to: To,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct From {
    #[serde(default, deserialize_with = "text_or_number")]
    device_id: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    extension_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct To {
    #[serde(default, deserialize_with = "text_or_number")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    extension_number: Option<String>,
}

/// The phone of the caller rings first; when it has answered, the other one is called.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/call-out", tag = "ringcentral", request_body = CallOut,
    params(("account" = String, Path, description = "`~`: one's own")),
    responses((status = 201, description = "The session"), (status = 400, description = "Nobody can be called so"),
        (status = 403, description = "The device of another"), (status = 404, description = "No such device")))]
pub(super) async fn call_out(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    octets: Octets,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let CallOut { from, to } = octets.json()?;
    let me = caller.is(&shared)?;
    let from = whose_device(&shared, from.device_id.as_deref(), from.extension_id.as_deref())?.unwrap_or(me);
    if from.id != me.id && !me.admin {
        return Err(Fault::permission("CallControl"));
    }
    let one = [&to.phone_number, &to.extension_number]
        .iter()
        .filter(|given| given.is_some())
        .count();
    if one != 1 {
        return Err(Fault::parameter("to", ""));
    }
    let target = Target {
        phone_number: to.phone_number,
        extension_number: to.extension_number,
        extension_id: None,
    };
    let command = Command::Dial {
        from: shared.directory.address(from),
        to: shared.address(&target)?,
        ring_timeout: None,
    };
    let Reply::Call(view) = shared.order(command).await? else {
        return Err(Fault::unavailable());
    };
    let found = shared.until(SOON, |desk| {
        let tail = desk.calls.get(&view.id).cloned().unwrap_or_else(|| desk.tail(view.id));
        let session = desk.sessions.get_mut(&tail)?;
        session.origin = Origin::CallOut;
        desk.announce(&tail);
        desk.sessions
            .get(&tail)
            .map(|session| session.resource(&shared.directory))
    });
    let session = found.await.ok_or_else(|| Fault::state("the call ended at once"))?;
    Ok((StatusCode::CREATED, Json(json!({ "session": session }))))
}

/// The extension that is named by its device, or by itself.
pub(super) fn whose_device<'a>(
    shared: &'a Shared,
    device: Option<&str>,
    extension: Option<&str>,
) -> Result<Option<&'a Extension>, Fault> {
    if let Some(device) = device {
        let found = shared.directory.by_device(device);
        return found.map(Some).ok_or_else(|| Fault::not_found("deviceId"));
    }
    if let Some(id) = extension {
        let found = shared.directory.by_id(id);
        return found.map(Some).ok_or_else(|| Fault::not_found("extensionId"));
    }
    Ok(None)
}

/// A session and its parties.
#[utoipa::path(get, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path, description = "`s-…`")),
    responses((status = 200, description = "CallSession"), (status = 403, description = "Of others"), (status = 404, description = "None, or no more")))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    shared.look(&caller, &named.session, |desk, tail| {
        let found = desk
            .sessions
            .get(tail)
            .ok_or_else(|| Fault::not_found("telephonySessionId"))?;
        Ok(Json(found.resource(&shared.directory)))
    })
}

/// End it for everybody.
#[utoipa::path(delete, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path)),
    responses((status = 204, description = "Done"), (status = 403, description = "Of others"), (status = 404, description = "None, or no more")))]
pub(super) async fn drop_session(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<StatusCode, Fault> {
    let calls = shared.look(&caller, &named.session, |desk, tail| {
        let found = desk
            .sessions
            .get(tail)
            .ok_or_else(|| Fault::not_found("telephonySessionId"))?;
        let live = found.parties.iter().filter(|party| !party.status.code.is_last());
        let mut calls: Vec<_> = live.filter_map(|party| party.call).collect();
        if found.origin == Origin::Conference {
            calls.push(found.call);
        }
        calls.sort_unstable();
        calls.dedup();
        Ok(calls)
    })?;
    if calls.is_empty() {
        return Err(Fault::state("nobody is in it any more"));
    }
    for call in calls {
        shared.order(Command::HangUpCall { call }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
