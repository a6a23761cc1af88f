//! `/Calls`: making calls, changing what they do, ending them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::call::{Call, Direction, Signal, Status};
use super::date::day;
use super::error::Fault;
use super::flow::{Plan, Source};
use super::form::Form;
use super::page::Page;
use super::path::without_ending;
use super::sid::Sid;
use super::twiml::{Callback, Target, parse};
use super::{App, address, events};
use crate::api::time;

/// Of a document in a request, in characters.
const MOST_TWIML: usize = 4_000;
const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/Calls.json", get(list).post(create))
        .route("/Calls/{call}", get(show).post(change).delete(remove))
}

/// A call's identifier in a path, with or without `.json`.
pub(super) fn named(kind: &str, text: &str, uri: &Uri) -> Result<Sid, Fault> {
    let read = Sid::read(kind, without_ending(text));
    read.ok_or_else(|| Fault::not_found(uri.path()))
}

/// StatusCallback, its method and its events.
pub(super) fn callback(form: &Form, name: &str, default: &str, known: &[&str]) -> Result<Option<Callback>, Fault> {
    let Some(url) = form.url(name)? else { return Ok(None) };
    let method = form.method(&format!("{name}Method"))?.unwrap_or(Method::POST);
    let mut events = form.words(&format!("{name}Event"));
    if events.is_empty() {
        events = default.split(' ').map(str::to_owned).collect();
    }
    if let Some(bad) = events.iter().find(|event| !known.contains(&event.as_str())) {
        return Err(Fault::parameter(
            &format!("{name}Event"),
            &format!("{bad} is none of {}", known.join(", ")),
        ));
    }
    let target = Target { url, method };
    Ok(Some(Callback { target, events }))
}

/// What a call is to do: Url, Twiml or ApplicationSid.
fn source(app: &App, form: &Form) -> Result<Option<Source>, Fault> {
    if let Some(text) = form.get("Twiml") {
        if text.chars().count() > MOST_TWIML {
            return Err(Fault::parameter("Twiml", "it is longer than 4000 characters"));
        }
        parse(text).map_err(|error| Fault::new(400, 12_100, format!("Document parse failure: {error}")))?;
        return Ok(Some(Source::Text(text.to_owned())));
    }
    let method = form.method("Method")?.unwrap_or(Method::POST);
    let fallback = form.url("FallbackUrl")?.map(|url| {
        let method = form.method("FallbackMethod");
        method.map(|method| Target {
            url,
            method: method.unwrap_or(Method::POST),
        })
    });
    let fallback = fallback.transpose()?;
    if let Some(url) = form.url("Url")? {
        return Ok(Some(Source::voice(Target { url, method }, fallback)));
    }
    let Some(wanted) = form.get("ApplicationSid") else {
        return Ok(None);
    };
    let mut numbers = app.account.numbers.iter();
    let number = numbers.find(|number| number.app_sid.as_deref() == Some(wanted));
    let number = number.ok_or_else(|| Fault::parameter("ApplicationSid", "there is no such application"))?;
    let fallback = number.fallback.as_ref().map(events::target);
    Ok(Some(Source::voice(events::target(&number.voice), fallback)))
}

/// What concerns the ringing: Timeout, TimeLimit, SendDigits, SipAuth…
pub(super) fn plan(app: &App, form: &Form, to: &str, from: &str, timeouts: (u64, u64)) -> Result<Plan, Fault> {
    let (least, most) = timeouts;
    let credentials = form.get("SipAuthUsername").zip(form.get("SipAuthPassword"));
    let shown = form.get("CallerId").unwrap_or(from);
    Ok(Plan {
        to: address::to(to, &app.domain)?,
        from: address::uri(shown, &app.domain),
        timeout: Duration::from_secs(form.number("Timeout", least..=most)?.unwrap_or(60)),
        credentials: credentials.map(|(user, password)| (user.to_owned(), password.to_owned())),
        digits: form.get("SendDigits").map(str::to_owned),
        longest: form.number("TimeLimit", 1..=86_400)?.map(Duration::from_secs),
    })
}

/// To and From, which every call needs.
pub(super) fn ends(form: &Form) -> Result<(&str, &str), Fault> {
    let to = form
        .get("To")
        .ok_or_else(|| Fault::new(400, 21_201, "No 'To' number is specified"))?;
    let from = form
        .get("From")
        .ok_or_else(|| Fault::new(400, 21_213, "'From' phone number is required"))?;
    Ok((to, from))
}

/// Answered before the party is called: an application that asks from within one of our own requests must not wait for it.
async fn create(State(app): State<Arc<App>>, form: Form) -> Result<(StatusCode, Json<Value>), Fault> {
    let (to, from) = ends(&form)?;
    let plan = plan(&app, &form, to, from, (1, 600))?;
    let wanted = source(&app, &form)?;
    let wanted = wanted.ok_or_else(|| Fault::new(400, 21_205, "Url, Twiml or ApplicationSid is needed"))?;
    let mut call = Call::new(Direction::OutboundApi, from, to, time::now());
    call.callback = callback(&form, "StatusCallback", "completed", &EVENTS)?;
    let body = call.json(&app.account.account_sid);
    let (sid, inbox) = app.add_call(call);
    let record = form.flag("Record")?.unwrap_or(false);
    tokio::spawn(async move {
        let Some(flow) = app.dial_out(sid.clone(), inbox, plan).await else {
            return;
        };
        if record {
            let leg = flow.leg;
            app.record_leg(&sid, leg).await;
        }
        flow.run(wanted).await;
    });
    Ok((StatusCode::CREATED, Json(body)))
}

async fn show(
    State(app): State<Arc<App>>,
    Path((_, call)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Fault> {
    let sid = named("CA", &call, &uri)?;
    let state = app.state();
    let call = state.calls.get(&sid).ok_or_else(|| Fault::not_found(uri.path()))?;
    Ok(Json(call.json(&app.account.account_sid)))
}

async fn change(
    State(app): State<Arc<App>>,
    Path((_, call)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let sid = named("CA", &call, &uri)?;
    let status = {
        let state = app.state();
        let call = state.calls.get(&sid).ok_or_else(|| Fault::not_found(uri.path()))?;
        call.status
    };
    let told = callback(&form, "StatusCallback", "completed", &EVENTS)?;
    let longest = form.number("TimeLimit", 1..=86_400)?;
    let end = match form.get("Status") {
        None => false,
        Some("completed") => true,
        Some("canceled") if status == Status::InProgress => {
            return Err(Fault::new(400, 21_220, "Call is in-progress. Cannot cancel."));
        }
        Some("canceled") => true,
        Some(_) => return Err(Fault::parameter("Status", "it is canceled or completed")),
    };
    let wanted = source(&app, &form)?;
    if status.is_over() && (end || wanted.is_some()) {
        return Err(Fault::not_in_progress());
    }
    if !end && wanted.is_some() && status != Status::InProgress {
        return Err(Fault::not_in_progress());
    }
    let leg = {
        let mut state = app.state();
        let call = state.calls.get_mut(&sid).ok_or_else(|| Fault::not_found(uri.path()))?;
        call.callback = told.or(call.callback.take());
        call.updated = time::now();
        call.leg
    };
    if end {
        app.hang_up(&sid).await;
        if status == Status::Queued {
            app.enter(&sid, Status::Canceled);
        }
    } else if let Some(source) = wanted {
        app.state().tell(&sid, &Signal::Redirect(source));
    }
    if let (Some(seconds), Some(leg)) = (longest, leg) {
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            app.try_order(crate::engine::Command::HangUpLeg { leg }).await;
        });
    }
    let state = app.state();
    let call = state.calls.get(&sid).ok_or_else(|| Fault::not_found(uri.path()))?;
    Ok(Json(call.json(&app.account.account_sid)))
}

/// Forgets a call that is over.
async fn remove(
    State(app): State<Arc<App>>,
    Path((_, call)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
) -> Result<StatusCode, Fault> {
    let sid = named("CA", &call, &uri)?;
    let mut state = app.state();
    let found = state.calls.get(&sid).ok_or_else(|| Fault::not_found(uri.path()))?;
    if !found.status.is_over() {
        return Err(Fault::new(409, 20_409, "The call is not over"));
    }
    state.calls.remove(&sid);
    Ok(StatusCode::NO_CONTENT)
}

async fn list(State(app): State<Arc<App>>, OriginalUri(uri): OriginalUri, form: Form) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let status = form.get("Status");
    if status.is_some_and(|wanted| !Status::ALL.iter().any(|known| known.as_str() == wanted)) {
        return Err(Fault::parameter("Status", "there is no such status"));
    }
    let parent = form.sid("CA", "ParentCallSid")?;
    let started = Span::of(&form, "StartTime")?;
    let ended = Span::of(&form, "EndTime")?;
    let same = |wanted: Option<&str>, own: &str| wanted.is_none_or(|wanted| wanted == own);
    let state = app.state();
    let fitting = state.calls.newest().filter(|call| {
        same(form.get("To"), &call.to)
            && same(form.get("From"), &call.from)
            && same(status, call.status.as_str())
            && (parent.is_none() || call.parent == parent)
            && started.holds(call.started)
            && ended.holds(call.ended)
    });
    let all = fitting.map(|call| call.json(&app.account.account_sid));
    Ok(Json(page.relative("calls", uri.path(), &form, all)))
}

/// `StartTime`, `StartTime<` and `StartTime>`: a day, up to one, from one on.
pub(super) struct Span {
    from: Option<u64>,
    to: Option<u64>,
}

impl Span {
    pub(super) fn of(form: &Form, name: &str) -> Result<Span, Fault> {
        let read = |key: &str| match form.get(key) {
            None => Ok(None),
            Some(text) => day(text)
                .map(Some)
                .ok_or_else(|| Fault::parameter(key, "it is a day: YYYY-MM-DD")),
        };
        let (on, before, after) = (read(name)?, read(&format!("{name}<"))?, read(&format!("{name}>"))?);
        let end = |day: u64| day + 86_400;
        Ok(Span {
            from: on.or(after),
            to: on.or(before).map(end),
        })
    }

    pub(super) fn holds(&self, at: Option<std::time::SystemTime>) -> bool {
        if self.from.is_none() && self.to.is_none() {
            return true;
        }
        let since = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.is_some_and(|since| {
            let second = since.as_secs();
            self.from.is_none_or(|from| second >= from) && self.to.is_none_or(|to| second < to)
        })
    }
}
