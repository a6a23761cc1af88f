//! leg

pub use crate::vocabulary::{BadHandle, CallHandle, LegHandle, LegOwner, TransferHandle};
