//! Queues: who waits, who serves, and who gets whom.
//!
//! Owns: the matching ([`desk::Desk`]), pure and usable by every dialect, and the task that serves the callers of `[[queue]]`
//! by it: they wait with music in hubs of their own, a user is rung into the hub, hears the whisper alone, and talks.
//!
//! Refuses: call logic; everything is a [`Command`](crate::engine::Command).
//!
//! ```
//! use std::collections::BTreeSet;
//! use std::time::Instant;
//! use warmline::api::queue::desk::{Action, Desk, Rules, UserState};
//!
//! let (mut desk, now) = (Desk::default(), Instant::now());
//! desk.set_queue(now, "sales", Rules::default());
//! desk.set_user(now, "ann", BTreeSet::new());
//! desk.set_state(now, "ann", UserState::Available);
//! desk.enqueue(now, "sales", 1, 0).unwrap();
//! assert!(matches!(desk.poll_action(), Some(Action::Offer { caller: 1, .. })));
//! ```

pub mod desk;
mod run;

pub use run::{Handle, start};
