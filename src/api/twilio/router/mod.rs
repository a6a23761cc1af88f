//! TaskRouter, as much of it as a contact centre needs: tasks find workers, workers are reserved, an application says what
//! to do with both, and the conference instruction brings them together.
//!
//! | path under `/v1/Workspaces` | methods |
//! |---|---|
//! | ` `, `/{WS}` | GET, POST, DELETE (one) |
//! | `/{WS}/Activities`, `/Workers`, `/TaskQueues`, `/Workflows`, `/Tasks`, each with `/{sid}` | GET, POST, DELETE (one) |
//! | `/{WS}/Tasks/{WT}/Reservations`, `/{WS}/Workers/{WK}/Reservations`, each with `/{WR}` | GET, POST (one) |

mod assign;
mod expression;
mod instruct;
mod places;
mod reservations;
mod rest;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::date::{iso8601, seconds};
use super::sid::Sid;
use super::table::Table;

pub(in crate::api) use expression::fits;
pub(super) use rest::routes;

/// Attributes: a JSON object, kept as the text that clients see.
pub(super) type Attributes = Map<String, Value>;

/// What stands in a workspace's lists, whatever it is.
#[derive(Debug)]
struct Entry {
    sid: Sid,
    workspace: Sid,
    name: String,
    created: SystemTime,
    updated: SystemTime,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Workspace,
    Activity {
        available: bool,
    },
    Worker(Worker),
    TaskQueue {
        wanted: String,
        most: u64,
        newest_first: bool,
    },
    Workflow(Workflow),
    Task(Task),
}

#[derive(Debug)]
struct Worker {
    attributes: Attributes,
    activity: Option<Sid>,
    /// Since when it is idle: who is so for longest is asked first.
    idle_since: SystemTime,
}

#[derive(Debug)]
struct Workflow {
    configuration: Value,
    assignment: Option<String>,
    fallback: Option<String>,
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TaskStatus {
    Pending,
    Reserved,
    Assigned,
    Wrapping,
    Completed,
    Canceled,
}

impl TaskStatus {
    fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::Reserved => "reserved",
            TaskStatus::Assigned => "assigned",
            TaskStatus::Wrapping => "wrapping",
            TaskStatus::Completed => "completed",
            TaskStatus::Canceled => "canceled",
        }
    }

    fn is_over(self) -> bool {
        match self {
            TaskStatus::Completed | TaskStatus::Canceled => true,
            TaskStatus::Pending | TaskStatus::Reserved | TaskStatus::Assigned | TaskStatus::Wrapping => false,
        }
    }
}

#[derive(Debug)]
struct Task {
    attributes: Attributes,
    workflow: Option<Sid>,
    queue: Option<Sid>,
    status: TaskStatus,
    reason: Option<String>,
    priority: i64,
    timeout: Duration,
    /// The call that waits in a queue for it.
    call: Option<Sid>,
    /// Workers that have refused it, or let it ring.
    refused: BTreeSet<Sid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserved {
    Pending,
    Accepted,
    Rejected,
    Timeout,
    Canceled,
    Rescinded,
    Wrapping,
    Completed,
}

impl Reserved {
    fn as_str(self) -> &'static str {
        match self {
            Reserved::Pending => "pending",
            Reserved::Accepted => "accepted",
            Reserved::Rejected => "rejected",
            Reserved::Timeout => "timeout",
            Reserved::Canceled => "canceled",
            Reserved::Rescinded => "rescinded",
            Reserved::Wrapping => "wrapping",
            Reserved::Completed => "completed",
        }
    }

    /// Whether the worker is taken by it.
    fn holds(self) -> bool {
        match self {
            Reserved::Pending | Reserved::Accepted | Reserved::Wrapping => true,
            Reserved::Rejected | Reserved::Timeout | Reserved::Canceled | Reserved::Rescinded | Reserved::Completed => {
                false
            }
        }
    }
}

#[derive(Debug)]
struct Reservation {
    sid: Sid,
    workspace: Sid,
    task: Sid,
    worker: Sid,
    status: Reserved,
    created: SystemTime,
    updated: SystemTime,
    /// Which conference it brought both into, and the worker's call there.
    conference: Option<(Sid, Sid)>,
    /// The call that rings at the worker.
    ringing: Option<Sid>,
    /// What the worker does afterwards.
    post_work: Option<Sid>,
}

/// All workspaces.
#[derive(Debug, Default)]
pub(super) struct Router {
    entries: Table<Entry>,
    reservations: Table<Reservation>,
}

impl Router {
    fn add(&mut self, entry: Entry) -> Sid {
        let sid = entry.sid.clone();
        let over = |entry: &Entry| matches!(&entry.kind, Kind::Task(task) if task.status.is_over());
        self.entries.add(sid.clone(), entry, over);
        sid
    }

    fn name_of(&self, sid: Option<&Sid>) -> Option<&str> {
        self.entries.get(sid?).map(|entry| entry.name.as_str())
    }

    fn task(&self, sid: &Sid) -> Option<&Task> {
        match &self.entries.get(sid)?.kind {
            Kind::Task(task) => Some(task),
            Kind::Workspace | Kind::Activity { .. } | Kind::Worker(_) | Kind::TaskQueue { .. } | Kind::Workflow(_) => {
                None
            }
        }
    }

    fn task_mut(&mut self, sid: &Sid) -> Option<&mut Task> {
        let entry = self.entries.get_mut(sid)?;
        entry.updated = crate::api::time::now();
        match &mut entry.kind {
            Kind::Task(task) => Some(task),
            Kind::Workspace | Kind::Activity { .. } | Kind::Worker(_) | Kind::TaskQueue { .. } | Kind::Workflow(_) => {
                None
            }
        }
    }

    fn worker(&self, sid: &Sid) -> Option<&Worker> {
        match &self.entries.get(sid)?.kind {
            Kind::Worker(worker) => Some(worker),
            Kind::Workspace | Kind::Activity { .. } | Kind::Task(_) | Kind::TaskQueue { .. } | Kind::Workflow(_) => {
                None
            }
        }
    }

    fn worker_mut(&mut self, sid: &Sid) -> Option<&mut Worker> {
        match &mut self.entries.get_mut(sid)?.kind {
            Kind::Worker(worker) => Some(worker),
            Kind::Workspace | Kind::Activity { .. } | Kind::Task(_) | Kind::TaskQueue { .. } | Kind::Workflow(_) => {
                None
            }
        }
    }

    fn workflow(&self, sid: &Sid) -> Option<&Workflow> {
        match &self.entries.get(sid)?.kind {
            Kind::Workflow(workflow) => Some(workflow),
            Kind::Workspace | Kind::Activity { .. } | Kind::Task(_) | Kind::TaskQueue { .. } | Kind::Worker(_) => None,
        }
    }

    fn is_available(&self, worker: &Worker) -> bool {
        let activity = worker.activity.as_ref().and_then(|sid| self.entries.get(sid));
        activity.is_some_and(|entry| matches!(entry.kind, Kind::Activity { available: true }))
    }

    /// As the API shows it.
    fn json(&self, entry: &Entry, account: &str, base: &str, now: SystemTime) -> Value {
        let under = format!("{base}/v1/Workspaces/{}", entry.workspace);
        let mut body = json!({
            "sid": entry.sid, "account_sid": account, "friendly_name": entry.name,
            "date_created": iso8601(entry.created), "date_updated": iso8601(entry.updated), "links": {},
        });
        let (path, more) = match &entry.kind {
            Kind::Workspace => (
                "",
                json!({
                    "event_callback_url": null, "events_filter": null, "multi_task_enabled": true, "prioritize_queue_order": "FIFO",
                    "default_activity_name": "Offline", "default_activity_sid": null, "timeout_activity_name": "Offline",
                    "timeout_activity_sid": null,
                }),
            ),
            Kind::Activity { available } => ("/Activities", json!({"available": available})),
            Kind::Worker(worker) => (
                "/Workers",
                json!({
                    "activity_sid": worker.activity, "activity_name": self.name_of(worker.activity.as_ref()),
                    "attributes": Value::Object(worker.attributes.clone()).to_string(), "available": self.is_available(worker),
                    "date_status_changed": iso8601(worker.idle_since),
                }),
            ),
            Kind::TaskQueue {
                wanted,
                most,
                newest_first,
            } => (
                "/TaskQueues",
                json!({
                    "target_workers": wanted, "max_reserved_workers": most,
                    "task_order": if *newest_first { "LIFO" } else { "FIFO" }, "assignment_activity_name": null,
                    "assignment_activity_sid": null, "reservation_activity_name": null, "reservation_activity_sid": null,
                }),
            ),
            Kind::Workflow(workflow) => (
                "/Workflows",
                json!({
                    "configuration": workflow.configuration.to_string(), "assignment_callback_url": workflow.assignment,
                    "fallback_assignment_callback_url": workflow.fallback, "document_content_type": "application/json",
                    "task_reservation_timeout": workflow.timeout.as_secs(),
                }),
            ),
            Kind::Task(task) => (
                "/Tasks",
                json!({
                    "attributes": Value::Object(task.attributes.clone()).to_string(), "assignment_status": task.status.as_str(),
                    "reason": task.reason, "priority": task.priority, "age": seconds(entry.created, now),
                    "timeout": task.timeout.as_secs(), "workflow_sid": task.workflow,
                    "workflow_friendly_name": self.name_of(task.workflow.as_ref()), "task_queue_sid": task.queue,
                    "task_queue_friendly_name": self.name_of(task.queue.as_ref()), "task_channel_sid": null,
                    "task_channel_unique_name": "voice", "addons": "{}", "task_queue_entered_date": iso8601(entry.created),
                    "virtual_start_time": iso8601(entry.created), "ignore_capacity": false, "routing_target": null,
                }),
            ),
        };
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
            if path.is_empty() {
                body.insert("url".into(), json!(under));
            } else {
                body.insert("workspace_sid".into(), json!(entry.workspace));
                body.insert("url".into(), json!(format!("{under}{path}/{}", entry.sid)));
            }
        }
        body
    }

    fn reservation_json(&self, one: &Reservation, account: &str, base: &str) -> Value {
        json!({
            "sid": one.sid, "account_sid": account, "workspace_sid": one.workspace, "task_sid": one.task,
            "worker_sid": one.worker, "worker_name": self.name_of(Some(&one.worker)),
            "reservation_status": one.status.as_str(), "date_created": iso8601(one.created),
            "date_updated": iso8601(one.updated), "links": {},
            "url": format!("{base}/v1/Workspaces/{}/Tasks/{}/Reservations/{}", one.workspace, one.task, one.sid),
        })
    }
}
