//! Moments, and dates as people write them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Nanoseconds per second.
pub const SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// One moment by both clocks: deadlines follow boottime, people read the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Clock {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boottime_ns: u64,
    /// Nanoseconds since 1970 (UTC).
    pub wall_ns: u64,
}

impl Clock {
    /// The day it is (UTC).
    #[must_use]
    pub const fn date(&self) -> Date {
        Date(self.wall_ns / SECOND / SECONDS_PER_DAY)
    }

    /// `2026-01-31T12:00:00.123Z`.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let seconds = self.wall_ns / SECOND % SECONDS_PER_DAY;
        format!(
            "{}T{:02}:{:02}:{:02}.{:03}Z",
            self.date(),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            self.wall_ns % SECOND / 1_000_000
        )
    }
}

/// A day of the Gregorian calendar from 1970 on, written `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(u64);

impl Date {
    /// Parses `YYYY-MM-DD`; a day that does not exist is refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |part: &[u8]| {
            part.iter().try_fold(0_u64, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
            })
        };
        let date = Self::from_civil(number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?)?;
        // The thirty-first of a short month comes back as another day.
        (date.to_string() == text).then_some(date)
    }

    // Days from civil and back, with years that begin in March so that leap days come last.
    fn from_civil(year: u64, month: u64, day: u64) -> Option<Self> {
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let year = if month <= 2 { year - 1 } else { year };
        let era = year / 400;
        let year_of_era = year % 400;
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era).checked_sub(719_468).map(Self)
    }

    const fn civil(self) -> (u64, u64, u64) {
        let days = self.0 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

/// Seconds since 1970 of a moment as RFC 3339 writes it, `2026-01-31T12:00:00.123+01:00`; parts of a second are
/// dropped. `None`: it is none, or one before 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let Date(days) = Date::parse(date)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let minutes = hours_and_minutes(rest.get(..5)?)?;
    let seconds = rest.get(5..8)?.strip_prefix(':')?;
    // A leap second is the sixtieth.
    let seconds = two_digits(seconds, 60)?;
    let rest = rest.get(8..)?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => rest,
    };
    let ahead = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        ("+", ahead) => hours_and_minutes(ahead)?,
        ("-", behind) => -hours_and_minutes(behind)?,
        _ => return None,
    };
    let days = i64::try_from(days).ok()?;
    Some(days * 86_400 + (minutes - ahead) * 60 + seconds)
}

/// `HH:MM` in minutes.
fn hours_and_minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    Some(two_digits(hours, 23)? * 60 + two_digits(minutes, 59)?)
}

fn two_digits(text: &str, most: i64) -> Option<i64> {
    let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| is_number && number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_the_round_trip() {
        for text in ["1970-01-01", "2000-02-29", "2024-02-29", "2026-12-31", "2100-03-01"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "2023-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-04-31",
            "26-01-01",
            "2026-1-01",
            "",
            "1969-12-31",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        let every_day = (0..60_000).map(Date);
        assert!(every_day.clone().all(|day| Date::parse(&day.to_string()) == Some(day)));
    }

    #[test]
    fn moments_are_read_as_rfc_3339() {
        for (text, seconds) in [
            ("2024-02-29T12:34:56Z", 1_709_210_096),
            ("2024-02-29T12:34:56.789123456Z", 1_709_210_096),
            ("2024-02-29T13:34:56+01:00", 1_709_210_096),
            ("2024-02-29T04:04:56.7-08:30", 1_709_210_096),
            ("1970-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(parse_rfc3339(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2024-02-29",
            "2024-02-30T12:34:56Z",
            "2024-02-29T12:34:56",
            "2024-02-29T24:34:56Z",
            "2024-02-29T12-34-56Z",
            "2024-02-29T12:34:5Z",
            "2024-02-29T12:34:56+1:00",
            "2024-02-29T12:34:56ä+01:00",
            "2024-02-29T12:34:56.ä",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_written_as_rfc_3339() {
        let clock = Clock { boottime_ns: 0, wall_ns: 1_709_210_096_789_000_000 };
        assert_eq!(clock.rfc3339(), "2024-02-29T12:34:56.789Z");
    }
}
