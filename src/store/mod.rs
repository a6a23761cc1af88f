//! What must outlive a process.
//!
//! Owns: the form in which it is kept, the back ends ([`Memory`] for tests, [`Embedded`] in one file), and the thread
//! that writes, so that nothing in the engine's thread ever waits for a disk.
//!
//! Refuses: to know what a binding means. The engine says what is to be kept ([`Output::Store`]) and takes it back
//! ([`Input::Restored`]).
//!
//! | kept | for |
//! |---|---|
//! | the sealing key and the node's number | dialog tags, flow tokens in Path and Record-Route |
//! | the registrar's bindings, by user | phones are reachable again without registering again |
//! | confirmed legs, connected calls | parties can hang up, hold and transfer as if nothing had been |
//! | transfers in flight | each is finished or taken back, exactly one of the two |
//!
//! A change is noted in a journal before the messages of the same moment leave, which takes some microseconds and no disk:
//! the kernel has it when the process dies. A thread brings it into the tables and onto the disk; what it has not yet, a
//! machine that dies may lose. A phone refreshes its binding in time; a leg's sequence goes on further than what can be
//! lost (`leg::kept`). With `durability = "confirmed"` messages wait until the disk has it.
//!
//! ```
//! use warmline::store::{Identity, Memory, Store};
//!
//! let mut store = Memory::default();
//! let first = store.identity(Identity { key: [7; 16], node: 0 }).unwrap();
//! // Whoever comes later gets the key that is there.
//! assert_eq!(store.identity(Identity { key: [8; 16], node: 0 }).unwrap(), first);
//! ```
//!
//! [`Output::Store`]: crate::engine::Output::Store
//! [`Input::Restored`]: crate::engine::Input::Restored

mod audit;
mod embedded;
mod hex;
mod journal;
mod key;
mod memory;
mod redis;
mod writer;

pub use audit::{Audit, AuditError, Broken, Chain};
pub use embedded::Embedded;
pub use journal::Journal;
pub use key::{Row, rows};
pub use memory::Memory;
pub use redis::{News, Redis};
pub use writer::{Told, Writer, Written};

pub use crate::engine::Stored;
pub use crate::registrar::{StoredBinding, StoredUser};

/// Who the edge is, over restarts.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Seals dialog tags and flow tokens.
    pub key: [u8; 16],
    /// This node's number in the cluster.
    pub node: u16,
}

impl std::fmt::Debug for Identity {
    /// The key stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// Why the store does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file, or the disk below it.
    #[error("store {path}: {why}")]
    Broken {
        /// Which file.
        path: String,
        /// What the system or the database says.
        why: String,
    },
    /// Another process has it.
    #[error("store {path}: another process has it open")]
    Busy {
        /// Which file.
        path: String,
    },
    /// It was written by a version that knows more.
    #[error("store {path}: its format is {found}, and this version reads format {known}")]
    Newer {
        /// Which file.
        path: String,
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// It belongs to another node of the cluster.
    #[error("the store belongs to node {found}, and this is node {wanted}")]
    OtherNode {
        /// In the store.
        found: u16,
        /// In the configuration.
        wanted: u16,
    },
    /// The server does not do what it is asked: it is gone, slow, full, or may only be read.
    #[error("store {place}: {why}")]
    Unreachable {
        /// Which server.
        place: String,
        /// What it or the system says.
        why: String,
    },
    /// Another process has taken the node over: nothing was written.
    #[error("node {node} is not this process's any more (token {stands:?})")]
    Fenced {
        /// The node.
        node: u16,
        /// The token that stands there; `None`: none, the store has forgotten the node.
        stands: Option<u64>,
    },
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            StoreError::Broken { .. } => {
                "give a path that this user can write, on a disk with room; a broken file may be moved away: phones \
                 then register again"
            }
            StoreError::Busy { .. } => "stop the other warmline, or give this one a [store] path of its own",
            StoreError::Newer { .. } => "start the newer version, or move the file away",
            StoreError::OtherNode { .. } => {
                "each node has a file of its own: give another [store] path, or set [edge] node"
            }
            StoreError::Unreachable { .. } => {
                "see that the server of [store] url runs, has room, is no replica, and takes the password"
            }
            StoreError::Fenced { .. } => "nothing: the other process goes on with the calls of that node",
        }
    }
}

/// A place that outlives the process.
pub trait Store: Send + std::fmt::Debug {
    /// The identity that is kept; on first use `fresh` is kept and given back.
    ///
    /// # Errors
    /// When the store cannot be used, or belongs to another node.
    fn identity(&mut self, fresh: Identity) -> Result<Identity, StoreError>;

    /// Everything that is kept. What cannot be read is left out, and told in the log.
    ///
    /// # Errors
    /// When the store cannot be used.
    fn records(&mut self) -> Result<Vec<Stored>, StoreError>;

    /// Keeps all of these or none, in this order, each in place of what was kept of the same. May wait for a disk.
    ///
    /// # Errors
    /// When the store cannot be used; nothing was changed.
    fn keep(&mut self, rows: &[Row]) -> Result<(), StoreError>;

    /// Where changes are noted at once, until [`Store::keep`] has them; `None`: nowhere. Asked once.
    ///
    /// # Errors
    /// When it cannot be made.
    fn journal(&mut self) -> Result<Option<Journal>, StoreError> {
        Ok(None)
    }
}

/// The node of an identity that was found must be the one that is wanted.
fn same_node(found: Identity, wanted: &Identity) -> Result<Identity, StoreError> {
    if found.node == wanted.node {
        Ok(found)
    } else {
        Err(StoreError::OtherNode {
            found: found.node,
            wanted: wanted.node,
        })
    }
}

#[cfg(test)]
mod tests;
