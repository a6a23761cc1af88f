//! Dialogs (RFC 3261 §12): identifiers, sequence, route set, and the table that finds them.
//!
//! | file | what |
//! |---|---|
//! | [`seal`] | the local tag that names its own slot and cannot be forged |
//! | [`table`] | the dialogs that the edge owns, found without a hash |

pub mod seal;
pub mod table;

pub use seal::{Opened, Seal, TAG_LEN, Tag, TagParts};
pub use table::{BATCH, DialogHandle, MAX_FORKS, Match, Query, Table};
