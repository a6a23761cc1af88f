//! `/Conferences`: which there are, ending one, telling all in it something.

use std::sync::Arc;

use axum::extract::{OriginalUri, Path, State};
use axum::http::Method;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::App;
use super::calls::{Span, named};
use super::error::Fault;
use super::flow::announce;
use super::form::Form;
use super::page::Page;
use super::participant::Left;
use super::sid::Sid;
use super::twiml::Target;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/Conferences.json", get(list))
        .route("/Conferences/{conference}", get(show).post(change))
}

async fn list(State(app): State<Arc<App>>, OriginalUri(uri): OriginalUri, form: Form) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let status = form.get("Status");
    if status.is_some_and(|status| !matches!(status, "init" | "in-progress" | "completed")) {
        return Err(Fault::parameter("Status", "it is init, in-progress or completed"));
    }
    let created = Span::of(&form, "DateCreated")?;
    let updated = Span::of(&form, "DateUpdated")?;
    let name = form.get("FriendlyName");
    let state = app.state();
    let fitting = state.conferences.newest().filter(|one| {
        name.is_none_or(|name| one.name == name)
            && status.is_none_or(|status| one.status() == status)
            && created.holds(Some(one.created))
            && updated.holds(Some(one.updated))
    });
    let all = fitting.map(|one| one.json(&app.account.account_sid));
    Ok(Json(page.relative("conferences", uri.path(), &form, all)))
}

async fn show(
    State(app): State<Arc<App>>,
    Path((_, conference)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Fault> {
    let sid = named("CF", &conference, &uri)?;
    let state = app.state();
    let found = state
        .conferences
        .get(&sid)
        .ok_or_else(|| Fault::not_found(uri.path()))?;
    Ok(Json(found.json(&app.account.account_sid)))
}

async fn change(
    State(app): State<Arc<App>>,
    Path((_, conference)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let sid = named("CF", &conference, &uri)?;
    let url = form.url("AnnounceUrl")?;
    let method = form.method("AnnounceMethod")?.unwrap_or(Method::POST);
    let end = match form.get("Status") {
        None => false,
        Some("completed") => true,
        Some(_) => return Err(Fault::parameter("Status", "it is completed")),
    };
    let mut state = app.state();
    let found = state
        .conferences
        .get(&sid)
        .ok_or_else(|| Fault::not_found(uri.path()))?;
    if !found.is_live() && (end || url.is_some()) {
        return Err(Fault::not_found(uri.path()));
    }
    if end {
        app.end_conference(&mut state, &sid, "conference-ended-via-api", None, Left::EndedByApi);
    }
    if let (Some(url), false) = (url, end) {
        start_announcement(&app, &sid, None, Target { url, method });
    }
    let found = state
        .conferences
        .get(&sid)
        .ok_or_else(|| Fault::not_found(uri.path()))?;
    Ok(Json(found.json(&app.account.account_sid)))
}

/// Announces, and tells how it went.
pub(super) fn start_announcement(app: &Arc<App>, sid: &Sid, call: Option<Sid>, target: Target) {
    let (app, sid) = (Arc::clone(app), sid.clone());
    tokio::spawn(async move {
        let heard = announce(Arc::clone(&app), sid.clone(), call.clone(), target.clone()).await;
        let mut state = app.state();
        let Some(found) = state.conferences.get_mut(&sid) else {
            return;
        };
        let event = if heard { "announcement-end" } else { "announcement-fail" };
        let place = call.as_ref().and_then(|call| found.participant(call));
        let mut told = place.map(|place| place.parameters()).unwrap_or_default();
        told.push(("AnnounceUrl", target.url));
        app.tell_of_conference(found, "announcement", event, told);
    });
}
