//! `/Conferences/{CF}/Participants`: who is in a conference, in which place, and calling somebody into it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::App;
use super::call::{Call, Direction, Signal};
use super::calls::{callback, ends, plan};
use super::conference::Conference;
use super::conferences::start_announcement;
use super::error::Fault;
use super::flow::start_player;
use super::form::Form;
use super::page::Page;
use super::participant::{Left, Participant};
use super::path::without_ending;
use super::sid::Sid;
use super::twiml::{Target, Wait};
use crate::api::time;
use crate::engine::{AudienceHandle, Command};

const CALL_EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];
const CONFERENCE_EVENTS: [&str; 8] = ["start", "end", "join", "leave", "mute", "hold", "modify", "speaker"];
/// A participant whom a client has called stays as long as it likes, within a day.
const LONGEST: Duration = Duration::from_secs(86_400);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/Conferences/{conference}/Participants.json", get(list).post(create))
        .route(
            "/Conferences/{conference}/Participants/{call}",
            get(show).post(change).delete(remove),
        )
}

async fn list(
    State(app): State<Arc<App>>,
    Path((_, conference)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let (muted, hold, coaching) = (form.flag("Muted")?, form.flag("Hold")?, form.flag("Coaching")?);
    let state = app.state();
    let found = of_path(&state, &conference).ok_or_else(|| Fault::not_found(uri.path()))?;
    let fitting = found.participants.iter().filter(|one| {
        muted.is_none_or(|muted| one.muted == muted)
            && hold.is_none_or(|hold| one.hold == hold)
            && coaching.is_none_or(|coaching| one.coaching == coaching)
    });
    let all = fitting.map(|one| one.json(&app.account.account_sid, &found.sid, state.calls.get(&one.call)));
    Ok(Json(page.relative("participants", uri.path(), &form, all)))
}

/// The conference of a path: a live one by its name, any by its identifier.
fn of_path<'a>(state: &'a super::state::State, name: &str) -> Option<&'a Conference> {
    let by_sid = Sid::read("CF", name).and_then(|sid| state.conferences.get(&sid));
    by_sid.or_else(|| state.conference(name))
}

/// Conference and call of a path; the call by its identifier or its label.
fn place(state: &super::state::State, conference: &str, call: &str, uri: &Uri) -> Result<(Sid, Sid), Fault> {
    let gone = || Fault::not_found(uri.path());
    let found = of_path(state, conference)
        .filter(|found| found.is_live())
        .ok_or_else(gone)?;
    let wanted = without_ending(call);
    let same = |one: &&Participant| one.call.as_str() == wanted || one.label.as_deref() == Some(wanted);
    let one = found.participants.iter().find(same).ok_or_else(gone)?;
    Ok((found.sid.clone(), one.call.clone()))
}

fn body(app: &App, state: &super::state::State, conference: &Sid, call: &Sid) -> Option<Value> {
    let found = state.conferences.get(conference)?;
    let one = found.participants.iter().find(|one| one.call == *call)?;
    Some(one.json(&app.account.account_sid, conference, state.calls.get(call)))
}

async fn show(
    State(app): State<Arc<App>>,
    Path((_, conference, call)): Path<(String, String, String)>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Fault> {
    let state = app.state();
    let (conference, call) = place(&state, &conference, &call, &uri)?;
    let body = body(&app, &state, &conference, &call);
    body.map(Json).ok_or_else(|| Fault::not_found(uri.path()))
}

/// Calls somebody into a conference, which is opened if there is none of that name.
async fn create(
    State(app): State<Arc<App>>,
    Path((_, conference)): Path<(String, String)>,
    form: Form,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let (to, from) = ends(&form)?;
    let plan = plan(&app, &form, to, from, (5, 600))?;
    let mut call = Call::new(Direction::OutboundApi, from, to, time::now());
    call.callback = callback(&form, "StatusCallback", "completed", &CALL_EVENTS)?;
    let mut place = Participant::new(call.sid.clone(), time::now());
    settle(&app, &form, &mut place, None)?;
    let told = callback(&form, "ConferenceStatusCallback", "start end", &CONFERENCE_EVENTS)?;
    let most = form.number("MaxParticipants", 2..=250)?.unwrap_or(250);
    let record = form
        .get("ConferenceRecord")
        .is_some_and(|word| matches!(word, "true" | "record-from-start"));
    let record_leg = form.flag("Record")?.unwrap_or(false);
    let sid = app.conference(&conference, u16::try_from(most).unwrap_or(250)).await?;
    let full = app
        .state()
        .conferences
        .get(&sid)
        .is_some_and(|found| found.participants.len() as u64 >= most);
    if full {
        return Err(Fault::new(400, 16_020, "The conference is full"));
    }
    check_coach(&app, &sid, &place)?;
    let json = place.json(&app.account.account_sid, &sid, Some(&call));
    app.enrol(&sid, place, told)?;
    let (call, inbox) = app.add_call(call);
    tokio::spawn(async move {
        let Some(mut flow) = app.dial_out(call.clone(), inbox, plan).await else {
            return app.never_came(&sid, &call);
        };
        if record_leg {
            let leg = flow.leg;
            app.record_leg(&call, leg).await;
        }
        // Whatever ended it: behind the conference this call has nothing to do.
        drop(flow.stay(&sid, record, LONGEST, false).await);
        flow.hang_up().await;
    });
    Ok((StatusCode::CREATED, Json(json)))
}

/// Whom somebody coaches must be there.
fn check_coach(app: &App, conference: &Sid, place: &Participant) -> Result<(), Fault> {
    let bad = |why: &str| Err(Fault::new(400, 13_240, format!("The call to coach {why}")));
    match &place.coach {
        None if place.coaching => bad("is missing: set CallSidToCoach"),
        None => Ok(()),
        Some(coach) => {
            let state = app.state();
            let found = state.conferences.get(conference);
            let there = found.is_some_and(|found| found.participants.iter().any(|one| one.call == *coach));
            if there { Ok(()) } else { bad("is not in the conference") }
        }
    }
}

/// What a request says of a place.
fn settle(app: &App, form: &Form, place: &mut Participant, conference: Option<&Sid>) -> Result<(), Fault> {
    if let Some(label) = form.get("Label") {
        if label.chars().count() > 128 {
            return Err(Fault::parameter("Label", "it is longer than 128 characters"));
        }
        place.label = Some(label.to_owned());
    }
    place.muted = form.flag("Muted")?.unwrap_or(place.muted);
    place.starts = form.flag("StartConferenceOnEnter")?.unwrap_or(place.starts);
    place.ends = form.flag("EndConferenceOnExit")?.unwrap_or(place.ends);
    place.beep = match form.get("Beep") {
        None => place.beep,
        Some("true") => (true, true),
        Some("false") => (false, false),
        Some("onEnter") => (true, false),
        Some("onExit") => (false, true),
        Some(_) => return Err(Fault::parameter("Beep", "it is true, false, onEnter or onExit")),
    };
    place.beep.1 = form.flag("BeepOnExit")?.unwrap_or(place.beep.1);
    place.coaching = form.flag("Coaching")?.unwrap_or(place.coaching);
    if let Some(coach) = form.sid("CA", "CallSidToCoach")? {
        (place.coach, place.coaching) = (Some(coach), form.flag("Coaching")?.unwrap_or(true));
    } else if !place.coaching {
        place.coach = None;
    }
    place.wait = match form.given("WaitUrl") {
        None => std::mem::replace(&mut place.wait, Wait::Music),
        Some("") => Wait::Silence,
        Some(_) => match form.url("WaitUrl")? {
            Some(url) => Wait::Document(Target {
                url,
                method: form.method("WaitMethod")?.unwrap_or(Method::POST),
            }),
            None => Wait::Silence,
        },
    };
    conference.map_or(Ok(()), |conference| check_coach(app, conference, place))
}

/// A copy that can be judged before anything is changed.
fn draft(place: &Participant) -> Participant {
    Participant {
        call: place.call.clone(),
        label: place.label.clone(),
        coach: place.coach.clone(),
        wait: place.wait.clone(),
        music: place.music.clone(),
        player: None,
        ..*place
    }
}

async fn change(
    State(app): State<Arc<App>>,
    Path((_, conference, call)): Path<(String, String, String)>,
    OriginalUri(uri): OriginalUri,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let gone = || Fault::not_found(uri.path());
    let (sid, call) = place(&app.state(), &conference, &call, &uri)?;
    let (before, mut after) = {
        let mut state = app.state();
        let one = state
            .conferences
            .get_mut(&sid)
            .and_then(|found| found.participant(&call))
            .ok_or_else(gone)?;
        (draft(one), draft(one))
    };
    settle(&app, &form, &mut after, Some(&sid))?;
    after.hold = form.flag("Hold")?.unwrap_or(after.hold);
    let hold_url = form.url("HoldUrl")?;
    let hold_method = form.method("HoldMethod")?.unwrap_or(Method::GET);
    let announce_url = form.url("AnnounceUrl")?;
    let announce_method = form.method("AnnounceMethod")?.unwrap_or(Method::POST);
    if !before.joined {
        return Err(Fault::new(409, 20_409, "The participant is not connected"));
    }
    after.music = match (after.hold, form.given("HoldUrl"), &after.wait) {
        (true, Some(_), _) | (false, _, Wait::Silence | Wait::Document(_)) => Some(String::new()),
        (true, None, _) if before.hold => before.music.clone(),
        (true, None, _) | (false, _, Wait::Music) => None,
    };
    apply(&app, &sid, &call, &before, after).await?;
    if let (Some(true), Some(url)) = (form.flag("Hold")?, hold_url) {
        let method = hold_method;
        start_player(&app, &sid, &call, Target { url, method });
    }
    if let Some(url) = announce_url {
        let method = announce_method;
        start_announcement(&app, &sid, Some(call.clone()), Target { url, method });
    }
    let state = app.state();
    body(&app, &state, &sid, &call).map(Json).ok_or_else(gone)
}

/// Gives the engine the new role; only what it takes is remembered and told.
async fn apply(app: &Arc<App>, sid: &Sid, call: &Sid, before: &Participant, after: Participant) -> Result<(), Fault> {
    let gone = || Fault::not_found(&format!("/Conferences/{sid}/Participants/{call}"));
    let (leg, role) = {
        let state = app.state();
        let leg = state.leg_of(call).ok_or_else(gone)?;
        let conference = state.conferences.get(sid).ok_or_else(gone)?;
        (leg, state.role(conference, &after))
    };
    app.order(Command::SetRole { leg, role }).await?;
    let stop = {
        let mut state = app.state();
        let found = state.conferences.get_mut(sid).ok_or_else(gone)?;
        let one = found.participant(call).ok_or_else(gone)?;
        let stop = one.hold != after.hold && one.stop_player();
        *one = Participant {
            player: one.player.take(),
            joined: one.joined,
            leaving: one.leaving,
            updated: time::now(),
            ..after
        };
        let (told, muted, hold) = (one.parameters(), one.muted, one.hold);
        let changed = (one.ends, one.coaching, &one.coach, one.beep)
            != (before.ends, before.coaching, &before.coach, before.beep);
        if muted != before.muted {
            let event = if muted {
                "participant-mute"
            } else {
                "participant-unmute"
            };
            app.tell_of_conference(found, "mute", event, told.clone());
        }
        if hold != before.hold {
            let event = if hold { "participant-hold" } else { "participant-unhold" };
            app.tell_of_conference(found, "hold", event, told.clone());
        }
        if changed {
            app.tell_of_conference(found, "modify", "participant-modify", told);
        }
        stop
    };
    if stop {
        let to = AudienceHandle::Leg(leg);
        app.try_order(Command::StopPlaying { to }).await;
    }
    Ok(())
}

/// Sends somebody out of a conference, to the rest of its document.
async fn remove(
    State(app): State<Arc<App>>,
    Path((_, conference, call)): Path<(String, String, String)>,
    OriginalUri(uri): OriginalUri,
) -> Result<StatusCode, Fault> {
    let (sid, call) = {
        let mut state = app.state();
        let (sid, call) = place(&state, &conference, &call, &uri)?;
        if let Some(one) = state
            .conferences
            .get_mut(&sid)
            .and_then(|found| found.participant(&call))
        {
            one.leaving = Some(Left::UpdatedByApi);
            if one.joined {
                state.tell(&call, &Signal::Out);
                return Ok(StatusCode::NO_CONTENT);
            }
        }
        (sid, call)
    };
    app.hang_up(&call).await;
    app.never_came(&sid, &call);
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    /// Somebody who was called into a conference did not come.
    pub(super) fn never_came(&self, sid: &Sid, call: &Sid) {
        let mut state = self.state();
        let Some(found) = state.conferences.get_mut(sid) else {
            return;
        };
        let place = found
            .participants
            .iter()
            .position(|one| one.call == *call && !one.joined);
        let Some(one) = place.map(|place| found.participants.remove(place)) else {
            return;
        };
        let mut told = one.parameters();
        told.push(("ParticipantCallStatus", "failed".to_owned()));
        told.push(("ReasonParticipantLeft", Left::AddFailed.as_str().to_owned()));
        self.tell_of_conference(found, "leave", "participant-leave", told);
        self.end_if_empty(&mut state, sid);
    }
}
