//! What a `kestrel_rule` says of earlier events, from YAML.

use std::time::Duration;

use super::{
    decode::Fields,
    item::Before,
    read::Reader,
    report::{ErrorCode, Failure, Trail},
    script::Script,
    yaml::Node,
};
use crate::{
    field::Reference,
    temporal::{By, Count, MAX_COUNT, MAX_FIELDS, MAX_STEPS, MAX_WITHIN},
};

/// The keys of a `kestrel_rule` that a rule of Falco's does not have.
pub(super) const KEYS: [&str; 2] = ["count", "after"];

/// Events that follow each other in the same process, or in what descends from it.
const DESCENT: &str = "descent";

/// What is wrong with a key.
pub(super) fn failure(message: impl Into<String>, fields: &Fields<'_>, key: &str) -> Failure {
    Failure::new(ErrorCode::Extension, message, &fields.trail_to(key))
}

/// Reads the one of both that is there.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Result<Before, Failure> {
    match KEYS.map(|key| fields.node.get(key)) {
        [Some(count), None] => self::count(reader, count, &fields.trail_to("count")).map(Before::Count),
        [None, Some(after)] => self::after(reader, after, &fields.trail_to("after")),
        [Some(_), Some(_)] => {
            Err(failure("A kestrel_rule has 'count' or 'after', not both", fields, "after"))
        }
        [None, None] => {
            let message = "A kestrel_rule needs 'count' or 'after': what is about one event is a rule";
            Err(Failure::new(ErrorCode::Extension, message, fields.trail))
        }
    }
}

fn count(reader: &mut Reader<'_>, node: &Node, trail: &Trail) -> Result<Count, Failure> {
    let fields = mapping(reader, node, trail, &["at_least", "within", "by", "distinct"])?;
    let at_least = fields.number("at_least")?.filter(|number| (2..=MAX_COUNT).contains(number));
    let at_least = at_least.ok_or_else(|| {
        failure(format!("'at_least' is to be a number from 2 to {MAX_COUNT}"), &fields, "at_least")
    })?;
    let by = if fields.has("by") { references(&fields, "by")? } else { Vec::new() };
    let distinct = if fields.has("distinct") {
        Some(reference(&fields.text("distinct")?, &fields, "distinct")?)
    } else {
        None
    };
    Ok(Count { at_least, within: within(&fields)?, by, distinct })
}

fn after(reader: &mut Reader<'_>, node: &Node, trail: &Trail) -> Result<Before, Failure> {
    let fields = mapping(reader, node, trail, &["steps", "within", "by"])?;
    let scalars = fields.scalars("steps")?;
    if !(1..=MAX_STEPS).contains(&scalars.len()) {
        return Err(failure(format!("'steps' are to be 1 to {MAX_STEPS} conditions"), &fields, "steps"));
    }
    let trail = fields.trail_as("rule condition", "", "steps");
    let steps = scalars.iter().map(|scalar| (Script::of(scalar), trail.clone())).collect();
    let by = match fields.node.get("by") {
        None => By::Descent,
        Some(by) if by.scalar().is_some_and(|by| by.value == DESCENT) => By::Descent,
        Some(_) => By::Fields(references(&fields, "by")?),
    };
    Ok(Before::After { steps, within: within(&fields)?, by })
}

fn mapping<'a>(
    reader: &mut Reader<'_>,
    node: &'a Node,
    trail: &'a Trail,
    keys: &[&str],
) -> Result<Fields<'a>, Failure> {
    if node.mapping().is_none() {
        return Err(Failure::new(ErrorCode::Extension, "Value is not a mapping", trail));
    }
    reader.warn_unknown_keys(node, keys, trail);
    Ok(Fields { node, trail })
}

/// A field, or several.
fn references(fields: &Fields<'_>, key: &str) -> Result<Vec<Reference>, Failure> {
    let texts = match fields.node.get(key).and_then(Node::scalar) {
        Some(one) => vec![one.value.clone()],
        None => fields.scalars(key)?.iter().map(|scalar| scalar.value.clone()).collect(),
    };
    if !(1..=MAX_FIELDS).contains(&texts.len()) {
        return Err(failure(format!("'{key}' is to be 1 to {MAX_FIELDS} fields"), fields, key));
    }
    texts.iter().map(|text| reference(text, fields, key)).collect()
}

fn reference(text: &str, fields: &Fields<'_>, key: &str) -> Result<Reference, Failure> {
    let (name, bracketed) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    };
    Reference::parse(name, bracketed).map_err(|error| failure(error.to_string(), fields, key))
}

/// A whole number of seconds, minutes or hours.
fn within(fields: &Fields<'_>) -> Result<Duration, Failure> {
    let text = fields.text("within")?;
    let of_unit = |unit: char, seconds: u64| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds)
    };
    let seconds = [('s', 1), ('m', 60), ('h', 3600)].into_iter().find_map(|(unit, of)| of_unit(unit, of));
    let duration = seconds.map(Duration::from_secs).filter(|time| !time.is_zero() && *time <= MAX_WITHIN);
    duration.ok_or_else(|| {
        let message =
            format!("'within' is to be a time from 1s to {}s, such as 30s, 5m or 1h", MAX_WITHIN.as_secs());
        failure(message, fields, "within")
    })
}
