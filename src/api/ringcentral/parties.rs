//! Parties: look, mute, hold, transfer, bridge, refuse, end.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::{Caller, Named, Octets, text_or_number};
use super::control::Target;
use super::desk::Place;
use super::fault::Fault;
use super::state::Shared;
use super::words::{Code, Reason};
use crate::engine::{Command, HoldDirection, LegHandle, Reply, TransferMode, TransferTarget};
use crate::sip::Uri;

/// The longest that a join of two calls may take before its client is told that it has not held.
const JOINING: Duration = Duration::from_secs(40);

/// A party.
#[utoipa::path(get, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path, description = "`p-…-N`")),
    responses((status = 200, description = "CallParty"), (status = 403, description = "Of others"), (status = 404, description = "None, or no more")))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    let (place, ()) = shared.party(&caller, named.party(), |_, _| Ok(()))?;
    shared.shown(&place).map(Json)
}

/// The specification has `party` around it, the vendor's SDKs do not.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update {
    muted: Option<bool>,
    stand_alone: Option<bool>,
    party: Option<Marks>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Marks {
    muted: Option<bool>,
    stand_alone: Option<bool>,
}

/// Mute, or mark as standing alone.
#[utoipa::path(patch, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}", tag = "ringcentral",
    request_body = Update, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 403, description = "Of others, or it cannot be muted"),
        (status = 404, description = "None, or no more"), (status = 409, description = "It does not talk")))]
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let given: Update = octets.json()?;
    let update = given.party.unwrap_or(Marks {
        muted: given.muted,
        stand_alone: given.stand_alone,
    });
    let (place, ()) = shared.party(&caller, named.party(), |desk, place| {
        desk.talking(place)?;
        Ok(())
    })?;
    if let Some(muted) = update.muted {
        shared.mute(&place, muted).await?;
    }
    if let Some(alone) = update.stand_alone {
        shared.desk(|desk| {
            if let Some(party) = desk.party_mut(&place) {
                party.stand_alone = alone;
            }
            desk.tell(&place);
        });
    }
    shared.shown(&place).map(Json)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Removal {
    /// Of the host of a conference: the others stay.
    keep_conference_alive: Option<bool>,
}

/// End it.
#[utoipa::path(delete, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}", tag = "ringcentral",
    request_body = Removal, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 204, description = "Done"), (status = 403, description = "Of others"),
        (status = 404, description = "None, or no more"), (status = 409, description = "It has ended")))]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<StatusCode, Fault> {
    let removal: Removal = octets.json()?;
    let (place, legs) = shared.party(&caller, named.party(), |desk, place| {
        let party = desk
            .party(place)
            .filter(|party| !party.status.code.is_last() && !party.moving);
        let legs = party.map(|party| party.legs.clone()).unwrap_or_default();
        if legs.is_empty() {
            return Err(Fault::state("the party has ended"));
        }
        Ok(legs)
    })?;
    if removal.keep_conference_alive == Some(true) {
        shared.host_may_go(&place).await?;
    }
    for leg in legs {
        shared.order(Command::HangUpLeg { leg }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Put the other party on hold.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/hold", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 404, description = "None, or no more"), (status = 409, description = "It does not talk")))]
pub(super) async fn hold(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    let (place, leg) = shared.party(&caller, named.party(), |desk, place| {
        desk.held_by(place, Code::Answered)
    })?;
    let command = Command::Hold {
        leg,
        direction: HoldDirection::SendOnly,
        music: None,
    };
    shared.order(command).await?;
    shared
        .shown_as(&place, |party| party.status.code != Code::Answered)
        .await
        .map(Json)
}

/// Take the other party back.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/unhold", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 404, description = "None, or no more"), (status = 409, description = "It holds nobody")))]
pub(super) async fn unhold(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    let (place, leg) = shared.party(&caller, named.party(), |desk, place| desk.held_by(place, Code::Hold))?;
    shared.order(Command::Resume { leg }).await?;
    shared
        .shown_as(&place, |party| party.status.code != Code::Hold)
        .await
        .map(Json)
}

/// Exactly one of these.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Destination {
    #[serde(default, deserialize_with = "text_or_number")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    extension_number: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    extension_id: Option<String>,
    /// The extension whose voicemail is meant: this edge has none.
    #[serde(default, deserialize_with = "text_or_number")]
    voicemail: Option<String>,
    /// `801` to `899`.
    #[serde(default, deserialize_with = "text_or_number")]
    park_orbit: Option<String>,
}

impl Destination {
    pub(super) fn one(self) -> Result<(Target, Option<String>), Fault> {
        let given = [
            &self.phone_number,
            &self.extension_number,
            &self.extension_id,
            &self.voicemail,
            &self.park_orbit,
        ];
        if given.iter().filter(|given| given.is_some()).count() != 1 {
            return Err(Fault::parameter("phoneNumber", "exactly one target"));
        }
        if self.voicemail.is_some() {
            return Err(Fault::not_allowed("This edge has no voicemail"));
        }
        let target = Target {
            phone_number: self.phone_number,
            extension_number: self.extension_number,
            extension_id: self.extension_id,
        };
        Ok((target, self.park_orbit))
    }
}

/// Send the other party to somebody else, blind.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/transfer", tag = "ringcentral",
    request_body = Destination, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 400, description = "Not exactly one target"),
        (status = 404, description = "None, or no more"), (status = 409, description = "It does not talk")))]
pub(super) async fn transfer(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let (target, orbit) = octets.json::<Destination>()?.one()?;
    if let Some(orbit) = orbit {
        return shared.park(&caller, named.party(), Some(&orbit)).await.map(Json);
    }
    let (place, leg) = shared.party(&caller, named.party(), |desk, place| desk.talking(place))?;
    let target = shared.address(&target)?;
    shared.send_on(&place, leg, target, None).await.map(Json)
}

impl Shared {
    /// A blind transfer; `reason`: what clients read of the party that leaves.
    pub(super) async fn send_on(
        &self,
        place: &Place,
        leg: LegHandle,
        target: Uri,
        reason: Option<Reason>,
    ) -> Result<Value, Fault> {
        if let Some(reason) = reason {
            self.desk(|desk| desk.marks.insert(place.clone(), reason));
        }
        let command = Command::StartTransfer {
            transferor: leg,
            target: TransferTarget::Uri(target),
            mode: Some(TransferMode::Native),
            ring_timeout: None,
            on_failure: None,
        };
        let started = self.order(command).await;
        if started.is_err() {
            self.desk(|desk| desk.marks.remove(place));
        }
        started?;
        self.shown_as(place, |party| party.status.code.is_last()).await
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bridge {
    telephony_session_id: String,
    party_id: String,
}

/// Join the party that this one talks with and the one that its other party talks with: a warm transfer. Answered when
/// both are joined.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/bridge", tag = "ringcentral",
    request_body = Bridge, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 400, description = "A field is missing"),
        (status = 404, description = "None, or no more"), (status = 409, description = "One of them does not talk, or they were not joined")))]
pub(super) async fn bridge(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let Bridge {
        telephony_session_id,
        party_id,
    } = octets.json()?;
    let (other, other_leg) = shared.party(&caller, (&telephony_session_id, &party_id), |desk, place| {
        desk.talking(place)
    })?;
    let (place, leg) = shared.party(&caller, named.party(), |desk, place| {
        if place.session == other.session {
            return Err(Fault::state("both parties are in one session"));
        }
        desk.talking(place)
    })?;
    let command = Command::StartTransfer {
        transferor: leg,
        target: TransferTarget::Leg(other_leg),
        mode: Some(TransferMode::Native),
        ring_timeout: None,
        on_failure: None,
    };
    let Reply::Transfer(view) = shared.order(command).await? else {
        return Err(Fault::unavailable());
    };
    // The outcome, not the start: a join that fails has changed nothing, and says so.
    shared
        .until(JOINING, |desk| {
            let known = desk.moves.contains_key(&view.id);
            let code = desk.party(&place).map(|party| party.status.code);
            match (known, code) {
                (_, None) => Some(()),
                (_, Some(code)) if code.is_last() => Some(()),
                (false, Some(_)) => desk.settled.contains(&view.id).then_some(()),
                (true, Some(_)) => None,
            }
        })
        .await;
    let shown = shared.shown(&place)?;
    match shown.pointer("/status/code").and_then(Value::as_str) {
        Some("Gone") => Ok(Json(shown)),
        Some(_) | None => Err(Fault::state("the calls could not be joined")),
    }
}

/// Refuse a call that rings.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/reject", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 204, description = "Done"), (status = 404, description = "None, or no more"), (status = 409, description = "It does not ring")))]
pub(super) async fn reject(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<StatusCode, Fault> {
    shared.stop_ringing(&caller, named.party(), Reason::Rejected).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    #[serde(default, deserialize_with = "text_or_number")]
    pub(super) device_id: Option<String>,
}

/// Let a device ring no more.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/ignore", tag = "ringcentral",
    request_body = Device, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 204, description = "Done"), (status = 400, description = "No device"),
        (status = 404, description = "None, or no more"), (status = 409, description = "It does not ring")))]
pub(super) async fn ignore(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<StatusCode, Fault> {
    let device: Device = octets.json()?;
    let device = device.device_id.ok_or_else(|| Fault::parameter("deviceId", ""))?;
    let owner = super::calls::whose_device(&shared, Some(&device), None)?.map(|extension| extension.id.clone());
    shared.party(&caller, named.party(), |desk, place| {
        desk.ringing_legs(place)?;
        let party = desk.party(place).and_then(|party| shared.directory.at(&party.who));
        match party {
            Some(extension) if Some(&extension.id) == owner.as_ref() => Ok(()),
            Some(_) | None => Err(Fault::state("this device does not ring")),
        }
    })?;
    shared.stop_ringing(&caller, named.party(), Reason::Rejected).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Words {
    reply_with_text: Option<String>,
    reply_with_pattern: Option<Pattern>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Pattern {
    pattern: String,
    #[expect(dead_code, reason = "read so that a wrong type is refused")]
    time: Option<u64>,
    #[expect(dead_code, reason = "read so that a wrong type is refused")]
    time_unit: Option<String>,
}

/// Refuse a call that rings, with words for its caller. Nobody here can speak them: they are not heard.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/reply", tag = "ringcentral",
    request_body = Words, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 200, description = "CallParty"), (status = 400, description = "No words"),
        (status = 404, description = "None, or no more"), (status = 409, description = "It does not ring")))]
pub(super) async fn reply(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let words: Words = octets.json()?;
    let text = words.reply_with_text.filter(|text| !text.is_empty());
    let pattern = words.reply_with_pattern.filter(|pattern| !pattern.pattern.is_empty());
    if text.is_some() == pattern.is_some() {
        return Err(Fault::parameter("replyWithText", ""));
    }
    shared
        .stop_ringing(&caller, named.party(), Reason::CallReplied)
        .await
        .map(Json)
}

impl Shared {
    /// Ends all phones of a party that rings; gives the party as it is then.
    async fn stop_ringing(&self, caller: &Caller, named: (&str, &str), reason: Reason) -> Result<Value, Fault> {
        let (place, legs) = self.party(caller, named, |desk, place| {
            let legs = desk.ringing_legs(place)?;
            desk.marks.insert(place.clone(), reason);
            Ok(legs)
        })?;
        let before = self.shown(&place)?;
        for leg in legs {
            if let Err(fault) = self.order(Command::HangUpLeg { leg }).await {
                self.desk(|desk| desk.marks.remove(&place));
                return Err(fault);
            }
        }
        // The session may be over with it: then this is the last that is known of the party.
        let ended = self.shown_as(&place, |party| party.status.code.is_last()).await;
        Ok(ended.unwrap_or_else(|_| ended_as(before, reason)))
    }
}

fn ended_as(mut party: Value, reason: Reason) -> Value {
    if let Some(status) = party.get_mut("status") {
        *status = serde_json::json!({ "code": Code::Disconnected, "reason": reason, "rcc": false });
    }
    party
}
