//! Hostile text for messages, and times for people.

use kestrel_proto::v1;

/// Foreign text, inert and at most so many characters long. For places where nothing is interpreted:
/// `plain_text`, `rich_text` and JSON.
#[must_use]
pub fn shown(text: impl AsRef<[u8]>, limit: usize) -> String {
    cut(&inert::inert(text), limit)
}

/// The front of a text, with an ellipsis where it was cut. The limit is in UTF-16 units, which is the
/// strictest way in which Slack may count.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.encode_utf16().count() <= limit {
        return text.to_owned();
    }
    let mut units = 1;
    let front = text.char_indices().take_while(|(_, char)| {
        units += char.len_utf16();
        units <= limit
    });
    let end = front.last().map_or(0, |(place, char)| place + char.len_utf8());
    if limit == 0 { String::new() } else { format!("{}…", &text[..end]) }
}

/// Foreign text for the one place that may be read as Slack's markup, the text of a notification:
/// only what cannot make a link, a mention or a style is left of it.
#[must_use]
pub fn word(text: impl AsRef<[u8]>, limit: usize) -> String {
    let is_harmless =
        |char: char| char.is_ascii_alphanumeric() || matches!(char, ' ' | '.' | '-' | '/' | '(' | ')' | ',');
    let text = String::from_utf8_lossy(text.as_ref());
    let kept: String = text.chars().map(|char| if is_harmless(char) { char } else { '?' }).collect();
    // Not even "www.": a client may make a link of it.
    cut(&kept.replace("www.", "www?"), limit)
}

/// The other end of a connection; not inert yet.
#[must_use]
pub fn address(address: &v1::Address) -> Vec<u8> {
    let v1::Address { family, ip, port, path, cid } = address;
    match (ip.as_str(), cid) {
        _ if !path.is_empty() => [b"unix ", &**path].concat(),
        (_, Some(cid)) => format!("cid {cid}:{port}").into(),
        ("", None) => format!("address family {family}").into(),
        (ip, None) if ip.contains(':') => format!("[{ip}]:{port}").into(),
        (ip, None) => format!("{ip}:{port}").into(),
    }
}

/// A time as `2026-05-01 12:00:00 UTC`.
#[must_use]
pub fn utc(unix_ns: i64) -> String {
    let (year, month, day, second) = civil(unix_ns);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A time as RFC 3339 has it.
#[must_use]
pub fn rfc3339(unix_ns: i64) -> String {
    let (year, month, day, second) = civil(unix_ns);
    let millis = unix_ns.rem_euclid(1_000_000_000) / 1_000_000;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month, day and second of the day. An i64 of nanoseconds reaches from 1677 to 2262.
fn civil(unix_ns: i64) -> (i64, i64, i64, i64) {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01, in eras of 400 years; Howard Hinnant's way.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day, second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times() {
        for (unix, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999_000_000, "2024-02-29T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_777_636_800_000_000_000, "2026-05-01T12:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(unix), shown);
        }
        assert_eq!(utc(1_777_636_800_000_000_000), "2026-05-01 12:00:00 UTC");
    }

    #[test]
    fn words() {
        for (hostile, left) in [
            ("<!channel>", "??channel?"),
            ("<@U123> @here", "??U123? ?here"),
            ("https://evil.example", "https?//evil.example"),
            ("www.evil.example", "www?evil.example"),
            ("*bold* `code` &amp;", "?bold? ?code? ?amp?"),
            ("a\u{202e}b\x1b[2J", "a?b??2J"),
        ] {
            assert_eq!(word(hostile, 100), left);
        }
    }

    proptest! {
        #[test]
        fn never_longer_than_asked(text in ".{0,60}", limit in 0_usize..40) {
            prop_assert!(shown(&text, limit).encode_utf16().count() <= limit);
            prop_assert!(word(&text, limit).encode_utf16().count() <= limit);
        }
    }
}
