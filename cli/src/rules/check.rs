//! `rules check`.

use inert::inert;
use rules::load::{Config, Context, Report};
use serde::Serialize;

use super::{args::CheckArgs, files};
use crate::{Failure, Outcome, args::Format, json, output::Output};

/// Falco's result of `--validate` with JSON.
#[derive(Serialize)]
struct Results<'a> {
    falco_load_results: &'a [Report],
}

pub(super) fn run(args: &CheckArgs, format: Format) -> Result<Outcome, Failure> {
    let (loader, reports) = files::load(&args.files, Config::default());
    let mut output = Output::stdout();
    if matches!(format, Format::Json | Format::Yaml) {
        output.object(json::write(&Results { falco_load_results: &reports })?, format)?;
    } else {
        for report in &reports {
            for line in lines(report, true) {
                output.line(line)?;
            }
        }
        let counts = loader.counts();
        let active = loader.rules().active().count();
        output.line(format!(
            "{} rules, {active} of them active; {} macros, {} lists",
            counts.rules, counts.macros, counts.lists
        ))?;
    }
    output.flush()?;
    let is_fine = reports.iter().all(|report| report.successful);
    Ok(if is_fine { Outcome::Fine } else { Outcome::Found })
}

/// A report for people: each finding with the line that it is about.
pub(super) fn lines(report: &Report, with_warnings: bool) -> Vec<String> {
    let word = match (report.successful, report.warnings.len()) {
        (true, 0) => "ok".to_owned(),
        (true, 1) => "ok, with 1 warning".to_owned(),
        (true, count) => format!("ok, with {count} warnings"),
        (false, _) => "REFUSED".to_owned(),
    };
    let mut lines = vec![format!("{}: {word}", inert(&report.name))];
    for error in &report.errors {
        finding(&mut lines, &error.context, error.code.code(), &error.message);
    }
    if with_warnings {
        for warning in &report.warnings {
            finding(&mut lines, &warning.context, warning.code.code(), &warning.message);
        }
    }
    lines
}

fn finding(lines: &mut Vec<String>, context: &Context, code: &str, message: &str) {
    let place = context.locations.last().map(|location| {
        let position = &location.position;
        format!("{}:{}:{}: ", inert(&position.name), position.line, position.column)
    });
    lines.push(format!("{}{code}: {}", place.unwrap_or_default(), inert(message)));
    let snippet = || context.snippet.lines();
    let is_empty = snippet().next().is_none_or(|line| line.trim().is_empty());
    // The caret stands below what is shown, which hostile characters would move.
    if !is_empty && snippet().all(|line| inert(line) == line) {
        lines.extend(snippet().map(str::to_owned));
    }
}
