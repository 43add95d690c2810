//! Typed views of records, borrowed from the ring.

use agent_abi::record;

/// One record, checked.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A new process.
    Fork(&'a record::Fork),
    /// A process' image: at exec, or found by the scan.
    Exec(Exec<'a>),
    /// The end of a process.
    Exit(&'a record::Exit),
    /// A cgroup made, removed or joined.
    Cgroup(Cgroup<'a>),
    /// A call that may have changed what a task may do.
    Credentials(Credentials<'a>),
    /// An opened file.
    Open(Open<'a>),
}

impl Event<'_> {
    /// The record's header.
    #[must_use]
    pub fn header(&self) -> &record::Header {
        match self {
            Self::Fork(fork) => &fork.header,
            Self::Exec(exec) => &exec.record.header,
            Self::Exit(exit) => &exit.header,
            Self::Cgroup(cgroup) => &cgroup.record.header,
            Self::Credentials(credentials) => &credentials.record.header,
            Self::Open(open) => &open.record.header,
        }
    }
}

/// Why an [`Exec`] was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// The task has just replaced its image.
    Exec,
    /// The task was there when the agent started (or a rescan came by). Never overwrites what a
    /// later event said.
    Scan,
}

/// A process' image and state.
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    /// The fixed part.
    pub record: &'a record::Exec,
    /// Exec or scan.
    pub source: ImageSource,
    /// Path of the executable.
    pub exe: PathComponents<'a>,
    /// Arguments; empty in a scan and in a shrunk record.
    pub argv: Strings<'a>,
    /// Path as given to `execve`.
    pub filename: &'a [u8],
    /// Working directory.
    pub cwd: PathComponents<'a>,
    /// The kernel's own bitmap of system calls that the task's seccomp filters allow whatever
    /// their arguments; `None` where there is no filter or the kernel keeps none.
    pub seccomp_allow: Option<&'a [u8]>,
}

/// What happened to a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupChange {
    /// Made.
    Mkdir,
    /// Removed.
    Rmdir,
    /// A task was moved into it.
    Attach,
}

/// A cgroup event.
#[derive(Clone, Copy, Debug)]
pub struct Cgroup<'a> {
    /// The fixed part.
    pub record: &'a record::Cgroup,
    /// What happened.
    pub change: CgroupChange,
    /// Path below the hierarchy's root, with a leading `/`.
    pub path: &'a [u8],
}

/// A credential change.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The fixed part: the state after the call.
    pub record: &'a record::Credentials,
    /// As [`Exec::seccomp_allow`].
    pub seccomp_allow: Option<&'a [u8]>,
}

/// An opened file.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// The fixed part.
    pub record: &'a record::Open,
    /// Path of the file.
    pub path: PathComponents<'a>,
}

/// NUL-terminated strings one after the other; the last NUL may have been cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strings<'a>(pub &'a [u8]);

impl<'a> Strings<'a> {
    /// The strings in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let bytes = self.0.strip_suffix(b"\0").unwrap_or(self.0);
        let empty = self.0.is_empty();
        bytes.split(|&byte| byte == 0).filter(move |_| !empty)
    }
}

/// A path as the kernel's walk found it: components from leaf to root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathComponents<'a>(pub Strings<'a>);

impl PathComponents<'_> {
    /// Writes the path from root to leaf into `path`, replacing what it held. A path whose walk
    /// stopped early is the caller's to mark (`file_flag::PATH_TRUNCATED`).
    pub fn write_to(&self, path: &mut Vec<u8>) {
        path.clear();
        for component in self.0.iter().rev() {
            path.push(b'/');
            // The root by itself: no other component has a slash in it.
            if component != b"/" {
                path.extend_from_slice(component);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_run_from_root_to_leaf() {
        let path = |bytes: &'static [u8]| {
            let mut path = vec![b'x'];
            PathComponents(Strings(bytes)).write_to(&mut path);
            String::from_utf8(path).unwrap()
        };
        assert_eq!(path(b"sh\0bin\0usr\0"), "/usr/bin/sh");
        assert_eq!(path(b"/\0"), "/");
        assert_eq!(path(b"memfd:x\0"), "/memfd:x");
        assert_eq!(path(b""), "");
    }
}
