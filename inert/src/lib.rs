//! Hostile text made inert: what a workload chose is shown, and does nothing.

#![forbid(unsafe_code)]

pub mod json;

use std::fmt::Write as _;

/// Whether a character moves the cursor, reorders the line, stacks on its neighbour or cannot be
/// seen.
#[must_use]
pub fn is_hostile(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            // Combining marks and private use.
            | '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Appends bytes as inert text: hostile characters and bytes that are not UTF-8 become escapes
/// (`\x1b`, `\u{202e}`), and a backslash is doubled so that no escape can be forged.
pub fn push_inert(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            // Writing to a string does not fail.
            let _ = match char {
                '\\' => text.write_str("\\\\"),
                char if !is_hostile(char) => text.write_char(char),
                char if char.is_ascii() => write!(text, "\\x{:02x}", u32::from(char)),
                char => write!(text, "\\u{{{:x}}}", u32::from(char)),
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
}

/// Bytes as inert text.
#[must_use]
pub fn inert(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut text = String::with_capacity(bytes.len());
    push_inert(&mut text, bytes);
    text
}

/// A NUL-padded name as inert text.
#[must_use]
pub fn inert_comm(comm: &[u8]) -> String {
    inert(comm.split(|&byte| byte == 0).next().unwrap_or_default())
}

/// Columns that a character takes on a terminal. East Asian wide characters and emoji take two.
#[must_use]
pub fn columns_of(char: char) -> usize {
    match char {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// The front of `text` that fits into so many columns, with an ellipsis where it was cut.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    if text.chars().map(columns_of).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut used = 1;
    for char in text.chars() {
        used += columns_of(char);
        if used > columns {
            break;
        }
        fitted.push(char);
    }
    if columns > 0 {
        fitted.push('…');
    }
    fitted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_shown() {
        for (hostile, shown) in [
            ("web-7d4".as_bytes(), "web-7d4"),
            (b"\x1b[2J\x07", "\\x1b[2J\\x07"),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            (b"a\nb\r", "a\\x0ab\\x0d"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            (b"\\x1b", "\\\\x1b"),
            ("größe".as_bytes(), "größe"),
        ] {
            assert_eq!(inert(hostile), shown);
        }
        assert_eq!(inert_comm(b"sh\0\0\x1b"), "sh");
    }

    #[test]
    fn cuts_at_columns() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
    }

    proptest! {
        #[test]
        fn nothing_hostile_is_left(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(!inert(&bytes).chars().any(is_hostile));
        }

        #[test]
        fn different_bytes_stay_different(one in "\\PC{0,8}|[\\x00-\\x7f]{0,8}", other in "\\PC{0,8}|[\\x00-\\x7f]{0,8}") {
            prop_assert_eq!(one == other, inert(&one) == inert(&other));
        }

        #[test]
        fn never_wider_than_asked(text in ".{0,40}", columns in 0_usize..30) {
            prop_assert!(fit(&text, columns).chars().map(columns_of).sum::<usize>() <= columns);
        }
    }
}
