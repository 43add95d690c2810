//! Settings of the kernel: one value each.

use super::component::unread;
use crate::{
    inspect::node::{NodeFacts, Setting},
    posture::{
        Judgement, Outcome, UnknownReason,
        control::{ControlId, NodeControl},
    },
};

/// Integrity keeps root from changing the running kernel, confidentiality from reading it too
/// (`kernel_lockdown(7)`).
pub(super) const LOCKDOWN: NodeControl = NodeControl {
    id: ControlId::HostLockdown,
    check: |facts| {
        with(&facts.kernel.lockdown, |mode| match mode.map(String::as_str) {
            Some(mode @ ("integrity" | "confidentiality")) => {
                Judgement::new(Outcome::Pass, format!("lockdown {mode}"))
            }
            Some("none") => Judgement::new(Outcome::Fail, "lockdown none"),
            Some(_) => Judgement::unknown(UnknownReason::ValueNotUnderstood),
            None => Judgement::new(Outcome::Fail, "the kernel has no lockdown"),
        })
    },
};

/// 0: allowed; 1: refused until the next boot; 2: refused, and root may allow it again
/// (`Documentation/admin-guide/sysctl/kernel.rst`). A kernel that runs this agent has the setting.
pub(super) const UNPRIVILEGED_BPF: NodeControl = NodeControl {
    id: ControlId::HostUnprivilegedBpf,
    check: |facts| {
        with(&facts.kernel.unprivileged_bpf_disabled, |value| match value {
            Some(value @ 0..=2) => {
                let outcome = if *value == 0 { Outcome::Fail } else { Outcome::Pass };
                Judgement::new(outcome, format!("kernel.unprivileged_bpf_disabled = {value}"))
            }
            _ => Judgement::unknown(UnknownReason::ValueNotUnderstood),
        })
    },
};

/// What is in the list of modules is in force, but that SELinux may only write down what it would refuse.
pub(super) const LSM: NodeControl = NodeControl { id: ControlId::HostLsm, check: lsm };

fn lsm(facts: &NodeFacts) -> Judgement {
    let modules = match &facts.kernel.modules {
        Ok(modules) => modules,
        Err(why) => return unread(*why),
    };
    let has = |name: &str| modules.iter().any(|module| module == name);
    if has("apparmor") {
        return Judgement::new(Outcome::Pass, "AppArmor is in force");
    }
    if !has("selinux") {
        return Judgement::new(Outcome::Fail, "neither AppArmor nor SELinux is in force");
    }
    with(&facts.kernel.selinux_enforces, |enforces| match enforces {
        Some(true) => Judgement::new(Outcome::Pass, "SELinux is in force"),
        Some(false) => Judgement::new(Outcome::Fail, "SELinux is permissive"),
        None => Judgement::unknown(UnknownReason::ValueNotUnderstood),
    })
}

/// 0: whatever the user ids allow; 1: only descendants; 2: only with `CAP_SYS_PTRACE`; 3: nobody
/// (`Documentation/admin-guide/LSM/Yama.rst`).
pub(super) const PTRACE_SCOPE: NodeControl = NodeControl {
    id: ControlId::HostPtraceScope,
    check: |facts| {
        with(&facts.kernel.ptrace_scope, |scope| match scope {
            Some(scope @ 0..=3) => {
                let outcome = if *scope == 0 { Outcome::Fail } else { Outcome::Pass };
                Judgement::new(outcome, format!("kernel.yama.ptrace_scope = {scope}"))
            }
            Some(_) => Judgement::unknown(UnknownReason::ValueNotUnderstood),
            None => Judgement::new(Outcome::Fail, "the kernel has no Yama"),
        })
    },
};

fn with<T>(setting: &Setting<T>, judge: impl FnOnce(Option<&T>) -> Judgement) -> Judgement {
    match setting {
        Ok(value) => judge(value.as_ref()),
        Err(why) => unread(*why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{
        NotRead,
        node::{KernelFacts, read, testing::Tree},
    };

    #[track_caller]
    fn gives(control: NodeControl, change: impl FnOnce(&mut KernelFacts), outcome: Outcome, observed: &str) {
        let mut facts = read(&Tree::hardened().paths(), &[]);
        change(&mut facts.kernel);
        assert_eq!((control.check)(&facts), Judgement::new(outcome, observed));
    }

    const NOT_READ: Outcome = Outcome::Unknown(UnknownReason::NotRead(NotRead::NotPermitted));
    const NOT_UNDERSTOOD: Outcome = Outcome::Unknown(UnknownReason::ValueNotUnderstood);

    #[test]
    fn lockdown() {
        let set = |mode: &str| Ok(Some(mode.to_owned()));
        gives(LOCKDOWN, |_| (), Outcome::Pass, "lockdown integrity");
        gives(LOCKDOWN, |kernel| kernel.lockdown = set("none"), Outcome::Fail, "lockdown none");
        gives(LOCKDOWN, |kernel| kernel.lockdown = Ok(None), Outcome::Fail, "the kernel has no lockdown");
        gives(
            LOCKDOWN,
            |kernel| kernel.lockdown = set("x"),
            NOT_UNDERSTOOD,
            UnknownReason::ValueNotUnderstood.as_str(),
        );
        gives(
            LOCKDOWN,
            |kernel| kernel.lockdown = Err(NotRead::NotPermitted),
            NOT_READ,
            NotRead::NotPermitted.as_str(),
        );
    }

    #[test]
    fn unprivileged_bpf() {
        let name = "kernel.unprivileged_bpf_disabled";
        gives(UNPRIVILEGED_BPF, |_| (), Outcome::Pass, &format!("{name} = 2"));
        let set = |value| move |kernel: &mut KernelFacts| kernel.unprivileged_bpf_disabled = value;
        gives(UNPRIVILEGED_BPF, set(Ok(Some(0))), Outcome::Fail, &format!("{name} = 0"));
        gives(UNPRIVILEGED_BPF, set(Ok(None)), NOT_UNDERSTOOD, UnknownReason::ValueNotUnderstood.as_str());
    }

    #[test]
    fn security_modules() {
        let set = |names: &[&str], enforces| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            move |kernel: &mut KernelFacts| {
                kernel.modules = Ok(names);
                kernel.selinux_enforces = enforces;
            }
        };
        gives(LSM, |_| (), Outcome::Pass, "AppArmor is in force");
        gives(LSM, set(&["selinux"], Ok(Some(true))), Outcome::Pass, "SELinux is in force");
        gives(LSM, set(&["selinux"], Ok(Some(false))), Outcome::Fail, "SELinux is permissive");
        gives(LSM, set(&["selinux"], Err(NotRead::NotPermitted)), NOT_READ, NotRead::NotPermitted.as_str());
        gives(
            LSM,
            set(&["capability", "bpf"], Ok(None)),
            Outcome::Fail,
            "neither AppArmor nor SELinux is in force",
        );
        gives(
            LSM,
            |kernel| kernel.modules = Err(NotRead::NotPermitted),
            NOT_READ,
            NotRead::NotPermitted.as_str(),
        );
    }

    #[test]
    fn ptrace_scope() {
        gives(PTRACE_SCOPE, |_| (), Outcome::Pass, "kernel.yama.ptrace_scope = 1");
        let set = |value| move |kernel: &mut KernelFacts| kernel.ptrace_scope = value;
        gives(PTRACE_SCOPE, set(Ok(Some(0))), Outcome::Fail, "kernel.yama.ptrace_scope = 0");
        gives(PTRACE_SCOPE, set(Ok(None)), Outcome::Fail, "the kernel has no Yama");
        gives(PTRACE_SCOPE, set(Err(NotRead::NotPermitted)), NOT_READ, NotRead::NotPermitted.as_str());
    }
}
