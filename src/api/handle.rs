//! The handle by which everything outside the engine's thread gives orders.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::events::{EventLog, Subscription};
use super::notes::Notes;
use super::sounds::Sounds;
use crate::engine::{Command, Event, Refusal, Reply};

/// How many orders may wait; more callers wait for their turn.
const WAITING: usize = 1_024;

/// An order on its way to the engine, with the place where its answer is wanted.
#[derive(Debug)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Where the answer goes; the asker may have gone.
    pub answer: oneshot::Sender<Result<Reply, Refusal>>,
}

/// Why an order brought no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The engine said no, and why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The engine has stopped.
    #[error("the edge is shutting down")]
    Stopped,
}

/// Gives orders to a running engine and reads what happens in it. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    orders: mpsc::Sender<Order>,
    events: Arc<EventLog>,
    sounds: Sounds,
    notes: Notes,
}

impl EngineHandle {
    /// A handle, and the end at which the engine's owner receives the orders.
    pub fn new(events: Arc<EventLog>) -> (EngineHandle, mpsc::Receiver<Order>) {
        let (orders, receiver) = mpsc::channel(WAITING);
        // Until somebody makes sounds, there are none.
        let (sounds, _) = Sounds::new();
        let handle = EngineHandle {
            orders,
            events,
            sounds,
            notes: Notes::default(),
        };
        (handle, receiver)
    }

    /// The same with sounds that somebody makes.
    pub fn with_sounds(self, sounds: Sounds) -> EngineHandle {
        EngineHandle { sounds, ..self }
    }

    /// The same with something that outlives the process.
    pub fn with_notes(self, notes: Notes) -> EngineHandle {
        EngineHandle { notes, ..self }
    }

    /// What of the API outlives the process.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Adds sounds that may be played.
    pub fn sounds(&self) -> &Sounds {
        &self.sounds
    }

    /// Carries out one command and waits for what came of it. Some wait for a party's answer (hold, resume).
    pub async fn command(&self, command: Command) -> Result<Reply, CommandError> {
        let (answer, reply) = oneshot::channel();
        self.orders
            .send(Order { command, answer })
            .await
            .map_err(|_| CommandError::Stopped)?;
        reply
            .await
            .map_err(|_| CommandError::Stopped)?
            .map_err(CommandError::Refused)
    }

    /// Shows every reader of events what happened outside of the engine.
    pub fn tell(&self, event: Event) {
        self.events.push(super::time::now(), event);
    }

    /// Where events are kept.
    pub fn log(&self) -> Arc<EventLog> {
        Arc::clone(&self.events)
    }

    /// Everything that happens from now on; or, with `after`, everything kept since that sequence number.
    pub fn events(&self, after: Option<u64>) -> Subscription {
        EventLog::subscribe(&self.events, after)
    }
}
