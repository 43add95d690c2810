//! Opens at a steady pace, every one wanted by a rule: whether an agent that holds rules against them
//! loses any, and what that takes.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use agent_abi::hook::Hook;
use anyhow::{Context as _, Result, anyhow, ensure};

use crate::{
    bars,
    condition::{Agent, AgentOptions, with_rules},
    interrupt,
    process::Process,
    progress,
    report::{Measure, Unit},
    stats::Estimate,
    workload::{Worker, Workload},
};

/// Opens per second, of all loops together: above the bar, for a loop may be late at the end.
const WANTED: u64 = 310_000;
/// CPUs, and loops on them.
const LOOPS: u64 = 2;
/// What a loop is told at once; then it waits until the time for it is over.
const SLICE: Duration = Duration::from_millis(5);
/// Slices of a round.
const SLICES: u32 = 200;
/// How long the agent may take to read what has reached its rings, and to say so.
const SETTLE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Measures with a real agent and the rules of a file, or its own.
///
/// # Errors
/// When the agent or a loop does not start, or the agent does not come to rest.
pub fn measure(program: &Path, rules: Option<&Path>, rounds: usize) -> Result<Vec<Measure>> {
    let mut workers = (0..LOOPS as usize)
        .map(|cpu| Worker::start(Workload::OpenWanted, cpu))
        .collect::<Result<Vec<_>>>()?;
    let canonical = |file: &Path| file.canonicalize().with_context(|| file.display().to_string());
    let rules = rules.map(canonical).transpose()?;
    let config = Some(with_rules(rules.as_deref()));
    let agent = Agent::start(program, &AgentOptions { config, ..AgentOptions::default() })?;
    let process = Process::new(agent.pid());
    let before = Counts::of(&agent)?;
    let (mut rates, mut shares, mut opened) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        interrupt::check()?;
        let (cpu, start) = (process.cpu()?, Instant::now());
        let of_round = run(&mut workers)?;
        let took = start.elapsed().as_secs_f64();
        rates.push(of_round as f64 / took);
        shares.push((process.cpu()? - cpu).as_secs_f64() / took);
        opened += of_round;
        progress(&format!("steady: round {} of {rounds}", round + 1));
    }
    let gone = settled(&agent, &before, opened)?;
    agent.stop()?;
    let too_few = "too few rounds for an interval";
    Ok(vec![
        Measure::new(
            "opens, each held against rules",
            Estimate::of(&rates).context(too_few)?,
            Unit::PerSecond,
        )
        .held_against(bars::STEADY_WANTED)
        .note(format!(
            "{opened} of {LOOPS} loops that share the CPUs with the agent; rules: {}",
            rules
                .as_ref()
                .and_then(|file| file.file_name())
                .map_or("its own".into(), |name| name.to_string_lossy())
        )),
        Measure::exact("of them lost", gone as f64, Unit::Count).held_against(bars::STEADY_LOST),
        Measure::new("CPU of the agent meanwhile", Estimate::of(&shares).context(too_few)?, Unit::Cpu),
    ])
}

/// A round: how many were opened.
fn run(workers: &mut [Worker]) -> Result<u64> {
    let times = WANTED * SLICE.as_micros() as u64 / 1_000_000 / LOOPS;
    let start = Instant::now();
    thread::scope(|scope| {
        let loops: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(move || {
                    for slice in 1..=SLICES {
                        worker.run(times)?;
                        // One that is late makes up for it.
                        thread::sleep((SLICE * slice).saturating_sub(start.elapsed()));
                    }
                    Ok::<_, anyhow::Error>(times * u64::from(SLICES))
                })
            })
            .collect();
        loops.into_iter().map(|joined| joined.join().map_err(|_| anyhow!("a loop panicked"))?).sum()
    })
}

/// What the agent counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    /// Opens and other calls on files that reached a ring, and those that did not.
    submitted: u64,
    lost: u64,
    /// Records of all hooks that reached a ring, and that were read from one.
    all_submitted: u64,
    received: u64,
    /// What was lost behind the ring, of whatever kind.
    dropped: u64,
}

impl Counts {
    fn of(agent: &Agent) -> Result<Self> {
        let text = agent.metrics()?;
        let of_files = format!("hook=\"{}\"", Hook::File.name());
        let counts = Self {
            submitted: sum(&text, "kestrel_hook_submitted_records_total", &of_files),
            lost: sum(&text, "kestrel_hook_lost_records_total", ""),
            all_submitted: sum(&text, "kestrel_hook_submitted_records_total", ""),
            received: sum(&text, "kestrel_ring_received_records_total", ""),
            dropped: sum(&text, "kestrel_decode_failed_records_total", "")
                + sum(&text, "kestrel_hook_failed_runs_total", &of_files)
                + sum(&text, "kestrel_hook_throttled_records_total", &of_files),
        };
        ensure!(counts.received > 0, "the agent's metrics tell of no record");
        Ok(counts)
    }
}

/// The sum of a metric's samples whose labels contain a text.
fn sum(text: &str, name: &str, labels: &str) -> u64 {
    let samples = text.lines().filter_map(|line| {
        let (head, value) = line.rsplit_once(' ')?;
        let (metric, rest) = head.split_once('{').unwrap_or((head, ""));
        (metric == name && rest.contains(labels)).then(|| value.parse::<u64>().ok())?
    });
    samples.sum()
}

/// Waits until the agent has counted and read everything: opens of which nothing arrived.
fn settled(agent: &Agent, before: &Counts, opened: u64) -> Result<u64> {
    let deadline = Instant::now() + SETTLE;
    let mut last = Counts::of(agent)?;
    loop {
        thread::sleep(PAUSE);
        let now = Counts::of(agent)?;
        let lost = now.lost - before.lost + now.dropped - before.dropped;
        let arrived = now.submitted - before.submitted;
        let is_read = now.received >= last.all_submitted;
        if is_read && arrived + lost >= opened {
            return Ok(lost);
        }
        if Instant::now() >= deadline {
            ensure!(is_read, "{} records are still to be read", last.all_submitted - now.received);
            return Ok(opened - arrived);
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_their_labels() {
        let text = "# TYPE a counter\na_total{hook=\"x\",ring=\"bulk\"} 3\na_total{hook=\"y\"} 4\nab_total 9\nb_total 5\n";
        assert_eq!(sum(text, "a_total", ""), 7);
        assert_eq!(sum(text, "a_total", "hook=\"x\""), 3);
        assert_eq!(sum(text, "b_total", ""), 5);
        assert_eq!(sum(text, "c_total", ""), 0);
    }
}
