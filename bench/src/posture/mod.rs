//! What looks into containers cost: a pass over many, and the agent at rest beside some.

mod simulated;

use std::time::Duration;

use anyhow::{Context as _, Result};
use kestrel_agent::inspect::Inspector;
use nix::time::{ClockId, clock_gettime};

use self::simulated::Simulated;
use crate::{
    bars, interrupt,
    report::{Measure, Unit},
};

/// Containers of a pass.
const CONTAINERS: usize = 500;
/// Passes; the first warms the kernel's caches and does not count.
const PASSES: usize = 6;

/// Looks into [`CONTAINERS`] simulated containers again and again: processes of their own mount
/// namespaces, in control groups like those of a kubelet's containers.
///
/// # Errors
/// When they cannot be made, or one is not read.
pub fn pass() -> Result<Vec<Measure>> {
    let simulated = Simulated::start(CONTAINERS)?;
    let mut inspector = Inspector::new();
    let mut seconds = Vec::new();
    for pass in 0..PASSES {
        interrupt::check()?;
        let before = cpu()?;
        for container in simulated.containers() {
            inspector
                .inspect(&container.id, &container.cgroup_path, std::slice::from_ref(&container.process))
                .context("a simulated container is gone")?;
        }
        if pass > 0 {
            seconds.push((cpu()? - before).as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let most = seconds.last().copied().unwrap_or_default();
    Ok(vec![
        Measure::exact(&format!("looks into {CONTAINERS} containers"), most, Unit::Seconds)
            .note("CPU, the slowest of five passes")
            .held_against(bars::INSPECTION_PASS),
    ])
}

/// CPU time of this thread.
fn cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
