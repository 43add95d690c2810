//! From items to rules that can be evaluated.

use std::collections::BTreeSet;

use super::{
    CompiledRule, Config, RuleSet,
    check::{self, Mistake},
    collect::Collector,
    doubts::Doubts,
    exception,
    item::{Before, Rule},
    links,
    lists::Lists,
    macros::{Macros, Written},
    read_rule::SYSCALL,
    report::{ErrorCode, Failure, Report, Trail, WarningCode},
    script::Script,
};
use crate::{
    eval::Checker,
    field::EventSet,
    output::{Format, FormatProblem, Part},
    temporal::{self, After, Step},
};

/// A rule for more events than this is warned of (Falco 0.44, `rule_loader_compiler.cpp`).
const MANY_EVENT_TYPES: usize = 100;

/// What outputs of before the container plugin have; it stands for nothing now.
const CONTAINER_INFO: &str = "%container.info";

const CONTAINER_INFO_IS_DEPRECATED: &str = "%container.info is deprecated and stands for nothing: fields of the container are added to every output.";

/// Compiles all items.
pub(super) fn compile(
    collector: &Collector,
    config: &Config,
    report: &mut Report,
) -> Result<RuleSet, Failure> {
    let mut lists = Lists::new(collector)?;
    let mut macros = Macros::new(collector, &mut lists)?;
    let mut checker = Checker::default();
    let mut rules = Vec::new();
    for rule in collector.rules.items().iter().filter(|rule| rule.is_source_known) {
        match compile_rule(rule, config, &mut lists, &mut macros, &mut checker, report) {
            Ok(compiled) => rules.push(compiled),
            Err(Mistake { failure, is_unknown: true }) if rule.skip_if_unknown_filter => {
                report.warn(WarningCode::UnknownFilter, failure.message, &failure.trail);
            }
            Err(mistake) => return Err(mistake.failure),
        }
    }
    for item in macros.unused() {
        report.warn(WarningCode::UnusedMacro, "Macro not referred to by any other rule/macro", &item.trail);
    }
    for list in lists.unused() {
        report.warn(WarningCode::UnusedList, "List not referred to by any other rule/macro", &list.trail);
    }
    Ok(RuleSet { rules, required_plugins: collector.required_plugins.clone() })
}

fn compile_rule(
    rule: &Rule,
    config: &Config,
    lists: &mut Lists<'_>,
    macros: &mut Macros<'_>,
    checker: &mut Checker,
    report: &mut Report,
) -> Result<CompiledRule, Mistake> {
    let Added { output, fields, tags } = Added::new(rule, config);
    let mut doubts = Doubts::new(config, report);
    let output = without_container_info(rule, output, doubts.report);
    let output = format(rule, &output, &mut doubts)?;
    let mut named = Vec::new();
    for (name, text) in fields {
        named.push((name.clone(), format(rule, &text, &mut doubts)?));
    }

    let text = exception::compile(&rule.condition, &rule.exceptions)?;
    let written = Written::read(&text, lists, &rule.condition_trail)?;
    let followed = |expr| if config.resolved_names { links::follow(expr) } else { expr };
    let expr = followed(macros.expand(&written)?);
    doubts.condition(&written.expr, &written, macros);
    let condition = check::check(&expr, &written, macros, checker)?;
    let before = match &rule.before {
        None => None,
        Some(Before::Count(count)) => Some(temporal::Before::Count(count.clone())),
        Some(Before::After { steps, within, by }) => {
            let compiled = steps.iter().map(|(condition, trail)| {
                let written = Written::read(condition, lists, trail)?;
                let expr = followed(macros.expand(&written)?);
                doubts.condition(&written.expr, &written, macros);
                let condition_of_step = check::check(&expr, &written, macros, checker)?;
                Ok(Step { text: condition.text().to_owned(), expr, condition: condition_of_step })
            });
            let steps = compiled.collect::<Result<_, Mistake>>()?;
            Some(temporal::Before::After(After { steps, within: *within, by: by.clone() }))
        }
    };
    for step in before.iter().flat_map(temporal::Before::steps) {
        warn_of_many_events(rule, step.condition.events(), report);
    }
    warn_of_many_events(rule, condition.events(), report);
    Ok(CompiledRule {
        is_active: is_active(rule, &tags, config),
        name: rule.name.clone(),
        source: rule.source.clone(),
        description: rule.description.clone(),
        priority: rule.priority,
        tags,
        text: rule.condition.text().to_owned(),
        expr,
        condition,
        before,
        output,
        fields: named,
        capture: rule.capture,
        capture_duration: rule.capture_duration,
    })
}

/// What a rule has with what the configuration adds to it.
struct Added<'a> {
    output: Script,
    fields: Vec<(&'a String, Script)>,
    tags: BTreeSet<String>,
}

impl<'a> Added<'a> {
    fn new(rule: &Rule, config: &'a Config) -> Self {
        let mut added = Self { output: rule.output.clone(), fields: Vec::new(), tags: rule.tags.clone() };
        let matching =
            |addition: &&'a super::Addition| addition.matches(&rule.source, &rule.name, &rule.tags);
        for addition in config.additions.iter().filter(matching) {
            if let Some(more) = &addition.output {
                added.output.push_filler(" ");
                added.output.push_filler(more);
            }
            for (name, text) in &addition.fields {
                let mut script = Script::default();
                script.push_filler(text);
                added.fields.push((name, script));
            }
            added.tags.extend(addition.extra_tags.iter().cloned());
        }
        added
    }
}

fn is_active(rule: &Rule, tags: &BTreeSet<String>, config: &Config) -> bool {
    let mut latest_first = config.selections.iter().rev();
    let selection = latest_first.find(|selection| selection.which.is(&rule.name, tags));
    let is_selected = selection.map_or(rule.is_enabled, |selection| selection.enable);
    is_selected && rule.priority <= config.minimum_priority
}

fn warn_of_many_events(rule: &Rule, events: &EventSet, report: &mut Report) {
    // Only system calls have types that tell rules apart.
    if events.len() > MANY_EVENT_TYPES && rule.warn_evttypes && rule.source == SYSCALL {
        let message = "Rule matches too many evt.type values. This has a significant performance penalty.";
        report.warn(WarningCode::NoEvttype, message, &rule.trail);
    }
}

fn without_container_info(rule: &Rule, output: Script, report: &mut Report) -> Script {
    if !output.text().contains(CONTAINER_INFO) {
        return output;
    }
    report.warn(WarningCode::DeprecatedItem, CONTAINER_INFO_IS_DEPRECATED, &rule.output_trail);
    let mut without = Script::default();
    let mut at = 0;
    for (found, _) in output.text().match_indices(CONTAINER_INFO) {
        without.copy(&output, at..found);
        at = found + CONTAINER_INFO.len();
    }
    without.copy(&output, at..output.text().len());
    without
}

/// Reads an output of a rule.
fn format(rule: &Rule, text: &Script, doubts: &mut Doubts<'_>) -> Result<Format, Mistake> {
    let trail = |at| -> Trail {
        match text.place(at) {
            Some((file, offset)) => rule.output_trail.to_file("rule output expression", "", file, offset),
            None => rule.output_trail.clone(),
        }
    };
    if text.text().is_empty() {
        let message = "empty formatting token";
        return Err(Failure::new(ErrorCode::CompileOutput, message, &rule.output_trail).into());
    }
    let format = Format::parse(text.text()).map_err(|error| Mistake {
        is_unknown: match &error.problem {
            FormatProblem::Unknown(_) => true,
            FormatProblem::Check(_, error) => check::is_unknown(&error.problem),
            FormatProblem::End { .. } | FormatProblem::Nothing | FormatProblem::Width => false,
        },
        failure: Failure::new(ErrorCode::CompileOutput, error.to_string(), &trail(error.at)),
    })?;
    for part in format.parts() {
        if let Part::Value { value, at, .. } = part {
            for reference in value.references() {
                doubts.field(reference, "output", &|| trail(*at));
            }
        }
    }
    Ok(format)
}
