//! What rules make of a recording.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::work::Done;

type Counts = BTreeMap<String, u64>;

/// The summary, as it is kept: what was done, what was seen, and what was detected by whose rules.
pub fn of(cli: &Path, recording: &Path, official: &[PathBuf], minutes: u64, done: &Done) -> Result<String> {
    let events = events(recording)?;
    let ours = detections(cli, recording, &[])?;
    let theirs = detections(cli, recording, official)?;
    let total = |counts: &Counts| counts.values().sum::<u64>();
    let mut text = String::new();
    writeln!(text, "# {minutes} minutes of ordinary work on one node\n")?;
    writeln!(text, "## Detections\n\n| rules | detections |\n|---|---|")?;
    writeln!(
        text,
        "| Kestrel's | {} |\n| Falco's (stable, incubating, sandbox) | {} |",
        total(&ours),
        total(&theirs)
    )?;
    table(&mut text, "By Kestrel's rules", "rule", &ours)?;
    table(&mut text, "By Falco's rules", "rule", &theirs)?;
    table(&mut text, &format!("Events that either set wants: {}", total(&events)), "event", &events)?;
    writeln!(text, "\n## What was done\n\n| work | times | failed |\n|---|---|---|")?;
    for (work, (times, failed)) in done {
        writeln!(text, "| {work} | {times} | {failed} |")?;
    }
    Ok(text)
}

fn table(text: &mut String, title: &str, of: &str, counts: &Counts) -> Result<()> {
    writeln!(text, "\n## {title}\n")?;
    if counts.is_empty() {
        writeln!(text, "None.")?;
        return Ok(());
    }
    writeln!(text, "| {of} | times |\n|---|---|")?;
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
    for (name, count) in sorted {
        writeln!(text, "| {name} | {count} |")?;
    }
    Ok(())
}

fn events(recording: &Path) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in BufReader::new(File::open(recording)?).lines() {
        let event: Value = serde_json::from_str(&line?)?;
        let kind = event["evt.type"].as_str().or_else(|| event["fields"]["evt.type"].as_str());
        *counts.entry(kind.unwrap_or("?").to_owned()).or_default() += 1;
    }
    Ok(counts)
}

fn detections(cli: &Path, recording: &Path, rules: &[PathBuf]) -> Result<Counts> {
    let mut command = Command::new(cli);
    command.args(["-o", "json", "replay"]).arg(recording);
    for file in rules {
        command.arg("--rules").arg(file);
    }
    let out = command.output().with_context(|| cli.display().to_string())?;
    ensure!(out.status.success(), "replay: {}", String::from_utf8_lossy(&out.stderr));
    let mut counts = Counts::new();
    for line in String::from_utf8(out.stdout)?.lines() {
        let found: Value = serde_json::from_str(line)?;
        let rule = found["rule"].as_str().context("a match without a rule")?;
        *counts.entry(rule.to_owned()).or_default() += 1;
    }
    Ok(counts)
}
