//! The host's own mounts, read again when they have changed.
//!
//! They have to be as new as the container that is looked into: numbers of devices are given again, and what
//! an old list has under one is another's by now. The kernel tells that the list has changed by an event on the
//! open file (`mounts_poll` in fs/proc_namespace.c), so a node at rest does not pay for a list each time.

use std::fs::File;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{
    NotRead, Read,
    mounts::{HostMounts, not_read},
};

#[derive(Debug, Default)]
pub(super) struct HostWatch(Option<(File, Read<HostMounts>)>);

impl HostWatch {
    /// As they are now.
    pub(super) fn now(&mut self) -> Result<&HostMounts, NotRead> {
        if self.0.as_ref().is_none_or(|(file, mounts)| mounts.is_err() || has_changed(file)) {
            // Opened before it is read: what changes meanwhile is an event.
            let file = File::open("/proc/1/mountinfo").map_err(|error| not_read(&error))?;
            has_changed(&file);
            self.0 = Some((file, HostMounts::read()));
        }
        match &self.0 {
            Some((_, Ok(mounts))) => Ok(mounts),
            Some((_, Err(why))) => Err(*why),
            None => Err(NotRead::NotThere),
        }
    }
}

fn has_changed(file: &File) -> bool {
    use std::os::fd::AsFd as _;
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(0) => false,
        // An error of poll itself: better read once more.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use nix::mount::{MsFlags, mount, umount};

    use super::*;

    #[test]
    fn a_change_is_seen_and_rest_is_not() {
        let Ok(file) = File::open("/proc/self/mountinfo") else {
            println!("skipped: no mountinfo");
            return;
        };
        has_changed(&file);
        let folder = tempfile::tempdir().unwrap();
        let none: Option<&str> = None;
        if let Err(error) = mount(Some("none"), folder.path(), Some("tmpfs"), MsFlags::empty(), none) {
            println!("skipped: cannot mount: {error}");
            return;
        }
        assert!(has_changed(&file));
        umount(folder.path()).unwrap();
        assert!(has_changed(&file));
    }
}
