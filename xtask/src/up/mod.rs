//! `up`: the collector, the agent and the command line on this node, in the foreground; with
//! `--demo`, pods for the agent to judge.

mod config;
mod daemon;
mod lab;
mod run;

use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitCode, ExitStatus},
};

use anyhow::Result;

use self::{
    daemon::Daemon,
    lab::Lab,
    run::{End, Run},
};
use crate::{bpf, command, host::Facts, process, setup, test, workspace::Workspace};

/// Where the collector takes events and is asked, and where it says how it is.
const GRPC: &str = "127.0.0.1:9480";
const COLLECTOR_HTTP: &str = "127.0.0.1:9481";
/// Where the agent says how it is.
const AGENT_HTTP: &str = "127.0.0.1:9470";

/// What is shown of the stream: the rest is a matter of asking.
const SHOWN: &str = "finding,detection,loss";

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also run a private containerd with pods that are wrong in various ways.
    #[arg(long)]
    demo: bool,
    /// Where to keep state and findings.
    #[arg(long, default_value = "/var/lib/kestrel/dev")]
    dir: PathBuf,
    /// Arguments for the agent.
    #[arg(last = true)]
    agent: Vec<String>,
}

/// Builds, runs, and gives back the exit code of what ended first, 0 when all was asked to stop.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    Facts::gather()?.can_run()?;
    setup::run(workspace)?;
    bpf::build(workspace)?;
    let mut build = workspace.cargo("build");
    build.args(["--release", "-p", "kestrel-agent", "--bin", "kestrel-agent"]);
    build.args(["-p", "kestrel-collector", "--bin", "kestrel-collector"]);
    build.args(["-p", "kestrel-cli", "--bin", "kestrel"]);
    if args.demo {
        test::build_triggers(workspace)?;
        build.args(["-p", "kestrel-tests", "--bin", "kestrel-lab"]);
    }
    command::run(&mut build)?;

    let run = Run::prepare(workspace, &args.dir)?;
    let lab = if args.demo { Some(Lab::start(&run)?) } else { None };
    let outcome = deliver(&run, lab.as_ref(), &args.agent);
    // Whatever happened, nothing is left running.
    if let Some(lab) = lab {
        lab.stop(&run)?;
    }
    run.finish()?;
    outcome
}

/// Runs collector, agent and command line until one ends or all are asked to; then ends them in the
/// order in which nothing is lost: whoever reads, whoever sends, whoever keeps.
fn deliver(run: &Run, lab: Option<&Lab>, agent_args: &[String]) -> Result<ExitCode> {
    let configs = config::write(run, lab.map(Lab::socket))?;
    let mut collector =
        Daemon::start(run, "kestrel-collector", &["run", "--config"], &configs.collector, &[])?;
    collector.wait_ready(run, COLLECTOR_HTTP)?;
    say_where(run);
    let server = format!("http://{GRPC}");
    let mut cli = process::bound_to_us(&run.bin.join("kestrel"));
    cli.args(["tail", "--alerts", "--kind", SHOWN, "--server", &server]);
    // In the foreground's group: Ctrl-C in a terminal is for it.
    let mut cli = process::spawn(&mut cli, &run.signals, false)?;
    let mut agent = if is_given(agent_args, "--config") {
        Daemon::start_plain(run, "kestrel-agent", &["run"], agent_args)?
    } else {
        Daemon::start(run, "kestrel-agent", &["run", "--config"], &configs.agent, agent_args)?
    };

    let end = run.wait_first(&mut [("kestrel tail", &mut cli), agent.entry(), collector.entry()])?;
    run.stop("kestrel tail", &mut cli)?;
    agent.stop(run)?;
    collector.stop(run)?;
    Ok(match end {
        End::Asked => ExitCode::SUCCESS,
        End::Ended { name, status } => {
            eprintln!("up: {name} ended ({status})");
            for daemon in [&agent, &collector].into_iter().filter(|daemon| daemon.name() == name) {
                daemon.show_log();
            }
            exit_code(status)
        }
    })
}

fn say_where(run: &Run) {
    let kestrel = run.bin.join("kestrel");
    println!("findings as JSON lines: {}", run.dir.join("findings.jsonl").display());
    println!("ask: {} findings (inventory, nodes, tail, doctor)", kestrel.display());
    println!("metrics: http://{AGENT_HTTP}/metrics and http://{COLLECTOR_HTTP}/metrics");
    println!("logs: {}", run.dir.join("*.log").display());
}

fn is_given(args: &[String], flag: &str) -> bool {
    args.iter().any(|arg| arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
}

/// As a shell has it: 128 and the signal's number for a killed program.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_of_the_user_takes_the_place_of_ours() {
        let args = ["--listen=1:2", "--state-dir", "x"].map(str::to_owned);
        assert!(is_given(&args, "--listen") && is_given(&args, "--state-dir"));
        assert!(!is_given(&args, "--list") && !is_given(&args, "--pin-dir"));
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(
            format!("{:?}", exit_code(ExitStatus::from_raw(3 << 8))),
            format!("{:?}", ExitCode::from(3))
        );
        assert_eq!(format!("{:?}", exit_code(ExitStatus::from_raw(9))), format!("{:?}", ExitCode::from(137)));
    }
}
