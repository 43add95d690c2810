//! Which of a container's mounts the kubelet and the runtime make of themselves, and which show the host.

use super::text::{NAMED, list};
use crate::{
    context::ContainerId,
    inspect::{Mount, mounts::below},
    posture::ContainerFacts,
};

/// Bytes of a path in a text.
const PATH_BYTES: usize = 96;

/// Who has put a path of the host there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The kubelet, as a volume of the container's own pod.
    Volume,
    /// The kubelet, as a file of the pod's or as the place of a `subPath`. What a `subPath` shows may be of any
    /// volume, a hostPath too, so this says nothing alone.
    Pod,
    /// The runtime.
    Runtime,
    /// Somebody else.
    Host,
}

/// Who has put a path of the host there. Folders of the kubelet and the runtimes are known by what is below
/// them, since a node may have them anywhere.
pub(super) fn origin(path: &[u8], facts: &ContainerFacts<'_>) -> Origin {
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
    for (place, part) in parts.iter().enumerate() {
        let rest = parts.get(place + 1..).unwrap_or_default();
        let origin = match *part {
            b"pods" => of_pod(rest, facts),
            b"libpod" if rest.len() > 1 && rest.iter().any(|part| is_id(part)) => Some(Origin::Runtime),
            part if is_runtimes(part, rest, &facts.container.id) => Some(Origin::Runtime),
            _ => None,
        };
        if let Some(origin) = origin {
            return origin;
        }
    }
    Origin::Host
}

/// Below `pods` of the kubelet's folder (pkg/kubelet/kubelet_getters.go).
fn of_pod(rest: &[&[u8]], facts: &ContainerFacts<'_>) -> Option<Origin> {
    let [uid, what, rest @ ..] = rest else { return None };
    let known = facts.container.pod_uid.as_deref();
    let known = known.or_else(|| facts.names.map(|names| names.pod_uid.as_str())).unwrap_or_default();
    // A uid of an API server has 36 characters, that of a static pod 32.
    let is_own = if known.is_empty() { matches!(uid.len(), 32 | 36) } else { *uid == known.as_bytes() };
    match (*what, rest) {
        _ if !is_own => None,
        (b"volumes", [_, _, ..]) => Some(Origin::Volume),
        (b"etc-hosts", []) | (b"volume-subpaths" | b"containers", [_, _, ..]) => Some(Origin::Pod),
        _ => None,
    }
}

/// Whether `part` and what follows are a runtime's: files and volumes that it makes for a container. Not so its
/// folders as a whole, or what it has of other containers, where that can be told.
fn is_runtimes(part: &[u8], rest: &[&[u8]], id: &ContainerId) -> bool {
    let is_own = |part: &[u8]| part == id.as_str().as_bytes();
    match (part, rest) {
        // containerd, internal/cri/server/helpers.go.
        (_, [b"sandboxes", sandbox, b"hosts" | b"hostname" | b"resolv.conf" | b"shm"])
        | (_, [b"image-volumes", sandbox, ..])
            if part.starts_with(b"io.containerd.") =>
        {
            is_id(sandbox)
        }
        (_, [b"containers", own, b"volumes", _, ..]) if part.starts_with(b"io.containerd.") => is_own(own),
        (_, [_, own, b"rootfs", ..]) if part.starts_with(b"io.containerd.runtime.") => is_own(own),
        // CRI-O and Podman, containers/storage: `overlay-containers/ID/userdata` of a container or its sandbox.
        (b"containers", [b"storage", b"volumes", _, b"_data", ..]) => true,
        (b"containers", [b"storage", driver, sandbox, b"userdata", _, ..]) => {
            driver.ends_with(b"-containers") && is_id(sandbox)
        }
        // Docker, daemon/container_operations_unix.go.
        (b"containers", [sandbox, b"hosts" | b"hostname" | b"resolv.conf"])
        | (b"containers", [sandbox, b"mounts", b"shm"]) => is_id(sandbox),
        (b"docker", [b"volumes", _, b"_data", ..]) => true,
        _ => false,
    }
}

/// The id of a container or a sandbox.
fn is_id(part: &[u8]) -> bool {
    part.len() == 64 && part.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a mount shows nothing of the host but what its container is given by the namespaces it is in, or
/// what every container has. A file system of the kernel's is the same for all that are in a namespace: `/proc`
/// of a container in the host's pid namespace is the host's, and that is what `host-pid` speaks of.
pub(super) fn is_given(mount: &Mount, facts: &ContainerFacts<'_>) -> bool {
    let declared = facts.declared;
    let is_at = |folder: &str| below(&mount.target, folder.as_bytes()) == Some(below_root(&mount.root));
    match mount.file_system.as_str() {
        "proc" => is_at("/proc") && declared.and_then(|all| all.host_pid) != Some(false),
        "sysfs" => is_at("/sys") && declared.and_then(|all| all.host_network) != Some(false),
        "mqueue" => mount.target == b"/dev/mqueue",
        // One hierarchy for all; what of it can be written is another matter.
        "cgroup" | "cgroup2" => below(&mount.target, b"/sys/fs/cgroup").is_some(),
        // The container's terminal.
        "devpts" => mount.target == b"/dev/console" && mount.root != b"/",
        _ => match mount.host_path() {
            // Bound by rootless runtimes and in user namespaces, and over what is masked.
            Some(
                b"/dev/null" | b"/dev/zero" | b"/dev/full" | b"/dev/random" | b"/dev/urandom" | b"/dev/tty",
            ) => true,
            // `hostIPC`, which `host-ipc` speaks of.
            Some(b"/dev/shm") => {
                mount.target == b"/dev/shm" && declared.and_then(|all| all.host_ipc) == Some(true)
            }
            _ => false,
        },
    }
}

fn below_root(root: &[u8]) -> &[u8] {
    if root == b"/" { b"" } else { root }
}

/// Bytes as text of so many bytes at most. What is hostile in it is made inert where it is shown.
pub(super) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..PATH_BYTES * 4).unwrap_or(bytes));
    if text.len() <= PATH_BYTES {
        return text.into_owned();
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|&at| at <= PATH_BYTES).last();
    format!("{}…", text.get(..end.unwrap_or(0)).unwrap_or_default())
}

/// A list of mounts and the paths of the host that they show. What is only a part of one that is listed (a
/// recursive bind brings all mounts below) is left out.
pub(super) fn listed_mounts<'a>(
    start: &str,
    mounts: impl IntoIterator<Item = (&'a Mount, &'a [u8])>,
) -> Option<String> {
    let mut all: Vec<(&[u8], &[u8])> = Vec::new();
    let mut texts = Vec::new();
    for (mount, path) in mounts {
        let target = mount.target.as_slice();
        let is_part = all.iter().take(NAMED).any(|(above, above_path)| {
            below(target, above).is_some_and(|rest| below(path, above_path) == Some(rest))
        });
        if !is_part {
            all.push((target, path));
            texts.push(format!("{} ← {}", text(target), text(path)));
        }
    }
    (!texts.is_empty()).then(|| list(start, texts, NAMED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::{ControlId, controls::case::ContainerCase};

    const UID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    fn of(path: &str) -> Origin {
        let own = format!("{:064x}", 42);
        let other = "ab".repeat(32);
        let path = path.replace("UID", UID).replace("OWN", &own).replace("ID", &other);
        ContainerCase::new(ControlId::HostPath).with_facts(|facts| origin(path.as_bytes(), facts))
    }

    #[test]
    fn origins() {
        for (path, expected) in [
            ("/var/lib/kubelet/pods/UID/volumes/kubernetes.io~empty-dir/data", Origin::Volume),
            ("/var/snap/k8s/kubelet/pods/UID/volumes/kubernetes.io~csi/pvc/mount/a", Origin::Volume),
            ("/var/lib/kubelet/pods/UID/etc-hosts", Origin::Pod),
            ("/var/lib/kubelet/pods/UID/containers/main/1a2b3c4d", Origin::Pod),
            ("/var/lib/kubelet/pods/UID/volume-subpaths/data/main/0", Origin::Pod),
            ("/var/lib/kubelet/pods/UID/volumes", Origin::Host),
            ("/var/lib/kubelet/pods/UID", Origin::Host),
            ("/var/lib/kubelet/pods/x/volumes/a/b", Origin::Host),
            ("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/ID/resolv.conf", Origin::Runtime),
            ("/run/containerd/io.containerd.grpc.v1.cri/sandboxes/ID/shm", Origin::Runtime),
            ("/run/containerd/io.containerd.grpc.v1.cri/sandboxes/ID", Origin::Host),
            ("/var/lib/containerd/io.containerd.grpc.v1.cri/containers/OWN/volumes/x", Origin::Runtime),
            ("/var/lib/containerd/io.containerd.grpc.v1.cri/containers/ID/volumes/x", Origin::Host),
            ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/OWN/rootfs", Origin::Runtime),
            ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/rootfs", Origin::Host),
            ("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots", Origin::Host),
            ("/run/containers/storage/overlay-containers/ID/userdata/hostname", Origin::Runtime),
            ("/var/lib/containers/storage/volumes/data/_data", Origin::Runtime),
            ("/var/lib/containers/storage", Origin::Host),
            ("/var/lib/docker/containers/ID/resolv.conf", Origin::Runtime),
            ("/var/lib/docker/containers/ID", Origin::Host),
            ("/var/lib/docker/volumes/data/_data", Origin::Runtime),
            ("/var/lib/docker/volumes", Origin::Host),
            ("/run/libpod/ID/x", Origin::Runtime),
            ("/run/libpod", Origin::Host),
            ("/", Origin::Host),
        ] {
            assert_eq!(of(path), expected, "{path}");
        }
        let mut known = ContainerCase::new(ControlId::HostPath);
        known.container.pod_uid = Some("other".into());
        let path = format!("/var/lib/kubelet/pods/{UID}/volumes/a/b");
        known.with_facts(|facts| assert_eq!(origin(path.as_bytes(), facts), Origin::Host, "another pod's"));
    }

    #[test]
    fn texts_are_bounded() {
        let long = text(&[0xff; 9000]);
        assert!(long.len() <= PATH_BYTES + 6, "{}", long.len());
    }
}
