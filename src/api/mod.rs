//! Ways into a running edge: dialects over one [`Command`](crate::engine::Command) and [`Event`](crate::engine::Event)
//! vocabulary.
//!
//! Owns: the handle that orders travel by, the numbered event log, the HTTP dialects (`native/` in this version), and the
//! softphone page, and the client by which applications are told and asked (`webhook/`).
//!
//! Refuses: call logic (the engine's), sockets (the driver binds them), and to know who carries the orders.
//!
//! RFC sections: 9110 (HTTP), 9457 (problems), 6750 (bearer tokens), 3339 (times).
//!
//! ```
//! use std::sync::Arc;
//! use warmline::api::{EngineHandle, EventLog};
//!
//! let (handle, orders) = EngineHandle::new(Arc::new(EventLog::new()));
//! drop(orders); // nobody carries orders out
//! let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! assert!(runtime.block_on(handle.command(warmline::engine::Command::Calls)).is_err());
//! ```

#[doc(hidden)]
pub mod answers;
pub mod audit;
pub mod bot;
mod events;
mod follow;
mod handle;
pub mod native;
mod notes;
pub mod queue;
pub mod ringcentral;
pub mod softphone;
mod sounds;
mod time;
pub mod twilio;
pub mod webhook;

pub use events::{EventLog, Happened, KEPT, Stamped, Subscription};
pub use handle::{CommandError, EngineHandle, Order};
pub use notes::{NoteChange, Notes};
pub use sounds::{KEPT_SECONDS, MOST_OCTETS, SoundError, SoundOrder, SoundSource, Sounds};
pub use time::{moment, rfc3339, rfc3339_now};
