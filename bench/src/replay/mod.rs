//! Records through user space as fast as one core goes, without the kernel.

mod allocations;
mod mix;
pub(crate) mod pipeline;
mod recording;

use std::{hint::black_box, time::Instant};

use anyhow::{Context as _, Result, ensure};
use kestrel_agent::decode::{Event, decode};

pub use allocations::{CountingAllocator, allocated_bytes, allocations};
pub use mix::{Mix, Size};
pub use recording::Recording;

use crate::{
    interrupt, machine, progress,
    report::{Measure, Unit},
    stats::Estimate,
};

/// Passes before any counts: tables grow to their size, caches warm up.
const WARM_UP: usize = 2;

/// A part of the way of an event that is measured by itself.
pub(crate) trait Stage {
    /// Name in the report.
    fn name(&self) -> &'static str;

    /// Whether this is the whole way, which the bars are for.
    fn is_whole(&self) -> bool;

    /// Takes one record.
    fn record(&mut self, bytes: &[u8]) -> Result<()>;

    /// What is done some times a second. A pass is a fraction of one, and has one.
    fn tick(&mut self, _boottime_ns: u64) {}

    /// What others do meanwhile; not measured.
    fn rest(&mut self) {}

    /// Whether the records were taken as they should.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Decodes and looks at what was decoded, so that nothing can be left out.
struct Decode;

impl Stage for Decode {
    fn name(&self) -> &'static str {
        "decode alone"
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn record(&mut self, bytes: &[u8]) -> Result<()> {
        let event = decode(bytes)?;
        let seen = match &event {
            Event::Exec(exec) => exec.argv.iter().count() + exec.exe.len(),
            Event::Cgroup(cgroup) => cgroup.path.len(),
            _ => 0,
        };
        black_box((event.header().sequence, seen));
        Ok(())
    }
}

/// Measures every stage, on `cpu`.
///
/// # Errors
/// When a stage refuses a record.
pub fn measure(passes: usize, cpu: usize) -> Result<Vec<Measure>> {
    machine::pin(cpu)?;
    let mut measures = time(&mut Decode, passes)?;
    measures.extend(time(&mut pipeline::Whole::new()?, passes)?);
    measures.extend(time(&mut pipeline::Whole::with_rules()?, passes)?);
    Ok(measures)
}

fn time(stage: &mut impl Stage, passes: usize) -> Result<Vec<Measure>> {
    let mut recording = Mix::record(Size::NODE);
    let (name, records) = (stage.name(), recording.count());
    ensure!(records > 0, "the recording is empty");
    progress(&format!("replay: {name}, {records} records of {} bytes", recording.bytes()));
    let mut rates = Vec::new();
    let mut allocated = 0;
    for pass in 0..WARM_UP + passes {
        interrupt::check()?;
        let before = allocations();
        let start = Instant::now();
        for record in recording.records() {
            stage.record(record)?;
        }
        stage.tick(recording.now());
        let took = start.elapsed();
        if pass >= WARM_UP {
            allocated += allocations() - before;
            rates.push(records as f64 / took.as_secs_f64());
        }
        stage.rest();
        // The next pass is later: other processes in other containers.
        recording.advance();
    }
    stage.check()?;
    let rate = Estimate::of(&rates).context("too few passes for an interval")?;
    let rate = Measure::new(&format!("replay, {name}"), rate, Unit::PerSecond).note("one core");
    let rate = if stage.is_whole() { rate.held_against(crate::bars::REPLAY) } else { rate };
    let per_million = (allocated as f64 * 1e6 / (records * passes) as f64).round();
    let allocated =
        Measure::exact(&format!("allocations per million records, {name}"), per_million, Unit::Count);
    Ok(vec![rate, allocated.note("after warm-up")])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Allocations of one pass of a node with so many short-lived processes per container.
    fn allocated(stage: &mut pipeline::Whole, short_lived: u32) -> u64 {
        let size = Size { containers: 8, processes: 10, short_lived, lax_every: 0 };
        let mut recording = Mix::record(size);
        let mut counted = 0;
        for _ in 0..4 {
            let before = allocations();
            for record in recording.records() {
                stage.record(record).unwrap();
            }
            counted = allocations() - before;
            stage.tick(recording.now());
            stage.rest();
            recording.advance();
        }
        stage.check().unwrap();
        counted
    }

    #[test]
    fn processes_that_change_no_verdict_cost_no_allocation() {
        // A container costs some, the 1,680 processes of a pass none. Other tests share the
        // counter: one undisturbed try is proof enough.
        // With rules, what matches in a container that has no names yet is kept for them.
        for (has_rules, per_container) in [(false, 16), (true, 64)] {
            let make = if has_rules { pipeline::Whole::with_rules } else { pipeline::Whole::new };
            let tries: Vec<_> =
                std::iter::repeat_with(|| allocated(&mut make().unwrap(), 200)).take(5).collect();
            assert!(tries.iter().any(|&count| count <= 8 * per_container), "{tries:?}");
        }
    }
}
