//! `cargo xtask bench`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is this program's")]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use kestrel_bench::{
    cli::{Cli, Output, Part, Role},
    condition::{ALL_STREAMS, Agent, AgentOptions, Floor, Subject, Switch, with_rules},
    containers::{Gate, containers},
    delivery, flood,
    footprint::{self, MemoryCgroup},
    interrupt, latency,
    machine::{self, Machine},
    overhead::{self, Rounds},
    posture,
    replay::{self, CountingAllocator},
    report::{Measure, Report},
    rule_sets, steady, workload,
};
use kestrel_tests::lab::{Lab, lock::KernelLock};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Programs that all containers together start in a second.
const EXECS_PER_SECOND: f64 = 50.0;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        Some(Role::Worker { workload, cpu }) => workload::serve(workload, cpu).map(|()| true),
        None => bench(&cli),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn bench(cli: &Cli) -> Result<bool> {
    interrupt::watch()?;
    machine::sweep();
    let cpu = cli.cpu.map_or_else(machine::last_cpu, Ok)?;
    let mut report = Report {
        machine: Machine::this(),
        seed: cli.seed.unwrap_or_else(|| fastrand::u64(..)),
        subject: match cli.subject {
            Subject::Process => "kestrel-agent run".to_owned(),
            Subject::Programs => "its kernel programs alone".to_owned(),
        },
        overhead: Vec::new(),
        measures: Vec::new(),
    };
    let workloads = cli.workloads();
    if !workloads.is_empty() {
        // Tests attach programs too; the lab takes the lock for itself.
        let _alone = KernelLock::acquire()?;
        let floor = Floor::load(&beside(cli.floor.as_ref(), "../bpf/floor.bpf.o")?)?;
        let config = match &cli.rules {
            Some(file) => with_rules(Some(&file.canonicalize().with_context(|| file.display().to_string())?)),
            None => ALL_STREAMS.to_owned(),
        };
        let mut switch = Switch::new(floor, cli.subject, agent(cli)?, config);
        let rounds = Rounds { pairs: cli.pairs.into(), cpu, seed: report.seed };
        report.overhead = overhead::measure(&mut switch, &workloads, rounds)?;
    }
    if cli.wants(Part::Flood) {
        let _alone = KernelLock::acquire()?;
        report.measures.extend(flood::measure(cli.pairs.into())?);
    }
    if cli.wants(Part::Steady) {
        let _alone = KernelLock::acquire()?;
        let rules = cli.rules.clone().or_else(|| cli.falco_rules.clone()).or_else(rule_sets::official);
        report.measures.extend(steady::measure(&agent(cli)?, rules.as_deref(), cli.pairs.into())?);
    }
    if cli.wants(Part::Latency) || cli.wants(Part::Footprint) {
        report.measures.extend(beside_containers(cli)?);
    }
    if cli.wants(Part::Posture) {
        report.measures.extend(posture::pass()?);
        report.measures.extend(at_rest(cli)?);
    }
    if cli.wants(Part::Delivery) {
        report.measures.extend(delivery::measure(cli.pairs.into())?);
    }
    // Last: they pin this process.
    if cli.wants(Part::Rules) {
        let official = cli.falco_rules.clone().or_else(rule_sets::official);
        report.measures.extend(rule_sets::measure(cli.pairs.into(), cpu, official.as_deref())?);
    }
    if cli.wants(Part::Replay) {
        report.measures.extend(replay::measure(cli.pairs.into(), cpu)?);
    }
    match cli.output {
        Output::Table => print!("{}", report.table()),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(report.passed())
}

/// An agent and many containers, first idle, then busy.
fn beside_containers(cli: &Cli) -> Result<Vec<Measure>> {
    let count = usize::from(cli.containers);
    let every = Duration::from_secs_f64(count as f64 / EXECS_PER_SECOND);
    let mut gate = Gate::new()?;
    let lab = containers(&gate.wanted(count, every))?;
    let cgroup = MemoryCgroup::make()?;
    let options = AgentOptions {
        config: Some(ALL_STREAMS.to_owned()),
        cri_socket: Some(lab.socket()),
        cgroup_procs: Some(cgroup.procs()),
    };
    let agent = Agent::start(&agent(cli)?, &options)?;
    let mut measures = Vec::new();
    let state = format!("{count} containers");
    if cli.wants(Part::Footprint) {
        measures.extend(footprint::watch(&format!("{state}, idle"), agent.pid(), Some(&cgroup))?);
    }
    gate.open()?;
    let before = latency::so_far(&agent)?;
    let busy = format!("{state}, {EXECS_PER_SECOND} execs/s");
    let under_load = footprint::watch(&busy, agent.pid(), Some(&cgroup))?;
    if cli.wants(Part::Latency) {
        measures.extend(latency::between(&before, &latency::so_far(&agent)?)?);
    }
    if cli.wants(Part::Footprint) {
        measures.extend(under_load);
    }
    agent.stop()?;
    Ok(measures)
}

/// The agent as it is configured by default, beside containers that do nothing.
fn at_rest(cli: &Cli) -> Result<Vec<Measure>> {
    let count = usize::from(cli.containers);
    let options = |lab: &Lab| AgentOptions { cri_socket: Some(lab.socket()), ..AgentOptions::default() };
    let agent_path = agent(cli)?;
    let alone = {
        let lab = Lab::start()?;
        let agent = Agent::start(&agent_path, &options(&lab))?;
        let memory = footprint::anonymous_after_a_while(agent.pid())?;
        agent.stop()?;
        memory
    };
    let gate = Gate::new()?;
    let lab = containers(&gate.wanted(count, Duration::from_secs(1)))?;
    let agent = Agent::start(&agent_path, &options(&lab))?;
    let measures = footprint::at_rest(agent.pid(), count, alone)?;
    agent.stop()?;
    Ok(measures)
}

fn agent(cli: &Cli) -> Result<PathBuf> {
    beside(cli.agent.as_ref(), "kestrel-agent")
}

/// What was given, or a file by its place beside this program.
fn beside(given: Option<&PathBuf>, relative: &str) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.clone());
    }
    let own = std::env::current_exe()?;
    Ok(own.parent().context("a program has a folder")?.join(relative))
}
