//! `clone-into-cgroup FOLDER PROGRAM [ARGUMENT…]`: starts a program that is born in a control group, by `clone3`
//! with `CLONE_INTO_CGROUP`, which raises no attach event. Prints its pid, waits for it, and exits with its code.
#![allow(clippy::print_stdout, reason = "the pid is for the test that reads it")]

use std::{env, fs::File, os::fd::AsRawFd, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    libc,
    sys::wait::{WaitStatus, waitpid},
    unistd::Pid,
};

/// The constant in libc 0.2 is too narrow for its value.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn main() -> Result<std::process::ExitCode> {
    let mut args = env::args_os().skip(1);
    let folder = args.next().context("no control group folder given")?;
    let mut command = Command::new(args.next().context("no program given")?);
    command.args(args);
    let group = File::open(&folder).with_context(|| format!("cannot open {}", folder.display()))?;

    match clone_into(&group)? {
        None => Err(command.exec()).context("cannot start the program"),
        Some(child) => {
            println!("{child}");
            match waitpid(child, None)? {
                WaitStatus::Exited(_, code) => Ok(u8::try_from(code)?.into()),
                other => bail!("the program ended with {other:?}"),
            }
        }
    }
}

/// Forks; the child (`None`) is in the control group from the start.
#[expect(unsafe_code, reason = "no crate wraps clone3")]
fn clone_into(group: &File) -> Result<Option<Pid>> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = u64::try_from(libc::SIGCHLD)?;
    args.cgroup = u64::try_from(group.as_raw_fd())?;
    // SAFETY: without CLONE_VM this is a fork; the process has one thread, so the child may run any code.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match i32::try_from(Errno::result(pid)?)? {
        0 => Ok(None),
        child => Ok(Some(Pid::from_raw(child))),
    }
}
