//! `/Reservations` of a task or of a worker.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router as Routes};
use serde_json::{Map, Value};

use super::super::App;
use super::super::error::Fault;
use super::super::form::Form;
use super::super::page::Page;
use super::super::path::Here;
use super::super::sid::Sid;
use super::rest::workspace;
use super::{Reservation, Reserved, Router};

pub(super) fn routes() -> Routes<Arc<App>> {
    Routes::new()
        .route("/v1/Workspaces/{workspace}/Tasks/{task}/Reservations", get(list))
        .route(
            "/v1/Workspaces/{workspace}/Tasks/{task}/Reservations/{sid}",
            get(show).post(change),
        )
        .route("/v1/Workspaces/{workspace}/Workers/{worker}/Reservations", get(list))
        .route(
            "/v1/Workspaces/{workspace}/Workers/{worker}/Reservations/{sid}",
            get(show).post(change),
        )
}

fn is_of(one: &Reservation, workspace: &Sid, path: &Here) -> bool {
    let same = |name: &str, own: &Sid| path.get(name).is_none_or(|wanted| wanted == own.as_str());
    one.workspace == *workspace && same("task", &one.task) && same("worker", &one.worker)
}

fn found(router: &Router, path: &Here, uri: &Uri) -> Result<Sid, Fault> {
    let workspace = workspace(router, path, uri)?;
    let sid = path.get("sid").and_then(|text| Sid::read("WR", text));
    let own = |sid: &Sid| {
        router
            .reservations
            .get(sid)
            .is_some_and(|one| is_of(one, &workspace, path))
    };
    sid.filter(own).ok_or_else(|| Fault::not_found(uri.path()))
}

async fn list(State(app): State<Arc<App>>, uri: Uri, path: Here, form: Form) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let state = app.state();
    let router = &state.router;
    let workspace = workspace(router, &path, &uri)?;
    let wanted = form.get("ReservationStatus");
    let fitting = router
        .reservations
        .newest()
        .filter(|one| is_of(one, &workspace, &path) && wanted.is_none_or(|wanted| wanted == one.status.as_str()));
    let all = fitting.map(|one| router.reservation_json(one, &app.account.account_sid, &app.base_url));
    Ok(Json(page.absolute(
        "reservations",
        &app.base_url,
        uri.path(),
        &form,
        all,
    )))
}

async fn show(State(app): State<Arc<App>>, uri: Uri, path: Here) -> Result<Json<Value>, Fault> {
    let sid = found(&app.state().router, &path, &uri)?;
    body(&app, &sid, &uri)
}

fn body(app: &App, sid: &Sid, uri: &Uri) -> Result<Json<Value>, Fault> {
    let state = app.state();
    let one = state
        .router
        .reservations
        .get(sid)
        .ok_or_else(|| Fault::not_found(uri.path()))?;
    Ok(Json(state.router.reservation_json(
        one,
        &app.account.account_sid,
        &app.base_url,
    )))
}

/// A new status, or an instruction.
async fn change(State(app): State<Arc<App>>, uri: Uri, path: Here, form: Form) -> Result<Json<Value>, Fault> {
    let sid = found(&app.state().router, &path, &uri)?;
    let mut wish = wishes(&form);
    match form.get("ReservationStatus") {
        None => {}
        Some("accepted") => drop(wish.insert("instruction".to_owned(), "accept".into())),
        Some("rejected") => drop(wish.insert("instruction".to_owned(), "reject".into())),
        Some("wrapping") => app.move_on(&sid, Reserved::Accepted, Reserved::Wrapping)?,
        Some("completed") => app.move_on(&sid, Reserved::Wrapping, Reserved::Completed)?,
        Some(_) => {
            return Err(Fault::parameter(
                "ReservationStatus",
                "it is accepted, rejected, wrapping or completed",
            ));
        }
    }
    app.instruct(&sid, &wish).await?;
    body(&app, &sid, &uri)
}

/// `ConferenceStatusCallback` is `conference_status_callback` in the JSON of an assignment callback's answer: one form for
/// both. The instruction's own prefixes (`DequeueFrom`, `CallTo`, `RedirectUrl`) fall away.
fn wishes(form: &Form) -> Map<String, Value> {
    let mut wish = Map::new();
    let prefix = match form.get("Instruction") {
        Some("dequeue") => "dequeue_",
        Some("call") => "call_",
        Some("redirect") => "redirect_",
        Some(_) | None => "\0",
    };
    for (name, value) in &form.0 {
        let mut snake = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        let name = match snake.strip_prefix(prefix) {
            Some(rest) if rest != "sid" => rest.to_owned(),
            Some(_) | None => snake,
        };
        let name = if name == "redirect_call_sid" {
            "call_sid".to_owned()
        } else {
            name
        };
        if name.ends_with("_event") {
            let list = wish.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.extend(value.split([' ', ',']).map(Value::from));
            }
        } else {
            wish.insert(name, Value::from(value.as_str()));
        }
    }
    wish
}

impl App {
    fn move_on(&self, sid: &Sid, from: Reserved, to: Reserved) -> Result<(), Fault> {
        let mut state = self.state();
        let router = &mut state.router;
        let one = router
            .reservations
            .get_mut(sid)
            .filter(|one| one.status == from || (one.status == Reserved::Accepted && to == Reserved::Completed));
        let one = one.ok_or_else(|| Fault::new(400, 40_001, format!("The reservation is not {}", from.as_str())))?;
        (one.status, one.updated) = (to, crate::api::time::now());
        let task = one.task.clone();
        if let Some(task) = router.task_mut(&task).filter(|task| !task.status.is_over()) {
            task.status = if to == Reserved::Completed {
                super::TaskStatus::Completed
            } else {
                super::TaskStatus::Wrapping
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_rest_are_those_of_an_answer_by_another_spelling() {
        let form = Form::parse(b"Instruction=conference&From=%2B1&EndConferenceOnExit=true&ConferenceStatusCallbackEvent=start&ConferenceStatusCallbackEvent=end&Timeout=20");
        let wish = wishes(&form);
        let expect = serde_json::json!({
            "instruction": "conference", "from": "+1", "end_conference_on_exit": "true", "timeout": "20",
            "conference_status_callback_event": ["start", "end"],
        });
        assert_eq!(Value::Object(wish), expect);
        let wish = wishes(&Form::parse(
            b"Instruction=redirect&RedirectUrl=http%3A%2F%2Fa%2F&RedirectCallSid=CA1",
        ));
        assert_eq!(
            (&wish["url"], &wish["call_sid"]),
            (&Value::from("http://a/"), &Value::from("CA1"))
        );
    }
}
