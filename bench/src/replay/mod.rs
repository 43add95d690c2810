//! Records through user space as fast as one core goes, without the kernel.

mod allocations;
mod mix;
mod recording;

use std::{hint::black_box, time::Instant};

use anyhow::{Context as _, Result, ensure};
use kestrel_agent::decode::{Event, decode};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

pub use allocations::{CountingAllocator, allocations};
pub use mix::{Mix, Size};
pub use recording::Recording;

use crate::{
    interrupt, progress,
    report::{Measure, Unit},
    stats::Estimate,
};

/// Passes before any counts: tables grow to their size, caches warm up.
const WARM_UP: usize = 2;

/// Takes one record.
type Take = Box<dyn FnMut(&[u8]) -> Result<()>>;

/// A part of the way of an event that is measured by itself.
struct Stage {
    name: &'static str,
    take: Take,
    /// Whether this is the whole way, which the bars are for.
    whole: bool,
}

/// What is measured, from a part to the whole.
fn stages() -> Vec<Stage> {
    vec![Stage { name: "decode", take: Box::new(decode_only), whole: false }]
}

/// Decodes and looks at what was decoded, so that nothing can be left out.
fn decode_only(record: &[u8]) -> Result<()> {
    let event = decode(record)?;
    let seen = match &event {
        Event::Exec(exec) => exec.argv.iter().count() + exec.exe.0.iter().count(),
        Event::Cgroup(cgroup) => cgroup.path.len(),
        Event::Fork(_) | Event::Exit(_) | Event::Credentials(_) | Event::Open(_) => 0,
    };
    black_box((event.header().sequence, seen));
    Ok(())
}

/// Measures every stage, on `cpu`.
///
/// # Errors
/// When a stage refuses a record.
pub fn measure(passes: usize, cpu: usize) -> Result<Vec<Measure>> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).with_context(|| format!("cannot be pinned to CPU {cpu}"))?;
    let mut measures = Vec::new();
    for stage in stages() {
        measures.extend(stage.measure(passes)?);
    }
    Ok(measures)
}

impl Stage {
    fn measure(mut self, passes: usize) -> Result<Vec<Measure>> {
        let mut recording = Mix::record(Size::NODE);
        ensure!(recording.count() > 0, "the recording is empty");
        progress(&format!(
            "replay: {}, {} records of {} bytes",
            self.name,
            recording.count(),
            recording.bytes()
        ));
        let mut rates = Vec::new();
        let mut allocated = 0;
        for pass in 0..WARM_UP + passes {
            interrupt::check()?;
            let before = allocations();
            let start = Instant::now();
            for record in recording.records() {
                (self.take)(record)?;
            }
            let took = start.elapsed();
            if pass >= WARM_UP {
                allocated += allocations() - before;
                rates.push(recording.count() as f64 / took.as_secs_f64());
            }
            // The next pass is later: other processes in other containers.
            recording.advance();
        }
        let rate = Estimate::of(&rates).context("too few passes for an interval")?;
        let per_million = allocated as f64 * 1e6 / (recording.count() * passes) as f64;
        let rate = Measure::new(&format!("replay, {}", self.name), rate, Unit::PerSecond).note("one core");
        let rate = if self.whole { rate.held_against(crate::bars::REPLAY) } else { rate };
        let allocated = Measure::exact(
            &format!("allocations in a million records, {}", self.name),
            per_million,
            Unit::Count,
        );
        Ok(vec![rate, allocated.note("after warm-up")])
    }
}
