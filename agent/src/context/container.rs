//! One container as the agent keeps it, and what CRI says of it.

use std::{collections::BTreeMap, sync::Arc};

use super::ProcessId;
use crate::inspect::Limits;

/// A container by its cgroup: a v2 cgroup id, or on v1 (hierarchy, id) of the pids controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerKey {
    /// `hierarchy_id`, 0 for v2.
    pub hierarchy: u32,
    /// Inode number of the cgroup.
    pub cgroup: u64,
}

/// Who made the container, as far as the cgroup's path tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// `cri-containerd-….scope`.
    Containerd,
    /// `crio-….scope`.
    Crio,
    /// `docker-….scope`, `/docker/…`.
    Docker,
    /// `libpod-….scope`.
    Podman,
    /// A plain id: the path does not tell.
    Unknown,
}

/// The runtime's id of a container: 64 lower-case hex digits, held inline.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId([u8; 64]);

impl ContainerId {
    /// Accepts exactly 64 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 64] = text.try_into().ok()?;
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only hex digits get past `parse`.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The 12 digits that people read.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.as_str()[..12]
    }
}

impl std::fmt::Debug for ContainerId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.short())
    }
}

impl std::fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Whether a container is named yet.
#[derive(Clone, Debug)]
pub enum Enrichment {
    /// Not yet; verdicts go out marked PENDING.
    Pending(PendingReason),
    /// Named.
    Complete(Arc<Names>),
}

/// Why a container has no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PendingReason {
    /// The runtime was asked and has not answered yet.
    Asked,
    /// No CRI socket was found or configured.
    NoRuntime,
    /// The runtime does not answer, or answers with errors; it is asked again.
    RuntimeUnavailable,
    /// The runtime does not know the id (another runtime's container, or it lies).
    NotKnown,
    /// The queue to the resolver was full; it is asked again.
    QueueFull,
}

impl PendingReason {
    /// Whether an answer is to be expected within moments.
    #[must_use]
    pub const fn is_asked(self) -> bool {
        matches!(self, Self::Asked | Self::QueueFull)
    }
}

/// What kind of container CRI says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerRole {
    /// A container of a pod.
    Workload,
    /// The pod's sandbox ("pause"), which the runtime owns.
    Sandbox,
}

/// What CRI says of a container. Text in here was chosen by workloads and is hostile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Workload or sandbox.
    pub role: ContainerRole,
    /// Pod name.
    pub pod: String,
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod uid.
    pub pod_uid: String,
    /// Service account of the pod, when anybody tells: the kubelet does not tell runtimes.
    pub service_account: Option<String>,
    /// Labels of the pod.
    pub labels: BTreeMap<String, String>,
    /// Container name in the pod; empty for a sandbox.
    pub container: String,
    /// Workload that owns the pod, as far as labels and the pod's name tell.
    pub owner: Owner,
    /// Image as asked for.
    pub image: String,
    /// Image digest (`sha256:…`), when the runtime tells.
    pub image_digest: Option<String>,
    /// Pid of the container's init in the host's pid namespace, when the runtime tells.
    pub init_pid: Option<u32>,
    /// The runtime runs it in a kernel of its own (gVisor, Kata): the host's tasks are not the workload's.
    pub sandboxed_runtime: bool,
    /// When its image was built, in seconds since 1970, when the runtime tells.
    pub image_created: Option<i64>,
    /// What the pod asked for.
    pub declared: Declared,
}

/// The workload a pod belongs to. Findings are keyed by it, so that replicas share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// `Deployment`, `DaemonSet`, …; `Pod` when nothing tells.
    pub kind: &'static str,
    /// Name of the owner.
    pub name: String,
}

/// The security context as declared through CRI. `None`: not declared, or not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// `runAsUser`, or the image's user, as the runtime resolved it.
    pub run_as_user: Option<u32>,
    /// `privileged`.
    pub privileged: Option<bool>,
    /// `no_new_privs`, which is the negation of `allowPrivilegeEscalation`.
    pub no_new_privs: Option<bool>,
    /// Seccomp profile.
    pub seccomp: Option<DeclaredSeccomp>,
    /// Capabilities of the OCI spec's bounding set, bit n for capability n.
    pub capabilities: Option<u64>,
    /// `readOnlyRootFilesystem`.
    pub read_only_root: Option<bool>,
    /// The pod's containers run in a user namespace of their own.
    pub user_namespace: Option<bool>,
    /// `hostPID`.
    pub host_pid: Option<bool>,
    /// `hostNetwork`.
    pub host_network: Option<bool>,
    /// `hostIPC`.
    pub host_ipc: Option<bool>,
    /// Label of AppArmor or SELinux.
    pub label: Option<String>,
    /// Ports of the container.
    pub ports: Option<Vec<DeclaredPort>>,
    /// Ports of the node that lead to the container: `hostPort`.
    pub host_ports: Option<Vec<u16>>,
    /// Kernel parameters that are set for the pod, by name.
    pub sysctls: Option<Vec<String>>,
    /// Limits of resources.
    pub limits: Option<Limits>,
    /// What of the node is mounted, in the runtime's order.
    pub mounts: Option<Vec<DeclaredMount>>,
}

/// A folder or file of the node that a container is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredMount {
    /// Where on the node.
    pub source: String,
    /// Where in the container.
    pub destination: String,
    /// Whether it can be written.
    pub writable: bool,
    /// How mounts in it spread: `private`, `rslave` or `rshared`.
    pub propagation: &'static str,
}

/// A port that a pod declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredPort {
    /// Its number.
    pub port: u16,
    /// UDP; else TCP or SCTP.
    pub is_udp: bool,
}

/// Declared seccomp profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredSeccomp {
    /// `Unconfined`, or none.
    Unconfined,
    /// The runtime's default.
    RuntimeDefault,
    /// `Localhost`, by file.
    Localhost(String),
    /// A filter is in the OCI spec; which profile it came from is not told.
    Filter,
}

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    /// By its cgroup.
    pub key: ContainerKey,
    /// The runtime's id.
    pub id: ContainerId,
    /// Who made it.
    pub runtime: Runtime,
    /// Path of the cgroup below the hierarchy's root.
    pub cgroup_path: Vec<u8>,
    /// Pod uid, where the path carries it.
    pub pod_uid: Option<String>,
    /// Names.
    pub enrichment: Enrichment,
    /// The first process of the workload.
    pub init: Option<ProcessId>,
    /// When the agent first knew of it, boottime nanoseconds.
    pub first_seen_ns: u64,
    /// Its cgroup was removed.
    pub gone: bool,
}
