//! Which cgroup hierarchy tells containers apart on this node.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// The hierarchy that container identities are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// The v2 hierarchy: alone, or beside v1 controllers where the runtime uses it too.
    V2,
    /// The v1 hierarchy of the pids controller.
    V1Pids {
        /// Its `hierarchy_id`.
        id: u32,
    },
}

/// Why the hierarchy is not known.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// A file of /proc could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No cgroup file system at all.
    #[error("no cgroup hierarchy is mounted: mount cgroup2 at /sys/fs/cgroup")]
    NotMounted,
}

/// Where the v2 hierarchy is mounted, if it is: its own root, not that of a cgroup namespace, whose
/// programs would see their own subtree alone.
///
/// # Errors
/// Why there is no such mount, in words.
pub fn v2_root() -> Result<PathBuf, String> {
    /// Inode of a hierarchy's root (fs/kernfs/dir.c: ids are given from 1).
    const ROOT_INODE: u64 = 1;
    let mounts = read("/proc/self/mounts").map_err(|error| error.to_string())?;
    let mounted: Vec<PathBuf> = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.get(2) == Some(&"cgroup2"))
        .map(|fields| PathBuf::from(fields[1]))
        .collect();
    let is_root = |path: &&PathBuf| fs::metadata(path).is_ok_and(|root| root.ino() == ROOT_INODE);
    match mounted.iter().find(is_root) {
        Some(root) => Ok(root.clone()),
        None if mounted.is_empty() => Err("no cgroup2 hierarchy is mounted".to_owned()),
        None => Err("only a part of the cgroup2 hierarchy is mounted, not its root".to_owned()),
    }
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Which.
    pub hierarchy: Hierarchy,
    /// Its mount point.
    pub root: PathBuf,
}

impl Hierarchy {
    /// `hierarchy_id` in the kernel: 0 for v2.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::V2 => 0,
            Self::V1Pids { id } => id,
        }
    }
}

impl Mounted {
    /// Chooses: v2 where it is mounted alone or is used beside v1 controllers, else the pids
    /// controller's hierarchy.
    ///
    /// # Errors
    /// When neither is mounted.
    pub fn detect() -> Result<Self, CgroupError> {
        let mounts = read("/proc/self/mounts")?;
        let cgroups = read("/proc/cgroups")?;
        Self::choose(&mounts, &cgroups, has_children).ok_or(CgroupError::NotMounted)
    }

    fn choose(mounts: &str, cgroups: &str, has_children: impl Fn(&Path) -> bool) -> Option<Self> {
        let mounted = |wanted: fn(&[&str]) -> bool| {
            mounts.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                (fields.len() >= 4 && wanted(&fields)).then(|| PathBuf::from(fields[1]))
            })
        };
        let v2 = mounted(|fields| fields[2] == "cgroup2");
        let pids =
            mounted(|fields| fields[2] == "cgroup" && fields[3].split(',').any(|option| option == "pids"));
        let pids_id = cgroups.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next()? == "pids").then(|| fields.next()?.parse::<u32>().ok())?
        });
        match (v2, pids, pids_id) {
            // Some hybrid hosts mount v2 and put nothing into it.
            (Some(v2), Some(pids), Some(id)) if id != 0 && !has_children(&v2) && has_children(&pids) => {
                Some(Self { hierarchy: Hierarchy::V1Pids { id }, root: pids })
            }
            (Some(v2), _, _) => Some(Self { hierarchy: Hierarchy::V2, root: v2 }),
            (None, Some(pids), Some(id)) => Some(Self { hierarchy: Hierarchy::V1Pids { id }, root: pids }),
            _ => None,
        }
    }
}

fn read(path: &'static str) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(|source| CgroupError::Read { path, source })
}

fn has_children(root: &Path) -> bool {
    fs::read_dir(root).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_type().is_ok_and(|file_type| file_type.is_dir()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CGROUPS: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\npids\t9\t4\t1\n";

    #[test]
    fn takes_v2_where_it_is_alone() {
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let mounted = Mounted::choose(mounts, "pids\t0\t80\t1\n", |_| true).unwrap();
        assert_eq!(mounted, Mounted { hierarchy: Hierarchy::V2, root: "/sys/fs/cgroup".into() });
    }

    #[test]
    fn takes_v2_in_a_hybrid_layout_that_uses_it() {
        let mounts =
            "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(Mounted::choose(mounts, CGROUPS, |_| true).unwrap().hierarchy, Hierarchy::V2);
    }

    #[test]
    fn takes_the_pids_controller_where_v2_is_empty_or_absent() {
        let hybrid =
            "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let empty = |path: &Path| path.ends_with("pids");
        assert_eq!(Mounted::choose(hybrid, CGROUPS, empty).unwrap().hierarchy, Hierarchy::V1Pids { id: 9 });
        let v1 = "cgroup /sys/fs/cgroup/pids cgroup rw,nosuid,pids 0 0\n";
        let mounted = Mounted::choose(v1, CGROUPS, |_| true).unwrap();
        assert_eq!(mounted.hierarchy, Hierarchy::V1Pids { id: 9 });
        assert_eq!(mounted.root, PathBuf::from("/sys/fs/cgroup/pids"));
    }

    #[test]
    fn says_when_nothing_is_mounted() {
        assert_eq!(Mounted::choose("proc /proc proc rw 0 0\n", CGROUPS, |_| true), None);
    }
}
