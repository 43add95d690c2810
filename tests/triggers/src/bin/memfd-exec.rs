//! `memfd-exec PROGRAM [ARGUMENT…]`: becomes a copy of a program that is in memory only.

use std::{
    env, fs, io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use anyhow::{Context, Result};
use nix::libc;

fn main() -> Result<()> {
    let mut args = env::args_os().skip(1);
    let program = args.next().context("usage: memfd-exec PROGRAM [ARGUMENT…]")?;
    let file = memfd()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::write(&path, fs::read(&program)?)?;
    Err(Command::new(path).args(args).exec()).context("cannot start the copy")
}

/// Closed by the exec that it is for.
#[expect(unsafe_code, reason = "no safe form without a feature that nothing else needs")]
fn memfd() -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string that lives as long as the program.
    let file = unsafe { libc::memfd_create(c"copy".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(file) })
}
