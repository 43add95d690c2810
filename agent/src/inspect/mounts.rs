//! The mounts of a container, and what of the host they show.
//!
//! Source is `/proc/PID/mountinfo` of one of its processes, held against that of the host's init: a mount
//! shows something of the host when the host has mounted the same file system. No path of the container is
//! followed.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    io::Read as _,
};

use super::{
    Mount, Mounts, NotRead, OpenPath, Read,
    mountinfo::{self, Line},
};

pub(crate) use super::mountinfo::below;

/// Paths on the host that are kept of a mount.
pub const MAX_HOST_PATHS: usize = 16;

/// What runtimes hide from every container, for as long as there were kubelets with CRI; what later ones hide
/// beyond it (powercap, interrupts) is no matter of `procMount`: `DefaultMaskedPaths` of the kubelet
/// (pkg/securitycontext/util.go) and of containerd (pkg/oci/spec.go).
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

/// What runtimes make read-only in every container; `/sys` as a whole is, too.
const READ_ONLY: [&str; 6] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys"];

/// The host's own mounts, as its init has them, and which of the paths that runtimes close it has.
#[derive(Clone, Debug, Default)]
pub struct HostMounts {
    /// The mounts of each device, in the order of the list.
    by_dev: HashMap<u32, Vec<HostMount>>,
    /// Peer groups that its mounts are in or receive from.
    groups: HashSet<u32>,
    masked: Vec<&'static str>,
    read_only: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct HostMount {
    root: Vec<u8>,
    point: Vec<u8>,
}

impl HostMounts {
    /// From `mountinfo` of the host's init; `exists` says whether the kernel has a path of `/proc` or `/sys`.
    ///
    /// # Errors
    /// When it is too much or not understood.
    pub fn parse(text: &[u8], exists: impl Fn(&str) -> bool) -> Read<Self> {
        let mut host = Self::default();
        for line in mountinfo::parse(text)? {
            host.groups.extend([line.shared, line.master].iter().filter(|&&group| group != 0));
            host.by_dev.entry(line.dev).or_default().push(HostMount { root: line.root, point: line.target });
        }
        host.masked = MASKED.into_iter().filter(|path| exists(path)).collect();
        host.read_only = READ_ONLY.into_iter().filter(|path| exists(path)).collect();
        Ok(host)
    }

    /// Of this machine, once for all containers of a pass: its init has pid 1 here, for the agent runs in the
    /// host's pid namespace.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read() -> Read<Self> {
        Self::parse(&text_of(1)?, |path| fs::symlink_metadata(path).is_ok())
    }

    /// Where the host has what a mount shows.
    fn paths_of(&self, line: &Line) -> Vec<Vec<u8>> {
        let Some(mounts) = self.by_dev.get(&line.dev) else { return Vec::new() };
        let mut found: Vec<(usize, Vec<u8>)> = mounts
            .iter()
            .filter_map(|HostMount { root, point }| {
                let rest = below(&line.root, root)?;
                let mut path = point.strip_suffix(b"/").unwrap_or(point).to_vec();
                path.extend_from_slice(rest);
                if path.is_empty() {
                    path.push(b'/');
                }
                Some((root.len(), path))
            })
            .collect();
        // The closest mount first; then the others from the whole of the file system on, which tells most.
        found.sort_by_key(|(len, _)| *len);
        if let Some(closest) = found.iter().map(|(len, _)| *len).max()
            && let Some(place) = found.iter().position(|(len, _)| *len == closest)
        {
            let first = found.remove(place);
            found.insert(0, first);
        }
        let mut paths: Vec<Vec<u8>> = Vec::new();
        for (_, path) in found {
            if paths.len() == MAX_HOST_PATHS {
                break;
            }
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }
}

impl Mount {
    /// Where the host has what is mounted, by its closest mount.
    #[must_use]
    pub fn host_path(&self) -> Option<&[u8]> {
        self.host_paths.first().map(Vec::as_slice)
    }
}

impl Mounts {
    /// The root file system.
    #[must_use]
    pub fn root(&self) -> Option<&Mount> {
        self.all.iter().find(|mount| mount.target == b"/")
    }

    /// The mount that a path leads to, as far as no symbolic link is in it.
    pub(super) fn at(&self, path: &[u8]) -> Option<&Mount> {
        let leads = self.all.iter().filter(|mount| below(path, &mount.target).is_some());
        leads.max_by_key(|mount| mount.target.len())
    }
}

/// The mounts of a process, whose `mountinfo` is `own`.
///
/// # Errors
/// When it is too much or not understood.
pub fn parse(own: &[u8], host: &HostMounts) -> Read<Mounts> {
    let lines = mountinfo::parse(own)?;
    let visible = mountinfo::visible(&lines);
    let mut mounts = Mounts::default();
    for (line, _) in lines.into_iter().zip(visible).filter(|(_, visible)| *visible) {
        let host_paths = host.paths_of(&line);
        if line.target == b"/" {
            mounts.root_dev = line.dev;
        }
        mounts.all.push(Mount {
            propagates: line.shared != 0 && host.groups.contains(&line.shared),
            target: line.target,
            dev: line.dev,
            root: line.root,
            file_system: line.file_system,
            host_paths,
            read_only: line.read_only,
            no_exec: line.no_exec,
            no_dev: line.no_dev,
        });
    }
    mounts.open = open(&mounts, host);
    Ok(mounts)
}

/// The mounts of a process.
///
/// # Errors
/// When they cannot be read.
pub fn read(pid: u32, host: &HostMounts) -> Read<Mounts> {
    parse(&text_of(pid)?, host)
}

fn open(mounts: &Mounts, host: &HostMounts) -> Vec<OpenPath> {
    // A tmpfs, a bind of /dev/null or whatever else covers it is not what the kernel tells there.
    let is_kernels = |mount: &Mount| matches!(mount.file_system.as_str(), "proc" | "sysfs");
    let is_writable = |mount: &Mount| is_kernels(mount) && !mount.read_only;
    let at = |path: &str| mounts.at(path.as_bytes());
    let masked = host.masked.iter().filter(|path| at(path).is_some_and(is_kernels));
    let written = host.read_only.iter().filter(|path| {
        let inside =
            |mount: &Mount| below(&mount.target, path.as_bytes()).is_some_and(|rest| !rest.is_empty());
        at(path).is_some_and(is_writable)
            // Runtimes make nothing in there writable again.
            || mounts.all.iter().any(|mount| inside(mount) && is_writable(mount))
    });
    let masked = masked.map(|&path| OpenPath { path, is_writable: false });
    masked.chain(written.map(|&path| OpenPath { path, is_writable: true })).collect()
}

fn text_of(pid: u32) -> Read<Vec<u8>> {
    let mut text = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/mountinfo")).map_err(|error| not_read(&error))?;
    let limit = u64::try_from(mountinfo::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut text).map_err(|error| not_read(&error))?;
    Ok(text)
}

/// What an error of a file in `/proc/PID` says.
pub(super) fn not_read(error: &io::Error) -> NotRead {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        // EINVAL: it has exited and was not waited for (`mounts_open_common` in fs/proc_namespace.c).
        Some(Errno::NOENT | Errno::SRCH | Errno::INVAL) => NotRead::Gone,
        Some(Errno::ACCESS | Errno::PERM) => NotRead::NotPermitted,
        _ => NotRead::NotUnderstood,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A host, shortened.
    pub(crate) const HOST: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334492k,nr_inodes=3083623,mode=755
25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24684092k
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw
44 23 0:7 / /sys/kernel/security rw,relatime - securityfs none rw
45 27 254:0 /run/netns /run/netns rw,relatime shared:1 - ext4 /dev/vda rw,discard
46 27 0:50 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,mode=755
";
    /// As runc 1.1 makes it of its default bundle, on Linux 6.18.
    pub(crate) const DEFAULT: &str = "\
77 50 0:40 / / ro,relatime - overlay overlay rw,lowerdir=/b/lower,upperdir=/b/upper,workdir=/b/work,uuid=on
78 77 0:43 / /proc rw,relatime - proc proc rw
79 77 0:44 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
80 79 0:45 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666
81 79 0:46 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
82 79 0:42 / /dev/mqueue rw,nosuid,nodev,noexec,relatime - mqueue mqueue rw
83 77 0:47 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
84 77 254:0 /b/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw,discard
85 77 254:0 /b/vol /data rw,relatime - ext4 /dev/vda rw,discard
51 78 0:43 /bus /proc/bus ro,relatime - proc proc rw
52 78 0:43 /fs /proc/fs ro,relatime - proc proc rw
53 78 0:43 /irq /proc/irq ro,relatime - proc proc rw
54 78 0:43 /sys /proc/sys ro,relatime - proc proc rw
55 78 0:48 / /proc/acpi ro,relatime - tmpfs tmpfs ro
56 78 0:44 /null /proc/keys rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
57 78 0:44 /null /proc/timer_list rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
58 83 0:49 / /sys/firmware ro,relatime - tmpfs tmpfs ro
";
    /// The same without masks, with the host's root (`rbind,rslave`) in it.
    pub(crate) const PRIVILEGED: &str = "\
77 50 0:40 / / rw,relatime - overlay overlay rw,lowerdir=/b/lower,upperdir=/b/upper,workdir=/b/work,uuid=on
78 77 0:43 / /proc rw,relatime - proc proc rw
79 77 0:44 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
83 77 0:47 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw
86 77 254:0 / /host rw,relatime - ext4 /dev/vda rw,discard
88 86 0:21 / /host/proc rw,relatime - proc proc rw
89 86 0:22 / /host/sys rw,relatime - sysfs sysfs rw
104 86 0:6 / /host/dev rw,relatime - devtmpfs devtmpfs rw,mode=755
105 104 0:23 / /host/dev/shm rw,relatime - tmpfs tmpfs rw,size=24684092k
109 86 254:0 /run/netns /host/run/netns rw,relatime master:1 - ext4 /dev/vda rw,discard
";
    const ON_HOST: [&str; 8] = [
        "/proc/acpi",
        "/proc/keys",
        "/proc/timer_list",
        "/sys/firmware",
        "/proc/bus",
        "/proc/irq",
        "/proc/sys",
        "/sys",
    ];

    pub(crate) fn host() -> HostMounts {
        HostMounts::parse(HOST.as_bytes(), |path| ON_HOST.contains(&path)).unwrap()
    }

    pub(crate) fn mounts(text: &str) -> Mounts {
        parse(text.as_bytes(), &host()).unwrap()
    }

    fn mount<'a>(mounts: &'a Mounts, target: &str) -> &'a Mount {
        mounts.all.iter().find(|mount| mount.target == target.as_bytes()).unwrap()
    }

    fn host_path(mounts: &Mounts, target: &str) -> Option<String> {
        mount(mounts, target).host_path().map(|path| String::from_utf8(path.to_vec()).unwrap())
    }

    #[test]
    fn a_default_container() {
        let mounts = mounts(DEFAULT);
        assert_eq!(mounts.root_dev, 40);
        assert_eq!(mounts.all.len(), DEFAULT.lines().count());
        assert!(mounts.root().unwrap().read_only);
        assert_eq!(host_path(&mounts, "/data").as_deref(), Some("/b/vol"));
        assert_eq!(host_path(&mounts, "/etc/hosts").as_deref(), Some("/b/hosts"));
        for own in ["/", "/proc", "/proc/sys", "/proc/keys", "/sys", "/dev", "/dev/shm"] {
            assert_eq!(host_path(&mounts, own), None, "{own}");
        }
        let shm = mount(&mounts, "/dev/shm");
        assert!(shm.no_exec && shm.no_dev && !shm.read_only);
        assert!(mount(&mounts, "/sys").read_only);
        assert!(mounts.all.iter().all(|mount| !mount.propagates));
        assert_eq!(mounts.open, []);
    }

    #[test]
    fn a_privileged_container_with_the_hosts_root() {
        let mounts = mounts(PRIVILEGED);
        assert!(!mounts.root().unwrap().read_only);
        for (target, path) in [
            ("/host", "/"),
            ("/host/proc", "/proc"),
            ("/host/dev", "/dev"),
            ("/host/dev/shm", "/dev/shm"),
            ("/host/run/netns", "/run/netns"),
        ] {
            assert_eq!(host_path(&mounts, target).as_deref(), Some(path));
        }
        // A slave receives, and gives nothing back.
        assert!(mounts.all.iter().all(|mount| !mount.propagates));
        let masked = |path| OpenPath { path, is_writable: false };
        let written = |path| OpenPath { path, is_writable: true };
        assert_eq!(
            mounts.open,
            [
                masked("/proc/acpi"),
                masked("/proc/keys"),
                masked("/proc/timer_list"),
                masked("/sys/firmware"),
                written("/proc/bus"),
                written("/proc/irq"),
                written("/proc/sys"),
                written("/sys"),
            ]
        );
    }

    #[test]
    fn files_peers_and_other_ways() {
        let mounts = mounts(
            "1 0 0:99 / / rw - overlay overlay rw\n\
             2 1 0:50 /docker.sock /var/run/docker.sock rw - tmpfs tmpfs rw,mode=755\n\
             3 1 254:0 /run/netns/pod /host rw,relatime shared:1 - ext4 /dev/vda rw\n\
             4 1 254:0 / /own rw,relatime shared:9 - ext4 /dev/vda rw\n\
             5 1 254:0 /old//deleted /old rw - ext4 /dev/vda ro\n",
        );
        assert_eq!(host_path(&mounts, "/var/run/docker.sock").as_deref(), Some("/run/docker.sock"));
        // The closest mount first, and the file system's own path after it.
        assert_eq!(mount(&mounts, "/host").host_paths, [b"/run/netns/pod".to_vec()]);
        assert_eq!(host_path(&mounts, "/own").as_deref(), Some("/"));
        assert_eq!(host_path(&mounts, "/old").as_deref(), Some("/old"));
        assert!(mount(&mounts, "/old").read_only);
        assert!(mount(&mounts, "/host").propagates);
        assert!(!mount(&mounts, "/own").propagates);
        // No /proc, so nothing of it is open.
        assert_eq!(mounts.open, []);
    }

    #[test]
    fn each_way_of_the_host() {
        let host = HostMounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 8:1 /etc /pods/volume rw - ext4 /dev/sda1 rw\n\
              3 1 0:30 /@ /btrfs rw - btrfs /dev/sdb rw\n",
            |_| false,
        )
        .unwrap();
        let mounts = parse(
            b"1 0 8:1 /etc/ssh /a rw - ext4 /dev/sda1 rw\n2 1 0:30 /@/x /b rw - btrfs /dev/sdb rw\n",
            &host,
        );
        let mounts = mounts.unwrap();
        assert_eq!(mount(&mounts, "/a").host_paths, [b"/pods/volume/ssh".to_vec(), b"/etc/ssh".to_vec()]);
        assert_eq!(mount(&mounts, "/b").host_paths, [b"/btrfs/x".to_vec()]);
        assert_eq!(mounts.root_dev, 0);
    }

    #[test]
    fn a_mask_that_is_undone_and_a_hole_in_what_is_read_only() {
        let open = |text: &str| {
            let open = mounts(&format!("{DEFAULT}{text}")).open;
            open.iter().map(|open| (open.path, open.is_writable)).collect::<Vec<_>>()
        };
        assert_eq!(
            open("90 56 0:43 /keys /proc/keys rw - proc proc rw\n"),
            [("/proc/keys", false)],
            "mounted over the mask"
        );
        assert_eq!(
            open("90 54 0:43 /sys/kernel /proc/sys/kernel rw - proc proc rw\n"),
            [("/proc/sys", true)]
        );
        assert_eq!(open("90 77 0:90 / /proc rw - tmpfs tmpfs rw\n"), [], "another one does not lead there");
    }

    #[test]
    fn this_machine() {
        let host = HostMounts::read().unwrap();
        let own = read(std::process::id(), &host).unwrap();
        assert_ne!(own.root_dev, 0);
        assert_eq!(read(u32::MAX >> 1, &host), Err(NotRead::Gone));
    }

    proptest! {
        #[test]
        fn any_bytes(own in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&own, &host());
        }

        #[test]
        fn anything_like_lines(
            lines in prop::collection::vec(
                (0..6_u32, 0..6_u32, "(/[ab]{0,1}){1,4}", "(/[ab]{0,1}){1,4}", "(ro|rw),?(noexec)?", 0..3_u32),
                1..12,
            ),
        ) {
            let text: String = lines
                .iter()
                .map(|(id, parent, root, target, options, shared)| {
                    format!("{id} {parent} 254:0 {root} {target} {options} shared:{shared} - proc x rw\n")
                })
                .collect();
            let mounts = parse(text.as_bytes(), &host()).unwrap();
            prop_assert!(mounts.all.len() <= lines.len());
            prop_assert!(mounts.all.iter().all(|mount| !mount.host_paths.is_empty()));
        }
    }
}
