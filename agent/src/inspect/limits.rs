//! Limits of a container's cgroup and its pod's, and of open files.
//!
//! cgroup v2 by Documentation/admin-guide/cgroup-v2.rst, v1 by Documentation/admin-guide/cgroup-v1 and
//! Documentation/scheduler/sched-bwc.rst. In a hybrid layout each controller is in one hierarchy, v2's or one
//! of v1's, and a runtime gives a container the same path in all of them.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{
    Limits, NotRead, Read,
    file::{of_process, whole},
};
use crate::context::{ContainerId, cgroup};

/// Longest file of a limit.
const LIMIT_BYTES: usize = 256;
/// Longest `/proc/PID/limits`; it has some 1400 bytes.
const PROC_LIMITS_BYTES: usize = 8 << 10;
/// Longest list of mounts that is looked through.
const MOUNTINFO_BYTES: usize = 1 << 20;
/// Most levels from a container up to its pod.
const LEVELS: usize = 32;

/// Where the hierarchies of cgroups are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    unified: Option<PathBuf>,
    // Of v1, where a controller is in a hierarchy of its own.
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
    pids: Option<PathBuf>,
}

/// The root of the hierarchy that a controller is in.
enum Root<'a> {
    V1(&'a Path),
    V2(&'a Path),
}

impl Hierarchies {
    /// As the agent has them mounted, and where it does not have all, as the host's init has.
    ///
    /// # Errors
    /// When no list of mounts can be read.
    pub fn detect() -> Read<Self> {
        /// Inode of a hierarchy's root (fs/kernfs/dir.c: ids are given from 1).
        const ROOT_INODE: u64 = 1;
        let is_root = |path: &Path| path.metadata().is_ok_and(|root| root.ino() == ROOT_INODE);
        let own = whole(Path::new("/proc/self/mountinfo"), MOUNTINFO_BYTES)
            .map(|text| Self::mounted(&text, Path::new("/"), is_root));
        let init = || {
            whole(Path::new("/proc/1/mountinfo"), MOUNTINFO_BYTES)
                .map(|text| Self::mounted(&text, Path::new("/proc/1/root"), is_root))
        };
        match own {
            Ok(own) if own.is_whole() => Ok(own),
            Ok(own) => Ok(init().map_or_else(|_| own.clone(), |init| own.clone().or(init))),
            Err(why) => init().map_err(|_| why),
        }
    }

    /// From `/proc/PID/mountinfo` (proc_pid_mountinfo(5)), for a process whose root is `root`.
    fn mounted(mountinfo: &[u8], root: &Path, is_root: impl Fn(&Path) -> bool) -> Self {
        let mut found = Self::default();
        for line in mountinfo.split(|&byte| byte == b'\n') {
            let Some((kind, options, target)) = cgroup_mount(line) else { continue };
            let path = root.join(OsStr::from_bytes(target.strip_prefix(b"/").unwrap_or(&target)));
            if !is_root(&path) {
                continue;
            }
            if kind == b"cgroup2" {
                found.unified.get_or_insert(path);
                continue;
            }
            for option in options.split(|&byte| byte == b',') {
                let place = match option {
                    b"memory" => &mut found.memory,
                    b"cpu" => &mut found.cpu,
                    b"pids" => &mut found.pids,
                    _ => continue,
                };
                place.get_or_insert_with(|| path.clone());
            }
        }
        found
    }

    fn is_whole(&self) -> bool {
        self.unified.is_some() || (self.memory.is_some() && self.cpu.is_some() && self.pids.is_some())
    }

    fn or(self, other: Self) -> Self {
        Self {
            unified: self.unified.or(other.unified),
            memory: self.memory.or(other.memory),
            cpu: self.cpu.or(other.cpu),
            pids: self.pids.or(other.pids),
        }
    }

    fn of<'a>(&'a self, v1: Option<&'a PathBuf>) -> Read<Root<'a>> {
        match (v1, &self.unified) {
            (Some(root), _) => Ok(Root::V1(root)),
            (None, Some(root)) => Ok(Root::V2(root)),
            (None, None) => Err(NotRead::NotThere),
        }
    }
}

/// Type, options of the super block and target of a mount of cgroups.
fn cgroup_mount(line: &[u8]) -> Option<(&[u8], &[u8], Vec<u8>)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let target = fields.nth(4)?;
    let mut after = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = after.next().filter(|kind| [&b"cgroup"[..], b"cgroup2"].contains(kind))?;
    Some((kind, after.nth(1)?, unescaped(target)))
}

/// Space, tab, newline and backslash stand in octal.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')));
        match digits.filter(|_| byte == b'\\') {
            Some(digits) => {
                out.push(
                    digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')),
                );
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

/// The limits of the container `id`, whose own cgroup or one below that is at `cgroup_path` under the root of
/// the hierarchy: the lowest of its own and of those up to its pod's. What is above a pod is the node's.
///
/// # Errors
/// `NotThere` where a controller is not enabled for the container, nor for its pod.
pub fn limits(hierarchies: &Hierarchies, cgroup_path: &[u8], id: &ContainerId) -> Read<Limits> {
    let levels = levels(cgroup_path, id)?;
    let memory = match hierarchies.of(hierarchies.memory.as_ref())? {
        Root::V1(root) => {
            lowest(root, &levels, |cgroup| memory_v1(&number(cgroup, "memory.limit_in_bytes")?))
        }
        Root::V2(root) => lowest(root, &levels, |cgroup| most(&number(cgroup, "memory.max")?)),
    };
    let cpu = match hierarchies.of(hierarchies.cpu.as_ref())? {
        Root::V1(root) => lowest(root, &levels, |cgroup| {
            millis(&number(cgroup, "cpu.cfs_quota_us")?, &number(cgroup, "cpu.cfs_period_us")?)
        }),
        Root::V2(root) => lowest(root, &levels, |cgroup| {
            let text = number(cgroup, "cpu.max")?;
            let (quota, period) = text.split_once(' ').ok_or(NotRead::NotUnderstood)?;
            millis(quota, period)
        }),
    };
    let pids = match hierarchies.of(hierarchies.pids.as_ref())? {
        Root::V1(root) | Root::V2(root) => lowest(root, &levels, |cgroup| most(&number(cgroup, "pids.max")?)),
    };
    Ok(Limits { memory: memory?, cpu_millis: cpu?, pids: pids? })
}

/// The container's own cgroup and those above it up to its pod's. Without a pod, its own alone.
fn levels<'a>(path: &'a [u8], id: &ContainerId) -> Read<Vec<&'a [u8]>> {
    let mut own = cgroup::container_in(path);
    while let Some(found) = own.filter(|found| found.id != *id) {
        own = cgroup::container_in(cgroup::above(found.root));
    }
    let own = own.ok_or(NotRead::NotUnderstood)?.root;
    let mut levels = Vec::new();
    let mut at = own;
    while !at.is_empty() && levels.len() < LEVELS {
        levels.push(at);
        let name = at.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if cgroup::pod_of(name).is_some() {
            return Ok(levels);
        }
        at = cgroup::above(at);
    }
    levels.truncate(1);
    Ok(levels)
}

/// The lowest limit of the levels. A level at which the controller is not enabled has none.
fn lowest(root: &Path, levels: &[&[u8]], read: impl Fn(&Path) -> Read<Option<u64>>) -> Read<Option<u64>> {
    let mut limit = Err(NotRead::NotThere);
    for level in levels {
        let folder = level.strip_prefix(b"/").unwrap_or(level);
        // Above the root of this cgroup namespace: not below the mount.
        if folder.split(|&byte| byte == b'/').any(|name| name == b"..") {
            return Err(NotRead::NotThere);
        }
        let folder = root.join(OsStr::from_bytes(folder));
        if !folder.is_dir() {
            // The runtime put the container elsewhere in this hierarchy.
            return Err(NotRead::NotThere);
        }
        match read(&folder) {
            Ok(own) => limit = Ok(limit.unwrap_or(None).into_iter().chain(own).min()),
            Err(NotRead::NotThere) => {}
            Err(why) => return Err(why),
        }
    }
    limit
}

fn number(cgroup: &Path, file: &str) -> Read<String> {
    let text = String::from_utf8(whole(&cgroup.join(file), LIMIT_BYTES)?);
    text.map(|text| text.trim_end().to_owned()).map_err(|_| NotRead::NotUnderstood)
}

/// A number, or `max`.
fn most(text: &str) -> Read<Option<u64>> {
    match text {
        "max" => Ok(None),
        text => text.parse().map(Some).map_err(|_| NotRead::NotUnderstood),
    }
}

fn memory_v1(text: &str) -> Read<Option<u64>> {
    /// No limit is `PAGE_COUNTER_MAX` (include/linux/page_counter.h), `LONG_MAX / PAGE_SIZE` pages, in bytes:
    /// the less, the larger the pages, which have at most 256 KiB.
    const NONE: u64 = i64::MAX as u64 & !((256 << 10) - 1);
    let limit = most(text)?;
    Ok(limit.filter(|&limit| limit < NONE))
}

/// Microseconds of running in a period of that many microseconds; no limit is `max` (v2) or -1 (v1).
fn millis(quota: &str, period: &str) -> Read<Option<u64>> {
    let quota = match quota {
        "-1" => None,
        quota => most(quota)?,
    };
    let period: u64 = period.parse().map_err(|_| NotRead::NotUnderstood)?;
    let Some(quota) = quota else { return Ok(None) };
    let millis = quota.saturating_mul(1000).checked_div(period).ok_or(NotRead::NotUnderstood)?;
    Ok(Some(millis.max(1)))
}

/// How many files a process may have open at most: the hard limit in `/proc/PID/limits`
/// (proc_pid_limits(5)). `None`: no limit.
///
/// # Errors
/// When it cannot be read.
pub fn open_files(tgid: u32) -> Read<Option<u64>> {
    let text = of_process(Path::new("/proc"), tgid, "limits", PROC_LIMITS_BYTES)?;
    hard_limit(&text.bytes)
}

fn hard_limit(text: &[u8]) -> Read<Option<u64>> {
    let text = str::from_utf8(text).map_err(|_| NotRead::NotUnderstood)?;
    let row = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    match row.and_then(|row| row.split_ascii_whitespace().nth(1)).ok_or(NotRead::NotUnderstood)? {
        "unlimited" => Ok(None),
        hard => hard.parse().map(Some).map_err(|_| NotRead::NotUnderstood),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ID: &str = "3f4b6f0c1d2e5a7988776655443322110ffeeddccbbaa9988776655443322110";
    const POD: &str = "/kubepods/burstable/pod0b6b3b1c-8d1a-4c39-9a50-1d2f3e4a5b6c";
    const SLICE: &str = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0b6b3b1c_8d1a.slice";

    struct Tree {
        folder: tempfile::TempDir,
        hierarchies: Hierarchies,
    }

    impl Tree {
        /// Hierarchies as (options, target): `("", _)` for v2.
        fn new(mounts: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut mountinfo = "22 1 0:20 / /proc rw shared:5 - proc proc rw\n".to_owned();
            for (options, target) in mounts {
                let kind = if options.is_empty() { "cgroup2" } else { "cgroup" };
                mountinfo +=
                    &format!("30 24 0:27 / /{target} rw,nosuid shared:9 - {kind} cgroup rw,{options}\n");
            }
            let hierarchies = Hierarchies::mounted(mountinfo.as_bytes(), folder.path(), |_| true);
            Self { folder, hierarchies }
        }

        fn v2() -> Self {
            Self::new(&[("", "cgroup")])
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn cgroup2(self, path: &str, memory: &str, cpu: &str, pids: &str) -> Self {
            self.file(&format!("cgroup{path}/memory.max"), memory)
                .file(&format!("cgroup{path}/cpu.max"), cpu)
                .file(&format!("cgroup{path}/pids.max"), pids)
        }

        fn limits(&self, path: &str) -> Read<Limits> {
            limits(&self.hierarchies, path.as_bytes(), &ContainerId::parse(ID.as_bytes()).unwrap())
        }
    }

    fn is(memory: u64, cpu_millis: u64, pids: u64) -> Read<Limits> {
        let some = |limit| Some(limit).filter(|limit| *limit != 0);
        Ok(Limits { memory: some(memory), cpu_millis: some(cpu_millis), pids: some(pids) })
    }

    #[test]
    fn v2_gives_the_lowest_of_container_and_pod() {
        for (pod, own) in [
            (POD.to_owned(), format!("{POD}/{ID}")),
            (SLICE.to_owned(), format!("{SLICE}/cri-containerd-{ID}.scope")),
        ] {
            let tree = Tree::v2()
                .cgroup2("/kubepods", "1\n", "1000 100000\n", "1\n")
                .cgroup2(&pod, "4096\n", "50000 100000\n", "max\n")
                .cgroup2(&own, "8192\n", "max 100000\n", "100\n")
                .cgroup2(&format!("{own}/init.scope"), "1\n", "1000 100000\n", "1\n");
            assert_eq!(tree.limits(&own), is(4096, 500, 100), "{own}");
            assert_eq!(tree.limits(&format!("{own}/init.scope")), is(4096, 500, 100), "{own}");
        }
    }

    #[test]
    fn without_a_pod_its_own_limits_alone_count() {
        let tree = Tree::v2().cgroup2("/docker", "1\n", "1000 100000\n", "1\n").cgroup2(
            &format!("/docker/{ID}"),
            "max\n",
            "150000 100000\n",
            "max\n",
        );
        assert_eq!(tree.limits(&format!("/docker/{ID}")), is(0, 1500, 0));
    }

    #[test]
    fn a_container_within_another_is_found_by_its_id() {
        let inner = "c".repeat(64);
        let tree = Tree::v2().cgroup2(&format!("/docker/{ID}"), "4096\n", "max 100000\n", "max\n").cgroup2(
            &format!("/docker/{ID}/docker/{inner}"),
            "1\n",
            "max 100000\n",
            "1\n",
        );
        assert_eq!(tree.limits(&format!("/docker/{ID}/docker/{inner}")), is(4096, 0, 0));
        assert_eq!(tree.limits("/system.slice/x.service"), Err(NotRead::NotUnderstood));
    }

    #[test]
    fn v1_has_each_controller_elsewhere() {
        let own = format!("{POD}/{ID}");
        let tree = Tree::new(&[("memory", "memory"), ("cpu,cpuacct", "cpu\\054cpuacct"), ("pids", "pids")])
            .file(&format!("memory{own}/memory.limit_in_bytes"), "9223372036854771712\n")
            .file(&format!("memory{POD}/memory.limit_in_bytes"), "4096\n")
            .file(&format!("cpu,cpuacct{own}/cpu.cfs_quota_us"), "-1\n")
            .file(&format!("cpu,cpuacct{own}/cpu.cfs_period_us"), "100000\n")
            .file(&format!("pids{own}/pids.max"), "max\n");
        let tree = tree.file(&format!("cpu,cpuacct{POD}/tasks"), "");
        assert_eq!(tree.limits(&own), is(4096, 0, 0));
        let tree = tree
            .file(&format!("memory{POD}/memory.limit_in_bytes"), "9223372036854710272\n")
            .file(&format!("cpu,cpuacct{POD}/cpu.cfs_quota_us"), "25000\n")
            .file(&format!("cpu,cpuacct{POD}/cpu.cfs_period_us"), "100000\n")
            .file(&format!("pids{own}/pids.max"), "7\n");
        assert_eq!(tree.limits(&own), is(0, 250, 7));
    }

    #[test]
    fn a_hybrid_has_some_controllers_in_v2() {
        let own = format!("{POD}/{ID}");
        let tree = Tree::new(&[("", "cgroup/unified"), ("memory", "cgroup/memory")])
            .file(&format!("cgroup/memory{own}/memory.limit_in_bytes"), "4096\n")
            // Not what counts: the controller is in v1.
            .file(&format!("cgroup/unified{own}/memory.max"), "1\n")
            .file(&format!("cgroup/unified{own}/cpu.max"), "max 100000\n")
            .file(&format!("cgroup/unified{own}/pids.max"), "9\n");
        assert_eq!(tree.limits(&own), is(4096, 0, 9));
    }

    #[test]
    fn what_is_not_enabled_is_not_there() {
        let own = format!("{POD}/{ID}");
        let tree = Tree::v2()
            .file(&format!("cgroup{own}/memory.max"), "4096\n")
            .file(&format!("cgroup{own}/pids.max"), "5\n");
        assert_eq!(tree.limits(&own), Err(NotRead::NotThere));
        // Its cgroup is not where it should be.
        let elsewhere = Tree::v2().cgroup2(POD, "max\n", "max 100000\n", "max\n");
        assert_eq!(elsewhere.limits(&own), Err(NotRead::NotThere));
        // It may be at the pod alone.
        let tree = tree.file(&format!("cgroup{POD}/cpu.max"), "100000 100000\n");
        assert_eq!(tree.limits(&own), is(4096, 1000, 5));
        assert_eq!(Tree::new(&[("memory", "m")]).limits(&own), Err(NotRead::NotThere));
        assert_eq!(Tree::v2().limits(&format!("/../{ID}")), Err(NotRead::NotThere));
    }

    #[test]
    fn what_does_not_read_as_it_should_is_not_understood() {
        let own = format!("{POD}/{ID}");
        for (memory, cpu, pids) in [
            ("lots", "max 100000", "max"),
            ("", "max 100000", "max"),
            ("-1", "max 100000", "max"),
            ("max", "max", "max"),
            ("max", "100000 0", "max"),
            ("max", "x 100000", "max"),
            ("max", "max 100000", "99999999999999999999999"),
            ("max", "max 100000", "\u{fffd}"),
        ] {
            let tree = Tree::v2().cgroup2(&own, memory, cpu, pids);
            assert_eq!(tree.limits(&own), Err(NotRead::NotUnderstood), "{memory} {cpu} {pids}");
        }
        let tree = Tree::v2().cgroup2(&own, &"1".repeat(4096), "max 100000", "max");
        assert_eq!(tree.limits(&own), Err(NotRead::TooMuch));
    }

    #[test]
    fn a_part_of_a_hierarchy_is_not_taken_for_it() {
        let line = b"30 24 0:27 /x /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(Hierarchies::mounted(line, Path::new("/"), |_| false), Hierarchies::default());
    }

    #[test]
    fn the_hard_limit_of_open_files() {
        let text = |hard: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             7                    8                    processes \n\
                 Max open files            1024                 {hard:<20} files     \n"
            )
        };
        assert_eq!(hard_limit(text("524288").as_bytes()), Ok(Some(524_288)));
        assert_eq!(hard_limit(text("unlimited").as_bytes()), Ok(None));
        assert_eq!(hard_limit(text("many").as_bytes()), Err(NotRead::NotUnderstood));
        assert_eq!(hard_limit(b""), Err(NotRead::NotUnderstood));
        let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
        let expected = Some(hard).filter(|&hard| hard != nix::sys::resource::RLIM_INFINITY);
        assert_eq!(open_files(std::process::id()), Ok(expected));
        assert_eq!(open_files(u32::MAX), Err(NotRead::Gone));
    }

    #[test]
    fn this_machines_hierarchies_are_found() {
        let Ok(found) = Hierarchies::detect() else { return };
        for root in [&found.unified, &found.memory, &found.cpu, &found.pids].into_iter().flatten() {
            assert!(root.join("cgroup.procs").exists(), "{}", root.display());
        }
    }
}
