//! Processes, and what the kernel holds of a task.

use agent_abi::record::{FileRef, TaskState, UNMAPPED, file_flag, task_flag};
use bytes::Bytes;
use kestrel_proto::v1;

use super::redact;
use crate::{
    context::{Origin, ProcessId},
    decode::Strings,
    pipeline::{Texts, lifecycle::ProcessEntry},
};

/// A process, whole. Its arguments are redacted.
pub(super) fn of(texts: &Texts, entry: &ProcessEntry) -> v1::Process {
    let ProcessEntry {
        id: process,
        exec_id,
        parent,
        state: task,
        file: image,
        exe,
        argv,
        argv_truncated,
        cwd,
        container,
        origin,
        exec_ns,
    } = entry;
    let redacted = redact::arguments(Strings(texts.bytes(*argv)).iter(), *argv_truncated);
    v1::Process {
        id: Some(id(*process, *exec_id)),
        parent: parent.map(|parent| id(parent, 0)),
        exe: Bytes::copy_from_slice(texts.bytes(*exe)),
        argv: redacted.arguments,
        argv_truncated: *argv_truncated,
        argv_redacted: redacted.count,
        comm: text(&task.comm),
        cwd: Bytes::copy_from_slice(texts.bytes(*cwd)),
        container_id: container.as_ref().map(|container| container.id.to_string()),
        membership: match (container, origin) {
            (None, _) => v1::Membership::Unspecified,
            (Some(_), Origin::Born) => v1::Membership::Born,
            (Some(_), Origin::Entered) => v1::Membership::Entered,
        }
        .into(),
        state: Some(state(task)),
        file: file(image),
        exec_boottime_ns: (*exec_ns != 0).then_some(*exec_ns),
    }
}

/// The id of a process; `exec_id` 0 is not known, or any is meant.
pub(super) fn id(process: ProcessId, exec_id: u64) -> v1::ProcessId {
    let ProcessId { start_ticks, tgid } = process;
    v1::ProcessId { start_ticks, tgid, exec_id: (exec_id != 0).then_some(exec_id) }
}

/// The state of a task. What was not read is absent.
pub(super) fn state(task: &TaskState) -> v1::TaskState {
    let TaskState { caps, ids, ns, .. } = task;
    let was_read = task.flags & task_flag::NS_IDS_NOT_READ == 0;
    let mapped = |id: u32| (was_read && id != UNMAPPED).then_some(id);
    // Kernels before 5.9 keep no number, and a filter is at least one.
    let has_count = task.seccomp_filters != 0 || task.seccomp_mode != SECCOMP_FILTER;
    v1::TaskState {
        uid: ids.uid,
        gid: ids.gid,
        euid: ids.euid,
        egid: ids.egid,
        suid: ids.suid,
        sgid: ids.sgid,
        fsuid: ids.fsuid,
        fsgid: ids.fsgid,
        ns_uid: mapped(ids.ns_uid),
        ns_euid: mapped(ids.ns_euid),
        cap_inheritable: caps.inheritable,
        cap_permitted: caps.permitted,
        cap_effective: caps.effective,
        cap_bounding: caps.bounding,
        cap_ambient: caps.ambient,
        no_new_privs: task.no_new_privs != 0,
        seccomp_mode: task.seccomp_mode,
        seccomp_filters: has_count.then_some(task.seccomp_filters),
        login_uid: (task.login_uid != UNMAPPED).then_some(task.login_uid),
        session: task.session,
        tty: (task.tty != 0).then_some(task.tty),
        ns_tgid: task.ns_tgid,
        user_ns_level: ns.user_level,
    }
}

/// `seccomp.mode` of a task under filters.
const SECCOMP_FILTER: u32 = 2;

/// A file; `None` where nothing was read of it.
pub(super) fn file(file: &FileRef) -> Option<v1::File> {
    let has = |flag: u32| file.flags & flag != 0;
    if has(file_flag::NOT_READ) || *file == FileRef::default() {
        return None;
    }
    Some(v1::File {
        inode: file.inode,
        dev: file.dev,
        mode: file.mode,
        uid: file.uid,
        // Only an overlay tells which of its files are the image's.
        upper_layer: has(file_flag::OVERLAY).then(|| has(file_flag::UPPER_LAYER)),
        memfd: has(file_flag::MEMFD),
        unlinked: has(file_flag::UNLINKED),
        path_truncated: has(file_flag::PATH_TRUNCATED),
    })
}

/// NUL-padded bytes without their padding.
pub(super) fn text(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes.split(|&byte| byte == 0).next().unwrap_or_default())
}
