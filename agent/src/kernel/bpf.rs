//! The system call `bpf`, for what aya does with more than is needed, or keeps for itself.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use nix::libc;

/// Commands of `bpf` (include/uapi/linux/bpf.h, `enum bpf_cmd`).
const PROG_LOAD: libc::c_int = 5;
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const LINK_CREATE: libc::c_int = 28;

/// Where in a cgroup (`enum bpf_attach_type`).
#[repr(u32)]
#[derive(Clone, Copy)]
pub(super) enum Attach {
    /// `BPF_CGROUP_SYSCTL`.
    Sysctl = 18,
}

/// Attaches a program to a cgroup, beside those of others (`BPF_LINK_CREATE`, 5.7).
pub(super) fn link_to_cgroup(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    attach: Attach,
) -> io::Result<OwnedFd> {
    /// Head of `union bpf_attr.link_create`.
    #[repr(C)]
    struct Attributes {
        program: i32,
        target: i32,
        attach: u32,
        flags: u32,
    }
    let attributes = Attributes {
        program: program.as_raw_fd(),
        target: cgroup.as_raw_fd(),
        attach: attach as u32,
        flags: 0,
    };
    bpf(LINK_CREATE, &attributes).map(made)
}

/// Head of `union bpf_attr` for pins.
#[repr(C)]
struct Pin {
    path: u64,
    object: u32,
    flags: u32,
}

/// Keeps a link when this process is gone.
pub(super) fn pin_link(link: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let object = link.as_raw_fd().unsigned_abs();
    bpf(OBJ_PIN, &Pin { path: path.as_ptr() as u64, object, flags: 0 }).map(|_| ())
}

/// A program by its pin, as a plain file descriptor: aya asks for its types by their id on top,
/// which takes `CAP_SYS_ADMIN`.
pub(super) fn open_pin(path: &Path) -> Option<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    bpf(OBJ_GET, &Pin { path: path.as_ptr() as u64, object: 0, flags: 0 }).map(made).ok()
}

/// Loads `r0 = 0; exit` for the exit of a function.
pub(super) fn load_empty_exit(function: u32) -> io::Result<OwnedFd> {
    const TRACING: u32 = 26;
    const FEXIT: u32 = 25;
    /// Of `union bpf_attr`, the part of `BPF_PROG_LOAD`.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log: [u32; 4],
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: u64,
        line_info_cnt: u32,
        attach_btf_id: u32,
        attach_prog_fd: u32,
        reserved: u32,
    }
    /// `BPF_ALU64 | BPF_MOV | BPF_K` and `BPF_JMP | BPF_EXIT`.
    const INSTRUCTIONS: [u64; 2] = [0xb7, 0x95];
    let attributes = Attributes {
        prog_type: TRACING,
        insn_cnt: INSTRUCTIONS.len() as u32,
        insns: INSTRUCTIONS.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: FEXIT,
        attach_btf_id: function,
        ..Attributes::default()
    };
    bpf(PROG_LOAD, &attributes).map(made)
}

/// Attaches such a program for as long as the link is open.
pub(super) fn attach_exit(program: &OwnedFd) -> io::Result<OwnedFd> {
    /// Of `union bpf_attr`, the part of `BPF_RAW_TRACEPOINT_OPEN`.
    #[repr(C)]
    struct Attributes {
        name: u64,
        program: i32,
        reserved: u32,
    }
    bpf(RAW_TRACEPOINT_OPEN, &Attributes { name: 0, program: program.as_raw_fd(), reserved: 0 }).map(made)
}

/// What a call has made.
fn made(number: i32) -> OwnedFd {
    // SAFETY: a new file descriptor that nobody else has.
    #[expect(unsafe_code, reason = "the call gives a plain number")]
    unsafe {
        OwnedFd::from_raw_fd(number)
    }
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<i32> {
    // SAFETY: the pointer is good for the call, which writes nothing there with these commands.
    #[expect(unsafe_code, reason = "a system call that no dependency offers alone")]
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
