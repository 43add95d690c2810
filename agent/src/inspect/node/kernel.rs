//! Settings of the kernel that containers depend on.

use std::{os::fd::OwnedFd, str::FromStr};

use super::{
    NodePaths,
    file::{folder, kernel_file, stat},
};
use crate::inspect::{NotRead, Read};

/// Longest setting that is read.
const SETTING_BYTES: u64 = 4096;

/// A setting; `Ok(None)`: this kernel does not have it.
pub type Setting<T> = Read<Option<T>>;

/// What was read of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFacts {
    /// Its release, as `uname -r` has it.
    pub release: Read<String>,
    /// Mode of lockdown: `none`, `integrity`, `confidentiality`.
    pub lockdown: Setting<String>,
    /// Security modules in force, in their order.
    pub modules: Read<Vec<String>>,
    /// SELinux refuses what its policy does not allow, rather than only writing it down.
    pub selinux_enforces: Setting<bool>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub unprivileged_bpf_disabled: Setting<u64>,
    /// `user.max_user_namespaces`.
    pub max_user_namespaces: Setting<u64>,
    /// `kernel.unprivileged_userns_clone`, of Debian's kernels.
    pub unprivileged_userns_clone: Setting<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu's kernels.
    pub apparmor_restrict_unprivileged_userns: Setting<u64>,
    /// `kernel.yama.ptrace_scope`.
    pub ptrace_scope: Setting<u64>,
    /// `kernel.core_pattern`.
    pub core_pattern: Setting<CorePattern>,
}

/// Where the memory of a crashed process goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorePattern {
    /// As it is set.
    pub pattern: String,
    /// The program's file, where it is piped to one by an absolute path.
    pub program: Option<Read<ProgramFile>>,
}

/// Who may change a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFile {
    /// Its owner.
    pub owner: u32,
    /// Permission bits.
    pub mode: u32,
}

impl CorePattern {
    /// The program that it is piped to, as it is written.
    #[must_use]
    pub fn program_path(&self) -> Option<&str> {
        Some(self.pattern.strip_prefix('|')?.split_whitespace().next().unwrap_or_default())
    }
}

pub(super) fn read(paths: &NodePaths) -> KernelFacts {
    // What is always there where the file system is mounted tells a missing setting from a missing mount.
    let sysctl = Folder { folder: folder(&paths.proc.join("sys")), witness: "kernel/osrelease" };
    let securityfs = Folder { folder: folder(&paths.sys.join("kernel/security")), witness: "lsm" };
    let selinuxfs = Folder { folder: folder(&paths.sys.join("fs/selinux")), witness: "enforce" };
    KernelFacts {
        release: sysctl.text("kernel/osrelease").and_then(|text| text.ok_or(NotRead::NotThere)),
        lockdown: securityfs.text("lockdown").and_then(|modes| match modes {
            Some(modes) => chosen(&modes).map(Some),
            None => Ok(None),
        }),
        modules: securityfs.text("lsm").and_then(|modules| {
            Ok(modules.ok_or(NotRead::NotThere)?.split(',').map(str::to_owned).collect())
        }),
        selinux_enforces: selinuxfs.number("enforce").map(|mode| mode.map(|mode: u64| mode == 1)),
        unprivileged_bpf_disabled: sysctl.number("kernel/unprivileged_bpf_disabled"),
        max_user_namespaces: sysctl.number("user/max_user_namespaces"),
        unprivileged_userns_clone: sysctl.number("kernel/unprivileged_userns_clone"),
        apparmor_restrict_unprivileged_userns: sysctl.number("kernel/apparmor_restrict_unprivileged_userns"),
        ptrace_scope: sysctl.number("kernel/yama/ptrace_scope"),
        core_pattern: sysctl.text("kernel/core_pattern").map(|pattern| {
            pattern.map(|pattern| {
                let mut pattern = CorePattern { pattern, program: None };
                if let Some(path) = pattern.program_path().filter(|path| path.starts_with('/')) {
                    pattern.program = Some(folder(&paths.root).and_then(|root| program(&root, path)));
                }
                pattern
            })
        }),
    }
}

fn program(root: &OwnedFd, path: &str) -> Read<ProgramFile> {
    stat(root, path).map(|stat| ProgramFile { owner: stat.st_uid, mode: stat.st_mode & 0o7777 })
}

/// The mode in brackets: `none [integrity] confidentiality`.
fn chosen(modes: &str) -> Read<String> {
    let mut chosen = modes.split_whitespace().filter_map(|mode| mode.strip_prefix('[')?.strip_suffix(']'));
    chosen.next().map(str::to_owned).ok_or(NotRead::NotUnderstood)
}

/// A folder of settings.
struct Folder {
    folder: Read<OwnedFd>,
    /// A setting that every kernel has.
    witness: &'static str,
}

impl Folder {
    fn text(&self, name: &str) -> Setting<String> {
        let folder = self.folder.as_ref().map_err(|why| *why)?;
        match kernel_file(folder, name, SETTING_BYTES) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| NotRead::NotUnderstood)?;
                Ok(Some(text.trim().to_owned()))
            }
            Err(NotRead::NotThere) if name != self.witness => {
                kernel_file(folder, self.witness, SETTING_BYTES).map(|_| None)
            }
            Err(why) => Err(why),
        }
    }

    fn number<N: FromStr>(&self, name: &str) -> Setting<N> {
        match self.text(name)? {
            Some(text) => text.parse().map(Some).map_err(|_| NotRead::NotUnderstood),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::node::testing::Tree;

    #[test]
    fn settings_are_read() {
        let tree = Tree::hardened();
        let facts = read(&tree.paths());
        assert_eq!(facts.release.as_deref(), Ok("6.12.48"));
        assert_eq!(facts.lockdown, Ok(Some("integrity".into())));
        assert_eq!(facts.modules.as_deref().map(<[String]>::len), Ok(6));
        assert_eq!(facts.unprivileged_bpf_disabled, Ok(Some(2)));
        assert_eq!(facts.ptrace_scope, Ok(Some(1)));
        assert_eq!(facts.unprivileged_userns_clone, Ok(Some(0)));
        let pattern = facts.core_pattern.unwrap().unwrap();
        assert_eq!(pattern.program_path(), Some("/usr/lib/systemd/systemd-coredump"));
        assert!(matches!(pattern.program, Some(Ok(ProgramFile { mode: 0o755, .. }))), "{pattern:?}");
    }

    #[test]
    fn what_the_kernel_lacks_is_told_from_what_is_not_mounted() {
        let tree = Tree::hardened();
        for gone in ["proc/sys/kernel/yama/ptrace_scope", "sys/kernel/security/lockdown"] {
            tree.remove(gone);
        }
        let facts = read(&tree.paths());
        assert_eq!(facts.ptrace_scope, Ok(None));
        assert_eq!(facts.lockdown, Ok(None));
        assert_eq!(facts.selinux_enforces, Err(NotRead::NotThere));
        // securityfs is not mounted: its folder is empty.
        tree.remove("sys/kernel/security/lsm");
        tree.remove("proc/sys/kernel/osrelease");
        let facts = read(&tree.paths());
        assert_eq!(facts.lockdown, Err(NotRead::NotThere));
        assert_eq!(facts.modules, Err(NotRead::NotThere));
        assert_eq!(facts.ptrace_scope, Err(NotRead::NotThere));
    }

    #[test]
    fn nonsense_is_not_understood() {
        let tree = Tree::hardened();
        tree.write("proc/sys/kernel/yama/ptrace_scope", "many\n");
        tree.write("sys/kernel/security/lockdown", "none integrity\n");
        tree.write("proc/sys/kernel/unprivileged_bpf_disabled", "1".repeat(5000));
        let facts = read(&tree.paths());
        assert_eq!(facts.ptrace_scope, Err(NotRead::NotUnderstood));
        assert_eq!(facts.lockdown, Err(NotRead::NotUnderstood));
        assert_eq!(facts.unprivileged_bpf_disabled, Err(NotRead::TooMuch));
    }
}
