//! Where core dumps go. The kernel runs the program of a pipe as root, in the host's namespaces and on the
//! host's root file system: whoever sets the pattern, or changes the program, owns the node. A container that
//! may write to `/proc/sys` names a file of its own that way, by where its layers lie on the host.
//!
//! A pattern that is no pipe is a file that the crashing process could have written itself.

use super::component::unread;
use crate::{
    inspect::node::{CorePattern, NodeFacts, ProgramFile},
    posture::{
        Judgement, Outcome, UnknownReason,
        control::{ControlId, NodeControl},
    },
};

pub(super) const CONTROL: NodeControl = NodeControl { id: ControlId::HostCorePattern, check };

/// Where containers, or everybody, can put files.
const WRITTEN_BY_OTHERS: &[&str] = &[
    "/dev/",
    "/home/",
    "/mnt/",
    "/proc/",
    "/run/",
    "/sys/",
    "/tmp/",
    "/var/lib/containerd/",
    "/var/lib/containers/",
    "/var/lib/docker/",
    "/var/lib/kubelet/",
    "/var/lib/rancher/",
    "/var/run/",
    "/var/tmp/",
];

/// Longest pattern that is shown; the kernel keeps 127 bytes.
const SHOWN: usize = 128;

fn check(facts: &NodeFacts) -> Judgement {
    let core = match &facts.kernel.core_pattern {
        Ok(Some(core)) => core,
        Ok(None) => return Judgement::new(Outcome::Pass, "the kernel writes no core dumps"),
        Err(why) => return unread(*why),
    };
    let shown: String = core.pattern.chars().take(SHOWN).collect();
    let (outcome, why) = judge(core);
    Judgement::new(outcome, format!("kernel.core_pattern = {shown}: {why}"))
}

fn judge(core: &CorePattern) -> (Outcome, String) {
    // From Linux 6.16 on `@` is a socket that the kernel connects to, by a path of the host.
    if let Some(socket) = core.pattern.strip_prefix('@') {
        let is_absolute = socket.trim_start_matches('@').starts_with("/run/") && !climbs(socket);
        return if is_absolute {
            (Outcome::Pass, "sent to a socket of the host".into())
        } else {
            (Outcome::Fail, "sent to a socket that is not in /run".into())
        };
    }
    let Some(path) = core.program_path() else {
        return (Outcome::Pass, "written to a file by the rights of the process".into());
    };
    if !path.starts_with('/') {
        return (Outcome::Fail, "piped to a program by a relative path".into());
    }
    if path.contains('%') || climbs(path) {
        return (Outcome::Fail, "piped to a program whose path is not fixed".into());
    }
    if WRITTEN_BY_OTHERS.iter().any(|place| path.starts_with(place)) {
        return (Outcome::Fail, "piped to a program where containers or other users write".into());
    }
    match core.program {
        Some(Ok(ProgramFile { owner: 0, mode })) if mode & 0o022 == 0 => {
            (Outcome::Pass, "piped to a program that only root can change".into())
        }
        Some(Ok(ProgramFile { owner, mode })) => {
            (Outcome::Fail, format!("piped to a program of user {owner} with mode {mode:04o}"))
        }
        Some(Err(why)) => (Outcome::Unknown(UnknownReason::NotRead(why)), "the program was not found".into()),
        None => (Outcome::Unknown(UnknownReason::ValueNotUnderstood), "not understood".into()),
    }
}

/// A path that leads elsewhere than it says.
fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..") || path.contains("//") || path.contains("/./")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{
        NotRead,
        node::{read, testing::Tree},
    };

    fn outcome(pattern: &str, program: ProgramFile) -> Outcome {
        judge(&CorePattern { pattern: pattern.into(), program: Some(Ok(program)) }).0
    }

    const OF_ROOT: ProgramFile = ProgramFile { owner: 0, mode: 0o755 };

    #[test]
    fn programs() {
        for good in [
            "core",
            "core.%p",
            "/var/crash/core.%e",
            "|/usr/lib/systemd/systemd-coredump %P %u",
            "|/usr/share/apport/apport -p%p",
            "@/run/systemd/coredump",
        ] {
            assert_eq!(outcome(good, OF_ROOT), Outcome::Pass, "{good}");
        }
        for bad in [
            "|",
            "|handler %p",
            "|../handler",
            "|/usr/../tmp/x",
            "|/usr//lib/x",
            "|/%E",
            "|/proc/4242/root/x",
            "|/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/x %p",
            "|/var/lib/docker/overlay2/abc/diff/x",
            "|/tmp/x",
            "@/tmp/socket",
            "@x",
        ] {
            assert_eq!(outcome(bad, OF_ROOT), Outcome::Fail, "{bad}");
        }
    }

    #[test]
    fn who_may_change_the_program() {
        let of = |owner, mode| outcome("|/usr/bin/handler", ProgramFile { owner, mode });
        assert_eq!(of(0, 0o4755), Outcome::Pass);
        assert_eq!(of(1000, 0o755), Outcome::Fail);
        assert_eq!(of(0, 0o775), Outcome::Fail);
        assert_eq!(of(0, 0o757), Outcome::Fail);
    }

    #[test]
    fn what_was_not_read_is_unknown() {
        let tree = Tree::hardened();
        tree.remove("root/usr/lib/systemd/systemd-coredump");
        let mut facts = read(&tree.paths(), &[]);
        let judgement = check(&facts);
        assert_eq!(judgement.outcome, Outcome::Unknown(UnknownReason::NotRead(NotRead::NotThere)));
        assert_eq!(
            judgement.explanation.observed,
            "kernel.core_pattern = |/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h %d: the program was \
             not found"
        );
        facts.kernel.core_pattern = Err(NotRead::NotPermitted);
        assert_eq!(check(&facts).outcome, Outcome::Unknown(UnknownReason::NotRead(NotRead::NotPermitted)));
        facts.kernel.core_pattern = Ok(None);
        assert_eq!(check(&facts).outcome, Outcome::Pass);
    }
}
