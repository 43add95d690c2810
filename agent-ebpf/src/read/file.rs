//! Files and their paths.

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
pub unsafe fn describe(file: u64, task_mount_ns: u64, out: *mut FileRef, record: *mut u8, at: &mut usize, path: bool) {
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
        if path {
            let mut walked = Walk { at: *at, whole: false };
            walk(vfsmount, dentry, record, &mut walked);
            (*out).path = walked.span(*at);
            if !walked.whole {
                flags |= file_flag::PATH_TRUNCATED;
            }
            *at = walked.at;
        }
        (*out).flags = flags;
    }
}

/// Where a walk writes, and how it ended.
pub struct Walk {
    /// Next free byte of the record.
    pub at: usize,
    /// The root was reached.
    pub whole: bool,
}

impl Walk {
    /// What was written since `start`.
    #[inline(always)]
    pub fn span(&self, start: usize) -> Span {
        Span { offset: start as u16, len: (self.at - start) as u16 }
    }
}

/// Appends the components from `dentry` up to the root of its mount namespace, leaf first. The
/// root itself has no component: its path is one empty string.
///
/// # Safety
/// `record` is a large scratch buffer. The addresses may be anything.
#[inline(never)]
pub unsafe fn walk(vfsmount: u64, dentry: u64, record: *mut u8, walk: &mut Walk) -> u64 {
    let start = walk.at & START_MASK;
    let mut at = start;
    let mut vfsmount = vfsmount;
    let mut dentry = dentry;
    let mut whole = false;
    for _ in 0..COMPONENTS {
        let parent = pointer(dentry, offset!(dentry_parent));
        let mut name = dentry;
        if dentry == pointer(vfsmount, offset!(vfsmount_root)) || dentry == parent {
            let mount = vfsmount - u64::from(offset!(mount_mnt));
            let up = pointer(mount, offset!(mount_parent));
            if up != mount {
                dentry = pointer(mount, offset!(mount_mountpoint));
                vfsmount = up + u64::from(offset!(mount_mnt));
                continue;
            }
            whole = true;
            if at != start {
                break;
            }
            // A file without a path (memfd): its name is all there is.
            name = dentry;
        }
        if at - start > PATH_BYTES - COMPONENT_BYTES - 1 {
            break;
        }
        let text = pointer(name, offset!(dentry_name));
        let position = at & START_MASK;
        // SAFETY: the masked position leaves room for a component; the helper checks the address.
        let len = unsafe {
            bpf_probe_read_kernel_str(record.add(position).cast(), (COMPONENT_BYTES + 1) as u32, text as *const _)
        };
        if len <= 0 {
            break;
        }
        at = position + len as usize;
        if whole {
            break;
        }
        dentry = parent;
    }
    walk.at = at;
    walk.whole = whole;
    0
}
