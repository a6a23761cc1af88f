//! What an application wants done with a reservation: accept, reject, conference, dequeue, call, redirect, supervise.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::App;
use super::super::address;
use super::super::call::{Call, Direction, Signal};
use super::super::error::Fault;
use super::super::flow::{Plan, Source};
use super::super::participant::Participant;
use super::super::queue::Dequeue;
use super::super::sid::Sid;
use super::super::twiml::{Callback, Target};
use super::{Reserved, TaskStatus};
use crate::api::time;

/// A room lasts a day at most.
const LONGEST: Duration = Duration::from_secs(86_400);

/// A value of an instruction, by its name there.
fn text<'a>(wish: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    wish.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn flag(wish: &Map<String, Value>, name: &str) -> Option<bool> {
    match wish.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn seconds(wish: &Map<String, Value>, name: &str) -> Option<u64> {
    let value = wish.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn refused(why: &str) -> Fault {
    Fault::new(400, 40_001, why)
}

/// Whom an instruction is about.
struct Parties {
    task: Sid,
    /// Who waits.
    customer: Option<Sid>,
    /// The worker's own address.
    contact: Option<String>,
    from: Option<String>,
}

impl App {
    /// An answer to an assignment callback; what cannot be done leaves the reservation to its timeout.
    pub(super) async fn carry_out(self: &Arc<App>, sid: &Sid, answer: &Value) {
        let Value::Object(wish) = answer else { return };
        if let Err(error) = self.instruct(sid, wish).await {
            tracing::warn!(reservation = %sid, why = error.message, "an instruction cannot be carried out");
            self.give_back(sid, Reserved::Canceled);
        }
    }

    /// Carries an instruction out, as far as it can be without waiting for anybody.
    pub(super) async fn instruct(self: &Arc<App>, sid: &Sid, wish: &Map<String, Value>) -> Result<(), Fault> {
        match text(wish, "instruction") {
            None => Ok(()),
            Some("accept") => self.accept(sid).map(drop),
            Some("reject") => {
                if self.give_back(sid, Reserved::Rejected) {
                    Ok(())
                } else {
                    Err(refused("The reservation is not pending"))
                }
            }
            Some("conference") => self.bring_together(sid, wish).await,
            Some("dequeue") => self.dequeue(sid, wish),
            Some("call") => self.call_worker(sid, wish),
            Some("redirect") => self.redirect(sid, wish),
            Some("supervise") => self.supervise(sid, wish),
            Some(other) => Err(Fault::parameter(
                "Instruction",
                &format!("{other} is none that this edge knows"),
            )),
        }
    }

    fn parties(&self, sid: &Sid) -> Result<Parties, Fault> {
        let state = self.state();
        let gone = || Fault::not_found(&format!("/Reservations/{sid}"));
        let one = state.router.reservations.get(sid).ok_or_else(gone)?;
        let task = state.router.task(&one.task).ok_or_else(gone)?;
        let worker = state.router.worker(&one.worker).ok_or_else(gone)?;
        let attribute = |attributes: &Map<String, Value>, name: &str| text(attributes, name).map(str::to_owned);
        Ok(Parties {
            task: one.task.clone(),
            customer: task.call.clone(),
            contact: attribute(&worker.attributes, "contact_uri"),
            from: attribute(&task.attributes, "from"),
        })
    }

    /// Pending becomes accepted, and the task is assigned.
    fn accept(&self, sid: &Sid) -> Result<Sid, Fault> {
        let mut state = self.state();
        let router = &mut state.router;
        let pending = router
            .reservations
            .get_mut(sid)
            .filter(|one| one.status == Reserved::Pending);
        let one = pending.ok_or_else(|| refused("The reservation is not pending"))?;
        (one.status, one.updated) = (Reserved::Accepted, time::now());
        one.ringing = None;
        let task = one.task.clone();
        if let Some(task) = router.task_mut(&task) {
            task.status = TaskStatus::Assigned;
        }
        Ok(task)
    }

    fn is_pending(&self, sid: &Sid) -> Result<(), Fault> {
        let state = self.state();
        let pending = state
            .router
            .reservations
            .get(sid)
            .is_some_and(|one| one.status == Reserved::Pending);
        if pending {
            Ok(())
        } else {
            Err(refused("The reservation is not pending"))
        }
    }

    /// A call to somebody whom an instruction names.
    fn plan_for(&self, to: &str, from: &str, wish: &Map<String, Value>) -> Result<(Plan, Call), Fault> {
        let plan = Plan {
            to: address::to(to, &self.domain)?,
            from: address::uri(from, &self.domain),
            timeout: Duration::from_secs(seconds(wish, "timeout").unwrap_or(60).clamp(1, 600)),
            credentials: text(wish, "sip_auth_username")
                .zip(text(wish, "sip_auth_password"))
                .map(|(user, password)| (user.to_owned(), password.to_owned())),
            digits: None,
            longest: None,
        };
        let mut call = Call::new(Direction::OutboundApi, from, to, time::now());
        call.callback = told(wish, "status_callback", "completed");
        Ok((plan, call))
    }

    /// The agent first; once it has answered, the caller comes from its queue into the same room.
    async fn bring_together(self: &Arc<App>, sid: &Sid, wish: &Map<String, Value>) -> Result<(), Fault> {
        self.is_pending(sid)?;
        let parties = self.parties(sid)?;
        let to = text(wish, "to").map(str::to_owned).or(parties.contact);
        let to = to.ok_or_else(|| Fault::parameter("To", "the worker has no contact_uri"))?;
        let from = text(wish, "from").map(str::to_owned).or(parties.from);
        let from = from.ok_or_else(|| Fault::parameter("From", "it is needed"))?;
        let (plan, call) = self.plan_for(&to, &from, wish)?;
        let room = text(wish, "room_name").map_or_else(|| parties.task.to_string(), str::to_owned);
        let conference = self.conference(&room, 250).await?;
        let mut place = Participant::new(call.sid.clone(), time::now());
        place.muted = flag(wish, "muted").unwrap_or(false);
        place.starts = flag(wish, "start_conference_on_enter").unwrap_or(true);
        place.ends = flag(wish, "end_conference_on_exit").unwrap_or(false);
        place.label = text(wish, "label").map(str::to_owned);
        let beep = flag(wish, "beep").unwrap_or(true);
        place.beep = (beep, flag(wish, "beep_on_exit").unwrap_or(beep));
        self.enrol(
            &conference,
            place,
            told(wish, "conference_status_callback", "start end"),
        )?;
        let (worker, inbox) = self.add_call(call);
        if let Some(one) = self.state().router.reservations.get_mut(sid) {
            one.post_work = text(wish, "post_work_activity_sid").and_then(|text| Sid::read("WA", text));
            one.ringing = Some(worker.clone());
        }
        let (app, sid, wish) = (Arc::clone(self), sid.clone(), wish.clone());
        tokio::spawn(async move {
            let Some(mut flow) = app.dial_out(worker.clone(), inbox, plan).await else {
                app.never_came(&conference, &worker);
                app.give_back(&sid, Reserved::Rejected);
                return;
            };
            let watch =
                tokio::spawn(Arc::clone(&app).once_there(sid.clone(), conference.clone(), worker, room, wish.clone()));
            let record = flag(&wish, "conference_record").unwrap_or(false) || text(&wish, "record") == Some("true");
            drop(flow.stay(&conference, record, LONGEST, false).await);
            flow.hang_up().await;
            watch.abort();
            app.worked(&sid);
        });
        Ok(())
    }

    /// The worker is in the room: the reservation is accepted, and the caller follows.
    async fn once_there(
        self: Arc<App>,
        sid: Sid,
        conference: Sid,
        worker: Sid,
        room: String,
        wish: Map<String, Value>,
    ) {
        let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let there = || {
            let state = self.state();
            state
                .calls
                .get(&worker)
                .is_some_and(|call| call.conference.as_ref() == Some(&conference))
        };
        if let Some(call) = self.state().calls.get_mut(&worker) {
            call.inboxes.push(sender);
        }
        while !there() {
            match heard.recv().await {
                None | Some(Signal::Ended) => return,
                Some(_) => {}
            }
        }
        let Ok(task) = self.accept(&sid) else { return };
        let customer = {
            let mut state = self.state();
            if let Some(one) = state.router.reservations.get_mut(&sid) {
                one.conference = Some((conference.clone(), worker.clone()));
            }
            let task = state.router.task_mut(&task);
            let customer = task.as_ref().and_then(|task| task.call.clone());
            if let Some(task) = task {
                let participants = json!({"worker": worker, "customer": customer});
                let told = json!({"room_name": room, "sid": conference, "participants": participants});
                task.attributes.insert("conference".to_owned(), told);
            }
            customer
        };
        let Some(customer) = customer else { return };
        let beep = flag(&wish, "beep_on_customer_entrance").unwrap_or(true);
        let join = Dequeue::Conference {
            name: conference.to_string(),
            ends: flag(&wish, "end_conference_on_customer_exit").unwrap_or(false),
            beep,
        };
        self.state().tell(&customer, &Signal::Dequeued(join));
    }

    /// The worker has left its call: the task is wrapped up, and the worker does what it is to do then.
    fn worked(self: &Arc<App>, sid: &Sid) {
        let mut state = self.state();
        let router = &mut state.router;
        let Some(one) = router
            .reservations
            .get_mut(sid)
            .filter(|one| one.status == Reserved::Accepted)
        else {
            return;
        };
        (one.status, one.updated) = (Reserved::Wrapping, time::now());
        let (task, worker, next) = (one.task.clone(), one.worker.clone(), one.post_work.clone());
        if let Some(task) = router.task_mut(&task).filter(|task| !task.status.is_over()) {
            task.status = TaskStatus::Wrapping;
        }
        if let (Some(worker), Some(next)) = (router.worker_mut(&worker), next) {
            worker.activity = Some(next);
        }
    }

    /// The worker is called, and hears the caller as soon as it answers.
    fn dequeue(self: &Arc<App>, sid: &Sid, wish: &Map<String, Value>) -> Result<(), Fault> {
        self.is_pending(sid)?;
        let parties = self.parties(sid)?;
        let to = text(wish, "to").map(str::to_owned).or(parties.contact);
        let to = to.ok_or_else(|| Fault::parameter("To", "the worker has no contact_uri"))?;
        let from = text(wish, "from")
            .map(str::to_owned)
            .or(parties.from)
            .unwrap_or_default();
        let customer = parties.customer.ok_or_else(|| refused("No call waits for this task"))?;
        let (plan, call) = self.plan_for(&to, &from, wish)?;
        let (worker, inbox) = self.add_call(call);
        if let Some(one) = self.state().router.reservations.get_mut(sid) {
            one.post_work = text(wish, "post_work_activity_sid").and_then(|text| Sid::read("WA", text));
            one.ringing = Some(worker.clone());
        }
        let (app, sid) = (Arc::clone(self), sid.clone());
        tokio::spawn(async move {
            let Some(mut flow) = app.dial_out(worker, inbox, plan).await else {
                app.give_back(&sid, Reserved::Rejected);
                return;
            };
            if app.accept(&sid).is_ok() {
                flow.meet(&customer).await;
                app.worked(&sid);
            }
            flow.hang_up().await;
        });
        Ok(())
    }

    /// The worker is called, and its own document says what comes then.
    fn call_worker(self: &Arc<App>, sid: &Sid, wish: &Map<String, Value>) -> Result<(), Fault> {
        self.is_pending(sid)?;
        let parties = self.parties(sid)?;
        let url = text(wish, "url").ok_or_else(|| Fault::parameter("Url", "it is needed"))?;
        let to = text(wish, "to").map(str::to_owned).or(parties.contact);
        let to = to.ok_or_else(|| Fault::parameter("To", "the worker has no contact_uri"))?;
        let from = text(wish, "from")
            .map(str::to_owned)
            .or(parties.from)
            .unwrap_or_default();
        let (plan, call) = self.plan_for(&to, &from, wish)?;
        let source = Source::voice(posted(url), None);
        if flag(wish, "accept").unwrap_or(false) {
            self.accept(sid)?;
        }
        let (worker, inbox) = self.add_call(call);
        let app = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(flow) = app.dial_out(worker, inbox, plan).await {
                flow.run(source).await;
            }
        });
        Ok(())
    }

    /// The caller's document is another one from now on.
    fn redirect(&self, sid: &Sid, wish: &Map<String, Value>) -> Result<(), Fault> {
        self.is_pending(sid)?;
        let url = text(wish, "url").ok_or_else(|| Fault::parameter("Url", "it is needed"))?;
        let named = text(wish, "call_sid").and_then(|text| Sid::read("CA", text));
        let customer = named.or(self.parties(sid)?.customer);
        let customer = customer.ok_or_else(|| refused("No call waits for this task"))?;
        if flag(wish, "accept").unwrap_or(false) {
            self.accept(sid)?;
        }
        let signal = Signal::Redirect(Source::voice(posted(url), None));
        if self.state().tell(&customer, &signal) {
            Ok(())
        } else {
            Err(Fault::not_in_progress())
        }
    }

    /// Somebody listens to the worker's conference, speaks to the worker alone, or to both.
    fn supervise(self: &Arc<App>, sid: &Sid, wish: &Map<String, Value>) -> Result<(), Fault> {
        let parties = self.parties(sid)?;
        let (conference, worker, supervisor) = {
            let state = self.state();
            let accepted = state
                .router
                .reservations
                .get(sid)
                .filter(|one| one.status == Reserved::Accepted);
            let room = accepted.and_then(|one| one.conference.clone());
            let (conference, worker) = room.ok_or_else(|| refused("The reservation has no conference"))?;
            let named = text(wish, "supervisor").and_then(|text| Sid::read("WK", text));
            let contact =
                named.and_then(|sid| Some(text(&state.router.worker(&sid)?.attributes, "contact_uri")?.to_owned()));
            (conference, worker, contact)
        };
        let to = text(wish, "to").map(str::to_owned).or(supervisor);
        let to =
            to.ok_or_else(|| Fault::parameter("Supervisor", "there is no such worker, or it has no contact_uri"))?;
        let from = text(wish, "from")
            .map(str::to_owned)
            .or(parties.from)
            .unwrap_or_default();
        let (plan, call) = self.plan_for(&to, &from, wish)?;
        let mut place = Participant::new(call.sid.clone(), time::now());
        place.beep = (false, false);
        match text(wish, "supervisor_mode").unwrap_or("monitor") {
            "monitor" => place.muted = true,
            "whisper" => (place.coaching, place.coach) = (true, Some(worker)),
            "barge" => {}
            other => return Err(Fault::parameter("SupervisorMode", &format!("{other} is none"))),
        }
        self.enrol(&conference, place, None)?;
        let (own, inbox) = self.add_call(call);
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let Some(mut flow) = app.dial_out(own.clone(), inbox, plan).await else {
                return app.never_came(&conference, &own);
            };
            drop(flow.stay(&conference, false, LONGEST, false).await);
            flow.hang_up().await;
        });
        Ok(())
    }

    /// A call waits for a worker: the task that stands for it.
    pub(in crate::api::twilio) fn add_task_for(
        self: &Arc<App>,
        workflow: &str,
        call: &Sid,
        attributes: Option<&str>,
        priority: i64,
    ) -> Option<Sid> {
        let workflow = Sid::read("WW", workflow)?;
        let task = {
            let mut state = self.state();
            let workspace = state.router.entries.get(&workflow)?.workspace.clone();
            let mut all = match serde_json::from_str(attributes.unwrap_or("{}")) {
                Ok(Value::Object(all)) => all,
                Ok(_) | Err(_) => Map::new(),
            };
            let own = state.calls.get(call)?;
            for (name, value) in [
                ("call_sid", own.sid.to_string()),
                ("account_sid", self.account.account_sid.clone()),
                ("from", own.from.clone()),
                ("to", own.to.clone()),
                ("caller", own.from.clone()),
                ("called", own.to.clone()),
                ("direction", own.direction.as_str().to_owned()),
            ] {
                all.entry(name).or_insert(Value::String(value));
            }
            state
                .router
                .new_task(&workspace, Some(workflow), all, priority, Some(call.clone()))
        };
        self.assign();
        Some(task)
    }

    /// Who waited has gone, before or while somebody was looked for.
    pub(in crate::api::twilio) fn abandon_task(self: &Arc<App>, task: &Sid, reason: &str) {
        {
            let mut state = self.state();
            let router = &mut state.router;
            let Some(found) = router.task_mut(task) else { return };
            if !matches!(found.status, TaskStatus::Pending | TaskStatus::Reserved) {
                return;
            }
            found.status = TaskStatus::Canceled;
            found.reason = Some(reason.to_owned());
            for call in router.release(task, Reserved::Rescinded) {
                self.stop_ringing(Some(call));
            }
        }
        self.assign();
    }
}

/// A URL and the events for which it is asked.
fn told(wish: &Map<String, Value>, name: &str, default: &str) -> Option<Callback> {
    let url = text(wish, name)?;
    let events = match wish.get(&format!("{name}_event")) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(words)) => words.split([' ', ',']).map(str::to_owned).collect(),
        Some(_) | None => default.split(' ').map(str::to_owned).collect(),
    };
    let target = posted(url);
    Some(Callback { target, events })
}

fn posted(url: &str) -> Target {
    Target {
        url: url.to_owned(),
        method: axum::http::Method::POST,
    }
}
