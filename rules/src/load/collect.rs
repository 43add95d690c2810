//! The items of all files so far: each name once, at its first place.

use std::collections::{HashMap, HashSet};

use super::{
    exception,
    item::{Exception, List, Macro, Order, PluginVersion, Rule, Update},
    read::Reader,
    report::{Failure, Trail, WarningCode},
    script::Script,
    version::{ENGINE_VERSION, Version},
};

/// Items by name, in the order of their first definition.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    items: Vec<T>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { items: Vec::new(), by_name: HashMap::new() }
    }
}

impl<T> Table<T> {
    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let index = self.index(name)?;
        self.items.get_mut(index)
    }

    /// Takes the place of the item of this name, or the last one.
    fn set(&mut self, name: &str, item: T) {
        match self.get_mut(name) {
            Some(known) => *known = item,
            None => {
                self.by_name.insert(name.to_owned(), self.items.len());
                self.items.push(item);
            }
        }
    }
}

/// What all files so far define.
#[derive(Debug, Clone, Default)]
pub(super) struct Collector {
    pub(super) lists: Table<List>,
    pub(super) macros: Table<Macro>,
    pub(super) rules: Table<Rule>,
    pub(super) required_engine: Option<Version>,
    pub(super) required_plugins: Vec<Vec<PluginVersion>>,
    /// Counts definitions and changes.
    clock: usize,
}

const NO_LIST: &str =
    "List uses 'append' or 'override.items: append' but no list by that name already exists";
const NO_MACRO: &str =
    "Macro uses 'append' or 'override.condition: append' but no macro by that name already exists";
const NO_RULE_TO_APPEND: &str =
    "Rule uses 'append' or 'override.<key>: append' but no rule by that name already exists";
const NO_RULE_TO_REPLACE: &str =
    "An 'override.<key>: replace' to a rule was requested but no rule by that name already exists";
const OTHER_SOURCE: &str = "Rule has been re-defined with a different source";

impl Collector {
    fn tick(&mut self) -> usize {
        self.clock += 1;
        self.clock
    }

    /// When an item is defined that may have been before.
    fn order(&mut self, before: Option<Order>) -> Order {
        let changed = self.tick();
        Order { defined: before.map_or(changed, |order| order.defined), changed }
    }

    pub(super) fn require_engine(&mut self, version: Version, trail: &Trail) -> Result<(), Failure> {
        if !ENGINE_VERSION.satisfies(version) {
            let message =
                format!("Rules require engine version {version}, but engine version is {ENGINE_VERSION}");
            return Err(Failure::item(message, trail));
        }
        self.required_engine = self.required_engine.max(Some(version));
        Ok(())
    }

    pub(super) fn require_plugin(
        &mut self,
        plugins: Vec<PluginVersion>,
        trail: &Trail,
    ) -> Result<(), Failure> {
        let mut names = HashSet::new();
        for PluginVersion { name, version } in &plugins {
            if version.parse::<Version>().is_err() {
                let message = format!("Invalid required version '{version}' for plugin '{name}'");
                return Err(Failure::item(message, trail));
            }
            if !names.insert(name) {
                let message =
                    format!("Defined multiple alternative version requirements for plugin '{name}'");
                return Err(Failure::item(message, trail));
            }
        }
        self.required_plugins.push(plugins);
        Ok(())
    }

    pub(super) fn define_list(&mut self, mut list: List) {
        let before = self.lists.get_mut(&list.name).map(|before| before.order);
        list.order = self.order(before);
        let name = list.name.clone();
        self.lists.set(&name, list);
    }

    pub(super) fn append_list(&mut self, list: List) -> Result<(), Failure> {
        let changed = self.tick();
        let Some(before) = self.lists.get_mut(&list.name) else {
            return Err(Failure::item(NO_LIST, &list.trail));
        };
        before.items.extend(list.items);
        before.order.changed = changed;
        Ok(())
    }

    pub(super) fn define_macro(&mut self, mut defined: Macro) {
        let before = self.macros.get_mut(&defined.name).map(|before| before.order);
        defined.order = self.order(before);
        let name = defined.name.clone();
        self.macros.set(&name, defined);
    }

    pub(super) fn append_macro(&mut self, more: Macro) -> Result<(), Failure> {
        let changed = self.tick();
        let Some(before) = self.macros.get_mut(&more.name) else {
            return Err(Failure::item(NO_MACRO, &more.trail));
        };
        append(&mut before.condition, &more.condition);
        before.order.changed = changed;
        Ok(())
    }

    pub(super) fn append_rule(&mut self, update: Update) -> Result<(), Failure> {
        let Some(rule) = self.rules.get_mut(&update.name) else {
            return Err(Failure::item(NO_RULE_TO_APPEND, &update.trail));
        };
        same_source(rule, &update)?;
        if update.is_empty() {
            return Err(Failure::item(
                "Appended rule must have exceptions or condition property",
                &update.trail,
            ));
        }
        if let Some((more, _)) = &update.condition {
            append(&mut rule.condition, more);
        }
        if let Some((more, _)) = &update.output {
            append(&mut rule.output, more);
        }
        if let Some(more) = update.description {
            rule.description.push(' ');
            rule.description.push_str(&more);
        }
        rule.tags.extend(update.tags.unwrap_or_default());
        for exception in update.exceptions.unwrap_or_default() {
            append_exception(rule, exception)?;
        }
        Ok(())
    }

    pub(super) fn replace_in_rule(&mut self, update: Update) -> Result<(), Failure> {
        let Some(rule) = self.rules.get_mut(&update.name) else {
            return Err(Failure::item(NO_RULE_TO_REPLACE, &update.trail));
        };
        same_source(rule, &update)?;
        let Update { name: _, source: _, condition, output, description, tags, exceptions, priority, .. } =
            update;
        if let Some(exceptions) = exceptions {
            exception::check_all(&exceptions, rule.is_source_known)?;
            rule.exceptions = exceptions;
        }
        if let Some((condition, trail)) = condition {
            (rule.condition, rule.condition_trail) = (condition, trail);
        }
        if let Some((output, trail)) = output {
            (rule.output, rule.output_trail) = (output, trail);
        }
        rule.description = description.unwrap_or_else(|| std::mem::take(&mut rule.description));
        rule.tags = tags.unwrap_or_else(|| std::mem::take(&mut rule.tags));
        rule.priority = priority.unwrap_or(rule.priority);
        rule.is_enabled = update.is_enabled.unwrap_or(rule.is_enabled);
        rule.warn_evttypes = update.warn_evttypes.unwrap_or(rule.warn_evttypes);
        rule.skip_if_unknown_filter = update.skip_if_unknown_filter.unwrap_or(rule.skip_if_unknown_filter);
        rule.capture = update.capture.unwrap_or(rule.capture);
        rule.capture_duration = update.capture_duration.or(rule.capture_duration);
        Ok(())
    }

    pub(super) fn enable_rule(&mut self, name: &str, is_enabled: bool, trail: &Trail) -> Result<(), Failure> {
        let Some(rule) = self.rules.get_mut(name) else {
            return Err(Failure::item(
                "Rule has 'enabled' key but no rule by that name already exists",
                trail,
            ));
        };
        rule.is_enabled = is_enabled;
        Ok(())
    }
}

impl Reader<'_> {
    /// Takes a rule in, in the place of one of its name.
    pub(super) fn define_rule(&mut self, mut rule: Rule) -> Result<(), Failure> {
        if self.collector.rules.get_mut(&rule.name).is_some_and(|before| before.source != rule.source) {
            return Err(Failure::item(OTHER_SOURCE, &rule.trail));
        }
        rule.is_source_known = self.config.sources.contains(&rule.source);
        if !rule.is_source_known {
            let message = format!("Unknown source {}, skipping", rule.source);
            self.report.warn(WarningCode::UnknownSource, message, &rule.trail);
        }
        exception::check_all(&rule.exceptions, rule.is_source_known)?;
        let name = rule.name.clone();
        self.collector.rules.set(&name, rule);
        Ok(())
    }
}

fn same_source(rule: &Rule, update: &Update) -> Result<(), Failure> {
    match &update.source {
        Some(source) if *source != rule.source => Err(Failure::item(OTHER_SOURCE, &update.trail)),
        _ => Ok(()),
    }
}

fn append(script: &mut Script, more: &Script) {
    script.push_filler(" ");
    script.append(more);
}

fn append_exception(rule: &mut Rule, more: Exception) -> Result<(), Failure> {
    let fail = |message: &str| Err(Failure::item(message, &more.trail));
    let Some(before) = rule.exceptions.iter_mut().find(|before| before.name == more.name) else {
        if more.fields.is_none() {
            return fail("Rule exception must have fields property with a list of fields");
        }
        if more.values.is_empty() {
            return fail("Rule exception must have values property with a list of values");
        }
        if rule.exceptions.len() == exception::MAX_EXCEPTIONS {
            return fail(exception::TOO_MANY);
        }
        exception::check(&more, rule.is_source_known)?;
        rule.exceptions.push(more);
        return Ok(());
    };
    if more.fields.is_some() {
        return fail("Can not append exception fields to existing exception, only values");
    }
    if more.comparisons.is_some() {
        return fail("Can not append exception comps to existing exception, only values");
    }
    before.values.extend(more.values);
    Ok(())
}
