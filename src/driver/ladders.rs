//! The thread that keeps ladders, so that the engine's thread only hands copies over. One that is behind misses some.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::tap::Tapped;
use crate::engine::{CallHandle, Event};
use crate::observe::{Book, LadderLimits, LadderPage};

/// Copies that may wait; more are left out.
const QUEUE: usize = 8_192;

/// What is written into the book.
pub(super) enum Seen {
    Message(Tapped),
    Event(Instant, Event),
}

/// The ladders of the last calls. Copies are the same book.
#[derive(Clone, Debug)]
pub struct Ladders(Arc<Mutex<Book>>);

impl Ladders {
    /// The ladder of a call, also for a while after its end; `None`: it is not remembered.
    pub fn page(&self, call: CallHandle) -> Option<LadderPage> {
        self.lock().page(call)
    }

    // A reader changes nothing, and every entry is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the engine's thread hands its copies over. The thread behind it ends with it.
#[derive(Clone)]
pub(super) struct Recorder(SyncSender<Seen>);

impl Recorder {
    pub(super) fn start(limits: LadderLimits) -> std::io::Result<(Ladders, Recorder)> {
        let ladders = Ladders(Arc::new(Mutex::new(Book::new(limits))));
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let written = ladders.clone();
        std::thread::Builder::new()
            .name("warmline-ladder".to_owned())
            .spawn(move || write(&written, &receiver))?;
        Ok((ladders, Recorder(sender)))
    }

    pub(super) fn see(&self, seen: Seen) {
        self.0.try_send(seen).ok(); // a ladder with a gap is better than a call that waits
    }
}

fn write(ladders: &Ladders, receiver: &Receiver<Seen>) {
    while let Ok(first) = receiver.recv() {
        let mut book = ladders.lock();
        for seen in std::iter::once(first).chain(receiver.try_iter().take(64)) {
            match seen {
                Seen::Message(Tapped { at, way, flow, bytes }) => book.message(at, way, flow.remote, &bytes),
                Seen::Event(at, event) => book.event(at, &event),
            }
        }
    }
}
