//! Clearing away what a lab started. Every step may find its work done already.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    mount::{MntFlags, umount2},
    sys::signal::Signal,
};
use procfs::process::{Process, all_processes};

use super::{
    cri::Cri,
    identity::Identity,
    ledger::{BASE, Ledger},
    poll,
};

/// Clears the labs in the usual place whose owner is dead.
pub(super) fn dead_labs() -> Result<()> {
    let Ok(entries) = fs::read_dir(BASE) else { return Ok(()) };
    for entry in entries {
        let ledger = Ledger::open(&entry?.path());
        if !ledger.owner_is_alive() {
            lab(&ledger)?;
        }
    }
    Ok(())
}

/// Clears one lab: pods, daemon, shims, processes, mounts, control groups, folder.
pub(super) fn lab(ledger: &Ledger) -> Result<()> {
    if !ledger.dir().exists() {
        return Ok(());
    }
    let daemon = ledger.daemon();
    if daemon.is_some_and(Identity::is_alive) {
        // A daemon that hangs must not stop the rest, which needs no daemon.
        let _ = Cri::connect(&ledger.socket()).and_then(|cri| cri.remove_all_pods());
    }
    if let Some(daemon) = daemon {
        daemon.end(Duration::from_secs(5))?;
    }
    end_shims(&ledger.socket())?;
    for uid in ledger.pods()? {
        clear_cgroups(&format!("kubepods/besteffort/pod{uid}"))?;
    }
    for path in ledger.cgroups()? {
        clear_cgroups(&path)?;
    }
    remove_shim_sockets(&ledger.dir().join("state"));
    unmount_below(ledger.dir())?;
    fs::remove_dir_all(ledger.dir()).with_context(|| format!("cannot remove {}", ledger.dir().display()))?;
    remove_empty_parents();
    Ok(())
}

/// A shim names its daemon's socket in its arguments.
fn end_shims(socket: &Path) -> Result<()> {
    let socket = socket.to_string_lossy();
    let shims = all_processes()?.filter_map(|process| {
        let process = process.ok()?;
        let args = process.cmdline().ok()?;
        let is_shim = args.first()?.contains("containerd-shim") && args.iter().any(|arg| *arg == socket);
        is_shim.then(|| u32::try_from(process.pid()).ok()).flatten()
    });
    for pid in shims.collect::<Vec<_>>() {
        if let Ok(shim) = Identity::of(pid) {
            shim.signal(Signal::SIGKILL)?;
            poll::until("a shim to end", Duration::from_secs(5), || Ok(!shim.is_alive()))?;
        }
    }
    Ok(())
}

/// Kills what is left in a group and removes the group, in every hierarchy.
fn clear_cgroups(name: &str) -> Result<()> {
    for root in cgroup_roots() {
        let top = root.join(name);
        poll::until("a control group to become empty", Duration::from_secs(10), || {
            let groups = subfolders(&top);
            for group in &groups {
                for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
                    if let Ok(process) = pid.parse().map_err(Into::into).and_then(Identity::of) {
                        process.signal(Signal::SIGKILL)?;
                    }
                }
            }
            for group in groups.iter().rev() {
                let _ = fs::remove_dir(group);
            }
            Ok(!top.exists())
        })?;
    }
    Ok(())
}

/// The parents go with the last lab. A parent with pods in it refuses to.
fn remove_empty_parents() {
    let others = fs::read_dir(BASE).is_ok_and(|mut entries| entries.next().is_some());
    if !others {
        for root in cgroup_roots() {
            let _ = fs::remove_dir(root.join("kubepods/besteffort"));
            let _ = fs::remove_dir(root.join("kubepods"));
        }
        let _ = fs::remove_dir(BASE);
    }
}

/// The mount points of every control group hierarchy, v1 and v2.
pub fn cgroup_roots() -> BTreeSet<PathBuf> {
    let mounts = Process::myself().and_then(|own| own.mountinfo());
    mounts
        .into_iter()
        .flatten()
        .filter(|mount| mount.fs_type.starts_with("cgroup"))
        .map(|mount| mount.mount_point)
        .collect()
}

/// A folder and all below it, parents first.
fn subfolders(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut next = vec![top.to_owned()];
    while let Some(dir) = next.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        next.extend(entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
        found.push(dir);
    }
    found
}

/// Shims listen under `/run/containerd/s`, outside of every folder that can be configured.
fn remove_shim_sockets(state: &Path) {
    let children = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    for task in children(state.join("io.containerd.runtime.v2.task")).flat_map(children) {
        let address = fs::read_to_string(task.join("address")).unwrap_or_default();
        if let Some(path) = address.trim().strip_prefix("unix://") {
            let _ = fs::remove_file(path);
        }
    }
}

fn unmount_below(dir: &Path) -> Result<()> {
    let mounts = Process::myself()?.mountinfo()?;
    let mut points: Vec<_> =
        mounts.into_iter().map(|mount| mount.mount_point).filter(|point| point.starts_with(dir)).collect();
    points.reverse();
    for point in points {
        match umount2(&point, MntFlags::MNT_DETACH) {
            Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
            Err(error) => {
                return Err(io::Error::from(error)).context(format!("cannot unmount {}", point.display()));
            }
        }
    }
    Ok(())
}
