//! The only place of the driver that reads clocks and dice.

use std::time::{Instant, SystemTime};

/// The moment that the engine is told.
#[expect(clippy::disallowed_methods, reason = "the driver gives the engine its time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day that events are stamped with.
#[expect(clippy::disallowed_methods, reason = "the driver dates the engine's events")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Sixteen octets that nobody can guess.
pub(crate) fn random() -> std::io::Result<[u8; 16]> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(std::io::Error::other)?;
    Ok(octets)
}
