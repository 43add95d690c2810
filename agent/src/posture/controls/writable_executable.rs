//! No volume is both writable and one that programs run from.
//!
//! What a runtime mounts of itself in every container does not count, and the root file system is
//! `read-only-root`'s.

use super::{
    mounted::{Origin, origin, text},
    text::{NAMED, list},
};
use crate::{
    inspect::{Mount, mounts::below},
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::WritableExecutable, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let mounts = match &facts.inspection.mounts {
        Ok(mounts) => mounts,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let both = mounts.all.iter().filter(|mount| {
        let is_executed = !mount.no_exec && !NEVER.contains(&mount.file_system.as_str());
        !mount.read_only && is_executed && mount.target != b"/" && !is_runtimes(mount, facts)
    });
    let mut both = both.map(|mount| text(&mount.target)).peekable();
    if both.peek().is_none() {
        return Judgement::new(Outcome::Pass, "no volume can be written and executed");
    }
    Judgement::new(Outcome::Fail, list("can be written and executed: ", both, NAMED))
}

/// Nothing is ever executed from them (`SB_I_NOEXEC` in fs/proc/root.c, fs/kernfs/mount.c, ipc/mqueue.c).
const NEVER: [&str; 5] = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue"];

fn is_runtimes(mount: &Mount, facts: &ContainerFacts<'_>) -> bool {
    const FOLDERS: [&[u8]; 3] = [b"/dev", b"/proc", b"/sys"];
    const FILES: [&[u8]; 5] =
        [b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf", b"/run/.containerenv", b"/run/secrets"];
    FOLDERS.iter().any(|folder| below(&mount.target, folder).is_some())
        || FILES.contains(&mount.target.as_slice())
        // A termination log of another name.
        || mount.host_path().is_some_and(|path| {
            origin(path, facts) == Origin::Pod && path.windows(12).any(|part| part == b"/containers/")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{NotRead, mounts::tests},
        posture::controls::case::ContainerCase,
    };

    #[test]
    fn verdicts() {
        let case = |text: &str| ContainerCase::new(ControlId::WritableExecutable).mounts(tests::mounts(text));
        let without = tests::DEFAULT.replace("/data rw", "/data ro");
        case(&without).gives(Outcome::Pass, "no volume can be written and executed");
        case(&tests::DEFAULT.replace("/data rw", "/data rw,noexec")).is(Outcome::Pass);
        case(tests::DEFAULT).gives(Outcome::Fail, "can be written and executed: /data");
        let log = "90 77 254:0 /kubelet/pods/0f8fad5b-d9cb-469f-a165-70867728950e/containers/main/1a2b /log rw - \
                   ext4 /dev/vda rw\n";
        case(&format!("{without}{log}")).is(Outcome::Pass);
        let many: String = (100..400)
            .map(|id| format!("{id} 77 0:{id} / /tmp/a\\040long\\040name/{id} rw - tmpfs tmpfs rw\n"))
            .collect();
        let observed = case(&format!("{without}{many}")).judge().explanation.observed;
        assert!(observed.contains("/tmp/a long name/100, ") && observed.ends_with(" more"), "{observed}");
        ContainerCase::new(ControlId::WritableExecutable).not_read(NotRead::Gone);
    }
}
