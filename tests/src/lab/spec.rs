//! What a pod asks for, in the words of its `securityContext`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A seccomp profile, as `securityContext.seccompProfile` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seccomp {
    /// No filter.
    Unconfined,
    /// The runtime's own profile.
    RuntimeDefault,
    /// A profile in a file on the node.
    Localhost(PathBuf),
}

/// One container of a pod.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its name within the pod.
    pub name: String,
    /// Its image; the lab's when `None`.
    pub image: Option<String>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// The uid it starts with; the image's (root) when `None`.
    pub run_as_user: Option<i64>,
    /// The gid it starts with; the image's when `None`.
    pub run_as_group: Option<i64>,
    /// `supplementalGroups` of its pod.
    pub groups: Vec<i64>,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privs: bool,
    /// `privileged`.
    pub privileged: bool,
    /// The seccomp profile.
    pub seccomp: Seccomp,
    /// Capabilities taken away, without `CAP_`; `ALL` is one.
    pub drop: Vec<String>,
    /// Capabilities given.
    pub add: Vec<String>,
    /// `readOnlyRootFilesystem`.
    pub read_only_root: bool,
    /// Host folders: where on the host, where in the container.
    pub mounts: Vec<(PathBuf, PathBuf)>,
    /// Likewise, read-only.
    pub read_only_mounts: Vec<(PathBuf, PathBuf)>,
}

impl ContainerSpec {
    /// A container that meets the Restricted standard: uid 1000, no_new_privs, RuntimeDefault, no capabilities.
    pub fn restricted<'a>(name: &str, command: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            name: name.to_owned(),
            image: None,
            command: command.into_iter().map(str::to_owned).collect(),
            env: Vec::new(),
            run_as_user: Some(1000),
            run_as_group: None,
            groups: Vec::new(),
            no_new_privs: true,
            privileged: false,
            seccomp: Seccomp::RuntimeDefault,
            drop: vec!["ALL".to_owned()],
            add: Vec::new(),
            read_only_root: false,
            mounts: Vec::new(),
            read_only_mounts: Vec::new(),
        }
    }

    /// A privileged container, run as root.
    pub fn privileged<'a>(name: &str, command: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            run_as_user: Some(0),
            no_new_privs: false,
            privileged: true,
            seccomp: Seccomp::Unconfined,
            drop: Vec::new(),
            ..Self::restricted(name, command)
        }
    }
}

/// A pod on the host's network, as a kubelet would hand it to the runtime.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid, part of its control group's path. [`PodSpec::new`] makes a fresh one.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `hostPID`.
    pub host_pid: bool,
    /// Containers that run to their end, one after the other, before the others start.
    pub init_containers: Vec<ContainerSpec>,
    /// Its containers, started in this order.
    pub containers: Vec<ContainerSpec>,
}

impl PodSpec {
    /// A pod of a deployment: `app` is its label, and the name gets the hash and suffix a ReplicaSet gives.
    pub fn of_deployment(namespace: &str, app: &str, hash: &str, suffix: &str) -> Self {
        Self::new(namespace, &format!("{app}-{hash}-{suffix}"))
            .label("app", app)
            .label("pod-template-hash", hash)
    }

    /// A bare pod without containers.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            uid: fresh_uid(),
            labels: BTreeMap::new(),
            host_pid: false,
            init_containers: Vec::new(),
            containers: Vec::new(),
        }
    }

    /// With a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With one more container.
    #[must_use]
    pub fn container(mut self, container: ContainerSpec) -> Self {
        self.containers.push(container);
        self
    }

    /// In the host's pid namespace.
    #[must_use]
    pub fn host_pid(mut self) -> Self {
        self.host_pid = true;
        self
    }

    /// The parent of its containers' control groups.
    pub fn cgroup_parent(&self) -> String {
        format!("/kubepods/besteffort/pod{}", self.uid)
    }

    /// The control group of one of its containers, in every hierarchy.
    pub fn cgroup(&self, container_id: &str) -> String {
        format!("{}/{container_id}", self.cgroup_parent())
    }
}

fn fresh_uid() -> String {
    let random = fs::read_to_string(Path::new("/proc/sys/kernel/random/uuid"));
    random.map(|uid| uid.trim().to_owned()).unwrap_or_else(|_| format!("pid-{}", std::process::id()))
}
