//! Files, and what is behind a descriptor.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    interest::beside,
    offset::ABSENT,
    record::{FileRef, PATH_BYTES, Span, file_flag, grade},
};

use super::{
    block::{Block, Of},
    current::Current,
    landmark::has_landmarks,
    path::{append_found, find_path, is_dotted, is_wanted},
    pointer, probe,
};
use crate::{
    global::offset,
    scratch::{Tail, zero},
};

/// `OVERLAYFS_SUPER_MAGIC` (include/uapi/linux/magic.h).
const OVERLAY_MAGIC: u64 = 0x794c_7630;
/// `TMPFS_MAGIC` (include/uapi/linux/magic.h).
const TMPFS_MAGIC: u64 = 0x0102_1994;
/// `PROC_SUPER_MAGIC` (include/uapi/linux/magic.h), like those that follow.
const PROC_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;
const CGROUP_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const BPFFS_MAGIC: u64 = 0xcafe_4a11;
const PIPEFS_MAGIC: u64 = 0x5049_5045;
const SOCKFS_MAGIC: u64 = 0x534f_434b;
const ANON_INODE_MAGIC: u64 = 0x0904_1934;
/// Errors as pointers begin here (include/linux/err.h); `MNT_NS_INTERNAL` is one.
pub(super) const ERROR_POINTERS: u64 = u64::MAX - 4095;

/// What is to be read of a file.
#[derive(Clone, Copy)]
pub enum Depth {
    /// All but its path.
    NoPath,
    /// All; where `below` is not 0, only if its path is below a wanted prefix, has landmarks that are looked
    /// for, or the name at the address `or_dotted` of the caller's has two dots in a row; 0: there is no such
    /// name. A path without its front may be below one. `below` is a number that the verifier does not know,
    /// or it follows the walk twice.
    Path {
        /// 0: wherever it lies. [`beside::LANDMARKS`] is set where landmarks are looked for.
        below: u8,
        /// An address, or 0.
        or_dotted: u64,
    },
}

impl Depth {
    /// All of it, wherever it lies.
    pub const WHOLE: Self = Self::Path { below: 0, or_dotted: 0 };
}

/// Describes `file` and appends its path to `tail`. What grade it has the caller knows. False where
/// nobody wants it, and it was not described.
///
/// # Safety
/// `file` is a `file` pointer or 0, `out` lies in the record that `tail` is of.
#[inline(always)]
pub unsafe fn describe(file: u64, task_mount_ns: u64, out: *mut FileRef, tail: Tail, depth: Depth) -> bool {
    // SAFETY: as the caller's; every address is checked by the helper that reads it.
    unsafe {
        (*out).path = Span { offset: 0, len: 0 };
        (*out).grade = grade::OBJECT;
        if file == 0 {
            zero(out);
            (*out).flags = file_flag::NOT_READ;
            return true;
        }
        let flags = &raw mut (*out).flags;
        write_volatile(flags, 0);
        let file = Block::copy(tail, Of::File, file);
        let vfsmount = file.read::<u64>(offset!(file_path) + offset!(path_mnt));
        if let Depth::Path { below, or_dotted } = depth {
            let dentry = file.read::<u64>(offset!(file_path) + offset!(path_dentry));
            if !find_path(vfsmount, dentry, tail) {
                add(flags, file_flag::PATH_TRUNCATED);
            } else if below != 0
                && !is_wanted(tail.record())
                && (below & beside::LANDMARKS == 0 || !has_landmarks(tail.record()))
                && (or_dotted == 0 || !is_dotted(or_dotted, tail))
            {
                return false;
            }
            if !append_found(PATH_BYTES, &raw mut (*out).path, tail) {
                add(flags, file_flag::PATH_TRUNCATED);
            }
        }
        let address = file.read::<u64>(offset!(file_inode));
        let inode = Block::copy(tail, Of::Inode, address);
        let sb = Block::copy(tail, Of::SuperBlock, inode.read(offset!(inode_sb)));
        let mount_ns = pointer(vfsmount - u64::from(offset!(mount_mnt)), offset!(mount_ns));
        let magic = sb.read::<u64>(offset!(sb_magic));
        (*out).inode = inode.read(offset!(inode_ino));
        (*out).dev = sb.read(offset!(sb_dev));
        (*out).mode = u32::from(inode.read::<u16>(offset!(inode_mode)));
        (*out).uid = inode.read(offset!(inode_uid));
        add(flags, kind_of_file_system(magic));
        if inode.read::<u32>(offset!(inode_nlink)) == 0 {
            add(flags, file_flag::UNLINKED);
        }
        if mount_ns == task_mount_ns && mount_ns != 0 {
            add(flags, file_flag::IN_TASK_MOUNT_NS);
        }
        if magic == TMPFS_MAGIC && mount_ns > ERROR_POINTERS {
            add(flags, file_flag::MEMFD);
        }
        if magic == OVERLAY_MAGIC {
            add(flags, file_flag::OVERLAY);
            if offset!(ovl_inode_upper) != ABSENT && offset!(ovl_inode_vfs) != ABSENT {
                let ovl_inode = address - u64::from(offset!(ovl_inode_vfs));
                if pointer(ovl_inode, offset!(ovl_inode_upper)) != 0 {
                    add(flags, file_flag::UPPER_LAYER);
                }
            }
        }
    }
    true
}

/// Sets a flag in the record. The verifier forgets which: in a register each set of flags would be a
/// state of its own, to follow all the rest for.
#[inline(always)]
unsafe fn add(flags: *mut u32, flag: u32) {
    // SAFETY: as the caller's.
    unsafe { write_volatile(flags, read_volatile(flags) | flag) }
}

#[inline(always)]
fn kind_of_file_system(magic: u64) -> u32 {
    match magic {
        PROC_MAGIC => file_flag::PROC,
        SYSFS_MAGIC => file_flag::SYSFS,
        CGROUP_MAGIC | CGROUP2_MAGIC => file_flag::CGROUPFS,
        BPFFS_MAGIC => file_flag::BPFFS,
        PIPEFS_MAGIC | SOCKFS_MAGIC | ANON_INODE_MAGIC => file_flag::ANONYMOUS,
        _ => 0,
    }
}

/// The `file` behind a descriptor of any task, or 0.
#[inline(always)]
pub fn behind(task: u64, fd: u32) -> u64 {
    let table = pointer(pointer(task, offset!(task_files)), offset!(files_fdt));
    if fd >= probe::<u32>(table + u64::from(offset!(fdtable_max_fds))) {
        return 0;
    }
    probe(pointer(table, offset!(fdtable_fd)) + 8 * u64::from(fd))
}

/// How sure it is that `file` is what the call used: nobody shares the descriptors, or nobody else
/// holds the file.
#[inline(always)]
pub fn descriptor_grade(current: Current, file: u64) -> u32 {
    if current.has_own_descriptors() || is_held_once(file) { grade::FD } else { grade::FD_RACED }
}

/// Whether one descriptor is all that holds `file`.
///
/// `file_ref_t` counts from 0 (include/linux/file_ref.h), the number before it from 1.
#[inline(always)]
pub fn is_held_once(file: u64) -> bool {
    if offset!(file_ref) != ABSENT {
        return probe::<u64>(file + u64::from(offset!(file_ref))) == 0;
    }
    offset!(file_count) != ABSENT && probe::<u64>(file + u64::from(offset!(file_count))) == 1
}
