//! Files, and the paths that calls name them by.

use super::{Header, Span, Syscall};
use crate::wire::wire;

/// [`FileRef::flags`].
pub mod file_flag {
    /// Lives in no file system that can be reached by a path: memfd.
    pub const MEMFD: u32 = 1;
    /// In the writable layer of an overlay: not part of the image.
    pub const UPPER_LAYER: u32 = 1 << 1;
    /// In an overlay, upper or lower.
    pub const OVERLAY: u32 = 1 << 2;
    /// No directory entry is left.
    pub const UNLINKED: u32 = 1 << 3;
    /// Its mount belongs to the mount namespace of the task that used it.
    pub const IN_TASK_MOUNT_NS: u32 = 1 << 4;
    /// The walk stopped before the root: the front of the path is missing.
    pub const PATH_TRUNCATED: u32 = 1 << 5;
    /// The file could not be read from the kernel at all.
    pub const NOT_READ: u32 = 1 << 6;
    /// In procfs.
    pub const PROC: u32 = 1 << 7;
    /// In sysfs.
    pub const SYSFS: u32 = 1 << 8;
    /// In a cgroup file system.
    pub const CGROUPFS: u32 = 1 << 9;
    /// In BPF's file system.
    pub const BPFFS: u32 = 1 << 10;
    /// A socket, a pipe or another object without a place in a file system.
    pub const ANONYMOUS: u32 = 1 << 11;
}

/// [`PathRef::flags`].
pub mod path_flag {
    /// The walk of `base` stopped before the root: the front of the path is missing.
    pub const BASE_TRUNCATED: u32 = 1;
    /// `base` could not be read.
    pub const BASE_NOT_READ: u32 = 1 << 1;
    /// `name` was longer than what fits.
    pub const NAME_TRUNCATED: u32 = 1 << 2;
    /// `name` could not be read, or the caller gave none.
    pub const NAME_NOT_READ: u32 = 1 << 3;
    /// The caller's root could not be read, or is too long: where `..` ends is not known.
    pub const ROOT_NOT_READ: u32 = 1 << 4;
    /// `base` is not in the caller's mount namespace, but in another's or in a mount that is attached
    /// nowhere: it begins at the root of that.
    pub const OTHER_MOUNT_NS: u32 = 1 << 5;
}

wire! {
    /// A file as the operation found it.
    pub struct FileRef [32] {
        /// Inode number.
        pub inode: u64,
        /// `s_dev` of its super block in the kernel's encoding (major << 20 | minor).
        pub dev: u32,
        /// `i_mode`: type and permission bits, set-uid and set-gid among them.
        pub mode: u32,
        /// Owner as the host sees it.
        pub uid: u32,
        /// Of [`file_flag`].
        pub flags: u32,
        /// The path, from the root of the mount namespace that the file's mount is in.
        pub path: Span,
        /// Of [`super::grade`].
        pub grade: u32,
    }

    /// A call that opened a file, or worked on an open one.
    pub struct FileCall [32 + 88 + 32 + 16] {
        /// Kind [`super::kind::FILE`].
        pub header: Header,
        /// The call.
        pub call: Syscall,
        /// The file.
        pub file: FileRef,
        /// Bytes of the caller's, such as `struct open_how` or the name of an attribute.
        pub text: Span,
        /// `f_flags` of the open file.
        pub open_flags: u32,
        /// Its descriptor, or -1.
        pub fd: i32,
        /// Keeps the size a multiple of 8.
        pub reserved: u32,
    }

    /// A path as a call names it.
    pub struct PathRef [16] {
        /// What `name` starts at: the root of the caller for an absolute name, else the directory that
        /// was named or the working directory. An absolute path itself.
        pub base: Span,
        /// The name as the caller gave it.
        pub name: Span,
        /// Of [`super::grade`]: that of `name`.
        pub grade: u32,
        /// Of [`path_flag`].
        pub flags: u32,
    }

    /// A call that names one file or two by their paths.
    pub struct PathCall [32 + 88 + 32 + 8] {
        /// Kind [`super::kind::PATH`].
        pub header: Header,
        /// The call.
        pub call: Syscall,
        /// First path.
        pub from: PathRef,
        /// Second path.
        pub to: PathRef,
        /// Bytes of the caller's, such as the type of a file system to mount.
        pub text: Span,
        /// The caller's root, where that is not the root of its mount namespace; else empty.
        pub root: Span,
    }
}
