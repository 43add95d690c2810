//! Calls on files and mounts: each of the table is made, and told as it was made.

use agent_abi::record::file_flag;
use kestrel_agent::syscall::Family;
use nix::libc;

use crate::{
    calls::{CWD, enter_own_folder, made_by, of, raw, shared_calls},
    row::{Arg, Done, End, Expected, Fd, Row, assert_complete, assert_told, make, row},
};

/// Of every file on an ordinary file system.
const PLAIN: u32 = file_flag::IN_TASK_MOUNT_NS;
const REMOUNTED: [u64; 4] = [1, 0, 0, 0];

/// The folder of a thread's own: `file`, `name`s to be used up, and `folder/in`, whose folder is
/// open.
struct Place {
    path: Vec<u8>,
    folder: i32,
    file: i32,
    inotify: i32,
}

impl Place {
    fn enter() -> Self {
        let path = enter_own_folder();
        for folder in ["folder", "empty", "mount"] {
            std::fs::create_dir(folder).unwrap();
        }
        for file in ["file", "folder/in", "folder/in2", "a", "b", "c", "folder/d"] {
            std::fs::write(file, "contents").unwrap();
        }
        use std::os::fd::IntoRawFd as _;
        let open = |path: &str| std::fs::File::options().read(true).open(path).unwrap().into_raw_fd();
        let file = std::fs::File::options().read(true).write(true).open("file").unwrap().into_raw_fd();
        let inotify = raw(libc::SYS_inotify_init1, &[libc::IN_CLOEXEC as u64]);
        Self { path, folder: open("folder"), file, inotify: i32::try_from(inotify).unwrap() }
    }

    /// Absolute path of a name below it.
    fn at(&self, name: &str) -> Vec<u8> {
        [&self.path, name.as_bytes()].concat()
    }

    fn opened(&self, name: &str) -> Expected {
        Expected::File { fd: Fd::Result, path: self.at(name), flags: PLAIN }
    }

    fn used(&self, position: usize) -> Expected {
        Expected::File { fd: Fd::Argument(position), path: self.at("/file"), flags: PLAIN }
    }

    fn path(&self, name: &str) -> Expected {
        Expected::Path { from: self.at(name), to: None }
    }

    fn paths(&self, from: &str, to: &str) -> Expected {
        Expected::Path { from: self.at(from), to: Some(self.at(to)) }
    }
}

const PLAIN_CALL: Expected = Expected::Plain { pid: 0, target: 0 };

/// What a table of calls leaves to be compared.
fn told(rows: impl FnOnce(&Place) -> Vec<Row> + Send) -> Vec<Done> {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || make(rows(&Place::enter())));
    assert_told(&loaded, &made);
    made.value
}

#[test]
fn every_call_of_the_table() {
    let mut done = told(opens);
    done.extend(told(names));
    done.extend(told(attributes));
    done.extend(told(watches));
    done.extend(told(mounts));
    assert_complete(Family::Files, &done);
}

fn opens(place: &Place) -> Vec<Row> {
    let how = [libc::O_RDONLY.cast_unsigned().into(), 0u64, 0];
    let how: Vec<u8> = how.into_iter().flat_map(u64::to_ne_bytes).collect();
    // `struct file_handle`: its room, its type, the handle.
    let handle = Box::leak(Box::new([128u32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    handle[0] = 56;
    let handle = of(handle);
    let absolute = String::from_utf8(place.at("/folder/../file")).unwrap();
    vec![
        row!(SYS_open, ["file", libc::O_RDWR | libc::O_APPEND], End::Ok, place.opened("/file")),
        row!(SYS_open, [absolute.as_str(), libc::O_RDONLY], End::Ok, place.opened("/file")),
        row!(SYS_open, ["missing", libc::O_RDONLY], End::Fails(libc::ENOENT), place.path("/missing")),
        row!(SYS_openat, [place.folder, "in", libc::O_PATH], End::Ok, place.opened("/folder/in")),
        row!(SYS_openat, [CWD, "folder/./in", libc::O_WRONLY], End::Ok, place.opened("/folder/in")),
        row!(SYS_openat2, [place.folder, "in", how.clone(), 24], End::Ok, place.opened("/folder/in"), how),
        row!(SYS_creat, ["created", 0o600], End::Ok, place.opened("/created")),
        row!(
            SYS_name_to_handle_at,
            [place.folder, "in", handle, handle + 60, 0],
            End::Any,
            place.path("/folder/in")
        ),
        row!(
            SYS_open_by_handle_at,
            [place.folder, handle, libc::O_RDONLY],
            End::Any,
            place.opened("/folder/in")
        ),
        row!(SYS_truncate, ["file", 3], End::Ok, place.path("/file")),
        row!(SYS_ftruncate, [place.file, 2], End::Ok, place.used(0)),
        row!(SYS_ftruncate, [9999, 2], End::Fails(libc::EBADF), Expected::NoFile),
        row!(SYS_chdir, ["folder"], End::Ok, Expected::Arrived { at: place.at("/folder") }),
        row!(SYS_open, ["in", libc::O_RDONLY], End::Ok, place.opened("/folder/in")),
        row!(
            SYS_fchdir,
            [place.folder],
            End::Ok,
            Expected::File { fd: Fd::Argument(0), path: place.at("/folder"), flags: PLAIN }
        ),
    ]
}

fn names(place: &Place) -> Vec<Row> {
    let (folder, cwd) = (place.folder, CWD);
    let no_replace = u64::from(libc::RENAME_NOREPLACE);
    vec![
        row!(SYS_rename, ["a", "a2"], End::Ok, place.paths("/a", "/a2")),
        row!(SYS_renameat, [folder, "d", cwd, "d2"], End::Ok, place.paths("/folder/d", "/d2")),
        row!(SYS_renameat2, [cwd, "a2", folder, "a3", no_replace], End::Ok, place.paths("/a2", "/folder/a3")),
        row!(SYS_rename, ["missing", "to"], End::Fails(libc::ENOENT), place.paths("/missing", "/to")),
        row!(SYS_unlink, ["b"], End::Ok, place.path("/b")),
        row!(SYS_unlinkat, [folder, "in2", 0], End::Ok, place.path("/folder/in2")),
        row!(SYS_rmdir, ["empty"], End::Ok, place.path("/empty")),
        row!(SYS_mkdir, ["made", 0o700], End::Ok, place.path("/made")),
        row!(SYS_mkdirat, [folder, "made", 0o700], End::Ok, place.path("/folder/made")),
        row!(SYS_link, ["c", "c2"], End::Ok, place.paths("/c", "/c2")),
        row!(
            SYS_linkat,
            [place.file, "", folder, "linked", libc::AT_EMPTY_PATH],
            End::Ok,
            place.paths("/file", "/folder/linked")
        ),
        row!(SYS_symlink, ["/target", "symbolic"], End::Ok, place.path("/symbolic"), "/target"),
        row!(SYS_symlinkat, ["../x", folder, "symbolic"], End::Ok, place.path("/folder/symbolic"), "../x"),
        row!(SYS_mknod, ["pipe", libc::S_IFIFO | 0o600, 0], End::Ok, place.path("/pipe")),
        row!(SYS_mknodat, [folder, "pipe", libc::S_IFIFO | 0o600, 0], End::Ok, place.path("/folder/pipe")),
    ]
}

fn attributes(place: &Place) -> Vec<Row> {
    let (folder, file, name) = (place.folder, place.file, "trusted.name");
    let value = || b"value".to_vec();
    // `struct xattr_args`.
    let given = [of(b"value"), 5];
    let given: Vec<u8> = given.into_iter().flat_map(u64::to_ne_bytes).collect();
    vec![
        row!(SYS_chmod, ["file", 0o4755], End::Ok, place.path("/file")),
        row!(SYS_fchmod, [file, 0o600], End::Ok, place.used(0)),
        row!(SYS_fchmodat, [folder, "in", 0o600], End::Ok, place.path("/folder/in")),
        row!(SYS_fchmodat2, [folder, "in", 0o600, 0], End::Ok, place.path("/folder/in")),
        row!(SYS_chown, ["file", 1, 2], End::Ok, place.path("/file")),
        row!(SYS_lchown, ["file", 3, 4], End::Ok, place.path("/file")),
        row!(SYS_fchown, [file, 5, 6], End::Ok, place.used(0)),
        row!(SYS_fchownat, [file, "", 0, 0, libc::AT_EMPTY_PATH], End::Ok, place.path("/file")),
        row!(SYS_setxattr, ["file", name, value(), 5, 0], End::Any, place.path("/file"), name),
        row!(SYS_lsetxattr, ["file", "trusted.l", value(), 5, 0], End::Any, place.path("/file"), "trusted.l"),
        row!(SYS_fsetxattr, [file, "trusted.f", value(), 5, 0], End::Any, place.used(0), "trusted.f"),
        row!(
            SYS_setxattrat = 463,
            [folder, "in", 0, name, given, 16],
            End::Any,
            place.path("/folder/in"),
            name
        ),
        row!(SYS_removexattr, ["file", name], End::Any, place.path("/file"), name),
        row!(SYS_lremovexattr, ["file", "trusted.l"], End::Any, place.path("/file"), "trusted.l"),
        row!(SYS_fremovexattr, [file, "trusted.f"], End::Any, place.used(0), "trusted.f"),
        row!(SYS_removexattrat = 466, [folder, "in", 0, name], End::Any, place.path("/folder/in"), name),
    ]
}

fn watches(place: &Place) -> Vec<Row> {
    let modify = libc::IN_MODIFY;
    vec![
        row!(SYS_fanotify_init, [0, 0], End::Any, PLAIN_CALL),
        row!(SYS_fanotify_mark, [-1, 1, 2, place.folder, "in"], End::Any, place.path("/folder/in")),
        row!(SYS_inotify_init, [], End::Ok, PLAIN_CALL),
        row!(SYS_inotify_init1, [0], End::Ok, PLAIN_CALL),
        row!(SYS_inotify_add_watch, [place.inotify, "file", u64::from(modify)], End::Ok, place.path("/file")),
    ]
}

fn mounts(place: &Place) -> Vec<Row> {
    let read_only: Vec<u8> = REMOUNTED.into_iter().flat_map(u64::to_ne_bytes).collect();
    let (set_string, create, empty) = (1, 6, 4);
    vec![
        row!(
            SYS_mount,
            ["folder", "mount", "tmpfs", 0, 0],
            End::Ok,
            place.paths("/folder", "/mount"),
            "tmpfs"
        ),
        row!(SYS_umount2, ["mount", libc::MNT_DETACH], End::Ok, place.path("/mount")),
        row!(SYS_pivot_root, ["file", "folder"], End::Any, place.paths("/file", "/folder")),
        row!(SYS_chroot, ["file"], End::Fails(libc::ENOTDIR), place.path("/file")),
        row!(SYS_fsopen, ["tmpfs", 0], End::Ok, PLAIN_CALL, "tmpfs"),
        row!(SYS_fsconfig, [Arg::Result("fsopen"), set_string, "size", "1m", 0], End::Ok, PLAIN_CALL, "size"),
        row!(SYS_fsconfig, [Arg::Result("fsopen"), create, 0, 0, 0], End::Ok, PLAIN_CALL),
        row!(SYS_fsmount, [Arg::Result("fsopen"), 0, 0], End::Ok, PLAIN_CALL),
        row!(
            SYS_move_mount,
            [place.folder, "missing", CWD, "mount", 0],
            End::Fails(libc::ENOENT),
            place.paths("/folder/missing", "/mount")
        ),
        row!(SYS_mount, ["folder", "mount", 0, libc::MS_BIND, 0], End::Ok, place.paths("/folder", "/mount")),
        row!(SYS_open_tree, [CWD, "mount", 1], End::Ok, place.path("/mount")),
        row!(SYS_open_tree_attr = 467, [CWD, "mount", 1, 0, 0], End::Any, place.path("/mount")),
        row!(SYS_mount_setattr, [CWD, "mount", 0, read_only, 32], End::Ok, place.path("/mount")),
        row!(SYS_fspick, [CWD, "mount", 0], End::Ok, place.path("/mount")),
        row!(SYS_swapon, ["file", 0], End::Any, place.path("/file")),
        row!(SYS_swapoff, ["file"], End::Any, place.path("/file")),
        row!(SYS_quotactl, [0x8000_0700u64, "file", 0, 0], End::Any, place.path("/file")),
        row!(SYS_quotactl_fd, [place.file, 0x8000_0700u64, 0, 0], End::Any, place.used(0)),
        row!(SYS_acct, ["folder"], End::Any, place.path("/folder")),
        row!(
            SYS_move_mount,
            [Arg::Result("fsmount"), "", CWD, "mount", empty],
            End::Ok,
            place.paths("/mount", "/mount")
        ),
    ]
}
