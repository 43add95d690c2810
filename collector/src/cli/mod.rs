//! The command line: what is asked for. The commands write to what they are given, so that the
//! terminal stays main's.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use kestrel_tls::ListenAddress;

use crate::config::{Config, LogLevel, Overrides, value};

/// Takes the events of all nodes, keeps them, shows them, alerts.
#[derive(Debug, Parser)]
#[command(name = "kestrel-collector", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take events until told to stop.
    Run(RunArgs),
    /// Check a configuration file: exit code 0 good, 2 not.
    CheckConfig(CheckConfigArgs),
}

/// Flags of `run`. Each overrides its key in the configuration file.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Configuration file [default: /etc/kestrel/collector.yaml, when it exists].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of what outlives the collector (data_dir).
    #[arg(long, value_name = "DIR", value_parser = value::path)]
    pub data_dir: Option<PathBuf>,
    /// Address for agents and clients (grpc.listen).
    #[arg(long, value_name = "ADDR", value_parser = value::grpc_listen)]
    pub grpc_listen: Option<ListenAddress>,
    /// Address of metrics, health and status, or off (http.listen).
    #[arg(long, value_name = "ADDR", value_parser = parse_http)]
    pub http_listen: Option<HttpListen>,
    /// Least severe level that is logged (log.level).
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

/// `http.listen` as a flag.
#[derive(Clone, Copy, Debug)]
pub struct HttpListen(pub Option<SocketAddr>);

fn parse_http(text: &str) -> Result<HttpListen, String> {
    value::http_listen(text).map(HttpListen)
}

impl RunArgs {
    /// The file that was named, and what the flags override.
    #[must_use]
    pub fn into_parts(self) -> (Option<PathBuf>, Overrides) {
        let Self { config, data_dir, grpc_listen, http_listen, log_level } = self;
        let http_listen = http_listen.map(|HttpListen(listen)| listen);
        (config, Overrides { data_dir, grpc_listen, http_listen, log_level })
    }
}

/// Flags of `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfigArgs {
    /// The file.
    #[arg(value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub file: PathBuf,
}

/// Checks a file and says so on `out`, or what is wrong on `err`.
///
/// # Errors
/// When these cannot be written.
pub fn check_config(
    args: CheckConfigArgs,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<ExitCode> {
    let shown = args.file.display().to_string();
    match Config::load(Some(args.file), Overrides::default()) {
        Ok(_) => writeln!(out, "{shown}: ok").map(|()| ExitCode::SUCCESS),
        Err(error) => writeln!(err, "{:#}", anyhow::Error::new(error)).map(|()| ExitCode::from(2)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.yaml");
        for (text, good) in [("data_dir: /x\n", true), ("data_dir: x\n", false)] {
            std::fs::write(&file, text).unwrap();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let code = check_config(CheckConfigArgs { file: file.clone() }, &mut out, &mut err).unwrap();
            assert_eq!(code == ExitCode::SUCCESS, good);
            assert_eq!((out.is_empty(), err.is_empty()), (!good, good));
        }
    }
}
