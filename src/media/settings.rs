//! How the packet half behaves.

use std::time::{Duration, Instant};

/// Times of the packet half.
#[derive(Clone, Copy, Debug)]
pub struct MediaSettings {
    /// From when on time is counted in reports.
    pub began: Instant,
    /// How long nothing may come from a party that may send until [`MediaEvent::Silent`](super::MediaEvent::Silent).
    pub silence: Duration,
    /// Between two RTCP reports (RFC 3550 §6.2: 5 s); quality is told with every second one.
    pub report: Duration,
}

impl MediaSettings {
    /// Silence is told after 30 s, reports go every 5 s.
    pub fn new(began: Instant) -> MediaSettings {
        MediaSettings {
            began,
            silence: Duration::from_secs(30),
            report: Duration::from_secs(5),
        }
    }
}
