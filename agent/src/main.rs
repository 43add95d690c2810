//! `kestrel-agent`: a shell over the library.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use kestrel_agent::{
    cli::{self, Cli, Command, RecordArgs},
    config::Config,
    kernel::prove,
    privilege,
    run::{self, Recording},
    uplink::canary,
};

fn main() -> ExitCode {
    if let Some(argument) = prove::subject_argument() {
        return prove::be_subject(argument.as_deref());
    }
    if let Some(code) = canary::be_canary() {
        return code;
    }
    if let Err(error) = privilege::take_permitted() {
        let _ = writeln!(io::stderr(), "kestrel-agent: cannot take its capabilities: {error}");
    }
    match execute(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // With nowhere left to write to, the exit code has to do.
            let _ = writeln!(io::stderr(), "kestrel-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    match command {
        Command::Run(args) => {
            drop((out, err));
            let (file, overrides) = args.into_parts();
            let config = Config::load(file, overrides)?;
            settings::log::init(&config.log);
            run::run(config)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Record(RecordArgs { file, lasts, run: args }) => {
            drop((out, err));
            let (config, overrides) = args.into_parts();
            let config = Config::load(config, overrides)?;
            settings::log::init(&config.log);
            run::record(config, &Recording { file, lasts })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Status(args) => Ok(cli::status(&args, &mut out, &mut err)?.into()),
        Command::CheckConfig(args) => Ok(cli::check_config(args, &mut out, &mut err)?.into()),
        Command::Detach(args) => Ok(cli::detach(&args, &mut out, &mut err)?.into()),
        Command::Prepare(args) => Ok(cli::prepare(&args, &mut out, &mut err)?.into()),
    }
}
