//! What containers depend on in the host.

use crate::{Control, ControlId, Item, Scope, Severity};

const COST: &str = "a few files of /proc and /sys, read when the agent starts and now and then after";

macro_rules! host_unknown {
    () => {
        "/proc/sys or /sys/kernel/security could not be read, or is not mounted where the agent looks"
    };
    ($reason:literal) => {
        concat!(host_unknown!(), "; ", $reason)
    };
}

pub(crate) const LOCKDOWN: Control = Control {
    id: ControlId::HostLockdown,
    slug: "host-lockdown",
    title: "Kernel lockdown",
    scope: Scope::Node,
    severity: Severity::Low,
    pss: None,
    cis: &[],
    nsa: None,
    nist: Some("4.5.1 Large attack surface"),
    attack: &["T1014", "T1547.006"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "the kernel's lockdown is off, or the kernel has none, so root can change the running kernel",
    observed: "the mode in brackets in /sys/kernel/security/lockdown",
    unknown: host_unknown!(),
    cost: COST,
    fix: "Boot with lockdown=integrity: confidentiality would also keep eBPF programs from reading kernel \
        memory, and Kestrel with them.",
    yaml: include_str!("../yaml/host-lockdown.yaml"),
};

pub(crate) const UNPRIVILEGED_BPF: Control = Control {
    id: ControlId::HostUnprivilegedBpf,
    slug: "host-unprivileged-bpf",
    title: "Unprivileged BPF",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &[],
    nsa: None,
    nist: Some("4.5.2 Shared kernel"),
    attack: &["T1068", "T1014"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "every user may load eBPF programs",
    observed: "kernel.unprivileged_bpf_disabled",
    unknown: host_unknown!(),
    cost: COST,
    fix: "Set the sysctl kernel.unprivileged_bpf_disabled to 1 or 2.",
    yaml: include_str!("../yaml/host-unprivileged-bpf.yaml"),
};

pub(crate) const UNPRIVILEGED_USER_NAMESPACES: Control = Control {
    id: ControlId::HostUnprivilegedUserNamespaces,
    slug: "host-unprivileged-user-namespaces",
    title: "Unprivileged user namespaces",
    scope: Scope::Node,
    severity: Severity::Low,
    pss: None,
    cis: &[],
    nsa: None,
    nist: Some("4.5.2 Shared kernel"),
    attack: &["T1068", "T1611"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "every user may make user namespaces, and reach the parts of the kernel that only root of a \
        namespace does",
    observed: "user.max_user_namespaces, kernel.unprivileged_userns_clone (Debian) and \
        kernel.apparmor_restrict_unprivileged_userns (Ubuntu, where AppArmor is in force)",
    unknown: host_unknown!(),
    cost: COST,
    fix: "Set the sysctl that the distribution has, and leave user.max_user_namespaces above 0 where pods \
        have user namespaces of their own (hostUsers: false).",
    yaml: include_str!("../yaml/host-unprivileged-user-namespaces.yaml"),
};

pub(crate) const LSM: Control = Control {
    id: ControlId::HostLsm,
    slug: "host-lsm",
    title: "AppArmor or SELinux in force",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &[],
    nsa: Some("Kubernetes Pod security: Hardening container environments"),
    nist: Some("4.5.2 Shared kernel"),
    attack: &["T1611", "T1068"],
    checklists: &[Item::A("Security profiles applied (AppArmor/SELinux)")],
    detective: false,
    exempts_sandbox: false,
    fails: "neither AppArmor nor SELinux is in force, or SELinux is permissive",
    observed: "/sys/kernel/security/lsm and /sys/fs/selinux/enforce",
    unknown: host_unknown!("SELinux is in force and whether it enforces could not be read"),
    cost: COST,
    fix: "Boot with security=apparmor or with selinux=1 and enforcing=1, as the distribution has them.",
    yaml: include_str!("../yaml/host-lsm.yaml"),
};

pub(crate) const PTRACE_SCOPE: Control = Control {
    id: ControlId::HostPtraceScope,
    slug: "host-ptrace-scope",
    title: "Scope of ptrace",
    scope: Scope::Node,
    severity: Severity::Low,
    pss: None,
    cis: &[],
    nsa: None,
    nist: Some("4.5.1 Large attack surface"),
    attack: &["T1055.008", "T1003.007"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "a process may trace every other one of its user, or the kernel has no Yama",
    observed: "kernel.yama.ptrace_scope",
    unknown: host_unknown!(),
    cost: COST,
    fix: "Set the sysctl kernel.yama.ptrace_scope to 1 or more.",
    yaml: include_str!("../yaml/host-ptrace-scope.yaml"),
};

pub(crate) const CORE_PATTERN: Control = Control {
    id: ControlId::HostCorePattern,
    slug: "host-core-pattern",
    title: "Handler of core dumps",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &[],
    nsa: None,
    nist: Some("4.5.5 Host file system tampering"),
    attack: &["T1611", "T1546"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "core dumps are piped, with the host's root rights, to a program that is named by a relative \
        path, lies where containers write, or can be changed by others than root",
    observed: "kernel.core_pattern, and owner and mode of the program on the host's root file system",
    unknown: host_unknown!("the program was not found on the host's root file system"),
    cost: COST,
    fix: "Set the sysctl kernel.core_pattern back to the distribution's, such as systemd-coredump, and look \
        for who changed it.",
    yaml: include_str!("../yaml/host-core-pattern.yaml"),
};
