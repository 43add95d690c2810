//! Code for the kernel.

use std::{ffi::CStr, fs::File, io};

use anyhow::{Context as _, Result, ensure};
use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
    libc,
};

/// `BPF_PROG_LOAD` and `BPF_PROG_TYPE_SOCKET_FILTER`.
const PROG_LOAD: libc::c_long = 5;
const SOCKET_FILTER: u32 = 1;
/// `r0 = 0; exit`.
const PROGRAM: [u64; 2] = [0xb7, 0x95];

/// The front of `union bpf_attr` as `BPF_PROG_LOAD` takes it.
#[repr(C)]
struct ProgLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// Asks for a file to be loaded as a module, which the kernel has to refuse.
pub(crate) fn load_module(path: &str) -> Result<()> {
    let result = finit_module(File::open(path)?, c"", ModuleInitFlags::empty());
    ensure!(matches!(result, Err(Errno::ENOEXEC | Errno::ENOSYS | Errno::EINVAL)), "{result:?}");
    Ok(())
}

/// Loads a program of BPF that does nothing, and lets go of it.
pub(crate) fn load_bpf() -> Result<()> {
    const LICENSE: &CStr = c"GPL";
    let attributes = ProgLoad {
        kind: SOCKET_FILTER,
        count: PROGRAM.len() as u32,
        instructions: PROGRAM.as_ptr().expose_provenance() as u64,
        license: LICENSE.as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    #[expect(unsafe_code, reason = "there is no safe form")]
    // SAFETY: program and license are static, and the kernel is told the size of what it reads.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attributes, size_of::<ProgLoad>()) };
    if result < 0 { Err(io::Error::last_os_error()).context("bpf") } else { Ok(()) }
}
