//! What a control is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{CONTROLS, ControlId};

/// The weakest Pod Security Standard that asks for a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PssLevel {
    /// Asked for by Baseline, and so by Restricted.
    Baseline,
    /// Asked for by Restricted.
    Restricted,
}

impl PssLevel {
    /// The word people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A field of the Pod Security Standards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pss {
    /// The level that asks for it.
    pub level: PssLevel,
    /// Its name in the standards.
    pub field: &'static str,
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
    /// All, the mildest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// A step worse.
    #[must_use]
    pub const fn raised(self) -> Self {
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

    /// The severity of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == name)
    }
}

/// What a control speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Each task of a container.
    Task,
    /// A container as a whole: its mounts, limits, sockets, image.
    Container,
    /// The node.
    Node,
}

impl Scope {
    /// All, in the order of [`CONTROLS`].
    pub const ALL: [Self; 3] = [Self::Task, Self::Container, Self::Node];

    /// The word people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Container => "container",
            Self::Node => "node",
        }
    }
}

/// An item of one of the two checklists, in its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Of the container security checklist (A).
    A(&'static str),
    /// Of the pre-deployment checklist (B).
    B(&'static str),
}

impl Item {
    /// Its words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::A(words) | Self::B(words) => words,
        }
    }
}

/// One thing that is to be true.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Its place in [`CONTROLS`].
    pub id: ControlId,
    /// Its name in files and metrics; never changes.
    pub slug: &'static str,
    /// Its name in the Pod Security Standards or CIS, where they have one.
    pub title: &'static str,
    /// What it speaks of.
    pub scope: Scope,
    /// Severity of a FAIL; DRIFT is a step worse.
    pub severity: Severity,
    /// The Pod Security Standard that asks for it.
    pub pss: Option<Pss>,
    /// Recommendations of the CIS Kubernetes Benchmark 1.9.
    pub cis: &'static [&'static str],
    /// Section of the NSA/CISA Kubernetes Hardening Guide 1.2.
    pub nsa: Option<&'static str>,
    /// Section of NIST SP 800-190.
    pub nist: Option<&'static str>,
    /// Techniques of MITRE ATT&CK that it stands against.
    pub attack: &'static [&'static str],
    /// Items of the checklists that it answers.
    pub checklists: &'static [Item],
    /// It sees what is done rather than how something is set up; in every profile.
    pub detective: bool,
    /// Whether a pod sandbox, which the runtime owns, is exempt.
    pub exempts_sandbox: bool,
    /// When it says FAIL.
    pub fails: &'static str,
    /// Where the truth comes from.
    pub observed: &'static str,
    /// What makes it UNKNOWN: reasons, each after "; ".
    pub unknown: &'static str,
    /// What it costs the node.
    pub cost: &'static str,
    /// How to fix it, in one sentence.
    pub fix: &'static str,
    /// The fix to paste.
    pub yaml: &'static str,
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
