//! Two loops that open files as fast as two CPUs go, with every open wanted: how much of it comes
//! through the ring and the hot loop's stages, and whether all the rest is accounted for.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use agent_abi::hook::Hook;
use anyhow::{Context as _, Result, anyhow};
use kestrel_agent::{
    decode::{Event, decode},
    filter::Filter,
    kernel::{Hooks, Layout, Mounted, Plan, Programs},
    syscall::{Only, Wants, by_name},
};

use crate::{
    bars, interrupt, progress,
    replay::{Stage as _, pipeline::Whole},
    report::{Measure, Unit},
    stats::Estimate,
    workload::{Worker, Workload},
};

/// As the agent's.
const RING_BYTES: [u32; 2] = [4 << 20, 8 << 20];
/// As the agent's, between two looks.
const POLL: Duration = Duration::from_millis(5);
/// Batches of 80 ms that make a round.
const BATCHES: u64 = 10;

/// Measures.
///
/// # Errors
/// When the programs do not attach or a worker fails.
pub fn measure(rounds: usize) -> Result<Vec<Measure>> {
    let mut workers =
        [0, 1].map(|cpu| Worker::start(Workload::OpenWanted, cpu)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut flood = Flood::new(workers.iter().map(Worker::pid).collect())?;
    let (mut rates, mut lost, mut unaccounted, mut decoded_ever) = (Vec::new(), Vec::new(), 0, 0);
    for round in 0..rounds {
        interrupt::check()?;
        let Round { opened, took, before, after, decoded, decoded_of_workers } = flood.round(&mut workers)?;
        rates.push(decoded as f64 / took.as_secs_f64());
        let gone = after.lost - before.lost;
        let submitted = after.submitted - before.submitted;
        lost.push(gone as f64 / (submitted + gone).max(1) as f64);
        decoded_ever += decoded;
        // What the loops opened was decoded, or is counted.
        unaccounted += opened.saturating_sub(decoded_of_workers.saturating_add(gone));
        progress(&format!("flood: round {} of {rounds}", round + 1));
    }
    // What reached the ring, of whomever, was decoded.
    let (submitted, rest) = flood.finish()?;
    unaccounted += submitted.abs_diff(decoded_ever + rest);
    let rate = Estimate::of(&rates).context("too few rounds for an interval")?;
    let lost = Estimate::of(&lost).context("too few rounds for an interval")?;
    Ok(vec![
        Measure::new("opens decoded, two loops on two CPUs", rate, Unit::PerSecond)
            .held_against(bars::FLOOD_DECODED)
            .note("the reader shares the CPUs"),
        Measure::new("of them lost, and counted", lost, Unit::Cpu).held_against(bars::FLOOD_LOST),
        Measure::exact("opens unaccounted for", unaccounted as f64, Unit::Count)
            .held_against(bars::UNACCOUNTED),
    ])
}

struct Round {
    opened: u64,
    took: Duration,
    before: agent_abi::hook::HookCounters,
    after: agent_abi::hook::HookCounters,
    decoded: u64,
    decoded_of_workers: u64,
}

/// The programs and the stages behind them. Detaches when dropped.
struct Flood {
    programs: Programs,
    stages: Whole,
    workers: Vec<u32>,
    pins: PathBuf,
}

impl Flood {
    fn new(workers: Vec<u32>) -> Result<Self> {
        let pins = Path::new("/sys/fs/bpf").join(format!("kestrel-bench-flood-{}", std::process::id()));
        let mut wants = Wants::posture();
        wants.add(by_name("openat").context("no openat in the table")?, Only::default());
        let layout = Layout::read(Mounted::detect()?.hierarchy, RING_BYTES)?;
        let filter = Filter::default();
        let programs =
            Plan { pin_dir: pins.clone(), layout, wants, filter, hooks: Hooks::Auto }.carry_out()?;
        for (hook, result) in &programs.hooks {
            result.as_ref().map_err(|reason| anyhow!("{}: {reason}", hook.name()))?;
        }
        programs.switches.set_agent(std::process::id());
        Ok(Self { programs, stages: Whole::new()?, workers, pins })
    }

    fn round(&mut self, workers: &mut [Worker]) -> Result<Round> {
        let before = self.counters()?;
        let done = AtomicBool::new(false);
        let start = Instant::now();
        let (opened, decoded) = thread::scope(|scope| {
            let loops: Vec<_> = workers
                .iter_mut()
                .map(|worker| {
                    let times = BATCHES * worker.batch_size();
                    scope.spawn(move || worker.run(times).map(|_| times))
                })
                .collect();
            let reader = scope.spawn(|| self.read(&done));
            let opened =
                loops.into_iter().map(|joined| joined.join().map_err(|_| anyhow!("a loop panicked"))?);
            let opened: Result<Vec<u64>> = opened.collect();
            done.store(true, Ordering::Release);
            let decoded = reader.join().map_err(|_| anyhow!("the reader panicked"))?;
            Ok::<_, anyhow::Error>((opened?.iter().sum(), decoded?))
        })?;
        let took = start.elapsed();
        let (decoded, decoded_of_workers) = decoded;
        Ok(Round { opened, took, before, after: self.counters()?, decoded, decoded_of_workers })
    }

    /// Detaches, and reads what is left: opens that reached the ring ever, and those that were left.
    fn finish(&mut self) -> Result<(u64, u64)> {
        kestrel_agent::kernel::detach(&self.pins)?;
        let mut gone = self.counters()?;
        let deadline = Instant::now() + Duration::from_secs(5);
        // A program that runs still ends.
        while Instant::now() < deadline {
            thread::sleep(POLL);
            let now = self.counters()?;
            if std::mem::replace(&mut gone, now) == now {
                break;
            }
        }
        let (rest, _) = self.read(&AtomicBool::new(true))?;
        Ok((self.counters()?.submitted, rest))
    }

    fn counters(&self) -> Result<agent_abi::hook::HookCounters> {
        Ok(self.programs.counters.read()?[Hook::File as usize])
    }

    /// Empties the rings as the hot loop does, until the loops have ended and nothing is left.
    fn read(&mut self, done: &AtomicBool) -> Result<(u64, u64)> {
        let Self { programs, stages, workers, .. } = self;
        let (mut decoded, mut of_workers) = (0, 0);
        loop {
            let last = done.load(Ordering::Acquire);
            let (bulk_end, critical_end) = (programs.bulk.produced(), programs.critical.produced());
            let mut result = Ok(());
            programs.critical.drain(critical_end, |bytes| {
                if let Err(error) = stages.record(bytes) {
                    result = Err(error);
                }
            });
            programs.bulk.drain(bulk_end, |bytes| {
                if let Ok(Event::File(file)) = decode(bytes) {
                    decoded += 1;
                    of_workers += u64::from(workers.contains(&file.record.call.task.tgid));
                }
                if let Err(error) = stages.record(bytes) {
                    result = Err(error);
                }
            });
            result?;
            if last {
                stages.rest();
                return Ok((decoded, of_workers));
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        if self.pins.exists()
            && let Err(error) = kestrel_agent::kernel::detach(&self.pins)
        {
            crate::complain(&anyhow::Error::from(error).context(self.pins.display().to_string()));
        }
    }
}
