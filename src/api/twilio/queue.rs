//! Queues of TwiML: who waits, since when, and who takes the first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::App;
use super::call::Signal;
use super::date::{rfc2822, seconds};
use super::error::Fault;
use super::flow::Source;
use super::form::Form;
use super::page::Page;
use super::path::{Here, part};
use super::sid::Sid;
use super::table::Table;
use super::twiml::Target;
use crate::api::time;
use crate::engine::CallHandle;

/// How somebody leaves a queue.
#[derive(Clone, Debug)]
pub(super) enum Dequeue {
    /// Into the hub of who takes it, after a document that it hears alone.
    Bridge {
        hub: CallHandle,
        whisper: Option<Target>,
        told: Vec<(String, String)>,
    },
    /// Into a conference.
    Conference {
        /// Its name or identifier.
        name: String,
        ends: bool,
        beep: bool,
    },
}

/// Somebody who waits.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) call: Sid,
    pub(super) since: SystemTime,
}

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    sid: Sid,
    name: String,
    most: usize,
    created: SystemTime,
    members: VecDeque<Member>,
    /// Who waits for somebody to come.
    watchers: Vec<oneshot::Sender<()>>,
    /// Of those who have left: how many, and their seconds.
    served: (u64, u64),
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    all: Table<Queue>,
}

impl Queues {
    fn named(&mut self, name: &str) -> Option<&mut Queue> {
        let sid = self
            .all
            .oldest()
            .find(|queue| queue.name == name || queue.sid.as_str() == name)?
            .sid
            .clone();
        self.all.get_mut(&sid)
    }

    fn open(&mut self, name: &str, most: usize) -> Sid {
        let queue = Queue {
            sid: Sid::new("QU"),
            name: name.to_owned(),
            most,
            created: time::now(),
            members: VecDeque::new(),
            watchers: Vec::new(),
            served: (0, 0),
        };
        let sid = queue.sid.clone();
        self.all.add(sid.clone(), queue, |queue| queue.members.is_empty());
        sid
    }

    /// A place at the end of the queue of this name, which is opened if there is none; `None`: it is full.
    pub(super) fn enter(&mut self, name: &str, most: usize, member: Member) -> Option<Sid> {
        if self.named(name).is_none() {
            self.open(name, most);
        }
        let queue = self.named(name)?;
        if queue.members.len() >= queue.most {
            return None;
        }
        queue.members.push_back(member);
        Some(queue.sid.clone())
    }

    /// Somebody has come: who waited for that looks again.
    pub(super) fn wake(&mut self, queue: &Sid) {
        if let Some(queue) = self.all.get_mut(queue) {
            for watcher in queue.watchers.drain(..) {
                watcher.send(()).ok(); // it has given up waiting
            }
        }
    }

    /// The first of those who wait.
    pub(super) fn take(&mut self, name: &str) -> Option<(Sid, Member)> {
        let queue = self.named(name)?;
        let member = queue.members.pop_front()?;
        Some((queue.sid.clone(), member))
    }

    /// Resolves when somebody comes.
    pub(super) fn watch(&mut self, name: &str) -> oneshot::Receiver<()> {
        if self.named(name).is_none() {
            self.open(name, 100);
        }
        let (sender, receiver) = oneshot::channel();
        if let Some(queue) = self.named(name) {
            queue.watchers.push(sender);
        }
        receiver
    }

    /// What a waiting document is told.
    pub(super) fn told(&self, queue: &Sid, call: &Sid, now: SystemTime) -> Vec<(String, String)> {
        let Some(queue) = self.all.get(queue) else {
            return Vec::new();
        };
        let place = queue.members.iter().position(|member| member.call == *call);
        let since = place
            .and_then(|place| queue.members.get(place))
            .map_or(now, |member| member.since);
        let told = [
            ("QueueSid", queue.sid.to_string()),
            ("QueuePosition", place.map_or(0, |place| place + 1).to_string()),
            ("QueueTime", seconds(since, now).to_string()),
            ("AvgQueueTime", queue.average().to_string()),
            ("CurrentQueueSize", queue.members.len().to_string()),
        ];
        told.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

impl Queue {
    fn average(&self) -> u64 {
        let (count, seconds) = self.served;
        seconds.checked_div(count).unwrap_or(0)
    }

    fn json(&self, account: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account}/Queues/{}", self.sid);
        json!({
            "sid": self.sid, "account_sid": account, "friendly_name": self.name, "max_size": self.most,
            "current_size": self.members.len(), "average_wait_time": self.average(),
            "date_created": rfc2822(self.created), "date_updated": rfc2822(self.created), "uri": format!("{uri}.json"),
            "subresource_uris": {"members": format!("{uri}/Members.json")},
        })
    }

    fn member(&self, account: &str, place: usize, member: &Member, now: SystemTime) -> Value {
        json!({
            "call_sid": member.call, "queue_sid": self.sid, "position": place + 1,
            "date_enqueued": rfc2822(member.since), "wait_time": seconds(member.since, now),
            "uri": format!("/2010-04-01/Accounts/{account}/Queues/{}/Members/{}.json", self.sid, member.call),
        })
    }
}

impl App {
    /// Somebody waits no more.
    pub(super) fn leave_queue(&self, queue: &Sid, call: &Sid, waited: Duration) {
        let mut state = self.state();
        if let Some(queue) = state.queues.all.get_mut(queue) {
            queue.members.retain(|member| member.call != *call);
            queue.served = (queue.served.0 + 1, queue.served.1 + waited.as_secs());
        }
        if let Some(call) = state.calls.get_mut(call) {
            call.queue_seconds = waited.as_secs();
        }
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/Queues.json", get(list).post(create))
        .route("/Queues/{queue}", get(show).post(change).delete(remove))
        .route("/Queues/{queue}/Members.json", get(members))
        .route("/Queues/{queue}/Members/{call}", get(member).post(dequeue))
}

async fn list(State(app): State<Arc<App>>, OriginalUri(uri): OriginalUri, form: Form) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let state = app.state();
    let all = state
        .queues
        .all
        .newest()
        .map(|queue| queue.json(&app.account.account_sid));
    Ok(Json(page.relative("queues", uri.path(), &form, all)))
}

async fn create(State(app): State<Arc<App>>, form: Form) -> Result<(StatusCode, Json<Value>), Fault> {
    let name = form
        .get("FriendlyName")
        .ok_or_else(|| Fault::parameter("FriendlyName", "it is needed"))?;
    let most = form.number("MaxSize", 1..=5_000)?.unwrap_or(100);
    let mut state = app.state();
    if state.queues.named(name).is_some() {
        return Err(Fault::new(400, 22_003, "A queue of this name is there already"));
    }
    let sid = state.queues.open(name, usize::try_from(most).unwrap_or(100));
    let queue = state
        .queues
        .all
        .get(&sid)
        .map(|queue| queue.json(&app.account.account_sid));
    Ok((StatusCode::CREATED, Json(queue.unwrap_or_default())))
}

async fn show(State(app): State<Arc<App>>, OriginalUri(uri): OriginalUri, path: Here) -> Result<Json<Value>, Fault> {
    let mut state = app.state();
    let found = state.queues.named(part(&path, "queue").unwrap_or_default());
    let found = found.ok_or_else(|| Fault::not_found(uri.path()))?;
    Ok(Json(found.json(&app.account.account_sid)))
}

async fn change(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    path: Here,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let most = form.number("MaxSize", 1..=5_000)?;
    let mut state = app.state();
    let found = state.queues.named(part(&path, "queue").unwrap_or_default());
    let found = found.ok_or_else(|| Fault::not_found(uri.path()))?;
    if let Some(name) = form.get("FriendlyName") {
        name.clone_into(&mut found.name);
    }
    if let Some(most) = most {
        found.most = usize::try_from(most).unwrap_or(found.most);
    }
    Ok(Json(found.json(&app.account.account_sid)))
}

async fn remove(State(app): State<Arc<App>>, OriginalUri(uri): OriginalUri, path: Here) -> Result<StatusCode, Fault> {
    let mut state = app.state();
    let found = state.queues.named(part(&path, "queue").unwrap_or_default());
    let found = found.ok_or_else(|| Fault::not_found(uri.path()))?;
    if !found.members.is_empty() {
        return Err(Fault::new(400, 22_002, "The queue is not empty"));
    }
    let sid = found.sid.clone();
    state.queues.all.remove(&sid);
    Ok(StatusCode::NO_CONTENT)
}

async fn members(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    path: Here,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let page = Page::of(&form)?;
    let now = time::now();
    let mut state = app.state();
    let found = state.queues.named(part(&path, "queue").unwrap_or_default());
    let found = found.ok_or_else(|| Fault::not_found(uri.path()))?;
    let one = |(place, member)| found.member(&app.account.account_sid, place, member, now);
    let all = found.members.iter().enumerate().map(one);
    Ok(Json(page.relative("queue_members", uri.path(), &form, all)))
}

/// Place and member; `Front` is the first.
fn find<'a>(queue: &'a Queue, name: &str) -> Option<(usize, &'a Member)> {
    let wanted = |member: &Member| name == "Front" || member.call.as_str() == name;
    queue.members.iter().enumerate().find(|(_, member)| wanted(member))
}

async fn member(State(app): State<Arc<App>>, OriginalUri(uri): OriginalUri, path: Here) -> Result<Json<Value>, Fault> {
    let mut state = app.state();
    let gone = || Fault::not_found(uri.path());
    let queue = state
        .queues
        .named(part(&path, "queue").unwrap_or_default())
        .ok_or_else(gone)?;
    let (place, member) = find(queue, part(&path, "call").unwrap_or_default()).ok_or_else(gone)?;
    Ok(Json(queue.member(&app.account.account_sid, place, member, time::now())))
}

/// Sends somebody who waits to another document.
async fn dequeue(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    path: Here,
    form: Form,
) -> Result<Json<Value>, Fault> {
    let url = form
        .url("Url")?
        .ok_or_else(|| Fault::new(400, 21_205, "Url is needed"))?;
    let method = form.method("Method")?.unwrap_or(axum::http::Method::POST);
    let gone = || Fault::not_found(uri.path());
    let mut state = app.state();
    let queue = state
        .queues
        .named(part(&path, "queue").unwrap_or_default())
        .ok_or_else(gone)?;
    let (place, member) = find(queue, part(&path, "call").unwrap_or_default()).ok_or_else(gone)?;
    let body = queue.member(&app.account.account_sid, place, member, time::now());
    let call = member.call.clone();
    let source = Source::voice(Target { url, method }, None);
    if !state.tell(&call, &Signal::Redirect(source)) {
        return Err(gone());
    }
    Ok(Json(body))
}
