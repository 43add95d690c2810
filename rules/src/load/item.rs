//! Items of a rules file, as they were written.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{priority::Priority, report::Trail, script::Script, source::Scalar};
use crate::temporal::{By, Count};

/// When an item was defined and last changed. An item refers to what was defined before its last change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Order {
    pub(super) defined: usize,
    pub(super) changed: usize,
}

/// `list`.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) items: Vec<Arc<Scalar>>,
    pub(super) trail: Trail,
    pub(super) order: Order,
}

/// `macro`.
#[derive(Debug, Clone)]
pub(super) struct Macro {
    pub(super) name: String,
    pub(super) condition: Script,
    pub(super) condition_trail: Trail,
    pub(super) trail: Trail,
    pub(super) order: Order,
}

/// `rule`.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) is_source_known: bool,
    pub(super) condition: Script,
    pub(super) condition_trail: Trail,
    pub(super) output: Script,
    pub(super) output_trail: Trail,
    /// Only of a `kestrel_rule`.
    pub(super) before: Option<Before>,
    pub(super) description: String,
    pub(super) priority: Priority,
    pub(super) tags: BTreeSet<String>,
    pub(super) exceptions: Vec<Exception>,
    pub(super) is_enabled: bool,
    pub(super) warn_evttypes: bool,
    pub(super) skip_if_unknown_filter: bool,
    pub(super) capture: bool,
    pub(super) capture_duration: Option<u32>,
    pub(super) trail: Trail,
}

/// What must have happened before an event for a rule to match.
#[derive(Debug, Clone)]
pub(super) enum Before {
    Count(Count),
    After { steps: Vec<(Script, Trail)>, within: Duration, by: By },
}

/// What appends to a rule, or replaces parts of it.
#[derive(Debug, Clone)]
pub(super) struct Update {
    pub(super) name: String,
    pub(super) source: Option<String>,
    pub(super) condition: Option<(Script, Trail)>,
    pub(super) output: Option<(Script, Trail)>,
    pub(super) description: Option<String>,
    pub(super) tags: Option<BTreeSet<String>>,
    pub(super) exceptions: Option<Vec<Exception>>,
    pub(super) priority: Option<Priority>,
    pub(super) is_enabled: Option<bool>,
    pub(super) warn_evttypes: Option<bool>,
    pub(super) skip_if_unknown_filter: Option<bool>,
    pub(super) capture: Option<bool>,
    pub(super) capture_duration: Option<u32>,
    pub(super) trail: Trail,
}

impl Update {
    pub(super) fn new(name: &str, trail: &Trail) -> Self {
        Self {
            name: name.to_owned(),
            source: None,
            condition: None,
            output: None,
            description: None,
            tags: None,
            exceptions: None,
            priority: None,
            is_enabled: None,
            warn_evttypes: None,
            skip_if_unknown_filter: None,
            capture: None,
            capture_duration: None,
            trail: trail.clone(),
        }
    }

    /// Whether it changes nothing.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            name: _,
            source: _,
            condition,
            output,
            description,
            tags,
            exceptions,
            priority,
            is_enabled,
            warn_evttypes,
            skip_if_unknown_filter,
            capture,
            capture_duration,
            trail: _,
        } = self;
        condition.is_none()
            && output.is_none()
            && description.is_none()
            && tags.is_none()
            && exceptions.is_none()
            && priority.is_none()
            && is_enabled.is_none()
            && warn_evttypes.is_none()
            && skip_if_unknown_filter.is_none()
            && capture.is_none()
            && capture_duration.is_none()
    }
}

/// An exception of a rule.
#[derive(Debug, Clone)]
pub(super) struct Exception {
    pub(super) name: String,
    pub(super) fields: Option<Entry>,
    pub(super) comparisons: Option<Entry>,
    pub(super) values: Vec<Entry>,
    pub(super) trail: Trail,
}

/// One value, or several.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    One(Arc<Scalar>),
    Many(Vec<Entry>),
}

impl Entry {
    /// The value, if it is one.
    pub(super) const fn one(&self) -> Option<&Arc<Scalar>> {
        match self {
            Self::One(scalar) => Some(scalar),
            Self::Many(_) => None,
        }
    }
}

/// `required_plugin_versions`: a plugin, or one of those that can stand for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    /// The plugin.
    pub name: String,
    /// The least version of it.
    pub version: String,
}
