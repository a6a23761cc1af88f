//! What clients look up at their start: who they are, their devices, the calls that are up.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::ask::{Caller, Named};
use super::desk::Desk;
use super::fault::Fault;
use super::party::{Party, party_id};
use super::people::{Directory, Extension};
use super::session::Session;
use super::state::Shared;
use super::words::Code;
use crate::api::rfc3339;
use crate::engine::{Command, Reply};

/// Somebody's own extension, or, for an admin, another's.
fn known<'a>(shared: &'a Shared, caller: &Caller, extension: &str) -> Result<&'a Extension, Fault> {
    let me = caller.is(shared)?;
    if extension == "~" || extension == me.id {
        return Ok(me);
    }
    let found = shared
        .directory
        .by_id(extension)
        .ok_or_else(|| Fault::not_found("extensionId"))?;
    if me.admin {
        Ok(found)
    } else {
        Err(Fault::permission("ReadAccounts"))
    }
}

/// Who one is.
#[utoipa::path(get, path = "/restapi/v1.0/account/{account}/extension/{extension}", tag = "ringcentral",
    params(("account" = String, Path), ("extension" = String, Path, description = "`~`: one's own")),
    responses((status = 200, description = "The extension"), (status = 404, description = "No such extension")))]
pub(super) async fn extension(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    let found = known(&shared, &caller, &named.extension)?;
    let number = |text: &str| text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number));
    Ok(Json(json!({
        "uri": format!("{}{}", shared.base, found.path(&shared.directory.account)),
        "id": number(&found.id),
        "extensionNumber": found.number,
        "name": found.name,
        "type": "User",
        "status": "Enabled",
        "account": { "id": shared.directory.account },
        "permissions": { "admin": { "enabled": found.admin } },
    })))
}

/// The calls in which one is.
#[utoipa::path(get, path = "/restapi/v1.0/account/{account}/extension/{extension}/presence", tag = "ringcentral",
    params(("account" = String, Path), ("extension" = String, Path)),
    responses((status = 200, description = "Presence"), (status = 404, description = "No such extension")))]
pub(super) async fn presence(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    let found = known(&shared, &caller, &named.extension)?;
    Ok(Json(shared.desk(|desk| of(desk, found, &shared))))
}

/// The calls in which anybody is.
#[utoipa::path(get, path = "/restapi/v1.0/account/{account}/presence", tag = "ringcentral",
    params(("account" = String, Path)),
    responses((status = 200, description = "Presence of each extension"), (status = 403, description = "No admin")))]
pub(super) async fn account_presence(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    _named: Named,
) -> Result<Json<Value>, Fault> {
    if !caller.is(&shared)?.admin {
        return Err(Fault::permission("ReadPresence"));
    }
    let records: Vec<_> = shared.desk(|desk| {
        let all = shared.directory.extensions.iter();
        all.map(|extension| of(desk, extension, &shared)).collect()
    });
    Ok(Json(json!({ "records": records })))
}

fn of(desk: &Desk, extension: &Extension, shared: &Shared) -> Value {
    let sessions = desk.sessions.values();
    let own = sessions.flat_map(|session| session.parties.iter().map(move |party| (session, party)));
    let calls: Vec<_> = own
        .filter(|(_, party)| !party.status.code.is_last())
        .filter(|(_, party)| desk.directory.at(&party.who).is_some_and(|who| who.id == extension.id))
        .map(|(session, party)| active(session, party, &desk.directory))
        .collect();
    let status = calls
        .first()
        .map_or(json!("NoCall"), |call| call["telephonyStatus"].clone());
    json!({
        "uri": format!("{}{}/presence", shared.base, extension.path(&shared.directory.account)),
        "extension": { "id": extension.id, "extensionNumber": extension.number },
        "presenceStatus": if calls.is_empty() { "Available" } else { "Busy" },
        "userStatus": "Available",
        "dndStatus": "TakeAllCalls",
        "telephonyStatus": status,
        "activeCalls": calls,
    })
}

fn active(session: &Session, party: &Party, directory: &Directory) -> Value {
    let status = match party.status.code {
        Code::Setup | Code::Proceeding => "Ringing",
        Code::Answered => "CallConnected",
        Code::Hold => "OnHold",
        Code::Parked => "ParkedCall",
        Code::Disconnected | Code::Gone => "NoCall",
    };
    let mut call = json!({
        "id": party.dialog.as_ref().map(|dialog| dialog.call_id.as_str()),
        "direction": party.direction,
        "from": directory.number(&party.from),
        "to": directory.number(&party.to),
        "partyId": party_id(&session.tail, party.number),
        "telephonySessionId": session.id(),
        "sessionId": session.number,
        "telephonyStatus": status,
        "startTime": rfc3339(session.created),
    });
    if let (Some(dialog), Some(object)) = (&party.dialog, call.as_object_mut()) {
        object.insert("sipData".to_owned(), json!(dialog));
    }
    call
}

/// One's phones, as one device.
#[utoipa::path(get, path = "/restapi/v1.0/account/{account}/extension/{extension}/device", tag = "ringcentral",
    params(("account" = String, Path), ("extension" = String, Path)),
    responses((status = 200, description = "Devices"), (status = 404, description = "No such extension")))]
pub(super) async fn devices(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    let found = known(&shared, &caller, &named.extension)?;
    let Reply::Registrations(bindings) = shared.order(Command::Registrations).await? else {
        return Err(Fault::unavailable());
    };
    let online = bindings
        .iter()
        .any(|binding| binding.reachable && shared.directory.at(&shared.directory.who(&binding.aor)) == Some(found));
    let device = json!({
        "uri": format!("{}{}/device/{}", shared.base, found.path(&shared.directory.account), found.device_id()),
        "id": found.device_id(),
        "type": "SoftPhone",
        "name": format!("Phone of {}", found.name),
        "status": if online { "Online" } else { "Offline" },
        "extension": { "id": found.id, "extensionNumber": found.number },
    });
    Ok(Json(json!({ "records": [device] })))
}
