//! Namespaces, gained rights, threads and programs of a process.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use procfs::process::Process;
use serde_json::Value;

use super::{super::proc::Credentials, Violations, names};

/// Namespaces by their name in `/proc` and in an OCI spec.
const NAMESPACES: [(&str, &str, &str); 6] = [
    ("host-pid", "pid", "pid"),
    ("host-network", "net", "network"),
    ("host-ipc", "ipc", "ipc"),
    ("host-uts", "uts", "uts"),
    ("host-cgroup", "cgroup", "cgroup"),
    ("host-users", "user", "user"),
];

/// Which of the host's namespaces a process is in.
pub(super) fn namespaces(pid: u32, oci: &Value) -> Result<Violations> {
    let mut all = Violations::new();
    for (slug, kind, oci_kind) in NAMESPACES {
        // Whoever asks is on the host; init may not be looked into by all who are root.
        if fs::read_link(format!("/proc/{pid}/ns/{kind}"))? == fs::read_link(format!("/proc/self/ns/{kind}"))?
        {
            let mut declared = oci["linux"]["namespaces"].as_array().into_iter().flatten();
            let has_own = declared.any(|namespace| namespace["type"] == oci_kind);
            all.insert(slug, if has_own { "DRIFT" } else { "FAIL" });
        }
    }
    Ok(all)
}

/// More than the container's first process was given.
pub(super) fn gained(seen: &Credentials, oci: &Value) -> Result<Violations> {
    let process = &oci["process"];
    let uid = process["user"]["uid"].as_u64().context("a spec without a uid")?;
    // The permitted set of who is not root is empty after an exec, but for the ambient one.
    let kind = if uid == 0 { "permitted" } else { "ambient" };
    let given = names(&process["capabilities"][kind]).len();
    let became_root = uid != 0 && seen.uid.contains(&0);
    let has_more = seen.cap_permitted.count_ones() as usize > given;
    Ok((became_root || has_more).then_some(("gained-privileges", "FAIL")).into_iter().collect())
}

/// Threads that have other rights than the leader of their process.
pub(super) fn threads(pid: u32, leader: &Credentials) -> Result<Violations> {
    let mut all = Violations::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let tid: u32 = task?.file_name().to_string_lossy().parse()?;
        // A thread has a folder of its own that no listing shows.
        let thread = match Credentials::of(tid) {
            Err(_) if !Path::new(&format!("/proc/{pid}/task/{tid}")).exists() => continue,
            thread => thread?,
        };
        if (Credentials { ns_pid: leader.ns_pid.clone(), ..thread }) != *leader {
            all.insert("threads-differ", "FAIL");
        }
    }
    Ok(all)
}

/// Whether the program that runs was not in the image.
pub(super) fn program(pid: u32) -> Result<Violations> {
    let exe = PathBuf::from(format!("/proc/{pid}/exe"));
    let path = fs::read_link(&exe)?;
    let is_gone = path.to_string_lossy().ends_with(" (deleted)");
    let is_elsewhere = fs::metadata(&exe)?.dev() != fs::metadata(format!("/proc/{pid}/root"))?.dev();
    let is_drift = is_gone || is_elsewhere || is_written(pid, &path)?;
    Ok(is_drift.then_some(("runtime-drift", "FAIL")).into_iter().collect())
}

/// Whether a file is in the upper layer of the container's root file system.
fn is_written(pid: u32, path: &Path) -> Result<bool> {
    let mounts = Process::new(pid.try_into()?)?.mountinfo()?;
    let root = mounts.into_iter().find(|mount| mount.mount_point == Path::new("/")).context("no root")?;
    let Some(Some(upper)) = root.super_options.get("upperdir") else { return Ok(false) };
    Ok(Path::new(upper).join(path.strip_prefix("/")?).exists())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own() -> Credentials {
        Credentials::of(std::process::id()).unwrap()
    }

    #[test]
    fn this_process_is_of_the_host_and_has_gained_nothing() {
        let pid = std::process::id();
        assert_eq!(namespaces(pid, &json!({})).unwrap().len(), NAMESPACES.len());
        assert_eq!(threads(pid, &own()).unwrap(), Violations::new());
    }

    #[test]
    fn root_and_capabilities_are_gains() {
        let spec = json!({"process": {"user": {"uid": 1000}}});
        let none = Credentials { uid: [1000; 4], cap_permitted: 0, ..own() };
        assert_eq!(gained(&none, &spec).unwrap(), Violations::new());
        let root = Credentials { uid: [1000, 0, 0, 0], ..none.clone() };
        let capable = Credentials { cap_permitted: 1 << 10, ..none };
        for seen in [root, capable] {
            assert_eq!(gained(&seen, &spec).unwrap(), Violations::from([("gained-privileges", "FAIL")]));
        }
    }
}
