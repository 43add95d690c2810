//! The ways to a file: whichever is taken, the absolute path comes out, or it is marked.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use agent_abi::record::{COMPONENTS, PATH_BYTES, file_flag, path_flag};
use nix::libc;

use crate::{
    calls::{CWD, Made, What, at, c, enter_own_folder, made_by, raw, shared_calls},
    environment::{lacks_field, skip},
    loaded::assert_quiet_sums,
};

/// What `body` does in a folder of its own, whose path it is given.
fn made<T: Send>(body: impl FnOnce(&[u8]) -> T + Send) -> Made<T> {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || body(&enter_own_folder()));
    assert_quiet_sums(&loaded);
    made
}

/// Path and flags of the files that were opened, in order, without those of the preparation.
fn opened<T>(made: &Made<T>, name: &str) -> Vec<(String, u32)> {
    // One that failed has paths instead.
    let opens = made.own().filter(|seen| seen.name == name && matches!(seen.what, What::File { .. }));
    opens
        .map(|seen| {
            made.way.assert_opened(seen);
            let (record, path) = seen.file();
            (path.escape_ascii().to_string(), record.file.flags & !file_flag::IN_TASK_MOUNT_NS)
        })
        .collect()
}

fn shown(parts: &[&[u8]]) -> String {
    parts.concat().escape_ascii().to_string()
}

/// `creat` of a name that may be any bytes; `open` and `openat` are left to what is tested.
fn write(name: &[u8]) -> i64 {
    let fd = raw(libc::SYS_creat, &[at(&c(name)), 0o600]);
    assert!(fd >= 0, "{}: {fd}", name.escape_ascii());
    fd
}

fn open(name: &[u8]) -> i64 {
    raw(libc::SYS_open, &[at(&c(name)), libc::O_RDONLY as u64])
}

fn openat(folder: i64, name: &[u8], flags: i32) -> i64 {
    raw(libc::SYS_openat, &[folder.cast_unsigned(), at(&c(name)), flags.cast_unsigned().into()])
}

fn mkdir(name: &[u8]) {
    assert_eq!(raw(libc::SYS_mkdir, &[at(&c(name)), 0o700]), 0);
}

fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> i64 {
    let [source, target, kind, data] = [source, target, kind, data].map(c);
    raw(libc::SYS_mount, &[at(&source), at(&target), at(&kind), flags, at(&data)])
}

#[test]
fn links_dots_and_folders_lead_to_the_file_itself() {
    let made = made(|path| {
        mkdir(b"folder");
        mkdir(b"folder/inner");
        write(b"folder/file");
        assert_eq!(raw(libc::SYS_symlink, &[at(&c("folder/file")), at(&c("symbolic"))]), 0);
        assert_eq!(raw(libc::SYS_symlink, &[at(&c("folder")), at(&c("way"))]), 0);
        let inner = raw(libc::SYS_open, &[at(&c("folder/inner")), libc::O_PATH as u64]);
        let names: [&[u8]; 5] =
            [b"symbolic", b"way/file", b"./folder/../folder//file", b"way/inner/../file", b"way/../way/file"];
        assert!(names.iter().all(|name| open(name) >= 0));
        assert!(openat(inner, b"../file", 0) >= 0);
        assert_eq!(raw(libc::SYS_unlinkat, &[inner.cast_unsigned(), at(&c("../../symbolic")), 0]), 0);
        path.to_vec()
    });
    let file = shown(&[&made.value, b"/folder/file"]);
    let opens = opened(&made, "open");
    assert_eq!(opens.len(), 6, "{opens:?}");
    assert!(opens[1..].iter().all(|open| *open == (file.clone(), 0)), "{opens:?}");
    assert_eq!(opened(&made, "openat"), [(file, 0)]);
    assert_eq!(made.one("unlinkat").paths().0.path, [&made.value[..], b"/symbolic"].concat());
}

#[test]
fn bind_mounts_and_other_names_for_a_folder() {
    let made = made(|path| {
        for folder in ["inner", "inner/deep", "bound", "proc"] {
            mkdir(folder.as_bytes());
        }
        write(b"inner/deep/file");
        assert_eq!(mount("inner", "bound", "", libc::MS_BIND, ""), 0);
        assert_eq!(mount("proc", "proc", "proc", 0, ""), 0);
        assert!(open(b"bound/deep/file") >= 0);
        assert!(open(b"proc/self/status") >= 0);
        assert_eq!(raw(libc::SYS_rename, &[at(&c("bound/deep/file")), at(&c("bound/moved"))]), 0);
        path.to_vec()
    });
    let opens = opened(&made, "open");
    let status = format!("{}/proc/{}/status", shown(&[&made.value]), std::process::id());
    assert_eq!(opens, [(shown(&[&made.value, b"/bound/deep/file"]), 0), (status, file_flag::PROC)]);
    let (from, to) = made.one("rename").paths();
    assert_eq!(from.path, [&made.value[..], b"/bound/deep/file"].concat());
    assert_eq!(to.path, [&made.value[..], b"/bound/moved"].concat());
}

#[test]
fn an_overlay_tells_its_writable_layer() {
    if lacks_field("ovl_inode.__upperdentry") {
        skip("this kernel does not tell how an overlay's inodes are laid out");
        return;
    }
    let made = made(|path| {
        for folder in ["lower", "upper", "work", "merged"] {
            mkdir(folder.as_bytes());
        }
        write(b"lower/image");
        write(b"lower/changed");
        if mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") != 0 {
            skip("this kernel has no overlay file system");
            return None;
        }
        assert!(open(b"merged/image") >= 0);
        assert!(openat(CWD.cast_signed(), b"merged/changed", libc::O_WRONLY) >= 0);
        write(b"merged/dropped");
        Some(path.to_vec())
    });
    let Some(path) = &made.value else { return };
    let merged = |name: &[u8]| shown(&[path, b"/merged/", name]);
    let overlay = file_flag::OVERLAY;
    assert_eq!(opened(&made, "open"), [(merged(b"image"), overlay)]);
    // It comes there by being opened, after the hook has told of it.
    let changed = if made.way.opens_by_lsm { overlay } else { overlay | file_flag::UPPER_LAYER };
    assert_eq!(opened(&made, "openat"), [(merged(b"changed"), changed)]);
    let dropped = opened(&made, "creat").pop();
    assert_eq!(dropped, Some((merged(b"dropped"), overlay | file_flag::UPPER_LAYER)));
}

#[test]
fn a_chroot_is_part_of_the_path_and_no_dots_leave_it() {
    let made = made(|path| {
        mkdir(b"jail");
        mkdir(b"jail/folder");
        write(b"jail/folder/file");
        let outside = openat(CWD.cast_signed(), b".", libc::O_PATH);
        let absolute = [path, b"/jail"].concat();
        assert_eq!(raw(libc::SYS_chroot, &[at(&c(absolute))]), 0);
        assert!(open(b"/folder/file") >= 0);
        assert_eq!(raw(libc::SYS_chdir, &[at(&c("/folder"))]), 0);
        assert!(open(b"file") >= 0);
        assert_eq!(raw(libc::SYS_link, &[at(&c("/../folder/file")), at(&c("../../../a"))]), 0);
        // The folder from before is outside.
        let name = c("../kestrel-none");
        assert_eq!(raw(libc::SYS_unlinkat, &[outside.cast_unsigned(), at(&name), 0]), -2);
        path.to_vec()
    });
    let path = &made.value;
    let jail = |name: &[u8]| [&path[..], b"/jail", name].concat();
    assert_eq!(made.one("chroot").paths().0.path, jail(b""));
    let own: Vec<_> = made.own().filter(|seen| seen.name == "chdir").collect();
    assert_eq!(own.last().unwrap().paths().0.path, jail(b"/folder"));
    let file = shown(&[&jail(b"/folder/file")]);
    assert_eq!(opened(&made, "open"), [(file.clone(), 0), (file, 0)]);
    let (from, to) = made.one("link").paths();
    assert_eq!((&from.path, &to.path), (&jail(b"/folder/file"), &jail(b"/a")));
    let parent = std::path::Path::new(std::str::from_utf8(path).unwrap()).parent().unwrap();
    let outside = parent.join("kestrel-none");
    assert_eq!(made.one("unlinkat").paths().0.path, outside.as_os_str().as_encoded_bytes());
}

/// A folder made of `names`, one in the other, and the open innermost one.
fn nested(names: impl Iterator<Item = Vec<u8>>) -> i64 {
    let mut folder = openat(CWD.cast_signed(), b".", libc::O_PATH);
    for name in names {
        assert_eq!(raw(libc::SYS_mkdirat, &[folder.cast_unsigned(), at(&c(name.clone())), 0o700]), 0);
        let inner = openat(folder, &name, libc::O_PATH);
        // SAFETY: a descriptor that is this function's own.
        #[expect(unsafe_code, reason = "made by a raw call")]
        drop(unsafe { OwnedFd::from_raw_fd(i32::try_from(folder).unwrap()) });
        folder = inner;
    }
    assert_eq!(raw(libc::SYS_fchdir, &[folder.cast_unsigned()]), 0);
    folder
}

#[test]
fn four_thousand_bytes_absolute_and_relative() {
    let made = made(|path| {
        let count = (4000 - path.len()) / 200;
        let folder = nested((0..count).map(|_| vec![b'x'; 199]));
        let fd = raw(libc::SYS_creat, &[at(&c("file")), 0o600]);
        assert!(fd >= 0);
        let whole = [path, &[b"/", &[b'x'; 199][..]].concat().repeat(count), b"/file"].concat();
        assert!(open(&whole) >= 0);
        assert!(open(b"file") >= 0);
        assert_eq!(raw(libc::SYS_chmod, &[at(&c(whole.clone())), 0o600]), 0);
        assert_eq!(raw(libc::SYS_unlinkat, &[folder.cast_unsigned(), at(&c("file")), 0]), 0);
        whole
    });
    let whole = &made.value;
    assert!(whole.len() > 3800);
    let open = (shown(&[whole]), 0);
    assert_eq!(opened(&made, "open"), [open.clone(), open]);
    for name in ["chmod", "unlinkat"] {
        let named = made.one(name).paths().0;
        assert_eq!((&named.path, named.record.flags), (whole, 0), "{name}");
    }
}

#[test]
fn a_path_of_many_components() {
    let made = made(|path| {
        // What is above them, and mounts, count too.
        let many = COMPONENTS - 16;
        nested((0..many).map(|_| b"d".to_vec()));
        write(b"file");
        assert!(open(b"file") >= 0);
        [path, &b"/d".repeat(many), b"/file"].concat()
    });
    assert_eq!(opened(&made, "open"), [(shown(&[&made.value]), 0)]);
}

#[test]
fn what_is_too_long_is_marked_and_its_end_is_right() {
    let made = made(|path| {
        nested((0..25).map(|_| vec![b'x'; 199]));
        write(b"file");
        assert!(open(b"file") >= 0);
        assert_eq!(raw(libc::SYS_unlink, &[at(&c("file"))]), 0);
        assert_eq!(raw(libc::SYS_unlink, &[at(&c(vec![b'y'; 5000]))]), -i64::from(libc::ENAMETOOLONG));
        path.to_vec()
    });
    let opens = opened(&made, "open");
    assert_eq!(opens[0].1, file_flag::PATH_TRUNCATED);
    let whole = [&made.value, &[b"/", &[b'x'; 199][..]].concat().repeat(25), &b"/file"[..]].concat();
    let end = &opens[0].0;
    assert!(end.len() > PATH_BYTES - 256 && shown(&[&whole]).ends_with(end), "{end}");
    let unlinks: Vec<_> = made.own().filter(|seen| seen.name == "unlink").collect();
    assert_eq!(unlinks[0].paths().0.record.flags, path_flag::BASE_TRUNCATED);
    let flags = path_flag::BASE_TRUNCATED | path_flag::NAME_TRUNCATED;
    assert_eq!(unlinks[1].paths().0.record.flags, flags);
}

#[test]
fn more_components_than_are_walked_are_marked() {
    let made = made(|_| {
        nested((0..COMPONENTS + 1).map(|_| b"d".to_vec()));
        write(b"file");
        assert!(open(b"file") >= 0);
    });
    let opens = opened(&made, "open");
    assert_eq!(opens[0].1, file_flag::PATH_TRUNCATED);
    assert!(opens[0].0.ends_with("/d/d/d/file"));
}

#[test]
fn names_of_any_bytes() {
    const NAME: &[u8] = b"\xff\xfe\x01 \n\"\\\x7f";
    let made = made(|path| {
        write(NAME);
        assert!(open(NAME) >= 0);
        assert_eq!(raw(libc::SYS_unlink, &[at(&c(NAME))]), 0);
        path.to_vec()
    });
    assert_eq!(opened(&made, "open"), [(shown(&[&made.value, b"/", NAME]), 0)]);
    assert_eq!(made.one("unlink").paths().0.path, [&made.value[..], b"/", NAME].concat());
}

#[test]
fn deleted_and_detached_files_are_marked() {
    let made = made(|path| {
        let fd = write(b"file");
        assert_eq!(raw(libc::SYS_unlink, &[at(&c("file"))]), 0);
        assert!(open(format!("/proc/self/task/{}/fd/{fd}", crate::calls::gettid()).as_bytes()) >= 0);
        mkdir(b"mount");
        assert_eq!(mount("none", "mount", "tmpfs", 0, ""), 0);
        write(b"mount/hidden");
        let folder = raw(libc::SYS_openat, &[CWD, at(&c("mount")), libc::O_PATH as u64]);
        assert_eq!(raw(libc::SYS_umount2, &[at(&c("mount")), libc::MNT_DETACH as u64]), 0);
        assert!(
            open(format!("/proc/self/task/{}/fd/{folder}/hidden", crate::calls::gettid()).as_bytes()) >= 0
        );
        assert_eq!(raw(libc::SYS_unlinkat, &[folder.cast_unsigned(), at(&c("hidden")), 0]), 0);
        path.to_vec()
    });
    let opens = opened(&made, "open");
    assert_eq!(opens[0], (shown(&[&made.value, b"/file"]), file_flag::UNLINKED));
    assert_eq!(opens[1], ("/hidden".to_owned(), file_flag::PATH_TRUNCATED));
    let named = made.one("unlinkat").paths().0;
    assert_eq!(named.record.flags, path_flag::BASE_TRUNCATED | path_flag::OTHER_MOUNT_NS);
}

#[test]
fn a_root_that_is_a_folder_elsewhere_is_a_root() {
    let made = made(|_| {
        mkdir(b"rootfs");
        mkdir(b"rootfs/old");
        assert_eq!(mount("rootfs", "rootfs", "", libc::MS_BIND, ""), 0);
        assert_eq!(raw(libc::SYS_chdir, &[at(&c("rootfs"))]), 0);
        if raw(libc::SYS_pivot_root, &[at(&c(".")), at(&c("old"))]) != 0 {
            skip("the first root of a machine cannot be exchanged");
            return false;
        }
        write(b"/file");
        assert!(open(b"/") >= 0);
        assert!(open(b"file") >= 0);
        assert_eq!(raw(libc::SYS_unlink, &[at(&c("file"))]), 0);
        true
    });
    if made.value {
        assert_eq!(opened(&made, "open"), [("/".to_owned(), 0), ("/file".to_owned(), 0)]);
        assert_eq!(made.one("unlink").paths().0.path, b"/file");
    }
}

#[test]
fn a_pipe_has_no_path() {
    let made = made(|_| {
        let mut ends = [0i32; 2];
        assert_eq!(raw(libc::SYS_pipe2, &[std::ptr::from_mut(&mut ends) as u64, 0]), 0);
        assert!(open(format!("/proc/self/task/{}/fd/{}", crate::calls::gettid(), ends[0]).as_bytes()) >= 0);
    });
    assert_eq!(opened(&made, "open"), [(String::new(), file_flag::ANONYMOUS)]);
}

#[test]
fn a_mount_that_is_attached_nowhere_is_marked() {
    let made = made(|path| {
        mkdir(b"folder");
        let tree = raw(libc::SYS_open_tree, &[CWD, at(&c("folder")), 1]);
        assert!(tree >= 0, "{tree}");
        assert_eq!(raw(libc::SYS_mkdirat, &[tree.cast_unsigned(), at(&c("made")), 0o700]), 0);
        path.to_vec()
    });
    let named = made.one("mkdirat").paths().0;
    assert_eq!((&named.path[..], named.record.flags), (&b"/made"[..], path_flag::OTHER_MOUNT_NS));
}

#[test]
fn what_a_call_does_not_name_is_no_path() {
    let made = made(|_| {
        mkdir(b"mount");
        let target = c("mount");
        let private = libc::MS_PRIVATE;
        assert_eq!(mount("none", "mount", "tmpfs", 0, ""), 0);
        assert_eq!(raw(libc::SYS_mount, &[0, at(&target), 0, private, 0]), 0);
        assert_eq!(raw(libc::SYS_unlinkat, &[9999, at(&c("file")), 0]), -i64::from(libc::EBADF));
        let file = std::fs::File::open("/proc/self/status").unwrap();
        // A descriptor that is no folder.
        let fd = file.as_raw_fd().cast_unsigned();
        assert_eq!(raw(libc::SYS_mkdirat, &[fd.into(), at(&c("x")), 0]), -i64::from(libc::ENOTDIR));
    });
    let mounts: Vec<_> = made.own().filter(|seen| seen.name == "mount").collect();
    let (from, to) = mounts.last().unwrap().paths();
    assert_eq!((&from.path[..], from.record.flags), (&b""[..], path_flag::NAME_NOT_READ));
    assert_eq!(to.record.flags, 0);
    let named = made.one("unlinkat").paths().0;
    let flags = path_flag::BASE_NOT_READ | path_flag::OTHER_MOUNT_NS;
    assert_eq!((&named.path[..], named.record.flags), (&b"file"[..], flags));
}
