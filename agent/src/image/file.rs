//! The hash of the file that a process runs.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::SystemTime,
};

use agent_abi::record::{FileRef, file_flag};
use nix::sys::{
    stat::{major, minor},
    statfs::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs},
};
use sha2::{Digest as _, Sha256};

use super::{
    digests::{Digests, FileState},
    pace::Pace,
};
use crate::telemetry::label::ImageHash;

/// Largest file that is hashed; more takes longer than an alert may.
const MOST_BYTES: u64 = 128 << 20;
/// Read at once.
const BLOCK_BYTES: usize = 128 << 10;
/// Most of a process' table of mounts that is read.
const MOUNTS_BYTES: u64 = 8 << 20;
/// File systems without a disk of their own whose files are of this machine. Others ask somebody who may not
/// answer: a server, or the process that made the file.
const OF_THIS_MACHINE: [&[u8]; 9] =
    [b"overlay", b"tmpfs", b"ramfs", b"rootfs", b"devtmpfs", b"btrfs", b"bcachefs", b"zfs", b"ubifs"];

/// Hashes files, and remembers the hashes.
#[derive(Debug)]
pub(super) struct Hasher {
    digests: Digests,
    pace: Pace,
    block: Box<[u8]>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self {
            digests: Digests::default(),
            pace: Pace::new(),
            block: vec![0; BLOCK_BYTES].into_boxed_slice(),
        }
    }

    /// The hash of an open file.
    pub(super) fn hash(
        &mut self,
        file: &mut File,
        told: &FileRef,
    ) -> Result<([u8; 32], ImageHash), ImageHash> {
        let metadata = file.metadata().map_err(|_| ImageHash::Failed)?;
        if !metadata.is_file() {
            return Err(ImageHash::Failed);
        }
        if is_another(file, &metadata, told) {
            return Err(ImageHash::Changed);
        }
        let state = FileState::of(&metadata);
        if let Some(hash) = self.digests.get(&state) {
            return Ok((hash, ImageHash::Known));
        }
        if metadata.size() > MOST_BYTES {
            return Err(ImageHash::TooLarge);
        }
        let hash = self.read(file, metadata.size())?;
        // Nobody writes to what runs; what ended meanwhile does not run.
        let after = file.metadata().map_err(|_| ImageHash::Failed)?;
        if FileState::of(&after) != state {
            return Err(ImageHash::Changed);
        }
        self.digests.learn(state, hash, SystemTime::now());
        Ok((hash, ImageHash::Read))
    }

    fn read(&mut self, file: &mut File, bytes: u64) -> Result<[u8; 32], ImageHash> {
        let mut hasher = Sha256::new();
        let mut left = bytes;
        loop {
            let read = match file.read(&mut self.block) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(ImageHash::Failed),
            };
            let Some(block) = self.block.get(..read).filter(|block| !block.is_empty()) else { break };
            // It grows.
            left = left.checked_sub(read as u64).ok_or(ImageHash::Changed)?;
            hasher.update(block);
            self.pace.read(read);
        }
        if left == 0 { Ok(hasher.finalize().into()) } else { Err(ImageHash::Changed) }
    }
}

/// Whether a file is not that which the kernel told of, as far as its numbers say so: those of btrfs and overlays
/// are others in the kernel.
fn is_another(file: &File, metadata: &Metadata, told: &FileRef) -> bool {
    let other_numbers = [BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC];
    let has_others = fstatfs(file).is_ok_and(|of| other_numbers.contains(&of.filesystem_type()));
    if has_others || told.inode == 0 || told.flags & file_flag::NOT_READ != 0 {
        return false;
    }
    let dev = major(metadata.dev()) << 20 | minor(metadata.dev());
    (metadata.ino(), dev) != (told.inode, u64::from(told.dev))
}

/// Whether the file of a process is of this machine, by the tables of mounts. To be asked before it is opened.
pub(super) fn is_of_this_machine(proc: &Path, tgid: u32, told: &FileRef) -> bool {
    let has_disk = told.dev >> 20 != 0;
    if has_disk || told.flags & file_flag::MEMFD != 0 {
        return true;
    }
    // What the node brought into a container, as a runtime's first program, may be mounted on the node alone.
    [tgid, 1].iter().any(|tgid| {
        let mut text = Vec::new();
        let table = File::open(proc.join(tgid.to_string()).join("mountinfo"));
        let read = table.and_then(|table| table.take(MOUNTS_BYTES).read_to_end(&mut text));
        read.is_ok() && file_system(&text, told.dev).is_some_and(|of| OF_THIS_MACHINE.contains(&of))
    })
}

/// The type of a file system, by its number (proc_pid_mountinfo(5)).
fn file_system(mounts: &[u8], dev: u32) -> Option<&[u8]> {
    let wanted = format!("{}:{}", dev >> 20, dev & 0xf_ffff);
    let mut lines = mounts.split(|&byte| byte == b'\n').map(|line| line.split(|&byte| byte == b' '));
    let mut of = lines.find(|fields| fields.clone().nth(2) == Some(wanted.as_bytes()))?;
    of.find(|field| *field == b"-")?;
    of.next()
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    /// Of `abc` (FIPS 180-2, B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn hex(hash: [u8; 32]) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_file_is_hashed_and_one_that_changed_anew() {
        let mut hasher = Hasher::new();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let mut hash = |file: &tempfile::NamedTempFile| {
            hasher.hash(&mut file.reopen().unwrap(), &FileRef::default()).map(|(hash, how)| (hex(hash), how))
        };
        assert_eq!(hash(&file), Ok((ABC.into(), ImageHash::Read)));
        file.write_all(b"d").unwrap();
        assert_ne!(hash(&file).unwrap().0, ABC);
    }

    #[test]
    fn a_file_that_is_known_is_not_read_again() {
        let mut hasher = Hasher::new();
        let mut own = File::open("/proc/self/exe").unwrap();
        let (first, _) = hasher.hash(&mut own, &FileRef::default()).unwrap();
        let again = hasher.hash(&mut own, &FileRef::default());
        assert_eq!(again, Ok((first, ImageHash::Known)), "its end was read: it would hash to nothing");
    }

    #[test]
    fn another_file_a_folder_and_what_is_too_large_are_refused() {
        let mut hasher = Hasher::new();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut refused = |file: &mut File, told: &FileRef| hasher.hash(file, told).unwrap_err();
        let told = FileRef { inode: 1, dev: 7, ..FileRef::default() };
        let is_compared = {
            let of = fstatfs(file.as_file()).unwrap().filesystem_type();
            of != BTRFS_SUPER_MAGIC && of != OVERLAYFS_SUPER_MAGIC
        };
        if is_compared {
            assert_eq!(refused(&mut file.reopen().unwrap(), &told), ImageHash::Changed);
        }
        assert_eq!(refused(&mut File::open("/").unwrap(), &FileRef::default()), ImageHash::Failed);
        file.as_file().set_len(MOST_BYTES + 1).unwrap();
        assert_eq!(refused(&mut file.reopen().unwrap(), &FileRef::default()), ImageHash::TooLarge);
    }

    #[test]
    fn file_systems_are_known_by_their_number() {
        let mounts = b"21 1 0:20 / / rw,relatime shared:1 - overlay overlay rw\n\
            22 21 0:31 / /data rw shared:2 master:1 - fuse.sshfs host:/ rw\n\
            23 21 254:0 / /disk rw - ext4 /dev/vda rw\n\x20broken\n";
        assert_eq!(file_system(mounts, 20), Some(&b"overlay"[..]));
        assert_eq!(file_system(mounts, 31), Some(&b"fuse.sshfs"[..]));
        assert_eq!(file_system(mounts, 254 << 20), Some(&b"ext4"[..]));
        assert_eq!((file_system(mounts, 99), file_system(b"", 0)), (None, None));

        let proc = tempfile::tempdir().unwrap();
        for tgid in ["1", "50"] {
            fs::create_dir(proc.path().join(tgid)).unwrap();
        }
        fs::write(proc.path().join("50/mountinfo"), mounts).unwrap();
        let of = |dev| is_of_this_machine(proc.path(), 50, &FileRef { dev, ..FileRef::default() });
        assert!(of(20) && of(8 << 20 | 1) && !of(31) && !of(99));
        fs::write(proc.path().join("1/mountinfo"), "9 1 0:99 / /run rw - tmpfs tmpfs rw\n").unwrap();
        assert!(of(99), "of the node");
    }
}
