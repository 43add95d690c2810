//! Containers that no kubelet has asked for: of Docker, of Podman, with user namespaces.
//!
//! A control group's path says whose they are, and that is all there is of these two. The lab's containerd runs them.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Lab,
    cri::{Container, ContainerInfo},
    image, sweep,
};

/// Whose container it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Docker on cgroupfs: `/docker/ID`.
    Docker,
    /// Docker with systemd: `/system.slice/docker-ID.scope`.
    DockerSystemd,
    /// Podman with systemd: `/machine.slice/libpod-ID.scope`.
    Podman,
}

/// A container, as its engine would ask for it.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// Whose it looks like.
    pub engine: Engine,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where the ids of a user namespace of its own begin on the host, and as many as a node gives to one.
    pub user_namespace: Option<u32>,
}

/// Ids of a user namespace.
const IDS: u32 = 65_536;

impl Foreign {
    /// The path of its control group.
    fn cgroup(&self, id: &str) -> String {
        match self.engine {
            Engine::Docker => format!("/docker/{id}"),
            Engine::DockerSystemd => format!("/system.slice/docker-{id}.scope"),
            Engine::Podman => format!("/machine.slice/libpod-{id}.scope"),
        }
    }
}

/// Runs a container of the lab's image as root of its own, with the runtime's default seccomp filter.
pub fn run(lab: &Lab, foreign: &Foreign) -> Result<Container> {
    let id = fresh_id()?;
    let cgroup = foreign.cgroup(&id);
    lab.containerd().ledger().note_cgroup(&id, &made_with(&cgroup))?;
    let pid_file = lab.dir().join(format!("{id}.pid"));
    let pid_path = pid_file.to_string_lossy();
    let mut args = vec!["run", "--detach", "--seccomp", "--cgroup", &cgroup, "--pid-file", &pid_path];
    let map = foreign.user_namespace.map(|first| format!("0:{first}:{IDS}"));
    if let Some(map) = &map {
        args.extend(["--uidmap", map, "--gidmap", map]);
    }
    args.extend([image::APP, &id]);
    args.extend(foreign.command.iter().map(String::as_str));
    lab.containerd().ctr(args)?;
    let pid = fs::read_to_string(&pid_file)?.trim().parse().context("no pid")?;
    Ok(Container { name: String::new(), attempt: 0, pid, cgroup, id })
}

/// What the daemon knows of such a container: the CRI knows nothing of it.
pub fn info(lab: &Lab, container: &Container) -> Result<ContainerInfo> {
    let text = lab.containerd().ctr(["containers", "info", &container.id])?;
    let info: Value = serde_json::from_str(&text)?;
    ensure!(info["Spec"].is_object(), "a container without a spec: {text}");
    Ok(ContainerInfo {
        pid: container.pid,
        running: true,
        exit_code: 0,
        oci: info["Spec"].clone(),
        image: info["Image"].as_str().unwrap_or_default().to_owned(),
        annotations: BTreeMap::new(),
    })
}

/// A control group and what is above it and not there yet in some hierarchy.
fn made_with(cgroup: &str) -> Vec<String> {
    let relative = Path::new(cgroup.trim_start_matches('/'));
    let is_new = |path: &&Path| {
        !path.as_os_str().is_empty() && !sweep::cgroup_roots().iter().any(|root| root.join(path).exists())
    };
    relative.ancestors().filter(is_new).map(|path| path.to_string_lossy().into_owned()).collect()
}

/// 64 hexadecimal digits, as engines have.
fn fresh_id() -> Result<String> {
    let half =
        || Ok::<_, std::io::Error>(fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', ""));
    Ok(format!("{}{}", half()?.trim(), half()?.trim()))
}
