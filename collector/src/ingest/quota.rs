//! How fast a node may deliver.

use std::time::{Duration, Instant};

/// Most of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Events a second.
    pub events_per_second: u64,
    /// Bytes a second, before compression.
    pub bytes_per_second: u64,
}

/// How long a node that was idle may go at any speed, at its quota's size.
const BURST_SECONDS: f64 = 4.0;

/// What a node has left of its quota. What it takes it gets; then it waits until that is paid.
#[derive(Clone, Debug)]
pub struct Bucket {
    quota: Quota,
    events: f64,
    bytes: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(quota: Quota, now: Instant) -> Self {
        let mut bucket = Self { quota, events: 0.0, bytes: 0.0, at: now };
        bucket.events = bucket.events_rate() * BURST_SECONDS;
        bucket.bytes = bucket.bytes_rate() * BURST_SECONDS;
        bucket
    }

    /// Takes so much, and says how long to wait before more is taken.
    pub fn take(&mut self, events: usize, bytes: usize, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let refill = |have: f64, rate: f64| (have + passed * rate).min(rate * BURST_SECONDS);
        self.events = refill(self.events, self.events_rate()) - float(events as u64);
        self.bytes = refill(self.bytes, self.bytes_rate()) - float(bytes as u64);
        let owed = (-self.events / self.events_rate()).max(-self.bytes / self.bytes_rate());
        (owed > 0.0).then(|| Duration::from_secs_f64(owed.min(3600.0)))
    }

    fn events_rate(&self) -> f64 {
        float(self.quota.events_per_second.max(1))
    }

    fn bytes_rate(&self) -> f64 {
        float(self.quota.bytes_per_second.max(1))
    }
}

/// Rates and sizes are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "a quota need not be exact to the byte")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_time() {
        let start = Instant::now();
        let quota = Quota { events_per_second: 1000, bytes_per_second: 1 << 40 };
        let mut bucket = Bucket::new(quota, start);
        let (mut now, mut taken) = (start, 0);
        while now < start + Duration::from_secs(60) {
            let wait = bucket.take(250, 1, now).unwrap_or_default();
            taken += 250;
            now += wait;
        }
        assert!((60_000..=64_500).contains(&taken), "{taken}");
    }

    #[test]
    fn bytes_count_too() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Quota { events_per_second: 1 << 40, bytes_per_second: 1000 }, start);
        assert_eq!(bucket.take(1, 4000, start), None);
        assert_eq!(bucket.take(1, 2000, start), Some(Duration::from_secs(2)));
    }
}
