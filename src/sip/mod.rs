//! sip

mod capabilities;
pub use capabilities::{ACCEPT, ALLOW, SUPPORTED, is_allowed, unsupported, unsupported_by_proxy};
