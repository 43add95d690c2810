//! Which system calls a seccomp filter leaves open, and which of them are dangerous.

use crate::{context::SeccompAllow, syscall::native};

/// A system call that a container seldom needs and an attacker likes.
pub(super) struct Dangerous {
    pub(super) name: &'static str,
    /// Native number.
    pub(super) number: u32,
    /// Denied by every runtime's default profile, whatever capabilities the container was given.
    pub(super) never_by_default: bool,
}

macro_rules! dangerous {
    ($($name:ident $never:literal,)*) => {
        &[$(Dangerous {
            name: stringify!($name),
            number: native(stringify!($name)),
            never_by_default: $never,
        },)*]
    };
}

/// Name, and whether default profiles deny it to everyone. Order is that of the bits of
/// [`Reach::open`]: append only.
pub(super) const DANGEROUS: &[Dangerous] = dangerous![
    // New kernel code.
    bpf false,
    init_module false,
    finit_module false,
    delete_module false,
    kexec_load false,
    kexec_file_load false,
    // Another view of the file system.
    mount false,
    umount2 false,
    pivot_root true,
    move_mount false,
    open_tree false,
    fsopen false,
    mount_setattr false,
    open_by_handle_at false,
    // Another container, or the host.
    setns false,
    unshare false,
    // Other processes.
    ptrace false,
    process_vm_readv false,
    process_vm_writev false,
    // Wide kernel attack surface.
    perf_event_open false,
    userfaultfd true,
    io_uring_setup false,
    keyctl true,
    add_key true,
    request_key true,
    // The whole node.
    reboot false,
    swapon true,
    swapoff true,
    settimeofday false,
    acct false,
];

const _: () = assert!(DANGEROUS.len() <= 64);

/// Native numbers that every kernel with a bitmap (5.11) knows. Later ones are left out, so that
/// an allow-all filter reads the same on each.
#[cfg(target_arch = "x86_64")]
const KNOWN: [std::ops::Range<u32>; 2] = [0..335, 424..441];
#[cfg(not(target_arch = "x86_64"))]
const KNOWN: [std::ops::Range<u32>; 3] = [0..244, 260..295, 424..441];

/// A filter that denies fewer system calls than this allows everything: default profiles deny
/// or limit far more than fifty.
const NEGLIGIBLE: u32 = 8;

/// How far a filter lets a task reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Known system calls.
    pub(super) known: u32,
    /// Those that are allowed whatever their arguments.
    pub(super) allowed: u32,
    /// Of [`DANGEROUS`], those that are allowed: bit n for entry n.
    pub(super) open: u64,
}

impl Reach {
    /// Reads the kernel's bitmap; `None` where it is not visible.
    pub(super) fn of(allow: &SeccompAllow) -> Option<Self> {
        if allow.len == 0 {
            return None;
        }
        let mut reach = Self { known: 0, allowed: 0, open: 0 };
        for number in KNOWN.iter().cloned().flatten() {
            reach.known += 1;
            reach.allowed += u32::from(allow.allows(number)?);
        }
        for (bit, dangerous) in DANGEROUS.iter().enumerate() {
            reach.open |= u64::from(allow.allows(dangerous.number) == Some(true)) << bit;
        }
        Some(reach)
    }

    /// Whether the filter is one in name only: it denies next to nothing, or none of what every
    /// default profile denies even to a container with all capabilities.
    pub(super) fn is_allow_all(&self) -> bool {
        let mut never = DANGEROUS.iter().enumerate().filter(|(_, dangerous)| dangerous.never_by_default);
        self.known - self.allowed < NEGLIGIBLE || never.all(|(bit, _)| self.open & (1 << bit) != 0)
    }
}

/// Names of the dangerous system calls in [`Reach::open`].
pub(super) fn open_names(open: u64) -> String {
    let names: Vec<_> = DANGEROUS
        .iter()
        .enumerate()
        .filter(|(bit, _)| open & (1 << bit) != 0)
        .map(|(_, dangerous)| dangerous.name)
        .collect();
    names.join(",")
}
