//! Tasks: who they are and what they may do.

use crate::{Control, ControlId, Item, Pss, PssLevel, Scope, Severity, text::TASK_COST};

pub(crate) const PRIVILEGED: Control = Control {
    id: ControlId::Privileged,
    slug: "privileged",
    title: "Privileged Containers",
    scope: Scope::Task,
    severity: Severity::Critical,
    pss: Some(Pss { level: PssLevel::Baseline, field: "Privileged Containers" }),
    cis: &["5.2.2"],
    nsa: Some("Kubernetes Pod security: Pod security enforcement"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1611"],
    checklists: &[
        Item::A("No privileged containers"),
        Item::B("No privileged containers"),
        Item::B("Pod Security Standards enforced"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "the bounding set holds every capability of the host",
    observed: "cap_bset of each task's cred, against that of the host's init",
    unknown: task_unknown!("the host's capabilities were not read; the task's user namespace was not read"),
    cost: TASK_COST,
    fix: "Set securityContext.privileged: false and add only the capabilities that the container needs.",
    yaml: include_str!("../yaml/privileged.yaml"),
};

pub(crate) const RUN_AS_NON_ROOT: Control = Control {
    id: ControlId::RunAsNonRoot,
    slug: "run-as-non-root",
    title: "Running as Non-root",
    scope: Scope::Task,
    severity: Severity::High,
    pss: Some(Pss { level: PssLevel::Restricted, field: "Running as Non-root" }),
    cis: &["5.2.7"],
    nsa: Some("Kubernetes Pod security: Non-root containers"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1611"],
    checklists: &[
        Item::A("Containers run as non-root user"),
        Item::B("All containers run as non-root"),
        Item::B("Pod Security Standards enforced"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "the real, effective, saved or file system uid is the host's 0",
    observed: "the uid, euid, suid and fsuid of each task's cred, and the map of its user namespace",
    unknown: task_unknown!(
        "the task's user namespace was not read; the map of the user namespace is too long to translate \
        ids"
    ),
    cost: TASK_COST,
    fix: "Set securityContext.runAsNonRoot: true with a runAsUser other than 0, or hostUsers: false.",
    yaml: include_str!("../yaml/run-as-non-root.yaml"),
};

pub(crate) const NO_NEW_PRIVILEGES: Control = Control {
    id: ControlId::NoNewPrivileges,
    slug: "no-new-privileges",
    title: "Privilege Escalation",
    scope: Scope::Task,
    severity: Severity::Medium,
    pss: Some(Pss { level: PssLevel::Restricted, field: "Privilege Escalation" }),
    cis: &["5.2.6"],
    nsa: Some("Kubernetes Pod security: Pod security enforcement"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1548.001", "T1068"],
    checklists: &[Item::A("No new privileges flag set"), Item::B("Pod Security Standards enforced")],
    detective: false,
    exempts_sandbox: true,
    fails: "`no_new_privs` is 0",
    observed: "bit 0 of atomic_flags of each task",
    unknown: task_unknown!(),
    cost: TASK_COST,
    fix: "Set securityContext.allowPrivilegeEscalation: false.",
    yaml: include_str!("../yaml/no-new-privileges.yaml"),
};

pub(crate) const SECCOMP: Control = Control {
    id: ControlId::Seccomp,
    slug: "seccomp",
    title: "Seccomp",
    scope: Scope::Task,
    severity: Severity::Medium,
    pss: Some(Pss { level: PssLevel::Restricted, field: "Seccomp" }),
    cis: &["5.7.2"],
    nsa: Some("Kubernetes Pod security: Pod security enforcement"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1068", "T1611"],
    checklists: &[Item::A("Seccomp profiles configured"), Item::B("Pod Security Standards enforced")],
    detective: false,
    exempts_sandbox: true,
    fails: "there is no filter, or one that allows nearly everything",
    observed: "seccomp.mode and seccomp.filter of each task, and from Linux 5.11 on the kernel's bitmap \
        of the calls that all its filters allow whatever the arguments",
    unknown: task_unknown!(
        "what the filter allows is not visible (Linux before 5.11, or a record without it) and no \
        RuntimeDefault profile is declared"
    ),
    cost: TASK_COST,
    fix: "Set securityContext.seccompProfile.type: RuntimeDefault, or a Localhost profile that denies by \
        default.",
    yaml: include_str!("../yaml/seccomp.yaml"),
};

pub(crate) const CAPABILITIES: Control = Control {
    id: ControlId::Capabilities,
    slug: "capabilities",
    title: "Capabilities",
    scope: Scope::Task,
    severity: Severity::Medium,
    pss: Some(Pss { level: PssLevel::Restricted, field: "Capabilities" }),
    cis: &["5.2.8", "5.2.10"],
    nsa: Some("Kubernetes Pod security: Pod security enforcement"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1611", "T1040", "T1557"],
    checklists: &[
        Item::A("Capabilities dropped (ALL) and only necessary ones added"),
        Item::B("All capabilities dropped"),
        Item::B("Pod Security Standards enforced"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "any of the five sets holds more than NET_BIND_SERVICE",
    observed: "cap_inheritable, cap_permitted, cap_effective, cap_bset and cap_ambient of each task's \
        cred",
    unknown: task_unknown!("the task's user namespace was not read"),
    cost: TASK_COST,
    fix: "Set securityContext.capabilities.drop: [ALL] and add back NET_BIND_SERVICE at most.",
    yaml: include_str!("../yaml/capabilities.yaml"),
};

pub(crate) const ADDED_CAPABILITIES: Control = Control {
    id: ControlId::AddedCapabilities,
    slug: "added-capabilities",
    title: "Capabilities beyond the default",
    scope: Scope::Task,
    severity: Severity::High,
    pss: Some(Pss { level: PssLevel::Baseline, field: "Capabilities" }),
    cis: &["5.2.9"],
    nsa: Some("Kubernetes Pod security: Pod security enforcement"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1611", "T1547.006"],
    checklists: &[
        Item::A("Capabilities dropped (ALL) and only necessary ones added"),
        Item::B("Pod Security Standards enforced"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "any of the five sets holds more than the runtimes' default set",
    observed: "cap_inheritable, cap_permitted, cap_effective, cap_bset and cap_ambient of each task's \
        cred, against the set that containerd and CRI-O give by default",
    unknown: task_unknown!("the task's user namespace was not read"),
    cost: TASK_COST,
    fix: "Remove from securityContext.capabilities.add all that the container does not need.",
    yaml: include_str!("../yaml/added-capabilities.yaml"),
};
