//! What is asked of a call that rings, or of one's own phone: forward, answer, flip; and recordings.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::ask::{Caller, Named, Octets, text_or_number};
use super::control::Target;
use super::desk::Place;
use super::fault::Fault;
use super::parties::{Destination, Device};
use super::state::Shared;
use super::words::Reason;
use crate::engine::{Command, LegHandle, Reply};
use crate::sip::Uri;

/// Send a call that rings on to somebody else.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/forward", tag = "ringcentral",
    request_body = Destination, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 400, description = "Not exactly one target"),
        (status = 404, description = "None, or no more"), (status = 409, description = "It does not ring")))]
pub(super) async fn forward(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let (target, orbit) = octets.json::<Destination>()?.one()?;
    if orbit.is_some() {
        return Err(Fault::parameter("parkOrbit", ""));
    }
    let (place, legs) = shared.party(&caller, named.party(), |desk, place| desk.ringing_legs(place))?;
    let to = shared.address(&target)?;
    shared
        .divert(&place, &legs, to, Reason::CallRedirected, Vec::new())
        .await
        .map(Json)
}

impl Shared {
    /// The call of a ringing party goes to somebody else, who is a new party; gives the old one as it is then.
    pub(super) async fn divert(
        &self,
        place: &Place,
        legs: &[LegHandle],
        to: Uri,
        reason: Reason,
        headers: Vec<(String, String)>,
    ) -> Result<Value, Fault> {
        let leg = *legs.first().ok_or_else(|| Fault::state("the party has no phone"))?;
        let next = self.desk(|desk| {
            desk.marks.insert(place.clone(), reason);
            let party = desk.sessions.get(&place.session)?.parties.last()?.number + 1;
            Some(Place { party, ..place.clone() })
        });
        let headers = next.map_or_else(Vec::new, |next| super::conference::named(&next, headers));
        if let Err(fault) = self.order(Command::Divert { leg, to, headers }).await {
            self.desk(|desk| desk.marks.remove(place));
            return Err(fault);
        }
        self.shown_as(place, |party| party.status.code.is_last()).await
    }
}

/// Have a device answer. Phones of this edge answer for themselves: there is no SIP request that makes them.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/answer", tag = "ringcentral",
    request_body = Device, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 403, description = "Never possible"), (status = 404, description = "None, or no more"),
        (status = 409, description = "It does not ring")))]
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let device: Device = octets.json()?;
    let device = device.device_id.ok_or_else(|| Fault::parameter("deviceId", ""))?;
    super::calls::whose_device(&shared, Some(&device), None)?;
    shared.party(&caller, named.party(), |desk, place| desk.ringing_legs(place))?;
    Err(Fault::not_allowed("Phones of this edge answer by themselves only"))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flip {
    #[serde(default, deserialize_with = "text_or_number")]
    call_flip_id: Option<String>,
}

/// Go on on another phone of one's own: `1` is the first of the extension's `flip` numbers in the configuration.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/flip", tag = "ringcentral",
    request_body = Flip, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 404, description = "None, no more, or no such number"),
        (status = 409, description = "It does not talk")))]
pub(super) async fn flip(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let Flip { call_flip_id } = octets.json()?;
    let id = call_flip_id.ok_or_else(|| Fault::parameter("callFlipId", ""))?;
    let (place, (leg, number)) = shared.party(&caller, named.party(), |desk, place| {
        let leg = desk.talking(place)?;
        let who = desk.party(place).and_then(|party| shared.directory.at(&party.who));
        let nth: Option<usize> = id.parse().ok();
        let number = who.zip(nth).and_then(|(who, nth)| who.flip.get(nth.checked_sub(1)?));
        Ok((leg, number.cloned().ok_or_else(|| Fault::not_found("callFlipId"))?))
    })?;
    let target = Target {
        phone_number: Some(number),
        ..Target::default()
    };
    let to = shared.address(&target)?;
    shared.send_on(&place, leg, to, Some(Reason::CallFlip)).await.map(Json)
}

/// Record a party and what it hears.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/recordings", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 201, description = "The recording"), (status = 404, description = "None, or no more"),
        (status = 409, description = "It does not talk, or cannot be recorded")))]
pub(super) async fn record(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let (_, leg) = shared.party(&caller, named.party(), |desk, place| desk.talking(place))?;
    let Reply::Recording(id) = shared.order(Command::Record { leg }).await? else {
        return Err(Fault::unavailable());
    };
    Ok((StatusCode::CREATED, Json(recording(&id, true))))
}

fn recording(id: &str, active: bool) -> Value {
    json!({ "id": id, "active": active, "mode": "OnDemand", "view": "Party" })
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Active {
    active: Option<bool>,
}

/// End a recording. One that has ended is complete: it does not go on.
#[utoipa::path(patch, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/recordings/{recording}",
    tag = "ringcentral", request_body = Active,
    params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path), ("recording" = String, Path)),
    responses((status = 200, description = "The recording"), (status = 404, description = "None, or no more"),
        (status = 409, description = "It has ended")))]
pub(super) async fn set_recording(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let Active { active } = octets.json()?;
    let wanted = active.ok_or_else(|| Fault::parameter("active", ""))?;
    let (place, (leg, active)) = shared.party(&caller, named.party(), |desk, place| {
        let party = desk.party(place).ok_or_else(|| Fault::not_found("partyId"))?;
        let known = party.recordings.iter().find(|known| known.id == named.recording);
        let known = known.ok_or_else(|| Fault::not_found("recordingId"))?;
        Ok((desk.talking(place)?, known.active))
    })?;
    match (active, wanted) {
        (true, false) => {
            shared.order(Command::StopRecording { leg }).await?;
            let ended = |party: &super::party::Party| {
                party
                    .recordings
                    .iter()
                    .any(|known| known.id == named.recording && !known.active)
            };
            shared.shown_as(&place, ended).await?;
        }
        (false, true) => return Err(Fault::state("the recording is complete")),
        (true, true) | (false, false) => {}
    }
    Ok(Json(recording(&named.recording, wanted)))
}
