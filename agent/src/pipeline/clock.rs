//! `CLOCK_BOOTTIME`, the clock of records and of process starts, and the wall beside it.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::time::Clock;

/// Nanoseconds since boot, suspended time included.
#[must_use]
pub fn boottime_ns() -> u64 {
    // The clock is always there; zero would only make deadlines late.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        time.tv_sec()
            .unsigned_abs()
            .saturating_mul(1_000_000_000)
            .saturating_add(time.tv_nsec().unsigned_abs())
    })
}

/// Both clocks, now.
#[must_use]
pub fn now() -> Clock {
    let boottime_ns = boottime_ns();
    Clocks::read().at(boottime_ns)
}

/// The distance of the two clocks, read now and then: a record carries one of them.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// What the wall showed at boot.
    wall_at_boot_ns: u64,
}

impl Clocks {
    /// Reads both.
    #[must_use]
    pub fn read() -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        Self { wall_at_boot_ns: wall.saturating_sub(boottime_ns()) }
    }

    /// A moment of boottime by both clocks.
    #[must_use]
    pub const fn at(&self, boottime_ns: u64) -> Clock {
        Clock { boottime_ns, wall_ns: self.wall_at_boot_ns.saturating_add(boottime_ns) }
    }
}
