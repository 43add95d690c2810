//! Reads what the node itself is: the settings of its kernel that containers depend on, and the arguments and
//! configuration files of the parts of Kubernetes that run on it.
//!
//! Runs beside the hot side. The paths can be pointed elsewhere for tests. Everything that is read is bounded,
//! and what could not be read says so.

pub mod arguments;
pub mod component;
pub mod config;
mod file;
mod kernel;
#[cfg(test)]
pub(crate) mod testing;

use std::path::PathBuf;

pub use arguments::Arguments;
pub use component::{
    ApiServer, Candidate, ControllerManager, Etcd, Found, Hidden, Home, Kubelet, Scheduler, may_be,
};
pub use kernel::{CorePattern, KernelFacts, ProgramFile, Setting};

/// Where the node's file systems are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePaths {
    /// The host's procfs.
    pub proc: PathBuf,
    /// The host's sysfs.
    pub sys: PathBuf,
    /// The host's root.
    pub root: PathBuf,
}

impl Default for NodePaths {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), root: "/proc/1/root".into() }
    }
}

/// What was read of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Settings of the kernel.
    pub kernel: KernelFacts,
    /// `kube-apiserver`.
    pub apiserver: Found<ApiServer>,
    /// `kube-controller-manager`.
    pub controller_manager: Found<ControllerManager>,
    /// `kube-scheduler`.
    pub scheduler: Found<Scheduler>,
    /// `etcd`.
    pub etcd: Found<Etcd>,
    /// `kubelet`.
    pub kubelet: Found<Kubelet>,
}

/// Reads the node. `candidates` are the processes among which the parts of Kubernetes are looked for: those of
/// the host and of containers that [`may_be`] one, each with whose it is. What is not among them counts as not running.
#[must_use]
pub fn read(paths: &NodePaths, candidates: &[Candidate]) -> NodeFacts {
    let component::Sorted { apiserver, controller_manager, scheduler, etcd, kubelet } =
        component::sort(&paths.proc, candidates);
    NodeFacts {
        kernel: kernel::read(paths),
        apiserver: apiserver.map(ApiServer::read),
        controller_manager: controller_manager.map(ControllerManager::read),
        scheduler: scheduler.map(Scheduler::read),
        etcd: etcd.map(Etcd::read),
        kubelet: kubelet.map(Kubelet::read),
    }
}
