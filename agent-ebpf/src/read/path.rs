//! Paths, from the kernel's directory entries and from the caller's memory.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    map::{PREFIX_BYTES, PREFIX_WANTED},
    record::{COMPONENT_BYTES, COMPONENTS, PATH_BYTES, PathRef, Span, grade, path_flag},
};
use aya_ebpf::{
    btf_maps::lpm_trie::Key,
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user_str},
};

use super::{file::behind, pointer, probe};
use crate::{
    global::{PREFIXES, offset},
    scratch::{PREFIX_KEY, Tail, WALK, WALK_FRONT},
};

/// `AT_FDCWD` (include/uapi/linux/fcntl.h).
pub const AT_FDCWD: i32 = -100;

/// What the walk needs of a directory entry. In all kernels the three lie together
/// (include/linux/dcache.h): the parent, and `struct qstr` with hash, length and text.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    parent: u64,
    hash: u32,
    len: u32,
    text: u64,
}

#[inline(always)]
fn entry(dentry: u64) -> Entry {
    if offset!(dentry_len) == offset!(dentry_parent) + 12
        && offset!(dentry_name) == offset!(dentry_parent) + 16
    {
        return probe(dentry + u64::from(offset!(dentry_parent)));
    }
    Entry {
        parent: pointer(dentry, offset!(dentry_parent)),
        hash: 0,
        len: probe(dentry + u64::from(offset!(dentry_len))),
        text: pointer(dentry, offset!(dentry_name)),
    }
}

/// Appends a path to `tail`; false where the walk stopped early, and its front is missing.
///
/// # Safety
/// `span` lies in the record that `tail` is of. The addresses may be anything.
#[inline(always)]
pub unsafe fn append_path(vfsmount: u64, dentry: u64, span: *mut Span, tail: Tail) -> bool {
    // SAFETY: as the caller's; both ends of the copy lie in the buffer.
    unsafe {
        let record = tail.record();
        let whole = walk(vfsmount, dentry, record) != 0;
        let front = read_volatile(record.add(WALK_FRONT).cast::<u32>()) as usize;
        *span = Span { offset: 0, len: 0 };
        if front >= PATH_BYTES {
            return whole;
        }
        let len = PATH_BYTES - front;
        let start = tail.start();
        let from = record.add(WALK + (front & (PATH_BYTES - 1)));
        if bpf_probe_read_kernel(tail.place(start).cast(), len as u32, from.cast()) != 0 {
            return false;
        }
        *span = tail.take(start, len);
        whole
    }
}

/// Puts a path together in the walk's part of `record`, from `dentry` up to the root of its mount
/// namespace, and so from its end to its front. 1 where the root was reached.
///
/// How far it came is kept in map memory, of which the verifier assumes nothing: so the states of all
/// rounds are alike and it need not follow each (in registers: over a million instructions).
#[inline(never)]
unsafe fn walk(vfsmount: u64, dentry: u64, record: *mut u8) -> u64 {
    let mut vfsmount = vfsmount;
    let mut dentry = dentry;
    let mut mount_root = pointer(vfsmount, offset!(vfsmount_root));
    // SAFETY: a large scratch buffer; positions are masked so that a component fits.
    unsafe {
        let front = record.add(WALK_FRONT).cast::<u32>();
        write_volatile(front, PATH_BYTES as u32);
        for _ in 0..COMPONENTS {
            let here = entry(dentry);
            let mut at_root = false;
            if dentry == mount_root || dentry == here.parent {
                let mount = vfsmount - u64::from(offset!(mount_mnt));
                let up = pointer(mount, offset!(mount_parent));
                if up != mount {
                    dentry = pointer(mount, offset!(mount_mountpoint));
                    vfsmount = up + u64::from(offset!(mount_mnt));
                    mount_root = pointer(vfsmount, offset!(vfsmount_root));
                    continue;
                }
                at_root = true;
            }
            let before = read_volatile(front) as usize;
            if at_root && before != PATH_BYTES {
                return 1;
            }
            let mut len = here.len as usize & COMPONENT_BYTES;
            if at_root && probe::<u8>(here.text) == b'/' {
                // The root by itself. What has no path (memfd) has a root with a name.
                len = 0;
            }
            if before < len + 1 {
                return 0;
            }
            let start = (before - len - 1) & (PATH_BYTES - 1);
            let to = record.add(WALK + start);
            write_volatile(to, b'/');
            if bpf_probe_read_kernel(to.add(1).cast(), len as u32, here.text as *const _) != 0 {
                return 0;
            }
            write_volatile(front, start as u32);
            if at_root {
                return 1;
            }
            dentry = here.parent;
        }
    }
    0
}

/// Whether the path that was walked last is below a wanted prefix. A prefix that ends in a slash is
/// the directory itself and all below it: the path is looked up with one at its end.
///
/// # Safety
/// `record` is a large scratch buffer into which a path was walked.
#[inline(always)]
pub unsafe fn is_wanted(record: *mut u8) -> bool {
    // SAFETY: all in the buffer.
    unsafe {
        let front = read_volatile(record.add(WALK_FRONT).cast::<u32>()) as usize;
        if front >= PATH_BYTES {
            // What has no path is not known to be unwanted.
            return true;
        }
        let len = (PATH_BYTES - front).min(PREFIX_BYTES);
        let key = record.add(PREFIX_KEY);
        write_volatile(key.cast::<u32>(), len as u32 * 8);
        let from = record.add(WALK + (front & (PATH_BYTES - 1)));
        if bpf_probe_read_kernel(key.add(4).cast(), PREFIX_BYTES as u32, from.cast()) != 0 {
            return true;
        }
        if len < PREFIX_BYTES {
            write_volatile(key.add(4 + (len & 0xff)), b'/');
            write_volatile(key.cast::<u32>(), (len as u32 + 1) * 8);
        }
        let key = &*key.cast::<Key<[u8; PREFIX_BYTES]>>();
        PREFIXES.get(key).is_some_and(|&value| value == PREFIX_WANTED)
    }
}

/// A path that the caller names: `name` in its memory, and what it starts at.
///
/// # Safety
/// `out` lies in the record that `tail` is of; `task` is the current task.
#[inline(always)]
pub unsafe fn named(task: u64, name: u64, dir: i32, out: *mut PathRef, tail: Tail) {
    // SAFETY: as the caller's; every address is checked by the helper that reads it.
    unsafe {
        (*out).base = Span { offset: 0, len: 0 };
        (*out).name = Span { offset: 0, len: 0 };
        (*out).grade = grade::USER;
        let flags = &raw mut (*out).flags;
        let start = tail.start();
        let place = tail.place(start);
        write_volatile(place, 0);
        let len = bpf_probe_read_user_str(place.cast(), PATH_BYTES as u32, name as *const _);
        if len <= 0 {
            write_volatile(flags, path_flag::NAME_NOT_READ);
        } else {
            let is_full = len as usize == PATH_BYTES;
            write_volatile(flags, if is_full { path_flag::NAME_TRUNCATED } else { 0 });
            // Without its NUL.
            (*out).name = tail.take(start, (len - 1) as usize & (2 * PATH_BYTES - 1));
        }
        let (vfsmount, dentry) = start_of(task, read_volatile(place) == b'/', dir);
        if dentry == 0 {
            write_volatile(flags, read_volatile(flags) | path_flag::BASE_NOT_READ);
        } else if !append_path(vfsmount, dentry, &raw mut (*out).base, tail) {
            write_volatile(flags, read_volatile(flags) | path_flag::BASE_TRUNCATED);
        }
    }
}

/// Mount and directory entry that a name starts at.
#[inline(always)]
fn start_of(task: u64, is_absolute: bool, dir: i32) -> (u64, u64) {
    let path = if is_absolute {
        pointer(task, offset!(task_fs)) + u64::from(offset!(fs_root))
    } else if dir == AT_FDCWD {
        pointer(task, offset!(task_fs)) + u64::from(offset!(fs_pwd))
    } else {
        let file = behind(task, dir as u32);
        if file == 0 {
            return (0, 0);
        }
        file + u64::from(offset!(file_path))
    };
    (pointer(path, offset!(path_mnt)), pointer(path, offset!(path_dentry)))
}
