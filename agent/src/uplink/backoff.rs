//! How long to wait before the next try.

use std::time::Duration;

/// Exponential, with full jitter: when a collector comes back, not all agents come at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    /// Tries since the last success.
    tries: u32,
}

impl Backoff {
    pub(super) const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, tries: 0 }
    }

    /// The collector took something. That it let us connect is no success: one that refuses all would
    /// be called without a pause.
    pub(super) fn succeeded(&mut self) {
        self.tries = 0;
    }

    /// The next pause: anything up to a bound that doubles. `random` is any number.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let bound = self.bound();
        self.tries = self.tries.saturating_add(1);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random % nanos.saturating_add(1).max(1))
    }

    fn bound(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.tries).unwrap_or(u32::MAX).max(1);
        self.base.checked_mul(factor).map_or(self.cap, |bound| bound.min(self.cap))
    }
}

/// Any number, from the system.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    // Not ready right after boot only; then the pause is none.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_success_resets_it() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        let mut bounds = Vec::new();
        for _ in 0..9 {
            bounds.push(backoff.bound().as_millis());
            backoff.next(0);
        }
        assert_eq!(bounds, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        for _ in 0..200 {
            backoff.next(1);
        }
        assert_eq!(backoff.bound(), Duration::from_secs(30));
        backoff.succeeded();
        assert_eq!(backoff.bound(), Duration::from_millis(250));
    }

    #[test]
    fn jitter_is_full() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(backoff.clone().next(0), Duration::ZERO);
        assert_eq!(backoff.clone().next(1_000_000_000), Duration::from_secs(1));
        for _ in 0..1000 {
            assert!(backoff.clone().next(random()) <= Duration::from_secs(1));
        }
        let none = Backoff::new(Duration::ZERO, Duration::ZERO).next(u64::MAX);
        assert_eq!(none, Duration::ZERO);
    }
}
