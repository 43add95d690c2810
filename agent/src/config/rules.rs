//! Which rules are held against events, and how much of it is told.

use std::{collections::BTreeSet, ops::RangeInclusive, path::PathBuf, time::Duration};

use rules::{
    compile::Matching,
    load::{Addition, Priority, Selection, Which},
};
use settings::{
    ConfigError, Spanned,
    check::{Checker, duration, number},
    unit,
};

use super::raw::{RawAddition, RawRules};

const RATE: RangeInclusive<usize> = 0..=100_000;
const BURST: RangeInclusive<usize> = 1..=1_000_000;
const REPEAT_AFTER: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
/// Files and folders, patterns, additions: of each as many.
const ENTRIES: usize = 1024;

/// Rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Those that come with Kestrel.
    pub builtin: bool,
    /// Files and folders, in the order in which they are loaded.
    pub files: Vec<PathBuf>,
    /// How often it is looked whether they have changed.
    pub interval: Duration,
    /// Whether the first rule that matches an event is told, or all.
    pub matching: Matching,
    /// Rules less urgent than this are left out.
    pub min_priority: Priority,
    /// Which rules are evaluated, in this order; a later entry overrules an earlier one and the file.
    pub selections: Vec<Selection>,
    /// What is added to outputs and tags.
    pub additions: Vec<Addition>,
    /// Whether names of peers are taken from the answers of name servers.
    pub peer_names: bool,
    /// Matches of one rule that are told a second on the long run; 0: all.
    pub rate: u32,
    /// And at once.
    pub burst: u32,
    /// A match of the same rule by the same process on the same object is told again after this.
    pub repeat_after: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            builtin: false,
            files: Vec::new(),
            interval: Duration::from_secs(5),
            matching: Matching::First,
            min_priority: Priority::Debug,
            selections: Vec::new(),
            additions: Vec::new(),
            peer_names: true,
            rate: 10,
            burst: 100,
            repeat_after: Duration::from_mins(1),
        }
    }
}

/// Checks `rules`.
pub(super) fn rules(at: Checker<'_>, raw: RawRules, into: &mut Rules) -> Result<(), ConfigError> {
    let RawRules {
        builtin,
        files,
        interval,
        matching,
        min_priority,
        disable,
        enable,
        append,
        peer_names,
        rate,
        burst,
        repeat_after,
    } = raw;
    at.text("rules.builtin", builtin, on_or_off, &mut into.builtin)?;
    at.field("rules.files", files, |files| all(files, unit::parse_path), &mut into.files)?;
    at.text("rules.interval", interval, duration(INTERVAL), &mut into.interval)?;
    at.text("rules.matching", matching, first_or_all, &mut into.matching)?;
    at.text("rules.min_priority", min_priority, priority, &mut into.min_priority)?;
    let (mut off, mut on) = (Vec::new(), Vec::new());
    let selected = |is_on: bool| move |text: &str| selection(text, is_on);
    at.field("rules.disable", disable, |texts| all(texts, selected(false)), &mut off)?;
    at.field("rules.enable", enable, |texts| all(texts, selected(true)), &mut on)?;
    into.selections = off;
    into.selections.append(&mut on);
    at.field("rules.append", append, additions, &mut into.additions)?;
    at.text("rules.peer_names", peer_names, on_or_off, &mut into.peer_names)?;
    let (mut per_second, mut at_once) = (into.rate as usize, into.burst as usize);
    at.field("rules.rate", rate, number(RATE), &mut per_second)?;
    at.field("rules.burst", burst, number(BURST), &mut at_once)?;
    // Both are within their ranges.
    into.rate = u32::try_from(per_second).unwrap_or(u32::MAX);
    into.burst = u32::try_from(at_once).unwrap_or(u32::MAX);
    at.text("rules.repeat_after", repeat_after, duration(REPEAT_AFTER), &mut into.repeat_after)
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("expected on or off, got {text:?}")),
    }
}

fn first_or_all(text: &str) -> Result<Matching, String> {
    match text {
        "first" => Ok(Matching::First),
        "all" => Ok(Matching::All),
        _ => Err(format!("expected first or all, got {text:?}")),
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    text.parse().map_err(|_| format!("expected a priority of Falco's, emergency to debug, got {text:?}"))
}

/// `tag:NAME`, or a rule's name, in which `*` stands for any text.
fn selection(text: &str, enable: bool) -> Result<Selection, String> {
    let which = match text.strip_prefix("tag:") {
        Some(tag) => Which::Tag(tag.to_owned()),
        None => Which::Name(text.to_owned()),
    };
    if matches!(&which, Which::Tag(text) | Which::Name(text) if text.is_empty()) {
        return Err("expected a rule's name with * for any text, or tag: and a tag".to_owned());
    }
    Ok(Selection { enable, which })
}

fn all<V>(raw: Vec<Spanned<String>>, parse: impl Fn(&str) -> Result<V, String>) -> Result<Vec<V>, String> {
    if raw.len() > ENTRIES {
        return Err(format!("expected at most {ENTRIES} entries, got {}", raw.len()));
    }
    raw.iter().map(|item| parse(&item.value)).collect()
}

fn additions(raw: Vec<RawAddition>) -> Result<Vec<Addition>, String> {
    if raw.len() > ENTRIES {
        return Err(format!("expected at most {ENTRIES} entries, got {}", raw.len()));
    }
    Ok(raw.into_iter().map(addition).collect())
}

fn addition(raw: RawAddition) -> Addition {
    let RawAddition { rule, tags, extra_output, extra_fields, extra_tags } = raw;
    let set = |texts: Option<Vec<String>>| texts.unwrap_or_default().into_iter().collect::<BTreeSet<_>>();
    Addition {
        source: None,
        rule,
        tags: set(tags),
        output: extra_output,
        // Of a field by its own name.
        fields: extra_fields
            .unwrap_or_default()
            .into_iter()
            .map(|name| (name.clone(), format!("%{name}")))
            .collect(),
        extra_tags: set(extra_tags),
    }
}
