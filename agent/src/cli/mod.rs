//! The command line: what is asked for. The commands write to what they are given, so that the
//! terminal stays main's.

mod check_config;
mod client;
mod detach;
mod prepare;
mod status;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::{CriSocket, Listen, LogLevel, Overrides, parse_duration, value},
    kernel::Hooks,
};

pub use check_config::check_config;
pub use client::ClientError;
pub use detach::detach;
pub use prepare::prepare;
pub use status::status;

/// Watches the containers of this node and reports what they may do and do.
#[derive(Debug, Parser)]
#[command(name = "kestrel-agent", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this node until told to stop.
    Run(RunArgs),
    /// Write what the rules of the configuration, or those that come along, want to see to a file, for
    /// `kestrel replay` and `kestrel rules`. Leaves the agent that watches this node alone.
    Record(RecordArgs),
    /// Ask the running agent how it is: exit code 0 healthy, 1 not healthy or not ready,
    /// 2 not reachable.
    Status(StatusArgs),
    /// Check a configuration file, and the policy file that it names: exit code 0 good, 2 not.
    CheckConfig(CheckConfigArgs),
    /// Detach the programs that an agent left in the kernel. They outlive it on purpose, so that a
    /// restart is not blind.
    Detach(DetachArgs),
    /// As root, give folders to the user that the agent runs as: exit code 0 done, 2 not.
    Prepare(PrepareArgs),
}

/// Flags of `record`.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// The recording, one JSON object of Falco's fields a line, packed where the name ends with .gz. It must not exist.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How long; until a signal, if it is not given.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub lasts: Option<Duration>,
    /// Configuration and flags as for `run`; what goes to a collector, state and pins are left alone.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Flags of `run`. Each overrides its key in the configuration file.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Configuration file [default: /etc/kestrel/agent.yaml, when it exists].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of what outlives the agent (state_dir).
    #[arg(long, value_name = "DIR", value_parser = value::path)]
    pub state_dir: Option<PathBuf>,
    /// File that findings are appended to (findings.file).
    #[arg(long, value_name = "FILE", value_parser = value::path)]
    pub findings_file: Option<PathBuf>,
    /// Socket of the container runtime, or auto (cri.socket).
    #[arg(long, value_name = "PATH", value_parser = value::cri_socket)]
    pub cri_socket: Option<CriSocket>,
    /// Address of metrics, health and status, or off (http.listen).
    #[arg(long, value_name = "ADDR", value_parser = value::listen)]
    pub listen: Option<Listen>,
    /// Folder on a bpf file system for links, rings and counters (pin_dir).
    #[arg(long, value_name = "DIR", value_parser = value::path)]
    pub pin_dir: Option<PathBuf>,
    /// Hooks that system calls are seen by: auto, portable or enhanced (hooks).
    #[arg(long, value_name = "SET", value_parser = value::hooks)]
    pub hooks: Option<Hooks>,
    /// Name of this node in findings (node_name).
    #[arg(long, value_name = "NAME", value_parser = value::node_name)]
    pub node_name: Option<String>,
    /// Least severe level that is logged (log.level).
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// Policy file (policy).
    #[arg(long, value_name = "FILE", value_parser = value::path)]
    pub policy: Option<PathBuf>,
}

impl RunArgs {
    /// The file that was named, and what the flags override.
    #[must_use]
    pub fn into_parts(self) -> (Option<PathBuf>, Overrides) {
        let Self {
            config,
            state_dir,
            findings_file,
            cri_socket,
            listen,
            pin_dir,
            hooks,
            node_name,
            log_level,
            policy,
        } = self;
        let overrides = Overrides {
            node_name,
            state_dir,
            pin_dir,
            hooks,
            findings_file,
            cri_socket,
            listen,
            log_level,
            policy,
        };
        (config, overrides)
    }
}

/// Flags of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Address that the agent listens on (its http.listen).
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9470")]
    pub listen: SocketAddr,
    /// Form of the answer.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// For machines.
    Json,
}

/// Flags of `detach`.
#[derive(Args, Debug)]
pub struct DetachArgs {
    /// Folder on a bpf file system for links, rings and counters (pin_dir).
    #[arg(long, value_name = "DIR", value_parser = value::path, default_value = "/sys/fs/bpf/kestrel")]
    pub pin_dir: PathBuf,
}

/// Flags of `prepare`.
#[derive(Args, Debug)]
pub struct PrepareArgs {
    /// Folders, made if missing.
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// User that they are given to.
    #[arg(long, value_name = "UID", default_value_t = 65532)]
    pub uid: u32,
    /// Group that they are given to.
    #[arg(long, value_name = "GID", default_value_t = 65532)]
    pub gid: u32,
}

/// Flags of `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfigArgs {
    /// The file.
    #[arg(value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub file: PathBuf,
    /// Policy file, instead of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Good,
    /// The agent answered, and is not healthy or not ready.
    Unhealthy,
    /// The question could not be answered, or the answer is no.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => Self::SUCCESS,
            Exit::Unhealthy => Self::from(1),
            Exit::Failed => Self::from(2),
        }
    }
}

/// An error and its sources on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
