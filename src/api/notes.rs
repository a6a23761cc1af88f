//! What the API and its dialects keep over a restart of the edge: tokens and subscriptions, each under a key of its own, as
//! JSON. It goes the way of everything that outlives the process, and waits for no disk.
//!
//! ```
//! use warmline::api::Notes;
//!
//! let (notes, mut changes) = Notes::new([("mine/a".to_owned(), "1".to_owned())].into());
//! assert_eq!(notes.under("mine/"), [("a".to_owned(), "1".to_owned())]);
//! notes.keep("mine/b".to_owned(), Some("2".to_owned()));
//! assert_eq!(changes.try_recv(), Ok(("mine/b".to_owned(), Some("2".to_owned()))));
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

/// A key, and what stands there from now on; `None`: nothing.
pub type NoteChange = (String, Option<String>);

/// What a process before this one kept, and the way to the store. Copies are the same thing.
#[derive(Clone, Default)]
pub struct Notes {
    found: Arc<BTreeMap<String, String>>,
    changes: Option<mpsc::UnboundedSender<NoteChange>>,
}

impl std::fmt::Debug for Notes {
    /// Tokens stay out of logs, were they only digests.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notes({})", self.found.len())
    }
}

impl Notes {
    /// With what was found, and the end at which changes come out. The default finds nothing and keeps nothing.
    pub fn new(found: BTreeMap<String, String>) -> (Notes, mpsc::UnboundedReceiver<NoteChange>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let notes = Notes {
            found: Arc::new(found),
            changes: Some(sender),
        };
        (notes, receiver)
    }

    /// What a process before this one kept under these keys, which are given without their common beginning.
    pub fn under(&self, beginning: &str) -> Vec<(String, String)> {
        let found = self.found.range(beginning.to_owned()..);
        let found = found.map_while(|(key, text)| Some((key.strip_prefix(beginning)?.to_owned(), text.clone())));
        found.collect()
    }

    /// Keeps this; `None`: forgets it.
    pub fn keep(&self, key: String, text: Option<String>) {
        if let Some(changes) = &self.changes {
            changes.send((key, text)).ok(); // an edge that has ended keeps nothing
        }
    }
}
