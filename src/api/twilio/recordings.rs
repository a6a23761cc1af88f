//! Recordings: of parties, of bridged pairs, of conferences.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{OriginalUri, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::App;
use super::date::rfc2822;
use super::error::Fault;
use super::form::Form;
use super::page::Page;
use super::path::{Here, part};
use super::recording_file;
use super::sid::Sid;
use super::state::Hub;
use super::twiml::Target;
use crate::api::time;
use crate::engine::{CallHandle, Command, LegHandle, Reply};

/// What asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Verb,
    Dial,
    Conference,
    Api,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Source::Verb => "RecordVerb",
            Source::Dial => "DialVerb",
            Source::Conference => "Conference",
            Source::Api => "StartCallRecordingAPI",
        }
    }
}

/// One recording.
#[derive(Debug)]
pub(super) struct Recording {
    sid: Sid,
    /// Of the file, without its folder and ending.
    name: String,
    call: Option<Sid>,
    conference: Option<Sid>,
    source: Source,
    created: SystemTime,
    updated: SystemTime,
    milliseconds: Option<u64>,
    callback: Option<Target>,
}

impl Recording {
    fn status(&self) -> &'static str {
        if self.milliseconds.is_some() {
            "completed"
        } else {
            "in-progress"
        }
    }

    /// A party is recorded in one channel, what it hears in another; a conference and a pair as they sound.
    fn channels(&self) -> u8 {
        match self.source {
            Source::Verb | Source::Api => 2,
            Source::Dial | Source::Conference => 1,
        }
    }

    fn json(&self, account: &str, base: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account}/Recordings/{}", self.sid);
        json!({
            "sid": self.sid, "account_sid": account, "api_version": "2010-04-01", "call_sid": self.call,
            "conference_sid": self.conference, "channels": self.channels(), "source": self.source.as_str(), "status": self.status(),
            "date_created": rfc2822(self.created), "date_updated": rfc2822(self.updated),
            "start_time": rfc2822(self.created), "duration": self.milliseconds.map(|all| (all / 1_000).to_string()),
            "error_code": null, "price": null, "price_unit": "USD", "encryption_details": null, "track": "both",
            "media_url": format!("{base}{uri}"), "uri": format!("{uri}.json"), "subresource_uris": {},
        })
    }
}

/// A file is complete.
pub(super) fn finished(app: &App, name: &str, milliseconds: u64) {
    let mut state = app.state();
    let Some(sid) = state
        .recordings
        .newest()
        .find(|one| one.name == name)
        .map(|one| one.sid.clone())
    else {
        return;
    };
    let Some(one) = state.recordings.get_mut(&sid) else {
        return;
    };
    one.milliseconds = Some(milliseconds);
    one.updated = time::now();
    let Some(callback) = one.callback.clone() else { return };
    let text = |sid: &Option<Sid>| sid.as_ref().map(Sid::to_string).unwrap_or_default();
    let form = [
        ("AccountSid", app.account.account_sid.clone()),
        ("CallSid", text(&one.call)),
        ("ConferenceSid", text(&one.conference)),
        ("RecordingSid", sid.to_string()),
        ("RecordingUrl", app.recording_url(&sid)),
        ("RecordingStatus", "completed".to_owned()),
        ("RecordingDuration", (milliseconds / 1_000).to_string()),
        ("RecordingChannels", one.channels().to_string()),
        ("RecordingSource", one.source.as_str().to_owned()),
    ];
    let given = form.into_iter().filter(|(_, value)| !value.is_empty());
    let form: Vec<(String, String)> = given.map(|(name, value)| (name.to_owned(), value)).collect();
    app.notify(&format!("{} {sid}", callback.url), &callback, &form);
}

impl App {
    pub(super) fn recording_url(&self, sid: &Sid) -> String {
        let account = &self.account.account_sid;
        format!("{}/2010-04-01/Accounts/{account}/Recordings/{sid}", self.base_url)
    }

    pub(super) fn add_recording(
        &self,
        name: &str,
        call: Option<Sid>,
        conference: Option<Sid>,
        source: Source,
        callback: Option<Target>,
    ) -> Sid {
        let now = time::now();
        let sid = Sid::new("RE");
        let recording = Recording {
            sid: sid.clone(),
            name: name.to_owned(),
            call,
            conference,
            source,
            created: now,
            updated: now,
            milliseconds: None,
            callback,
        };
        self.state()
            .recordings
            .add(sid.clone(), recording, |one| one.milliseconds.is_some());
        sid
    }

    /// One party, and what it hears.
    pub(super) async fn record_leg(&self, call: &Sid, leg: LegHandle) {
        match self.order(Command::Record { leg }).await {
            Ok(Reply::Recording(name)) => drop(self.add_recording(&name, Some(call.clone()), None, Source::Api, None)),
            Ok(_) => {}
            Err(error) => tracing::warn!(%call, %error, "a call cannot be recorded"),
        }
    }

    /// A pair that Dial has joined.
    pub(super) async fn record_hub(&self, call: &Sid, hub: CallHandle, callback: Option<Target>) {
        match self.order(Command::RecordHub { call: hub }).await {
            Ok(Reply::Recording(name)) => {
                drop(self.add_recording(&name, Some(call.clone()), None, Source::Dial, callback))
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%call, %error, "a call cannot be recorded"),
        }
    }

    /// A conference, once.
    pub(super) async fn record_conference(&self, sid: &Sid) {
        let hub = {
            let mut state = self.state();
            let Some(found) = state.conferences.get_mut(sid) else {
                return;
            };
            if std::mem::replace(&mut found.recorded, true) {
                return;
            }
            found.hub
        };
        match self.order(Command::RecordHub { call: hub }).await {
            Ok(Reply::Recording(name)) => {
                drop(self.add_recording(&name, None, Some(sid.clone()), Source::Conference, None));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(conference = %sid, %error, "a conference cannot be recorded"),
        }
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/Recordings.json", get(list))
        .route("/Recordings/{recording}", get(show).delete(remove))
        .route("/Calls/{call}/Recordings.json", get(list).post(start))
        .route(
            "/Calls/{call}/Recordings/{recording}",
            get(show).post(change).delete(remove),
        )
        .route("/Conferences/{conference}/Recordings.json", get(list))
        .route(
            "/Conferences/{conference}/Recordings/{recording}",
            get(show).post(change).delete(remove),
        )
}

async fn list(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    path: Here,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let call = part(&path, "call").or_else(|| form.get("CallSid"));
    let conference = part(&path, "conference").or_else(|| form.get("ConferenceSid"));
    let same = |own: &Option<Sid>, wanted: Option<&str>| {
        wanted.is_none_or(|wanted| own.as_ref().is_some_and(|own| own.as_str() == wanted))
    };
    let state = app.state();
    let fitting = state
        .recordings
        .newest()
        .filter(|one| same(&one.call, call) && same(&one.conference, conference));
    let all = fitting.map(|one| one.json(&app.account.account_sid, &app.base_url));
    Ok(Json(page.relative("recordings", uri.path(), &form, all)))
}

fn found(path: &Here, uri: &Uri) -> Result<Sid, Fault> {
    let named = part(path, "recording").map(|text| text.strip_suffix(".wav").unwrap_or(text));
    let sid = named.and_then(|text| Sid::read("RE", text));
    sid.ok_or_else(|| Fault::not_found(uri.path()))
}

/// What it is with `.json`, how it sounds without.
async fn show(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    path: Here,
    request: Request,
) -> Result<Response, Fault> {
    let sid = found(&path, &uri)?;
    let gone = || Fault::not_found(uri.path());
    let sound = !uri.path().ends_with(".json");
    let name = {
        let state = app.state();
        let one = state.recordings.get(&sid).ok_or_else(gone)?;
        if !sound {
            return Ok(Json(one.json(&app.account.account_sid, &app.base_url)).into_response());
        }
        // A file that is still being written has no length yet.
        one.milliseconds.and(Some(one.name.clone())).ok_or_else(gone)?
    };
    let sent = recording_file::send(app.folder.as_deref(), &name, request).await;
    sent.ok_or_else(gone)
}

/// It and its file. One that is under way goes on.
async fn remove(State(app): State<Arc<App>>, OriginalUri(uri): OriginalUri, path: Here) -> Result<StatusCode, Fault> {
    let sid = found(&path, &uri)?;
    let name = {
        let mut state = app.state();
        let one = state.recordings.get(&sid).ok_or_else(|| Fault::not_found(uri.path()))?;
        if one.milliseconds.is_none() {
            return Err(Fault::new(400, 21_220, "The recording is still in progress"));
        }
        state.recordings.remove(&sid).map(|one| one.name)
    };
    if let Some(name) = name {
        recording_file::remove(app.folder.as_deref(), &name).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Records a call from now on.
async fn start(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    path: Here,
    form: Form,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let callback = form.url("RecordingStatusCallback")?.map(|url| Target {
        url,
        method: axum::http::Method::POST,
    });
    let call = part(&path, "call").and_then(|text| Sid::read("CA", text));
    let leg = call.as_ref().and_then(|call| app.state().leg_of(call));
    let (Some(call), Some(leg)) = (call, leg) else {
        return Err(Fault::not_found(uri.path()));
    };
    let Reply::Recording(name) = app.order(Command::Record { leg }).await? else {
        return Err(Fault::new(500, 20_500, "The engine answered another question"));
    };
    let sid = app.add_recording(&name, Some(call), None, Source::Api, callback);
    let state = app.state();
    let body = state
        .recordings
        .get(&sid)
        .map(|one| one.json(&app.account.account_sid, &app.base_url));
    Ok((StatusCode::CREATED, Json(body.unwrap_or_default())))
}

/// `Status=stopped` ends it; a pause is not in this version.
async fn change(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    path: Here,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let gone = || Fault::not_found(uri.path());
    match form.get("Status") {
        Some("stopped") => {}
        Some("paused" | "in-progress") => {
            return Err(Fault::new(400, 21_220, "This edge does not pause recordings"));
        }
        Some(_) | None => return Err(Fault::parameter("Status", "it is stopped")),
    }
    let order = {
        let state = app.state();
        let name = part(&path, "recording").unwrap_or_default();
        let current =
            |one: &&Recording| one.sid.as_str() == name || (name == "Twilio.CURRENT" && one.milliseconds.is_none());
        let own = |one: &&Recording| {
            let of = |sid: &Option<Sid>, key| {
                part(&path, key).is_none_or(|text| sid.as_ref().is_some_and(|sid| sid.as_str() == text))
            };
            of(&one.call, "call") && of(&one.conference, "conference")
        };
        let one = state.recordings.newest().filter(own).find(current).ok_or_else(gone)?;
        let hub = state
            .hubs
            .iter()
            .find(|(_, of)| one.conference.clone().map(Hub::Conference).as_ref() == Some(*of));
        let leg = one.call.as_ref().and_then(|call| state.leg_of(call));
        let order = match (hub, leg) {
            (Some((call, _)), _) => Command::StopRecordingHub { call: *call },
            (None, Some(leg)) => Command::StopRecording { leg },
            (None, None) => return Err(gone()),
        };
        (order, one.sid.clone())
    };
    app.order(order.0).await?;
    let state = app.state();
    let one = state.recordings.get(&order.1).ok_or_else(gone)?;
    Ok(Json(one.json(&app.account.account_sid, &app.base_url)))
}
