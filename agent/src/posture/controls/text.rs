//! Texts of judgements, within a bound.

/// Most things that a list names.
pub(super) const NAMED: usize = 16;
/// Longest text.
pub(super) const MOST_BYTES: usize = 300;
/// Room for `, and 4294967295 more`.
const REST_BYTES: usize = 24;

/// At most [`MOST_BYTES`] of a text, whole characters.
pub(super) fn bounded(mut text: String) -> String {
    if text.len() > MOST_BYTES {
        text.truncate(text.floor_char_boundary(MOST_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// What begins the text, and the first of what it lists: as many as there is room for, and how many are left.
pub(super) fn list<T: AsRef<str>>(start: &str, items: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut text = start.to_owned();
    let (mut shown, mut left) = (0, 0_u32);
    for item in items {
        let item = item.as_ref();
        let separator = if shown == 0 { "" } else { ", " };
        let is_room = text.len() + separator.len() + item.len() + REST_BYTES <= MOST_BYTES;
        if left == 0 && shown < most && (is_room || shown == 0) {
            text.push_str(separator);
            // The first is cut where it has no room by itself.
            text.push_str(
                &item[..item.floor_char_boundary(MOST_BYTES.saturating_sub(text.len() + REST_BYTES))],
            );
            shown += 1;
        } else {
            left = left.saturating_add(1);
        }
    }
    if left > 0 {
        text.push_str(&format!(", and {left} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_a_bound() {
        assert_eq!(list("a: ", ["b", "c"], 16), "a: b, c");
        assert_eq!(list("", ["b", "c", "d"], 2), "b, c, and 1 more");
        let long = list("names ", (0..1000).map(|n| format!("ä{n}")), 1000);
        assert!(long.len() <= MOST_BYTES && long.ends_with(" more"), "{long}");
        let one = list("names ", ["ä".repeat(1000), "b".to_owned()], 16);
        assert!(one.len() <= MOST_BYTES && one.ends_with(", and 1 more"), "{one}");
        assert!(bounded("ä".repeat(1000)).len() <= MOST_BYTES);
        assert_eq!(bounded("ä".to_owned()), "ä");
    }
}
