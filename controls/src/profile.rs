//! Sets of controls that somebody asks for.

use std::fmt;

use crate::{Control, Item, PssLevel};

/// A set of controls that somebody asks for. Detective controls are in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// What the Pod Security Standard Baseline asks for.
    Baseline,
    /// What the Pod Security Standard Restricted asks for, and so Baseline too.
    Restricted,
    /// What answers an item of the container security checklist (A).
    ChecklistA,
    /// What answers an item of the pre-deployment checklist (B).
    ChecklistB,
    /// Every control.
    All,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 5] =
        [Self::Baseline, Self::Restricted, Self::ChecklistA, Self::ChecklistB, Self::All];

    /// Its name in files and options.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
            Self::ChecklistA => "checklist-a",
            Self::ChecklistB => "checklist-b",
            Self::All => "all",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }

    /// Whether the control is one of the set.
    #[must_use]
    pub fn has(self, control: &Control) -> bool {
        let level = control.pss.map(|pss| pss.level);
        control.detective
            || match self {
                Self::Baseline => level == Some(PssLevel::Baseline),
                Self::Restricted => level.is_some(),
                Self::ChecklistA => control.checklists.iter().any(|item| matches!(item, Item::A(_))),
                Self::ChecklistB => control.checklists.iter().any(|item| matches!(item, Item::B(_))),
                Self::All => true,
            }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CONTROL_COUNT, CONTROLS, ControlId};

    fn slugs(profile: Profile) -> Vec<&'static str> {
        CONTROLS
            .iter()
            .filter(|control| !control.detective && profile.has(control))
            .map(|control| control.slug)
            .collect()
    }

    #[test]
    fn names_are_a_contract() {
        let names = Profile::ALL.map(Profile::as_str);
        assert_eq!(names, ["baseline", "restricted", "checklist-a", "checklist-b", "all"]);
        for profile in Profile::ALL {
            assert_eq!(Profile::from_name(profile.as_str()), Some(profile));
        }
        assert_eq!(Profile::from_name("Baseline"), None);
    }

    #[test]
    fn baseline_is_part_of_restricted() {
        assert_eq!(
            slugs(Profile::Baseline),
            [
                "privileged",
                "added-capabilities",
                "host-pid",
                "host-network",
                "host-ipc",
                "host-path",
                "proc-mount",
                "lsm-profile",
                "host-ports",
                "sysctls"
            ]
        );
        let restricted = slugs(Profile::Restricted);
        assert!(slugs(Profile::Baseline).iter().all(|slug| restricted.contains(slug)));
        for slug in ["run-as-non-root", "no-new-privileges", "seccomp", "capabilities"] {
            assert!(restricted.contains(&slug), "{slug}");
        }
        assert!(!restricted.contains(&"memory-limit"));
    }

    #[test]
    fn checklists_have_the_controls_with_an_item() {
        let (a, b) = (slugs(Profile::ChecklistA), slugs(Profile::ChecklistB));
        assert!(a.contains(&"no-new-privileges") && a.contains(&"image-age"));
        assert!(!a.contains(&"service-account-token") && b.contains(&"service-account-token"));
        assert!(!b.contains(&"image-age"));
        assert!(!a.contains(&"host-users") && !b.contains(&"host-users"));
    }

    #[test]
    fn detective_controls_are_in_every_profile() {
        for profile in Profile::ALL {
            assert!(profile.has(ControlId::Entered.control()), "{profile}");
            assert!(profile.has(ControlId::AdminTools.control()), "{profile}");
        }
    }

    #[test]
    fn all_has_all() {
        assert_eq!(CONTROLS.iter().filter(|control| Profile::All.has(control)).count(), CONTROL_COUNT);
    }
}
