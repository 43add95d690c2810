//! `kestrel-collector`: a shell over the library.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use kestrel_collector::{
    cli::{self, Cli, Command},
    config::Config,
    run,
};

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // With nowhere left to write to, the exit code has to do.
            let _ = writeln!(io::stderr(), "kestrel-collector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => {
            let (file, overrides) = args.into_parts();
            let config = Config::load(file, overrides)?;
            settings::log::init(&config.log);
            run::run(&config)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::CheckConfig(args) => {
            Ok(cli::check_config(args, &mut io::stdout().lock(), &mut io::stderr().lock())?)
        }
    }
}
