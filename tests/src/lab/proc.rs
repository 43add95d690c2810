//! The oracle: what `/proc` says of a process.

use std::fs;

use anyhow::{Context, Result};
use procfs::process::Process;

/// The credentials and limits of a process, from `/proc/PID/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Real, effective, saved and file system uid.
    pub uid: [u32; 4],
    /// Real, effective, saved and file system gid.
    pub gid: [u32; 4],
    /// Inheritable capabilities.
    pub cap_inheritable: u64,
    /// Permitted capabilities.
    pub cap_permitted: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// Bounding set.
    pub cap_bounding: u64,
    /// Ambient capabilities.
    pub cap_ambient: u64,
    /// `no_new_privs`.
    pub no_new_privs: bool,
    /// Seccomp mode: 0 none, 1 strict, 2 filter.
    pub seccomp: u32,
    /// How many filters are stacked; `None` before Linux 5.9.
    pub seccomp_filters: Option<u32>,
    /// The pid in each pid namespace, the host's first.
    pub ns_pid: Vec<i32>,
}

impl Credentials {
    /// Of a running process.
    pub fn of(pid: u32) -> Result<Self> {
        Self::read(pid).with_context(|| format!("cannot read the status of process {pid}"))
    }

    fn read(pid: u32) -> Result<Self> {
        let status = Process::new(pid.try_into()?)?.status()?;
        Ok(Self {
            uid: [status.ruid, status.euid, status.suid, status.fuid],
            gid: [status.rgid, status.egid, status.sgid, status.fgid],
            cap_inheritable: status.capinh,
            cap_permitted: status.capprm,
            cap_effective: status.capeff,
            cap_bounding: status.capbnd.context("no CapBnd")?,
            cap_ambient: status.capamb.context("no CapAmb")?,
            no_new_privs: status.nonewprivs.context("no NoNewPrivs")? == 1,
            seccomp: status.seccomp.context("no Seccomp")?,
            seccomp_filters: field(&fs::read_to_string(format!("/proc/{pid}/status"))?, "Seccomp_filters"),
            ns_pid: status.nspid.context("no NSpid")?,
        })
    }
}

/// The path of a process's control group in the v2 hierarchy.
pub fn unified_cgroup(pid: u32) -> Result<String> {
    let groups = Process::new(pid.try_into()?)?.cgroups()?;
    let unified = groups.into_iter().find(|group| group.hierarchy == 0);
    Ok(unified.context("no v2 hierarchy")?.pathname)
}

/// The processes in a control group of the v2 hierarchy and below it.
pub fn in_cgroup(cgroup: &str) -> Result<Vec<u32>> {
    let is_in = |pid: u32| {
        let own = unified_cgroup(pid).ok()?;
        own.strip_prefix(cgroup).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(|_| pid)
    };
    let pids = procfs::process::all_processes()?.flatten();
    Ok(pids.filter_map(|process| is_in(process.pid().try_into().ok()?)).collect())
}

/// The processes that a process has made and that are there.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let parent = i32::try_from(pid)?;
    let stats = procfs::process::all_processes()?.flatten().filter_map(|process| process.stat().ok());
    Ok(stats.filter(|stat| stat.ppid == parent).filter_map(|stat| stat.pid.try_into().ok()).collect())
}

/// The name of a process's program, cut to 15 bytes by the kernel.
pub fn comm(pid: u32) -> Result<String> {
    Ok(Process::new(pid.try_into()?)?.stat()?.comm)
}

fn field(status: &str, name: &str) -> Option<u32> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_matched_by_its_whole_name() {
        let status = "Seccomp:\t2\nSeccomp_filters:\t3\n";
        assert_eq!(field(status, "Seccomp"), Some(2));
        assert_eq!(field(status, "Seccomp_filters"), Some(3));
        assert_eq!(field(status, "Sec"), None);
    }

    #[test]
    fn reads_itself() {
        let own = Credentials::of(std::process::id()).unwrap();
        assert_eq!(own.uid[0], nix::unistd::getuid().as_raw());
    }
}
