//! `rules list` and `rules show`.

use std::collections::HashSet;

use inert::inert;
use rules::{
    field::{EventType, Reference},
    load::{CompiledRule, Config, RuleSet, Which},
};
use serde::Serialize;

use super::{
    args::{ListArgs, ShowArgs},
    files,
    opens::Opens,
};
use crate::{
    Failure, Outcome,
    args::Format,
    json,
    look::{Cell, Look, Paint, Table},
    output::Output,
};

/// Kinds of events by which a list names a rule, at most.
const EVENTS_SHOWN: usize = 6;

/// A rule as programs read it.
#[derive(Serialize)]
struct Shown<'a> {
    rule: &'a str,
    source: &'a str,
    description: &'a str,
    priority: &'static str,
    active: bool,
    tags: Vec<&'a str>,
    /// Absent: all kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<&'static str>>,
    fields: Vec<&'a str>,
    /// Which opens of files an agent hears of for it. Absent: none, or it is a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens: Option<Opens>,
    condition: String,
    /// What must have happened before.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    output: &'a str,
}

impl<'a> Shown<'a> {
    fn of(rule: &'a CompiledRule) -> Self {
        Self {
            rule: &rule.name,
            source: &rule.source,
            description: &rule.description,
            priority: rule.priority.as_str(),
            active: rule.is_active,
            tags: rule.tags.iter().map(String::as_str).collect(),
            events: events(rule),
            fields: fields(rule),
            opens: None,
            condition: rule.expr.to_string(),
            before: rule.before.as_ref().map(ToString::to_string),
            output: rule.output.text(),
        }
    }
}

/// In the order they stand, each once.
fn fields(rule: &CompiledRule) -> Vec<&str> {
    let mut seen = HashSet::new();
    rule.references().map(Reference::text).filter(|field| seen.insert(*field)).collect()
}

/// `None`: any.
fn events(rule: &CompiledRule) -> Option<Vec<&'static str>> {
    let set = rule.events();
    (set.len() < EventType::all().count()).then(|| set.iter().map(EventType::name).collect())
}

pub(super) fn list(args: &ListArgs, format: Format, look: Look) -> Result<Outcome, Failure> {
    let set = files::usable(&args.from.rules, Config::default())?;
    let named: Vec<_> = args.names.iter().cloned().map(Which::Name).collect();
    let tagged: Vec<_> = args.tag.iter().cloned().map(Which::Tag).collect();
    let wanted = |rule: &&CompiledRule| {
        [&named, &tagged]
            .into_iter()
            .all(|which| which.is_empty() || which.iter().any(|one| one.is(&rule.name, &rule.tags)))
    };
    let mut output = Output::stdout();
    let rules = set.rules().iter().filter(wanted);
    if matches!(format, Format::Json | Format::Yaml) {
        for rule in rules {
            output.object(json::write(&Shown::of(rule))?, format)?;
        }
    } else {
        for line in table(rules).lines(look) {
            output.line(line)?;
        }
    }
    output.flush()?;
    Ok(Outcome::Fine)
}

fn table<'a>(rules: impl Iterator<Item = &'a CompiledRule>) -> Table {
    let mut table = Table::new(&["PRIORITY", "ACTIVE", "RULE", "EVENTS", "TAGS"]);
    for rule in rules {
        let events = match events(rule) {
            None => "any".to_owned(),
            Some(names) if names.len() > EVENTS_SHOWN => {
                format!("{}, and {} more", names[..EVENTS_SHOWN].join(", "), names.len() - EVENTS_SHOWN)
            }
            Some(names) => names.join(", "),
        };
        let active = if rule.is_active { Cell::from("yes") } else { Cell::painted("no", Paint::Warn) };
        let tags: Vec<_> = rule.tags.iter().map(inert).collect();
        table.row(vec![
            rule.priority.as_str().into(),
            active,
            inert(&rule.name).into(),
            events.into(),
            tags.join(", ").into(),
        ]);
    }
    table
}

pub(super) fn show(args: &ShowArgs, format: Format) -> Result<Outcome, Failure> {
    let set = files::usable(&args.from.rules, Config::default())?;
    // As the agent takes them.
    let resolved = files::usable(&args.from.rules, Config { resolved_names: true, ..Config::default() })?;
    let opens = Opens::of(find(&resolved, &args.rule)?.conditions());
    let shown = Shown { opens, ..Shown::of(find(&set, &args.rule)?) };
    let mut output = Output::stdout();
    if matches!(format, Format::Json | Format::Yaml) {
        output.object(json::write(&shown)?, format)?;
    } else {
        let Shown {
            rule,
            source,
            description,
            priority,
            active,
            tags,
            events,
            fields,
            opens,
            condition,
            before,
            output: says,
        } = shown;
        let events = events.map_or_else(|| "any".to_owned(), |names| names.join(", "));
        let opens = opens.map(|opens| opens.text());
        let opens = opens.as_deref().map(|opens| ("Opens", opens));
        let before = before.as_deref().map(|before| ("Before", before));
        for (name, text) in [
            ("Rule", rule),
            ("Description", description),
            ("Priority", priority),
            ("Active", if active { "yes" } else { "no" }),
            ("Source", source),
            ("Tags", &tags.join(", ")),
            ("Events", &events),
            ("Fields", &fields.join(", ")),
        ]
        .into_iter()
        .chain(opens)
        .chain([("Condition", condition.as_str())])
        .chain(before)
        .chain([("Output", says)])
        {
            output.line(format!("{name:<12} {}", inert(text.trim())))?;
        }
    }
    output.flush()?;
    Ok(Outcome::Fine)
}

/// The rule of that name.
pub(super) fn find<'a>(set: &'a RuleSet, name: &str) -> Result<&'a CompiledRule, Failure> {
    if let Some(rule) = set.rules().iter().find(|rule| rule.name == name) {
        return Ok(rule);
    }
    let near = set
        .rules()
        .iter()
        .map(|rule| (strsim::jaro_winkler(&rule.name.to_lowercase(), &name.to_lowercase()), rule))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(likeness, _)| *likeness > 0.8);
    Err(Failure::Usage(match near {
        Some((_, rule)) => format!("there is no rule `{name}`; was `{}` meant?", rule.name),
        None => format!("there is no rule `{name}`"),
    }))
}
