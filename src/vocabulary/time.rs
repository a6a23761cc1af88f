//! A moment of the calendar, as records and events show it. Whoever reads the clock makes one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01 in UTC; printed and read as RFC 3339: `2026-11-20T10:33:34.120Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1_000, self.0 % 1_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no time as RFC 3339 has it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no RFC 3339 time in UTC; it looks like 2026-11-20T10:33:34Z")]
pub struct BadMoment;

impl FromStr for Moment {
    type Err = BadMoment;

    fn from_str(text: &str) -> Result<Moment, BadMoment> {
        let text = text.strip_suffix(['Z', 'z']).ok_or(BadMoment)?;
        let (date, time) = text.split_once(['T', 't']).ok_or(BadMoment)?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [year, month, day] = three(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = three(time, ':', [2, 2, 2])?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return Err(BadMoment);
        }
        if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(BadMoment);
        }
        let millis: String = fraction.chars().chain("00".chars()).take(3).collect();
        let millis: u64 = millis.parse().map_err(|_| BadMoment)?;
        let days = day_number(year, month, day).ok_or(BadMoment)?;
        Ok(Moment(
            ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millis,
        ))
    }
}

fn three(text: &str, between: char, widths: [usize; 3]) -> Result<[u64; 3], BadMoment> {
    let mut numbers = [0; 3];
    let mut parts = text.split(between);
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width).ok_or(BadMoment)?;
        if !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(BadMoment);
        }
        *number = part.parse().map_err(|_| BadMoment)?;
    }
    if parts.next().is_some() {
        return Err(BadMoment);
    }
    Ok(numbers)
}

/// The Gregorian date of a day counted from 1970-01-01. Years begin in March, so that the leap day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The reverse of [`civil`]; `None` before 1970.
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year.checked_sub(u64::from(month <= 2))?;
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + of_year;
    (year / 400 * 146_097 + of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar_both_ways() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_007, "2000-02-29T12:34:56.007Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Moment(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Moment(millis)));
        }
        assert_eq!("2026-11-20T10:33:34.5Z".parse(), Ok(Moment(1_795_170_814_500)));
    }

    #[test]
    fn what_is_no_time_is_said_to_be_none() {
        for text in [
            "",
            "Z",
            "2026-11-20",
            "2026-11-20T10:33:34",
            "2026-13-20T10:33:34Z",
            "2026-11-20T24:33:34Z",
            "2026-11-20T10:33:34.Z",
            "0000-01-01T00:00:00Z",
            "2026-1١-20T10:33:34Z",
            "99999999999999999999-01-01T00:00:00Z",
            "2026-11-20T10:33:34:00Z",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(BadMoment), "{text}");
        }
    }
}
