//! A file system (FUSE) that forgets what was not synced, as a disk does when its power fails. To
//! kill a process does not show it: the page cache outlives processes.

mod disk;

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};

pub use self::disk::PowerLoss;
use self::disk::{Body, Disk, File, Folder, Node};

/// Nobody but the kernel changes anything, so it may keep what it knows.
const FOREVER: Duration = Duration::from_secs(3600);
const BLOCK: u32 = 4096;

/// A mounted forgetful file system. Dropping it unmounts it.
#[derive(Debug)]
pub struct Forgetful {
    at: PathBuf,
    disk: Arc<Mutex<Disk>>,
    session: Option<BackgroundSession>,
}

impl Forgetful {
    /// Mounts an empty one.
    ///
    /// # Errors
    /// When there is no `/dev/fuse`, or no right to mount.
    pub fn mount(at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let mut forgetful =
            Self { at: at.to_owned(), disk: Arc::new(Mutex::new(Disk::new())), session: None };
        forgetful.start()?;
        Ok(forgetful)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// How often something was synced.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        lock(&self.disk).syncs()
    }

    /// The power fails and comes back. Whoever used the file system must be dead by now.
    ///
    /// # Errors
    /// When it cannot be unmounted, because somebody still uses it, or mounted again.
    pub fn power_loss(&mut self, loss: PowerLoss) -> Result<()> {
        // What the kernel still holds in its cache was not synced either: it must not reach the disk.
        let before = lock(&self.disk).clone();
        if let Some(session) = self.session.take() {
            session.umount_and_join().context("cannot unmount the forgetful file system")?;
        }
        let mut disk = before;
        disk.lose(loss);
        self.disk = Arc::new(Mutex::new(disk));
        self.start()
    }

    fn start(&mut self) -> Result<()> {
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::FSName("forgetful".to_owned()), MountOption::DefaultPermissions];
        let session = fuser::spawn_mount(Files(Arc::clone(&self.disk)), &self.at, &config)
            .context("cannot mount with FUSE")?;
        self.session = Some(session);
        Ok(())
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file system as the kernel asks for it.
struct Files(Arc<Mutex<Disk>>);

impl Files {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.0)
    }
}

fn attributes(number: u64, node: &Node) -> FileAttr {
    let (kind, size, nlink) = match &node.body {
        Body::File(file) => (FileType::RegularFile, file.data.len() as u64, 1),
        Body::Folder(_) => (FileType::Directory, 0, 2),
    };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: node.modified,
        mtime: node.modified,
        ctime: node.modified,
        crtime: node.modified,
        kind,
        perm: node.mode,
        nlink,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn permissions(mode: u32, umask: u32) -> u16 {
    u16::try_from(mode & !umask & 0o7777).unwrap_or(0o600)
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Filesystem for Files {
    fn init(&mut self, _: &Request, _: &mut KernelConfig) -> io::Result<()> {
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let disk = self.disk();
        match disk.child(parent.0, name).and_then(|number| Some((number, disk.node(number)?))) {
            Some((number, node)) => reply.entry(&FOREVER, &attributes(number, node), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.disk().node(number.0) {
            Some(node) => reply.attr(&FOREVER, &attributes(number.0, node)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.disk();
        let Some(node) = disk.node_mut(number.0) else { return reply.error(Errno::ENOENT) };
        if let Some(mode) = mode {
            node.mode = permissions(mode, 0);
        }
        if let (Some(size), Body::File(file)) = (size, &mut node.body) {
            file.resize(place(size));
        }
        reply.attr(&FOREVER, &attributes(number.0, node));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let mut disk = self.disk();
        let body = Body::Folder(Folder::default());
        let number = disk.add(parent.0, name, permissions(mode, umask), body);
        match number.and_then(|number| Some((number, disk.node(number)?))) {
            Some((number, node)) => reply.entry(&FOREVER, &attributes(number, node), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut disk = self.disk();
        let number = disk.add(parent.0, name, permissions(mode, umask), Body::File(File::default()));
        match number.and_then(|number| Some((number, disk.node(number)?))) {
            Some((number, node)) => {
                let attributes = attributes(number, node);
                reply.created(&FOREVER, &attributes, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut disk = self.disk();
        let Some(file) = disk.file_mut(number.0) else { return reply.error(Errno::ENOENT) };
        let from = place(offset).min(file.data.len());
        let to = from.saturating_add(size as usize).min(file.data.len());
        reply.data(&file.data[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut disk = self.disk();
        if !disk.write(number.0, place(offset), data) {
            return reply.error(Errno::ENOENT);
        }
        reply.written(u32::try_from(data.len()).unwrap_or(0));
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.disk().sync(number.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.disk().sync(number.0);
        reply.ok();
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        // The node stays: its name may still be on disk, or somebody has it open.
        match self.disk().folder_mut(parent.0).and_then(|folder| folder.entries.remove(name)) {
            Some(_) => reply.ok(),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut disk = self.disk();
        let number = disk.child(parent.0, name);
        match number.and_then(|number| disk.folder(number)) {
            None => reply.error(Errno::ENOENT),
            Some(folder) if !folder.entries.is_empty() => reply.error(Errno::ENOTEMPTY),
            Some(_) => {
                if let Some(folder) = disk.folder_mut(parent.0) {
                    folder.entries.remove(name);
                }
                reply.ok();
            }
        }
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut disk = self.disk();
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && disk.child(new_parent.0, new_name).is_some() {
            return reply.error(Errno::EEXIST);
        }
        let Some(number) = disk.child(parent.0, name) else { return reply.error(Errno::ENOENT) };
        if disk.folder(new_parent.0).is_none() {
            return reply.error(Errno::ENOENT);
        }
        if let Some(folder) = disk.folder_mut(parent.0) {
            folder.entries.remove(name);
        }
        if let Some(folder) = disk.folder_mut(new_parent.0) {
            folder.entries.insert(new_name.to_owned(), number);
        }
        reply.ok();
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let disk = self.disk();
        let Some(folder) = disk.folder(number.0) else { return reply.error(Errno::ENOTDIR) };
        let dots = [(OsStr::new("."), number.0), (OsStr::new(".."), number.0)];
        let entries = folder.entries.iter().map(|(name, &number)| (name.as_os_str(), number));
        for (place, (name, number)) in dots.into_iter().chain(entries).enumerate().skip(place(offset)) {
            let kind = match disk.node(number).map(|node| &node.body) {
                Some(Body::File(_)) => FileType::RegularFile,
                _ => FileType::Directory,
            };
            if reply.add(INodeNo(number), place as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let many = 1 << 24;
        reply.statfs(many, many, many, many, many, BLOCK, 255, BLOCK);
    }
}
