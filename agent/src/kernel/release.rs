//! Lets pinned links go, a few at a time.
//!
//! A link whose last holder is a pin is freed by a work item of the kernel's own (`bpf_link_put_deferred`).
//! At the exit of a function that item takes ftrace's lock, whose holder waits for a grace period that needs a
//! work item of the same queue to run on each CPU. Of that queue 256 items at most run on a CPU
//! (`WQ_DFL_ACTIVE`, include/linux/workqueue.h, in Linux 6.12): as many links at once, and that grace period
//! never ends; nothing on the node is loaded, attached or freed any more. A link whose last holder is an open
//! descriptor is freed by whoever closes it, and that is what happens here (docs/adr/0013).

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::thread::{MembarrierCommand, membarrier};

use super::{
    bpf::open_pin,
    pins::{PinError, children, remove_pin},
};

/// Pins of links begin with it.
pub(super) const LINK: &str = "link_";

/// Links at a time: were all of them freed by work items after all, there would be room for as many again.
const AT_A_TIME: usize = 64;

/// A grace period where none can be asked for (`nohz_full`); most take a few milliseconds.
const GRACE: Duration = Duration::from_millis(50);

/// Removes pins of links: what nobody else holds detaches, before this returns.
pub(super) fn remove_links(pins: &[PathBuf]) -> Result<(), PinError> {
    for pins in pins.chunks(AT_A_TIME) {
        let held: Vec<OwnedFd> = pins.iter().filter_map(|pin| open_pin(pin)).collect();
        pins.iter().try_for_each(|pin| remove_pin(pin))?;
        // A pin lets go of its link a grace period after its file is gone.
        if membarrier(MembarrierCommand::Global).is_err() {
            thread::sleep(GRACE);
        }
        drop(held);
    }
    Ok(())
}

/// Removes a folder with all pins in it.
pub(super) fn remove_tree(path: &Path) -> Result<(), PinError> {
    if is_folder(path) {
        remove_links(&links_below(path)?)?;
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.map_err(|source| PinError::File { what: "remove", path: path.to_path_buf(), source })
        }
    }
}

fn links_below(folder: &Path) -> Result<Vec<PathBuf>, PinError> {
    let mut links = Vec::new();
    for path in children(folder)? {
        if is_folder(&path) {
            links.append(&mut links_below(&path)?);
        } else if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(LINK)) {
            links.push(path);
        }
    }
    Ok(links)
}

/// Not by way of a symbolic link, which the file system of pins has too: what it leads to is others'.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}
