//! Of debuggers.

use std::process::Command;

use anyhow::Result;
use nix::{
    errno::Errno,
    sys::{
        ptrace,
        signal::{Signal, kill},
    },
    unistd::Pid,
};

/// Asks to be traced.
pub(crate) fn traceme() -> Result<()> {
    Ok(ptrace::traceme()?)
}

/// Attaches to a child of its own.
pub(crate) fn attach() -> Result<()> {
    let mut child = Command::new("/bin/sleep").arg("60").spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let attached = ptrace::seize(pid, ptrace::Options::empty());
    kill(pid, Signal::SIGKILL)?;
    child.wait()?;
    match attached {
        // The child is gone with its tracee.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
