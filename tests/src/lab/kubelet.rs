//! What a kubelet does on the node before it asks the runtime for a pod: its control group and its volumes.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use procfs::process::Process;

use super::{
    spec::{ContainerSpec, PodSpec, Propagation, Volume},
    sweep,
};

/// Files that a kubelet keeps of a pod.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The logs of its containers.
    pub logs: PathBuf,
    /// Its volumes, and what all its containers have.
    pub pod: PathBuf,
}

/// A token of nobody.
const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6bGFiOmRlZmF1bHQifQ.";

/// The folder of a volume, as a kubelet names it.
pub fn volume(pod_dir: &Path, volume: &Volume) -> PathBuf {
    let (plugin, name) = match volume {
        Volume::EmptyDir(name) | Volume::Memory(name) => ("kubernetes.io~empty-dir", name.as_str()),
        Volume::Token => ("kubernetes.io~projected", "kube-api-access-x7k2p"),
    };
    pod_dir.join("volumes").join(plugin).join(name)
}

/// A pod's hosts file, which all its containers have.
pub(super) fn hosts(pod_dir: &Path) -> PathBuf {
    pod_dir.join("etc-hosts")
}

/// Where a container says why it ended.
pub(super) fn termination_log(pod_dir: &Path, container: &str, attempt: u32) -> Result<PathBuf> {
    let dir = pod_dir.join("containers").join(container);
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{attempt:08x}"));
    fs::write(&path, "")?;
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    Ok(path)
}

/// Makes a pod's control groups and volumes.
pub(super) fn prepare(pod: &PodSpec, pod_dir: &Path) -> Result<()> {
    fs::write(hosts(pod_dir), "127.0.0.1\tlocalhost\n")?;
    for container in pod.init_containers.iter().chain(&pod.containers) {
        make_volumes(container, pod_dir)?;
    }
    if let Some(limit) = pod.pids_limit {
        limit_pids(&pod.cgroup_parent(), limit)?;
    }
    Ok(())
}

fn make_volumes(container: &ContainerSpec, pod_dir: &Path) -> Result<()> {
    for wanted in &container.volumes {
        let dir = volume(pod_dir, &wanted.volume);
        if dir.exists() {
            continue;
        }
        fs::create_dir_all(&dir)?;
        let is_shared = wanted.propagation == Propagation::Bidirectional;
        if wanted.volume == Volume::Token || matches!(wanted.volume, Volume::Memory(_)) || is_shared {
            mount(Some("tmpfs"), &dir, Some("tmpfs"), MsFlags::empty(), None::<&str>)
                .with_context(|| format!("cannot mount at {}", dir.display()))?;
        }
        if is_shared {
            // As all mounts are where systemd runs.
            mount(None::<&str>, &dir, None::<&str>, MsFlags::MS_SHARED, None::<&str>)
                .with_context(|| format!("cannot share {}", dir.display()))?;
        }
        fs::set_permissions(&dir, Permissions::from_mode(0o777))?;
        if wanted.volume == Volume::Token {
            for (name, text) in [("token", TOKEN), ("namespace", "lab"), ("ca.crt", "")] {
                fs::write(dir.join(name), text)?;
            }
        }
    }
    Ok(())
}

/// Gives a pod's control group a limit of processes.
fn limit_pids(cgroup: &str, limit: u32) -> Result<()> {
    let mut is_limited = false;
    for root in pids_hierarchies()? {
        let mut dir = root.clone();
        for part in Path::new(cgroup.trim_start_matches('/')) {
            if root.join("cgroup.controllers").exists() {
                let _ = fs::write(dir.join("cgroup.subtree_control"), "+cpu +memory +pids");
            }
            dir.push(part);
            fs::create_dir_all(&dir)?;
        }
        fs::write(dir.join("pids.max"), limit.to_string())
            .with_context(|| format!("cannot limit {}", dir.display()))?;
        is_limited = true;
    }
    ensure!(is_limited, "no hierarchy has the controller pids");
    Ok(())
}

/// Where the controller `pids` is: a v1 hierarchy of its own, or the v2 one.
fn pids_hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = Process::myself()?.mountinfo()?;
    let v1 = mounts
        .into_iter()
        .filter(|mount| mount.fs_type == "cgroup" && mount.super_options.contains_key("pids"))
        .map(|mount| mount.mount_point);
    let has_pids = |root: &PathBuf| {
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        controllers.split_whitespace().any(|name| name == "pids")
    };
    Ok(v1.chain(sweep::cgroup_roots().into_iter().filter(has_pids)).collect())
}
