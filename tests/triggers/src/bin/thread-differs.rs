//! A second thread installs a seccomp filter of its own; the first one has none of that. Needs `no_new_privs`.

use std::{io, thread};

use anyhow::{Context, Result, anyhow};
use nix::{libc, unistd::pause};

fn main() -> Result<()> {
    let second = thread::spawn(|| -> Result<()> {
        deny_swapon().context("cannot install the filter")?;
        loop {
            pause();
        }
    });
    // It comes back only if it failed.
    second.join().map_err(|_| anyhow!("the thread panicked"))?
}

/// EPERM for `swapon`, for this thread alone.
#[expect(unsafe_code, reason = "prctl with a pointer has no safe form")]
fn deny_swapon() -> io::Result<()> {
    // The number of the call is the first word of `struct seccomp_data`.
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_swapon as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its statements outlive the call, which copies them.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
