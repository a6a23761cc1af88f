//! Dialogs (RFC 3261 §12): identifiers, sequence, route set, and the table that finds them.
//!
//! | file | what |
//! |---|---|
//! | [`seal`] | the local tag that names its own slot and cannot be forged |
//! | [`table`] | the dialogs that the edge owns, found without a hash |
//! | [`id`] | Call-ID and two tags, and the one place where sides are swapped |
//! | [`dialog`](Dialog) | parties, remote target, sequences; every request within a dialog |
//! | [`route`] | the route set |
//! | [`proxied`] | dialogs that the edge only proxies, found by hash |

#[expect(
    clippy::module_inception,
    reason = "the file of RFC 3261 §12's dialog is called dialog"
)]
mod dialog;
pub mod id;
pub mod proxied;
pub mod route;
pub mod seal;
pub mod table;

pub use dialog::{Dialog, DialogError, Role, refreshes_target};
pub use id::DialogId;
pub use proxied::Proxied;
pub use route::RouteSet;
pub use seal::{Opened, Seal, TAG_LEN, Tag, TagParts};
pub use table::{BATCH, DialogHandle, MAX_FORKS, Match, Query, Table};
