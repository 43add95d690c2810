//! `vm-test`: Debian's kernels in virtual machines, in them the agent and its kernel tests, and whether they say
//! what they should. The processor is emulated, so this runs wherever the build does and takes about a minute a
//! kernel.

mod agent;
mod apt;
mod archive;
mod console;
mod guest;
mod kernel;
mod modules;
mod qemu;
mod results;
mod table;
mod verified;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;

use self::{
    apt::Apt,
    console::Console,
    kernel::Kernel,
    qemu::Boot,
    results::Results,
    table::{Row, Table},
    verified::{Column, Figures},
};
use crate::{bpf, setup, workspace::Workspace};

/// The container of the virtual machine, by its cgroup's name.
const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Values of `KESTREL_HOOKS` that the kernel tests are run with, one after the other.
const TIERS: [&str; 1] = ["portable"];

/// How long the kernel tests may take, each time. Most of it goes to the verifier, of which an emulated processor
/// makes seconds for each test that loads the programs.
const TEST_SECONDS: u64 = 900;

/// Series from the oldest to the newest.
const ALL: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

/// On the command line of a machine that only the agent is tried on.
const AGENT_ONLY: &str = "KESTREL_CHECK=agent";

/// On the command line of a kernel that lets no program read its memory.
const LOCKED: &str = "lockdown=confidentiality KESTREL_CHECK=agent";

/// Lines of a console that are shown of a machine that did not come to its end.
const TAIL: usize = 20;

/// Arguments of `vm-test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Series of kernels, such as 6.12 or 7, of each the newest that Debian has; or all: 5.10, 6.1, 6.12 and 7.
    /// One that was downloaded before is taken from target/vm/SERIES.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "all")]
    kernel: Vec<String>,
    /// Take what the verifier counts over into agent-ebpf/verified.txt, for the kernels that run.
    #[arg(long)]
    write: bool,
    /// Try the agent alone, without the kernel tests, which take some minutes a kernel.
    #[arg(long, conflicts_with = "write")]
    agent_only: bool,
}

impl Args {
    /// The last number of `7.x` says nothing.
    fn series(&self) -> Vec<&str> {
        let names = self.kernel.iter().map(|name| name.trim_end_matches(".x"));
        names.flat_map(|name| if name == "all" { ALL.to_vec() } else { vec![name] }).collect()
    }
}

/// Runs the agent and its tests on the kernels; the exit code tells whether all that ran were as they should be.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    setup::install_vm()?;
    bpf::build(workspace)?;
    let dir = workspace.target.join("vm");
    fs::create_dir_all(&dir)?;
    let guest = guest::pack(workspace, &dir)?;

    let mut apt = Apt::new(&dir.join("apt"));
    let mut table = Table::default();
    let mut figures = Figures::default();
    let mut newest = None;
    let arguments = if args.agent_only { AGENT_ONLY } else { "" };
    for series in args.series() {
        let kernel = match kernel::fetch(&mut apt, &dir, series) {
            Ok(kernel) => kernel,
            Err(error) => {
                table.skip(series, &format!("{error:#}"));
                continue;
            }
        };
        let initramfs = initramfs(&guest, &kernel)?;
        eprintln!("vm-test: booting {series}");
        let boot = qemu::boot(&kernel.image(), &initramfs, arguments, &kernel.dir, "tests")?;
        let console = Console::parse(&boot.report);
        table.push(if args.agent_only {
            agent_alone(&console, &boot, &kernel.series)
        } else {
            tested(&console, &boot, &kernel.series, &mut figures)
        });
        newest = Some((kernel, initramfs));
    }
    if let Some((kernel, initramfs)) = newest {
        eprintln!("vm-test: booting {} locked down", kernel.series);
        let boot = qemu::boot(&kernel.image(), &initramfs, LOCKED, &kernel.dir, "locked")?;
        table.push(locked(&Console::parse(&boot.report), &boot, &kernel.series));
    }
    println!("{}", table.render());
    let are_good = judge(workspace, &figures, args.write)? && table.is_good();
    Ok(if are_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn initramfs(guest: &Path, kernel: &Kernel) -> Result<PathBuf> {
    let modules = modules::pack(kernel)?;
    archive::join(&[guest, &modules], &kernel.dir.join("initramfs.gz"))
}

/// A machine in which the agent is to see everything.
fn agent_alone(console: &Console<'_>, boot: &Boot, series: &str) -> Row {
    let mut row = Row::new(console, boot, series);
    row.judge(agent::problems(console, CONTAINER));
    row.hooks = agent::supported(console, "Hooks");
    row.controls = agent::supported(console, "Controls");
    row
}

/// A machine in which everything is to be as it should.
fn tested(console: &Console<'_>, boot: &Boot, series: &str, figures: &mut Figures) -> Row {
    let mut row = agent_alone(console, boot, series);
    let release = console.release().unwrap_or(series).to_owned();
    let mut column = Column { release, ..Column::default() };
    for tier in TIERS {
        let results = Results::of(console, &format!("tests {tier}"));
        // A program that both tiers load may differ by what the loader has told it.
        for (program, &count) in &results.verified {
            let known = column.programs.entry(program.clone()).or_default();
            *known = count.max(*known);
        }
        row.add(tier, results);
    }
    figures.insert(series, column);
    row
}

/// A machine in which the agent can see nothing.
fn locked(console: &Console<'_>, boot: &Boot, series: &str) -> Row {
    let mut row = Row::new(console, boot, series);
    row.kernel.push_str(" locked");
    row.judge(agent::problems_when_blind(console));
    row
}

/// Holds the verifier's counts against the committed ones, or takes them over.
fn judge(workspace: &Workspace, figures: &Figures, write: bool) -> Result<bool> {
    if figures.is_empty() {
        return Ok(true);
    }
    let mut committed = Figures::read(&workspace.root)?;
    println!("Instructions that the verifier walked (Linux tells since 5.16), and the change:");
    print!("{}", figures.table(&committed));
    if write {
        committed.update(figures);
        committed.write(&workspace.root)?;
        println!("{} is written", verified::FILE);
        return Ok(true);
    }
    let problems = figures.problems(&committed);
    for problem in &problems {
        println!("FAILED: {problem}");
    }
    if !problems.is_empty() {
        println!("Where that is as it should be: cargo xtask vm-test --write");
    }
    Ok(problems.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_named_by_series_or_all_at_once() {
        let series = |kernel: &[&str]| {
            let args = Args {
                kernel: kernel.iter().map(|name| (*name).to_owned()).collect(),
                write: false,
                agent_only: false,
            };
            args.series().join(" ")
        };
        assert_eq!(series(&["all"]), "5.10 6.1 6.12 7");
        assert_eq!(series(&["6.1", "7.x"]), "6.1 7");
    }
}
