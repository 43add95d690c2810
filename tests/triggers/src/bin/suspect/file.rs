//! Files.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::Result;
use nix::libc;

/// Longest handle (`MAX_HANDLE_SZ`).
const HANDLE: usize = 128;

/// `struct file_handle` with its room.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    data: [u8; HANDLE],
}

/// Reads a file.
pub(crate) fn read(path: &str) -> Result<()> {
    fs::read(path)?;
    Ok(())
}

/// Opens a file for writing, and makes it if it is not there.
pub(crate) fn write(path: &str) -> Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    Ok(())
}

/// Opens a file of a mount by its handle.
pub(crate) fn by_handle(mount: &str, path: &str) -> Result<()> {
    let mount = File::open(mount)?;
    let mut handle = Handle { bytes: HANDLE as u32, kind: 0, data: [0; HANDLE] };
    name_to_handle(&CString::new(path)?, &mut handle)?;
    open_by_handle(&mount, &mut handle)?;
    Ok(())
}

#[expect(unsafe_code, reason = "there is no safe form")]
fn name_to_handle(path: &CString, handle: &mut Handle) -> io::Result<()> {
    let mut mount = 0;
    // SAFETY: the path ends with a zero, and the handle says how much room it has.
    let result = unsafe {
        libc::name_to_handle_at(libc::AT_FDCWD, path.as_ptr(), (&raw mut *handle).cast(), &raw mut mount, 0)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[expect(unsafe_code, reason = "there is no safe form")]
fn open_by_handle(mount: &File, handle: &mut Handle) -> io::Result<OwnedFd> {
    // SAFETY: the kernel filled the handle, and only reads it here.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut *handle).cast(), libc::O_RDONLY) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
