//! How fast files are read.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Bytes that are read at once, and a second on the long run: a tenth of a core, where SHA-256 has to do without
/// instructions of its own.
const BURST: u64 = 128 << 20;
const RATE: u64 = 32 << 20;

/// Bytes that may be read now; less than nothing where more was.
#[derive(Debug)]
pub(super) struct Pace {
    left: i64,
    at: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { left: BURST.cast_signed(), at: Instant::now() }
    }

    /// So many were read. Waits until that is no more than may be.
    pub(super) fn read(&mut self, bytes: usize) {
        if let Some(wait) = self.wait(bytes, Instant::now()) {
            thread::sleep(wait);
        }
    }

    fn wait(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_micros();
        let more = i64::try_from(passed * u128::from(RATE) / 1_000_000).unwrap_or(i64::MAX);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.left = self.left.saturating_add(more).min(BURST.cast_signed()).saturating_sub(bytes);
        self.at = now;
        let over = u64::try_from(-self.left).ok().filter(|over| *over > 0)?;
        Some(Duration::from_micros(over.saturating_mul(1_000_000) / RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_beyond_the_burst_is_waited_for() {
        let mut pace = Pace::new();
        let start = pace.at;
        assert_eq!(pace.wait(BURST as usize, start), None);
        assert_eq!(pace.wait(RATE as usize / 2, start), Some(Duration::from_millis(500)));
        assert_eq!(pace.wait(0, start + Duration::from_millis(500)), None);
        assert_eq!(pace.wait(1 << 20, start + Duration::from_hours(1)), None, "and no more than the burst");
        assert_eq!(pace.left, (BURST - (1 << 20)).cast_signed());
    }
}
