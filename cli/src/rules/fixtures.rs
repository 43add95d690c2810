//! Events that a rule must match, and events that it must not.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use rules::event::JsonEvent;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::files;
use crate::Failure;

/// The folder of fixtures beside rules.
const FOLDER: &str = "fixtures";

/// An entry of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    /// The fields of an event that the rule must match.
    #[serde(rename = "match")]
    matching: Map<String, Value>,
    /// What is other in an event that it must not match; null takes a field away.
    miss: Map<String, Value>,
}

/// A pair of events for a rule.
#[derive(Debug)]
pub(super) struct Fixture {
    /// The rule's name.
    pub(super) rule: String,
    /// The file it stands in.
    pub(super) file: String,
    /// What the rule must match.
    pub(super) matching: JsonEvent,
    /// What it must not match.
    pub(super) missing: JsonEvent,
}

/// The fixtures of rules: those named, or those beside the rules.
pub(super) fn of(rules: &[PathBuf], named: &[PathBuf]) -> Result<Vec<Fixture>, Failure> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let paths = if named.is_empty() { beside(rules) } else { named.to_vec() };
    for path in paths {
        let unreadable = |why| Failure::Usage(format!("{}: {why}", path.display()));
        for file in files::files(&path).map_err(unreadable)? {
            if seen.insert(file.clone()) {
                found.extend(entries(&file)?);
            }
        }
    }
    Ok(found)
}

/// Of a folder all that is in its folder of fixtures, of a file the one of its name there.
fn beside(rules: &[PathBuf]) -> Vec<PathBuf> {
    let place = |path: &PathBuf| match path.file_name() {
        _ if path.is_dir() => path.join(FOLDER),
        Some(name) => path.with_file_name(FOLDER).join(name),
        None => path.clone(),
    };
    rules.iter().map(place).filter(|path| path.exists()).collect()
}

fn entries(path: &Path) -> Result<Vec<Fixture>, Failure> {
    let file = path.to_string_lossy();
    let wrong = |why: String| Failure::Usage(format!("{file}: {why}"));
    let text = files::read(path).map_err(wrong)?;
    let entries: Vec<Entry> = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let fixture = |Entry { rule, matching, miss }| {
        let mut missing = matching.clone();
        for (field, value) in miss {
            missing.insert(field, value);
        }
        Fixture {
            rule,
            file: file.clone().into_owned(),
            matching: JsonEvent::new(matching),
            missing: JsonEvent::new(missing),
        }
    };
    Ok(entries.into_iter().map(fixture).collect())
}
