//! leg

mod handle;
pub use handle::{BadHandle, CallHandle, LegHandle, LegOwner, TransferHandle};
