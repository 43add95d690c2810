//! Events that a rule must match, and events that it must not.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use rules::event::Fixture;
use serde::Deserialize;
use serde_json::Value;

use super::files;
use crate::Failure;

/// The folder of fixtures beside rules.
const FOLDER: &str = "fixtures";

/// An entry of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    /// The fields of an event that the rule must match, or of several.
    #[serde(rename = "match")]
    matching: Value,
    /// What is other in events that it must not match; null takes a field away.
    miss: Value,
}

/// Events for a rule.
#[derive(Debug)]
pub(super) struct OfRule {
    /// The rule's name.
    pub(super) rule: String,
    /// The file it stands in.
    pub(super) file: String,
    /// What it must match, and what it must not.
    pub(super) fixture: Fixture,
}

/// The fixtures of rules: those named, or those beside the rules.
pub(super) fn of(rules: &[PathBuf], named: &[PathBuf]) -> Result<Vec<OfRule>, Failure> {
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

fn entries(path: &Path) -> Result<Vec<OfRule>, Failure> {
    let file = path.to_string_lossy();
    let wrong = |why: String| Failure::Usage(format!("{file}: {why}"));
    let text = files::read(path).map_err(wrong)?;
    let entries: Vec<Entry> = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let fixture = |Entry { rule, matching, miss }| {
        let fixture = Fixture::new(&matching, &miss).map_err(|why| wrong(format!("of {rule:?}: {why}")))?;
        Ok(OfRule { rule, file: file.clone().into_owned(), fixture })
    };
    entries.into_iter().map(fixture).collect()
}
