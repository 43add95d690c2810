//! Container ids in cgroup paths. The names of cgroups are hostile: whoever may make cgroups may
//! make one that looks like a container's.

use super::{ContainerId, Runtime};

/// A container found in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPath<'a> {
    /// The runtime's id.
    pub id: ContainerId,
    /// Who made it.
    pub runtime: Runtime,
    /// Path of the container's own cgroup: the given path, or an ancestor.
    pub root: &'a [u8],
    /// Name of the component that carries the pod's uid, as it stands in the path.
    pod: Option<&'a [u8]>,
}

impl InPath<'_> {
    /// Whether `path`, which this was found in, is the container's own cgroup.
    #[must_use]
    pub fn own(&self, path: &[u8]) -> bool {
        trim(path).len() == self.root.len()
    }

    /// Pod uid, in the form with dashes.
    #[must_use]
    pub fn pod_uid(&self) -> Option<String> {
        let uid = self.pod?;
        // Only ASCII gets past `pod_of`.
        Some(uid.iter().map(|&byte| if byte == b'_' { '-' } else { char::from(byte) }).collect())
    }
}

/// The deepest container that `path` lies in; containers nest (kind, Docker in Docker).
#[must_use]
pub fn container_in(path: &[u8]) -> Option<InPath<'_>> {
    let mut root = trim(path);
    while !root.is_empty() {
        let start = root.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (above, name) = (&root[..start], &root[start..]);
        if let Some((id, runtime)) = container_of(name, above) {
            let pod = root.rsplit(|&byte| byte == b'/').find_map(pod_of);
            return Some(InPath { id, runtime, root, pod });
        }
        root = trim(above);
    }
    None
}

/// The part of `path` above the container's own cgroup: what an outer container is looked for in.
#[must_use]
pub fn above(root: &[u8]) -> &[u8] {
    root.iter().rposition(|&byte| byte == b'/').map_or(&[], |slash| &root[..slash])
}

/// Path of a process in the hierarchy of interest, from `/proc/PID/cgroup`: the v2 line, or where
/// `v1_pids` the line of the pids controller.
#[must_use]
pub fn proc_path(text: &[u8], v1_pids: bool) -> Option<&[u8]> {
    let path = text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let wanted = if v1_pids {
            controllers.split(|&byte| byte == b',').any(|name| name == b"pids")
        } else {
            hierarchy == b"0" && controllers.is_empty()
        };
        wanted.then_some(path)
    })?;
    Some(path.strip_suffix(b" (deleted)").unwrap_or(path))
}

fn trim(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    &path[..end]
}

/// Prefixes of a scope that holds a container. Those of its monitor come first, because they start
/// alike.
const PREFIXES: &[(&[u8], Option<Runtime>)] = &[
    (b"crio-conmon-", None),
    (b"libpod-conmon-", None),
    (b"cri-containerd-", Some(Runtime::Containerd)),
    (b"nerdctl-", Some(Runtime::Containerd)),
    (b"crio-", Some(Runtime::Crio)),
    (b"docker-", Some(Runtime::Docker)),
    (b"libpod-payload-", Some(Runtime::Podman)),
    (b"libpod-", Some(Runtime::Podman)),
];

/// Reads one component. `above` ends in a slash, or is empty.
fn container_of(name: &[u8], above: &[u8]) -> Option<(ContainerId, Runtime)> {
    let base = name.strip_suffix(b".scope").unwrap_or(name);
    if let Some(id) = ContainerId::parse(base) {
        // A scope always says who made it.
        return (base.len() == name.len()).then(|| (id, runtime_above(above)));
    }
    for (prefix, runtime) in PREFIXES {
        if let Some(rest) = base.strip_prefix(*prefix) {
            return ContainerId::parse(rest).zip(*runtime);
        }
    }
    // `slice:prefix:id`: a systemd triple that was taken for a path.
    let mut parts = name.rsplitn(3, |&byte| byte == b':');
    let (id, prefix, _slice) = (parts.next()?, parts.next()?, parts.next()?);
    let runtime = match prefix {
        b"cri-containerd" | b"nerdctl" => Runtime::Containerd,
        b"crio" => Runtime::Crio,
        b"docker" => Runtime::Docker,
        b"libpod" => Runtime::Podman,
        _ => return None,
    };
    ContainerId::parse(id).map(|id| (id, runtime))
}

fn runtime_above(above: &[u8]) -> Runtime {
    match trim(above).rsplit(|&byte| byte == b'/').next() {
        Some(b"docker") => Runtime::Docker,
        Some(b"k8s.io" | b"moby") => Runtime::Containerd,
        Some(b"libpod_parent") => Runtime::Podman,
        _ => Runtime::Unknown,
    }
}

/// Longest pod uid that is taken for one; UUIDs have 36 characters.
const POD_UID_BYTES: usize = 64;

/// The uid in `pod<uid>` or `kubepods-<class>-pod<uid>.slice`.
pub(crate) fn pod_of(name: &[u8]) -> Option<&[u8]> {
    // A triple has the slice before its first colon.
    let name = name.split(|&byte| byte == b':').next()?;
    let uid = match name.strip_suffix(b".slice") {
        Some(slice) => {
            let at = slice.windows(4).rposition(|window| window == b"-pod")?;
            &slice[at + 4..]
        }
        None => name.strip_prefix(b"pod")?,
    };
    let well_formed = (8..=POD_UID_BYTES).contains(&uid.len())
        && uid.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    well_formed.then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4b6f0c1d2e5a7988776655443322110ffeeddccbbaa9988776655443322110";
    const OUTER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "0b6b3b1c-8d1a-4c39-9a50-1d2f3e4a5b6c";

    fn path(form: &str) -> String {
        form.replace("UID_", &UID.replace('-', "_"))
            .replace("UID", UID)
            .replace("OUTER", OUTER)
            .replace("ID", ID)
    }

    #[test]
    fn real_paths_name_their_container() {
        use Runtime::{Containerd, Crio, Docker, Podman, Unknown};
        // Path, runtime, whether the path is the container's own cgroup, whether it has the uid.
        let table = [
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUID_.slice/cri-containerd-ID.scope",
                Containerd,
                true,
                true,
            ),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/cri-containerd-ID.scope",
                Containerd,
                true,
                true,
            ),
            ("/kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope", Containerd, true, true),
            (
                "/kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope/init.scope",
                Containerd,
                false,
                true,
            ),
            (
                "/kubepods.slice/kubepods-podUID_.slice/cri-containerd-ID.scope/system.slice/nginx.service",
                Containerd,
                false,
                true,
            ),
            ("/kubepods/besteffort/podUID/ID", Unknown, true, true),
            ("/kubepods/burstable/podUID/ID", Unknown, true, true),
            ("/kubepods/podUID/ID", Unknown, true, true),
            ("/kubepods/podUID/ID/", Unknown, true, true),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/crio-ID.scope",
                Crio,
                true,
                true,
            ),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/crio-ID.scope/container",
                Crio,
                false,
                true,
            ),
            ("/kubepods/burstable/podUID/crio-ID", Crio, true, true),
            ("/kubepods.slice/kubepods-podUID_.slice/docker-ID.scope", Docker, true, true),
            ("/system.slice/docker-ID.scope", Docker, true, false),
            ("/docker/ID", Docker, true, false),
            ("/docker/ID/init", Docker, false, false),
            ("/actions_job/ID", Unknown, true, false),
            ("/ecs/0d3a1b2c4e5f60718293a4b5c6d7e8f9/ID", Unknown, true, false),
            ("/ecstasks.slice/ecstasks-0d3a1b2c.slice/docker-ID.scope", Docker, true, false),
            ("/k8s.io/ID", Containerd, true, false),
            ("/system.slice/nerdctl-ID.scope", Containerd, true, false),
            ("/machine.slice/libpod-ID.scope", Podman, true, false),
            ("/machine.slice/libpod-ID.scope/container", Podman, false, false),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
                Podman,
                false,
                false,
            ),
            ("/system.slice/web.service/libpod-payload-ID", Podman, true, false),
            ("/libpod_parent/libpod-ID", Podman, true, false),
            ("/libpod_parent/ID", Podman, true, false),
            ("/system.slice/k3s.service/kubepods/burstable/podUID/ID", Unknown, true, true),
            ("/k3s/kubepods/burstable/podUID/ID", Unknown, true, true),
            ("/kubelet/kubepods/burstable/podUID/ID", Unknown, true, true),
            (
                "/system.slice/containerd.service/kubepods-burstable-podUID_.slice:cri-containerd:ID",
                Containerd,
                true,
                true,
            ),
            ("/kubepods-besteffort-podUID_.slice:crio:ID", Crio, true, true),
            // kind: a node is a container, its pods' containers nest.
            (
                "/system.slice/docker-OUTER.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podUID_.slice/cri-containerd-ID.scope",
                Containerd,
                true,
                true,
            ),
            ("/docker/OUTER/kubelet/kubepods/besteffort/podUID/ID", Unknown, true, true),
            ("/docker/OUTER/docker/ID/init", Docker, false, false),
            // Seen from another cgroup namespace.
            ("/../../podUID/ID", Unknown, true, true),
            ("/../cri-containerd-ID.scope", Containerd, true, false),
        ];
        for (form, runtime, own, has_uid) in table {
            let path = path(form);
            let found = container_in(path.as_bytes()).unwrap_or_else(|| panic!("nothing in {form}"));
            assert_eq!(found.id.as_str(), ID, "{form}");
            assert_eq!(found.runtime, runtime, "{form}");
            assert_eq!(found.root == trim(path.as_bytes()), own, "{form}");
            assert_eq!(found.pod_uid(), has_uid.then(|| UID.to_owned()), "{form}");
        }
    }

    #[test]
    fn other_paths_are_the_hosts() {
        for form in [
            "",
            "/",
            "//",
            "/init.scope",
            "/system.slice/containerd.service",
            "/system.slice/docker.service",
            "/kubepods.slice",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice",
            "/kubepods/besteffort/podUID",
            "/kubepods.slice/kubepods-podUID_.slice/crio-conmon-ID.scope",
            "/kubepods/burstable/podUID/crio-conmon-ID",
            "/machine.slice/libpod-conmon-ID.scope",
            "/libpod_parent/conmon",
            "/system.slice/ID.scope",
            "/system.slice/cri-containerd-IDff.scope",
            "/system.slice/cri-containerd-.scope",
            "/system.slice/docker-deadbeef.scope",
            "/user.slice/user-1000.slice/session-2.scope",
            "/docker/buildkit/8x0v7p2l5ow2w7c6v5q9n2x1y",
            "/slice:other:ID",
            "/:ID",
            "/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
        ] {
            assert_eq!(container_in(path(form).as_bytes()), None, "{form}");
        }
    }

    #[test]
    fn a_monitor_inside_a_container_belongs_to_that() {
        let path = path("/system.slice/docker-OUTER.scope/libpod_parent/libpod-conmon-ID.scope");
        assert_eq!(container_in(path.as_bytes()).unwrap().id.as_str(), OUTER);
        let inner = above(b"/docker/a/b");
        assert_eq!(inner, b"/docker/a");
    }

    #[test]
    fn pod_uids_of_static_pods_and_nonsense() {
        let form = format!("/kubepods/burstable/pod8b9d7c6e5f4a3b2c1d0e9f8a7b6c5d4e/{}", ID);
        let uid = container_in(form.as_bytes()).unwrap().pod_uid();
        assert_eq!(uid.as_deref(), Some("8b9d7c6e5f4a3b2c1d0e9f8a7b6c5d4e"));
        for pod in ["pod", "podshort", "pod<script>xxxxxxxx", "kubepods-podx.slice"] {
            let form = format!("/{pod}/{}", ID);
            assert_eq!(container_in(form.as_bytes()).unwrap().pod_uid(), None, "{pod}");
        }
    }

    #[test]
    fn proc_lines_of_v2_hybrid_and_v1() {
        let v2 = b"0::/kubepods/podx/y\n";
        assert_eq!(proc_path(v2, false), Some(&b"/kubepods/podx/y"[..]));
        assert_eq!(proc_path(v2, true), None);
        let hybrid = b"12:cpu,cpuacct:/a\n8:pids:/kubepods/x:y\n1:name=systemd:/s\n0::/u\n";
        assert_eq!(proc_path(hybrid, true), Some(&b"/kubepods/x:y"[..]));
        assert_eq!(proc_path(hybrid, false), Some(&b"/u"[..]));
        assert_eq!(proc_path(b"0::/gone (deleted)\n", false), Some(&b"/gone"[..]));
        assert_eq!(proc_path(b"nonsense\n\n:::\n", false), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(path: Vec<u8>) {
            if let Some(found) = container_in(&path) {
                assert!(path.starts_with(found.root));
            }
            let _ = proc_path(&path, true);
        }
    }
}
