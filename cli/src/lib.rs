//! Events, findings, containers and nodes on the command line.
//!
//! [`args`] is what can be asked, [`connect`] how the collector is reached, [`tail`], [`list`], [`posture`],
//! [`rules`] and [`doctor`] the commands. [`text`] is what people read, [`json`] and [`yaml`] what programs read.

#![forbid(unsafe_code)]

pub mod args;
pub mod connect;
pub mod doctor;
pub mod filter;
pub mod json;
pub mod list;
pub mod look;
pub mod output;
pub mod posture;
pub mod rules;
pub mod tail;
pub mod text;
pub mod time;
pub mod yaml;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser as _};

use self::{
    args::{Cli, Command},
    connect::ConnectError,
    look::Look,
    output::Output,
};

/// What a command found, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 0: all is well, or nothing was asked.
    Fine,
    /// 1: something was found that somebody has to look at.
    Found,
}

/// Why a command did not do what it should. The exit code is 2.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No way to the collector.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The collector answered with an error.
    #[error("{server} refused: {}", describe(.status))]
    Refused {
        /// The collector.
        server: String,
        /// What it said.
        status: Box<tonic::Status>,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which one.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Files of rules that cannot be used; what is wrong with them was said.
    #[error("{refused} of {of} files of rules cannot be used")]
    Rules {
        /// How many.
        refused: usize,
        /// Of how many.
        of: usize,
    },
    /// A filter or a time that means nothing.
    #[error("{0}")]
    Usage(String),
    /// The output takes no more.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The runtime could not be started.
    #[error("cannot start: {0}")]
    Start(String),
}

/// A collector's own words, which [`chain`] makes inert.
fn describe(status: &tonic::Status) -> &str {
    if status.message().is_empty() { status.code().description() } else { status.message() }
}

/// Parses the command line, runs the command, and gives the exit code: 0 fine, 1 something was
/// found, 2 wrong usage or a collector that is not reached.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        // Whoever read the output has read enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {}", chain(&failure)));
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<Outcome, Failure> {
    if let Command::Completion { shell } = cli.command {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "kestrel", &mut text);
        let mut output = Output::stdout();
        output.write(&text)?;
        output.flush()?;
        return Ok(Outcome::Fine);
    }
    let stdout = io::stdout();
    let look = Look::of_environment(cli.global.color, stdout.is_terminal(), look::terminal_columns(&stdout));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Start(error.to_string()))?;
    let outcome = runtime.block_on(async {
        match &cli.command {
            Command::Tail(args) => tail::run(&cli.global, args, look).await,
            Command::Findings(args) => list::findings(&cli.global, args, look).await,
            Command::Inventory(args) => list::inventory(&cli.global, args, look).await,
            Command::Posture(args) => posture::run(&cli.global, args, look).await,
            Command::Rules(args) => rules::run(&cli.global, args, look),
            Command::Replay(args) => rules::replay(&cli.global, args),
            Command::Nodes(args) => list::nodes(&cli.global, args, look).await,
            Command::Doctor(args) => doctor::run(&cli.global, args, look).await,
            Command::Completion { .. } => Ok(Outcome::Fine),
        }
    });
    // A name that is being looked up must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// A line on standard error.
#[expect(clippy::print_stderr, reason = "this is the command line's other voice")]
pub(crate) fn say(line: &str) {
    eprintln!("kestrel: {line}");
}

/// An error with its sources, which its own message does not repeat.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    inert::inert(text)
}
