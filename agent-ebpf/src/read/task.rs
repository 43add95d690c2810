//! What the kernel holds of a task.

use agent_abi::{
    offset::ABSENT,
    record::{TaskRef, TaskState, UNMAPPED, task_flag},
};

use super::{Memory, pointer, probe, task_cgroup_id};
use crate::global::offset;

/// `PIDTYPE_SID` (include/linux/pid.h).
const PIDTYPE_SID: u32 = 3;
/// `PIDTYPE_TGID` (include/linux/pid.h).
const PIDTYPE_TGID: u32 = 1;
/// `PF_KTHREAD` (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;
/// `struct upid`: number, padding, namespace.
const UPID_BYTES: u64 = 16;
/// Extents that a `uid_gid_map` holds inline (`UID_GID_MAP_MAX_BASE_EXTENTS`).
const INLINE_EXTENTS: u32 = 5;

/// One line of a uid map (include/linux/user_namespace.h, `struct uid_gid_extent`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Extent {
    first: u32,
    lower_first: u32,
    count: u32,
}

/// Whether `task` leads its thread group.
///
/// # Safety
/// `task` is a `task_struct` pointer of the kind that `M` reads.
#[inline(always)]
pub unsafe fn is_leader<M: Memory>(task: u64) -> bool {
    // SAFETY: fields from the offset table.
    unsafe { M::read::<u32>(task, offset!(task_pid)) == M::read::<u32>(task, offset!(task_tgid)) }
}

/// Whether `task` is a kernel thread.
///
/// # Safety
/// As [`is_leader`].
#[inline(always)]
pub unsafe fn is_kernel_thread<M: Memory>(task: u64) -> bool {
    // SAFETY: a field from the offset table.
    unsafe { M::read::<u32>(task, offset!(task_flags)) & PF_KTHREAD != 0 }
}

/// Whether no thread of the group is left: `do_exit` has lowered `signal->live` by then.
///
/// # Safety
/// As [`is_leader`].
#[inline(always)]
pub unsafe fn is_group_dead<M: Memory>(task: u64) -> bool {
    // SAFETY: fields from the offset table.
    unsafe {
        let signal = M::read::<u64>(task, offset!(task_signal));
        M::read::<i32>(signal, offset!(signal_live)) == 0
    }
}

/// Who `task` is.
///
/// # Safety
/// As [`is_leader`]; `out` is writable.
#[inline(always)]
pub unsafe fn task_ref<M: Memory>(task: u64, out: *mut TaskRef) {
    // SAFETY: fields from the offset table.
    unsafe {
        let leader = M::read::<u64>(task, offset!(task_group_leader));
        (*out).leader_start_ns = M::read(leader, offset!(task_start_boottime));
        (*out).tgid = M::read(task, offset!(task_tgid));
        (*out).tid = M::read(task, offset!(task_pid));
    }
}

/// Fills in all of `out`.
///
/// # Safety
/// As [`is_leader`]; `out` is writable.
#[inline(always)]
pub unsafe fn fill<M: Memory>(task: u64, out: *mut TaskState) {
    // SAFETY: fields from the offset table, written to `out`.
    unsafe {
        task_ref::<M>(task, &raw mut (*out).task);
        let parent = M::read::<u64>(task, offset!(task_real_parent));
        task_ref::<M>(parent, &raw mut (*out).parent);
        (*out).exec_id = exec_id::<M>(task);
        (*out).cgroup_id = task_cgroup_id::<M>(task);
        (*out).flags = 0;
        if is_kernel_thread::<M>(task) {
            (*out).flags = task_flag::KERNEL_THREAD;
        }
        (*out).no_new_privs = (M::read::<u64>(task, offset!(task_atomic_flags)) & 1) as u32;
        (*out).seccomp_mode = M::read(task, offset!(task_seccomp_mode));
        (*out).seccomp_filters = if offset!(task_seccomp_filter_count) == ABSENT {
            0
        } else {
            M::read(task, offset!(task_seccomp_filter_count))
        };
        (*out).login_uid =
            if offset!(task_loginuid) == ABSENT { UNMAPPED } else { M::read(task, offset!(task_loginuid)) };
        (*out).comm = probe(task + u64::from(offset!(task_comm)));
        credentials::<M>(task, out);
        namespaces::<M>(task, out);
        session::<M>(task, out);
    }
}

/// Version of the task's image: each exec makes it greater. `self_exec_id` is u64 since 5.7.
///
/// # Safety
/// As [`is_leader`].
#[inline(always)]
pub unsafe fn exec_id<M: Memory>(task: u64) -> u64 {
    // SAFETY: a field from the offset table.
    unsafe { M::read(task, offset!(task_self_exec_id)) }
}

/// A capability set: `u32[2]` before 6.3, `u64` since; either way the low half comes first.
#[inline(always)]
unsafe fn capabilities<M: Memory>(cred: u64, offset: u32) -> u64 {
    // SAFETY: both halves lie in the field.
    unsafe { u64::from(M::read::<u32>(cred, offset)) | u64::from(M::read::<u32>(cred, offset + 4)) << 32 }
}

#[inline(always)]
unsafe fn credentials<M: Memory>(task: u64, out: *mut TaskState) {
    // SAFETY: fields from the offset table, written to `out`.
    unsafe {
        // The objective credentials, which /proc shows; the subjective ones may be overridden for
        // the length of a call.
        let cred = M::read::<u64>(task, offset!(task_real_cred));
        (*out).ids.uid = M::read(cred, offset!(cred_uid));
        (*out).ids.gid = M::read(cred, offset!(cred_gid));
        (*out).ids.suid = M::read(cred, offset!(cred_suid));
        (*out).ids.sgid = M::read(cred, offset!(cred_sgid));
        (*out).ids.euid = M::read(cred, offset!(cred_euid));
        (*out).ids.egid = M::read(cred, offset!(cred_egid));
        (*out).ids.fsuid = M::read(cred, offset!(cred_fsuid));
        (*out).ids.fsgid = M::read(cred, offset!(cred_fsgid));
        (*out).securebits = M::read(cred, offset!(cred_securebits));
        (*out).caps.inheritable = capabilities::<M>(cred, offset!(cred_cap_inheritable));
        (*out).caps.permitted = capabilities::<M>(cred, offset!(cred_cap_permitted));
        (*out).caps.effective = capabilities::<M>(cred, offset!(cred_cap_effective));
        (*out).caps.bounding = capabilities::<M>(cred, offset!(cred_cap_bset));
        (*out).caps.ambient = capabilities::<M>(cred, offset!(cred_cap_ambient));
        let user_ns = M::read::<u64>(cred, offset!(cred_user_ns));
        (*out).ns.user = M::read(user_ns, offset!(user_ns_inum));
        let level = M::read::<u32>(user_ns, offset!(user_ns_level));
        (*out).ns.user_level = level;
        if level == 0 {
            (*out).ids.ns_uid = (*out).ids.uid;
            (*out).ids.ns_euid = (*out).ids.euid;
        } else {
            map_ids(user_ns, out);
        }
    }
}

/// Host ids to those inside the namespace (kernel/user_namespace.c, `map_id_up`).
#[inline(always)]
unsafe fn map_ids(user_ns: u64, out: *mut TaskState) {
    // SAFETY: addresses are checked by the helper; `out` is writable.
    unsafe {
        (*out).ids.ns_uid = UNMAPPED;
        (*out).ids.ns_euid = UNMAPPED;
        let extents = probe::<u32>(user_ns + u64::from(offset!(user_ns_uid_map_nr)));
        if extents > INLINE_EXTENTS {
            (*out).flags |= task_flag::NS_IDS_NOT_READ;
            return;
        }
        let (uid, euid) = ((*out).ids.uid, (*out).ids.euid);
        for index in 0..INLINE_EXTENTS {
            if index >= extents {
                break;
            }
            let address = user_ns + u64::from(offset!(user_ns_uid_map_extent)) + u64::from(index) * 12;
            let extent = probe::<Extent>(address);
            if uid.wrapping_sub(extent.lower_first) < extent.count {
                (*out).ids.ns_uid = uid.wrapping_sub(extent.lower_first).wrapping_add(extent.first);
            }
            if euid.wrapping_sub(extent.lower_first) < extent.count {
                (*out).ids.ns_euid = euid.wrapping_sub(extent.lower_first).wrapping_add(extent.first);
            }
        }
    }
}

#[inline(always)]
unsafe fn namespaces<M: Memory>(task: u64, out: *mut TaskState) {
    // SAFETY: fields from the offset table, written to `out`. An exiting task has no nsproxy; the
    // loads through it give zero.
    unsafe {
        let proxy = M::read::<u64>(task, offset!(task_nsproxy));
        (*out).ns.mnt = M::read(M::read::<u64>(proxy, offset!(nsproxy_mnt)), offset!(mnt_ns_inum));
        (*out).ns.net = M::read(M::read::<u64>(proxy, offset!(nsproxy_net)), offset!(net_ns_inum));
        (*out).ns.uts = M::read(M::read::<u64>(proxy, offset!(nsproxy_uts)), offset!(uts_ns_inum));
        (*out).ns.cgroup = M::read(M::read::<u64>(proxy, offset!(nsproxy_cgroup)), offset!(cgroup_ns_inum));
        (*out).ns.ipc = if offset!(ipc_ns_inum) == ABSENT {
            0
        } else {
            M::read(M::read::<u64>(proxy, offset!(nsproxy_ipc)), offset!(ipc_ns_inum))
        };
        // The deepest of a task's pid numbers is that in its own namespace.
        let pid = pointer(task, offset!(task_thread_pid));
        let deepest = deepest_number(pid);
        (*out).ns_tid = probe(deepest + u64::from(offset!(upid_nr)));
        let pid_ns = pointer(deepest, offset!(upid_ns));
        (*out).ns.pid = probe(pid_ns + u64::from(offset!(pid_ns_inum)));
    }
}

/// Inode number of the pid namespace in which `task` numbers others.
#[inline(always)]
pub fn pid_namespace(task: u64) -> u32 {
    let deepest = deepest_number(pointer(task, offset!(task_thread_pid)));
    probe(pointer(deepest, offset!(upid_ns)) + u64::from(offset!(pid_ns_inum)))
}

/// The process that a pidfd is of, in the host's pid namespace; whatever `file` is, a number.
#[inline(always)]
pub fn process_of_pidfd(file: u64) -> u32 {
    if file == 0 {
        return 0;
    }
    let private = pointer(file, offset!(file_private));
    let pid = if private == 0 {
        pointer(pointer(file, offset!(file_inode)), offset!(inode_private))
    } else {
        private
    };
    probe(pid + u64::from(offset!(pid_numbers)) + u64::from(offset!(upid_nr)))
}

/// Address of the last `upid` of a `pid`.
#[inline(always)]
fn deepest_number(pid: u64) -> u64 {
    let level = probe::<u32>(pid + u64::from(offset!(pid_level)));
    pid + u64::from(offset!(pid_numbers)) + u64::from(level) * UPID_BYTES
}

#[inline(always)]
unsafe fn session<M: Memory>(task: u64, out: *mut TaskState) {
    // SAFETY: fields from the offset table, written to `out`.
    unsafe {
        let signal = M::read::<u64>(task, offset!(task_signal));
        let group = pointer(signal, offset!(signal_pids) + 8 * PIDTYPE_TGID);
        (*out).ns_tgid = probe(deepest_number(group) + u64::from(offset!(upid_nr)));
        let session = pointer(signal, offset!(signal_pids) + 8 * PIDTYPE_SID);
        (*out).session = probe(session + u64::from(offset!(pid_numbers)) + u64::from(offset!(upid_nr)));
        (*out).tty = 0;
        if offset!(signal_tty) != ABSENT && offset!(tty_driver_major) != ABSENT {
            let tty = pointer(signal, offset!(signal_tty));
            if tty != 0 {
                let driver = pointer(tty, offset!(tty_driver));
                let major = probe::<i32>(driver + u64::from(offset!(tty_driver_major))) as u32;
                let minor = probe::<i32>(driver + u64::from(offset!(tty_driver_minor_start))) as u32;
                let minor = minor.wrapping_add(probe::<i32>(tty + u64::from(offset!(tty_index))) as u32);
                // new_encode_dev (include/linux/kdev_t.h)
                (*out).tty = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
            }
        }
    }
}
