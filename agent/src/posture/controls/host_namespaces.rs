//! No container shares a namespace with the host.
//!
//! Held against the namespaces of the host's init, by inode number. What entered from outside is spoken of by
//! `entered`. Sharing the host's user namespace is the rule where pods do not ask for their own, and no
//! standard asks for one.

use agent_abi::record::Namespaces;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::posture::{
    Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
    control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
    facts::{told, told_text},
};

macro_rules! namespace_control {
    ($name:ident, $id:ident, $field:ident, $kernel:literal, $declared:expr) => {
        pub(super) const $name: TaskControl = TaskControl {
            id: ControlId::$id,
            requires: Requirements { hooks: TASK_HOOKS, fields: &[$kernel], better_with: &[] },
            check: |facts| check(facts, |ns| ns.$field, $declared),
            explain: |evidence| explain(evidence, stringify!($field)),
        };
    };
}

namespace_control!(PID, HostPid, pid, "pid_ns_inum", |facts| facts.declared?.host_pid);
namespace_control!(NETWORK, HostNetwork, net, "nsproxy_net", |facts| facts.declared?.host_network);
namespace_control!(IPC, HostIpc, ipc, "nsproxy_ipc", |facts| facts.declared?.host_ipc);
namespace_control!(UTS, HostUts, uts, "nsproxy_uts", |_| None);
namespace_control!(CGROUP, HostCgroup, cgroup, "nsproxy_cgroup", |_| None);
namespace_control!(USERS, HostUsers, user, "user_ns_inum", |facts| {
    facts.declared?.user_namespace.map(|own| !own)
});

#[derive(IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    own: u32,
    host: u32,
    declared: u32,
}

fn check(
    facts: &Facts<'_>,
    of: fn(&Namespaces) -> u32,
    declared: fn(&Facts<'_>) -> Option<bool>,
) -> Observation {
    if facts.is_measured_against_init() {
        return Observation::NOT_APPLICABLE;
    }
    let (own, host) = (of(&facts.task.ns), of(&facts.host.ns));
    let declared = declared(facts);
    let outcome = if own == 0 || host == 0 {
        Outcome::Unknown(UnknownReason::HostNotRead)
    } else if own != host {
        Outcome::Pass
    } else if declared == Some(false) {
        Outcome::Drift
    } else {
        Outcome::Fail
    };
    Observation::new(outcome, &Numbers { own, host, declared: told(declared) })
}

fn explain(evidence: &Evidence, kind: &str) -> Explanation {
    let numbers: Numbers = evidence.get();
    let whose = if numbers.own == numbers.host { "the host's" } else { "its own" };
    Explanation {
        observed: format!("{whose} {kind} namespace {}", numbers.own),
        declared: told_text(numbers.declared).map(|value| format!("host {kind} namespace {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, HOST_NS, task};

    #[test]
    fn verdicts() {
        let id = ControlId::HostPid;
        let shared = task(|task| task.ns.pid = HOST_NS.pid);
        Case::new(id, task(|_| ())).gives(Outcome::Pass, "its own pid namespace 4");
        Case::new(id, shared).gives(Outcome::Fail, &format!("the host's pid namespace {}", HOST_NS.pid));
        Case::new(id, shared).declares(|declared| declared.host_pid = Some(true)).is(Outcome::Fail);
        Case::new(id, shared)
            .declares(|declared| declared.host_pid = Some(false))
            .is(Outcome::Drift)
            .declared("host pid namespace false");
        Case::new(id, task(|task| task.ns.pid = 0)).is(Outcome::Unknown(UnknownReason::HostNotRead));
        Case::new(id, shared).entered(Some(task(|_| ()))).is(Outcome::NotApplicable);
    }

    #[test]
    fn each_looks_at_its_own() {
        for (id, change) in [
            (ControlId::HostPid, (|ns| ns.pid = HOST_NS.pid) as fn(&mut Namespaces)),
            (ControlId::HostNetwork, |ns| ns.net = HOST_NS.net),
            (ControlId::HostIpc, |ns| ns.ipc = HOST_NS.ipc),
            (ControlId::HostUts, |ns| ns.uts = HOST_NS.uts),
            (ControlId::HostCgroup, |ns| ns.cgroup = HOST_NS.cgroup),
            (ControlId::HostUsers, |ns| ns.user = HOST_NS.user),
        ] {
            Case::new(id, task(|task| change(&mut task.ns))).is(Outcome::Fail);
            Case::new(id, task(|_| ())).is(Outcome::Pass);
        }
    }
}
