//! What aya does with more than is needed, or keeps for itself: links and pins by the system call.

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
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;
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
    let link = bpf(LINK_CREATE, &attributes)?;
    // SAFETY: a new file descriptor that nobody else has.
    #[expect(unsafe_code, reason = "the call gives a plain number")]
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
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
    let program = bpf(OBJ_GET, &Pin { path: path.as_ptr() as u64, object: 0, flags: 0 }).ok()?;
    // SAFETY: a new file descriptor that nobody else has.
    #[expect(unsafe_code, reason = "the call gives a plain number")]
    Some(unsafe { OwnedFd::from_raw_fd(program) })
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
