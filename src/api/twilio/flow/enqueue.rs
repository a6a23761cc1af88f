//! Enqueue, and Dial Queue: those who wait, and who takes them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::call::{Signal, Status};
use super::super::participant::Participant;
use super::super::queue::{Dequeue, Member};
use super::super::sid::Sid;
use super::super::twiml::{Dial, Enqueue, QueueNoun, Target, Wait};
use super::dial::Dialled;
use super::{Flow, Stop, deadline};
use crate::api::time;
use crate::engine::{AudienceHandle, CallHandle, Command, Role};

/// Who was taken out of a queue talks for a day at most.
const LONGEST: Duration = Duration::from_secs(86_400);

impl Flow {
    pub(super) async fn enqueue(&mut self, enqueue: &Enqueue) -> Result<(), Stop> {
        self.answer().await?;
        self.more |= enqueue.action.is_some();
        let since = Instant::now();
        let member = Member {
            call: self.sid.clone(),
            since: time::now(),
        };
        // Tasks wait in a queue of their own: that of their workflow.
        let name = enqueue.workflow.as_ref().unwrap_or(&enqueue.name);
        let entered = self.app.state().queues.enter(name, enqueue.most, member);
        let Some(queue) = entered else {
            return self.action(enqueue.action.as_ref(), vec![("QueueResult", "queue-full".to_owned())]);
        };
        let app = Arc::clone(&self.app);
        let priority = enqueue.priority.unwrap_or(0);
        let task = match &enqueue.workflow {
            None => None,
            Some(workflow) => {
                let task = app.add_task_for(workflow, &self.sid, enqueue.task.as_deref(), priority);
                if task.is_none() {
                    app.leave_queue(&queue, &self.sid, since.elapsed());
                    return self.action(enqueue.action.as_ref(), vec![("QueueResult", "error".to_owned())]);
                }
                task
            }
        };
        app.state().queues.wake(&queue);
        let own = self.base.clone();
        let waited = self.wait_in_queue(&queue, &enqueue.wait).await;
        self.base = own;
        app.leave_queue(&queue, &self.sid, since.elapsed());
        if let Some(task) = task {
            let reason = if matches!(waited, Stop::Ended) {
                "hangup"
            } else {
                "left the queue"
            };
            app.abandon_task(&task, reason);
        }
        let seconds = since.elapsed().as_secs();
        let to = AudienceHandle::Leg(self.leg);
        app.try_order(Command::StopPlaying { to }).await;
        let result = match waited {
            Stop::Dequeued(Dequeue::Bridge { hub, whisper, told }) => {
                self.taken(hub, whisper, told).await?;
                "bridged"
            }
            Stop::Dequeued(Dequeue::Conference { name, ends, beep }) => {
                self.attend_room(&name, ends, beep).await?;
                "bridged"
            }
            Stop::Leave => "leave",
            Stop::Ended => return Err(Stop::Ended),
            Stop::Goto(source) => return Err(Stop::Goto(source)),
            Stop::HangUp => return Err(Stop::HangUp),
        };
        let more = vec![
            ("QueueResult", result.to_owned()),
            ("QueueSid", queue.to_string()),
            ("QueueTime", seconds.to_string()),
        ];
        self.action(enqueue.action.as_ref(), more)
    }

    /// A conference in which somebody waits for this call already.
    async fn attend_room(&mut self, name: &str, ends: bool, beep: bool) -> Result<(), Stop> {
        let mut place = Participant::new(self.sid.clone(), time::now());
        (place.ends, place.beep) = (ends, (beep, beep));
        let sid = self.app.state().conference(name).map(|found| found.sid.clone());
        let Some(sid) = sid else { return Ok(()) };
        if self.app.enrol(&sid, place, None).is_err() {
            return Ok(());
        }
        self.stay(&sid, false, LONGEST, false).await.map(drop)
    }

    /// Takes a call that waits in a queue, and talks with it until one of the two leaves.
    pub(in crate::api::twilio) async fn meet(&mut self, customer: &Sid) {
        let home = self.app.state().calls.get(&self.sid).and_then(|call| call.home);
        let Some(hub) = home else { return };
        let bridge = Dequeue::Bridge {
            hub,
            whisper: None,
            told: Vec::new(),
        };
        if self.app.state().tell(customer, &Signal::Dequeued(bridge)) {
            drop(self.with_member(deadline(LONGEST), false, hub, customer).await);
            self.app.state().tell(customer, &Signal::Out);
        }
    }

    /// Plays the waiting document again and again, until something ends it.
    async fn wait_in_queue(&mut self, queue: &Sid, wait: &Wait) -> Stop {
        let target = match wait {
            Wait::Document(target) => Some(self.absolute(target)),
            Wait::Music | Wait::Silence => None,
        };
        loop {
            let round = match &target {
                Some(target) => self.wait_document(queue, target).await,
                None => self.wait_with(wait).await,
            };
            match round {
                Ok(()) => {}
                // A redirect within the waiting document stays in the queue.
                Err(stop) => return stop,
            }
        }
    }

    async fn wait_with(&mut self, wait: &Wait) -> Result<(), Stop> {
        if *wait == Wait::Music {
            let leg = self.leg;
            let role = Role::default(); // whose music is the configured one
            self.app.try_order(Command::SetRole { leg, role }).await;
        }
        loop {
            self.next(None).await?;
        }
    }

    async fn wait_document(&mut self, queue: &Sid, target: &Target) -> Result<(), Stop> {
        let more = self.app.state().queues.told(queue, &self.sid, time::now());
        let document = match self.fetch(target, more, None).await {
            // Nothing to hear is no reason to drop somebody who waits.
            Err(Stop::HangUp) => return self.wait_with(&Wait::Silence).await,
            other => other?,
        };
        self.base = document.base.clone();
        let empty = document.verbs.is_empty();
        self.verbs(&document.verbs).await?;
        if empty {
            return self.wait_with(&Wait::Silence).await;
        }
        // A document that is over at once must not be asked for without a pause.
        self.pause(Duration::from_millis(200)).await
    }

    /// Somebody has taken this call out of its queue: until one of them leaves.
    async fn taken(
        &mut self,
        hub: CallHandle,
        whisper: Option<Target>,
        told: Vec<(String, String)>,
    ) -> Result<(), Stop> {
        if let Some(target) = whisper {
            let document = self.fetch(&target, told, None).await?;
            self.verbs(&document.verbs).await?;
        }
        let (leg, to, role) = (self.leg, hub, Role::default());
        if self.app.order(Command::Move { leg, to, role }).await.is_err() {
            return Ok(());
        }
        loop {
            match self.next(None).await {
                Ok(Some(Signal::Out)) => break,
                Ok(Some(Signal::Left(from))) if from == hub => return Ok(()),
                Ok(_) => {}
                Err(Stop::Goto(source)) => {
                    self.come_home().await?;
                    return Err(Stop::Goto(source));
                }
                Err(stop) => return Err(stop),
            }
        }
        if self.more { self.come_home().await } else { Ok(()) }
    }

    pub(super) async fn dial_queue(&mut self, dial: &Dial, noun: &QueueNoun) -> Result<Dialled, Stop> {
        self.answer().await?;
        let app = Arc::clone(&self.app);
        let nobody = Dialled {
            status: Status::NoAnswer,
            call: None,
            seconds: 0,
            bridged: false,
        };
        let until = deadline(dial.timeout);
        let Some((queue, member)) = self.first_of(&noun.name, until).await? else {
            return Ok(nobody);
        };
        let home = app.state().calls.get(&self.sid).and_then(|call| call.home);
        let Some(hub) = home else { return Err(Stop::HangUp) };
        let waited = crate::api::time::now().duration_since(member.since).unwrap_or_default();
        let told = [
            ("QueueSid", queue.to_string()),
            ("QueueTime", waited.as_secs().to_string()),
            ("DequeingCallSid", self.sid.to_string()),
        ];
        let bridge = Dequeue::Bridge {
            hub,
            whisper: noun.whisper.as_ref().map(|target| self.absolute(target)),
            told: told.map(|(name, value)| (name.to_owned(), value)).into(),
        };
        if !app.state().tell(&member.call, &Signal::Dequeued(bridge)) {
            return Ok(nobody);
        }
        let began = Instant::now();
        let ended = self
            .with_member(deadline(dial.longest), dial.hangup_on_star, hub, &member.call)
            .await;
        app.state().tell(&member.call, &Signal::Out);
        ended?;
        Ok(Dialled {
            status: Status::Completed,
            call: Some(member.call),
            seconds: began.elapsed().as_secs(),
            bridged: true,
        })
    }

    /// The one who has waited longest; somebody who comes while this call waits for one.
    async fn first_of(&mut self, name: &str, until: Instant) -> Result<Option<(Sid, Member)>, Stop> {
        loop {
            let woken = {
                let mut state = self.app.state();
                match state.queues.take(name) {
                    Some(found) => return Ok(Some(found)),
                    None => state.queues.watch(name),
                }
            };
            tokio::select! {
                biased;
                signal = self.next(Some(until)) => if signal?.is_none() { return Ok(None) },
                _ = woken => {}
            }
        }
    }

    /// Until the member has left, or this call does.
    async fn with_member(&mut self, until: Instant, star: bool, hub: CallHandle, member: &Sid) -> Result<(), Stop> {
        let (sender, mut theirs) = tokio::sync::mpsc::unbounded_channel();
        if let Some(call) = self.app.state().calls.get_mut(member) {
            call.inboxes.push(sender);
        }
        loop {
            tokio::select! {
                biased;
                own = self.next(Some(until)) => match own? {
                    None => return Ok(()),
                    Some(Signal::Digit('*')) if star => return Ok(()),
                    Some(_) => {}
                },
                other = theirs.recv() => match other {
                    None | Some(Signal::Ended) => return Ok(()),
                    Some(Signal::Left(from)) if from == hub => return Ok(()),
                    Some(_) => {}
                },
            }
        }
    }
}
