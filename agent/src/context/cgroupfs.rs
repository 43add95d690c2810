//! Cgroups as the mounted hierarchy shows them: those that were there before the agent, and those
//! whose making was lost.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirEntryExt, MetadataExt},
    },
    path::{Component, Path, PathBuf},
};

use super::{ContainerKey, cgroup};
use crate::kernel::{Hierarchy, Mounted};

/// Most folders that one walk looks at. Workloads may make cgroups below their own.
const FOLDERS: usize = 65_536;
/// Deepest folder that is looked at.
const DEPTH: usize = 32;

/// A cgroup, for [`super::Context::cgroup_found`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The cgroup.
    pub key: ContainerKey,
    /// Its path below the hierarchy's root, with a leading `/`.
    pub path: Vec<u8>,
    /// Id of the container's own cgroup, where it lies in a container.
    pub root: Option<u64>,
}

/// Gives every cgroup of the hierarchy, each after the one above it. `true`: the walk saw all; it
/// ends at stated bounds, and cgroups that come and go meanwhile may be missed.
///
/// # Errors
/// When the root cannot be read.
pub fn walk(mounted: &Mounted, mut each: impl FnMut(Found)) -> io::Result<bool> {
    let mut whole = true;
    let mut seen = 1;
    let mut folders = vec![(mounted.root.clone(), Vec::new(), None, 0)];
    let id = fs::metadata(&mounted.root)?.ino();
    each(Found { key: key(mounted, id), path: b"/".to_vec(), root: None });
    while let Some((folder, path, above, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            // Removed meanwhile.
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            if !entry.file_type().is_ok_and(|file_type| file_type.is_dir()) {
                continue;
            }
            if seen == FOLDERS || depth == DEPTH {
                whole = false;
                continue;
            }
            seen += 1;
            let mut path: Vec<u8> = path.clone();
            path.push(b'/');
            path.extend_from_slice(entry.file_name().as_bytes());
            let root = match cgroup::container_in(&path) {
                Some(found) if found.own(&path) => Some(entry.ino()),
                Some(_) => above,
                None => None,
            };
            folders.push((entry.path(), path.clone(), root, depth + 1));
            each(Found { key: key(mounted, entry.ino()), path, root });
        }
    }
    Ok(whole)
}

/// The paths of cgroups, each given with a process that was in it: by `/proc`, and one walk for
/// all that this does not find. Those that are no more are not given.
///
/// # Errors
/// When the hierarchy's root cannot be read.
pub fn find_all(mounted: &Mounted, wanted: &[(u64, u32)], mut each: impl FnMut(Found)) -> io::Result<()> {
    let mut rest: Vec<u64> = Vec::new();
    for &(id, tgid) in wanted {
        match by_process(mounted, id, tgid) {
            Some(found) => each(found),
            None => rest.push(id),
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    walk(mounted, |found| {
        if rest.contains(&found.key.cgroup) {
            each(found);
        }
    })?;
    Ok(())
}

/// As [`find_all`], of one. `None`: it is no more.
///
/// # Errors
/// When the hierarchy's root cannot be read.
pub fn find(mounted: &Mounted, id: u64, tgid: u32) -> io::Result<Option<Found>> {
    let mut found = None;
    find_all(mounted, &[(id, tgid)], |cgroup| found = Some(cgroup))?;
    Ok(found)
}

fn by_process(mounted: &Mounted, id: u64, tgid: u32) -> Option<Found> {
    let path = of_process(mounted, tgid)?;
    // The process may have moved, or its id may be another's by now.
    if inode(mounted, &path)? != id {
        return None;
    }
    let root = match cgroup::container_in(&path) {
        Some(found) if found.own(&path) => Some(id),
        Some(found) => inode(mounted, found.root),
        None => None,
    };
    Some(Found { key: key(mounted, id), path, root })
}

/// Path of a process' cgroup.
#[must_use]
pub fn of_process(mounted: &Mounted, tgid: u32) -> Option<Vec<u8>> {
    let text = fs::read(format!("/proc/{tgid}/cgroup")).ok()?;
    let v1_pids = matches!(mounted.hierarchy, Hierarchy::V1Pids { .. });
    cgroup::proc_path(&text, v1_pids).map(<[u8]>::to_vec)
}

/// Id of the cgroup at `path`.
#[must_use]
pub fn inode(mounted: &Mounted, path: &[u8]) -> Option<u64> {
    let path = Path::new(OsStr::from_bytes(path));
    let mut folder: PathBuf = mounted.root.clone();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => folder.push(name),
            // Above the root of this cgroup namespace: not below the mount.
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(fs::symlink_metadata(folder).ok().filter(fs::Metadata::is_dir)?.ino())
}

fn key(mounted: &Mounted, cgroup: u64) -> ContainerKey {
    ContainerKey { hierarchy: mounted.hierarchy.id(), cgroup }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders stand in for cgroups: they have names and inode numbers too.
    fn hierarchy(paths: &[&str]) -> (tempfile::TempDir, Mounted) {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("cgroup.procs"), "1\n").unwrap();
        let root = folder.path().to_owned();
        (folder, Mounted { hierarchy: Hierarchy::V2, root })
    }

    #[test]
    fn a_walk_gives_all_with_their_containers_root() {
        let id = "c".repeat(64);
        let own = format!("/kubepods/podx/{id}");
        let below = format!("{own}/init.scope/deep");
        let (_folder, mounted) = hierarchy(&[&below[1..], "system.slice"]);
        let mut all = Vec::new();
        assert!(walk(&mounted, |found| all.push(found)).unwrap());
        let paths: Vec<_> =
            all.iter().map(|found| String::from_utf8_lossy(&found.path).into_owned()).collect();
        assert_eq!(all.len(), 7, "{paths:?}");
        let at = |path: &str| all.iter().position(|found| found.path == path.as_bytes()).unwrap();
        assert!(at(&own) < at(&below));
        let root = inode(&mounted, own.as_bytes());
        assert!(root.is_some());
        assert_eq!(all[at(&below)].root, root);
        assert_eq!(all[at(&own)].root, root);
        assert_eq!(all[at("/system.slice")].root, None);
        let mut found = Vec::new();
        find_all(&mounted, &[(root.unwrap(), u32::MAX), (u64::MAX, u32::MAX)], |cgroup| found.push(cgroup))
            .unwrap();
        assert_eq!(found, [all[at(&own)].clone()]);
    }

    #[test]
    fn a_path_does_not_lead_out_of_the_hierarchy() {
        let (_folder, mounted) = hierarchy(&["a"]);
        assert!(inode(&mounted, b"/a").is_some());
        assert_eq!(inode(&mounted, b"/../a"), None);
        assert_eq!(inode(&mounted, b"/a/../../etc"), None);
        assert_eq!(inode(&mounted, b"/cgroup.procs"), None);
    }

    #[test]
    fn the_real_hierarchy_has_this_process() {
        let Ok(mounted) = Mounted::detect() else { return };
        let Some(path) = of_process(&mounted, std::process::id()) else { return };
        let Some(id) = inode(&mounted, &path) else { return };
        assert_eq!(find(&mounted, id, std::process::id()).unwrap().unwrap().path, path);
    }
}
