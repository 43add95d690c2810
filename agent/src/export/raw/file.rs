//! Calls on files: by descriptor, and by path.

use agent_abi::record::{file_flag, grade, path_flag};
use kestrel_proto::v1;

use super::{
    Who,
    call::{self, copy, graded},
};
use crate::{
    decode::{FileCall, NamedPath, PathCall},
    export::process,
};

/// `O_ACCMODE` and its values, and `O_PATH` (include/uapi/asm-generic/fcntl.h). 3 is neither: such a
/// descriptor is for ioctl alone.
const ACCESS_MODE: u32 = 0o3;
const WRITE_ONLY: u32 = 0o1;
const READ_WRITE: u32 = 0o2;
const PATH_ONLY: u32 = 0o10_000_000;
/// `__FMODE_EXEC` (include/linux/fs.h): the kernel opens a file to run it.
const EXECUTE: u32 = 0o40;

/// A call that opened a file, or worked on an open one.
pub(super) fn of_file(file: &FileCall<'_>, who: Who<'_>) -> v1::FileEvent {
    let record = file.record;
    let flags = record.file.flags;
    let has = |flag: u32| flags & flag != 0;
    let is_there = !has(file_flag::NOT_READ) && record.file.grade != grade::NONE;
    let name = call::name(&record.call);
    v1::FileEvent {
        actor: Some(who.actor(&record.call.task, record.call.cgroup_id)),
        call: Some(call::of(&record.call)),
        path: copy(file.path),
        grade: graded(record.file.grade).into(),
        path_incomplete: has(file_flag::PATH_TRUNCATED),
        file: is_there.then(|| process::file(&record.file)).flatten(),
        file_system: if has(file_flag::PROC) {
            v1::FileSystem::Proc
        } else if has(file_flag::SYSFS) {
            v1::FileSystem::Sysfs
        } else if has(file_flag::CGROUPFS) {
            v1::FileSystem::Cgroup
        } else if has(file_flag::BPFFS) {
            v1::FileSystem::Bpf
        } else {
            v1::FileSystem::Unspecified
        }
        .into(),
        anonymous: has(file_flag::ANONYMOUS),
        other_mount_namespace: is_there
            && flags & (file_flag::IN_TASK_MOUNT_NS | file_flag::ANONYMOUS | file_flag::MEMFD) == 0,
        open: is_there.then(|| intent(record.open_flags)),
        fd: (record.fd >= 0).then_some(record.fd),
        text: call::text(name, file.text),
    }
}

fn intent(flags: u32) -> v1::OpenIntent {
    let opens = flags & PATH_ONLY == 0;
    let access = flags & ACCESS_MODE;
    v1::OpenIntent {
        read: opens && matches!(access, 0 | READ_WRITE),
        write: opens && matches!(access, WRITE_ONLY | READ_WRITE),
        execute: flags & EXECUTE != 0,
        flags,
    }
}

/// A call that named files by their paths. `path` is room that is used again.
pub(super) fn of_path(paths: &PathCall<'_>, who: Who<'_>, path: &mut Vec<u8>) -> v1::PathEvent {
    let record = paths.record;
    let has_second = paths.to.record.grade != grade::NONE;
    v1::PathEvent {
        actor: Some(who.actor(&record.call.task, record.call.cgroup_id)),
        call: Some(call::of(&record.call)),
        from: Some(named(&paths.from, path)),
        to: has_second.then(|| named(&paths.to, path)),
        text: call::text(call::name(&record.call), paths.text),
    }
}

fn named(named: &NamedPath<'_>, path: &mut Vec<u8>) -> v1::NamedPath {
    let has = |flag: u32| named.record.flags & flag != 0;
    named.write_to(path);
    v1::NamedPath {
        path: copy(path),
        name: if named.name == path { bytes::Bytes::new() } else { copy(named.name) },
        grade: graded(named.record.grade).into(),
        incomplete: has(path_flag::BASE_TRUNCATED) || has(path_flag::BASE_NOT_READ),
        name_incomplete: has(path_flag::NAME_TRUNCATED) || has(path_flag::NAME_NOT_READ),
    }
}
