//! Files, read within bounds and within a root.

use std::{fs::File, io::Read as _, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2},
    io::Errno,
};

use crate::inspect::{NotRead, Read};

/// Longest configuration file that is read.
const FILE_BYTES: u64 = 1 << 20;

/// A folder to read from; what it names stays the same although a process exits and its number is given again.
pub(super) fn folder(path: &Path) -> Read<OwnedFd> {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(not_read)
}

/// The root of a process; `process` is its folder in procfs.
pub(super) fn root_of(process: &OwnedFd) -> Read<OwnedFd> {
    openat(process, "root", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(not_read)
}

/// A file of procfs or sysfs: what it says of its own size means nothing.
pub(super) fn kernel_file(folder: &OwnedFd, name: impl rustix::path::Arg, limit: u64) -> Read<Vec<u8>> {
    let file = openat(folder, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty());
    bounded(file.map_err(not_read)?, limit)
}

/// A configuration file at an absolute path below `root`, out of which no symbolic link leads.
pub(super) fn configuration(root: &OwnedFd, path: &str) -> Read<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = inside(root, path, flags)?;
    let stat = fstat(&file).map_err(not_read)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(NotRead::NotUnderstood);
    }
    String::from_utf8(bounded(file, FILE_BYTES)?).map_err(|_| NotRead::NotUnderstood)
}

/// What a file is, at an absolute path below `root`.
pub(super) fn stat(root: &OwnedFd, path: &str) -> Read<Stat> {
    fstat(inside(root, path, OFlags::PATH | OFlags::CLOEXEC)?).map_err(not_read)
}

fn inside(root: &OwnedFd, path: &str, flags: OFlags) -> Read<OwnedFd> {
    if !path.starts_with('/') {
        return Err(NotRead::NotUnderstood);
    }
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), resolve).map_err(not_read)
}

fn bounded(file: OwnedFd, limit: u64) -> Read<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::from(file).take(limit + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > limit => Err(NotRead::TooMuch),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error
            .raw_os_error()
            .map_or(NotRead::NotUnderstood, |raw| not_read(Errno::from_raw_os_error(raw)))),
    }
}

pub(super) fn not_read(errno: Errno) -> NotRead {
    match errno {
        Errno::NOENT | Errno::NOTDIR => NotRead::NotThere,
        Errno::ACCESS | Errno::PERM => NotRead::NotPermitted,
        Errno::SRCH => NotRead::Gone,
        _ => NotRead::NotUnderstood,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("inside/etc")).unwrap();
        fs::write(tree.path().join("secret"), "outside").unwrap();
        fs::write(tree.path().join("inside/etc/real"), "inside").unwrap();
        symlink(tree.path().join("secret"), tree.path().join("inside/etc/absolute")).unwrap();
        symlink("../../secret", tree.path().join("inside/etc/relative")).unwrap();
        symlink("/etc/real", tree.path().join("inside/etc/own")).unwrap();
        symlink("loop", tree.path().join("inside/etc/loop")).unwrap();
        let root = folder(&tree.path().join("inside")).unwrap();
        assert_eq!(configuration(&root, "/etc/own").as_deref(), Ok("inside"));
        for outside in ["/etc/absolute", "/etc/relative", "/../secret"] {
            assert_eq!(configuration(&root, outside), Err(NotRead::NotThere), "{outside}");
        }
        assert_eq!(configuration(&root, "/etc/loop"), Err(NotRead::NotUnderstood));
        assert_eq!(configuration(&root, "etc/real"), Err(NotRead::NotUnderstood));
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let tree = tempfile::tempdir().unwrap();
        let root = folder(tree.path()).unwrap();
        nix::unistd::mkfifo(&tree.path().join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(configuration(&root, "/pipe"), Err(NotRead::NotUnderstood));
        assert_eq!(configuration(&root, "/"), Err(NotRead::NotUnderstood));
        fs::write(tree.path().join("long"), vec![b' '; FILE_BYTES as usize + 1]).unwrap();
        assert_eq!(configuration(&root, "/long"), Err(NotRead::TooMuch));
        fs::write(tree.path().join("bytes"), [0xff]).unwrap();
        assert_eq!(configuration(&root, "/bytes"), Err(NotRead::NotUnderstood));
        assert_eq!(configuration(&root, "/nothing"), Err(NotRead::NotThere));
    }
}
