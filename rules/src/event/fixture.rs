//! Events by which a rule is tested: some that it must match, and some that it must not.

use serde_json::{Map, Value as Json};

use super::JsonEvent;
use crate::{
    compile::Scratch,
    load::CompiledRule,
    temporal::{Limits, Temporal, Tracker},
    value::Truth,
};

/// How often an event happens, one millisecond after the other.
const REPEAT: &str = "repeat";
/// What stands for the number of a repeated event, from 1.
const NUMBER: &str = "{n}";
/// The most events of one fixture.
const MOST_EVENTS: u64 = 2000;
/// Between two events.
const STEP_NS: u64 = 1_000_000;

/// What a rule must match, and what it must not.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// Events of which the last one completes a match.
    pub matching: Vec<JsonEvent>,
    /// Events of which none does.
    pub missing: Vec<JsonEvent>,
    /// How many fields of the former are other in the latter.
    pub differences: usize,
}

impl Fixture {
    /// From what a file says: `matching` is an object of fields, or several, of which each has the fields of the
    /// one before and its own; `missing` is what is other in the last of them, or in each in turn, and null takes
    /// a field away. `repeat` is how often an event happens, and `{n}` in it the number of the time. Without an
    /// `evt.rawtime` each is a millisecond after the one before.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn new(matching: &Json, missing: &Json) -> Result<Self, String> {
        let all = objects(matching)?;
        let changes = match missing {
            Json::Object(last) => {
                let mut changes = vec![Map::new(); all.len().saturating_sub(1)];
                changes.push(last.clone());
                changes
            }
            each => objects(each)?,
        };
        if changes.len() > all.len() {
            return Err("more events are changed than there are".to_owned());
        }
        let changed = all.iter().enumerate().map(|(at, event)| {
            let mut event = event.clone();
            event.extend(changes.get(at).cloned().unwrap_or_default());
            event
        });
        Ok(Self {
            missing: events(&changed.collect::<Vec<_>>())?,
            matching: events(&all)?,
            differences: changes.iter().map(Map::len).sum(),
        })
    }

    /// What a rule is of events that follow each other: of one event whether its condition holds for the last,
    /// of several whether it matches at any.
    #[must_use]
    pub fn evaluate(rule: &CompiledRule, events: &[JsonEvent]) -> Truth {
        if rule.before.is_none() {
            return events.last().map_or(Truth::False, |event| rule.condition.evaluate(event));
        }
        let temporal = Temporal::new([(0, rule)]);
        let (mut tracker, mut scratch) = (Tracker::new(Limits::default()), Scratch::default());
        let mut truth = Truth::False;
        for event in events {
            let mut parts = Vec::new();
            temporal
                .matches(&mut scratch, event.event_type(), event, |part, truth| parts.push((part, truth)));
            for (part, of_part) in parts {
                if of_part == Truth::Unknown {
                    truth = truth.or(Truth::Unknown);
                } else if tracker.note(&temporal, part, event, event.time_ns().unwrap_or(0)).is_some() {
                    truth = Truth::True;
                }
            }
        }
        truth
    }
}

fn objects(json: &Json) -> Result<Vec<Map<String, Json>>, String> {
    let object = |json: &Json| match json {
        Json::Object(fields) => Ok(fields.clone()),
        _ => Err("an event is to be an object of fields".to_owned()),
    };
    match json {
        Json::Array(all) if !all.is_empty() => all.iter().map(object).collect(),
        one => Ok(vec![object(one)?]),
    }
}

fn events(all: &[Map<String, Json>]) -> Result<Vec<JsonEvent>, String> {
    let mut events = Vec::new();
    let mut fields = Map::new();
    let mut now_ns = 0;
    for own in all {
        fields.extend(own.clone());
        let repeat = match fields.remove(REPEAT) {
            None => 1,
            Some(times) => times.as_u64().ok_or_else(|| format!("{REPEAT} is to be a number"))?,
        };
        if events.len() as u64 + repeat > MOST_EVENTS {
            return Err(format!("there are more than {MOST_EVENTS} events"));
        }
        if let Some(at_ns) = own.get("evt.rawtime").and_then(Json::as_u64) {
            now_ns = at_ns;
        }
        for number in 1..=repeat {
            let mut event: Map<String, Json> =
                fields.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect();
            event.insert("evt.rawtime".to_owned(), Json::from(now_ns));
            events.push(JsonEvent::new(event));
            now_ns += STEP_NS;
        }
    }
    Ok(events)
}

fn numbered(value: &Json, number: u64) -> Json {
    match value {
        Json::String(text) if text == NUMBER => Json::from(number),
        Json::String(text) => Json::String(text.replace(NUMBER, &number.to_string())),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(events: &[JsonEvent], name: &str) -> Vec<Json> {
        events.iter().map(|event| event.json(name).cloned().unwrap_or_default()).collect()
    }

    #[test]
    fn an_event_has_what_the_one_before_has() {
        let fixture = Fixture::new(
            &json!([{"evt.type": "connect", "proc.pid": 3}, {"evt.type": "chmod"}, {"fd.name": "/{n}", "repeat": 2}]),
            &json!([{}, {"proc.pid": 4}]),
        )
        .unwrap();
        assert_eq!(fields(&fixture.matching, "evt.type"), ["connect", "chmod", "chmod", "chmod"]);
        assert_eq!(
            fields(&fixture.matching, "fd.name"),
            [json!(null), json!(null), json!("/1"), json!("/2")]
        );
        assert_eq!(fields(&fixture.missing, "proc.pid"), [3, 4, 4, 4]);
        assert_eq!(fields(&fixture.missing, "evt.rawtime"), [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(fixture.differences, 1);
    }

    #[test]
    fn one_event_is_changed_in_place() {
        let fixture = Fixture::new(&json!({"fd.sport": "{n}"}), &json!({"fd.sport": null})).unwrap();
        assert_eq!(fields(&fixture.matching, "fd.sport"), [1]);
        assert_eq!(fields(&fixture.missing, "fd.sport"), [json!(null)]);
        for (matching, missing) in [
            (json!([]), json!({})),
            (json!({}), json!([{}, {}])),
            (json!({"repeat": "often"}), json!({})),
            (json!({"repeat": 2001}), json!({})),
        ] {
            assert!(Fixture::new(&matching, &missing).is_err(), "{matching}");
        }
    }
}
