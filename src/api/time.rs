//! Wall-clock time as text.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::vocabulary::Moment;

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "the API dates what happens in it")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The moment of the calendar. Times before 1970 are shown as 1970.
pub fn moment(at: SystemTime) -> Moment {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The time of day as RFC 3339.
pub fn rfc3339_now() -> String {
    rfc3339(now())
}

/// RFC 3339 in UTC with milliseconds: `2026-11-20T10:33:34.120Z`. Times before 1970 are shown as 1970.
pub fn rfc3339(at: SystemTime) -> String {
    moment(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_before_1970_is_no_panic() {
        assert_eq!(
            rfc3339(UNIX_EPOCH + Duration::from_millis(7)),
            "1970-01-01T00:00:00.007Z"
        );
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(9)), "1970-01-01T00:00:00.000Z");
    }
}
