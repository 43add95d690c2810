//! What is in the file system, and what of it is on its disk.
//!
//! As strict as POSIX allows: a name is on disk when its folder was synced, contents when their file
//! was. Many real file systems do more, and nobody may count on it.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    ops::Range,
    time::SystemTime,
};

/// Number of the root.
pub(super) const ROOT: u64 = 1;
/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// What is lost with the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// All that was not synced.
    Everything,
    /// Some of it: sectors that were not synced are kept or lost as the seed says.
    Torn(u64),
}

/// All files and folders.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    nodes: HashMap<u64, Node>,
    next: u64,
    syncs: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) mode: u16,
    pub(super) modified: SystemTime,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    File(File),
    Folder(Folder),
}

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) data: Vec<u8>,
    synced: Vec<u8>,
    /// Where the two may differ, apart from their lengths.
    dirty: Option<Range<usize>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    pub(super) entries: BTreeMap<OsString, u64>,
    synced: BTreeMap<OsString, u64>,
}

impl File {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.data.len() < end {
            let hole = self.data.len()..end;
            self.data.resize(end, 0);
            self.touch(hole);
        }
        self.data[at..end].copy_from_slice(bytes);
        self.touch(at..end);
    }

    pub(super) fn resize(&mut self, len: usize) {
        let changed = self.data.len().min(len)..self.data.len().max(len);
        self.data.resize(len, 0);
        self.touch(changed);
    }

    fn touch(&mut self, range: Range<usize>) {
        let dirty = self.dirty.get_or_insert(range.clone());
        *dirty = dirty.start.min(range.start)..dirty.end.max(range.end);
    }

    fn sync(&mut self) {
        self.synced.resize(self.data.len(), 0);
        if let Some(dirty) = self.dirty.take() {
            let dirty = dirty.start.min(self.data.len())..dirty.end.min(self.data.len());
            self.synced[dirty.clone()].copy_from_slice(&self.data[dirty]);
        }
    }

    fn lose(&mut self, loss: PowerLoss, random: &mut Random) {
        if let (PowerLoss::Torn(_), Some(dirty)) = (loss, self.dirty.clone()) {
            let first = dirty.start / SECTOR;
            for sector in first..dirty.end.div_ceil(SECTOR) {
                let sector = sector * SECTOR..((sector + 1) * SECTOR).min(self.data.len());
                if !sector.is_empty() && random.coin() {
                    if self.synced.len() < sector.end {
                        self.synced.resize(sector.end, 0);
                    }
                    self.synced[sector.clone()].copy_from_slice(&self.data[sector]);
                }
            }
        }
        self.data.clone_from(&self.synced);
        self.dirty = None;
    }
}

impl Disk {
    pub(super) fn new() -> Self {
        let root = Node { mode: 0o755, modified: SystemTime::now(), body: Body::Folder(Folder::default()) };
        Self { nodes: HashMap::from([(ROOT, root)]), next: ROOT + 1, syncs: 0 }
    }

    pub(super) fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    pub(super) fn node_mut(&mut self, number: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&number)
    }

    /// Writes to a file; false if there is no such file.
    pub(super) fn write(&mut self, number: u64, at: usize, bytes: &[u8]) -> bool {
        let Some(file) = self.file_mut(number) else { return false };
        file.write(at, bytes);
        if let Some(node) = self.nodes.get_mut(&number) {
            node.modified = SystemTime::now();
        }
        true
    }

    pub(super) fn file_mut(&mut self, number: u64) -> Option<&mut File> {
        match &mut self.nodes.get_mut(&number)?.body {
            Body::File(file) => Some(file),
            Body::Folder(_) => None,
        }
    }

    pub(super) fn folder(&self, number: u64) -> Option<&Folder> {
        match &self.nodes.get(&number)?.body {
            Body::Folder(folder) => Some(folder),
            Body::File(_) => None,
        }
    }

    pub(super) fn folder_mut(&mut self, number: u64) -> Option<&mut Folder> {
        match &mut self.nodes.get_mut(&number)?.body {
            Body::Folder(folder) => Some(folder),
            Body::File(_) => None,
        }
    }

    pub(super) fn child(&self, folder: u64, name: &OsStr) -> Option<u64> {
        self.folder(folder)?.entries.get(name).copied()
    }

    pub(super) fn add(&mut self, folder: u64, name: &OsStr, mode: u16, body: Body) -> Option<u64> {
        let number = self.next;
        self.folder_mut(folder)?.entries.insert(name.to_owned(), number);
        self.next += 1;
        self.nodes.insert(number, Node { mode, modified: SystemTime::now(), body });
        Some(number)
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self, number: u64) {
        self.syncs += 1;
        match self.nodes.get_mut(&number).map(|node| &mut node.body) {
            Some(Body::File(file)) => file.sync(),
            Some(Body::Folder(folder)) => folder.synced.clone_from(&folder.entries),
            None => {}
        }
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Back to what the disk has.
    pub(super) fn lose(&mut self, loss: PowerLoss) {
        let mut random = Random(match loss {
            PowerLoss::Everything => 1,
            PowerLoss::Torn(seed) => seed | 1,
        });
        let mut numbers: Vec<_> = self.nodes.keys().copied().collect();
        numbers.sort_unstable();
        for number in &numbers {
            match self.nodes.get_mut(number).map(|node| &mut node.body) {
                Some(Body::File(file)) => file.lose(loss, &mut random),
                Some(Body::Folder(folder)) => folder.entries.clone_from(&folder.synced),
                None => {}
            }
        }
        let mut reachable = vec![ROOT];
        let mut kept = HashMap::new();
        while let Some(number) = reachable.pop() {
            let Some(node) = self.nodes.remove(&number) else { continue };
            if let Body::Folder(folder) = &node.body {
                reachable.extend(folder.entries.values());
            }
            kept.insert(number, node);
        }
        self.nodes = kept;
    }
}

/// Xorshift: the same seed loses the same.
struct Random(u64);

impl Random {
    fn coin(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(disk: &mut Disk, name: &str) -> u64 {
        disk.add(ROOT, OsStr::new(name), 0o644, Body::File(File::default())).unwrap()
    }

    fn contents(disk: &Disk, name: &str) -> Option<Vec<u8>> {
        match &disk.node(disk.child(ROOT, OsStr::new(name))?)?.body {
            Body::File(file) => Some(file.data.clone()),
            Body::Folder(_) => None,
        }
    }

    #[test]
    fn what_was_not_synced_is_gone() {
        let mut disk = Disk::new();
        let (one, two, three) = (file(&mut disk, "one"), file(&mut disk, "two"), file(&mut disk, "three"));
        disk.file_mut(one).unwrap().write(0, b"kept");
        disk.sync(one);
        disk.file_mut(two).unwrap().write(0, b"not synced");
        disk.sync(ROOT);
        disk.file_mut(one).unwrap().write(4, b" and lost");
        disk.file_mut(three).unwrap().write(0, b"x");
        let four = file(&mut disk, "four");
        disk.file_mut(four).unwrap().write(0, b"synced, but its name is not");
        disk.sync(four);
        disk.lose(PowerLoss::Everything);
        assert_eq!(contents(&disk, "one").unwrap(), b"kept");
        assert_eq!(contents(&disk, "two").unwrap(), b"");
        assert_eq!(contents(&disk, "three").unwrap(), b"");
        assert_eq!(contents(&disk, "four"), None);
    }

    #[test]
    fn a_removed_file_comes_back_unless_its_folder_was_synced() {
        let mut disk = Disk::new();
        let one = file(&mut disk, "one");
        disk.file_mut(one).unwrap().write(0, b"1");
        disk.sync(one);
        disk.sync(ROOT);
        disk.folder_mut(ROOT).unwrap().entries.clear();
        disk.lose(PowerLoss::Everything);
        assert_eq!(contents(&disk, "one").unwrap(), b"1");
        disk.folder_mut(ROOT).unwrap().entries.clear();
        disk.sync(ROOT);
        disk.lose(PowerLoss::Everything);
        assert_eq!(contents(&disk, "one"), None);
    }

    #[test]
    fn torn_writes_keep_some_sectors() {
        let mut disk = Disk::new();
        let one = file(&mut disk, "one");
        disk.sync(ROOT);
        disk.file_mut(one).unwrap().write(0, &[7; 64 * SECTOR]);
        disk.lose(PowerLoss::Torn(42));
        let data = contents(&disk, "one").unwrap();
        let kept = data.chunks(SECTOR).filter(|sector| sector.iter().all(|&byte| byte == 7)).count();
        assert!(kept > 10 && kept < 54, "{kept}");
    }

    #[test]
    fn a_cut_file_is_cut_on_disk_after_a_sync() {
        let mut disk = Disk::new();
        let one = file(&mut disk, "one");
        disk.sync(ROOT);
        let contents_of = |disk: &Disk| contents(disk, "one").unwrap();
        disk.file_mut(one).unwrap().write(0, b"12345678");
        disk.sync(one);
        disk.file_mut(one).unwrap().resize(3);
        disk.lose(PowerLoss::Everything);
        assert_eq!(contents_of(&disk), b"12345678");
        disk.file_mut(one).unwrap().resize(3);
        disk.file_mut(one).unwrap().write(5, b"x");
        disk.sync(one);
        disk.lose(PowerLoss::Everything);
        assert_eq!(contents_of(&disk), b"123\0\0x");
    }
}
