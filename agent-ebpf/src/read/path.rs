//! Paths, from the kernel's directory entries and from the caller's memory.

use core::{
    arch::asm,
    ptr::{read_volatile, write_volatile},
};

use agent_abi::{
    landmark::Landmarks,
    map::{PREFIX_BYTES, PREFIX_WANTED},
    record::{COMPONENT_BYTES, COMPONENTS, PATH_BYTES, PathRef, Span, grade, path_flag},
};
use aya_ebpf::{
    btf_maps::lpm_trie::Key,
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user_str},
};

use super::{
    current::Current,
    file::{ERROR_POINTERS, behind},
    landmark::{begin_landmarks, note_landmark},
    loads_words, pointer, probe,
};
use crate::{
    global::{PREFIXES, offset},
    scratch::{NAME_BYTES, NAMES, Tail, WALK, WALK_FRONT, WALK_NAME_LEN, large_again, slot_of},
};

/// `AT_FDCWD` (include/uapi/linux/fcntl.h).
pub const AT_FDCWD: i32 = -100;

/// Most bytes of the root of a task that has one of its own: both paths of a call must fit behind it.
const ROOT_BYTES: usize = 2048;

/// Longest name that is loaded word by word: a helper's call costs more than these.
const SHORT_NAME: usize = 24;
/// Longest name, with its NUL, that is looked through for dots.
const PLAIN_NAME: usize = 128;
/// Eight dots.
const DOTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
/// A 1 in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// Longest path that is copied word by word.
const SHORT_PATH: usize = 64;

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
    if !loads_words()
        && offset!(dentry_len) == offset!(dentry_parent) + 12
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
    // SAFETY: as the caller's.
    unsafe {
        let whole = find_path(vfsmount, dentry, tail);
        append_found(PATH_BYTES, span, tail) && whole
    }
}

/// Finds a path, for [`append_found`] and [`is_wanted`]; false where the walk stopped early, and its
/// front is missing.
///
/// # Safety
/// As [`append_path`].
#[inline(always)]
pub unsafe fn find_path(vfsmount: u64, dentry: u64, tail: Tail) -> bool {
    // SAFETY: as the caller's.
    unsafe { walk(vfsmount, dentry, slot_of(tail.record())) != 0 }
}

/// Appends the path that was found last if it has at most `most` bytes; false, and nothing, where it
/// has more.
///
/// # Safety
/// As [`append_path`].
#[inline(always)]
pub unsafe fn append_found(most: usize, span: *mut Span, tail: Tail) -> bool {
    // SAFETY: as the caller's; both ends of the copy lie in the buffer.
    unsafe {
        let record = tail.record();
        let front = read_volatile(record.add(WALK_FRONT).cast::<u32>()) as usize;
        *span = Span { offset: 0, len: 0 };
        if front >= PATH_BYTES {
            return true;
        }
        let len = PATH_BYTES - front;
        if len > most {
            return false;
        }
        let start = tail.start();
        let from = record.add(WALK + (front & (PATH_BYTES - 1)));
        let to = tail.place(start);
        if len <= SHORT_PATH {
            for word in (0..SHORT_PATH).step_by(8) {
                if len > word {
                    store_anywhere(to.add(word), load_anywhere(from.add(word)));
                }
            }
        } else if bpf_probe_read_kernel(to.cast(), len as u32, from.cast()) != 0 {
            return false;
        }
        *span = tail.take(start, len);
        true
    }
}

/// Puts a path together in the walk's part of `record`, from `dentry` up to the root of its mount
/// namespace, and so from its end to its front, and notes its landmarks. 1 where the root was reached.
///
/// How far it came is kept in map memory, of which the verifier assumes nothing: so the states of all
/// rounds are alike and it need not follow each (in registers: over a million instructions). A global
/// function of numbers alone: it is verified once, and not at each call.
#[unsafe(no_mangle)]
extern "C" fn walk(vfsmount: u64, dentry: u64, slot: u32) -> u64 {
    let Some(record) = large_again(slot) else { return 0 };
    // SAFETY: a large scratch buffer.
    let Some(landmarks) = (unsafe { begin_landmarks(record) }) else { return 0 };
    let mut mount = vfsmount - u64::from(offset!(mount_mnt));
    let mut mount_root = pointer(vfsmount, offset!(vfsmount_root));
    let mut dentry = dentry;
    // SAFETY: a large scratch buffer.
    unsafe {
        write_volatile(record.add(WALK_FRONT).cast::<u32>(), PATH_BYTES as u32);
        for _ in 0..COMPONENTS {
            let here = entry(dentry);
            if dentry == mount_root {
                let up = pointer(mount, offset!(mount_parent));
                if up == mount {
                    return u64::from(ends_at_root(mount, here.text, record));
                }
                dentry = pointer(mount, offset!(mount_mountpoint));
                mount = up;
                mount_root = pointer(mount, offset!(mount_mnt) + offset!(vfsmount_root));
                continue;
            }
            if dentry == here.parent {
                return u64::from(has_no_place(mount, here, record, landmarks));
            }
            if !put_in_front(record, here.text, here.len) {
                return 0;
            }
            note_landmark(record, landmarks);
            dentry = here.parent;
        }
    }
    0
}

/// Ends a walk at the root of `mount`, which is mounted nowhere; false where that is not a root.
#[inline(always)]
unsafe fn ends_at_root(mount: u64, text: u64, record: *mut u8) -> bool {
    // What was unmounted while in use belongs to no namespace: its place is not known.
    if pointer(mount, offset!(mount_ns)) == 0 {
        return false;
    }
    // SAFETY: as the caller's.
    unsafe {
        let is_root_itself = read_volatile(record.add(WALK_FRONT).cast::<u32>()) as usize == PATH_BYTES;
        !is_root_itself || put_in_front(record, text, 0)
    }
}

/// Ends a walk at an entry without a parent that is no root. What the kernel keeps to itself (memfd)
/// is alone with its name, or has none (a pipe); false for what a file system has lost its way to.
#[inline(always)]
unsafe fn has_no_place(mount: u64, here: Entry, record: *mut u8, landmarks: *const Landmarks) -> bool {
    // SAFETY: as the caller's.
    unsafe {
        let is_alone = read_volatile(record.add(WALK_FRONT).cast::<u32>()) as usize == PATH_BYTES;
        if !is_alone || pointer(mount, offset!(mount_ns)) <= ERROR_POINTERS {
            return false;
        }
        if here.len != 0 {
            if !put_in_front(record, here.text, here.len) {
                return false;
            }
            note_landmark(record, landmarks);
        }
        true
    }
}

/// Puts a component in front of the path. False where there is no room, or where it is longer than
/// those of Linux's own file systems (FUSE allows for more).
#[inline(always)]
unsafe fn put_in_front(record: *mut u8, text: u64, len: u32) -> bool {
    let len = len as usize;
    // SAFETY: a large scratch buffer; the masked position leaves room for a component.
    unsafe {
        let front = record.add(WALK_FRONT).cast::<u32>();
        let before = read_volatile(front) as usize;
        if len > COMPONENT_BYTES || before < len + 1 {
            return false;
        }
        write_volatile(record.add(WALK_NAME_LEN).cast::<u32>(), len as u32);
        let start = (before - len - 1) & (PATH_BYTES - 1);
        let to = record.add(WALK + start);
        if loads_words() && len <= SHORT_NAME {
            if !put_short(record.add(WALK + (before & (2 * PATH_BYTES - 1))), text, len) {
                return false;
            }
        } else if bpf_probe_read_kernel(to.add(1).cast(), len as u32, text as *const _) != 0 {
            return false;
        }
        write_volatile(to, b'/');
        write_volatile(front, start as u32);
        true
    }
}

/// Puts a name of up to [`SHORT_NAME`] bytes before `end`, by words, and so from its end: what the first
/// word has in front of the name is overwritten by what follows, or lies before the path. False where it
/// could not be read: that is zeros, which no name has.
#[inline(always)]
unsafe fn put_short(end: *mut u8, text: u64, len: usize) -> bool {
    let mut is_read = true;
    // SAFETY: as the caller's, of whose buffer the walk is not the front.
    unsafe {
        for back in [8, 16, 24] {
            if len > back - 8 {
                let word = probe::<u64>(text + len as u64 - back as u64);
                is_read &= word.to_le() >> 56 != 0;
                store_anywhere(end.sub(back), word);
            }
        }
    }
    is_read
}

/// Whether the path that was found last is below a wanted prefix. A prefix that ends in a slash is
/// the directory itself and all below it: the path is looked up with one at its end.
///
/// # Safety
/// `record` is a large scratch buffer into which a path was walked.
#[inline(always)]
pub unsafe fn is_wanted(record: *mut u8) -> bool {
    // SAFETY: all in the buffer: the key's length stands in front of the path, the slash behind it.
    unsafe {
        let front = read_volatile(record.add(WALK_FRONT).cast::<u32>()) as usize;
        if front >= PATH_BYTES {
            // What has no path is not known to be unwanted.
            return true;
        }
        write_volatile(record.add(WALK + PATH_BYTES), b'/');
        let key = record.add(WALK - size_of::<u32>() + (front & (PATH_BYTES - 1)));
        let bits = (PATH_BYTES + 1 - front).min(PREFIX_BYTES) as u32 * 8;
        for (byte, value) in bits.to_ne_bytes().into_iter().enumerate() {
            write_volatile(key.add(byte), value);
        }
        let key = &*key.cast::<Key<[u8; PREFIX_BYTES]>>();
        PREFIXES.get(key).is_some_and(|&value| value == PREFIX_WANTED)
    }
}

/// Whether a name in the caller's memory has two dots in a row. One that cannot be read, or is longer than
/// [`PLAIN_NAME`], counts as one that has.
///
/// # Safety
/// `tail` is that of a record in a large scratch buffer.
#[inline(always)]
pub unsafe fn is_dotted(name: u64, tail: Tail) -> bool {
    // SAFETY: as the caller's.
    unsafe { dotted(name, slot_of(tail.record())) != 0 }
}

/// The same, verified once.
#[unsafe(no_mangle)]
extern "C" fn dotted(name: u64, slot: u32) -> u64 {
    let Some(record) = large_again(slot) else { return 1 };
    // SAFETY: a large scratch buffer, of which two names and more lie behind the place.
    unsafe {
        let given = record.add(NAMES);
        let bytes = bpf_probe_read_user_str(given.cast(), PLAIN_NAME as u32, name as *const _);
        if bytes <= 0 || bytes as usize >= PLAIN_NAME {
            return 1;
        }
        let bytes = bytes as usize & (PLAIN_NAME - 1);
        // What the last word reaches to behind the name.
        store_anywhere(given.add(bytes), 0);
        // Each begins with the last byte of the one before, so that no pair is torn.
        for start in (0..PLAIN_NAME).step_by(7) {
            if start >= bytes {
                return 0;
            }
            let others = load_anywhere(given.add(start)) ^ DOTS;
            // A byte is 0 where a dot follows a dot; behind the last byte nothing is known to follow.
            let pairs = others | others >> 8 | 0xff << 56;
            if pairs.wrapping_sub(ONES) & !pairs & (ONES << 7) != 0 {
                return 1;
            }
        }
    }
    0
}

/// Loads a word that need not be aligned.
///
/// # Safety
/// It is there.
#[inline(always)]
pub(super) unsafe fn load_anywhere(place: *const u8) -> u64 {
    let word: u64;
    // SAFETY: as the caller's.
    unsafe {
        asm!("{word} = *(u64 *)({place} + 0)", place = in(reg) place, word = out(reg) word, options(nostack));
    }
    word
}

/// Stores a word that need not be aligned, as both architectures do; the compiler would store it byte by
/// byte.
///
/// # Safety
/// There is room.
#[inline(always)]
unsafe fn store_anywhere(place: *mut u8, word: u64) {
    // SAFETY: as the caller's.
    unsafe {
        asm!("*(u64 *)({place} + 0) = {word}", place = in(reg) place, word = in(reg) word, options(nostack));
    }
}

/// A path that the caller names: `name` in its memory, and what it starts at.
///
/// # Safety
/// `out` lies in the record that `tail` is of.
#[inline(always)]
pub unsafe fn named(current: Current, name: u64, dir: i32, out: *mut PathRef, tail: Tail) {
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
        // Of an empty string older kernels give 0 bytes, not its NUL (5.10, mm/maccess.c).
        if len < 0 {
            write_volatile(flags, path_flag::NAME_NOT_READ);
        } else if len == 0 {
            write_volatile(flags, 0);
        } else {
            let is_full = len as usize == PATH_BYTES;
            write_volatile(flags, if is_full { path_flag::NAME_TRUNCATED } else { 0 });
            // Without its NUL.
            (*out).name = tail.take(start, (len - 1) as usize & (2 * PATH_BYTES - 1));
        }
        let (vfsmount, dentry) = start_of(current, read_volatile(place) == b'/', dir);
        let mount_ns = pointer(vfsmount - u64::from(offset!(mount_mnt)), offset!(mount_ns));
        if mount_ns != current.mount_ns() {
            write_volatile(flags, read_volatile(flags) | path_flag::OTHER_MOUNT_NS);
        }
        if dentry == 0 {
            write_volatile(flags, read_volatile(flags) | path_flag::BASE_NOT_READ);
        } else if !append_path(vfsmount, dentry, &raw mut (*out).base, tail) {
            write_volatile(flags, read_volatile(flags) | path_flag::BASE_TRUNCATED);
        }
    }
}

/// Appends the caller's root to `tail` where that is not the root of its mount namespace: there `..`
/// ends. False where it could not be read.
///
/// # Safety
/// `span` lies in the record that `tail` is of.
#[inline(always)]
pub unsafe fn root_of(current: Current, span: *mut Span, tail: Tail) -> bool {
    // SAFETY: as the caller's.
    unsafe { append_root(current.fs(), span, tail) }
}

#[inline(always)]
unsafe fn append_root(fs: u64, span: *mut Span, tail: Tail) -> bool {
    let root = fs + u64::from(offset!(fs_root));
    let (vfsmount, dentry) = (pointer(root, offset!(path_mnt)), pointer(root, offset!(path_dentry)));
    let mount = vfsmount - u64::from(offset!(mount_mnt));
    // SAFETY: as the caller's.
    unsafe {
        *span = Span { offset: 0, len: 0 };
        let is_mount_root = dentry == pointer(vfsmount, offset!(vfsmount_root));
        if is_mount_root && pointer(mount, offset!(mount_parent)) == mount {
            return true;
        }
        let whole = find_path(vfsmount, dentry, tail) & append_found(ROOT_BYTES, span, tail);
        // What lies over the first file system of a machine is its root.
        if (*span).len == 1 {
            *span = Span { offset: 0, len: 0 };
        }
        whole
    }
}

/// Whether the name at the caller's `name` ends with that of `dentry`.
///
/// # Safety
/// `tail` is that of a record in a large scratch buffer.
#[inline(always)]
pub unsafe fn is_leaf(dentry: u64, name: u64, tail: Tail) -> bool {
    let here = entry(dentry);
    // SAFETY: the tail has room for a path; the helpers check the addresses.
    unsafe {
        let given = tail.place(tail.start());
        let bytes = bpf_probe_read_user_str(given.cast(), PATH_BYTES as u32, name as *const _);
        let len = here.len as usize;
        if len > COMPONENT_BYTES || bytes <= len as i64 {
            return false;
        }
        // Without its NUL.
        let start = (bytes as usize - 1 - len) & (PATH_BYTES - 1);
        // Masked, for 5.10's verifier does not see that it is not below 0.
        let before = start.wrapping_sub(1) & (PATH_BYTES - 1);
        if start > 0 && read_volatile(given.add(before)) != b'/' {
            return false;
        }
        let names = tail.record().add(NAMES);
        for word in 0..2 * NAME_BYTES / 8 {
            write_volatile(names.cast::<u64>().add(word), 0);
        }
        bpf_probe_read_kernel(names.cast(), len as u32, here.text as *const _);
        bpf_probe_read_kernel(names.add(NAME_BYTES).cast(), len as u32, given.add(start).cast());
        let mut differ = 0;
        for word in 0..NAME_BYTES / 8 {
            let ours = names.cast::<u64>().add(word);
            differ |= read_volatile(ours) ^ read_volatile(ours.add(NAME_BYTES / 8));
        }
        differ == 0
    }
}

/// The path of what names start at by now, with no name after it. As behind a descriptor: a thread
/// that shares it may have changed it since.
///
/// # Safety
/// `out` lies in the record that `tail` is of.
#[inline(always)]
pub unsafe fn arrived(current: Current, at_root: bool, out: *mut PathRef, tail: Tail) {
    let of = if at_root { offset!(fs_root) } else { offset!(fs_pwd) };
    let path = current.fs() + u64::from(of);
    let (vfsmount, dentry) = (pointer(path, offset!(path_mnt)), pointer(path, offset!(path_dentry)));
    // SAFETY: as the caller's.
    unsafe {
        (*out).name = Span { offset: 0, len: 0 };
        (*out).grade = grade::FD_RACED;
        let whole = append_path(vfsmount, dentry, &raw mut (*out).base, tail);
        write_volatile(&raw mut (*out).flags, if whole { 0 } else { path_flag::BASE_TRUNCATED });
    }
}

/// Mount and directory entry that a name of the current task starts at.
#[inline(always)]
fn start_of(current: Current, is_absolute: bool, dir: i32) -> (u64, u64) {
    let file = if is_absolute || dir == AT_FDCWD { 0 } else { current.file(dir as u32) };
    start(current.fs(), file, is_absolute, dir)
}

/// The same of any task.
#[inline(always)]
pub(super) fn start_of_task(task: u64, is_absolute: bool, dir: i32) -> (u64, u64) {
    let file = if is_absolute || dir == AT_FDCWD { 0 } else { behind(task, dir as u32) };
    start(pointer(task, offset!(task_fs)), file, is_absolute, dir)
}

#[inline(always)]
fn start(fs: u64, file: u64, is_absolute: bool, dir: i32) -> (u64, u64) {
    let path = if is_absolute {
        fs + u64::from(offset!(fs_root))
    } else if dir == AT_FDCWD {
        fs + u64::from(offset!(fs_pwd))
    } else if file == 0 {
        return (0, 0);
    } else {
        file + u64::from(offset!(file_path))
    };
    (pointer(path, offset!(path_mnt)), pointer(path, offset!(path_dentry)))
}
