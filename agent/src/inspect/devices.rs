//! Device nodes in a container's `/dev`.
//!
//! The folder is the container's: whatever lies in it was put there to mislead. Nothing in it is opened but
//! real folders on the file system of `/dev` itself, no symbolic link is followed, and what a program of user
//! space serves is not asked at all, since it need not answer.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat, openat2, statx},
    io::Errno,
};

use super::{Device, Mount, Mounts, NotRead, Read, mounts::not_read};

/// Entries that are looked at.
const MAX_ENTRIES: usize = 4096;
/// Folders below `/dev` that are gone into, one inside of the other: `/dev/bus/usb/001` has nodes.
const MAX_DEPTH: usize = 3;

/// File systems of `/dev`, and of a root with a `/dev` in it, of which the kernel itself tells.
const IN_KERNEL: [&str; 14] = [
    "tmpfs", "devtmpfs", "ramfs", "rootfs", "overlay", "ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs",
    "f2fs", "erofs", "zfs",
];

impl Device {
    /// Whether runtimes give it to every container (Linux Container Configuration of the OCI runtime
    /// specification, "Default Devices"). By its numbers, which are what the kernel goes by.
    #[must_use]
    pub fn is_default(&self) -> bool {
        if self.is_block {
            return false;
        }
        match (self.major, self.minor) {
            // null, zero, full, random, urandom; tty and ptmx, which are the caller's own.
            (1, 3 | 5 | 7 | 8 | 9) | (5, 0 | 2) => true,
            // The host's console, unless a terminal of the container's was bound there.
            (5, 1) => self.name == b"console",
            // Slaves of pseudo-terminals (Documentation/admin-guide/devices.txt).
            (136..=143, _) => self.name == b"console" || self.name.starts_with(b"pts/"),
            _ => false,
        }
    }
}

/// Device nodes in the `/dev` of a process, whose mounts are known. That the number still stands for the
/// process, the caller makes sure of afterwards.
///
/// # Errors
/// When they cannot be read, or when there is more than is read and what was read has nothing unusual.
pub fn read(pid: u32, mounts: &Mounts) -> Read<Vec<Device>> {
    let is_known = |mount: &Mount| IN_KERNEL.contains(&mount.file_system.as_str());
    let (Some(above), Some(dev)) = (mounts.root(), mounts.at(b"/dev")) else {
        return Err(NotRead::NotUnderstood);
    };
    if !is_known(above) || !is_known(dev) {
        return Err(NotRead::NotUnderstood);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty());
    below(&root.map_err(|error| not_read(&error.into()))?, Some(dev.dev))
}

/// Device nodes in `dev` below a root, if it is on the file system that it is known to be on.
fn below(root: &OwnedFd, expected: Option<u32>) -> Read<Vec<Device>> {
    let not_opened = |errno| match errno {
        Errno::ACCESS | Errno::PERM => NotRead::NotPermitted,
        _ => NotRead::NotUnderstood,
    };
    // A link is not followed, not even one to a folder of the same root. The folder is held before anybody is
    // asked for what is in it: another file system may have been mounted over it since.
    let held = match open_folder(root, b"dev", OFlags::PATH, ResolveFlags::empty()) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        held => held.map_err(not_opened)?,
    };
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = statx(&held, "", flags, StatxFlags::TYPE).map_err(not_opened)?;
    if expected.is_some_and(|expected| expected != (stat.stx_dev_major << 20 | stat.stx_dev_minor)) {
        return Err(NotRead::NotUnderstood);
    }
    let dev = open_folder(&held, b".", OFlags::RDONLY, ResolveFlags::NO_XDEV).map_err(not_opened)?;
    let mut walk = Walk { found: Vec::new(), left: MAX_ENTRIES, is_cut: false };
    walk.folder(&dev, b"", 0)?;
    // What is found suffices for a FAIL, however much a container puts around it.
    if walk.is_cut && walk.found.iter().all(Device::is_default) {
        return Err(NotRead::TooMuch);
    }
    // The order of a folder says nothing, and another one would look like a change.
    walk.found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walk.found)
}

/// Opens a folder, and nothing else: of a pipe or a device, ENOTDIR comes before it is opened (open(2)).
fn open_folder(above: &OwnedFd, name: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    // With O_PATH, the kernel refuses a flag that means nothing to it (openat2(2)).
    let reads = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK };
    let flags = flags | reads | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(above, name, flags, Mode::empty(), resolve)
}

struct Walk {
    found: Vec<Device>,
    left: usize,
    is_cut: bool,
}

impl Walk {
    fn folder(&mut self, folder: &OwnedFd, path: &[u8], depth: usize) -> Read<()> {
        let entries = Dir::read_from(folder).map_err(|error| not_read(&error.into()))?;
        for entry in entries {
            let Ok(entry) = entry else {
                self.is_cut = true;
                break;
            };
            let name = entry.file_name();
            if [&b"."[..], b".."].contains(&name.to_bytes()) || entry.file_type() == FileType::Symlink {
                continue;
            }
            if self.left == 0 {
                self.is_cut = true;
                break;
            }
            self.left -= 1;
            let mut below = path.to_vec();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(name.to_bytes());
            // A node may also be bound onto a file (rootless containers), so that its entry is a file's.
            let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
            let Ok(stat) = statx(folder, name, flags, StatxFlags::TYPE) else { continue };
            let kind = FileType::from_raw_mode(stat.stx_mode.into());
            match kind {
                FileType::CharacterDevice | FileType::BlockDevice => self.found.push(Device {
                    name: below,
                    is_block: kind == FileType::BlockDevice,
                    major: stat.stx_rdev_major,
                    minor: stat.stx_rdev_minor,
                }),
                FileType::Directory => {
                    // EXDEV: another mount, such as /dev/pts and /dev/shm.
                    match open_folder(folder, name.to_bytes(), OFlags::RDONLY, ResolveFlags::NO_XDEV) {
                        Ok(_) if depth == MAX_DEPTH => self.is_cut = true,
                        Ok(inner) => self.folder(&inner, &below, depth + 1)?,
                        Err(_) => {}
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use rustix::fs::{makedev, mknodat};

    use super::*;

    fn open(root: &Path) -> OwnedFd {
        openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    /// Whether this may make nodes.
    fn node(path: &Path, kind: FileType, (major, minor): (u32, u32)) -> bool {
        match mknodat(CWD, path, kind, Mode::RUSR, makedev(major, minor)) {
            Ok(()) => true,
            Err(Errno::PERM) => {
                println!("needs root to make device nodes");
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn names(devices: &[Device]) -> Vec<(String, bool, u32, u32)> {
        let name = |device: &Device| String::from_utf8(device.name.clone()).unwrap();
        let mut names: Vec<_> =
            devices.iter().map(|one| (name(one), one.is_block, one.major, one.minor)).collect();
        names.sort();
        names
    }

    #[test]
    fn nodes_below_real_folders() {
        let root = tempfile::tempdir().unwrap();
        let dev = root.path().join("dev");
        fs::create_dir_all(dev.join("bus/usb/001/deep")).unwrap();
        fs::create_dir(root.path().join("other")).unwrap();
        if !node(&dev.join("null"), FileType::CharacterDevice, (1, 3)) {
            return;
        }
        node(&dev.join("sda"), FileType::BlockDevice, (8, 0));
        node(&dev.join("bus/usb/001/002"), FileType::CharacterDevice, (189, 1));
        node(&root.path().join("other/kvm"), FileType::CharacterDevice, (10, 232));
        mknodat(CWD, dev.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::write(dev.join("file"), "").unwrap();
        symlink("../other", dev.join("folder")).unwrap();
        symlink("/dev/kvm", dev.join("kvm")).unwrap();
        let found = below(&open(root.path()), None).unwrap();
        assert_eq!(
            names(&found),
            [
                ("bus/usb/001/002".to_owned(), false, 189, 1),
                ("null".to_owned(), false, 1, 3),
                ("sda".to_owned(), true, 8, 0)
            ]
        );
    }

    #[test]
    fn too_much_and_too_deep() {
        let root = tempfile::tempdir().unwrap();
        let dev = root.path().join("dev");
        fs::create_dir_all(dev.join("1/2/3/4")).unwrap();
        assert_eq!(below(&open(root.path()), None), Err(NotRead::TooMuch), "too deep");
        fs::remove_dir_all(dev.join("1")).unwrap();
        assert_eq!(below(&open(root.path()), None), Ok(Vec::new()));
        for number in 0..=MAX_ENTRIES {
            fs::write(dev.join(number.to_string()), "").unwrap();
        }
        assert_eq!(below(&open(root.path()), None), Err(NotRead::TooMuch), "too many");
    }

    #[test]
    fn dev_itself() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(below(&open(root.path()), None), Ok(Vec::new()), "none");
        symlink("/dev", root.path().join("dev")).unwrap();
        assert_eq!(below(&open(root.path()), None), Err(NotRead::NotUnderstood), "a link");
        fs::remove_file(root.path().join("dev")).unwrap();
        mknodat(CWD, root.path().join("dev"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(below(&open(root.path()), None), Err(NotRead::NotUnderstood), "a pipe");
    }

    #[test]
    fn this_machine() {
        let host = super::super::mounts::HostMounts::read().unwrap();
        let mut mounts = super::super::mounts::read(std::process::id(), &host).unwrap();
        let devices = read(std::process::id(), &mounts).unwrap();
        assert!(names(&devices).contains(&("null".to_owned(), false, 1, 3)));
        assert_eq!(read(u32::MAX >> 1, &mounts), Err(NotRead::Gone));
        let dev = mounts.all.iter_mut().find(|mount| mount.target == b"/dev").unwrap();
        dev.dev += 1;
        assert_eq!(read(std::process::id(), &mounts), Err(NotRead::NotUnderstood), "another one since");
        for mount in &mut mounts.all {
            "fuse.x".clone_into(&mut mount.file_system);
        }
        assert_eq!(read(std::process::id(), &mounts), Err(NotRead::NotUnderstood));
    }

    #[test]
    fn defaults() {
        let device = |name: &str, major, minor| Device {
            name: name.as_bytes().to_vec(),
            is_block: false,
            major,
            minor,
        };
        for (name, major, minor) in [
            ("null", 1, 3),
            ("urandom", 1, 9),
            ("tty", 5, 0),
            ("ptmx", 5, 2),
            ("console", 136, 4),
            ("pts/0", 136, 0),
        ] {
            assert!(device(name, major, minor).is_default(), "{name}");
        }
        for (name, major, minor) in
            [("mem", 1, 1), ("null", 1, 1), ("fuse", 10, 229), ("tty0", 4, 0), ("x", 5, 1), ("x", 136, 0)]
        {
            assert!(!device(name, major, minor).is_default(), "{name}");
        }
        assert!(!Device { is_block: true, ..device("null", 1, 3) }.is_default());
    }
}
