//! Memory of other processes, and who handles their faults.

use std::io::{self, IoSlice, IoSliceMut};

use anyhow::{Context as _, Result, ensure};
use nix::{
    libc,
    sys::{
        signal::{Signal, kill},
        uio::{RemoteIoVec, process_vm_readv, process_vm_writev},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork, pause},
};

/// `UFFD_USER_MODE_ONLY`: what an ordinary user may have.
const USER_MODE_ONLY: libc::c_long = 1;

/// Reads memory of a child of its own.
pub(crate) fn read() -> Result<()> {
    of_a_child(|child, theirs| {
        let mut bytes = [0; 8];
        process_vm_readv(child, &mut [IoSliceMut::new(&mut bytes)], &[theirs])
    })
}

/// Writes memory of a child of its own.
pub(crate) fn write() -> Result<()> {
    of_a_child(|child, theirs| process_vm_writev(child, &[IoSlice::new(&[1; 8])], &[theirs]))
}

/// A copy of this process has everything at the same addresses.
fn of_a_child(act: impl FnOnce(Pid, RemoteIoVec) -> nix::Result<usize>) -> Result<()> {
    let shared = Box::new([0_u8; 8]);
    let theirs = RemoteIoVec { base: shared.as_ptr().addr(), len: shared.len() };
    #[expect(unsafe_code, reason = "another program would not tell its addresses")]
    // SAFETY: there is one thread, and the child does nothing but wait to be killed.
    let forked = unsafe { fork() }?;
    let ForkResult::Parent { child } = forked else {
        loop {
            pause();
        }
    };
    let moved = act(child, theirs);
    kill(child, Signal::SIGKILL)?;
    waitpid(child, None)?;
    ensure!(moved? == shared.len(), "not all of it");
    Ok(())
}

/// Asks for a descriptor that stops the kernel at page faults.
pub(crate) fn page_faults() -> Result<()> {
    #[expect(unsafe_code, reason = "there is no safe form")]
    // SAFETY: it takes flags and nothing else; what it gives is closed by the end of this process.
    let result =
        unsafe { libc::syscall(libc::SYS_userfaultfd, libc::c_long::from(libc::O_CLOEXEC) | USER_MODE_ONLY) };
    if result < 0 { Err(io::Error::last_os_error()).context("userfaultfd") } else { Ok(()) }
}
