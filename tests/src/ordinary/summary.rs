//! What rules make of a recording.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::work::Done;

type Counts = BTreeMap<String, u64>;

/// The summary, as it is kept: what was done, what was seen, and what was detected by whose rules.
pub fn of(cli: &Path, recording: &Path, official: &[PathBuf], minutes: u64, done: &Done) -> Result<String> {
    // Each reads the whole recording.
    let (events, ours, theirs) = thread::scope(|scope| {
        let ours = scope.spawn(|| detections(cli, recording, &[]));
        let theirs = scope.spawn(|| detections(cli, recording, official));
        (events(recording), ours.join(), theirs.join())
    });
    let panicked = |_| anyhow!("a replay panicked");
    let (events, ours, theirs) = (events?, ours.map_err(panicked)??, theirs.map_err(panicked)??);
    let total = |counts: &Counts| counts.values().sum::<u64>();
    let mut text = String::new();
    writeln!(text, "# {minutes} minutes of ordinary work on one node\n")?;
    writeln!(text, "## Detections\n\n| rules | detections |\n|---|---|")?;
    writeln!(text, "| Kestrel's | {} |\n| Falco's | {} |", total(&ours), total(&theirs))?;
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

/// Events by type, of what is packed as of what is not.
fn events(recording: &Path) -> Result<Counts> {
    const TYPE: &str = "\"evt.type\":\"";
    let mut unpack = Command::new("gzip")
        .args(["-dcf"])
        .arg(recording)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run gzip")?;
    let lines = unpack.stdout.take().context("gzip without an output")?;
    let mut counts = Counts::new();
    // Not parsed: nearly all of a line is of no interest here, and there are millions.
    for line in BufReader::with_capacity(1 << 20, lines).lines() {
        let line = line?;
        let kind = line.split_once(TYPE).and_then(|(_, rest)| rest.split_once('"')).map(|(kind, _)| kind);
        *counts.entry(kind.context("a line without a type")?.to_owned()).or_default() += 1;
    }
    ensure!(unpack.wait()?.success(), "gzip failed");
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
