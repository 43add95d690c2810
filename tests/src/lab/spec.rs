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

/// `resources.limits` of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `memory`, in bytes.
    pub memory: Option<i64>,
    /// `cpu`, in thousandths.
    pub cpu_milli: Option<i64>,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self { memory: None, cpu_milli: None };
    /// Limits that no test comes near.
    pub const GENEROUS: Self = Self { memory: Some(512 << 20), cpu_milli: Some(4000) };
}

/// A port that a container declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: &'static str,
    /// The port of the node that leads to it.
    pub host: Option<u16>,
}

impl Port {
    /// A port of TCP.
    pub const fn tcp(number: u16) -> Self {
        Self { number, protocol: "TCP", host: None }
    }
}

/// A volume of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// `emptyDir` of that name.
    EmptyDir(String),
    /// `emptyDir` of that name with `medium: Memory`.
    Memory(String),
    /// The token of the pod's service account, as it is mounted where nobody says otherwise.
    Token,
}

/// `mountPropagation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// What is mounted on one side stays there.
    #[default]
    None,
    /// What the host mounts is seen in the container.
    HostToContainer,
    /// What the container mounts is seen on the host, too.
    Bidirectional,
}

/// Where a container has a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeMount {
    /// Which one.
    pub volume: Volume,
    /// Where in the container.
    pub inside: PathBuf,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// How mounts in it spread.
    pub propagation: Propagation,
}

impl VolumeMount {
    /// Where every container has the token of its service account.
    pub const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// An `emptyDir` of that name.
    pub fn empty_dir(name: &str, inside: &str) -> Self {
        Self {
            volume: Volume::EmptyDir(name.to_owned()),
            inside: inside.into(),
            read_only: false,
            propagation: Propagation::None,
        }
    }

    /// The token of the pod's service account.
    pub fn token() -> Self {
        Self { volume: Volume::Token, read_only: true, ..Self::empty_dir("", Self::TOKEN) }
    }
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
    /// Volumes of its pod, which the lab makes as a kubelet does.
    pub volumes: Vec<VolumeMount>,
    /// Devices of the host, at the same place in the container.
    pub devices: Vec<PathBuf>,
    /// `procMount: Unmasked`.
    pub unmasked: bool,
    /// `resources.limits`.
    pub limits: Limits,
    /// `tty`.
    pub tty: bool,
    /// `ports`.
    pub ports: Vec<Port>,
    /// Annotations beside those that a kubelet makes.
    pub annotations: BTreeMap<String, String>,
}

impl ContainerSpec {
    /// A container with which nothing is wrong: uid 1000, no_new_privs, RuntimeDefault, no capabilities, a root file
    /// system that is read-only, limits, no ports, no volumes, an image with a version.
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
            read_only_root: true,
            mounts: Vec::new(),
            read_only_mounts: Vec::new(),
            volumes: Vec::new(),
            devices: Vec::new(),
            unmasked: false,
            limits: Limits::GENEROUS,
            tty: false,
            ports: Vec::new(),
            annotations: BTreeMap::new(),
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

/// A pod, as a kubelet would hand it to the runtime.
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
    /// `hostNetwork`. A pod that is not on it has a network namespace with the loopback device alone.
    pub host_network: bool,
    /// `hostIPC`.
    pub host_ipc: bool,
    /// `sysctls`.
    pub sysctls: BTreeMap<String, String>,
    /// `podPidsLimit` of the kubelet.
    pub pids_limit: Option<u32>,
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
            host_network: false,
            host_ipc: false,
            sysctls: BTreeMap::new(),
            pids_limit: Some(1024),
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

    /// On the host's network.
    #[must_use]
    pub fn host_network(mut self) -> Self {
        self.host_network = true;
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
