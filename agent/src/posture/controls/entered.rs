//! No process that came into a container from outside has more rights than the container.
//!
//! `kubectl exec` gives what the container has; nsenter, `exec --privileged` and a write to
//! `cgroup.procs` do not. Measured is against the container's first process and what the pod
//! declares: the delta is the evidence. Having another namespace than the container is reported
//! and is a violation only if it is the host's.

use agent_abi::record::TaskState;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    capability::names,
    context::{DeclaredSeccomp, Origin},
    posture::{
        Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
        control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
        facts::{is_host_root, is_namespace_root},
    },
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::Entered,
    requires: Requirements {
        hooks: &[
            agent_abi::hook::Hook::Fork,
            agent_abi::hook::Hook::CgroupAttach,
            TASK_HOOKS[0],
            TASK_HOOKS[1],
            TASK_HOOKS[2],
        ],
        fields: &[
            "cred_cap_permitted",
            "cred_cap_bset",
            "cred_uid",
            "task_atomic_flags",
            "task_seccomp_mode",
        ],
        better_with: &["nsproxy_mnt", "nsproxy_net", "user_ns_inum"],
    },
    check,
    explain,
};

const ROOT: u32 = 1;
const NO_NEW_PRIVS: u32 = 1 << 1;
const SECCOMP: u32 = 1 << 2;
const HOST_MOUNTS: u32 = 1 << 3;
const HOST_USERS: u32 = 1 << 4;

const NAMESPACES: [&str; 7] = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];

#[derive(Default, IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    capabilities: u64,
    bounding: u64,
    gained: u32,
    /// Bit n: namespace n of [`NAMESPACES`] is another than the container's.
    other_namespaces: u32,
    uid: u32,
    init_uid: u32,
    seccomp_mode: u32,
    init_seccomp_mode: u32,
    entered: u32,
    user_ns: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.process.origin == Origin::Born {
        return Observation::new(Outcome::Pass, &Numbers::default());
    }
    let Some(baseline) = facts.baseline else {
        return Observation::new(
            Outcome::Unknown(UnknownReason::InitNotKnown),
            &Numbers { entered: 1, uid: facts.task.ids.uid, ..Numbers::default() },
        );
    };
    let task = facts.task;
    let init = &baseline.state;
    let declared = facts.declared;

    let declares_root = declared.is_some_and(|declared| declared.run_as_user == Some(0));
    let declared_capabilities = declared.and_then(|declared| declared.capabilities).unwrap_or(0);
    // A declared root keeps what the runtime gave it even if init has given it up since.
    let allowed = held(init) | if declares_root { declared_capabilities } else { 0 };
    let capabilities = held(task) & !allowed;
    let bounding = task.caps.bounding & !(init.caps.bounding | declared_capabilities);

    let mut gained = 0;
    let became_root = (is_host_root(task) && !is_host_root(init))
        || (is_namespace_root(task) && !is_namespace_root(init) && !is_host_root(init));
    if became_root && !declares_root {
        gained |= ROOT;
    }
    let declares_no_nnp = declared.is_some_and(|declared| declared.no_new_privs == Some(false));
    if task.no_new_privs == 0 && init.no_new_privs == 1 && !declares_no_nnp {
        gained |= NO_NEW_PRIVS;
    }
    let declares_unconfined =
        declared.is_some_and(|declared| declared.seccomp == Some(DeclaredSeccomp::Unconfined));
    if task.seccomp_mode == 0 && init.seccomp_mode != 0 && !declares_unconfined {
        gained |= SECCOMP;
    }
    let is_host = |inum: u32, init: u32, host: u32| inum != 0 && inum == host && init != host;
    if is_host(task.ns.mnt, init.ns.mnt, facts.host.ns.mnt) {
        gained |= HOST_MOUNTS;
    }
    if is_host(task.ns.user, init.ns.user, facts.host.ns.user) {
        gained |= HOST_USERS;
    }

    let numbers = Numbers {
        capabilities,
        bounding,
        gained,
        other_namespaces: other_namespaces(task, init),
        uid: task.ids.uid,
        init_uid: init.ids.uid,
        seccomp_mode: task.seccomp_mode,
        init_seccomp_mode: init.seccomp_mode,
        entered: 1,
        user_ns: task.ns.user,
    };
    // A namespace of its own makes capabilities worthless outside of it.
    let nested = facts.is_in_nested_user_namespace() == Some(true);
    let has_more = gained != 0 || (!nested && (capabilities | bounding) != 0);
    let outcome = if has_more {
        Outcome::Fail
    } else if facts.host.ns.mnt == 0 || facts.host.ns.user == 0 {
        Outcome::Unknown(UnknownReason::HostNotRead)
    } else {
        Outcome::Pass
    };
    Observation::new(outcome, &numbers)
}

fn held(task: &TaskState) -> u64 {
    task.caps.permitted | task.caps.effective | task.caps.ambient
}

fn other_namespaces(task: &TaskState, init: &TaskState) -> u32 {
    let list = |state: &TaskState| {
        let ns = &state.ns;
        [ns.mnt, ns.pid, ns.net, ns.ipc, ns.uts, ns.cgroup, ns.user]
    };
    let pairs = list(task).into_iter().zip(list(init));
    pairs
        .enumerate()
        .fold(0, |other, (bit, (own, init))| other | u32::from(own != 0 && init != 0 && own != init) << bit)
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    if numbers.entered == 0 {
        return Explanation { observed: "born in the container".into(), declared: None };
    }
    let mut gains = Vec::new();
    if numbers.gained & ROOT != 0 {
        gains.push(format!("uid {} (init {})", numbers.uid, numbers.init_uid));
    }
    if numbers.capabilities != 0 {
        gains.push(format!("capabilities {}", names(numbers.capabilities)));
    }
    if numbers.bounding != 0 {
        gains.push(format!("bounding {}", names(numbers.bounding)));
    }
    if numbers.gained & NO_NEW_PRIVS != 0 {
        gains.push("no_new_privs 0 (init 1)".into());
    }
    if numbers.gained & SECCOMP != 0 {
        gains.push(format!("seccomp mode {} (init {})", numbers.seccomp_mode, numbers.init_seccomp_mode));
    }
    if numbers.gained & HOST_MOUNTS != 0 {
        gains.push("host's mount namespace".into());
    }
    if numbers.gained & HOST_USERS != 0 {
        gains.push("host's user namespace".into());
    }
    let mut observed = "entered from outside".to_owned();
    if !gains.is_empty() {
        observed.push_str(" with more than init: ");
        observed.push_str(&gains.join("; "));
    }
    let other: Vec<_> = NAMESPACES
        .iter()
        .enumerate()
        .filter(|(bit, _)| numbers.other_namespaces & (1 << bit) != 0)
        .map(|(_, name)| *name)
        .collect();
    if !other.is_empty() {
        observed.push_str(&format!("; other namespaces: {}", other.join(",")));
    }
    Explanation { observed, declared: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, HOST_MNT_NS, HOST_USER_NS, task};

    #[test]
    fn delta_is_the_evidence() {
        let id = ControlId::Entered;
        let init = task(|_| ());
        Case::new(id, init).gives(Outcome::Pass, "born in the container");
        Case::new(id, init).entered(Some(init)).gives(Outcome::Pass, "entered from outside");
        Case::new(id, init).entered(None).is(Outcome::Unknown(UnknownReason::InitNotKnown));
        let nsenter = task(|task| {
            task.ids = Default::default();
            task.caps.permitted = 1 << 21;
            task.caps.bounding = 1 << 21;
            task.no_new_privs = 0;
            task.seccomp_mode = 0;
        });
        Case::new(id, nsenter).entered(Some(init)).gives(
            Outcome::Fail,
            "entered from outside with more than init: uid 0 (init 1000); capabilities SYS_ADMIN; \
             bounding SYS_ADMIN; no_new_privs 0 (init 1); seccomp mode 0 (init 2)",
        );
        // An init that is as free leaves nothing to report.
        Case::new(id, nsenter).entered(Some(nsenter)).is(Outcome::Pass);
    }

    #[test]
    fn what_is_declared_is_not_a_gain() {
        let id = ControlId::Entered;
        let dropped = task(|_| ());
        let shell = task(|task| {
            task.ids = Default::default();
            task.caps.permitted = 1 << 7;
            task.caps.bounding = 1 << 7;
        });
        Case::new(id, shell).entered(Some(dropped)).is(Outcome::Fail);
        Case::new(id, shell)
            .entered(Some(dropped))
            .declares(|declared| {
                declared.run_as_user = Some(0);
                declared.capabilities = Some(1 << 7);
            })
            .is(Outcome::Pass);
    }

    #[test]
    fn namespaces() {
        let id = ControlId::Entered;
        let init = task(|_| ());
        let host_mounts = task(|task| task.ns.mnt = HOST_MNT_NS);
        Case::new(id, host_mounts).entered(Some(init)).gives(
            Outcome::Fail,
            "entered from outside with more than init: host's mount namespace; other namespaces: mnt",
        );
        let host_users = task(|task| task.ns.user = HOST_USER_NS);
        let mapped = task(|task| {
            task.ns.user = 900;
            task.ns.user_level = 1;
        });
        Case::new(id, host_users).entered(Some(mapped)).is(Outcome::Fail);
        let other_net = task(|task| task.ns.net = 12345);
        Case::new(id, other_net)
            .entered(Some(init))
            .gives(Outcome::Pass, "entered from outside; other namespaces: net");
        let mut blind = Case::new(id, init).entered(Some(init));
        blind.host.ns.mnt = 0;
        blind.is(Outcome::Unknown(UnknownReason::HostNotRead));
    }
}
