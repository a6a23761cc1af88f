//! The task that owns the desk: callers arrive and wait, users are rung into their hubs, and both are joined.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::desk::{Action, CallerId, Desk, ReservationId, Rules, UserState};
use crate::api::{EngineHandle, Happened, moment, time};
use crate::config::{QueueRules, Queues};
use crate::engine::{AudienceHandle, CallHandle, Command, Event, HubNote, LegHandle, MediaNote, NewParty, Reply, Role};
use crate::sip::Uri;
use crate::vocabulary::Moment;

/// Questions that may wait; more askers wait for their turn.
const WAITING: usize = 64;

/// What clients ask of the queues.
#[derive(Debug)]
enum Ask {
    Queues(oneshot::Sender<Value>),
    Callers(String, oneshot::Sender<Option<Value>>),
    Agents(oneshot::Sender<Value>),
    SetState(String, UserState, oneshot::Sender<bool>),
}

/// Asks the queues, and tells them what users do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Ask>);

impl Handle {
    /// Every queue with how many wait, how long on average, and how many users are there.
    pub async fn queues(&self) -> Option<Value> {
        let (answer, told) = oneshot::channel();
        self.0.send(Ask::Queues(answer)).await.ok()?;
        told.await.ok()
    }

    /// Who waits in a queue, in the order in which they will be served.
    pub async fn callers(&self, queue: &str) -> Option<Value> {
        let (answer, told) = oneshot::channel();
        self.0.send(Ask::Callers(queue.to_owned(), answer)).await.ok()?;
        told.await.ok()?
    }

    /// Every user, with what it does and can.
    pub async fn agents(&self) -> Option<Value> {
        let (answer, told) = oneshot::channel();
        self.0.send(Ask::Agents(answer)).await.ok()?;
        told.await.ok()
    }

    /// A user says what it does; `false`: there is none of that name.
    pub async fn set_state(&self, user: &str, state: UserState) -> bool {
        let (answer, told) = oneshot::channel();
        let asked = self.0.send(Ask::SetState(user.to_owned(), state, answer)).await;
        asked.is_ok() && told.await.unwrap_or(false)
    }
}

#[derive(Debug)]
struct Caller {
    call: CallHandle,
    leg: LegHandle,
    from: String,
    queue: String,
    /// Queues in which it was: into none it comes twice.
    been: BTreeSet<String>,
    since: Moment,
}

#[derive(Debug)]
struct Ringing {
    caller: CallerId,
    user: String,
    legs: BTreeSet<LegHandle>,
}

struct Hall {
    edge: EngineHandle,
    domain: String,
    rules: BTreeMap<String, QueueRules>,
    desk: Desk,
    next: CallerId,
    callers: BTreeMap<CallerId, Caller>,
    ringing: BTreeMap<ReservationId, Ringing>,
    /// Users who talk, by their leg.
    talking: BTreeMap<LegHandle, String>,
    /// Users who hear the whisper before they talk.
    whispered: BTreeSet<LegHandle>,
    /// Callers whose overflow is rung: if nobody comes, they are hung up.
    last: BTreeMap<CallHandle, BTreeSet<LegHandle>>,
}

/// Starts to serve the callers of every queue. Must be called within a Tokio runtime.
pub fn start(queues: Queues, domain: String, edge: EngineHandle) -> Handle {
    let (asks, asked) = mpsc::channel(WAITING);
    tokio::spawn(serve(queues, domain, edge, asked));
    Handle(asks)
}

async fn serve(queues: Queues, domain: String, edge: EngineHandle, mut asked: mpsc::Receiver<Ask>) {
    let mut events = edge.events(None);
    let mut hall = Hall::new(queues, domain, edge);
    loop {
        hall.act().await;
        let due = hall.desk.poll_timeout();
        tokio::select! {
            happened = events.next() => match happened {
                Happened::Event(stamped) => hall.event(moment(stamped.at), &stamped.event).await,
                Happened::Missed { from, to } => {
                    tracing::warn!(from, to, "queues missed events");
                    hall.check().await;
                }
            },
            Some(ask) = asked.recv() => hall.answer(ask),
            () = until(due) => hall.desk.handle_timeout(now()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever owns the desk tells it the time")]
fn now() -> Instant {
    Instant::now()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

impl Hall {
    fn new(queues: Queues, domain: String, edge: EngineHandle) -> Hall {
        let mut desk = Desk::default();
        let set = |words: &[String]| words.iter().cloned().collect::<BTreeSet<String>>();
        for queue in &queues.queues {
            let rules = Rules {
                users: set(&queue.agents),
                skills: set(&queue.skills),
                ring: queue.ring,
                total: queue.total,
                most: queue.most,
                wrap_up: queue.wrap_up,
                ..Rules::default()
            };
            desk.set_queue(now(), &queue.name, rules);
            for agent in &queue.agents {
                desk.set_user(now(), agent, BTreeSet::new());
            }
        }
        for (agent, skills) in &queues.agents {
            desk.set_user(now(), agent, set(skills));
        }
        Hall {
            edge,
            domain,
            rules: queues
                .queues
                .into_iter()
                .map(|queue| (queue.name.clone(), queue))
                .collect(),
            desk,
            next: 0,
            callers: BTreeMap::new(),
            ringing: BTreeMap::new(),
            talking: BTreeMap::new(),
            whispered: BTreeSet::new(),
            last: BTreeMap::new(),
        }
    }

    async fn event(&mut self, at: Moment, event: &Event) {
        if let Event::Hub(HubNote::Arrived {
            call,
            leg,
            application,
            from,
            ..
        }) = event
        {
            let queue = self
                .rules
                .values()
                .find(|rules| rules.application.as_ref() == Some(application));
            if let Some(name) = queue.map(|rules| rules.name.clone()) {
                self.arrived(at, &name, *call, *leg, from).await;
            }
        } else if let Event::Hub(HubNote::Joined { call, leg, .. }) = event {
            // Not the caller's own joining.
            if self.last.get(call).is_some_and(|legs| legs.contains(leg)) {
                self.last.remove(call);
            }
            self.joined(*leg).await;
        } else if let Event::LegEnded { leg, .. } = event {
            self.ended(*leg).await;
        } else if let Event::Media(MediaNote::PromptEnded { leg, .. } | MediaNote::PromptMissing { leg, .. }) = event
            && self.whispered.remove(leg)
        {
            self.talks(*leg, false).await;
        }
    }

    async fn arrived(&mut self, at: Moment, queue: &str, call: CallHandle, leg: LegHandle, from: &str) {
        let music = self.rules.get(queue).and_then(|rules| rules.music.clone());
        let role = Role {
            music,
            ends: true,
            ..Role::default()
        };
        if self.edge.command(Command::Answer { leg, role }).await.is_err() {
            return; // it has hung up
        }
        self.next += 1;
        let caller = self.next;
        self.callers.insert(
            caller,
            Caller {
                call,
                leg,
                from: from.to_owned(),
                queue: queue.to_owned(),
                been: BTreeSet::new(),
                since: at,
            },
        );
        if self.desk.enqueue(now(), queue, caller, 0).is_err() {
            self.overflow(caller).await;
        }
    }

    async fn act(&mut self) {
        while let Some(action) = self.desk.poll_action() {
            match action {
                Action::Offer {
                    reservation,
                    caller,
                    user,
                } => self.ring(reservation, caller, user).await,
                Action::Withdraw { reservation } => {
                    let ringing = self.ringing.remove(&reservation);
                    for leg in ringing.into_iter().flat_map(|ringing| ringing.legs) {
                        self.edge.command(Command::HangUpLeg { leg }).await.ok(); // it has ended by itself
                    }
                }
                Action::Overflow { caller, .. } => self.overflow(caller).await,
                // Asked for by who wants to know it.
                Action::Position { .. } => {}
            }
        }
    }

    async fn ring(&mut self, reservation: ReservationId, caller: CallerId, user: String) {
        let address = format!("sip:{user}@{}", self.domain);
        let Some(waiting) = self.callers.get(&caller) else {
            return;
        };
        let rules = self.rules.get(&waiting.queue);
        let whispers = rules.is_some_and(|rules| rules.whisper.is_some());
        let ring = rules.map(|rules| rules.ring);
        match self.add(waiting.call, &waiting.from, &address, whispers, ring).await {
            Some(legs) => {
                self.ringing.insert(reservation, Ringing { caller, user, legs });
            }
            None => self.desk.decline(now(), reservation),
        }
    }

    async fn add(
        &self,
        call: CallHandle,
        from: &str,
        to: &str,
        held: bool,
        ring: Option<std::time::Duration>,
    ) -> Option<BTreeSet<LegHandle>> {
        let party = NewParty {
            to: Uri::parse(to).ok()?,
            from: Uri::parse(from).ok().map(|uri| uri.without_headers()),
            from_name: None,
            role: Role {
                held,
                ends: true,
                ..Role::default()
            },
            ring_timeout: ring,
            headers: Vec::new(),
            peer: None,
            credentials: None,
        };
        let party = Box::new(party);
        match self.edge.command(Command::AddParty { call, party }).await {
            Ok(Reply::Legs(legs)) if !legs.is_empty() => Some(legs.into_iter().collect()),
            _ => None,
        }
    }

    /// A user has answered.
    async fn joined(&mut self, leg: LegHandle) {
        let found = self.ringing.iter().find(|(_, ringing)| ringing.legs.contains(&leg));
        let Some(reservation) = found.map(|(id, _)| *id) else {
            return;
        };
        let Some(Ringing { caller, user, .. }) = self.ringing.remove(&reservation) else {
            return;
        };
        if self.desk.accept(now(), reservation).is_none() {
            self.edge.command(Command::HangUpLeg { leg }).await.ok(); // it has ended by itself
            return;
        }
        self.talking.insert(leg, user);
        let waited = self.callers.remove(&caller);
        let whisper = waited.and_then(|caller| self.rules.get(&caller.queue)?.whisper.clone());
        let Some(sound) = whisper else { return };
        let to = AudienceHandle::Leg(leg);
        self.whispered.insert(leg);
        let again = false;
        if self.edge.command(Command::Play { to, sound, again }).await.is_err() && self.whispered.remove(&leg) {
            self.talks(leg, false).await;
        }
    }

    async fn talks(&self, leg: LegHandle, held: bool) {
        let role = Role {
            held,
            ends: true,
            ..Role::default()
        };
        self.edge.command(Command::SetRole { leg, role }).await.ok(); // it has left
    }

    async fn ended(&mut self, leg: LegHandle) {
        self.whispered.remove(&leg);
        if let Some(user) = self.talking.remove(&leg) {
            self.desk.done(now(), &user);
        }
        if let Some(caller) = self
            .callers
            .iter()
            .find(|(_, caller)| caller.leg == leg)
            .map(|(id, _)| *id)
        {
            self.callers.remove(&caller);
            self.desk.leave(now(), caller);
        }
        let mut refused = None;
        for (reservation, ringing) in &mut self.ringing {
            if ringing.legs.remove(&leg) && ringing.legs.is_empty() {
                refused = Some(*reservation);
            }
        }
        if let Some(reservation) = refused {
            self.ringing.remove(&reservation);
            self.desk.decline(now(), reservation);
        }
        let alone = self
            .last
            .iter_mut()
            .find_map(|(call, legs)| (legs.remove(&leg) && legs.is_empty()).then_some(*call));
        if let Some(call) = alone {
            self.last.remove(&call);
            self.edge.command(Command::HangUpCall { call }).await.ok(); // it has ended by itself
        }
    }

    /// Nobody takes the caller here: another queue, an address, or the end.
    async fn overflow(&mut self, caller: CallerId) {
        let Some(waiting) = self.callers.get_mut(&caller) else {
            return;
        };
        let overflow = self.rules.get(&waiting.queue).and_then(|rules| rules.overflow.clone());
        waiting.been.insert(waiting.queue.clone());
        let next = |name: &&String| self.rules.contains_key(*name) && !waiting.been.contains(*name);
        if let Some(name) = overflow.as_ref().filter(next) {
            waiting.queue.clone_from(name);
            if self.desk.enqueue(now(), name, caller, 0).is_ok() {
                return;
            }
        }
        let Some(Caller { call, from, .. }) = self.callers.remove(&caller) else {
            return;
        };
        let address = overflow.filter(|address| address.contains(':'));
        if let Some(address) = address
            && let Some(legs) = self.add(call, &from, &address, false, None).await
        {
            self.last.insert(call, legs);
            return;
        }
        self.edge.command(Command::HangUpCall { call }).await.ok(); // it has ended by itself
    }

    /// Events were missed: who is not there any more has left.
    async fn check(&mut self) {
        let Ok(Reply::Calls(calls)) = self.edge.command(Command::Calls).await else {
            return;
        };
        let live: BTreeSet<LegHandle> = calls
            .iter()
            .flat_map(|call| call.legs.iter().map(|leg| leg.id))
            .collect();
        let known = self
            .callers
            .values()
            .map(|caller| caller.leg)
            .chain(self.talking.keys().copied());
        let rings = self.ringing.values().flat_map(|ringing| ringing.legs.iter().copied());
        let gone: Vec<LegHandle> = known.chain(rings).filter(|leg| !live.contains(leg)).collect();
        for leg in gone {
            self.ended(leg).await;
        }
    }

    fn answer(&mut self, ask: Ask) {
        // Whoever asked may have gone.
        match ask {
            Ask::Queues(answer) => {
                let names: Vec<String> = self.desk.queues().map(str::to_owned).collect();
                let view = |name: &String| {
                    let view = self.desk.queue(name)?;
                    Some(
                        json!({ "name": name, "waiting": view.callers.len(), "available": view.available,
                        "average_wait_s": view.average_wait.as_secs_f64() }),
                    )
                };
                let queues: Vec<Value> = names.iter().filter_map(view).collect();
                answer.send(json!({ "queues": queues })).ok();
            }
            Ask::Callers(queue, answer) => {
                let view = self.desk.queue(&queue);
                let told = view.map(|view| {
                    let caller = |(at, id): (usize, &CallerId)| {
                        let caller = self.callers.get(id)?;
                        Some(
                            json!({ "position": at + 1, "call": caller.call, "leg": caller.leg, "from": caller.from,
                            "since": caller.since, "average_wait_s": view.average_wait.as_secs_f64() }),
                        )
                    };
                    let callers: Vec<Value> = view.callers.iter().enumerate().filter_map(caller).collect();
                    json!({ "callers": callers, "total": view.callers.len() })
                });
                answer.send(told).ok();
            }
            Ask::Agents(answer) => {
                let agent = |(name, state, skills): (&str, UserState, &BTreeSet<String>)| json!({ "name": name, "state": state.as_str(), "skills": skills });
                let agents: Vec<Value> = self.desk.users().map(agent).collect();
                answer.send(json!({ "agents": agents, "at": moment(time::now()) })).ok();
            }
            Ask::SetState(user, state, answer) => {
                answer.send(self.desk.set_state(now(), &user, state)).ok();
            }
        }
    }
}
