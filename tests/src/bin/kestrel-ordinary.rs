//! Records a node that does ordinary work, and counts what rules make of it.
#![allow(clippy::print_stdout, reason = "this program's output is for a terminal")]

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use kestrel_tests::{
    lab::Lab,
    ordinary::{debian, recording::Recorder, summary, work},
};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Args {
    /// How long, in minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// The recording; it must not exist, and stays.
    #[arg(long)]
    recording: PathBuf,
    /// Where to write the summary.
    #[arg(long)]
    summary: PathBuf,
    /// Falco's rule files, to hold ours against.
    #[arg(long, required = true, num_args = 1..)]
    official: Vec<PathBuf>,
    /// The agent, as it is released.
    #[arg(long, default_value = "target/release/kestrel-agent")]
    agent: PathBuf,
    /// The command line, as it is released.
    #[arg(long, default_value = "target/release/kestrel")]
    cli: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let lab = Lab::start()?;
    let image = debian::install(&lab)?;
    let recorder = Recorder::start(&args.agent, &args.recording, &lab, &args.official)?;
    let done = work::run(&lab, &image, Duration::from_secs(args.minutes * 60))?;
    let log = recorder.stop()?;
    drop(lab);
    let summary = summary::of(&args.cli, &args.recording, &args.official, args.minutes, &done)?;
    fs::write(&args.summary, &summary).with_context(|| args.summary.display().to_string())?;
    println!("{log}\n{summary}");
    Ok(())
}
