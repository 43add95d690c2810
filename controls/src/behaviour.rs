//! What tasks do that was not set up.

use crate::{Control, ControlId, Scope, Severity, text::TASK_COST};

pub(crate) const ENTERED: Control = Control {
    id: ControlId::Entered,
    slug: "entered",
    title: "Entered With More Rights",
    scope: Scope::Task,
    severity: Severity::High,
    pss: None,
    cis: &[],
    nsa: Some("Audit Logging and Threat Detection: Threat Detection"),
    nist: Some("4.4.5 Rogue containers"),
    attack: &["T1609"],
    checklists: &[],
    detective: true,
    exempts_sandbox: false,
    fails: "a process came in from outside with more rights than the container's first process",
    observed: "the rights (cred, atomic_flags, seccomp) and namespaces of each process that came into the \
        container's cgroup or mount namespace from outside, against those of the container's first process",
    unknown: task_unknown!("the container's first process was not seen, so there is nothing to compare with"),
    cost: TASK_COST,
    fix: "Find out who entered the container, and use kubectl exec or an ephemeral container under the \
        pod's own security context.",
    yaml: include_str!("../yaml/entered.yaml"),
};

pub(crate) const LEFT_CONTAINER: Control = Control {
    id: ControlId::LeftContainer,
    slug: "left-container",
    title: "Left Its Container",
    scope: Scope::Task,
    severity: Severity::Critical,
    pss: None,
    cis: &[],
    nsa: Some("Audit Logging and Threat Detection: Threat Detection"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1611"],
    checklists: &[],
    detective: true,
    exempts_sandbox: false,
    fails: "a process was moved out of its container's cgroup",
    observed: "cgroup_attach_task, and the cgroup of each task at fork and exec, against the container \
        that it began in",
    unknown: task_unknown!(),
    cost: TASK_COST,
    fix: "Treat the node as compromised unless the runtime moved the task, and take write access to the \
        cgroup file system away from the container.",
    yaml: include_str!("../yaml/left-container.yaml"),
};

pub(crate) const GAINED_PRIVILEGES: Control = Control {
    id: ControlId::GainedPrivileges,
    slug: "gained-privileges",
    title: "Gained Privileges",
    scope: Scope::Task,
    severity: Severity::High,
    pss: None,
    cis: &[],
    nsa: Some("Audit Logging and Threat Detection: Threat Detection"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1548.001", "T1068"],
    checklists: &[],
    detective: true,
    exempts_sandbox: false,
    fails: "a program gave its task another uid or more capabilities than before",
    observed: "cap_permitted and the uids of each task's cred before and after an exec, and those of the \
        container's first process",
    unknown: task_unknown!(
        "the program ran before the agent did, and its file may have given it what it holds"
    ),
    cost: TASK_COST,
    fix: "Set securityContext.allowPrivilegeEscalation: false and take set-uid bits and file capabilities \
        out of the image.",
    yaml: include_str!("../yaml/gained-privileges.yaml"),
};

pub(crate) const THREADS_DIFFER: Control = Control {
    id: ControlId::ThreadsDiffer,
    slug: "threads-differ",
    title: "Threads Differ",
    scope: Scope::Task,
    severity: Severity::Medium,
    pss: None,
    cis: &[],
    nsa: Some("Audit Logging and Threat Detection: Threat Detection"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1548"],
    checklists: &[],
    detective: true,
    exempts_sandbox: false,
    fails: "a thread has other ids, capabilities, no_new_privs or seccomp filters than the leader of its \
        process",
    observed: "the rights (cred, atomic_flags, seccomp) of each thread, against those of the leader of its \
        process",
    unknown: task_unknown!(),
    cost: TASK_COST,
    fix: "Set rights before threads are made, or for all of them (SECCOMP_FILTER_FLAG_TSYNC, setuid of \
        the C library).",
    yaml: include_str!("../yaml/threads-differ.yaml"),
};

pub(crate) const RUNTIME_DRIFT: Control = Control {
    id: ControlId::RuntimeDrift,
    slug: "runtime-drift",
    title: "Program Not in the Image",
    scope: Scope::Task,
    severity: Severity::High,
    pss: None,
    cis: &[],
    nsa: Some("Audit Logging and Threat Detection: Threat Detection"),
    nist: Some("4.4.4 App vulnerabilities"),
    attack: &["T1105", "T1620"],
    checklists: &[],
    detective: true,
    exempts_sandbox: false,
    fails: "the program is in the writable layer, in a volume, in memory only, or deleted",
    observed: "the inode of each program at its exec: its layer of overlayfs, its device against that of \
        the container's root file system, its links, and whether it is a memfd",
    unknown: task_unknown!(
        "the program's file was not read; the root file system is no overlay, so what was in the image is \
        not known; overlayfs was not loaded when the agent started, so the layers cannot be told apart"
    ),
    cost: TASK_COST,
    fix: "Set securityContext.readOnlyRootFilesystem: true and put the program into the image.",
    yaml: include_str!("../yaml/runtime-drift.yaml"),
};

pub(crate) const ADMIN_TOOLS: Control = Control {
    id: ControlId::AdminTools,
    slug: "admin-tools",
    title: "Package Manager, Shell or Compiler",
    scope: Scope::Task,
    severity: Severity::Low,
    pss: None,
    cis: &[],
    nsa: Some("Kubernetes Pod security: Building secure container images"),
    nist: Some("4.4.4 App vulnerabilities"),
    attack: &["T1059.004", "T1105", "T1027.004"],
    checklists: &[],
    detective: true,
    exempts_sandbox: false,
    fails: "a package manager, shell or compiler runs in a container that serves a port",
    observed: "the file name of each program at its exec, after the container was seen to listen on a \
        port",
    unknown: task_unknown!(
        "the sockets of the container could not be read, so it is not known whether it serves; the tool ran \
        before the agent did"
    ),
    cost: TASK_COST,
    fix: "Use an image without them (distroless, scratch), and kubectl debug to look into the container.",
    yaml: include_str!("../yaml/admin-tools.yaml"),
};
