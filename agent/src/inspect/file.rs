//! Files of the kernel, read up to a bound.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use super::{NotRead, Read};

/// What was read of a file, and whether that is all of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) is_whole: bool,
}

// Environments go through here.
impl std::fmt::Debug for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Text({} bytes, whole: {})", self.bytes.len(), self.is_whole)
    }
}

/// The first `most` bytes of a file.
pub(super) fn front(path: &Path, most: usize) -> Read<Text> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| why(&error))?;
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes).map_err(|error| why(&error))?;
    let is_whole = bytes.len() <= most;
    bytes.truncate(most);
    Ok(Text { bytes, is_whole })
}

/// A file of at most `most` bytes.
pub(super) fn whole(path: &Path, most: usize) -> Read<Vec<u8>> {
    let text = front(path, most)?;
    if text.is_whole { Ok(text.bytes) } else { Err(NotRead::TooMuch) }
}

/// The first `most` bytes of a file of a process, in `proc` as `/proc` is mounted.
pub(super) fn of_process(proc: &Path, tgid: u32, name: &str, most: usize) -> Read<Text> {
    let folder = proc.join(tgid.to_string());
    front(&folder.join(name), most).map_err(|why| match why {
        NotRead::NotThere if !folder.exists() => NotRead::Gone,
        other => other,
    })
}

/// As a reason.
pub(super) fn why(error: &io::Error) -> NotRead {
    /// errno(3): of a process, and of a cgroup, that went meanwhile.
    const GONE: [i32; 2] = [nix::libc::ESRCH, nix::libc::ENODEV];
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NotRead::NotThere,
        io::ErrorKind::PermissionDenied => NotRead::NotPermitted,
        _ if error.raw_os_error().is_some_and(|number| GONE.contains(&number)) => NotRead::Gone,
        // A controller that the kernel was built without.
        _ if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => NotRead::NotThere,
        _ => NotRead::NotUnderstood,
    }
}
