//! What configuration adds to rules, and which of them it selects.

use std::collections::{BTreeMap, BTreeSet};

use super::{Priority, read_rule::SYSCALL};

/// How rules are loaded.
#[derive(Debug, Clone)]
pub struct Config {
    /// Sources of events that there are; rules of others are skipped with a warning.
    pub sources: Vec<String>,
    /// Rules that are less urgent are not active.
    pub minimum_priority: Priority,
    /// Fields that never have a value here, and why: a rule that asks for one is warned of.
    pub unanswered: BTreeMap<String, String>,
    /// Names of files are those that the kernel resolved, without a link in them. What rules say of links that nearly
    /// every machine has is taken for what they lead to.
    pub resolved_names: bool,
    /// What is added to rules, in this order.
    pub additions: Vec<Addition>,
    /// Which rules are active, in this order; a later entry overrules an earlier one and `enabled`.
    pub selections: Vec<Selection>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sources: vec![SYSCALL.to_owned()],
            minimum_priority: Priority::Debug,
            unanswered: BTreeMap::new(),
            resolved_names: false,
            additions: Vec::new(),
            selections: Vec::new(),
        }
    }
}

/// What is added to the rules that it matches; as Falco's `append_output`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addition {
    /// Only rules of this source.
    pub source: Option<String>,
    /// Only the rule of this name.
    pub rule: Option<String>,
    /// Only rules that have all of these tags.
    pub tags: BTreeSet<String>,
    /// What the output goes on with, after a blank.
    pub output: Option<String>,
    /// Further values of a match: a name and an output.
    pub fields: Vec<(String, String)>,
    /// Further tags.
    pub extra_tags: BTreeSet<String>,
}

impl Addition {
    /// Whether it is for a rule.
    pub(super) fn matches(&self, source: &str, rule: &str, tags: &BTreeSet<String>) -> bool {
        self.source.as_deref().is_none_or(|wanted| wanted == source)
            && self.rule.as_deref().is_none_or(|wanted| wanted == rule)
            && self.tags.is_subset(tags)
    }
}

/// Makes rules active or not; as an entry of Falco's `rules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Whether they become active.
    pub enable: bool,
    /// Which ones.
    pub which: Which,
}

/// Which rules a selection is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those whose whole name fits a pattern, in which `*` stands for any text.
    Name(String),
    /// Those with a tag.
    Tag(String),
}

impl Which {
    /// Whether it is for a rule of this name, with these tags.
    #[must_use]
    pub fn is(&self, name: &str, tags: &BTreeSet<String>) -> bool {
        match self {
            Self::Name(pattern) => fits(pattern, name),
            Self::Tag(tag) => tags.contains(tag),
        }
    }
}

/// Whether a name fits a pattern with `*`. It takes time in proportion to both together at worst times each
/// other.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(found) => rest = &rest[found + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "any"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "abc"),
            ("a*b*d", "abcbd"),
            ("abc", "abc"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "ab"), ("b", "ab"), ("a*c", "ab"), ("ab*ba", "aba"), ("", "a"), ("a*b*c", "acb")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
