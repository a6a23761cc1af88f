//! A panic ends the work that caused it, and nothing else.
//!
//! No input is known that causes one; should there be one, it costs its own message and not everybody's calls. What was
//! changed half-way stays so: a leg may hang, and its timers end it. Each one is counted (`warmline_panics_total`) and
//! logged with its place by the standard hook, and is a defect to be reported.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::observe::Metrics;

/// Does the work; `None`: it panicked.
pub(super) fn isolated<T>(metrics: &Metrics, what: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Some(done),
        Err(_) => {
            metrics.panicked();
            tracing::error!(
                what,
                "a defect of warmline: the work at hand is lost, everything else goes on"
            );
            None
        }
    }
}
