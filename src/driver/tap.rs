//! A copy of every message on its way, for ladders and for looking on.

use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::observe::Way;
use crate::transport::Flow;

/// One message as it passed.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// When.
    pub at: Instant,
    /// To or from the edge.
    pub way: Way,
    /// Where from, or where to.
    pub flow: Flow,
    /// The whole message.
    pub bytes: Bytes,
}

/// Where the copies go. Whoever holds the other end reads on, or drops it: what is not read is kept.
pub type Tap = mpsc::UnboundedSender<Tapped>;
