//! What a workload costs under each condition, in rounds: all conditions in random order, in each
//! of them all workloads. What is compared are the two sides of the same round.

use anyhow::Result;
use serde::Serialize;

use crate::{
    bars::{Limit, RatioBar},
    condition::{Condition, Switch},
    interrupt, progress,
    stats::{Estimate, median},
    workload::{Worker, Workload},
};

/// One workload's line in the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overhead {
    /// The workload.
    pub workload: &'static str,
    /// Rounds.
    pub pairs: usize,
    /// Median nanoseconds per operation with nothing attached.
    pub nothing_ns: f64,
    /// With empty programs.
    pub floor_ns: f64,
    /// With the agent.
    pub agent_ns: f64,
    /// The empty programs against nothing.
    pub floor_to_nothing: Option<Estimate>,
    /// The agent against the empty programs.
    pub agent_to_floor: Option<Estimate>,
    /// The agent against nothing.
    pub agent_to_nothing: Option<Estimate>,
    /// What `than` this must hold.
    pub bar: Option<Limit>,
    /// Which ratio the bar is for.
    pub than: Option<&'static str>,
    /// Whether it holds.
    pub pass: Option<bool>,
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Rounds that count.
    pub pairs: usize,
    /// CPU of the workloads.
    pub cpu: usize,
    /// Of the order of the conditions.
    pub seed: u64,
}

/// Measures.
///
/// # Errors
/// When a condition cannot be brought about, or a workload fails.
pub fn measure(switch: &mut Switch, workloads: &[Workload], rounds: Rounds) -> Result<Vec<Overhead>> {
    let Rounds { pairs, cpu, seed } = rounds;
    let mut workers =
        workloads.iter().map(|&workload| Worker::start(workload, cpu)).collect::<Result<Vec<_>>>()?;
    let mut samples = vec![Samples::default(); workloads.len()];
    let mut random = fastrand::Rng::with_seed(seed);
    // The first round warms caches up and does not count.
    for round in 0..=pairs {
        let mut order = Condition::ALL;
        random.shuffle(&mut order);
        for condition in order {
            switch.to(condition)?;
            for (worker, samples) in workers.iter_mut().zip(&mut samples) {
                interrupt::check()?;
                let nanoseconds = worker.batch()?;
                if round > 0 {
                    samples.of(condition).push(nanoseconds);
                }
            }
        }
        progress(&format!("round {round} of {pairs}"));
    }
    switch.to(Condition::Nothing)?;
    Ok(workloads.iter().zip(&samples).map(|(&workload, samples)| samples.compare(workload)).collect())
}

#[derive(Clone, Debug, Default)]
struct Samples {
    nothing: Vec<f64>,
    floor: Vec<f64>,
    agent: Vec<f64>,
}

impl Samples {
    fn of(&mut self, condition: Condition) -> &mut Vec<f64> {
        match condition {
            Condition::Nothing => &mut self.nothing,
            Condition::Floor => &mut self.floor,
            Condition::Agent => &mut self.agent,
        }
    }

    fn compare(&self, workload: Workload) -> Overhead {
        let Self { nothing, floor, agent } = self;
        let agent_to_floor = Estimate::of_ratios(agent, floor);
        let agent_to_nothing = Estimate::of_ratios(agent, nothing);
        let bar = RatioBar::of(workload);
        let barred = bar.map(|bar| match bar.than {
            Condition::Floor => ("floor", bar.holds(agent_to_floor)),
            Condition::Nothing | Condition::Agent => ("nothing", bar.holds(agent_to_nothing)),
        });
        Overhead {
            workload: workload.title(),
            pairs: agent.len(),
            nothing_ns: median(nothing).unwrap_or(f64::NAN),
            floor_ns: median(floor).unwrap_or(f64::NAN),
            agent_ns: median(agent).unwrap_or(f64::NAN),
            floor_to_nothing: Estimate::of_ratios(floor, nothing),
            agent_to_floor,
            agent_to_nothing,
            bar: bar.map(|bar| bar.limit),
            than: barred.map(|(than, _)| than),
            pass: barred.map(|(_, pass)| pass),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(agent: f64) -> Samples {
        let times = |factor: f64| (0..21).map(|round| factor * (100.0 + f64::from(round))).collect();
        Samples { nothing: times(1.0), floor: times(1.4), agent: times(agent) }
    }

    #[test]
    fn a_call_that_nobody_wants_is_held_against_the_floor() {
        let row = samples(1.5).compare(Workload::Getppid);
        assert_eq!((row.than, row.pass), (Some("floor"), Some(true)));
        assert_eq!(samples(1.6).compare(Workload::Getppid).pass, Some(false));
    }

    #[test]
    fn an_opened_file_is_held_against_a_node_without_an_agent() {
        let row = samples(1.19).compare(Workload::Open);
        assert_eq!((row.than, row.pass), (Some("nothing"), Some(true)));
        assert_eq!(row.pairs, 21);
        assert_eq!(samples(1.36).compare(Workload::Open).pass, Some(false));
        assert_eq!(samples(1.36).compare(Workload::OpenWanted).pass, Some(true));
        assert_eq!(samples(1.46).compare(Workload::ForkExec).pass, Some(true), "1.043 of the floor");
        assert_eq!(samples(9.0).compare(Workload::ForkExecTiny).pass, None);
    }

    #[test]
    fn without_samples_nothing_passes() {
        assert_eq!(Samples::default().compare(Workload::Open).pass, Some(false));
    }
}
