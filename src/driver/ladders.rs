//! The book of ladders between the engine's thread, which writes it, and the API, which asks for a call's page.
//!
//! Filing a message is a look-up and a copy, less than handing it to another thread would cost; what takes longer
//! (reading messages, drawing) is the asker's, and happens while the book is free.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::engine::{CallHandle, Event};
use crate::observe::{Book, LadderLimits, LadderPage, Seen};

/// The ladders of the last calls. Copies are the same book.
#[derive(Clone, Debug)]
pub struct Ladders(Arc<Mutex<Book>>);

impl Ladders {
    pub(super) fn new(limits: LadderLimits) -> Ladders {
        Ladders(Arc::new(Mutex::new(Book::new(limits))))
    }

    /// The ladder of a call, also for a while after its end; `None`: it is not remembered.
    pub fn page(&self, call: CallHandle) -> Option<LadderPage> {
        let excerpt = self.lock().excerpt(call)?;
        Some(excerpt.page())
    }

    pub(super) fn message(&self, seen: &Seen<'_>) {
        self.lock().message(seen);
    }

    pub(super) fn event(&self, at: Instant, event: &Event) {
        self.lock().event(at, event);
    }

    // A reader changes nothing, and every entry is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
