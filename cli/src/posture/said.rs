//! What is said by controls, added up.

use std::collections::BTreeMap;

use kestrel_proto::v1;
use serde::{Serialize, Serializer};

use super::control;
use crate::text;

/// Verdicts, the worst first.
pub const WORST_FIRST: [v1::Verdict; 5] =
    [v1::Verdict::Drift, v1::Verdict::Fail, v1::Verdict::Unknown, v1::Verdict::Exempt, v1::Verdict::Pass];

/// How often each verdict was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As it should be.
    pub pass: u64,
    /// Not as it should be.
    pub fail: u64,
    /// Declared one way, observed another.
    pub drift: u64,
    /// Somebody answers for it.
    pub exempt: u64,
    /// Cannot be told.
    pub unknown: u64,
}

impl Counts {
    /// One more.
    pub fn add(&mut self, verdict: v1::Verdict) {
        match verdict {
            v1::Verdict::Pass => self.pass += 1,
            v1::Verdict::Fail => self.fail += 1,
            v1::Verdict::Drift => self.drift += 1,
            v1::Verdict::Exempt => self.exempt += 1,
            // What this program cannot read is no PASS either.
            v1::Verdict::Unknown | v1::Verdict::Unspecified => self.unknown += 1,
        }
    }

    /// How often one was given.
    #[must_use]
    pub const fn of(&self, verdict: v1::Verdict) -> u64 {
        match verdict {
            v1::Verdict::Pass => self.pass,
            v1::Verdict::Fail => self.fail,
            v1::Verdict::Drift => self.drift,
            v1::Verdict::Exempt => self.exempt,
            v1::Verdict::Unknown | v1::Verdict::Unspecified => self.unknown,
        }
    }

    /// Whole percents of what was judged that passed: 100 only if all did. UNKNOWN did not pass, and
    /// what is EXEMPT counts neither way.
    #[must_use]
    pub const fn passed_percent(&self) -> Option<u64> {
        let judged = self.pass + self.fail + self.drift + self.unknown;
        (self.pass * 100).checked_div(judged)
    }
}

/// What a control says of the containers of a workload, or of a node.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// The control.
    pub control: String,
    /// The worst that it says of any of them.
    #[serde(serialize_with = "verdict_word")]
    pub verdict: v1::Verdict,
    /// How bad that is.
    #[serde(serialize_with = "severity_word", skip_serializing_if = "is_unspecified")]
    pub severity: v1::Severity,
    /// Of how many containers it says that.
    pub containers: u64,
    /// Why UNKNOWN.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unknown_reason: String,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
    /// What the kernel holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// What the pod asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
}

/// Who answers for a control that is violated.
#[derive(Clone, Debug, Serialize)]
pub struct Exemption {
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Last day, YYYY-MM-DD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl Said {
    fn of(posture: &v1::ControlPosture) -> Self {
        Self {
            control: posture.control.clone(),
            verdict: known(posture.verdict()),
            severity: control::severity(posture),
            containers: 1,
            unknown_reason: posture.unknown_reason.clone(),
            exemption: posture.exemption.clone().map(|v1::Exemption { owner, reason, expires }| Exemption {
                owner,
                reason,
                expires,
            }),
            observed: posture.observed.clone(),
            declared: posture.declared.clone(),
        }
    }

    /// Whether it says that something is not as it should be, and nobody answers for it.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(self.verdict, v1::Verdict::Fail | v1::Verdict::Drift)
    }
}

/// A verdict; one that this program does not know is UNKNOWN.
#[must_use]
pub const fn known(verdict: v1::Verdict) -> v1::Verdict {
    match verdict {
        v1::Verdict::Unspecified => v1::Verdict::Unknown,
        known => known,
    }
}

/// Puts what is said of one more container to what is said of the others: the worst counts.
pub fn merge(all: &mut BTreeMap<String, Said>, posture: &v1::ControlPosture) {
    let new = Said::of(posture);
    match all.get_mut(&new.control) {
        None => {
            all.insert(new.control.clone(), new);
        }
        Some(old) if old.verdict == new.verdict => {
            old.containers += 1;
            old.severity = old.severity.max(new.severity);
        }
        Some(old) if old.verdict < new.verdict => *old = new,
        Some(_) => {}
    }
}

/// How often each verdict is given, and how bad the worst violation is.
#[must_use]
pub fn sums<'a>(all: impl IntoIterator<Item = &'a Said>) -> (Counts, v1::Severity) {
    let mut counts = Counts::default();
    let mut worst = v1::Severity::Unspecified;
    for said in all {
        counts.add(said.verdict);
        if said.is_violation() {
            worst = worst.max(said.severity);
        }
    }
    (counts, worst)
}

pub(super) fn is_unspecified(severity: &v1::Severity) -> bool {
    *severity == v1::Severity::Unspecified
}

pub(super) fn verdict_word<S: Serializer>(verdict: &v1::Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text::verdict(*verdict).to_ascii_lowercase())
}

pub(super) fn severity_word<S: Serializer>(
    severity: &v1::Severity,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text::severity(*severity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_has_not_passed_and_exempt_counts_neither_way() {
        let counts = Counts { pass: 3, unknown: 1, exempt: 6, ..Default::default() };
        assert_eq!(counts.passed_percent(), Some(75));
        assert_eq!(Counts { pass: 999, fail: 1, ..Default::default() }.passed_percent(), Some(99));
        assert_eq!(Counts { exempt: 1, ..Default::default() }.passed_percent(), None);
    }

    #[test]
    fn the_worst_of_replicas_counts() {
        let mut all = BTreeMap::new();
        let mut add = |verdict: v1::Verdict| {
            let said = v1::ControlPosture {
                control: "seccomp".to_owned(),
                verdict: verdict.into(),
                ..Default::default()
            };
            merge(&mut all, &said);
            (all["seccomp"].verdict, all["seccomp"].containers)
        };
        assert_eq!(add(v1::Verdict::Pass), (v1::Verdict::Pass, 1));
        assert_eq!(add(v1::Verdict::Unspecified), (v1::Verdict::Unknown, 1));
        assert_eq!(add(v1::Verdict::Fail), (v1::Verdict::Fail, 1));
        assert_eq!(add(v1::Verdict::Exempt), (v1::Verdict::Fail, 1));
        assert_eq!(add(v1::Verdict::Fail), (v1::Verdict::Fail, 2));
    }
}
