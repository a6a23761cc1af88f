//! Who gets which caller: states of users, skills, order, reservations. Pure: time is an argument, and nobody is called.
//!
//! | what happens | what follows |
//! |---|---|
//! | a caller comes, or a user becomes available | the first caller for whom somebody is there is reserved for whom is idle longest |
//! | the user answers | it is busy, the caller has left the queue |
//! | the user declines, or the reservation's time is over | it waits behind all other users, the caller is offered to the next one |
//! | all who are there have been asked, or nobody is signed in | the caller overflows |
//! | the caller has waited long enough, or hangs up | the reservation is taken back |
//! | the user's call ends | wrap-up, then available |

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Waiting times of which the average is taken.
const REMEMBERED: usize = 50;

/// Names a caller; chosen by whoever enqueues it.
pub type CallerId = u64;
/// Names one offer of one caller to one user.
pub type ReservationId = u64;

/// Who is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Who came first.
    #[default]
    Fifo,
    /// Who came last.
    Lifo,
}

/// What holds for one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Who serves it; empty: everybody who has the skills.
    pub users: BTreeSet<String>,
    /// All of these must be a user's.
    pub skills: BTreeSet<String>,
    /// Among callers of the same priority.
    pub order: Order,
    /// How long a user may take to answer.
    pub ring: Duration,
    /// How long a caller waits at most; `None`: for ever.
    pub total: Option<Duration>,
    /// Callers at most.
    pub most: usize,
    /// What follows a user's call before the next one.
    pub wrap_up: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            users: BTreeSet::new(),
            skills: BTreeSet::new(),
            order: Order::Fifo,
            ring: Duration::from_secs(20),
            total: None,
            most: 1_000,
            wrap_up: Duration::ZERO,
        }
    }
}

/// What a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// Takes no calls.
    Away,
    /// Takes the next one.
    Available,
    /// Is offered one.
    Reserved,
    /// Talks.
    Busy,
    /// Has talked, and is not ready yet.
    WrapUp {
        /// When it is.
        until: Instant,
    },
}

impl UserState {
    /// As clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            UserState::Away => "away",
            UserState::Available => "available",
            UserState::Reserved => "reserved",
            UserState::Busy => "busy",
            UserState::WrapUp { .. } => "wrap_up",
        }
    }
}

/// Why a caller left a queue without a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It waited as long as it may.
    Waited,
    /// Nobody who could serve it is signed in, or all have been asked.
    Nobody,
}

/// What somebody must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ring the user for the caller.
    Offer {
        /// This offer.
        reservation: ReservationId,
        /// Of whom.
        caller: CallerId,
        /// To whom.
        user: String,
    },
    /// Stop ringing: the caller has gone, or the time is over.
    Withdraw {
        /// That offer.
        reservation: ReservationId,
    },
    /// The caller is no longer in its queue, and nobody took it.
    Overflow {
        /// Who.
        caller: CallerId,
        /// Why.
        why: Overflow,
    },
    /// The caller's place is another one.
    Position {
        /// Who.
        caller: CallerId,
        /// 1: the next.
        position: usize,
    },
}

/// Why somebody cannot be enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEnqueued {
    /// No queue of that name.
    #[error("there is no such queue")]
    NoQueue,
    /// As many wait as may.
    #[error("the queue is full")]
    Full,
    /// It waits already.
    #[error("the caller waits already")]
    Twice,
}

#[derive(Clone, Debug)]
struct User {
    skills: BTreeSet<String>,
    state: UserState,
    /// Since when it has done nothing; who has declined begins anew.
    idle: Instant,
}

#[derive(Clone, Debug)]
struct Waiting {
    queue: String,
    priority: i64,
    since: Instant,
    order: u64,
    until: Option<Instant>,
    asked: BTreeSet<String>,
    offered: Option<ReservationId>,
    position: usize,
}

#[derive(Clone, Debug)]
struct Reservation {
    caller: CallerId,
    user: String,
    until: Instant,
}

#[derive(Clone, Debug)]
struct Queue {
    rules: Rules,
    waited: VecDeque<Duration>,
}

/// A queue as an observer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// In the order in which they will be served.
    pub callers: Vec<CallerId>,
    /// Mean of the last ones that were answered.
    pub average_wait: Duration,
    /// Users who could serve it and are available.
    pub available: usize,
}

/// All queues and all users of a site.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    queues: BTreeMap<String, Queue>,
    users: BTreeMap<String, User>,
    callers: BTreeMap<CallerId, Waiting>,
    reservations: BTreeMap<ReservationId, Reservation>,
    /// In which queue a user's caller was.
    serving: BTreeMap<String, String>,
    next: u64,
    actions: VecDeque<Action>,
}

impl Desk {
    /// Adds a queue, or gives it other rules.
    pub fn set_queue(&mut self, now: Instant, name: &str, rules: Rules) {
        let waited = self.queues.remove(name).map(|queue| queue.waited).unwrap_or_default();
        self.queues.insert(name.to_owned(), Queue { rules, waited });
        self.settle(now);
    }

    /// Adds a user, who is away until it says otherwise, or gives it other skills.
    pub fn set_user(&mut self, now: Instant, name: &str, skills: BTreeSet<String>) {
        let state = self.users.get(name).map_or(UserState::Away, |user| user.state);
        let idle = self.users.get(name).map_or(now, |user| user.idle);
        self.users.insert(name.to_owned(), User { skills, state, idle });
        self.settle(now);
    }

    /// What a user does.
    pub fn user(&self, name: &str) -> Option<UserState> {
        self.users.get(name).map(|user| user.state)
    }

    /// Every user, with what it does and can.
    pub fn users(&self) -> impl Iterator<Item = (&str, UserState, &BTreeSet<String>)> {
        self.users
            .iter()
            .map(|(name, user)| (name.as_str(), user.state, &user.skills))
    }

    /// A user says what it does: `false`, when there is none of that name. One that is offered a caller declines by it.
    pub fn set_state(&mut self, now: Instant, name: &str, state: UserState) -> bool {
        let Some(user) = self.users.get_mut(name) else {
            return false;
        };
        if user.state != UserState::Available && state == UserState::Available {
            user.idle = now;
        }
        user.state = state;
        let offered = self
            .reservations
            .iter()
            .find(|(_, reservation)| reservation.user == name);
        if let Some(id) = offered.map(|(id, _)| *id).filter(|_| state != UserState::Reserved) {
            self.take_back(id);
        }
        self.settle(now);
        true
    }

    /// A caller comes.
    ///
    /// # Errors
    /// When it cannot wait there.
    pub fn enqueue(&mut self, now: Instant, queue: &str, caller: CallerId, priority: i64) -> Result<(), NotEnqueued> {
        let rules = &self.queues.get(queue).ok_or(NotEnqueued::NoQueue)?.rules;
        if self.callers.contains_key(&caller) {
            return Err(NotEnqueued::Twice);
        }
        if self.callers.values().filter(|waiting| waiting.queue == queue).count() >= rules.most {
            return Err(NotEnqueued::Full);
        }
        self.next += 1;
        let waiting = Waiting {
            queue: queue.to_owned(),
            priority,
            since: now,
            order: self.next,
            until: rules.total.map(|total| now + total),
            asked: BTreeSet::new(),
            offered: None,
            position: 0,
        };
        self.callers.insert(caller, waiting);
        self.settle(now);
        Ok(())
    }

    /// A caller has hung up, or is wanted elsewhere.
    pub fn leave(&mut self, now: Instant, caller: CallerId) {
        let Some(waiting) = self.callers.remove(&caller) else {
            return;
        };
        if let Some(id) = waiting.offered {
            self.withdraw(now, id);
        }
        self.settle(now);
    }

    /// The user has answered: it talks with the caller, who waits no more. Says who; `None`: the offer was taken back.
    pub fn accept(&mut self, now: Instant, reservation: ReservationId) -> Option<CallerId> {
        let Reservation { caller, user, .. } = self.reservations.remove(&reservation)?;
        let waiting = self.callers.remove(&caller)?;
        if let Some(known) = self.users.get_mut(&user) {
            known.state = UserState::Busy;
        }
        if let Some(queue) = self.queues.get_mut(&waiting.queue) {
            queue.waited.push_back(now.saturating_duration_since(waiting.since));
            while queue.waited.len() > REMEMBERED {
                queue.waited.pop_front();
            }
        }
        self.serving.insert(user, waiting.queue);
        self.settle(now);
        Some(caller)
    }

    /// The user declines, or cannot be reached: the caller is offered to the next one.
    pub fn decline(&mut self, now: Instant, reservation: ReservationId) {
        self.refused(now, reservation);
        self.settle(now);
    }

    /// The user's call has ended: it wraps up, and is available then.
    pub fn done(&mut self, now: Instant, user: &str) {
        let queue = self.serving.remove(user);
        let wrap_up = queue
            .and_then(|queue| Some(self.queues.get(&queue)?.rules.wrap_up))
            .unwrap_or_default();
        if let Some(known) = self.users.get_mut(user)
            && known.state == UserState::Busy
        {
            known.idle = now;
            known.state = match wrap_up.is_zero() {
                true => UserState::Available,
                false => UserState::WrapUp { until: now + wrap_up },
            };
        }
        self.settle(now);
    }

    /// When [`Desk::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let offers = self.reservations.values().map(|reservation| reservation.until);
        let waits = self.callers.values().filter_map(|waiting| waiting.until);
        let wraps = self.users.values().filter_map(|user| match user.state {
            UserState::WrapUp { until } => Some(until),
            UserState::Away | UserState::Available | UserState::Reserved | UserState::Busy => None,
        });
        offers.chain(waits).chain(wraps).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late: Vec<_> = self
            .reservations
            .iter()
            .filter(|(_, offer)| offer.until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.refused(now, id);
            self.actions.push_back(Action::Withdraw { reservation: id });
        }
        for user in self.users.values_mut() {
            if let UserState::WrapUp { until } = user.state
                && until <= now
            {
                (user.state, user.idle) = (UserState::Available, until);
            }
        }
        let waited: Vec<_> = self
            .callers
            .iter()
            .filter(|(_, waiting)| waiting.until.is_some_and(|until| until <= now))
            .map(|(id, _)| *id)
            .collect();
        for caller in waited {
            self.overflow(now, caller, Overflow::Waited);
        }
        self.settle(now);
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How a queue stands.
    pub fn queue(&self, name: &str) -> Option<QueueView> {
        let queue = self.queues.get(name)?;
        let all: Duration = queue.waited.iter().sum();
        let count = u32::try_from(queue.waited.len()).unwrap_or(u32::MAX);
        let serves =
            |(name, user): &(&String, &User)| user.state == UserState::Available && serves(&queue.rules, name, user);
        Some(QueueView {
            callers: self.in_order(name),
            average_wait: all.checked_div(count).unwrap_or_default(),
            available: self.users.iter().filter(serves).count(),
        })
    }

    /// A caller's queue, its place there, and since when it waits.
    pub fn caller(&self, caller: CallerId) -> Option<(&str, usize, Instant)> {
        let waiting = self.callers.get(&caller)?;
        Some((&waiting.queue, waiting.position, waiting.since))
    }

    /// The names of all queues.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.queues.keys().map(String::as_str)
    }
}

mod matching;
use matching::serves;

#[cfg(test)]
mod tests;
