//! Builds, runs and tests Kestrel: `cargo xtask help`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is for a terminal")]

mod apt;
mod arm64;
mod bpf;
mod command;
mod host;
mod process;
mod setup;
mod test;
mod toolchain;
mod up;
mod vm;
mod workspace;

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what builds and tests need, and mount what the kernel's hooks need.
    Setup {
        /// Only what compiles: for a container image, where nothing can be mounted.
        #[arg(long)]
        build_only: bool,
    },
    /// Compile the kernel programs to target/bpf/kestrel.bpf.o.
    BuildEbpf,
    /// Run clippy on the kernel programs.
    LintEbpf,
    /// Compile the programs that tests run inside containers.
    BuildTriggers,
    /// Compile the agent as it is in its image, which tests put into a container.
    BuildStatic,
    /// Compile the agent for arm64, which is not run here.
    BuildArm64,
    /// Build the agent and run it on this node, until Ctrl-C.
    Up(up::Args),
    /// Run the tests, on a real kernel and with real containers.
    Test(test::Args),
    /// Boot other kernels in virtual machines, and check what the agent says there.
    VmTest(vm::Args),
    /// Measure what the agent costs.
    Bench {
        /// Arguments for the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup { build_only: true } => setup::for_build()?,
        Task::Setup { build_only: false } => setup::run(&workspace)?,
        Task::BuildEbpf => bpf::build(&workspace)?,
        Task::LintEbpf => bpf::lint(&workspace)?,
        Task::BuildTriggers => test::build_triggers(&workspace)?,
        Task::BuildStatic => {
            bpf::build(&workspace)?;
            test::build_static(&workspace)?;
        }
        Task::BuildArm64 => {
            bpf::build(&workspace)?;
            arm64::build(&workspace)?;
        }
        Task::Up(args) => return up::run(&workspace, &args),
        Task::Test(args) => test::run(&workspace, &args)?,
        Task::VmTest(args) => return vm::run(&workspace, &args),
        Task::Bench { args } => {
            setup::run(&workspace)?;
            bpf::build(&workspace)?;
            test::build_triggers(&workspace)?;
            command::run(workspace.cargo("build").args([
                "--quiet",
                "--release",
                "-p",
                "kestrel-agent",
                "-p",
                "kestrel-collector",
                "-p",
                "kestrel-bench",
            ]))?;
            let status = Command::new(workspace.target.join("release/bench")).args(args).status()?;
            return Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from));
        }
    }
    Ok(ExitCode::SUCCESS)
}
