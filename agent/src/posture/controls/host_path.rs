//! Nothing of the host is mounted but what the kubelet and the runtime make for the container.

use super::mounted::{Origin, is_given, listed_mounts, origin};
use crate::{
    inspect::Mount,
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::HostPath, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let mounts = match &facts.inspection.mounts {
        Ok(mounts) => mounts,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let foreign = mounts.all.iter().filter_map(|mount| Some((mount, foreign(mount, facts)?)));
    match listed_mounts("", foreign) {
        Some(list) => Judgement::new(Outcome::Fail, list),
        None => Judgement::new(Outcome::Pass, "no path of the host is mounted"),
    }
}

/// The path of the host that a mount shows and nobody made for the container.
fn foreign<'a>(mount: &'a Mount, facts: &ContainerFacts<'_>) -> Option<&'a [u8]> {
    let paths = || mount.host_paths.iter().map(Vec::as_slice);
    if mount.target == b"/" {
        // The runtime mounts the image where it likes.
        return paths().find(|path| *path == b"/");
    }
    if is_given(mount, facts) || paths().any(|path| origin(path, facts) == Origin::Volume) {
        return None;
    }
    paths().find(|path| origin(path, facts) == Origin::Host).filter(|_| !is_made(mount, facts))
}

/// A file that the kubelet or the runtime made lies on a file system that the host may have mounted more than
/// once. A `subPath` says nothing: what it is of has another path.
fn is_made(mount: &Mount, facts: &ContainerFacts<'_>) -> bool {
    mount.host_paths.iter().any(|path| match origin(path, facts) {
        Origin::Runtime => true,
        Origin::Pod => !path.windows(17).any(|part| part == b"/volume-subpaths/"),
        Origin::Volume | Origin::Host => false,
    })
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

    const POD: &str = "/var/lib/kubelet/pods/0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn verdicts() {
        let case = |text: &str| ContainerCase::new(ControlId::HostPath).mounts(tests::mounts(text));
        case(tests::DEFAULT).gives(Outcome::Fail, "/etc/hosts ← /b/hosts, /data ← /b/vol");
        let id = "ab".repeat(32);
        let kubelet = tests::DEFAULT
            .replace("/b/hosts", &format!("{POD}/etc-hosts"))
            .replace("/b/vol", &format!("{POD}/volumes/kubernetes.io~empty-dir/data"));
        case(&kubelet).gives(Outcome::Pass, "no path of the host is mounted");
        let docker = tests::DEFAULT
            .replace("/b/hosts", &format!("/var/lib/docker/containers/{id}/hosts"))
            .replace("/b/vol", "/var/lib/docker/volumes/data/_data");
        case(&docker).is(Outcome::Pass);
        // One line for all of the host, with everything that is mounted in it.
        case(tests::PRIVILEGED).gives(Outcome::Fail, "/host ← /");
        ContainerCase::new(ControlId::HostPath).not_read(NotRead::Gone);
    }

    #[test]
    fn what_namespaces_give() {
        let case = |text: &str| ContainerCase::new(ControlId::HostPath).mounts(tests::mounts(text));
        let host_pid = "1 0 0:99 / / rw - overlay o rw\n2 1 0:21 / /proc rw - proc proc rw\n\
                        3 2 0:21 /sys /proc/sys ro - proc proc rw\n4 1 0:22 / /sys ro - sysfs sysfs ro\n\
                        5 4 0:28 /pod/x /sys/fs/cgroup ro - cgroup2 cgroup rw\n\
                        6 1 0:6 /null /dev/null rw - devtmpfs devtmpfs rw\n";
        case(host_pid).is(Outcome::Pass);
        case(host_pid).declares(|all| all.host_pid = Some(false)).gives(Outcome::Fail, "/proc ← /proc");
        case("2 1 0:21 / /host/proc rw - proc proc rw\n").gives(Outcome::Fail, "/host/proc ← /proc");
        let shm = "1 0 0:99 / / rw - overlay o rw\n2 1 0:23 / /dev/shm rw - tmpfs tmpfs rw\n";
        case(shm).is(Outcome::Fail);
        case(shm).declares(|all| all.host_ipc = Some(true)).is(Outcome::Pass);
    }

    #[test]
    fn a_sub_path_of_a_volume_and_of_a_host_path() {
        let sub = format!("{POD}/volume-subpaths/v/main/0");
        let host = format!(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 8:1 /etc {sub} rw - ext4 /dev/sda1 rw\n\
             3 1 8:1 {POD}/volumes/kubernetes.io~empty-dir/v/a {POD}/volume-subpaths/v/main/1 rw - ext4 /dev/sda1 rw\n\
             4 1 8:16 / /var/lib/kubelet/plugins/x/globalmount rw - ext4 /dev/sdb rw\n\
             5 1 8:16 / {POD}/volumes/kubernetes.io~csi/v/mount rw - ext4 /dev/sdb rw\n"
        );
        let host = HostMounts::parse(host.as_bytes(), |_| false).unwrap();
        let case = |text: &str| {
            ContainerCase::new(ControlId::HostPath).mounts(parse(text.as_bytes(), &host).unwrap())
        };
        case("1 0 8:1 /etc /x rw - ext4 /dev/sda1 rw\n").gives(Outcome::Fail, "/x ← /etc");
        case(&format!("1 0 8:1 {POD}/volumes/kubernetes.io~empty-dir/v/a /x rw - ext4 /dev/sda1 rw\n"))
            .is(Outcome::Pass);
        case("1 0 8:16 /sub /x rw - ext4 /dev/sdb rw\n").is(Outcome::Pass);
        case("1 0 8:32 / /x rw - ext4 /dev/sdc rw\n").is(Outcome::Pass);
    }
}
