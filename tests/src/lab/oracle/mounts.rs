//! Mounts and devices of a container.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nix::sys::stat::{major, minor};
use procfs::process::{MountInfo, MountOptFields, Process};
use serde_json::Value;

use super::{super::spec::VolumeMount, Violations};

const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];

const READ_ONLY: [&str; 6] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys"];

/// Paths of the host by which it is taken over, with all below.
const SENSITIVE: [&str; 7] = ["/etc", "/proc", "/sys", "/dev", "/boot", "/root", "/var/lib/kubelet"];

/// Major and minor numbers of the devices that each container has: null, zero, full, random, urandom, tty, console,
/// ptmx. Terminals have 136.
const DEVICES: [(u64, u64); 8] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];

/// What is wrong with the mounts that a process sees.
pub(super) fn of(pid: u32, oci: &Value) -> Result<Violations> {
    let mounts = Process::new(pid.try_into()?)?.mountinfo()?.0;
    let root = at(&mounts, "/").context("no root file system")?;
    let mut all = Violations::new();
    if !is_read_only(root) {
        let is_declared = oci["root"]["readonly"].as_bool().unwrap_or(false);
        all.insert("read-only-root", if is_declared { "DRIFT" } else { "FAIL" });
    }
    // An image may have `/var/run` as a link.
    if at(&mounts, VolumeMount::TOKEN).or_else(|| at(&mounts, &VolumeMount::TOKEN[4..])).is_some() {
        all.insert("service-account-token", "FAIL");
    }
    let is_there = |path: &&str| Path::new(&format!("/proc/{pid}/root{path}")).exists();
    let is_open = MASKED.iter().filter(|path| is_there(path)).any(|path| at(&mounts, path).is_none());
    let is_writable = READ_ONLY
        .iter()
        .filter(|path| is_there(path))
        .any(|path| !at(&mounts, path).is_some_and(is_read_only));
    if is_open || is_writable {
        all.insert("proc-mount", "FAIL");
    }
    all.extend(of_host(&mounts, oci)?);
    Ok(all)
}

fn of_host(mounts: &[MountInfo], oci: &Value) -> Result<Violations> {
    let mut all = Violations::new();
    let shared = |mounts: &[MountInfo]| -> BTreeSet<u32> {
        let fields = mounts.iter().flat_map(|mount| &mount.opt_fields);
        fields
            .filter_map(|field| if let MountOptFields::Shared(group) = field { Some(*group) } else { None })
            .collect()
    };
    let host = Process::myself()?.mountinfo()?.0;
    if !shared(mounts).is_disjoint(&shared(&host)) {
        all.insert("sensitive-mounts", "FAIL");
    }
    for bind in oci["mounts"].as_array().into_iter().flatten().filter(|mount| mount["type"] == "bind") {
        let source = bind["source"].as_str().context("a mount without a source")?;
        let destination = bind["destination"].as_str().context("a mount without a destination")?;
        let Some(seen) = at(mounts, destination) else { continue };
        let is_volume = source.contains("/pods/") && source.contains("/volumes/kubernetes.io~");
        if is_volume && !is_read_only(seen) && !seen.mount_options.contains_key("noexec") {
            all.insert("writable-executable-mounts", "FAIL");
        }
        // Files that the kubelet and the runtime keep for the container, and what goes with `hostIPC`.
        let is_made = is_volume
            || source.contains("/pods/") && ["/etc/hosts", "/dev/termination-log"].contains(&destination)
            || source.contains("/io.containerd.grpc.v1.cri/sandboxes/")
            || destination == "/dev/shm";
        if is_made {
            continue;
        }
        all.insert("host-path", "FAIL");
        if !is_read_only(seen) && fs::metadata(source)?.is_dir() {
            all.insert("writable-executable-mounts", "FAIL");
        }
        let is_tree = |tree: &str| Path::new(source).starts_with(tree);
        if source == "/" || source.ends_with("/containerd.sock") || SENSITIVE.iter().any(|tree| is_tree(tree))
        {
            all.insert("sensitive-mounts", "FAIL");
        }
    }
    Ok(all)
}

/// Devices below `/dev` that not every container has.
pub(super) fn devices(pid: u32) -> Result<Violations> {
    let mut next = vec![PathBuf::from(format!("/proc/{pid}/root/dev"))];
    while let Some(dir) = next.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                next.push(entry.path());
            } else if kind.is_block_device() || kind.is_char_device() {
                let number = entry.metadata()?.rdev();
                let number = (major(number), minor(number));
                if kind.is_block_device() || (!DEVICES.contains(&number) && number.0 != 136) {
                    return Ok(Violations::from([("host-devices", "FAIL")]));
                }
            }
        }
    }
    Ok(Violations::new())
}

/// The mount that is seen at a path: the last one there.
fn at<'a>(mounts: &'a [MountInfo], path: &str) -> Option<&'a MountInfo> {
    mounts.iter().rfind(|mount| mount.mount_point == Path::new(path))
}

fn is_read_only(mount: &MountInfo) -> bool {
    mount.mount_options.contains_key("ro")
}
