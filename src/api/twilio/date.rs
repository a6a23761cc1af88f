//! Dates as this API writes them: RFC 2822 here, ISO 8601 for TaskRouter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::api::time::rfc3339;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `Tue, 31 Aug 2010 20:36:28 +0000`.
pub(super) fn rfc2822(at: SystemTime) -> String {
    let text = rfc3339(at);
    let part = |range| text.get(range).unwrap_or_default();
    let days = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    let name = |names: &[&'static str], at: u64| {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        names.get(at).copied().unwrap_or_default()
    };
    let month = part(5..7).parse::<u64>().unwrap_or(1);
    format!(
        "{}, {} {} {} {} +0000",
        name(&DAYS, days % 7),
        part(8..10),
        name(&MONTHS, month - 1),
        part(0..4),
        part(11..19)
    )
}

/// `2026-11-20T10:33:34Z`.
pub(super) fn iso8601(at: SystemTime) -> String {
    let text = rfc3339(at);
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

/// The day of `2026-11-20` or of a longer ISO 8601 time, as seconds since 1970 of its beginning.
pub(super) fn day(text: &str) -> Option<u64> {
    let date = text.get(..10)?;
    let mut parts = date.splitn(3, '-');
    let mut next = || parts.next()?.parse::<u64>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    // Years begin in March, so that the leap day is a year's last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let second = days.checked_sub(719_469)?.checked_mul(86_400)?;
    // The calendar has the last word: a day that it does not know comes out as another one.
    let known = rfc3339(UNIX_EPOCH.checked_add(Duration::from_secs(second))?).starts_with(date);
    known.then_some(second)
}

/// Whole seconds between two times, none if they are the wrong way round.
pub(super) fn seconds(from: SystemTime, to: SystemTime) -> u64 {
    to.duration_since(from)
        .map_or(0, |span| (span + Duration::from_millis(500)).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_reference_writes_it() {
        let at = UNIX_EPOCH + Duration::from_secs(1_283_286_988);
        assert_eq!(rfc2822(at), "Tue, 31 Aug 2010 20:36:28 +0000");
        assert_eq!(iso8601(at), "2010-08-31T20:36:28Z");
        assert_eq!(day("2010-08-31"), Some(1_283_212_800));
        assert_eq!(day("2010-08-31T20:36:28Z"), Some(1_283_212_800));
        assert_eq!(day("2024-02-29"), Some(1_709_164_800));
        for bad in ["2010-02-30", "yesterday", "", "2010-13-01", "1969-01-01", "9999999999"] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }
}
