//! Rules files: from text to a set of rules, with all that is wrong or doubtful about them.
//!
//! This follows Falco 0.44 (`userspace/engine/rule_loader_*.cpp`), messages included where tools look for them.
//! It differs in this:
//! - Places in reports are those in the file, from line and column 1, also within folded conditions, macros,
//!   lists and exceptions. Falco counts from 0, and within a condition from the condition.
//! - Lists are resolved however deep they refer to lists that were defined before. Falco resolves one level.
//! - A file that is refused changes nothing.
//! - A `kestrel_rule` is a rule over several events ([`temporal`](crate::temporal)). Falco skips it as an item
//!   that it does not know.
//! - Everything is bounded: the length of files, conditions and lists, how deep they nest, and what macros,
//!   lists, exceptions and aliases of YAML can multiply to.

mod check;
mod collect;
mod compile;
mod config;
mod decode;
mod doubts;
mod exception;
mod item;
mod links;
mod lists;
mod macros;
mod priority;
mod read;
mod read_before;
mod read_rule;
mod report;
mod script;
mod source;
mod version;
mod yaml;

use std::{collections::BTreeSet, sync::Arc};

pub use config::{Addition, Config, Selection, Which};
pub use item::PluginVersion;
pub use priority::{Priority, UnknownPriority};
pub use report::{Context, ErrorCode, Finding, Location, MAX_WARNINGS, Position, Report, WarningCode};
pub use version::{ENGINE_VERSION, InvalidVersion, Version};

use crate::{
    compile::Programs,
    condition::ast::Expr,
    eval::Condition,
    field::{EventSet, Reference},
    output::Format,
    temporal::{Before, Temporal},
};
use collect::Collector;
use read::Reader;
use report::Failure;
use source::File;

/// The longest file. The official rules have 64 KB.
pub const MAX_FILE: usize = 4 << 20;

/// Rules that can be evaluated, in the order of their first definition.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<CompiledRule>,
    required_plugins: Vec<Vec<PluginVersion>>,
}

impl RuleSet {
    /// All rules, also those that are not active.
    #[must_use]
    pub fn rules(&self) -> &[CompiledRule] {
        &self.rules
    }

    /// The rules to evaluate.
    pub fn active(&self) -> impl Iterator<Item = &CompiledRule> {
        self.rules.iter().filter(|rule| rule.is_active)
    }

    /// The rules to evaluate, compiled together, but those over several events. A match tells of a rule by its
    /// place among all rules.
    #[must_use]
    pub fn compile(&self) -> Programs {
        let rules = self.rules.iter().enumerate();
        let single = rules.filter(|(_, rule)| rule.is_active && rule.before.is_none());
        Programs::new(single.map(|(place, rule)| (place, &rule.condition)))
    }

    /// The rules over several events, in the same way.
    #[must_use]
    pub fn compile_temporal(&self) -> Temporal {
        Temporal::new(self.rules.iter().enumerate().filter(|(_, rule)| rule.is_active))
    }

    /// Plugins that files ask for; of each entry, one is enough.
    #[must_use]
    pub fn required_plugins(&self) -> &[Vec<PluginVersion>] {
        &self.required_plugins
    }
}

/// A rule that can be evaluated.
#[derive(Debug, Clone)]
pub struct CompiledRule {
    /// Its name.
    pub name: String,
    /// Where its events come from.
    pub source: String,
    /// What it is for.
    pub description: String,
    /// How urgent a match is.
    pub priority: Priority,
    /// Its tags, those of the configuration included.
    pub tags: BTreeSet<String>,
    /// The condition as it was written and appended to.
    pub text: String,
    /// The condition with its exceptions, lists and macros put in. Spans are those of the texts it was put
    /// together from.
    pub expr: Expr,
    /// The same, checked and ready to be evaluated.
    pub condition: Condition,
    /// What must have happened before; only a `kestrel_rule` says so.
    pub before: Option<Before>,
    /// What a match says.
    pub output: Format,
    /// Further values of a match, by name.
    pub fields: Vec<(String, Format)>,
    /// Whether a match starts a capture.
    pub capture: bool,
    /// For how many milliseconds.
    pub capture_duration: Option<u32>,
    /// Whether it is to be evaluated: by `enabled`, selections and the least priority.
    pub is_active: bool,
}

impl CompiledRule {
    /// The conditions of the steps before, and the rule's own.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let steps = self.before.iter().flat_map(Before::steps);
        steps.map(|step| &step.condition).chain([&self.condition])
    }

    /// The types of events that any of them can hold for.
    #[must_use]
    pub fn events(&self) -> EventSet {
        self.conditions().fold(EventSet::EMPTY, |all, condition| all.union(condition.events()))
    }

    /// The fields that they ask for, and those that tell events apart. One may come more than once.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let of_conditions = self.conditions().flat_map(|condition| condition.references());
        of_conditions.chain(self.before.iter().flat_map(Before::references))
    }
}

/// How many items there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Lists.
    pub lists: usize,
    /// Macros.
    pub macros: usize,
    /// Rules, those that are skipped included.
    pub rules: usize,
}

/// Takes in files of rules one after the other, as Falco does: a later one can append to what an earlier one
/// defines.
pub struct Loader {
    config: Config,
    collector: Collector,
    rules: RuleSet,
}

impl Loader {
    /// Without any rules.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, collector: Collector::default(), rules: RuleSet::default() }
    }

    /// Takes in a file. If it is refused, everything stays as it was.
    pub fn load(&mut self, name: &str, content: &str) -> Report {
        if content.len() > MAX_FILE {
            let message = format!("the file has {} bytes, the limit is {MAX_FILE}", content.len());
            return Report::unreadable(name, message);
        }
        let file = Arc::new(File::new(name, content));
        let mut report = Report::new(&file);
        let mut collector = self.collector.clone();
        match self.compile(&file, &mut collector, &mut report) {
            Ok(rules) => {
                self.collector = collector;
                self.rules = rules;
            }
            Err(failure) => report.fail(failure),
        }
        report
    }

    fn compile(
        &self,
        file: &Arc<File>,
        collector: &mut Collector,
        report: &mut Report,
    ) -> Result<RuleSet, Failure> {
        Reader { config: &self.config, collector, report }.read(file)?;
        compile::compile(collector, &self.config, report)
    }

    /// The rules of all files so far.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// How many items all files so far define.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            lists: self.collector.lists.items().len(),
            macros: self.collector.macros.items().len(),
            rules: self.collector.rules.items().len(),
        }
    }
}
