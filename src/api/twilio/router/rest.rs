//! Workspaces, activities, workers, queues, workflows and tasks over REST: one set of handlers for all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router as Routes};
use serde_json::{Map, Value};

use super::super::App;
use super::super::error::Fault;
use super::super::form::Form;
use super::super::page::Page;
use super::super::path::Here;
use super::super::sid::Sid;
use super::expression::fits;
use super::{Attributes, Entry, Kind, Reserved, Router, Task, TaskStatus, Worker, Workflow, places, reservations};
use crate::api::time;

pub(in crate::api::twilio) fn routes() -> Routes<Arc<App>> {
    Routes::new()
        .route("/v1/Workspaces", get(list).post(create))
        .route("/v1/Workspaces/{workspace}", get(show).post(change).delete(remove))
        .route("/v1/Workspaces/{workspace}/{list}", get(list).post(create))
        .route(
            "/v1/Workspaces/{workspace}/{list}/{sid}",
            get(show).post(change).delete(remove),
        )
        .merge(reservations::routes())
}

/// The kind of the list that a path names: two letters, and its key in a page.
fn list_of(path: &Here) -> Option<(&'static str, &'static str)> {
    Some(match path.get("list").map(String::as_str) {
        None => ("WS", "workspaces"),
        Some("Activities") => ("WA", "activities"),
        Some("Workers") => ("WK", "workers"),
        Some("TaskQueues") => ("WQ", "task_queues"),
        Some("Workflows") => ("WW", "workflows"),
        Some("Tasks") => ("WT", "tasks"),
        Some(_) => return None,
    })
}

/// The workspace of a path, if it is there.
pub(super) fn workspace(router: &Router, path: &Here, uri: &Uri) -> Result<Sid, Fault> {
    let found = path.get("workspace").and_then(|text| Sid::read("WS", text));
    let found = found.filter(|sid| router.entries.get(sid).is_some());
    found.ok_or_else(|| Fault::not_found(uri.path()))
}

fn entry(router: &Router, path: &Here, uri: &Uri) -> Result<Sid, Fault> {
    let workspace = workspace(router, path, uri)?;
    let Some(text) = path.get("sid") else {
        return Ok(workspace);
    };
    let kind = list_of(path).ok_or_else(|| Fault::not_found(uri.path()))?.0;
    let found = Sid::read(kind, text);
    let own = found.filter(|sid| {
        router
            .entries
            .get(sid)
            .is_some_and(|entry| entry.workspace == workspace)
    });
    own.ok_or_else(|| Fault::not_found(uri.path()))
}

async fn list(State(app): State<Arc<App>>, uri: Uri, path: Here, form: Form) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let now = time::now();
    let state = app.state();
    let router = &state.router;
    let (kind, key) = list_of(&path).ok_or_else(|| Fault::not_found(uri.path()))?;
    let own = if kind == "WS" {
        None
    } else {
        Some(workspace(router, &path, &uri)?)
    };
    let same = |wanted: Option<&str>, own: &str| wanted.is_none_or(|wanted| wanted == own);
    let fitting = router.entries.newest().filter(|entry| {
        entry.sid.as_str().starts_with(kind)
            && own.as_ref().is_none_or(|own| entry.workspace == *own)
            && same(form.get("FriendlyName"), &entry.name)
            && places::fits_filter(router, entry, &form)
    });
    let all = fitting.map(|entry| router.json(entry, &app.account.account_sid, &app.base_url, now));
    Ok(Json(page.absolute(key, &app.base_url, uri.path(), &form, all)))
}

async fn show(State(app): State<Arc<App>>, uri: Uri, path: Here) -> Result<Json<Value>, Fault> {
    let state = app.state();
    let sid = entry(&state.router, &path, &uri)?;
    body(&app, &state.router, &sid, &uri)
}

fn body(app: &App, router: &Router, sid: &Sid, uri: &Uri) -> Result<Json<Value>, Fault> {
    let found = router.entries.get(sid).ok_or_else(|| Fault::not_found(uri.path()))?;
    Ok(Json(router.json(
        found,
        &app.account.account_sid,
        &app.base_url,
        time::now(),
    )))
}

fn needed<'a>(form: &'a Form, name: &str) -> Result<&'a str, Fault> {
    form.get(name).ok_or_else(|| Fault::parameter(name, "it is needed"))
}

/// A JSON object in a parameter.
fn attributes(form: &Form, name: &str) -> Result<Option<Attributes>, Fault> {
    let Some(text) = form.get(name) else { return Ok(None) };
    match serde_json::from_str(text) {
        Ok(Value::Object(attributes)) => Ok(Some(attributes)),
        Ok(_) | Err(_) => Err(Fault::parameter(name, "it is no JSON object")),
    }
}

fn expression(form: &Form, name: &str) -> Result<Option<String>, Fault> {
    match form.get(name) {
        None => Ok(None),
        Some(text) if fits(text, &Map::new()).is_some() => Ok(Some(text.to_owned())),
        Some(_) => Err(Fault::parameter(name, "it is no expression")),
    }
}

fn configuration(form: &Form) -> Result<Option<Value>, Fault> {
    let wrong = || Fault::parameter("Configuration", "it is no JSON object with task_routing");
    let Some(all) = attributes(form, "Configuration").map_err(|_| wrong())? else {
        return Ok(None);
    };
    if !all.get("task_routing").is_some_and(Value::is_object) {
        return Err(wrong());
    }
    Ok(Some(Value::Object(all)))
}

async fn create(
    State(app): State<Arc<App>>,
    uri: Uri,
    path: Here,
    form: Form,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let (kind, _) = list_of(&path).ok_or_else(|| Fault::not_found(uri.path()))?;
    let made = {
        let mut state = app.state();
        let router = &mut state.router;
        if kind == "WT" {
            let workspace = workspace(router, &path, &uri)?;
            let workflow = form.sid("WW", "WorkflowSid")?;
            let unknown = |sid: &Sid| router.workflow(sid).is_none();
            if workflow.as_ref().is_some_and(unknown) {
                return Err(Fault::parameter("WorkflowSid", "there is no such workflow"));
            }
            let first = router
                .entries
                .oldest()
                .find(|entry| entry.workspace == workspace && matches!(entry.kind, Kind::Workflow(_)));
            let workflow = workflow.or_else(|| first.map(|entry| entry.sid.clone()));
            let all = attributes(&form, "Attributes")?.unwrap_or_default();
            let priority = form.number("Priority", 0..=u64::from(u32::MAX))?.unwrap_or(0);
            let call = all
                .get("call_sid")
                .and_then(Value::as_str)
                .and_then(|text| Sid::read("CA", text));
            let timeout = form.number("Timeout", 1..=1_209_600)?;
            let sid = router.new_task(&workspace, workflow, all, i64::try_from(priority).unwrap_or(0), call);
            if let (Some(task), Some(seconds)) = (router.task_mut(&sid), timeout) {
                task.timeout = Duration::from_secs(seconds);
            }
            sid
        } else {
            let made = new_entry(router, kind, &path, &uri, &form)?;
            router.add(made)
        }
    };
    app.assign();
    let state = app.state();
    Ok((StatusCode::CREATED, body(&app, &state.router, &made, &uri)?))
}

fn new_entry(router: &Router, kind: &str, path: &Here, uri: &Uri, form: &Form) -> Result<Entry, Fault> {
    let name = needed(form, "FriendlyName")?.to_owned();
    let now = time::now();
    let sid = Sid::new(kind);
    let workspace = if kind == "WS" {
        sid.clone()
    } else {
        workspace(router, path, uri)?
    };
    let kind = match kind {
        "WA" => Kind::Activity {
            available: form.flag("Available")?.unwrap_or(false),
        },
        "WK" => Kind::Worker(Worker {
            attributes: attributes(form, "Attributes")?.unwrap_or_default(),
            activity: places::activity(router, form)?,
            idle_since: now,
        }),
        "WQ" => Kind::TaskQueue {
            wanted: expression(form, "TargetWorkers")?.unwrap_or_else(|| "1==1".to_owned()),
            most: form.number("MaxReservedWorkers", 1..=50)?.unwrap_or(1),
            newest_first: form.get("TaskOrder") == Some("LIFO"),
        },
        "WW" => Kind::Workflow(Workflow {
            configuration: configuration(form)?.ok_or_else(|| Fault::parameter("Configuration", "it is needed"))?,
            assignment: form.url("AssignmentCallbackUrl")?,
            fallback: form.url("FallbackAssignmentCallbackUrl")?,
            timeout: Duration::from_secs(form.number("TaskReservationTimeout", 1..=86_400)?.unwrap_or(120)),
        }),
        _ => Kind::Workspace,
    };
    Ok(Entry {
        sid,
        workspace,
        name,
        created: now,
        updated: now,
        kind,
    })
}

impl Router {
    pub(super) fn new_task(
        &mut self,
        workspace: &Sid,
        workflow: Option<Sid>,
        attributes: Attributes,
        priority: i64,
        call: Option<Sid>,
    ) -> Sid {
        let now = time::now();
        let queue = workflow
            .as_ref()
            .and_then(|workflow| self.queue_for(workflow, &attributes));
        let task = Task {
            attributes,
            workflow,
            queue,
            status: TaskStatus::Pending,
            reason: None,
            priority,
            timeout: Duration::from_secs(86_400),
            call,
            refused: BTreeSet::new(),
        };
        self.add(Entry {
            sid: Sid::new("WT"),
            workspace: workspace.clone(),
            name: String::new(),
            created: now,
            updated: now,
            kind: Kind::Task(task),
        })
    }

    /// Ends every open reservation of a task; gives the calls that ring for it.
    pub(super) fn release(&mut self, task: &Sid, status: Reserved) -> Vec<Sid> {
        let mut ringing = Vec::new();
        let open = |one: &&super::Reservation| one.task == *task && one.status.holds();
        let open: Vec<Sid> = self
            .reservations
            .newest()
            .filter(open)
            .map(|one| one.sid.clone())
            .collect();
        for sid in open {
            let Some(one) = self.reservations.get_mut(&sid) else {
                continue;
            };
            (one.status, one.updated) = (status, time::now());
            let worker = one.worker.clone();
            ringing.extend(one.ringing.take());
            if let Some(worker) = self.worker_mut(&worker) {
                worker.idle_since = time::now();
            }
        }
        ringing
    }
}

async fn change(State(app): State<Arc<App>>, uri: Uri, path: Here, form: Form) -> Result<Json<Value>, Fault> {
    let sid = {
        let mut state = app.state();
        let router = &mut state.router;
        let sid = entry(router, &path, &uri)?;
        let activity = places::activity(router, &form)?;
        let (all, wanted, configuration) = (
            attributes(&form, "Attributes")?,
            expression(&form, "TargetWorkers")?,
            configuration(&form)?,
        );
        let (available, timeout) = (
            form.flag("Available")?,
            form.number("TaskReservationTimeout", 1..=86_400)?,
        );
        let (assignment, fallback) = (
            form.url("AssignmentCallbackUrl")?,
            form.url("FallbackAssignmentCallbackUrl")?,
        );
        let is_task = router.task(&sid).is_some();
        if is_task {
            for call in places::change_task(router, &sid, &form)? {
                app.stop_ringing(Some(call));
            }
        }
        let found = router
            .entries
            .get_mut(&sid)
            .ok_or_else(|| Fault::not_found(uri.path()))?;
        found.updated = time::now();
        if let (Some(name), false) = (form.get("FriendlyName"), is_task) {
            name.clone_into(&mut found.name);
        }
        match &mut found.kind {
            Kind::Workspace => {}
            Kind::Activity { available: own } => *own = available.unwrap_or(*own),
            Kind::Worker(worker) => {
                worker.attributes = all.unwrap_or_else(|| std::mem::take(&mut worker.attributes));
                if activity.is_some() && activity != worker.activity {
                    (worker.activity, worker.idle_since) = (activity, time::now());
                }
            }
            Kind::TaskQueue { wanted: own, .. } => *own = wanted.unwrap_or_else(|| std::mem::take(own)),
            Kind::Workflow(own) => {
                own.configuration = configuration.unwrap_or_else(|| own.configuration.take());
                own.assignment = assignment.or(own.assignment.take());
                own.fallback = fallback.or(own.fallback.take());
                own.timeout = timeout.map_or(own.timeout, Duration::from_secs);
            }
            Kind::Task(task) => task.attributes = all.unwrap_or_else(|| std::mem::take(&mut task.attributes)),
        }
        sid
    };
    app.assign();
    let state = app.state();
    body(&app, &state.router, &sid, &uri)
}

async fn remove(State(app): State<Arc<App>>, uri: Uri, path: Here) -> Result<StatusCode, Fault> {
    let mut state = app.state();
    let router = &mut state.router;
    let sid = entry(router, &path, &uri)?;
    let busy = router
        .reservations
        .newest()
        .any(|one| one.status.holds() && (one.worker == sid || one.task == sid));
    if busy {
        return Err(Fault::new(400, 40_001, "It has an open reservation"));
    }
    if path.get("sid").is_none() {
        let inside = router
            .entries
            .oldest()
            .filter(|entry| entry.workspace == sid)
            .map(|entry| entry.sid.clone());
        for sid in inside.collect::<Vec<_>>() {
            router.entries.remove(&sid);
        }
    }
    router.entries.remove(&sid);
    Ok(StatusCode::NO_CONTENT)
}
