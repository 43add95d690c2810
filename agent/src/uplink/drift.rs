//! How far this node's clock is from the collector's.

/// This node's clock minus the collector's: its answer was written between question and answer. The
/// error is at most half the time between them. `None` where the collector says no time.
pub(super) fn drift(asked_ns: u64, answered_ns: u64, collector_ns: i64) -> Option<i64> {
    if collector_ns <= 0 {
        return None;
    }
    let middle = asked_ns / 2 + answered_ns / 2;
    Some(i64::try_from(middle).unwrap_or(i64::MAX).saturating_sub(collector_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_exchange_is_held_against_the_answer() {
        assert_eq!(drift(1000, 1200, 1100), Some(0));
        assert_eq!(drift(1000, 1200, 600), Some(500));
        assert_eq!(drift(1000, 1200, 2100), Some(-1000));
        assert_eq!(drift(1000, 1200, 0), None);
        assert_eq!(drift(u64::MAX, u64::MAX, 1), Some(i64::MAX - 1));
        assert_eq!(drift(0, 0, i64::MAX), Some(-i64::MAX));
    }
}
