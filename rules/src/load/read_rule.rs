//! From YAML to rules and what changes them.

use std::collections::BTreeSet;

use super::{
    decode::Fields,
    exception::{MAX_EXCEPTIONS, TOO_MANY},
    item::{Entry, Exception, Rule, Update},
    priority::Priority,
    read::{APPEND_AND_OVERRIDE, Overrides, Reader, overrides},
    read_before,
    report::{Failure, Trail, WarningCode},
    script::Script,
    yaml::{Node, Value},
};

/// The source of rules that name none.
pub(super) const SYSCALL: &str = "syscall";

/// Which kind of rule an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Falco's.
    Falco,
    /// Over several events.
    Kestrel,
}

impl Form {
    /// The key that names the rule.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Falco => "rule",
            Self::Kestrel => "kestrel_rule",
        }
    }
}

const KEYS: &[&str] = &[
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "tags",
    "exceptions",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
    "append",
    "override",
];

const APPENDABLE: &[&str] = &["condition", "output", "desc", "tags", "exceptions"];

const REPLACEABLE: &[&str] = &[
    "condition",
    "output",
    "desc",
    "priority",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
];

const ENABLED_IS_DEPRECATED: &str = "The standalone 'enabled' key usage is deprecated. The correct approach \
     requires also a 'replace' entry under the 'override' key (i.e. 'enabled: replace').";

/// Reads a rule, or a change of one, into the collector.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, parent: &Trail, form: Form) -> Result<(), Failure> {
    let name = Fields { node, trail: &parent.to("rule", "", node.offset) }.text(form.key())?;
    let trail = parent.to("rule", &name, node.offset);
    let fields = Fields { node, trail: &trail };
    let of_form: &[&str] = if form == Form::Kestrel { &read_before::KEYS } else { &[] };
    let known: Vec<&str> = [form.key()].iter().chain(KEYS).chain(of_form).copied().collect();
    reader.warn_unknown_keys(node, &known, &trail);
    let append = reader.append_key(&fields)?;
    let overrides = overrides(&fields, APPENDABLE, REPLACEABLE)?;
    if append && !overrides.is_empty() {
        return Err(Failure::shape(APPEND_AND_OVERRIDE, &trail));
    }
    let is_change = append || !overrides.is_empty();
    if let Some(key) = of_form.iter().find(|key| is_change && fields.has(key)) {
        return Err(read_before::failure(
            format!("'{key}' cannot be changed: define the rule anew"),
            &fields,
            key,
        ));
    }
    if !overrides.is_empty() {
        return overriding(reader, &fields, &name, &overrides);
    }
    if append {
        let keys = ["condition", "exceptions"]
            .into_iter()
            .filter(|key| fields.has(key))
            .map(str::to_owned)
            .collect();
        let update = update(reader, &fields, &name, &keys, true)?;
        return reader.collector.append_rule(update);
    }
    if ["condition", "output", "desc", "priority"].iter().any(|key| fields.has(key)) {
        let mut rule = rule(reader, &fields, name)?;
        if form == Form::Kestrel {
            rule.before = Some(read_before::read(reader, &fields)?);
        }
        return reader.define_rule(rule);
    }
    // Only `enabled` is left to say something: of a rule that was defined before.
    let Some(enabled) = fields.truth("enabled")? else {
        return Err(Failure::shape("Item has no mapping for key 'enabled'", &trail));
    };
    reader.report.warn(WarningCode::DeprecatedItem, ENABLED_IS_DEPRECATED, &fields.trail_to("enabled"));
    reader.collector.enable_rule(&name, enabled, &trail)
}

fn overriding(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: &str,
    overrides: &Overrides,
) -> Result<(), Failure> {
    for (keys, operation) in [(&overrides.append, "append"), (&overrides.replace, "replace")] {
        if let Some(key) = keys.iter().find(|key| !fields.has(key)) {
            let message =
                format!("An {operation} override for '{key}' was specified but '{key}' is not defined");
            return Err(Failure::shape(message, &fields.trail_as("overrides", key, "override")));
        }
    }
    let is_overridden = |key: &str| overrides.append.contains(key) || overrides.replace.contains(key);
    if let Some(key) = REPLACEABLE.iter().find(|key| fields.has(key) && !is_overridden(key)) {
        let message = format!("Unexpected key '{key}': no corresponding entry under 'override' is defined.");
        return Err(Failure::shape(message, &fields.trail_as("overrides", key, key)));
    }
    if !overrides.append.is_empty() {
        let update = update(reader, fields, name, &overrides.append, true)?;
        reader.collector.append_rule(update)?;
    }
    if !overrides.replace.is_empty() {
        let update = update(reader, fields, name, &overrides.replace, false)?;
        reader.collector.replace_in_rule(update)?;
    }
    Ok(())
}

/// The named keys of an item as a change of a rule, that appends or replaces.
fn update(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: &str,
    keys: &BTreeSet<String>,
    append: bool,
) -> Result<Update, Failure> {
    let mut update = Update::new(name, fields.trail);
    update.source = source(fields)?;
    for key in keys {
        match key.as_str() {
            "condition" => update.condition = Some(condition(fields)?),
            "output" => update.output = Some(output(fields)?),
            "desc" => update.description = Some(fields.text(key)?),
            "tags" => update.tags = Some(fields.tags()?),
            "exceptions" => update.exceptions = Some(exceptions(reader, fields, append)?),
            "priority" => update.priority = Some(priority(fields)?),
            "enabled" => update.is_enabled = fields.truth(key)?,
            "warn_evttypes" => update.warn_evttypes = fields.truth(key)?,
            "skip-if-unknown-filter" => update.skip_if_unknown_filter = fields.truth(key)?,
            "capture" => update.capture = fields.truth(key)?,
            "capture_duration" => update.capture_duration = fields.number(key)?,
            // `overrides` lets no other through.
            _ => {}
        }
    }
    Ok(update)
}

fn rule(reader: &mut Reader<'_>, fields: &Fields<'_>, name: String) -> Result<Rule, Failure> {
    let (condition, condition_trail) = condition(fields)?;
    let (output, output_trail) = output(fields)?;
    Ok(Rule {
        name,
        source: source(fields)?.unwrap_or_else(|| SYSCALL.to_owned()),
        is_source_known: true,
        condition,
        condition_trail,
        output,
        output_trail,
        before: None,
        description: fields.text("desc")?,
        priority: priority(fields)?,
        tags: fields.tags()?,
        exceptions: exceptions(reader, fields, false)?,
        is_enabled: fields.truth("enabled")?.unwrap_or(true),
        warn_evttypes: fields.truth("warn_evttypes")?.unwrap_or(true),
        skip_if_unknown_filter: fields.truth("skip-if-unknown-filter")?.unwrap_or(false),
        capture: fields.truth("capture")?.unwrap_or(false),
        capture_duration: fields.number("capture_duration")?,
        trail: fields.trail.clone(),
    })
}

fn condition(fields: &Fields<'_>) -> Result<(Script, Trail), Failure> {
    let trail = fields.trail_as("rule condition", "", "condition");
    Ok((Script::of(fields.scalar("condition")?), trail))
}

fn output(fields: &Fields<'_>) -> Result<(Script, Trail), Failure> {
    let trail = fields.trail_as("rule output", "", "output");
    Ok((Script::of(fields.scalar("output")?).trimmed(), trail))
}

fn priority(fields: &Fields<'_>) -> Result<Priority, Failure> {
    let word = fields.text("priority")?;
    word.parse()
        .map_err(|_| Failure::shape("Invalid priority", &fields.trail_as("rule priority", "", "priority")))
}

/// The source, if one is named; an empty one is none.
fn source(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let is_empty =
        |node: &Node| node.is_null() || node.scalar().is_some_and(|scalar| scalar.value.is_empty());
    match fields.node.get("source") {
        Some(node) if !is_empty(node) => fields.text("source").map(Some),
        _ => Ok(None),
    }
}

fn exceptions(reader: &mut Reader<'_>, fields: &Fields<'_>, append: bool) -> Result<Vec<Exception>, Failure> {
    let mut exceptions: Vec<Exception> = Vec::new();
    let Some(node) = fields.node.get("exceptions").filter(|node| !node.is_null()) else {
        return Ok(exceptions);
    };
    let all = fields.trail.to("exceptions", "", node.offset);
    let items = node.sequence().ok_or_else(|| Failure::shape("Rule exceptions must be a sequence", &all))?;
    if items.len() > MAX_EXCEPTIONS {
        return Err(Failure::shape(TOO_MANY, &all));
    }
    for item in items {
        let unnamed = all.to("exception", "", item.offset);
        if item.mapping().is_none() {
            return Err(Failure::shape("Rule exception must be a mapping", &unnamed));
        }
        let name = Fields { node: item, trail: &unnamed }.text("name")?;
        let trail = fields.trail.to("exception", &name, item.offset);
        reader.warn_unknown_keys(item, &["name", "fields", "comps", "values"], &trail);
        if exceptions.iter().any(|other| other.name == name) {
            let message = format!("Multiple definitions of exception '{name}' in the same rule");
            reader.report.warn(WarningCode::ExceptionNameNotUnique, message, &trail);
        }
        let values = match item.get("values") {
            Some(values) => values_of(values, &trail)?,
            None => {
                if append {
                    let message = "Overriding/appending exception with no values";
                    reader.report.warn(WarningCode::AppendNoValues, message, &trail);
                }
                Vec::new()
            }
        };
        let named = |key: &str| match item.get(key) {
            Some(node) => entry(node, key, &trail),
            None => Ok(None),
        };
        if !append && item.get("fields").is_none() {
            return Err(Failure::shape("Item has no mapping for key 'fields'", &trail));
        }
        let (fields, comparisons) = (named("fields")?, named("comps")?);
        exceptions.push(Exception { name, fields, comparisons, values, trail });
    }
    Ok(exceptions)
}

fn values_of(node: &Node, trail: &Trail) -> Result<Vec<Entry>, Failure> {
    let trail = trail.to("exception values", "", node.offset);
    let items =
        node.sequence().ok_or_else(|| Failure::shape("Rule exception values must be a sequence", &trail))?;
    let required = |item: &Node| {
        let at = trail.to("exception value", "", item.offset);
        entry(item, "", &at)?.ok_or_else(|| Failure::shape("Value must be non-empty", &at))
    };
    items.iter().map(required).collect()
}

/// One value or several; none when there is nothing.
fn entry(node: &Node, key: &str, trail: &Trail) -> Result<Option<Entry>, Failure> {
    let at = || trail.to("value for", key, node.offset);
    match &node.value {
        _ if node.is_null() => Ok(None),
        Value::Scalar(scalar) if scalar.value.is_empty() => {
            Err(Failure::shape("Value must be non-empty", &at()))
        }
        Value::Scalar(scalar) => Ok(Some(Entry::One(scalar.clone()))),
        Value::Sequence(items) => {
            let required = |item: &Node| {
                entry(item, key, trail)?.ok_or_else(|| Failure::shape("Value must be non-empty", &at()))
            };
            Ok(Some(Entry::Many(items.iter().map(required).collect::<Result<_, _>>()?)))
        }
        Value::Mapping(_) => Err(Failure::shape("Value is neither a scalar nor a sequence", &at())),
    }
}
