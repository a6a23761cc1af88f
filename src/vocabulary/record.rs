//! Which call records are asked for.

use super::{CallHandle, Moment};

/// Which call records are asked for; the newest come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Only those with this party: its whole address (`sip:bob@example.test`), or its user part alone.
    pub party: Option<String>,
    /// Only that of this call.
    pub call: Option<CallHandle>,
    /// Only those that began then or later.
    pub since: Option<Moment>,
    /// Only those that began before.
    pub until: Option<Moment>,
    /// Only complete ones, or only those of calls that are up.
    pub ended: Option<bool>,
    /// Only those behind the one with this id: the next page.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}
