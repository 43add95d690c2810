//! Names of flags and numbers, as Falco prints them (libs 0.24, `flags_table.c`); the numbers are the kernel's.

/// Bits with names.
pub(super) type Flags = &'static [(u64, &'static str)];

/// Appends the names of the bits that are set, with `|` between.
pub(super) fn write(flags: Flags, value: u64, out: &mut Vec<u8>) {
    for (bits, name) in flags {
        if value & bits == *bits {
            if !out.is_empty() {
                out.push(b'|');
            }
            out.extend_from_slice(name.as_bytes());
        }
    }
    if out.is_empty() {
        out.extend_from_slice(value.to_string().as_bytes());
    }
}

/// The name of a number.
pub(super) fn of(names: Flags, value: u64) -> Option<&'static str> {
    names.iter().find(|(number, _)| *number == value).map(|(_, name)| *name)
}

/// Appends the names of an open's flags (include/uapi/asm-generic/fcntl.h).
pub(super) fn write_open(value: u64, out: &mut Vec<u8>) {
    let access = match value & 0o3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        _ => "O_RDWR",
    };
    out.extend_from_slice(access.as_bytes());
    write_more(OPEN, value & !0o3, out);
}

fn write_more(flags: Flags, value: u64, out: &mut Vec<u8>) {
    for (bits, name) in flags.iter().filter(|(bits, _)| value & bits == *bits) {
        // `O_SYNC` and `O_TMPFILE` have the bits of others.
        let is_part =
            flags.iter().any(|(more, _)| more != bits && more & bits == *bits && value & more == *more);
        if !is_part {
            out.push(b'|');
            out.extend_from_slice(name.as_bytes());
        }
    }
}

#[cfg(target_arch = "x86_64")]
const DIRECT: (u64, u64, u64) = (0o40_000, 0o200_000, 0o400_000);
#[cfg(target_arch = "aarch64")]
const DIRECT: (u64, u64, u64) = (0o200_000, 0o40_000, 0o100_000);

const OPEN: Flags = &[
    (0o100, "O_CREAT"),
    (0o2000, "O_APPEND"),
    (0o10_000, "O_DSYNC"),
    (0o200, "O_EXCL"),
    (0o4000, "O_NONBLOCK"),
    (0o4_010_000, "O_SYNC"),
    (0o1000, "O_TRUNC"),
    (DIRECT.0, "O_DIRECT"),
    (DIRECT.1, "O_DIRECTORY"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o20_000_000 | DIRECT.1, "O_TMPFILE"),
    (0o10_000_000, "O_PATH"),
];

/// `CLONE_…` (include/uapi/linux/sched.h).
pub(super) const CLONE: Flags = &[
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x2000, "CLONE_PTRACE"),
    (0x4000, "CLONE_VFORK"),
    (0x8000, "CLONE_PARENT"),
    (0x1_0000, "CLONE_THREAD"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x200_0000, "CLONE_NEWCGROUP"),
    (0x400_0000, "CLONE_NEWUTS"),
    (0x800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
];

/// Permission bits of a mode.
pub(super) const MODE: Flags = &[
    (0o1, "S_IXOTH"),
    (0o2, "S_IWOTH"),
    (0o4, "S_IROTH"),
    (0o10, "S_IXGRP"),
    (0o20, "S_IWGRP"),
    (0o40, "S_IRGRP"),
    (0o100, "S_IXUSR"),
    (0o200, "S_IWUSR"),
    (0o400, "S_IRUSR"),
    (0o1000, "S_ISVTX"),
    (0o2000, "S_ISGID"),
    (0o4000, "S_ISUID"),
];

/// `AT_…` of `unlinkat`.
pub(super) const UNLINK: Flags = &[(0x200, "AT_REMOVEDIR")];

/// `AT_…` of calls that take a folder and a name.
pub(super) const AT: Flags =
    &[(0x100, "AT_SYMLINK_NOFOLLOW"), (0x400, "AT_SYMLINK_FOLLOW"), (0x1000, "AT_EMPTY_PATH")];

/// `MS_…` (include/uapi/linux/mount.h).
pub(super) const MOUNT: Flags = &[
    (0x1, "RDONLY"),
    (0x2, "NOSUID"),
    (0x4, "NODEV"),
    (0x8, "NOEXEC"),
    (0x10, "SYNCHRONOUS"),
    (0x20, "REMOUNT"),
    (0x40, "MANDLOCK"),
    (0x80, "DIRSYNC"),
    (0x400, "NOATIME"),
    (0x800, "NODIRATIME"),
    (0x1000, "BIND"),
    (0x2000, "MOVE"),
    (0x4000, "REC"),
    (0x8000, "SILENT"),
    (0x1_0000, "POSIXACL"),
    (0x2_0000, "UNBINDABLE"),
    (0x4_0000, "PRIVATE"),
    (0x8_0000, "SLAVE"),
    (0x10_0000, "SHARED"),
    (0x20_0000, "RELATIME"),
];

/// `PTRACE_…` (include/uapi/linux/ptrace.h).
pub(super) const PTRACE: Flags = &[
    (0, "PTRACE_TRACEME"),
    (1, "PTRACE_PEEKTEXT"),
    (2, "PTRACE_PEEKDATA"),
    (3, "PTRACE_PEEKUSR"),
    (4, "PTRACE_POKETEXT"),
    (5, "PTRACE_POKEDATA"),
    (6, "PTRACE_POKEUSR"),
    (7, "PTRACE_CONT"),
    (8, "PTRACE_KILL"),
    (9, "PTRACE_SINGLESTEP"),
    (12, "PTRACE_GETREGS"),
    (13, "PTRACE_SETREGS"),
    (14, "PTRACE_GETFPREGS"),
    (15, "PTRACE_SETFPREGS"),
    (16, "PTRACE_ATTACH"),
    (17, "PTRACE_DETACH"),
    (24, "PTRACE_SYSCALL"),
    (0x4200, "PTRACE_SETOPTIONS"),
    (0x4201, "PTRACE_GETEVENTMSG"),
    (0x4202, "PTRACE_GETSIGINFO"),
    (0x4203, "PTRACE_SETSIGINFO"),
    (0x4204, "PTRACE_GETREGSET"),
    (0x4205, "PTRACE_SETREGSET"),
    (0x4206, "PTRACE_SEIZE"),
    (0x4207, "PTRACE_INTERRUPT"),
    (0x4208, "PTRACE_LISTEN"),
    (0x4209, "PTRACE_PEEKSIGINFO"),
];

/// Commands of bpf(2) (include/uapi/linux/bpf.h).
pub(super) const BPF: Flags = &[
    (0, "BPF_MAP_CREATE"),
    (1, "BPF_MAP_LOOKUP_ELEM"),
    (2, "BPF_MAP_UPDATE_ELEM"),
    (3, "BPF_MAP_DELETE_ELEM"),
    (4, "BPF_MAP_GET_NEXT_KEY"),
    (5, "BPF_PROG_LOAD"),
    (6, "BPF_OBJ_PIN"),
    (7, "BPF_OBJ_GET"),
    (8, "BPF_PROG_ATTACH"),
    (9, "BPF_PROG_DETACH"),
    (10, "BPF_PROG_TEST_RUN"),
    (17, "BPF_RAW_TRACEPOINT_OPEN"),
    (18, "BPF_BTF_LOAD"),
    (28, "BPF_LINK_CREATE"),
    (29, "BPF_LINK_UPDATE"),
];

/// Address families (include/linux/socket.h).
pub(super) const FAMILY: Flags = &[
    (0, "AF_UNSPEC"),
    (1, "AF_UNIX"),
    (2, "AF_INET"),
    (10, "AF_INET6"),
    (15, "AF_KEY"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (31, "AF_BLUETOOTH"),
    (38, "AF_ALG"),
    (40, "AF_VSOCK"),
    (44, "AF_XDP"),
];

/// Signals of x86-64 and arm64.
pub(super) const SIGNAL: Flags = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (17, "SIGCHLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
    (20, "SIGTSTP"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn open(value: u64) -> String {
        let mut out = Vec::new();
        write_open(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn flags_of_an_open_are_those_that_were_given() {
        let of = |flags: i32| open(u64::from(flags.unsigned_abs()));
        assert_eq!(of(nix::libc::O_RDONLY), "O_RDONLY");
        assert_eq!(
            of(nix::libc::O_WRONLY | nix::libc::O_CREAT | nix::libc::O_TRUNC | nix::libc::O_CLOEXEC),
            "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC"
        );
        assert_eq!(of(nix::libc::O_RDWR | nix::libc::O_SYNC), "O_RDWR|O_SYNC");
        assert_eq!(of(nix::libc::O_RDWR | nix::libc::O_TMPFILE), "O_RDWR|O_TMPFILE");
        assert_eq!(of(nix::libc::O_DIRECTORY | nix::libc::O_DIRECT), "O_RDONLY|O_DIRECT|O_DIRECTORY");
    }

    #[test]
    fn what_has_no_name_is_a_number() {
        let mut out = Vec::new();
        write(CLONE, 0x1000_0000 | 0x2_0000, &mut out);
        assert_eq!(out, b"CLONE_NEWNS|CLONE_NEWUSER");
        out.clear();
        write(CLONE, 0, &mut out);
        assert_eq!(
            (out.as_slice(), of(PTRACE, 16), of(PTRACE, 999)),
            (&b"0"[..], Some("PTRACE_ATTACH"), None)
        );
    }
}
