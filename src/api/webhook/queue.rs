//! Notifications: one after the other in each lane, again when they fail, and given up when it is enough.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{MOST_BODY, Sender, WebhookError, origin};
use crate::api::EngineHandle;
use crate::engine::Event;

/// Notifications that may wait in one lane.
const MOST_IN_LANE: usize = 256;
/// Notifications that may wait in all.
const MOST_WAITING: usize = 16_384;
/// Exchanges at the same time, over all lanes.
const MOST_AT_ONCE: usize = 64;

/// How a notification that nobody took is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Before the second try; doubled before each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Tries in all.
    pub tries: u32,
    /// What is older than this is not tried again.
    pub age: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
            tries: 6,
            age: Duration::from_secs(60),
        }
    }
}

struct Notification {
    request: Request<Bytes>,
    since: Instant,
}

#[derive(Default)]
struct Lanes {
    /// One that is there has a task that empties it.
    waiting: HashMap<String, VecDeque<Notification>>,
    total: usize,
}

/// All lanes.
pub(super) struct Queue {
    lanes: Mutex<Lanes>,
    at_once: Semaphore,
    retry: Retry,
    sender: Arc<Sender>,
    edge: EngineHandle,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(retry: Retry, sender: Arc<Sender>, edge: EngineHandle) -> Queue {
        Queue {
            lanes: Mutex::default(),
            at_once: Semaphore::new(MOST_AT_ONCE),
            retry,
            sender,
            edge,
        }
    }

    pub(super) fn push(queue: &Arc<Queue>, lane: &str, request: Request<Bytes>) -> bool {
        let mut lanes = queue.lock();
        let Lanes { waiting, total } = &mut *lanes;
        let known = waiting.get(lane).map_or(0, VecDeque::len);
        if *total >= MOST_WAITING || known >= MOST_IN_LANE {
            drop(lanes);
            queue.give_up(&request, "too many wait already", 0);
            return false;
        }
        *total += 1;
        let since = Instant::now();
        let notification = Notification { request, since };
        match waiting.entry(lane.to_owned()) {
            Entry::Occupied(mut entry) => entry.get_mut().push_back(notification),
            Entry::Vacant(entry) => {
                entry.insert(VecDeque::from([notification]));
                tokio::spawn(empty(Arc::clone(queue), lane.to_owned()));
            }
        }
        true
    }

    /// The next one of a lane; a lane in which nothing waits is gone.
    fn next(&self, lane: &str) -> Option<Notification> {
        let mut lanes = self.lock();
        let next = lanes.waiting.get_mut(lane).and_then(VecDeque::pop_front);
        match &next {
            Some(_) => lanes.total -= 1,
            None => drop(lanes.waiting.remove(lane)),
        }
        next
    }

    async fn deliver(&self, notification: Notification) {
        let Notification { request, since } = notification;
        let mut pause = self.retry.first;
        let mut tries = 0;
        loop {
            tries += 1;
            let failed = match self.once(request.clone()).await {
                Ok(()) => return,
                Err(failed) => failed,
            };
            let old = since.elapsed() + pause > self.retry.age;
            if !failed.again || old || tries >= self.retry.tries {
                return self.give_up(&request, &failed.why, tries);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.retry.longest);
        }
    }

    async fn once(&self, request: Request<Bytes>) -> Result<(), Failed> {
        // Never closed: a permit is only ever late.
        let _permit = self.at_once.acquire().await;
        match self.sender.send(request, MOST_BODY).await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Failed {
                again: answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS,
                why: format!("the answer was {}", answer.status().as_u16()),
            }),
            Err(error) => Err(Failed {
                again: may_pass(&error),
                why: error.to_string(),
            }),
        }
    }

    fn give_up(&self, request: &Request<Bytes>, why: &str, tries: u32) {
        let to = origin(request.uri());
        tracing::warn!(to, why, tries, "a webhook was given up");
        self.edge.tell(Event::WebhookFailed {
            to,
            why: why.to_owned(),
            tries,
        });
    }

    // Every change is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn empty(queue: Arc<Queue>, lane: String) {
    while let Some(notification) = queue.next(&lane) {
        queue.deliver(notification).await;
    }
}

struct Failed {
    again: bool,
    why: String,
}

/// Whether another try may bring something else.
fn may_pass(error: &WebhookError) -> bool {
    match error {
        WebhookError::NotFound | WebhookError::Connection(_) | WebhookError::Late(_) => true,
        WebhookError::BadUrl
        | WebhookError::Forbidden { .. }
        | WebhookError::Tls(_)
        | WebhookError::TooLong
        | WebhookError::Redirected { .. } => false,
    }
}
