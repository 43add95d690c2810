//! `evt.around`.

/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// Whether `time` is at most `delta` milliseconds from `middle`; times are nanoseconds since the epoch.
pub(crate) const fn is_around(time: u64, middle: u64, delta: u64) -> bool {
    time.abs_diff(middle) <= delta.saturating_mul(MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_count() {
        assert!(is_around(1_000_000, 2_000_000, 1));
        assert!(is_around(3_000_000, 2_000_000, 1));
        assert!(!is_around(3_000_001, 2_000_000, 1));
        assert!(is_around(u64::MAX, 0, u64::MAX));
    }
}
