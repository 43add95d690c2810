//! What a control is.

use std::fmt;

use agent_abi::hook::Hook;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use super::controls::{CONTROL_COUNT, CONTROLS, ControlId};
use super::{Evidence, Explanation, Facts, Observation, Verdict};

/// The weakest Pod Security Standard that asks for a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PssLevel {
    /// Asked for by Baseline, and so by Restricted.
    Baseline,
    /// Asked for by Restricted.
    Restricted,
}

/// How bad a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Weakens a defence.
    Medium,
    /// A defence is gone.
    High,
    /// The node is open.
    Critical,
}

impl Severity {
    const fn raised(self) -> Self {
        match self {
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Critical => Self::Critical,
        }
    }

    /// The word people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a control needs from the kernel, for the attach report.
#[derive(Clone, Copy, Debug)]
pub struct Requirements {
    /// Hooks without which it does not see.
    pub hooks: &'static [Hook],
    /// Names of kernel fields (`agent_abi::offset::FIELDS`) without which it does not see.
    pub fields: &'static [&'static str],
    /// Fields without which it sees less.
    pub better_with: &'static [&'static str],
}

/// The hooks that show every task's state.
pub(super) const TASK_HOOKS: &[Hook] = &[Hook::Fork, Hook::Exec, Hook::SysExit, Hook::Credentials];

/// One thing that is to be true of every task of a container.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Its place in [`CONTROLS`].
    pub id: ControlId,
    /// Its name in files and metrics; never changes.
    pub slug: &'static str,
    /// Its name in the Pod Security Standards or CIS.
    pub title: &'static str,
    /// The standard that asks for it, if one does.
    pub pss: Option<PssLevel>,
    /// Recommendation of the CIS Kubernetes Benchmark.
    pub cis: Option<&'static str>,
    /// Severity of a FAIL; DRIFT is a step worse.
    pub severity: Severity,
    /// Whether a pod sandbox, which the runtime owns, is exempt.
    pub exempts_sandbox: bool,
    /// How to fix it, in one sentence.
    pub fix: &'static str,
    /// What it needs.
    pub requires: Requirements,
    /// Judges one task. Called for every judged event: no allocation, no text.
    pub check: fn(&Facts<'_>) -> Observation,
    /// Turns the evidence of [`Control::check`] into text.
    pub explain: fn(&Evidence) -> Explanation,
}

impl Control {
    /// Severity of a verdict.
    #[must_use]
    pub const fn severity_of(&self, verdict: Verdict) -> Severity {
        match verdict {
            Verdict::Drift => self.severity.raised(),
            Verdict::Fail => self.severity,
            Verdict::Pass | Verdict::Exempt | Verdict::Unknown => Severity::Low,
        }
    }
}

impl ControlId {
    /// The control.
    #[must_use]
    pub fn control(self) -> &'static Control {
        &CONTROLS[self as usize]
    }

    /// Its slug.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.control().slug
    }

    /// The control of that slug.
    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        CONTROLS.iter().find(|control| control.slug == slug).map(|control| control.id)
    }
}

impl fmt::Display for ControlId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.slug())
    }
}

impl Serialize for ControlId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

impl<'de> Deserialize<'de> for ControlId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let slug = String::deserialize(deserializer)?;
        Self::from_slug(&slug).ok_or_else(|| serde::de::Error::custom(format_args!("no control `{slug}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_order_and_names_what_exists() {
        for (index, control) in CONTROLS.iter().enumerate() {
            assert_eq!(control.id as usize, index, "{}", control.slug);
            assert_eq!(ControlId::from_slug(control.slug), Some(control.id));
            assert!(control.fix.ends_with('.'), "{}", control.slug);
            for field in control.requires.fields.iter().chain(control.requires.better_with) {
                assert!(
                    agent_abi::offset::FIELDS.iter().any(|known| known.name == *field),
                    "{} requires {field}",
                    control.slug
                );
            }
        }
    }

    #[test]
    fn slugs_are_a_contract() {
        let slugs: Vec<_> = CONTROLS.iter().map(|control| control.slug).collect();
        for slug in [
            "run-as-non-root",
            "no-new-privileges",
            "seccomp",
            "privileged",
            "capabilities",
            "entered",
            "left-container",
        ] {
            assert!(slugs.contains(&slug), "{slug}");
        }
    }
}
