//! `rules test`.

use inert::inert;
use rules::{
    event::{Fixture, JsonEvent},
    load::{CompiledRule, Config},
    value::Truth,
};
use serde::Serialize;

use super::{
    args::TestArgs,
    explain::{self, Part},
    files,
    fixtures::{self, OfRule},
};
use crate::{
    Failure, Outcome,
    args::Format,
    json,
    look::{self, Cell, Look, Paint},
    output::Output,
};

/// The longest word for what became of a rule.
const WORD_COLUMNS: usize = 6;

/// What became of a rule.
#[derive(Serialize)]
struct Tested<'a> {
    rule: &'a str,
    ok: bool,
    failures: Vec<Wrong<'a>>,
}

/// Why a rule has failed.
#[derive(Serialize)]
struct Wrong<'a> {
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    /// What each part of the condition is of the event, of several of the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Part>,
}

pub(super) fn run(args: &TestArgs, format: Format, look: Look) -> Result<Outcome, Failure> {
    let set = files::usable(&args.files, Config::default())?;
    let fixtures = fixtures::of(&args.files, &args.fixtures)?;
    let mut all = Vec::new();
    for rule in set.rules() {
        let failures = failures(rule, &fixtures)?;
        all.push(Tested { rule: &rule.name, ok: failures.is_empty(), failures });
    }
    let strays = fixtures.iter().filter(|fixture| set.rules().iter().all(|rule| rule.name != fixture.rule));
    all.extend(strays.map(|fixture| Tested {
        rule: &fixture.rule,
        ok: false,
        failures: vec![Wrong {
            why: "there is no rule of this name",
            file: Some(&fixture.file),
            explanation: None,
        }],
    }));
    write(&all, format, look)?;
    Ok(if all.iter().all(|tested| tested.ok) { Outcome::Fine } else { Outcome::Found })
}

fn failures<'f>(rule: &CompiledRule, fixtures: &'f [OfRule]) -> Result<Vec<Wrong<'f>>, Failure> {
    let mut failures = Vec::new();
    let mut own = fixtures.iter().filter(|fixture| fixture.rule == rule.name).peekable();
    if own.peek().is_none() {
        failures.push(Wrong { why: "it has no fixtures", file: None, explanation: None });
    }
    for OfRule { file, fixture: Fixture { matching, missing, .. }, .. } in own {
        let mut wrong = |why, events: &[JsonEvent]| {
            let last = events.last().map(|event| explain::part(rule, event)).transpose()?;
            failures.push(Wrong { why, file: Some(file), explanation: last });
            Ok::<_, Failure>(())
        };
        if !Fixture::evaluate(rule, matching).is_true() {
            wrong("it does not match what it must", matching)?;
        }
        if Fixture::evaluate(rule, missing) != Truth::False {
            wrong("it matches what it must not", missing)?;
        }
    }
    Ok(failures)
}

fn write(all: &[Tested<'_>], format: Format, look: Look) -> Result<(), Failure> {
    let mut output = Output::stdout();
    if matches!(format, Format::Json | Format::Yaml) {
        for tested in all {
            output.object(json::write(tested)?, format)?;
        }
        output.flush()?;
        return Ok(());
    }
    for Tested { rule, ok, failures } in all {
        let (word, paint) = if *ok { ("ok", Paint::Good) } else { ("FAILED", Paint::Bad) };
        let mut line = String::new();
        look::cell(&mut line, &Cell::painted(word, paint), WORD_COLUMNS, look);
        line.push_str(&inert(rule));
        output.line(line)?;
        for Wrong { why, file, explanation } in failures {
            let place = file.map(|file| format!("{}: ", inert(file))).unwrap_or_default();
            output.line(format!("  {place}{why}"))?;
            if let Some(part) = explanation {
                explain::write(&mut output, part, 2, look)?;
            }
        }
    }
    let failed = all.iter().filter(|tested| !tested.ok).count();
    output.line(format!("{} rules, {failed} of them failed", all.len()))?;
    output.flush()?;
    Ok(())
}
