//! Files and their paths.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    offset::ABSENT,
    record::{COMPONENT_BYTES, COMPONENTS, FileRef, PATH_BYTES, Span, file_flag},
};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;

use super::{pointer, probe};
use crate::{global::offset, scratch::START_MASK};

/// `OVERLAYFS_SUPER_MAGIC` (include/uapi/linux/magic.h).
const OVERLAY_MAGIC: u64 = 0x794c_7630;
/// `TMPFS_MAGIC` (include/uapi/linux/magic.h).
const TMPFS_MAGIC: u64 = 0x0102_1994;
/// Errors as pointers begin here (include/linux/err.h); `MNT_NS_INTERNAL` is one.
const ERROR_POINTERS: u64 = u64::MAX - 4095;

/// Describes `file` and appends its path's components to `record` at `at`.
///
/// # Safety
/// `file` is a `file` pointer or 0, `out` lies in `record`, which is a large scratch buffer.
#[inline(always)]
pub unsafe fn describe(
    file: u64,
    task_mount_ns: u64,
    out: *mut FileRef,
    record: *mut u8,
    at: &mut usize,
    path: bool,
) {
    // SAFETY: as the caller's; every address is checked by the helper that reads it.
    unsafe {
        (*out).path = Span { offset: 0, len: 0 };
        (*out).reserved = 0;
        if file == 0 {
            (*out).inode = 0;
            (*out).dev = 0;
            (*out).mode = 0;
            (*out).uid = 0;
            (*out).flags = file_flag::NOT_READ;
            return;
        }
        let inode = pointer(file, offset!(file_inode));
        let sb = pointer(inode, offset!(inode_sb));
        let vfsmount = pointer(file, offset!(file_path) + offset!(path_mnt));
        let dentry = pointer(file, offset!(file_path) + offset!(path_dentry));
        let mount_ns = pointer(vfsmount - u64::from(offset!(mount_mnt)), offset!(mount_ns));
        let magic = pointer(sb, offset!(sb_magic));
        (*out).inode = probe(inode + u64::from(offset!(inode_ino)));
        (*out).dev = probe(sb + u64::from(offset!(sb_dev)));
        (*out).mode = u32::from(probe::<u16>(inode + u64::from(offset!(inode_mode))));
        (*out).uid = probe(inode + u64::from(offset!(inode_uid)));
        let mut flags = 0;
        if probe::<u32>(inode + u64::from(offset!(inode_nlink))) == 0 {
            flags |= file_flag::UNLINKED;
        }
        if mount_ns == task_mount_ns && mount_ns != 0 {
            flags |= file_flag::IN_TASK_MOUNT_NS;
        }
        if magic == TMPFS_MAGIC && mount_ns > ERROR_POINTERS {
            flags |= file_flag::MEMFD;
        }
        if magic == OVERLAY_MAGIC {
            flags |= file_flag::OVERLAY;
            if offset!(ovl_inode_upper) != ABSENT && offset!(ovl_inode_vfs) != ABSENT {
                let ovl_inode = inode - u64::from(offset!(ovl_inode_vfs));
                if pointer(ovl_inode, offset!(ovl_inode_upper)) != 0 {
                    flags |= file_flag::UPPER_LAYER;
                }
            }
        }
        if path && !append_path(vfsmount, dentry, &raw mut (*out).path, record, at) {
            flags |= file_flag::PATH_TRUNCATED;
        }
        (*out).flags = flags;
    }
}

/// Appends the components of a path to `record` at `at`; false where the walk stopped early.
///
/// # Safety
/// `span` lies in `record`, which is a large scratch buffer. The addresses may be anything.
#[inline(always)]
pub unsafe fn append_path(
    vfsmount: u64,
    dentry: u64,
    span: *mut Span,
    record: *mut u8,
    at: &mut usize,
) -> bool {
    // SAFETY: as the caller's.
    unsafe {
        (*span).offset = (*at & START_MASK) as u16;
        (*span).len = 0;
        let whole = walk(vfsmount, dentry, record, span) != 0;
        *at = usize::from(read_volatile(&raw const (*span).offset))
            + usize::from(read_volatile(&raw const (*span).len));
        whole
    }
}

/// Walks from `dentry` up to the root of its mount namespace and writes the components, leaf
/// first. The root itself has no component; its path alone is `/`. 1 where the root was reached.
///
/// How far it came is kept in `span`, in map memory, of which the verifier assumes nothing: so the
/// states of all rounds are alike and it need not follow each (in registers: over a million
/// instructions).
#[inline(never)]
unsafe fn walk(vfsmount: u64, dentry: u64, record: *mut u8, span: *mut Span) -> u64 {
    let mut vfsmount = vfsmount;
    let mut dentry = dentry;
    for _ in 0..COMPONENTS {
        let parent = pointer(dentry, offset!(dentry_parent));
        let mut at_root = false;
        if dentry == pointer(vfsmount, offset!(vfsmount_root)) || dentry == parent {
            let mount = vfsmount - u64::from(offset!(mount_mnt));
            let up = pointer(mount, offset!(mount_parent));
            if up != mount {
                dentry = pointer(mount, offset!(mount_mountpoint));
                vfsmount = up + u64::from(offset!(mount_mnt));
                continue;
            }
            at_root = true;
        }
        // SAFETY: a span in the record; the masked position leaves room for a component; the
        // helper checks the address.
        unsafe {
            let len = read_volatile(&raw const (*span).len);
            if at_root && len != 0 {
                return 1;
            }
            if usize::from(len) > PATH_BYTES - COMPONENT_BYTES - 1 {
                return 0;
            }
            let position =
                (usize::from(read_volatile(&raw const (*span).offset)) + usize::from(len)) & START_MASK;
            // Without a path (memfd), the name of the root is all there is.
            let text = pointer(dentry, offset!(dentry_name));
            let bytes = bpf_probe_read_kernel_str(
                record.add(position).cast(),
                (COMPONENT_BYTES + 1) as u32,
                text as *const _,
            );
            if bytes <= 0 {
                return 0;
            }
            write_volatile(&raw mut (*span).len, len + bytes as u16);
        }
        if at_root {
            return 1;
        }
        dentry = parent;
    }
    0
}
