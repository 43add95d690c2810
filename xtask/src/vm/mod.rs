//! `vm-test`: Debian's kernels in virtual machines, in them the agent and its kernel tests, and whether they say
//! what they should. The processor is emulated, so this runs wherever the build does and takes some minutes a
//! machine.

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
    fmt, fs,
    num::NonZero,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::Result;

use self::{
    apt::Apt,
    console::Console,
    kernel::Kernel,
    qemu::Boot,
    results::Results,
    table::{Row, Table},
    verified::Figures,
};
use crate::{bpf, setup, workspace::Workspace};

/// The container of the virtual machine, by its cgroup's name.
const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// How long the kernel tests may take in one machine. Most of it goes to the verifier, of which an emulated
/// processor makes seconds for each test that loads the programs.
const TEST_SECONDS: u64 = 2400;

/// Series from the oldest to the newest.
const ALL: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

/// On the command line of a machine that only the agent is tried on.
const AGENT_ONLY: &str = "KESTREL_CHECK=agent";

/// On the command line of a kernel that lets no program read its memory.
const LOCKED: &str = "lockdown=confidentiality KESTREL_TIER=portable KESTREL_CHECK=agent";

/// Lines of a console that are shown of a machine that did not come to its end.
const TAIL: usize = 20;

/// Arguments of `vm-test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Series of kernels, such as 6.12 or 7, of each the newest that Debian has; or all: 5.10, 6.1, 6.12 and 7.
    /// One that was downloaded before is taken from target/vm/SERIES.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "all")]
    kernel: Vec<String>,
    /// Hooks that system calls are seen by, of which each has a machine of its own.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_values_t = Tier::ALL)]
    tier: Vec<Tier>,
    /// Machines that run at a time; each takes one processor. By default as many as there are processors.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Take what the verifier counts over into agent-ebpf/verified.txt, for the kernels that run.
    #[arg(long, conflicts_with = "tier")]
    write: bool,
    /// Try the agent alone, without the kernel tests, which take some minutes a machine.
    #[arg(long, conflicts_with = "write")]
    agent_only: bool,
    /// Run only the kernel tests with one of these in their names, as libtest does.
    #[arg(long, num_args = 1.., value_delimiter = ',', conflicts_with_all = ["write", "agent_only"])]
    test: Vec<String>,
}

/// What `hooks` of the agent is set to, and `KESTREL_HOOKS` of its kernel tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    Portable,
    Enhanced,
}

impl Tier {
    const ALL: [Self; 2] = [Self::Portable, Self::Enhanced];
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Portable => "portable",
            Self::Enhanced => "enhanced",
        })
    }
}

impl Args {
    /// The last number of `7.x` says nothing.
    fn series(&self) -> Vec<&str> {
        let names = self.kernel.iter().map(|name| name.trim_end_matches(".x"));
        names.flat_map(|name| if name == "all" { ALL.to_vec() } else { vec![name] }).collect()
    }

    /// For the kernel's command line, which gives them to the first process.
    fn arguments(&self, tier: Tier) -> String {
        let tests = self.test.join(",");
        let check = if self.agent_only { AGENT_ONLY.to_owned() } else { format!("KESTREL_TESTS={tests}") };
        format!("KESTREL_TIER={tier} {check}")
    }

    /// Whether every program is loaded that there are figures of.
    fn is_whole(&self) -> bool {
        Tier::ALL.iter().all(|tier| self.tier.contains(tier)) && self.test.is_empty()
    }

    fn jobs(&self) -> usize {
        let processors = || thread::available_parallelism().map_or(1, NonZero::get);
        self.jobs.map_or_else(processors, NonZero::get)
    }
}

/// A machine to be booted.
struct Machine<'a> {
    kernel: &'a Kernel,
    initramfs: &'a Path,
    kind: Kind,
    arguments: String,
}

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The agent is to see everything, by these hooks.
    Open(Tier),
    /// It can see nothing.
    Locked,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(tier) => tier.fmt(formatter),
            Self::Locked => formatter.write_str("locked"),
        }
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
    let mut kernels = Vec::new();
    for series in args.series() {
        match kernel::fetch(&mut apt, &dir, series) {
            Ok(kernel) => kernels.push((initramfs(&guest, &kernel)?, kernel)),
            Err(error) => table.skip(series, &format!("{error:#}")),
        }
    }
    let machines = machines(&kernels, args);
    let mut figures = Figures::default();
    for (machine, boot) in machines.iter().zip(boot_all(&machines, args.jobs())) {
        let boot = boot?;
        let console = Console::parse(&boot.report);
        let series = &machine.kernel.series;
        let mut row = Row::new(&console, &boot, series, &machine.kind.to_string());
        match machine.kind {
            Kind::Open(tier) => {
                row.judge(agent::problems(&console, tier, CONTAINER));
                row.hooks = agent::supported(&console, "Hooks");
                row.controls = agent::supported(&console, "Controls");
                if !args.agent_only {
                    let results = Results::of(&console, "tests");
                    figures.add(series, console.release().unwrap_or(series), &results.verified);
                    row.add(results);
                }
            }
            Kind::Locked => row.judge(agent::problems_when_blind(&console)),
        }
        table.push(row);
    }
    println!("{}", table.render());
    let are_good = judge(workspace, &figures, args)? && table.is_good();
    Ok(if are_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn initramfs(guest: &Path, kernel: &Kernel) -> Result<PathBuf> {
    let modules = modules::pack(kernel)?;
    archive::join(&[guest, &modules], &kernel.dir.join("initramfs.gz"))
}

/// For each kernel one of each tier, and the newest locked down.
fn machines<'a>(kernels: &'a [(PathBuf, Kernel)], args: &Args) -> Vec<Machine<'a>> {
    let mut machines = Vec::new();
    for (initramfs, kernel) in kernels {
        machines.extend(args.tier.iter().map(|&tier| Machine {
            kernel,
            initramfs,
            kind: Kind::Open(tier),
            arguments: args.arguments(tier),
        }));
    }
    // Which has no tests that could be asked for.
    let newest = kernels.last().filter(|_| args.test.is_empty());
    machines.extend(newest.map(|(initramfs, kernel)| Machine {
        kernel,
        initramfs,
        kind: Kind::Locked,
        arguments: LOCKED.to_owned(),
    }));
    machines
}

/// Boots them, so many at a time, and gives what they said in the same order.
fn boot_all(machines: &[Machine<'_>], jobs: usize) -> Vec<Result<Boot>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut boots = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(Machine { kernel, initramfs, kind, arguments }) = machines.get(index) else { break };
            eprintln!("vm-test: booting {} {kind}", kernel.series);
            let boot = qemu::boot(&kernel.image(), initramfs, arguments, &kernel.dir, &kind.to_string());
            eprintln!("vm-test: {} {kind} has ended", kernel.series);
            boots.push((index, boot));
        }
        boots
    };
    let mut boots: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    boots.sort_by_key(|(index, _)| *index);
    boots.into_iter().map(|(_, boot)| boot).collect()
}

/// Holds the verifier's counts against the committed ones, or takes them over.
fn judge(workspace: &Workspace, figures: &Figures, args: &Args) -> Result<bool> {
    if figures.is_empty() {
        return Ok(true);
    }
    let mut committed = Figures::read(&workspace.root)?;
    println!("Instructions that the verifier walked (Linux tells since 5.16), and the change:");
    print!("{}", figures.table(&committed));
    if !args.is_whole() {
        println!("These are not all, so they are held against nothing.");
        return Ok(true);
    }
    if args.write {
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
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(text: &str) -> Args {
        Command::parse_from(format!("vm-test {text}").split_whitespace()).args
    }

    #[test]
    fn kernels_are_named_by_series_or_all_at_once() {
        assert_eq!(args("").series().join(" "), "5.10 6.1 6.12 7");
        assert_eq!(args("--kernel 6.1,7.x").series().join(" "), "6.1 7");
    }

    #[test]
    fn each_kernel_has_a_machine_for_each_tier_and_the_newest_one_that_is_locked() {
        let kernels = ["5.10", "7"].map(|series| {
            (PathBuf::from("initramfs.gz"), Kernel { series: series.to_owned(), dir: PathBuf::from(series) })
        });
        let names = |args: &Args| -> Vec<String> {
            machines(&kernels, args)
                .iter()
                .map(|machine| format!("{} {}", machine.kernel.series, machine.kind))
                .collect()
        };
        assert_eq!(
            names(&args("")),
            ["5.10 portable", "5.10 enhanced", "7 portable", "7 enhanced", "7 locked"]
        );
        assert_eq!(names(&args("--tier enhanced")), ["5.10 enhanced", "7 enhanced", "7 locked"]);
        assert_eq!(names(&args("--tier portable --test exec::")), ["5.10 portable", "7 portable"]);
    }

    #[test]
    fn a_machine_is_told_its_tier_and_its_tests() {
        let arguments = |text: &str| args(text).arguments(Tier::Enhanced);
        assert_eq!(arguments(""), "KESTREL_TIER=enhanced KESTREL_TESTS=");
        assert_eq!(
            arguments("--test tier::,exec::life"),
            "KESTREL_TIER=enhanced KESTREL_TESTS=tier::,exec::life"
        );
        assert_eq!(arguments("--agent-only"), "KESTREL_TIER=enhanced KESTREL_CHECK=agent");
    }

    #[test]
    fn a_part_of_the_tests_is_not_held_against_the_figures_of_all() {
        assert!(args("").is_whole() && args("--kernel 7").is_whole());
        assert!(!args("--tier portable").is_whole() && !args("--test tier::").is_whole());
    }
}
