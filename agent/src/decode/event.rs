//! Typed views of records, borrowed from the ring.

use agent_abi::record::{self, path_flag};

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
    /// A call that opened a file, or worked on an open one.
    File(FileCall<'a>),
    /// A call that named files by their paths.
    Path(PathCall<'a>),
    /// Any other call.
    Plain(PlainCall<'a>),
    /// A call on a socket.
    Socket(SocketCall<'a>),
    /// An internet socket changed its state.
    SocketState(&'a record::SocketState),
    /// First bytes of a connection, or a DNS message.
    Packet(Packet<'a>),
    /// The kernel kills a process for its memory.
    OomKill(&'a record::OomKill),
    /// A signal for the agent.
    Signal(&'a record::Signal),
    /// An operation of an io_uring is done.
    UringDone(&'a record::UringDone),
    /// A kernel parameter is written.
    Sysctl(Sysctl<'a>),
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
            Self::File(file) => &file.record.header,
            Self::Path(path) => &path.record.header,
            Self::Plain(plain) => &plain.record.header,
            Self::Socket(socket) => &socket.record.header,
            Self::SocketState(state) => &state.header,
            Self::Packet(packet) => &packet.record.header,
            Self::OomKill(kill) => &kill.header,
            Self::Signal(signal) => &signal.header,
            Self::UringDone(done) => &done.header,
            Self::Sysctl(sysctl) => &sysctl.record.header,
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
    pub exe: &'a [u8],
    /// Arguments; empty in a scan and in a shrunk record.
    pub argv: Strings<'a>,
    /// Path as given to `execve`.
    pub filename: &'a [u8],
    /// Working directory.
    pub cwd: &'a [u8],
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
    /// Renamed.
    Rename,
    /// Its last reference is gone.
    Release,
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

/// A call that opened a file, or worked on an open one.
#[derive(Clone, Copy, Debug)]
pub struct FileCall<'a> {
    /// The fixed part.
    pub record: &'a record::FileCall,
    /// Path of the file. Without its front where [`record::file_flag::PATH_TRUNCATED`] says so.
    pub path: &'a [u8],
    /// Bytes of the caller's.
    pub text: &'a [u8],
}

/// A path as a call named it.
#[derive(Clone, Copy, Debug)]
pub struct NamedPath<'a> {
    /// The fixed part.
    pub record: &'a record::PathRef,
    /// What the name starts at.
    pub base: &'a [u8],
    /// The name as given.
    pub name: &'a [u8],
    /// The caller's root, where that is not the root of its mount namespace; else empty.
    pub root: &'a [u8],
}

/// A call that named files by their paths.
#[derive(Clone, Copy, Debug)]
pub struct PathCall<'a> {
    /// The fixed part.
    pub record: &'a record::PathCall,
    /// First path.
    pub from: NamedPath<'a>,
    /// Second path; of grade [`record::grade::NONE`] where the call has none.
    pub to: NamedPath<'a>,
    /// Bytes of the caller's.
    pub text: &'a [u8],
}

/// A call of which the arguments say it all.
#[derive(Clone, Copy, Debug)]
pub struct PlainCall<'a> {
    /// The fixed part.
    pub record: &'a record::PlainCall,
    /// Bytes of the caller's.
    pub text: &'a [u8],
}

/// A call on a socket.
#[derive(Clone, Copy, Debug)]
pub struct SocketCall<'a> {
    /// The fixed part.
    pub record: &'a record::SocketCall,
    /// `struct sockaddr` as the caller gave it.
    pub given: &'a [u8],
    /// Path of a unix socket as the kernel holds it.
    pub path: &'a [u8],
}

/// First bytes of a connection, or a DNS message.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The fixed part.
    pub record: &'a record::Packet,
    /// The first bytes of the payload.
    pub payload: &'a [u8],
}

/// A kernel parameter is written.
#[derive(Clone, Copy, Debug)]
pub struct Sysctl<'a> {
    /// The fixed part.
    pub record: &'a record::Sysctl,
    /// Its name.
    pub name: &'a [u8],
    /// The new value.
    pub value: &'a [u8],
}

impl NamedPath<'_> {
    /// Writes the absolute path into `path`, replacing what it held: the name after its base, with
    /// `.`, `..` and doubled slashes resolved by text. Symbolic links are as named. Empty where the
    /// call has no name; where it is not known what a name starts at, the name as it is.
    pub fn write_to(&self, path: &mut Vec<u8>) {
        path.clear();
        if self.record.flags & path_flag::NAME_NOT_READ != 0 {
            return;
        }
        if self.record.flags & path_flag::BASE_NOT_READ != 0 {
            path.extend_from_slice(self.name);
            return;
        }
        path.extend_from_slice(if self.base == b"/" { b"" } else { self.base });
        let floor = self.floor(path);
        for component in self.name.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => {
                    // A root has no parent, neither the namespace's nor that of a chroot.
                    let parent = path.iter().rposition(|&byte| byte == b'/').unwrap_or_default();
                    path.truncate(parent.max(floor));
                }
                component => {
                    path.push(b'/');
                    path.extend_from_slice(component);
                }
            }
        }
        if path.is_empty() && !(self.base.is_empty() && self.name.is_empty()) {
            path.push(b'/');
        }
    }
}

impl NamedPath<'_> {
    /// Bytes of `base` that no `..` leaves.
    fn floor(&self, base: &[u8]) -> usize {
        if self.name.starts_with(b"/") {
            return base.len();
        }
        match base.strip_prefix(self.root) {
            // What lies outside of its root a task has by a descriptor from before; there `..` ends
            // at the namespace's.
            Some([] | [b'/', ..]) => self.root.len(),
            _ => 0,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &[u8], name: &[u8]) -> String {
        joined_in(b"", 0, base, name)
    }

    fn joined_in(root: &[u8], flags: u32, base: &[u8], name: &[u8]) -> String {
        let record = record::PathRef { flags, ..record::PathRef::default() };
        let mut path = vec![b'x'];
        NamedPath { record: &record, base, name, root }.write_to(&mut path);
        String::from_utf8(path).unwrap()
    }

    #[test]
    fn names_are_joined_to_what_they_start_at() {
        assert_eq!(joined(b"/srv", b"a/b"), "/srv/a/b");
        assert_eq!(joined(b"/", b"/etc/passwd"), "/etc/passwd");
        assert_eq!(joined(b"/", b"etc"), "/etc");
        assert_eq!(joined(b"/srv", b""), "/srv");
        assert_eq!(joined(b"/", b""), "/");
        assert_eq!(joined(b"/", b"/"), "/");
        assert_eq!(joined(b"", b""), "");
    }

    #[test]
    fn dots_are_resolved_and_end_at_the_root() {
        assert_eq!(joined(b"/srv/a", b"../b/./c//d/"), "/srv/b/c/d");
        assert_eq!(joined(b"/srv", b"../../../etc"), "/etc");
        assert_eq!(joined(b"/srv", b".."), "/");
        // An absolute name in a chroot stays in it.
        assert_eq!(joined(b"/jail", b"/../../etc"), "/jail/etc");
    }

    #[test]
    fn no_dots_leave_a_root_but_for_what_lies_outside_of_it() {
        assert_eq!(joined_in(b"/jail", 0, b"/jail/a", b"../../../etc"), "/jail/etc");
        assert_eq!(joined_in(b"/jail", 0, b"/jail", b".."), "/jail");
        assert_eq!(joined_in(b"/jail", 0, b"/srv/a", b"../../etc"), "/etc");
        assert_eq!(joined_in(b"/jail", 0, b"/jailed/a", b"../../etc"), "/etc");
    }

    #[test]
    fn what_was_not_read_is_no_path() {
        assert_eq!(joined_in(b"", path_flag::NAME_NOT_READ, b"/srv", b""), "");
        assert_eq!(joined_in(b"", path_flag::BASE_NOT_READ, b"", b"a/../b"), "a/../b");
    }
}
