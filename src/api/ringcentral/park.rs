//! Parking and picking up: a parked call is a hub with the customer alone in it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::ask::{Caller, Named, Octets};
use super::calls::whose_device;
use super::conference::{answer_by_itself, named};
use super::desk::{Desk, Place};
use super::fault::Fault;
use super::parties::Device;
use super::party::Status;
use super::people::Extension;
use super::state::Shared;
use super::words::{Code, Direction, Reason};
use crate::engine::{CallHandle, Command, HubSettings, LegHandle, NewParty, Reply, Role};

const ORBITS: std::ops::RangeInclusive<u16> = 801..=899;
/// In all orbits together.
const MOST_PARKED: usize = 50;

impl Desk {
    /// A free orbit, or the one that is asked for.
    fn orbit(&self, wanted: Option<&str>) -> Result<String, Fault> {
        let parties = self.sessions.values().flat_map(|session| &session.parties);
        let taken: Vec<&str> = parties.filter_map(|party| party.park.as_deref()).collect();
        if taken.len() >= MOST_PARKED {
            return Err(Fault::not_allowed("All park locations are taken"));
        }
        if let Some(wanted) = wanted {
            let number = wanted
                .trim_start_matches('*')
                .parse()
                .ok()
                .filter(|number| ORBITS.contains(number));
            let orbit = number.ok_or_else(|| Fault::parameter("parkOrbit", wanted))?.to_string();
            return if taken.contains(&orbit.as_str()) {
                Err(Fault::state("the park location is taken"))
            } else {
                Ok(orbit)
            };
        }
        let free = ORBITS
            .map(|orbit| orbit.to_string())
            .find(|orbit| !taken.contains(&orbit.as_str()));
        free.ok_or_else(|| Fault::not_allowed("All park locations are taken"))
    }

    /// The parker's phone leaves; its party keeps the place until somebody picks the call up.
    fn parked(&mut self, place: &Place, customer: LegHandle, hub: CallHandle, orbit: &str) {
        self.unseat(place);
        for other in self.places.get(&customer).cloned().unwrap_or_default() {
            if let Some(party) = self.party_mut(&other) {
                party.call = Some(hub);
            }
        }
        if let Some(party) = self.party_mut(place) {
            (party.call, party.moving) = (Some(hub), false);
            party.park = Some(orbit.to_owned());
        }
        let status = Status {
            code: Code::Parked,
            reason: Some(Reason::CallPark),
            peer: None,
        };
        self.becomes(place, status);
    }

    /// Somebody is called to pick up what is parked here.
    fn picks_up(&mut self, parked: &Place, who: super::people::Who) -> Option<(Place, CallHandle)> {
        let (hub, from) = self
            .party(parked)
            .and_then(|party| Some((party.call?, party.from.clone())))?;
        let session = self.sessions.get_mut(&parked.session)?;
        let party = session.add(who.clone(), Direction::Inbound, from, who)?;
        (party.call, party.moving) = (Some(hub), true);
        let place = Place {
            session: parked.session.clone(),
            party: party.number,
        };
        self.expected.insert(hub, place.clone());
        self.pickers.insert(place.clone(), parked.clone());
        self.tell(&place);
        Some((place, hub))
    }
}

/// Park the other party, for anybody to pick up.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/park", tag = "ringcentral",
    params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 201, description = "CallParty with its park location"), (status = 404, description = "None, or no more"),
        (status = 409, description = "It does not talk")))]
pub(super) async fn park(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    path: Named,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let shown = shared.park(&caller, path.party(), None).await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

impl Shared {
    pub(super) async fn park(&self, caller: &Caller, path: (&str, &str), orbit: Option<&str>) -> Result<Value, Fault> {
        let (place, (leg, customer, orbit)) = self.party(caller, path, |desk, place| {
            let leg = desk.talking(place)?;
            let customer = desk
                .other(leg)
                .ok_or_else(|| Fault::state("the party talks with nobody"))?;
            Ok((leg, customer, desk.orbit(orbit)?))
        })?;
        let settings = HubSettings {
            name: Some(format!("park {orbit}")),
            ..HubSettings::default()
        };
        let Reply::Call(view) = self.order(Command::OpenHub { settings }).await? else {
            return Err(Fault::unavailable());
        };
        let hub = view.id;
        self.desk(|desk| {
            if let Some(party) = desk.party_mut(&place) {
                party.moving = true;
            }
        });
        let moved = Command::Move {
            leg: customer,
            to: hub,
            role: ends_with_it(),
        };
        if let Err(fault) = self.order(moved).await {
            self.desk(|desk| {
                if let Some(party) = desk.party_mut(&place) {
                    party.moving = false;
                }
            });
            self.order(Command::HangUpCall { call: hub }).await.ok(); // an empty hub that is in nobody's way
            return Err(fault);
        }
        self.desk(|desk| desk.parked(&place, customer, hub, &orbit));
        self.let_go(leg).await;
        self.shown(&place)
    }
}

fn ends_with_it() -> Role {
    Role {
        ends: true,
        ..Role::default()
    }
}

/// Pick up a call that is parked, or that rings elsewhere, on one's own device.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/pickup", tag = "ringcentral",
    request_body = Device, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 201, description = "CallParty of who picks up"), (status = 404, description = "None, or no more"),
        (status = 409, description = "It neither rings nor is parked")))]
pub(super) async fn pick_up(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    path: Named,
    octets: Octets,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let device: Device = octets.json()?;
    let device = device.device_id.ok_or_else(|| Fault::parameter("deviceId", ""))?;
    let me = caller.is(&shared)?;
    let picker = whose_device(&shared, Some(&device), None)?.unwrap_or(me);
    if picker.id != me.id && !me.admin {
        return Err(Fault::permission("CallControl"));
    }
    // Anybody of the account may pick up: that is what parking is for.
    let (place, code, legs) = shared.desk(|desk| {
        let (session, party) = path.party();
        desk.session(session)
            .ok_or_else(|| Fault::not_found("telephonySessionId"))?;
        let (place, party) = desk.find(session, party).ok_or_else(|| Fault::not_found("partyId"))?;
        Ok::<_, Fault>((place, party.status.code, party.legs.clone()))
    })?;
    let picking = match code {
        Code::Parked => shared.pick_up_parked(&place, picker).await?,
        Code::Setup | Code::Proceeding if place.party > 1 => shared.pick_up_ringing(&place, &legs, picker).await?,
        Code::Setup | Code::Proceeding | Code::Answered | Code::Hold | Code::Disconnected | Code::Gone => {
            return Err(Fault::state(format!("the party is {}", code.text())));
        }
    };
    Ok((StatusCode::CREATED, Json(picking)))
}

impl Shared {
    async fn pick_up_parked(&self, parked: &Place, picker: &Extension) -> Result<Value, Fault> {
        let to = self.directory.address(picker);
        let who = self.directory.who(&to.to_string());
        let (place, hub) = self
            .desk(|desk| desk.picks_up(parked, who))
            .ok_or_else(|| Fault::not_allowed("The session is full"))?;
        let party = NewParty {
            to,
            from: None,
            from_name: None,
            role: ends_with_it(),
            ring_timeout: None,
            headers: named(&place, answer_by_itself(true)),
            peer: None,
            credentials: None,
        };
        self.call_in(hub, &place, party).await?;
        self.shown(&place)
    }

    async fn pick_up_ringing(&self, place: &Place, legs: &[LegHandle], picker: &Extension) -> Result<Value, Fault> {
        let to = self.directory.address(picker);
        self.divert(place, legs, to, Reason::Pickup, answer_by_itself(true))
            .await?;
        let newest = self.desk(|desk| {
            let session = desk.sessions.get(&place.session)?;
            Some(session.parties.last()?.resource(&session.tail, &self.directory))
        });
        newest.ok_or_else(|| Fault::state("the call ended at once"))
    }
}
