//! Processes as `/proc` shows them: for kernels without the task iterator, and as its oracle.
//!
//! Gives the records that the iterator would, so that both go the same way. What `/proc` does not
//! tell stays at its zero: the version of the image (0: not told), the number of seccomp filters,
//! the seccomp bitmap. Everything is read twice around the start time, so that a record is of one
//! process.

use std::{ffi::OsStr, fs, io, os::unix::ffi::OsStrExt, path::Path};

use agent_abi::{
    ABI_VERSION,
    record::{self, Header, Ids, Namespaces, TaskRef, TaskState, UNMAPPED, file_flag, kind, task_flag},
};
use procfs::{
    FromRead,
    process::{Stat, Status},
};
use rustix::{
    fs::{AtFlags, CWD, StatxFlags, statx},
    time::{ClockId, clock_gettime},
};

use super::{ARGV_BYTES, EXE_PATH_BYTES, ProcessId, cgroupfs, process::NANOS_PER_TICK};
use crate::{
    decode::{Event, Exec, ImageSource, Strings},
    kernel::Mounted,
};

/// A process as a scan's record.
#[derive(Clone, Debug)]
pub struct Scanned {
    record: record::Exec,
    /// Path of the executable.
    exe: Vec<u8>,
    argv: Vec<u8>,
}

impl Scanned {
    /// For [`super::Context::apply`].
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        Event::Exec(Exec {
            record: &self.record,
            source: ImageSource::Scan,
            exe: &self.exe,
            argv: Strings(&self.argv),
            filename: &[],
            cwd: &[],
            seccomp_allow: None,
        })
    }

    /// The task's state.
    #[must_use]
    pub const fn state(&self) -> &TaskState {
        &self.record.state
    }

    /// Arguments, for [`super::Context::described`].
    #[must_use]
    pub fn argv(&self) -> &[u8] {
        &self.argv
    }
}

/// Gives every process that is there; those that come and go meanwhile may be missed.
///
/// # Errors
/// When `/proc` itself cannot be read.
pub fn scan(mounted: &Mounted, mut each: impl FnMut(Scanned)) -> io::Result<()> {
    let first_user_ns = namespace(1, "user");
    for entry in fs::read_dir("/proc")?.flatten() {
        let tgid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(scanned) = tgid.and_then(|tgid| one(mounted, tgid, first_user_ns)) {
            each(scanned);
        }
    }
    Ok(())
}

/// What the kernel's own scan cannot tell of a process: path and arguments. `None`: it is no more.
#[must_use]
pub fn describe(id: ProcessId) -> Option<(Vec<u8>, Vec<u8>)> {
    let path = link(id.tgid)?;
    let argv = argv(id.tgid);
    (stat(id.tgid)?.starttime == id.start_ticks && path.len() <= EXE_PATH_BYTES).then_some((path, argv))
}

/// Whether the process is there, and not another of its number.
#[must_use]
pub fn is_there(id: ProcessId) -> bool {
    stat(id.tgid).is_some_and(|stat| stat.starttime == id.start_ticks)
}

fn one(mounted: &Mounted, tgid: u32, first_user_ns: u32) -> Option<Scanned> {
    /// `PF_KTHREAD` (include/linux/sched.h).
    const KERNEL_THREAD: u32 = 0x0020_0000;
    // Before anything is read: what an event tells meanwhile is newer.
    let now = clock_gettime(ClockId::Boottime);
    let boottime_ns = u64::try_from(now.tv_sec).ok()? * 1_000_000_000 + u64::try_from(now.tv_nsec).ok()?;
    let before = stat(tgid)?;
    let status = Status::from_read(fs::File::open(format!("/proc/{tgid}/status")).ok()?).ok()?;
    let kernel_thread = before.flags & KERNEL_THREAD != 0;
    let parent = u32::try_from(before.ppid).ok()?;
    let parent_start = stat(parent).map_or(0, |parent| parent.starttime * NANOS_PER_TICK);
    let user = namespace(tgid, "user");
    let maps = fs::read_to_string(format!("/proc/{tgid}/uid_map")).unwrap_or_default();
    let cgroup = cgroupfs::of_process(mounted, tgid).and_then(|path| cgroupfs::inode(mounted, &path));
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().take(15).zip(before.comm.bytes()) {
        *to = from;
    }
    let inner = |ids: Option<&Vec<i32>>| {
        ids.and_then(|ids| ids.last()).and_then(|&id| u32::try_from(id).ok()).unwrap_or(0)
    };
    let state = TaskState {
        task: TaskRef { leader_start_ns: before.starttime * NANOS_PER_TICK, tgid, tid: tgid },
        parent: TaskRef { leader_start_ns: parent_start, tgid: parent, tid: parent },
        exec_id: 0,
        cgroup_id: cgroup.unwrap_or(0),
        caps: record::Capabilities {
            inheritable: status.capinh,
            permitted: status.capprm,
            effective: status.capeff,
            bounding: status.capbnd.unwrap_or(0),
            ambient: status.capamb.unwrap_or(0),
        },
        ids: Ids {
            uid: status.ruid,
            gid: status.rgid,
            suid: status.suid,
            sgid: status.sgid,
            euid: status.euid,
            egid: status.egid,
            fsuid: status.fuid,
            fsgid: status.fgid,
            ns_uid: inside(&maps, status.ruid),
            ns_euid: inside(&maps, status.euid),
        },
        // How deep its user namespace is, /proc does not tell; that it is not the first one, it does.
        ns: Namespaces { user_level: u32::from(user != first_user_ns), ..namespaces(tgid) },
        ns_tgid: inner(status.nstgid.as_ref()),
        ns_tid: inner(status.nspid.as_ref()),
        session: u32::try_from(before.session).unwrap_or(0),
        tty: u32::from_ne_bytes(before.tty_nr.to_ne_bytes()),
        securebits: 0,
        no_new_privs: u32::from(status.nonewprivs == Some(1)),
        seccomp_mode: status.seccomp.unwrap_or(0),
        seccomp_filters: 0,
        flags: if kernel_thread { task_flag::KERNEL_THREAD } else { 0 },
        login_uid: fs::read_to_string(format!("/proc/{tgid}/loginuid"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(UNMAPPED),
        comm,
    };
    let path = link(tgid).unwrap_or_default();
    let exe = executable(tgid, &path);
    let argv = argv(tgid);
    if stat(tgid)?.starttime != before.starttime {
        return None;
    }
    let header = Header { abi: ABI_VERSION, kind: kind::SCAN, boottime_ns, ..Header::default() };
    let record = record::Exec { header, state, exe, ..record::Exec::default() };
    Some(Scanned { record, exe: path.strip_suffix(DELETED).unwrap_or(&path).to_vec(), argv })
}

fn stat(tgid: u32) -> Option<Stat> {
    Stat::from_read(fs::File::open(format!("/proc/{tgid}/stat")).ok()?).ok()
}

/// Inode numbers of the namespaces of a process; 0: not read. `user_level` is 0.
#[must_use]
pub(crate) fn namespaces(tgid: u32) -> Namespaces {
    Namespaces {
        mnt: namespace(tgid, "mnt"),
        pid: namespace(tgid, "pid"),
        net: namespace(tgid, "net"),
        ipc: namespace(tgid, "ipc"),
        uts: namespace(tgid, "uts"),
        cgroup: namespace(tgid, "cgroup"),
        user: namespace(tgid, "user"),
        user_level: 0,
    }
}

/// Inode number of a namespace, from its link `mnt:[4026531841]`; 0: not read.
pub(crate) fn namespace(tgid: u32, kind: &str) -> u32 {
    let link = fs::read_link(format!("/proc/{tgid}/ns/{kind}")).unwrap_or_default();
    let number = link.to_str().and_then(|text| text.split_once(":[")?.1.strip_suffix(']'));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// `uid` inside the user namespace that has this `uid_map`.
fn inside(map: &str, uid: u32) -> u32 {
    let extent = |line: &str| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u32>().ok());
        let (inner, outer, count) = (fields.next()??, fields.next()??, fields.next()??);
        let offset = uid.checked_sub(outer).filter(|&offset| offset < count)?;
        inner.checked_add(offset)
    };
    map.lines().find_map(extent).unwrap_or(UNMAPPED)
}

const DELETED: &[u8] = b" (deleted)";

/// Path of the executable in its own mount namespace. Kernel threads have none.
fn link(tgid: u32) -> Option<Vec<u8>> {
    Some(fs::read_link(format!("/proc/{tgid}/exe")).ok()?.as_os_str().as_bytes().to_vec())
}

fn argv(tgid: u32) -> Vec<u8> {
    use io::Read;
    let mut argv = Vec::new();
    let limit = u64::try_from(ARGV_BYTES).unwrap_or(u64::MAX);
    if let Ok(file) = fs::File::open(format!("/proc/{tgid}/cmdline")) {
        // A process that is gone meanwhile has no arguments.
        let _ = file.take(limit).read_to_end(&mut argv);
    }
    argv
}

fn executable(tgid: u32, path: &[u8]) -> record::FileRef {
    let mut file = record::FileRef { flags: file_flag::NOT_READ, ..record::FileRef::default() };
    // Without DONT_SYNC, a file system that the workload serves could hold the scan up.
    let link = format!("/proc/{tgid}/exe");
    let Ok(stat) = statx(CWD, &link, AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS) else {
        return file;
    };
    file.inode = stat.stx_ino;
    file.dev = stat.stx_dev_major << 20 | stat.stx_dev_minor & 0xf_ffff;
    file.mode = u32::from(stat.stx_mode);
    file.uid = stat.stx_uid;
    file.flags = 0;
    if path.starts_with(b"/memfd:") {
        file.flags |= file_flag::MEMFD | file_flag::UNLINKED;
        return file;
    }
    if stat.stx_nlink == 0 {
        file.flags |= file_flag::UNLINKED;
    }
    let mounts = fs::read(format!("/proc/{tgid}/mountinfo")).unwrap_or_default();
    let dev = (stat.stx_dev_major, stat.stx_dev_minor);
    match mount_of(&mounts, path) {
        Some(mount) if mount.overlay && (mount.dev == dev || dev.0 == 0) => {
            file.flags |= file_flag::IN_TASK_MOUNT_NS | file_flag::OVERLAY;
            // Of an overlay each layer may show a device of its own.
            file.dev = mount.dev.0 << 20 | mount.dev.1 & 0xf_ffff;
        }
        // Subvolumes show another device than their mount.
        Some(mount) if mount.dev == dev || (mount.dev.0 == 0 && dev.0 == 0) => {
            file.flags |= file_flag::IN_TASK_MOUNT_NS;
        }
        _ => {}
    }
    file
}

/// The mount that a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mount {
    dev: (u32, u32),
    overlay: bool,
}

/// By the longest mount point; of two alike, the later one covers the earlier. No path is opened,
/// since that would follow what the workload put there.
fn mount_of(mountinfo: &[u8], path: &[u8]) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in mountinfo.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b' ');
        let (Some(dev), Some(point)) = (fields.nth(2), fields.nth(1)) else { continue };
        let kind = fields.skip_while(|field| *field != b"-").nth(1).unwrap_or_default();
        let dev = str::from_utf8(dev).ok().and_then(|dev| dev.split_once(':'));
        let dev = dev.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (Some(dev), true) =
            (dev, Path::new(OsStr::from_bytes(path)).starts_with(OsStr::from_bytes(point)))
        else {
            continue;
        };
        if best.is_none_or(|(len, _)| point.len() >= len) {
            best = Some((point.len(), Mount { dev, overlay: kind == b"overlay" }));
        }
    }
    best.map(|(_, mount)| mount)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::context::{Context, Host, Limits};

    #[test]
    fn this_process_is_found_as_it_is() {
        let Ok(mounted) = Mounted::detect() else { return };
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        let mut scans = Vec::new();
        scan(&mounted, |scanned| scans.push(scanned)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let of = |pid: u32| scans.iter().find(|scanned| scanned.state().task.tgid == pid).unwrap();
        let (own, child) = (of(std::process::id()), of(child.id()));
        assert_eq!(child.argv(), b"sleep\x0060\0");
        assert_eq!(child.state().parent, own.state().task);
        assert_eq!(child.state().ns.mnt, own.state().ns.mnt);
        assert_ne!(own.state().ns.mnt, 0);
        assert_eq!(own.state().ids.uid, own_uid());
        assert_ne!(child.record.exe.inode, 0);
        assert_ne!(child.record.exe.flags & file_flag::IN_TASK_MOUNT_NS, 0, "{:?}", child.record.exe);

        let host = Host {
            mnt_ns: own.state().ns.mnt,
            pid_ns: own.state().ns.pid,
            hierarchy: mounted.hierarchy.id(),
        };
        let mut context = Context::new(Limits::default(), host);
        for scanned in &scans {
            context.apply(&scanned.event(), &mut |_| {});
        }
        context.scan_finished(&mut |_| {});
        let process = context.process(&own.state().task).unwrap();
        assert_eq!(process.exe_path, std::env::current_exe().unwrap().as_os_str().as_bytes());
        let (path, argv) = describe(process.id).unwrap();
        assert_eq!(path, process.exe_path);
        assert_eq!(argv, own.argv());
        let other = ProcessId { start_ticks: process.id.start_ticks + 1, ..process.id };
        assert_eq!(describe(other), None);
    }

    fn own_uid() -> u32 {
        fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).unwrap()
    }

    #[test]
    fn ids_inside_user_namespaces() {
        let map = "         0     100000      65536\n      70000    1000    1\n";
        assert_eq!(inside(map, 100_000), 0);
        assert_eq!(inside(map, 100_999), 999);
        assert_eq!(inside(map, 1000), 70_000);
        assert_eq!(inside(map, 7), UNMAPPED);
        assert_eq!(inside("0 0 4294967295\n", 7), 7);
        assert_eq!(inside("nonsense", 7), UNMAPPED);
    }

    #[test]
    fn a_runtimes_file_is_not_the_containers() {
        let info =
            b"1 0 0:50 / / rw - overlay overlay rw\n2 1 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n";
        assert_eq!(mount_of(info, b"/usr/bin/runc"), Some(Mount { dev: (0, 50), overlay: true }));
        assert_eq!(mount_of(info, b"/etc/hosts"), Some(Mount { dev: (8, 1), overlay: false }));
        assert_eq!(mount_of(b"garbage\n\n- - -", b"/x"), None);
    }
}
