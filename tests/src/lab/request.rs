//! What a kubelet asks a runtime for, made of the specs of pods and containers.

use std::{collections::HashMap, path::Path};

use anyhow::Result;
use k8s_cri::v1::{self, NamespaceMode, NamespaceOption, SecurityProfile, security_profile::ProfileType};
use serde_json::json;

use super::{
    image,
    kubelet::{self, Folders},
    spec::{ContainerSpec, PodSpec, Propagation, Seccomp},
};

/// Paths that nobody sees (Kubernetes, `pkg/securitycontext/util.go`).
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

/// Paths that nobody writes to.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Microseconds in which a limit of processor time holds.
const CPU_PERIOD: i64 = 100_000;

/// A pod's sandbox.
pub(super) fn sandbox(pod: &PodSpec, folders: &Folders) -> v1::PodSandboxConfig {
    let mut labels = kubelet_labels(pod);
    labels.extend(pod.labels.clone());
    v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            namespace: pod.namespace.clone(),
            attempt: 0,
        }),
        log_directory: folders.logs.to_string_lossy().into_owned(),
        labels,
        annotations: HashMap::from([("kubernetes.io/config.source".to_owned(), "api".to_owned())]),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: pod.cgroup_parent(),
            sysctls: pod.sysctls.clone().into_iter().collect(),
            security_context: Some(v1::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces(pod)),
                privileged: pod.containers.iter().any(|container| container.privileged),
                seccomp: Some(profile(&Seccomp::RuntimeDefault)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One of its containers.
pub(super) fn container(
    pod: &PodSpec,
    spec: &ContainerSpec,
    folders: &Folders,
    attempt: u32,
) -> Result<v1::ContainerConfig> {
    let mut labels = kubelet_labels(pod);
    labels.insert("io.kubernetes.container.name".to_owned(), spec.name.clone());
    Ok(v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: spec.name.clone(), attempt }),
        image: Some(v1::ImageSpec {
            image: spec.image.clone().unwrap_or_else(|| image::APP.to_owned()),
            ..Default::default()
        }),
        command: spec.command.clone(),
        envs: spec
            .env
            .iter()
            .map(|(key, value)| v1::KeyValue { key: key.clone(), value: value.clone() })
            .collect(),
        mounts: mounts(spec, folders, attempt)?,
        devices: spec
            .devices
            .iter()
            .map(|device| v1::Device {
                container_path: text(device),
                host_path: text(device),
                permissions: "rwm".to_owned(),
            })
            .collect(),
        labels,
        annotations: annotations(spec, attempt),
        log_path: format!("{}.log", spec.name),
        tty: spec.tty,
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(v1::LinuxContainerResources {
                oom_score_adj: 1000,
                memory_limit_in_bytes: spec.limits.memory.unwrap_or_default(),
                cpu_period: spec.limits.cpu_milli.map_or(0, |_| CPU_PERIOD),
                cpu_quota: spec.limits.cpu_milli.map_or(0, |milli| milli * CPU_PERIOD / 1000),
                ..Default::default()
            }),
            security_context: Some(security_context(pod, spec)),
        }),
        ..Default::default()
    })
}

fn security_context(pod: &PodSpec, spec: &ContainerSpec) -> v1::LinuxContainerSecurityContext {
    let is_open = spec.privileged || spec.unmasked;
    let hidden = |paths: &[&str]| {
        let paths = if is_open { &[] } else { paths };
        paths.iter().map(|path| (*path).to_owned()).collect()
    };
    v1::LinuxContainerSecurityContext {
        capabilities: Some(v1::Capability {
            add_capabilities: spec.add.clone(),
            drop_capabilities: spec.drop.clone(),
            ..Default::default()
        }),
        privileged: spec.privileged,
        namespace_options: Some(namespaces(pod)),
        run_as_user: spec.run_as_user.map(|value| v1::Int64Value { value }),
        run_as_group: spec.run_as_group.map(|value| v1::Int64Value { value }),
        supplemental_groups: spec.groups.clone(),
        readonly_rootfs: spec.read_only_root,
        no_new_privs: spec.no_new_privs,
        masked_paths: hidden(&MASKED),
        readonly_paths: hidden(&READ_ONLY),
        seccomp: Some(profile(&spec.seccomp)),
        ..Default::default()
    }
}

fn mounts(spec: &ContainerSpec, folders: &Folders, attempt: u32) -> Result<Vec<v1::Mount>> {
    let bind = |host: &Path, inside: &Path, readonly, propagation: Propagation| {
        let propagation = match propagation {
            Propagation::None => v1::MountPropagation::PropagationPrivate,
            Propagation::HostToContainer => v1::MountPropagation::PropagationHostToContainer,
            Propagation::Bidirectional => v1::MountPropagation::PropagationBidirectional,
        };
        let (host_path, container_path) = (text(host), text(inside));
        v1::Mount {
            host_path,
            container_path,
            readonly,
            propagation: propagation.into(),
            ..Default::default()
        }
    };
    let mut mounts = Vec::new();
    for (paths, read_only) in [(&spec.mounts, false), (&spec.read_only_mounts, true)] {
        mounts.extend(paths.iter().map(|(host, inside)| bind(host, inside, read_only, Propagation::None)));
    }
    mounts.extend(spec.volumes.iter().map(|mount| {
        let host = kubelet::volume(&folders.pod, &mount.volume);
        bind(&host, &mount.inside, mount.read_only, mount.propagation)
    }));
    let own = [
        (kubelet::hosts(&folders.pod), "/etc/hosts"),
        (kubelet::termination_log(&folders.pod, &spec.name, attempt)?, "/dev/termination-log"),
    ];
    mounts.extend(own.map(|(host, inside)| bind(&host, Path::new(inside), false, Propagation::None)));
    Ok(mounts)
}

fn annotations(spec: &ContainerSpec, attempt: u32) -> HashMap<String, String> {
    let mut all: HashMap<_, _> = spec.annotations.clone().into_iter().collect();
    for (name, value) in [
        ("io.kubernetes.container.restartCount", attempt.to_string()),
        ("io.kubernetes.container.terminationMessagePath", "/dev/termination-log".to_owned()),
        ("io.kubernetes.pod.terminationGracePeriod", "30".to_owned()),
    ] {
        all.insert(name.to_owned(), value);
    }
    if !spec.ports.is_empty() {
        let ports = spec
            .ports
            .iter()
            .map(|port| {
                let mut declared = json!({"containerPort": port.number, "protocol": port.protocol});
                if let Some(host) = port.host {
                    declared["hostPort"] = json!(host);
                }
                declared
            })
            .collect::<Vec<_>>();
        all.insert("io.kubernetes.container.ports".to_owned(), json!(ports).to_string());
    }
    all
}

fn kubelet_labels(pod: &PodSpec) -> HashMap<String, String> {
    [("name", &pod.name), ("namespace", &pod.namespace), ("uid", &pod.uid)]
        .map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.clone()))
        .into()
}

fn namespaces(pod: &PodSpec) -> NamespaceOption {
    let of = |is_host, own: NamespaceMode| if is_host { NamespaceMode::Node } else { own }.into();
    NamespaceOption {
        network: of(pod.host_network, NamespaceMode::Pod),
        pid: of(pod.host_pid, NamespaceMode::Container),
        ipc: of(pod.host_ipc, NamespaceMode::Pod),
        ..Default::default()
    }
}

fn profile(seccomp: &Seccomp) -> SecurityProfile {
    let (profile_type, localhost_ref) = match seccomp {
        Seccomp::Unconfined => (ProfileType::Unconfined, String::new()),
        Seccomp::RuntimeDefault => (ProfileType::RuntimeDefault, String::new()),
        Seccomp::Localhost(path) => (ProfileType::Localhost, text(path)),
    };
    SecurityProfile { profile_type: profile_type.into(), localhost_ref }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
