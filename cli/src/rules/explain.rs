//! `rules explain`: what each part of a condition is of an event.

use inert::inert;
use rules::{
    condition::ast::{Expr, ExprKind, Operand},
    eval::{CheckError, Condition, Expression},
    event::JsonEvent,
    load::{CompiledRule, Config},
    output::MISSING,
    value::Truth,
};
use serde::Serialize;

use super::{
    args::ExplainArgs,
    events::{Events, Recorded},
    files, list,
};
use crate::{
    Failure, Outcome,
    args::Format,
    json,
    look::{self, Cell, Look, Paint},
    output::Output,
};

/// The longest word for a truth.
const WORD_COLUMNS: usize = 7;

/// A part of a condition, and what it is of the event.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    /// `true`, `false` or `unknown`.
    truth: &'static str,
    /// `and`, `or`, `not`, or the comparison itself.
    condition: String,
    /// What the event has for the left side of a comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
}

pub(super) fn run(args: &ExplainArgs, format: Format, look: Look) -> Result<Outcome, Failure> {
    let set = files::usable(&args.from.rules, Config::default())?;
    let rule = list::find(&set, &args.rule)?;
    let recorded = event(args)?;
    let part = part(rule, &recorded.event)?;
    let mut output = Output::stdout();
    if matches!(format, Format::Json | Format::Yaml) {
        #[derive(Serialize)]
        struct Explained<'a> {
            rule: &'a str,
            #[serde(rename = "evt.num")]
            number: Option<u64>,
            explanation: &'a Part,
        }
        let explained = Explained { rule: &rule.name, number: recorded.number, explanation: &part };
        output.object(json::write(&explained)?, format)?;
    } else {
        let number =
            recorded.number.map_or_else(|| "an event".to_owned(), |number| format!("event {number}"));
        let word = match (rule.condition.evaluate(&recorded.event), &rule.before) {
            (Truth::True, None) => "matches",
            (Truth::True, Some(_)) => "matches, if what must come before did,",
            (Truth::False, _) => "does not match",
            (Truth::Unknown, _) => "may match",
        };
        output.line(format!("{} {word} {number}", inert(&rule.name)))?;
        write(&mut output, &part, 1, look)?;
    }
    output.flush()?;
    Ok(Outcome::Fine)
}

/// The event that is asked for; the first one where none is.
fn event(args: &ExplainArgs) -> Result<Recorded, Failure> {
    let mut events = Events::open(&args.events)?;
    while let Some(event) = events.next()? {
        let recorded = event.map_err(Failure::Usage)?;
        if args.num.is_none() || args.num == recorded.number {
            return Ok(recorded);
        }
    }
    let path = args.events.display();
    Err(Failure::Usage(match args.num {
        Some(number) => format!("{path} has no event {number}"),
        None => format!("{path} has no event"),
    }))
}

/// What each part of a rule's condition is of an event. A rule over several events has one for each of its steps.
pub(super) fn part(rule: &CompiledRule, event: &JsonEvent) -> Result<Part, Failure> {
    let own = part_of(&rule.expr, event);
    let whole = match &rule.before {
        None => own,
        Some(before) => {
            let steps = before.steps().iter().map(|step| part_of(&step.expr, event));
            steps.chain([own]).collect::<Result<Vec<_>, _>>().map(|parts| Part {
                truth: parts.last().map_or("false", |own| own.truth),
                condition: before.to_string(),
                value: None,
                parts,
            })
        }
    };
    whole.map_err(|error| Failure::Usage(format!("a part of the condition cannot stand alone: {error}")))
}

fn part_of(expr: &Expr, event: &JsonEvent) -> Result<Part, CheckError> {
    let truth = word(Condition::check(expr)?.evaluate(event));
    let (condition, value, parts) = match &expr.kind {
        ExprKind::And(all) => ("and".to_owned(), None, all.iter().map(|one| part_of(one, event)).collect()),
        ExprKind::Or(all) => ("or".to_owned(), None, all.iter().map(|one| part_of(one, event)).collect()),
        ExprKind::Not(one) => ("not".to_owned(), None, part_of(one, event).map(|part| vec![part])),
        ExprKind::Exists(left) => (expr.to_string(), Some(value(left, event)?), Ok(Vec::new())),
        ExprKind::Compare(comparison) => {
            (expr.to_string(), Some(value(&comparison.left, event)?), Ok(Vec::new()))
        }
        ExprKind::Macro(_) => (expr.to_string(), None, Ok(Vec::new())),
    };
    Ok(Part { truth, condition, value, parts: parts? })
}

fn value(left: &Operand, event: &JsonEvent) -> Result<String, CheckError> {
    Ok(Expression::check(left)?.print(event).unwrap_or_else(|| MISSING.to_owned()))
}

const fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    }
}

/// Writes a part and, further in, what it is made of.
pub(super) fn write(output: &mut Output, part: &Part, depth: usize, look: Look) -> std::io::Result<()> {
    let Part { truth, condition, value, parts } = part;
    let paint = match *truth {
        "true" => Paint::Good,
        "false" => Paint::Warn,
        _ => Paint::Plain,
    };
    let mut line = "  ".repeat(depth);
    look::cell(&mut line, &Cell::painted(*truth, paint), WORD_COLUMNS, look);
    line.push_str(&inert(condition));
    if let Some(value) = value {
        line.push_str(&format!("    [{}]", inert(value)));
    }
    output.line(line)?;
    parts.iter().try_for_each(|part| write(output, part, depth + 1, look))
}
