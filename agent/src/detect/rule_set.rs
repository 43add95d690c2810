//! A set of rules that was read, checked and compiled, ready to be put in force.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::SystemTime,
};

use rules::{
    compile::{Matching, Needs, Programs},
    eval::{Expression, Fields as _},
    field::{EventSet, EventType, Field, Reference},
    load::{self, Config, Finding, Loader, Position, Priority, WarningCode},
    output::Format,
    temporal::{Before, Temporal},
    value::Value,
};
use serde::{Deserialize, Serialize};

use super::{
    detection::bounded,
    field::unanswered,
    files::Text,
    hosts::{self, HostNames},
    kind,
    subject::Subject,
};
use crate::{image::Parts, posture::Severity, syscall};

/// Rules in force, or about to be.
#[derive(Debug)]
pub struct RuleSet {
    pub(super) programs: Programs,
    /// Those over several events.
    pub(super) temporal: Temporal,
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) matching: Matching,
    wanted: EventSet,
    fields: Vec<Field>,
    hosts: HostNames,
    /// Names that a rule lets pass.
    passing: HostNames,
    /// Rules that ask for a part of a peer's name.
    by_part: Vec<String>,
    hears_peer_names: bool,
    summary: Summary,
}

/// What is said of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// SHA-256 of the files' names and texts, hexadecimal.
    pub hash: String,
    /// Rules that are evaluated.
    pub active: usize,
    /// All rules.
    pub defined: usize,
    /// When it was made, nanoseconds since 1970.
    pub loaded_ns: u64,
    /// What is doubtful about it.
    pub warnings: Vec<String>,
}

/// What a match says of its rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// How urgent it is, as it says itself.
    pub priority: Priority,
    /// Its tags.
    pub tags: Vec<String>,
    pub(super) output: Format,
    fields: Vec<(String, Format)>,
    /// What it tells of the image that did it.
    pub(super) tells: Parts,
}

/// Why a set of files is not put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Most warnings that are kept.
const WARNINGS: usize = 64;
/// Longest sentence on a set, and longest name of a rule or tag that leaves the node. The collector takes more.
const SENTENCE_BYTES: usize = 1024;
const NAME_BYTES: usize = 512;
/// Most tags and values of a detection.
const TAGS: usize = 128;
const VALUES: usize = 128;

impl Rule {
    /// Of the same scale as findings.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self.priority {
            Priority::Emergency | Priority::Alert | Priority::Critical => Severity::Critical,
            Priority::Error => Severity::High,
            Priority::Warning => Severity::Medium,
            Priority::Notice | Priority::Informational | Priority::Debug => Severity::Low,
        }
    }

    /// What the output names, each once, and what the configuration adds.
    pub(super) fn values(
        &self,
        subject: &Subject<'_>,
        bounded: impl Fn(String) -> String,
    ) -> Vec<(String, Option<String>)> {
        let mut seen = HashSet::new();
        let references = self.output.values().flat_map(Expression::references);
        let mut values: Vec<_> = references
            .filter(|reference| seen.insert(reference.text()))
            .map(|reference| (reference.text().to_owned(), printed(subject, reference).map(&bounded)))
            .collect();
        let added =
            self.fields.iter().map(|(name, format)| (name.clone(), Some(bounded(format.render(subject)))));
        values.extend(added);
        values.truncate(VALUES);
        values
    }
}

impl RuleSet {
    /// Reads, checks and compiles texts, the later ones on top of the earlier.
    ///
    /// # Errors
    /// The first text that is refused, with its place and the reason.
    pub fn load(texts: &[Text], config: &Config, matching: Matching) -> Result<Self, Refused> {
        let config = Config { unanswered: unanswered(), resolved_names: true, ..config.clone() };
        let mut loader = Loader::new(config);
        let mut warnings = Vec::new();
        for text in texts {
            let report = loader.load(&text.name, &text.content);
            if let Some(error) = report.errors.first() {
                return Err(Refused(said(error)));
            }
            let more = report
                .warnings
                .iter()
                .filter(|warning| {
                    warning.code != WarningCode::UnusedMacro && warning.code != WarningCode::UnusedList
                })
                .map(said);
            warnings.extend(more.take(WARNINGS.saturating_sub(warnings.len())));
        }
        let set = loader.rules();
        let active: Vec<_> = set.active().map(|rule| Arc::new(Rule::from(rule))).collect();
        let single = set.active().enumerate().filter(|(_, rule)| rule.before.is_none());
        let programs = Programs::new(single.map(|(place, rule)| (place, &rule.condition)));
        let temporal = Temporal::new(set.active().enumerate());
        let references = set.active().flat_map(load::CompiledRule::references);
        let fields = references.map(Reference::field).collect::<BTreeSet<_>>().into_iter().collect();
        let wanted = programs.wanted_events().union(&temporal.wanted_events());
        // One step that is never seen is enough.
        let is_unseen = |rule: &&load::CompiledRule| rule.conditions().any(|it| !is_seen(it.events()));
        let unseen: Vec<_> = set.active().filter(is_unseen).collect();
        for rule in unseen.iter().take(WARNINGS.saturating_sub(warnings.len())) {
            warnings.push(format!(
                "rule \"{}\" can never match: none of the events that it is for is seen by this agent",
                rule.name
            ));
        }
        let mut compared = hosts::Compared::default();
        let by_part = set.active().filter(|rule| {
            let steps = rule.before.iter().flat_map(Before::steps).map(|step| &step.expr);
            steps.chain([&rule.expr]).filter(|expr| compared.add(expr)).count() > 0
        });
        let by_part = by_part.map(|rule| rule.name.clone()).collect();
        let hosts::Compared { names: hosts, passing } = compared;
        if hosts.len() > hosts::NAMES && warnings.len() < WARNINGS {
            warnings.push(format!(
                "of {} names that addresses are compared with the first {} are looked up",
                hosts.len(),
                hosts::NAMES
            ));
        }
        let hosts = hosts.into_iter().take(hosts::NAMES).collect();
        let summary = Summary {
            hash: Text::digest(texts).iter().map(|byte| format!("{byte:02x}")).collect(),
            active: active.len(),
            defined: set.rules().len(),
            loaded_ns: since_1970(),
            warnings,
        };
        let mut set = Self {
            programs,
            temporal,
            rules: active,
            matching,
            wanted,
            fields,
            hosts,
            passing,
            by_part,
            hears_peer_names: false,
            summary,
        };
        set.hears_peer_names = hosts::FIELDS.into_iter().any(|field| set.asks_for(field));
        Ok(set)
    }

    /// Names of peers are not to be taken from the answers of name servers.
    #[must_use]
    pub fn without_peer_names(mut self) -> Self {
        self.hears_peer_names = false;
        let room = WARNINGS.saturating_sub(self.summary.warnings.len());
        for name in self.by_part.iter().take(room) {
            self.summary.warnings.push(format!(
                "rule \"{name}\" asks for a part of a host's name: without rules.peer_names an address has only the \
                 names that rules ask for as a whole, by =, != or in"
            ));
        }
        self
    }

    /// Whether rules ask for names of peers, which are taken from the answers of name servers.
    #[must_use]
    pub const fn hears_peer_names(&self) -> bool {
        self.hears_peer_names
    }

    /// Rules that nothing else than those answers can make true: they ask for a part of a name.
    #[must_use]
    pub fn needs_peer_names(&self) -> &[String] {
        if self.hears_peer_names { &self.by_part } else { &[] }
    }

    /// What is said of it.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Names that addresses are compared with.
    #[must_use]
    pub const fn hosts(&self) -> &HostNames {
        &self.hosts
    }

    /// Names that make a condition false, so that nobody may lay claim to them who is watched by it.
    pub(super) const fn passing(&self) -> &HostNames {
        &self.passing
    }

    /// Whether any condition asks for a field.
    pub(super) fn asks_for(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }

    /// What every rule for events of a type needs of one; `None`: there are no such rules.
    pub(super) fn needs(&self, event: EventType) -> Option<Needs> {
        let both = [self.programs.needs(event), self.temporal.needs(event)];
        both.into_iter().flatten().cloned().reduce(Needs::or)
    }

    /// Whether any rule can match an event of a type.
    #[must_use]
    pub fn wants(&self, event: EventType) -> bool {
        self.wanted.contains(event)
    }
}

impl From<&load::CompiledRule> for Rule {
    fn from(rule: &load::CompiledRule) -> Self {
        Self {
            name: bounded(rule.name.clone(), NAME_BYTES),
            priority: rule.priority,
            tags: rule.tags.iter().take(TAGS).map(|tag| bounded(tag.clone(), NAME_BYTES)).collect(),
            output: rule.output.clone(),
            fields: rule.fields.clone(),
            tells: rule
                .fields
                .iter()
                .map(|(_, format)| format)
                .chain([&rule.output])
                .map(parts_of)
                .fold(Parts::NONE, Parts::with),
        }
    }
}

/// What a text tells of an image.
fn parts_of(format: &Format) -> Parts {
    let fields = format.values().flat_map(Expression::references).map(Reference::field);
    fields.fold(Parts::NONE, |parts, field| match field {
        Field::ProcHash => parts.with(Parts::HASH),
        Field::ProcEnv => parts.with(Parts::ENVIRONMENT),
        Field::ProcExeInoCtime | Field::ProcExeInoMtime | Field::ProcExeInoCtimeDurationProcStart => {
            parts.with(Parts::TIMES)
        }
        _ => parts,
    })
}

/// Whether the agent sees any event of these types.
fn is_seen(events: &EventSet) -> bool {
    let of_calls = syscall::all().filter_map(|call| kind::of_name(call.name));
    let others = ["execve", "procexit", "clone"].into_iter().filter_map(EventType::find);
    of_calls.chain(others).any(|event| events.contains(event))
}

fn printed(subject: &Subject<'_>, reference: &Reference) -> Option<String> {
    let value = subject.field(reference);
    let texts: Vec<_> = value
        .scalars()
        .iter()
        .map(|scalar| String::from_utf8_lossy(&scalar.to_text()).into_owned())
        .collect();
    match value {
        Value::Missing | Value::Pending => None,
        Value::One(_) | Value::Many(_) => Some(texts.join(",")),
    }
}

/// One sentence that names file, line and reason.
fn said<Code>(finding: &Finding<Code>) -> String {
    let Finding { context, message, .. } = finding;
    let place = context.locations.last().map(|location| &location.position);
    let item = context.locations.iter().rev().find(|location| !location.item_name.is_empty());
    let item = item.map_or_else(String::new, |it| format!("{} {:?}: ", it.item_type, it.item_name));
    let said = match place {
        Some(Position { name, line, column, .. }) => format!("{name}:{line}:{column}: {item}{message}"),
        None => format!("{item}{message}"),
    };
    bounded(said, SENTENCE_BYTES)
}

fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
