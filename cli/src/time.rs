//! Times as people write and read them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Timestamp};

/// Nanoseconds since 1970 by this machine's clock.
#[must_use]
pub fn now_unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds; as it is where it lies outside of what calendars hold.
#[must_use]
pub fn rfc3339(unix_ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(unix_ns)) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => unix_ns.to_string(),
    }
}

/// The time of day, to the second.
#[must_use]
pub fn clock(unix_ns: i64) -> String {
    rfc3339(unix_ns).get(11..19).unwrap_or_default().to_owned()
}

/// How long ago, in the largest unit that is not 0.
#[must_use]
pub fn ago(unix_ns: i64, now_unix_ns: i64) -> String {
    span(now_unix_ns.saturating_sub(unix_ns).max(0).unsigned_abs())
}

/// A span in its largest unit.
#[must_use]
pub fn span(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0 => format!("{}ms", ns / 1_000_000),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment: `10m` ago, or RFC 3339.
///
/// # Errors
/// A sentence that says what would do.
pub fn parse_since(text: &str, now_unix_ns: i64) -> Result<i64, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return i64::try_from(time.as_nanosecond()).map_err(|_| format!("{text} is too far away"));
    }
    let wrong =
        || format!("`{text}` is neither a span like 10m, 2h or 1d nor a time like 2026-11-21T12:00:00Z");
    let at = text.find(|char: char| !char.is_ascii_digit()).ok_or_else(wrong)?;
    let number: i64 = text[..at].parse().map_err(|_| wrong())?;
    let seconds = match &text[at..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let span = SignedDuration::from_secs(number.checked_mul(seconds).ok_or_else(wrong)?);
    let since = i128::from(now_unix_ns) - span.as_nanos();
    i64::try_from(since).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_span_or_a_time() {
        let now = 1_800_000_000_000_000_000;
        assert_eq!(parse_since("10m", now), Ok(now - 600_000_000_000));
        assert_eq!(parse_since("0s", now), Ok(now));
        assert_eq!(parse_since("1970-01-01T00:00:01Z", now), Ok(1_000_000_000));
        assert_eq!(parse_since("1970-01-01T01:00:01+01:00", now), Ok(1_000_000_000));
        for wrong in ["", "10", "m", "10 minutes", "yesterday", "99999999999999999999d", "-5m"] {
            assert!(parse_since(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(rfc3339(1_000_000_000), "1970-01-01T00:00:01.000Z");
        assert_eq!(clock(1_000_000_000), "00:00:01");
        assert_eq!(span(90_000_000_000), "1m");
        assert_eq!(ago(5_000_000_000, 0), "0ms");
        assert!(!rfc3339(i64::MAX).is_empty());
    }
}
