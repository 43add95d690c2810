//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{condition::Subject, workload::Workload};

/// Measures what the agent costs. Exit code 0 when every bar holds, 1 when one is missed, 2 when
/// something could not be measured.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
pub struct Cli {
    /// Rounds; the bars are meant for 20 or more.
    #[arg(long, default_value_t = 21, value_name = "N", value_parser = clap::value_parser!(u16).range(6..))]
    pub pairs: u16,
    /// Only these parts.
    #[arg(value_enum, value_name = "PART")]
    pub only: Vec<Part>,
    /// What stands for the agent in the overhead part.
    #[arg(long, value_enum, default_value_t, value_name = "SUBJECT")]
    pub subject: Subject,
    /// CPU of the workloads [default: the last].
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<usize>,
    /// Seed of the order of the conditions [default: random].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Containers beside the agent.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub containers: u16,
    /// The agent [default: kestrel-agent beside this program].
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    /// Rules that the agent holds against what it sees, in the overhead part, in place of streams of files.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// The empty programs [default: bpf/floor.bpf.o in cargo's target folder].
    #[arg(long, value_name = "FILE")]
    pub floor: Option<PathBuf>,
    /// Falco's official rules [default: those beside the repository, if they are there].
    #[arg(long, value_name = "FILE")]
    pub falco_rules: Option<PathBuf>,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
    /// What this process is to be, if not the bench.
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What else a process of this program can be.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// A process that runs a workload on orders from the bench.
    #[command(hide = true)]
    Worker {
        /// The workload.
        workload: Workload,
        /// Its CPU.
        cpu: usize,
    },
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Overhead of a call that nobody wants.
    Getppid,
    /// Overhead of open, read and close.
    Open,
    /// Overhead of a connection over loopback.
    Connect,
    /// Overhead of starting programs.
    ForkExec,
    /// Two loops that open files, every open wanted.
    Flood,
    /// All of the above: what the kernel programs cost.
    Kernel,
    /// Two loops that open files at a pace, every open held against rules by an agent.
    Steady,
    /// Exec to verdict.
    Latency,
    /// CPU and memory beside containers.
    Footprint,
    /// Looks into containers.
    Posture,
    /// Records per second through user space.
    Replay,
    /// The way to the collector.
    Delivery,
    /// Events against rules.
    Rules,
}

/// Form of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For machines.
    Json,
}

impl Cli {
    /// Whether a part is wanted.
    #[must_use]
    pub fn wants(&self, part: Part) -> bool {
        let is_kernel =
            matches!(part, Part::Getppid | Part::Open | Part::Connect | Part::ForkExec | Part::Flood);
        self.only.is_empty() || self.only.contains(&part) || is_kernel && self.only.contains(&Part::Kernel)
    }

    /// The workloads of the wanted parts.
    #[must_use]
    pub fn workloads(&self) -> Vec<Workload> {
        let all = [
            (Part::Getppid, Workload::Getppid),
            (Part::Open, Workload::Open),
            (Part::Open, Workload::OpenWanted),
            (Part::Connect, Workload::Connect),
            (Part::ForkExec, Workload::ForkExec),
            (Part::ForkExec, Workload::ForkExecTiny),
        ];
        all.into_iter().filter(|&(part, _)| self.wants(part)).map(|(_, workload)| workload).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["bench", "fork-exec", "replay", "-o", "json"]);
        assert_eq!(cli.workloads(), [Workload::ForkExec, Workload::ForkExecTiny]);
        assert!(cli.wants(Part::Replay) && !cli.wants(Part::Latency));
        assert_eq!(Cli::parse_from(["bench"]).workloads().len(), 6);
        assert_eq!(Cli::parse_from(["bench", "kernel"]).workloads().len(), 6);
    }

    #[test]
    fn a_worker_is_started_by_its_name() {
        let command = crate::workload::worker_command(Workload::Open, 3);
        let cli = Cli::parse_from(std::iter::once("bench".to_owned()).chain(command));
        assert!(matches!(cli.role, Some(Role::Worker { workload: Workload::Open, cpu: 3 })));
    }
}
