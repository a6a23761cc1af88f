//! What is told about a running edge: metrics, message ladders, and the redaction of what logs may not show.
//!
//! Owns: counters and their Prometheus text, event names, [`Redact`], the ladder's layout.
//!
//! Refuses: sockets, files, clocks, and to decide anything: it is shown events and messages, and nobody waits for it.
//!
//! ```
//! use warmline::observe::Redact;
//!
//! assert_eq!(Redact("sip:+4930123456@example.test").to_string(), "sip:***56@example.test");
//! ```

mod book;
mod ladder;
mod log;
mod metrics;
mod names;
mod note;
mod records;
mod redact;

pub use book::{Book, Excerpt, LadderLimits, LadderLine, LadderPage, Seen};
pub use ladder::{Ladder, Style};
pub use log::log;
pub use metrics::{Metrics, Way};
pub use records::{
    Came, LegRecord, Living, Outcome, Record, RecordPage, Recording, Records, StoredRecord, TransferRecord, Went,
    find as find_record, page as page_of_records,
};
pub use redact::Redact;
