//! What the handlers share, and the task that follows the engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::Options;
use super::access::Access;
use super::desk::Desk;
use super::fault::Fault;
use super::people::{Directory, Extension};
use super::subscribe::{Subscriptions, Told};
use crate::api::{EngineHandle, Happened, Subscription, time, webhook};
use crate::engine::{Command, Reply};

/// The longest that an order may take: a party that never answers a re-INVITE is given up after 64*T1 (RFC 3261
/// §17.1.1.2), and a glare may come before that.
const PATIENCE: Duration = Duration::from_secs(45);
/// For an event whose cause has been carried out already.
pub(super) const SOON: Duration = Duration::from_secs(3);

pub(super) struct Shared {
    pub(super) edge: EngineHandle,
    pub(super) hooks: webhook::Client,
    pub(super) directory: Arc<Directory>,
    /// What clients reach us by, without a slash at its end.
    pub(super) base: String,
    server: String,
    access: Mutex<Access>,
    desk: Mutex<Desk>,
    subscriptions: Mutex<Subscriptions>,
    changed: watch::Sender<u64>,
}

// Every change under these locks is complete before the lock is given back.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(options: Options<'_>) -> Shared {
        let Options {
            section: config,
            domain,
            listens,
            salt,
            edge,
            hooks,
        } = options;
        let extension = |known: &crate::config::RingCentralExtension| Extension {
            id: known.id.clone(),
            number: known.number.clone(),
            user: known.user.clone(),
            name: known.name.clone(),
            admin: known.admin,
            flip: known.flip.clone(),
        };
        let directory = Arc::new(Directory {
            account: config.account.clone(),
            domain: domain.to_owned(),
            extensions: config.extensions.iter().map(extension).collect(),
        });
        let since = time::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let desk = Desk::new(Arc::clone(&directory), salt, since.as_secs() * 100_000);
        let notes = edge.notes().clone();
        Shared {
            edge,
            hooks,
            base: config.url.clone().unwrap_or_else(|| listens.to_owned()),
            server: format!("{domain}-{:08x}", salt),
            access: Mutex::new(Access::new(config, &notes)),
            desk: Mutex::new(desk),
            subscriptions: Mutex::new(Subscriptions::found(notes, &directory)),
            changed: watch::Sender::new(0),
            directory,
        }
    }

    pub(super) fn access(&self) -> MutexGuard<'_, Access> {
        locked(&self.access)
    }

    pub(super) fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        locked(&self.subscriptions)
    }

    /// Looks at the sessions, or changes them; what is to be told then is told before anything else can happen.
    pub(super) fn desk<T>(&self, look: impl FnOnce(&mut Desk) -> T) -> T {
        let mut desk = locked(&self.desk);
        desk.now = time::now();
        let seen = look(&mut desk);
        let notices = std::mem::take(&mut desk.out);
        if !notices.is_empty() {
            let told = Told {
                hooks: &self.hooks,
                directory: &self.directory,
                server: &self.server,
            };
            let mut subscriptions = self.subscriptions();
            for notice in &notices {
                subscriptions.deliver(notice, &told);
            }
        }
        seen
    }

    /// Carries out an order.
    pub(super) async fn order(&self, command: Command) -> Result<Reply, Fault> {
        let reply = tokio::time::timeout(PATIENCE, self.edge.command(command)).await;
        Ok(reply.map_err(|_| Fault::unavailable())??)
    }

    /// Waits until the sessions are as described, for events come a moment after the reply; says what was seen at last.
    pub(super) async fn until<T>(&self, patience: Duration, mut look: impl FnMut(&mut Desk) -> Option<T>) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                if let Some(seen) = self.desk(&mut look) {
                    return Some(seen);
                }
                changed.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, waiting).await.ok().flatten()
    }

    fn happened(&self, at: SystemTime, event: &crate::engine::Event) {
        self.desk(|desk| desk.follow(at, event));
        self.changed.send_modify(|count| *count += 1);
    }
}

/// Follows the engine as long as the process lives.
pub(super) async fn follow(shared: Arc<Shared>, mut events: Subscription) {
    shared.take_stock().await;
    loop {
        match events.next().await {
            Happened::Event(stamped) => {
                shared.happened(stamped.at, &stamped.event);
                super::conference::host(&shared, &stamped.event);
            }
            Happened::Missed { from, to } => {
                tracing::warn!(
                    from,
                    to,
                    "events were missed; sessions are taken from the calls that are up"
                );
                shared.take_stock().await;
            }
        }
    }
}

impl Shared {
    /// Sessions for the calls that are up, where none is known; those whose calls have gone are forgotten.
    async fn take_stock(&self) {
        if let Ok(Reply::Calls(calls)) = self.edge.command(Command::Calls).await {
            self.desk(|desk| desk.take_stock(&calls));
        }
    }
}
