//! Labels of the security modules.

use crate::{Control, ControlId, Item, Pss, PssLevel, Scope, Severity, text::LOOK_COST};

pub(crate) const LSM_PROFILE: Control = Control {
    id: ControlId::LsmProfile,
    slug: "lsm-profile",
    title: "AppArmor or SELinux profile",
    scope: Scope::Container,
    severity: Severity::Medium,
    pss: Some(Pss { level: PssLevel::Baseline, field: "AppArmor" }),
    cis: &["5.7.3"],
    nsa: Some("Kubernetes Pod security: Hardening container environments"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1611", "T1068"],
    checklists: &[
        Item::A("Security profiles applied (AppArmor/SELinux)"),
        Item::B("Pod Security Standards enforced"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "a task is unconfined where AppArmor or SELinux is in force",
    observed: "/proc/PID/attr/current, and which of AppArmor and SELinux the node has in force",
    unknown: container_unknown!(
        "neither AppArmor nor SELinux is in force on the node (`host-lsm`); it could not be read which security \
         modules the node has"
    ),
    cost: LOOK_COST,
    fix: "Set securityContext.appArmorProfile.type: RuntimeDefault, or seLinuxOptions of a confined type.",
    yaml: include_str!("../yaml/lsm-profile.yaml"),
};
