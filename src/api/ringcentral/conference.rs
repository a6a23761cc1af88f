//! Conferences, supervision and mute: what needs a hub.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::random_hex;
use super::ask::{Caller, Named, Octets, text_or_number};
use super::calls::whose_device;
use super::desk::Place;
use super::fault::Fault;
use super::party::party_id;
use super::people::{Extension, Who};
use super::session::MOST_PARTIES;
use super::state::{SOON, Shared};
use super::words::{Code, Origin, Reason};
use crate::engine::{CallHandle, Command, Event, HubNote, HubSettings, LegHandle, NewParty, Part, Reply, Role};
use crate::sip::Uri;

/// A conference whose host does not call it within this time is dropped.
const HOST_COMES: Duration = Duration::from_secs(38);

/// Open a conference. Its host calls `sip:<voiceCallToken>@domain` within 38 s, then others can be brought in.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/conference", tag = "ringcentral",
    params(("account" = String, Path)),
    responses((status = 201, description = "The session"), (status = 409, description = "There is no mixer")))]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    octets: Octets,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let _: serde_json::Map<String, Value> = octets.json()?;
    let token = format!("conf_{}", random_hex(32)?);
    let settings = HubSettings {
        name: Some(token.clone()),
        most: u16::from(MOST_PARTIES),
        ..HubSettings::default()
    };
    let Reply::Call(view) = shared.order(Command::OpenHub { settings }).await? else {
        return Err(Fault::unavailable());
    };
    let session = shared.desk(|desk| {
        let tail = desk.conference(view.id, &token);
        desk.hosts.insert(tail.clone(), caller.extension);
        desk.sessions
            .get(&tail)
            .map(|session| session.resource(&shared.directory))
    });
    let waiting = Arc::clone(&shared);
    tokio::spawn(async move { waiting.drop_if_empty(view.id).await });
    Ok((StatusCode::CREATED, Json(json!({ "session": session }))))
}

impl Shared {
    async fn drop_if_empty(&self, hub: CallHandle) {
        tokio::time::sleep(HOST_COMES).await;
        let empty = self.desk(|desk| {
            let tail = desk.calls.get(&hub)?;
            desk.sessions.get(tail).map(|session| session.parties.is_empty())
        });
        if empty == Some(true) {
            self.order(Command::HangUpCall { call: hub }).await.ok(); // it has ended by itself
        }
    }

    /// Before the host hangs up: the conference shall go on without it.
    pub(super) async fn host_may_go(&self, place: &Place) -> Result<(), Fault> {
        let host = self.desk(|desk| {
            let conference = desk.sessions.get(&place.session)?.origin == Origin::Conference;
            desk.party(place).filter(|party| conference && party.number == 1)?.leg()
        });
        if let Some(leg) = host {
            let role = Role::default();
            self.order(Command::SetRole { leg, role }).await?;
        }
        Ok(())
    }

    /// Mute makes a hub of a pair: only there can somebody be heard by nobody.
    pub(super) async fn mute(&self, place: &Place, muted: bool) -> Result<(), Fault> {
        let found = self.desk(|desk| {
            let leg = desk.talking(place)?;
            let party = desk.party(place).filter(|party| party.muted != muted);
            Ok::<_, Fault>(party.and_then(|party| Some((leg, party.call?, desk.hubs.contains(&party.call?)))))
        })?;
        let Some((leg, call, hub)) = found else { return Ok(()) };
        if !hub {
            self.to_hub(call).await.map_err(|_| Fault::mute())?;
        }
        let part = if muted { Part::Muted } else { Part::Speaker };
        let role = Role {
            part,
            ends: true,
            ..Role::default()
        };
        self.order(Command::SetRole { leg, role }).await?;
        self.desk(|desk| {
            if let Some(party) = desk.party_mut(place) {
                party.muted = muted;
            }
            desk.tell(place);
        });
        Ok(())
    }

    /// Makes a hub of a pair that still ends like a pair: when one of the two leaves.
    async fn to_hub(&self, call: CallHandle) -> Result<(), Fault> {
        let settings = HubSettings {
            most: u16::from(MOST_PARTIES),
            ..HubSettings::default()
        };
        self.order(Command::ToHub { call, settings }).await?;
        let legs = self.desk(|desk| {
            let parties = desk.sessions.values().flat_map(|session| &session.parties);
            let here = parties.filter(|party| party.call == Some(call) && party.status.code.talks());
            here.filter_map(super::party::Party::leg).collect::<Vec<_>>()
        });
        for leg in legs {
            let role = Role {
                ends: true,
                ..Role::default()
            };
            self.order(Command::SetRole { leg, role }).await?;
        }
        Ok(())
    }
}

/// Lets the host of a conference in, when it calls.
pub(super) fn host(shared: &Arc<Shared>, event: &Event) {
    let Event::Hub(HubNote::Arrived { leg, from, to, .. }) = event else {
        return;
    };
    let Some(token) = Uri::parse(to)
        .ok()
        .and_then(|uri| uri.user_unescaped().map(|user| user.into_owned()))
    else {
        return;
    };
    let found = shared.desk(|desk| {
        let session = desk.conference_named(&token)?;
        let (tail, hub) = (session.tail.clone(), session.call);
        let who = desk.directory.who(from);
        let opened = desk.hosts.get(&tail).copied();
        if opened.map(Who::Extension).as_ref() != Some(&who) {
            return Some(Err(()));
        }
        Some(desk.host_calls(&tail, *leg, from).map(|_| hub).ok_or(()))
    });
    let leg = *leg;
    let command = match found {
        Some(Ok(to)) => {
            let role = Role {
                ends: true,
                ..Role::default()
            };
            Command::Move { leg, to, role }
        }
        // The name of a conference is no way in for others, nor a second time.
        Some(Err(())) => Command::Reject { leg, status: 403 },
        None if token.starts_with("conf_") => Command::Reject { leg, status: 404 },
        None => return, // somebody else's application
    };
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(fault) = shared.order(command).await {
            tracing::info!(%leg, ?fault, "the host of a conference could not come in");
        }
    });
}

/// Whose call is to come in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BringIn {
    session_id: Option<String>,
    telephony_session_id: Option<String>,
    party_id: String,
}

/// Bring the other party of one's call into a conference.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/bring-in", tag = "ringcentral",
    request_body = BringIn, params(("account" = String, Path), ("session" = String, Path, description = "The conference")),
    responses((status = 201, description = "CallParty"), (status = 403, description = "The host is not there, or it is full"),
        (status = 404, description = "None, or no more"), (status = 409, description = "The party does not talk")))]
pub(super) async fn bring_in(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let given: BringIn = octets.json()?;
    let session = given.session_id.or(given.telephony_session_id);
    let session = session.ok_or_else(|| Fault::parameter("sessionId", ""))?;
    let (tail, hub) = shared.look(&caller, &named.session, |desk, tail| {
        let found = desk
            .sessions
            .get(tail)
            .filter(|found| found.origin == Origin::Conference);
        let found = found.ok_or_else(|| Fault::not_allowed("The session is no conference"))?;
        let host = found.party(1).is_some_and(|host| host.status.code == Code::Answered);
        if !host {
            return Err(Fault::not_allowed("The host has not joined the conference"));
        }
        if found.parties.len() >= usize::from(MOST_PARTIES) {
            return Err(Fault::not_allowed("The conference is full"));
        }
        Ok((tail.to_owned(), found.call))
    })?;
    let me = caller.is(&shared)?;
    let (_, (stays, comes)) = shared.party(&caller, (&session, &given.party_id), |desk, place| {
        if place.session == tail {
            return Err(Fault::state("the party is in the conference"));
        }
        let leg = desk.talking(place)?;
        let other = desk.other(leg).and_then(|leg| desk.place(leg));
        let other = other.ok_or_else(|| Fault::state("the party talks with nobody"))?;
        let own = desk
            .party(place)
            .is_some_and(|party| shared.directory.at(&party.who).is_some_and(|who| who.id == me.id));
        Ok(if own {
            (place.clone(), other)
        } else {
            (other, place.clone())
        })
    })?;
    let place = shared.bring(hub, &tail, &stays, &comes).await?;
    let shown = shared
        .shown_as(&place, |party| party.status.code == Code::Answered)
        .await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

impl Shared {
    async fn bring(&self, hub: CallHandle, conference: &str, stays: &Place, comes: &Place) -> Result<Place, Fault> {
        let (moved, left, place) = self.desk(|desk| {
            let (moved, left) = (desk.talking(comes)?, desk.talking(stays)?);
            let who = desk.party(comes).map(|party| party.who.clone());
            let who = who.ok_or_else(|| Fault::not_found("partyId"))?;
            let place = desk.comes_in(conference, moved, who);
            let place = place.ok_or_else(|| Fault::not_allowed("The conference is full"))?;
            if let Some(party) = desk.party_mut(stays) {
                party.moving = true;
            }
            Ok::<_, Fault>((moved, left, place))
        })?;
        let role = Role::default();
        let moving = self
            .order(Command::Move {
                leg: moved,
                to: hub,
                role,
            })
            .await;
        if let Err(fault) = moving {
            self.desk(|desk| {
                desk.unseat(&place);
                desk.disconnect(&place);
                if let Some(party) = desk.party_mut(stays) {
                    party.moving = false;
                }
            });
            return Err(fault);
        }
        let joined = |desk: &mut super::desk::Desk| {
            desk.party(&place)
                .filter(|party| !party.status.code.rings())
                .map(|_| ())
        };
        self.until(SOON, joined).await;
        self.desk(|desk| desk.gone(stays, Reason::Conference, Some(&place)));
        self.let_go(left).await;
        Ok(place)
    }

    /// Whoever is left behind in a call that is over hears music until its phone is released.
    pub(super) async fn let_go(&self, leg: LegHandle) {
        self.order(Command::HangUpLeg { leg }).await.ok(); // it has hung up by itself
    }
}

/// Who listens to whom. The vendor's older clients write `deviceId` and `extensionNumber`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Supervise {
    /// `Listen`.
    mode: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    supervisor_device_id: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    device_id: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    agent_extension_number: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    extension_number: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    agent_extension_id: Option<String>,
    /// The supervisor's phone shall answer by itself; the default.
    auto_answer: Option<bool>,
    /// `sendOnly` or `sendRecv`; nobody hears the supervisor either way.
    #[serde(rename = "mediaSDP")]
    media_sdp: Option<String>,
}

impl Supervise {
    fn checked(&self) -> Result<(), Fault> {
        let mode = self.mode.as_deref().unwrap_or("Listen");
        if !mode.eq_ignore_ascii_case("listen") {
            return Err(Fault::parameter("mode", mode));
        }
        match self.media_sdp.as_deref() {
            None | Some("sendOnly" | "sendRecv") => Ok(()),
            Some(other) => Err(Fault::parameter("mediaSDP", other)),
        }
    }

    fn device(&self) -> Result<&str, Fault> {
        let given = self.supervisor_device_id.as_deref().or(self.device_id.as_deref());
        given.ok_or_else(|| Fault::parameter("supervisorDeviceId", ""))
    }

    /// The supervised one; `None`: it is not said.
    fn agent<'a>(&self, shared: &'a Shared) -> Result<Option<&'a Extension>, Fault> {
        if let Some(number) = self
            .agent_extension_number
            .as_deref()
            .or(self.extension_number.as_deref())
        {
            let found = shared.directory.by_number(number);
            return found.map(Some).ok_or_else(|| Fault::not_found("agentExtensionNumber"));
        }
        whose_device(shared, None, self.agent_extension_id.as_deref())
    }
}

/// Listen to an extension's call.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/supervise", tag = "ringcentral",
    request_body = Supervise, params(("account" = String, Path), ("session" = String, Path)),
    responses((status = 201, description = "CallParty of the supervisor"), (status = 403, description = "No admin"),
        (status = 404, description = "None, or no more"), (status = 409, description = "The agent does not talk")))]
pub(super) async fn supervise_session(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let wanted: Supervise = octets.json()?;
    wanted.checked()?;
    let agent = wanted
        .agent(&shared)?
        .ok_or_else(|| Fault::parameter("agentExtensionNumber", ""))?;
    let place = shared.look(&caller, &named.session, |desk, tail| {
        let found = desk
            .sessions
            .get(tail)
            .ok_or_else(|| Fault::not_found("telephonySessionId"))?;
        let live = |party: &&super::party::Party| {
            shared.directory.at(&party.who) == Some(agent) && !party.status.code.is_last()
        };
        let party = found
            .parties
            .iter()
            .find(live)
            .ok_or_else(|| Fault::not_found("agentExtensionNumber"))?;
        Ok(Place {
            session: tail.to_owned(),
            party: party.number,
        })
    })?;
    shared.supervise(&caller, &place, &wanted).await
}

/// Listen to a party.
#[utoipa::path(post, path = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/supervise", tag = "ringcentral",
    request_body = Supervise, params(("account" = String, Path), ("session" = String, Path), ("party" = String, Path)),
    responses((status = 201, description = "CallParty of the supervisor"), (status = 403, description = "No admin"),
        (status = 404, description = "None, or no more"), (status = 409, description = "The party does not talk")))]
pub(super) async fn supervise_party(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let wanted: Supervise = octets.json()?;
    wanted.checked()?;
    let (place, ()) = shared.party(&caller, named.party(), |_, _| Ok(()))?;
    shared.supervise(&caller, &place, &wanted).await
}

impl Shared {
    async fn supervise(
        &self,
        caller: &Caller,
        agent: &Place,
        wanted: &Supervise,
    ) -> Result<(StatusCode, Json<Value>), Fault> {
        let me = caller.is(self)?;
        if !me.admin {
            return Err(Fault::permission("MonitorCalls"));
        }
        let device = whose_device(self, Some(wanted.device()?), None)?.unwrap_or(me);
        let to = self.directory.address(device);
        let who = self.directory.who(&to.to_string());
        let (call, hub, from) = self.desk(|desk| {
            desk.talking(agent)?;
            let party = desk.party(agent).ok_or_else(|| Fault::not_found("partyId"))?;
            let call = party.call.ok_or_else(|| Fault::state("the party is in no call"))?;
            let from = self
                .directory
                .at(&party.who)
                .map(|agent| (self.directory.address(agent), agent.name.clone()));
            Ok::<_, Fault>((call, desk.hubs.contains(&call), from))
        })?;
        if !hub {
            self.to_hub(call).await?;
        }
        let place = self.desk(|desk| desk.supervisor(agent, who));
        let place = place.ok_or_else(|| Fault::not_allowed("The session is full"))?;
        let (from, from_name) = from.unzip();
        let party = NewParty {
            to,
            from,
            from_name,
            role: Role {
                part: Part::Monitor,
                ..Role::default()
            },
            ring_timeout: None,
            headers: named(&place, answer_by_itself(wanted.auto_answer.unwrap_or(true))),
            peer: None,
            credentials: None,
        };
        self.call_in(call, &place, party).await?;
        self.shown(&place).map(|shown| (StatusCode::CREATED, Json(shown)))
    }
}

impl Shared {
    /// Calls somebody into a hub, for a party that is told of already.
    pub(super) async fn call_in(&self, hub: CallHandle, place: &Place, party: NewParty) -> Result<(), Fault> {
        let command = Command::AddParty {
            call: hub,
            party: Box::new(party),
        };
        let called = self.order(command).await;
        self.desk(|desk| {
            if let Ok(Reply::Legs(legs)) = called {
                let alive = legs.into_iter().filter(|leg| desk.legs.contains_key(leg));
                for leg in alive.collect::<Vec<_>>() {
                    desk.seat(leg, place);
                }
                return Ok(());
            }
            desk.expected.remove(&hub);
            desk.supervisors.remove(place);
            desk.pickers.remove(place);
            if let Some(party) = desk.party_mut(place) {
                party.moving = false;
            }
            desk.disconnect(place);
            called.map(|_| ())
        })
    }
}

/// With the header by which a phone learns the ids of its party, where they are not those of a call's first two.
pub(super) fn named(place: &Place, mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let ids = format!(
        "party-id={};session-id=s-{}",
        party_id(&place.session, place.party),
        place.session
    );
    headers.push((super::LABEL.to_owned(), ids));
    headers
}

/// What makes phones answer by themselves: RFC 5373, and the two habits that most phones know.
pub(super) fn answer_by_itself(wanted: bool) -> Vec<(String, String)> {
    if !wanted {
        return Vec::new();
    }
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        header("Answer-Mode", "Auto"),
        header("Call-Info", "<sip:localhost>;answer-after=0"),
        header("Alert-Info", "<http://localhost>;info=alert-autoanswer"),
    ]
}
