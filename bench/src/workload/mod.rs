//! What is timed: system calls as a workload makes them, in a process of their own that is pinned
//! to one CPU.

mod connect;
mod fork_exec;
mod getppid;
mod image;
mod open;
mod worker;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

#[cfg(test)]
pub(crate) use worker::command as worker_command;
pub use {
    open::WANTED_BELOW,
    worker::{Worker, serve},
};

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// A system call that nobody wants.
    Getppid,
    /// Three system calls on a file that nobody wants.
    Open,
    /// The same on a file that somebody wants.
    OpenWanted,
    /// A TCP connection over loopback.
    Connect,
    /// A dynamically linked program, started and waited for.
    ForkExec,
    /// The same with a program of one system call: nothing dilutes the cost.
    ForkExecTiny,
}

impl Workload {
    /// Name in the report.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Getppid => "getppid",
            Self::Open => "open+read+close, unwanted",
            Self::OpenWanted => "open+read+close, wanted",
            Self::Connect => "connect+accept",
            Self::ForkExec => "fork+exec",
            Self::ForkExecTiny => "fork+exec, 1 syscall",
        }
    }

    /// Name on the command line.
    pub(crate) const fn slug(self) -> &'static str {
        match self {
            Self::Getppid => "getppid",
            Self::Open => "open",
            Self::OpenWanted => "open-wanted",
            Self::Connect => "connect",
            Self::ForkExec => "fork-exec",
            Self::ForkExecTiny => "fork-exec-tiny",
        }
    }

    fn prepare(self) -> Result<Box<dyn Batch>> {
        Ok(match self {
            Self::Getppid => Box::new(getppid::Getppid),
            Self::Open => Box::new(open::Unwanted),
            Self::OpenWanted => Box::new(open::Wanted::new()?),
            Self::Connect => Box::new(connect::Connect::new()?),
            Self::ForkExec => Box::new(fork_exec::ForkExec::dynamic()?),
            Self::ForkExecTiny => Box::new(fork_exec::ForkExec::tiny()?),
        })
    }
}

/// Something that can be done many times.
trait Batch {
    /// Does it this many times.
    fn run(&mut self, times: u64) -> Result<()>;
}

/// How long one timed batch takes.
pub(crate) const BATCH: Duration = Duration::from_millis(80);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_run() {
        // The tiny program has a test of its own.
        for workload in
            [Workload::Getppid, Workload::Open, Workload::OpenWanted, Workload::Connect, Workload::ForkExec]
        {
            workload.prepare().unwrap().run(3).unwrap();
        }
    }

    #[test]
    fn slugs_are_those_of_the_command_line() {
        for workload in Workload::value_variants() {
            assert_eq!(workload.to_possible_value().unwrap().get_name(), workload.slug());
        }
    }
}
