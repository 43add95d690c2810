//! The same through an io_uring, past the calls.

use std::{ffi::CString, io, net::SocketAddrV4, os::fd::AsRawFd as _};

use anyhow::Result;
use io_uring::{IoUring, opcode, squeue, types};
use nix::{
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrLike as _, socket},
};

/// Opens a file to read it.
pub(crate) fn open(path: &str) -> Result<()> {
    let path = CString::new(path)?;
    let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY).build();
    Ok(submit(&entry).map(drop)?)
}

/// Connects to a peer, `ADDRESS:PORT`.
pub(crate) fn connect(peer: &str) -> Result<()> {
    let address: SocketAddrV4 = peer.parse()?;
    let peer = SockaddrIn::from(address);
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?;
    let entry = opcode::Connect::new(types::Fd(socket.as_raw_fd()), peer.as_ptr(), peer.len()).build();
    Ok(submit(&entry).map(drop)?)
}

/// What the one operation returned.
fn submit(entry: &squeue::Entry) -> io::Result<i32> {
    let mut ring = IoUring::new(2)?;
    #[expect(unsafe_code, reason = "the kernel reads through the entry's pointers")]
    // SAFETY: what the entry points to is the caller's, who waits here until it is done.
    unsafe {
        ring.submission().push(entry).map_err(io::Error::other)?;
    }
    ring.submit_and_wait(1)?;
    match ring.completion().next().map(|done| done.result()) {
        Some(result @ 0..) => Ok(result),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
