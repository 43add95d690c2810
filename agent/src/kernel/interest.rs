//! Which system calls go to which handler of `sys_exit`.

use agent_abi::map::{HANDLER_CREDENTIALS, HANDLER_OPEN, INTEREST_COMPAT_SHIFT, SYSCALLS};

/// A handler and the numbers of the calls it serves (arch/x86/entry/syscalls/syscall_{64,32}.tbl).
struct Wanted {
    handler: u32,
    native: &'static [u32],
    compat: &'static [u32],
}

/// setuid, setgid, setreuid, setregid, setgroups, setresuid, setresgid, setfsuid, setfsgid, capset,
/// prctl, unshare, setns, seccomp; in the 32-bit table the 16-bit id calls and their successors.
const CREDENTIALS: Wanted = Wanted {
    handler: HANDLER_CREDENTIALS,
    native: &[105, 106, 113, 114, 116, 117, 119, 122, 123, 126, 157, 272, 308, 317],
    compat: &[
        23, 46, 70, 71, 81, 138, 139, 164, 170, 172, 185, 203, 204, 206, 208, 210, 213, 214, 215, 216, 310,
        346, 354,
    ],
};

/// open, creat, openat, openat2, open_by_handle_at.
const OPEN: Wanted =
    Wanted { handler: HANDLER_OPEN, native: &[2, 85, 257, 304, 437], compat: &[5, 8, 295, 342, 437] };

/// Streams that can be turned on and off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Opened files.
    pub open: bool,
}

/// The interest table for `streams`. Credential changes are always wanted: posture needs them.
#[must_use]
pub(super) fn table(streams: Streams) -> [u32; SYSCALLS as usize] {
    let mut table = [0; SYSCALLS as usize];
    let wanted = [Some(&CREDENTIALS), streams.open.then_some(&OPEN)];
    for wanted in wanted.into_iter().flatten() {
        for &number in wanted.native {
            table[number as usize] |= wanted.handler;
        }
        for &number in wanted.compat {
            table[number as usize] |= wanted.handler << INTEREST_COMPAT_SHIFT;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_abis_do_not_mix() {
        let table = table(Streams { open: true });
        // 5 is fstat natively and open in the 32-bit table.
        assert_eq!(table[5], HANDLER_OPEN << INTEREST_COMPAT_SHIFT);
        assert_eq!(table[2], HANDLER_OPEN);
        assert_eq!(table[437], HANDLER_OPEN | HANDLER_OPEN << INTEREST_COMPAT_SHIFT);
        assert_eq!(table[157], HANDLER_CREDENTIALS);
        assert_eq!(table[110], 0, "getppid is nobody's");
    }

    #[test]
    fn opens_are_wanted_on_request_only() {
        let table = table(Streams::default());
        assert!(table.iter().all(|slot| slot & 0xff != HANDLER_OPEN));
        assert_eq!(table[105], HANDLER_CREDENTIALS);
    }
}
