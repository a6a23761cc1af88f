//! Details of single kinds: which activity a worker has, how a task changes, what lists may be filtered by.

use super::super::error::Fault;
use super::super::form::Form;
use super::super::sid::Sid;
use super::{Entry, Kind, Reserved, Router, TaskStatus};

/// The activity that a request names, if there is one.
pub(super) fn activity(router: &Router, form: &Form) -> Result<Option<Sid>, Fault> {
    let Some(sid) = form.sid("WA", "ActivitySid")? else {
        return Ok(None);
    };
    let known = router
        .entries
        .get(&sid)
        .is_some_and(|entry| matches!(entry.kind, Kind::Activity { .. }));
    if known {
        Ok(Some(sid))
    } else {
        Err(Fault::parameter("ActivitySid", "there is no such activity"))
    }
}

/// Whether an entry is among those that a list's parameters ask for.
pub(super) fn fits_filter(router: &Router, entry: &Entry, form: &Form) -> bool {
    match &entry.kind {
        Kind::Worker(worker) => {
            let named = router.name_of(worker.activity.as_ref());
            let flag = form.get("Available").map(|text| text == "true" || text == "1");
            form.get("ActivityName").is_none_or(|wanted| named == Some(wanted))
                && flag.is_none_or(|wanted| router.is_available(worker) == wanted)
        }
        Kind::Task(task) => {
            let statuses = form.words("AssignmentStatus");
            let is = |wanted: Option<&str>, own: &Option<Sid>| {
                wanted.is_none_or(|wanted| own.as_ref().is_some_and(|own| own.as_str() == wanted))
            };
            (statuses.is_empty() || statuses.iter().any(|wanted| wanted == task.status.as_str()))
                && is(form.get("WorkflowSid"), &task.workflow)
                && is(form.get("TaskQueueSid"), &task.queue)
        }
        Kind::Workspace | Kind::Activity { .. } | Kind::TaskQueue { .. } | Kind::Workflow(_) => true,
    }
}

/// AssignmentStatus, Priority and Reason of a task; what its state does not allow changes nothing.
pub(super) fn change_task(router: &mut Router, sid: &Sid, form: &Form) -> Result<Vec<Sid>, Fault> {
    let priority = form.number("Priority", 0..=u64::from(u32::MAX))?;
    let wanted = match form.get("AssignmentStatus") {
        None => None,
        Some("canceled") => Some(TaskStatus::Canceled),
        Some("completed") => Some(TaskStatus::Completed),
        Some("wrapping") => Some(TaskStatus::Wrapping),
        Some("pending") => Some(TaskStatus::Pending),
        Some(_) => {
            return Err(Fault::parameter(
                "AssignmentStatus",
                "it is canceled, completed, wrapping or pending",
            ));
        }
    };
    let Some(task) = router.task_mut(sid) else {
        return Ok(Vec::new());
    };
    let now = task.status;
    let may = match (now, wanted) {
        (_, None) => true,
        (TaskStatus::Pending | TaskStatus::Reserved, Some(TaskStatus::Canceled | TaskStatus::Pending)) => true,
        (TaskStatus::Assigned, Some(TaskStatus::Wrapping | TaskStatus::Completed)) => true,
        (TaskStatus::Wrapping, Some(TaskStatus::Completed)) => true,
        (
            TaskStatus::Pending
            | TaskStatus::Reserved
            | TaskStatus::Assigned
            | TaskStatus::Wrapping
            | TaskStatus::Completed
            | TaskStatus::Canceled,
            Some(_),
        ) => false,
    };
    if !may {
        let what = wanted.map_or("", TaskStatus::as_str);
        return Err(Fault::new(
            400,
            40_001,
            format!("A task that is {} cannot become {what}", now.as_str()),
        ));
    }
    if let Some(priority) = priority {
        task.priority = i64::try_from(priority).unwrap_or(task.priority);
    }
    if let Some(reason) = form.get("Reason") {
        task.reason = Some(reason.to_owned());
    }
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    task.status = wanted;
    Ok(match wanted {
        TaskStatus::Completed => router.release(sid, Reserved::Completed),
        TaskStatus::Canceled | TaskStatus::Pending => router.release(sid, Reserved::Rescinded),
        TaskStatus::Wrapping | TaskStatus::Reserved | TaskStatus::Assigned => Vec::new(),
    })
}
