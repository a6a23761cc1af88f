//! Which worker a task gets, and what its application says to that.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::super::App;
use super::super::fetch::request;
use super::super::sid::Sid;
use super::super::twiml::Target;
use super::expression::fits;
use super::{Kind, Reservation, Reserved, Router, Task, TaskStatus};
use crate::api::time;

impl Router {
    /// The queue that a workflow's configuration chooses for a task.
    pub(super) fn queue_for(&self, workflow: &Sid, task: &super::Attributes) -> Option<Sid> {
        let configuration = &self.workflow(workflow)?.configuration;
        let routing = configuration.get("task_routing")?;
        let filters = routing.get("filters").and_then(Value::as_array);
        let chosen = filters.into_iter().flatten().find(|filter| {
            let expression = filter.get("expression").and_then(Value::as_str).unwrap_or_default();
            fits(expression, task) == Some(true)
        });
        let target = chosen.and_then(|filter| filter.get("targets")?.get(0));
        let target = target.or_else(|| routing.get("default_filter"));
        Sid::read("WQ", target?.get("queue")?.as_str()?)
    }

    /// The next reservation that can be made.
    fn next_match(&self) -> Option<(Sid, Sid, Sid)> {
        let waiting =
            |entry: &&super::Entry| matches!(&entry.kind, Kind::Task(task) if task.status == TaskStatus::Pending);
        let mut tasks: Vec<_> = self.entries.oldest().filter(waiting).collect();
        let priority = |entry: &super::Entry| self.task(&entry.sid).map_or(0, |task| task.priority);
        // A stable sort: of the same priority the oldest stays first.
        tasks.sort_by_key(|entry| std::cmp::Reverse(priority(entry)));
        tasks.into_iter().find_map(|entry| {
            let task = self.task(&entry.sid)?;
            let worker = self.worker_for(&entry.workspace, task)?;
            Some((entry.workspace.clone(), entry.sid.clone(), worker))
        })
    }

    /// Of those who fit and are free, the one that is idle for longest.
    fn worker_for(&self, workspace: &Sid, task: &Task) -> Option<Sid> {
        let queue = self.entries.get(task.queue.as_ref()?)?;
        let Kind::TaskQueue { wanted, .. } = &queue.kind else {
            return None;
        };
        let free = |sid: &Sid| {
            !self
                .reservations
                .newest()
                .any(|one| one.worker == *sid && one.status.holds())
        };
        let fitting = self.entries.oldest().filter_map(|entry| match &entry.kind {
            Kind::Worker(worker) if entry.workspace == *workspace => Some((entry, worker)),
            Kind::Worker(_)
            | Kind::Workspace
            | Kind::Activity { .. }
            | Kind::TaskQueue { .. }
            | Kind::Workflow(_)
            | Kind::Task(_) => None,
        });
        let good = fitting.filter(|(entry, worker)| {
            self.is_available(worker)
                && !task.refused.contains(&entry.sid)
                && fits(wanted, &worker.attributes) == Some(true)
                && free(&entry.sid)
        });
        good.min_by_key(|(_, worker)| worker.idle_since)
            .map(|(entry, _)| entry.sid.clone())
    }
}

impl App {
    /// Makes every reservation that can be made.
    pub(in crate::api::twilio) fn assign(self: &Arc<App>) {
        loop {
            let reserved = {
                let mut state = self.state();
                let Some((workspace, task, worker)) = state.router.next_match() else {
                    return;
                };
                let now = time::now();
                let reservation = Reservation {
                    sid: Sid::new("WR"),
                    workspace,
                    task: task.clone(),
                    worker,
                    status: Reserved::Pending,
                    created: now,
                    updated: now,
                    conference: None,
                    ringing: None,
                    post_work: None,
                };
                let sid = reservation.sid.clone();
                state
                    .router
                    .reservations
                    .add(sid.clone(), reservation, |one| !one.status.holds());
                if let Some(task) = state.router.task_mut(&task) {
                    task.status = TaskStatus::Reserved;
                }
                sid
            };
            let app = Arc::clone(self);
            tokio::spawn(async move { app.reserved(reserved).await });
        }
    }

    /// Asks the application about a reservation, and takes it back when nothing comes of it in time.
    async fn reserved(self: Arc<App>, sid: Sid) {
        let Some((url, fallback, form, timeout)) = self.assignment(&sid) else {
            return;
        };
        let app = Arc::clone(&self);
        let late = sid.clone();
        tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            app.give_back(&late, Reserved::Timeout);
        });
        for url in [url, fallback].into_iter().flatten() {
            if let Some(answer) = self.ask_assignment(url, &form).await {
                return self.carry_out(&sid, &answer).await;
            }
        }
    }

    async fn ask_assignment(&self, url: String, form: &[(String, String)]) -> Option<Value> {
        let method = axum::http::Method::POST;
        let request = request(&self.account.auth_token, &Target { url, method }, form)?;
        let answer = match self.hooks.send(request).await {
            Ok(answer) if answer.status().is_success() => answer,
            Ok(answer) => {
                tracing::warn!(status = answer.status().as_u16(), "an assignment callback was refused");
                return None;
            }
            Err(error) => {
                tracing::warn!(%error, "an assignment callback was not answered");
                return None;
            }
        };
        // An empty answer leaves the decision to whoever changes the reservation later.
        serde_json::from_slice(answer.body()).ok().or(Some(Value::Null))
    }

    #[expect(clippy::type_complexity, reason = "one caller, which takes it apart at once")]
    fn assignment(&self, sid: &Sid) -> Option<(Option<String>, Option<String>, Vec<(String, String)>, Duration)> {
        let state = self.state();
        let router = &state.router;
        let one = router.reservations.get(sid)?;
        let task = router.task(&one.task)?;
        let worker = router.worker(&one.worker)?;
        let workflow = task.workflow.as_ref().and_then(|sid| router.workflow(sid));
        let age = super::super::date::seconds(router.entries.get(&one.task)?.created, time::now());
        let text = |sid: &Option<Sid>| sid.as_ref().map(Sid::to_string).unwrap_or_default();
        let form = [
            ("Timestamp", age_stamp()),
            ("AccountSid", self.account.account_sid.clone()),
            ("WorkspaceSid", one.workspace.to_string()),
            ("WorkflowSid", text(&task.workflow)),
            ("TaskQueueSid", text(&task.queue)),
            ("WorkerSid", one.worker.to_string()),
            (
                "WorkerName",
                router.name_of(Some(&one.worker)).unwrap_or_default().to_owned(),
            ),
            ("WorkerAttributes", Value::Object(worker.attributes.clone()).to_string()),
            ("TaskSid", one.task.to_string()),
            ("TaskAttributes", Value::Object(task.attributes.clone()).to_string()),
            ("TaskAge", age.to_string()),
            ("TaskPriority", task.priority.to_string()),
            ("ReservationSid", sid.to_string()),
        ];
        let form = form.map(|(name, value)| (name.to_owned(), value)).into();
        let timeout = workflow.map_or(Duration::from_secs(120), |workflow| workflow.timeout);
        let (url, fallback) = workflow
            .map(|one| (one.assignment.clone(), one.fallback.clone()))
            .unwrap_or_default();
        Some((url, fallback, form, timeout))
    }

    /// Nobody waits for this call any more.
    pub(super) fn stop_ringing(self: &Arc<App>, call: Option<Sid>) {
        if let Some(call) = call {
            let app = Arc::clone(self);
            tokio::spawn(async move { app.hang_up(&call).await });
        }
    }

    /// A reservation that came to nothing: the task looks for another worker.
    pub(super) fn give_back(self: &Arc<App>, sid: &Sid, status: Reserved) -> bool {
        {
            let mut state = self.state();
            let router = &mut state.router;
            let Some(one) = router
                .reservations
                .get_mut(sid)
                .filter(|one| one.status == Reserved::Pending)
            else {
                return false;
            };
            (one.status, one.updated) = (status, time::now());
            let (task, worker) = (one.task.clone(), one.worker.clone());
            self.stop_ringing(one.ringing.take());
            if let Some(task) = router.task_mut(&task).filter(|task| !task.status.is_over()) {
                task.status = TaskStatus::Pending;
                task.refused.insert(worker.clone());
            }
            if let Some(worker) = router.worker_mut(&worker) {
                worker.idle_since = time::now();
            }
        }
        self.assign();
        true
    }
}

fn age_stamp() -> String {
    let since = time::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_secs().to_string()
}
