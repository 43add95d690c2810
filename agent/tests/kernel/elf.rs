//! The smallest programs: they end at once, with a status of their own.

use std::os::unix::fs::PermissionsExt as _;

use nix::libc;

/// Writes a program that ends with `status`. One segment holds header and code (elf(5)).
pub(crate) fn write(path: &str, status: u8) {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    // mov edi, status; mov eax, 231 (exit_group); syscall
    let code = [0xbf, status, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
    let size = HEADERS + code.len() as u64;
    let words = |words: &[u64]| words.iter().copied().flat_map(u64::to_le_bytes).collect::<Vec<_>>();
    let mut program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, EM_X86_64, version 1.
    program.extend(words(&[0x1_003e_0002, BASE + HEADERS, 64, 0]));
    // No flags, sizes of the headers, one segment.
    program.extend(words(&[0x0038_0040_0000_0000, 0x0000_0000_0040_0001]));
    // PT_LOAD, readable and executable.
    program.extend(words(&[0x5_0000_0001, 0, BASE, BASE, size, size, 4096]));
    program.extend(code);
    std::fs::write(path, program).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs the program whose path is at `address`, in a child that shares the memory of the caller until
/// it has another; its pid and status.
pub(crate) fn spawn(address: u64) -> (u32, u32) {
    let (mut pid, mut status) = (0, 0);
    let argv = [address as *mut libc::c_char, std::ptr::null_mut()];
    let environment = [std::ptr::null_mut()];
    // SAFETY: the path and both lists end with a NUL; what other threads change of the path is never
    // that.
    #[expect(unsafe_code, reason = "libraries copy the path first")]
    unsafe {
        let error = libc::posix_spawn(
            &raw mut pid,
            address as *const _,
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            environment.as_ptr(),
        );
        assert_eq!(error, 0);
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
    }
    assert!(libc::WIFEXITED(status));
    (pid.unsigned_abs(), libc::WEXITSTATUS(status).unsigned_abs())
}
