//! Nothing of the host is mounted by which the node can be taken over or watched.
//!
//! Sockets of runtimes, the folders that hold them, and what the node itself runs by. Whether it is mounted
//! read-only does not matter but where it says so: a socket can be spoken to, and keys are there to be read.

use super::{
    mounted::{Origin, is_given, listed_mounts, origin, text},
    text::{NAMED, list},
};
use crate::{
    inspect::{Mount, mounts::below},
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::SensitiveMounts, check };

/// Names of sockets, wherever they are.
const SOCKETS: [&str; 6] = [
    "docker.sock",
    "containerd.sock",
    "containerd.sock.ttrpc",
    "crio.sock",
    "cri-dockerd.sock",
    "podman.sock",
];

/// Themselves, not what is below.
const FOLDERS: [&str; 23] = [
    "/",
    "/run",
    "/var/run",
    "/run/k3s",
    "/run/user",
    "/dev",
    "/home",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local",
    "/usr/local/bin",
    "/var",
    "/var/lib",
    "/var/log",
    "/opt",
];

/// With everything below.
const TREES: [&str; 25] = [
    "/etc",
    "/proc",
    "/sys",
    "/boot",
    "/root",
    "/lib/modules",
    "/usr/lib/modules",
    "/run/containerd",
    "/run/crio",
    "/run/docker",
    "/run/podman",
    "/run/k3s/containerd",
    "/run/dbus",
    "/run/systemd",
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/etcd",
    "/var/lib/rancher",
    "/var/log/pods",
    "/var/log/containers",
    "/var/log/journal",
    "/var/log/audit",
    "/var/spool/cron",
];

/// With everything below, if it can be written: programs of the node, which it would run.
const PROGRAMS: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib64", "/usr", "/opt"];

/// Below [`TREES`], and everybody may read it.
const PUBLIC: [&str; 4] = ["/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/etc/ca-certificates"];

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let mounts = match &facts.inspection.mounts {
        Ok(mounts) => mounts,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let sensitive = mounts.all.iter().filter_map(|mount| Some((mount, sensitive(mount, facts)?)));
    let mut propagates =
        mounts.all.iter().filter(|one| one.propagates).map(|one| text(&one.target)).peekable();
    let does_propagate = propagates.peek().is_some();
    // Both lists would be too long together.
    let start = if does_propagate { "mounts propagate to the host; " } else { "" };
    match listed_mounts(start, sensitive) {
        Some(observed) => Judgement::new(Outcome::Fail, observed),
        None if does_propagate => {
            Judgement::new(Outcome::Fail, list("mounts propagate to the host: ", propagates, NAMED))
        }
        None => Judgement::new(Outcome::Pass, "no sensitive path of the host is mounted"),
    }
}

/// The sensitive path of the host that a mount shows.
fn sensitive<'a>(mount: &'a Mount, facts: &ContainerFacts<'_>) -> Option<&'a [u8]> {
    let mut paths = mount.host_paths.iter().map(Vec::as_slice);
    if mount.target == b"/" {
        return paths.find(|path| *path == b"/");
    }
    if matches!(mount.file_system.as_str(), "cgroup" | "cgroup2") {
        // By the whole hierarchy, every container and service of the node can be moved and stopped; by its own
        // cgroup, where the runtime mounts it, a container has itself alone.
        let is_whole = mount.root == b"/" || mount.root.ends_with(b"/..");
        let reaches_others = is_whole || !is_given(mount, facts);
        return if reaches_others && !mount.read_only { paths.next() } else { None };
    }
    if is_given(mount, facts) {
        return None;
    }
    // The file system of a volume is mounted at other places of the kubelet's, too.
    let volume = mount.host_paths.iter().find(|path| origin(path, facts) == Origin::Volume);
    let kubelet = volume.and_then(|path| {
        let end = path.windows(6).position(|part| part == b"/pods/")?;
        path.get(..end)
    });
    let is_kubelets = |path: &[u8]| {
        let rest = kubelet.and_then(|kubelet| below(path, kubelet));
        rest.is_some_and(|rest| rest.starts_with(b"/pods/") || rest.starts_with(b"/plugins/"))
    };
    paths.find(|path| {
        is_sensitive(path, mount.read_only) && origin(path, facts) == Origin::Host && !is_kubelets(path)
    })
}

fn is_sensitive(path: &[u8], read_only: bool) -> bool {
    // `/var/run` is a link to `/run` wherever there is a systemd.
    let short = path.strip_prefix(b"/var/run/".as_slice()).map(|rest| [b"/run/", rest].concat());
    let path = short.as_deref().unwrap_or(path);
    let is_in = |folder: &&str| below(path, folder.as_bytes()).is_some();
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if SOCKETS.iter().any(|socket| name == socket.as_bytes()) {
        return true;
    }
    if read_only && (PUBLIC.iter().any(is_in) || is_in(&"/sys/fs/cgroup")) {
        return false;
    }
    // Somebody's home, with keys in it.
    let is_home =
        below(path, b"/home").is_some_and(|rest| !rest.get(1..).unwrap_or_default().contains(&b'/'));
    is_home
        || FOLDERS.iter().any(|folder| path == folder.as_bytes())
        || TREES.iter().any(is_in)
        || (!read_only && PROGRAMS.iter().any(is_in))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{
            NotRead,
            mounts::{HostMounts, parse, tests},
        },
        posture::controls::case::ContainerCase,
    };

    fn case(text: &str) -> ContainerCase {
        ContainerCase::new(ControlId::SensitiveMounts).mounts(tests::mounts(text))
    }

    #[test]
    fn verdicts() {
        case(tests::DEFAULT).gives(Outcome::Pass, "no sensitive path of the host is mounted");
        case(tests::PRIVILEGED).gives(Outcome::Fail, "/host ← /");
        let socket = "90 77 0:50 /docker.sock /run/docker.sock ro - tmpfs tmpfs rw,mode=755\n";
        case(&format!("{}{socket}", tests::DEFAULT))
            .gives(Outcome::Fail, "/run/docker.sock ← /run/docker.sock");
        case("1 0 254:0 /run/netns/a /mnt rw shared:1 - ext4 /dev/vda rw\n")
            .gives(Outcome::Fail, "mounts propagate to the host: /mnt");
        case("1 0 254:0 /etc /mnt rw shared:1 - ext4 /dev/vda rw\n")
            .gives(Outcome::Fail, "mounts propagate to the host; /mnt ← /etc");
        ContainerCase::new(ControlId::SensitiveMounts).not_read(NotRead::Gone);
    }

    #[test]
    fn paths() {
        for path in [
            "/",
            "/etc",
            "/etc/kubernetes/admin.conf",
            "/etc/ssl/private",
            "/proc",
            "/proc/1",
            "/sys/kernel/debug",
            "/dev",
            "/root/.ssh",
            "/home/user",
            "/usr",
            "/lib/modules/6.1",
            "/var/lib/kubelet",
            "/var/lib/kubelet/pki",
            "/var/log",
            "/run",
            "/var/run/containerd",
            "/srv/own/docker.sock",
        ] {
            assert!(is_sensitive(path.as_bytes(), true), "{path}");
        }
        for path in
            ["/data", "/home/user/app", "/dev/sda", "/usr/share/zoneinfo", "/run/app", "/etc/localtime"]
        {
            assert!(!is_sensitive(path.as_bytes(), true), "{path}");
        }
        for path in ["/usr/share/zoneinfo", "/etc/localtime", "/sys/fs/cgroup"] {
            assert!(is_sensitive(path.as_bytes(), false), "{path}");
        }
        assert!(!is_sensitive(b"/etcetera", false));
    }

    #[test]
    fn file_systems_of_the_kernel() {
        let is = |line: &str, outcome| {
            case(&format!("1 0 0:99 / / rw - overlay o rw\n2 1 {line}\n")).is(outcome);
        };
        is("0:21 / /proc rw - proc proc rw", Outcome::Pass);
        is("0:21 /sys /proc/sys ro - proc proc rw", Outcome::Pass);
        is("0:21 / /hostproc ro - proc proc rw", Outcome::Fail);
        is("0:21 /1 /proc rw - proc proc rw", Outcome::Fail);
        is("0:22 / /sys ro - sysfs sysfs ro", Outcome::Pass);
        is("0:22 /kernel /x ro - sysfs sysfs ro", Outcome::Fail);
        is("0:7 / /sys/kernel/security rw - securityfs none rw", Outcome::Fail);
        is("0:6 / /dev rw - devtmpfs devtmpfs rw", Outcome::Fail);
        is("0:6 /null /proc/keys rw - devtmpfs devtmpfs rw", Outcome::Pass);
        is("0:28 / /sys/fs/cgroup ro - cgroup2 cgroup rw", Outcome::Pass);
        is("0:28 / /sys/fs/cgroup rw - cgroup2 cgroup rw", Outcome::Fail);
        is("0:28 /pod /sys/fs/cgroup rw - cgroup2 cgroup rw", Outcome::Pass);
        is("0:28 /other /mnt rw - cgroup2 cgroup rw", Outcome::Fail);
    }

    #[test]
    fn volumes() {
        let pod = "/var/lib/kubelet/pods/0f8fad5b-d9cb-469f-a165-70867728950e";
        let other = "/var/lib/kubelet/pods/7c9e6679-7425-40de-944b-e07fc1f90ae7";
        let host = format!(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             4 1 8:16 / /var/lib/kubelet/plugins/x/globalmount rw - ext4 /dev/sdb rw\n\
             5 1 8:16 / {pod}/volumes/kubernetes.io~csi/v/mount rw - ext4 /dev/sdb rw\n\
             6 1 8:1 /etc/x {pod}/volumes/kubernetes.io~local-volume/v rw - ext4 /dev/sda1 rw\n"
        );
        let host = HostMounts::parse(host.as_bytes(), |_| false).unwrap();
        let case = |line: &str| {
            let mut case =
                ContainerCase::new(ControlId::SensitiveMounts).mounts(parse(line.as_bytes(), &host).unwrap());
            case.container.pod_uid = Some("0f8fad5b-d9cb-469f-a165-70867728950e".into());
            case
        };
        case("1 0 8:16 / /x rw - ext4 /dev/sdb rw\n").is(Outcome::Pass);
        case("1 0 8:1 /etc/x /x rw - ext4 /dev/sda1 rw\n").gives(Outcome::Fail, "/x ← /etc/x");
        let empty =
            |pod| format!("1 0 8:1 {pod}/volumes/kubernetes.io~empty-dir/v /x rw - ext4 /dev/sda1 rw\n");
        case(&empty(pod)).is(Outcome::Pass);
        case(&empty(other)).is(Outcome::Fail);
    }
}
