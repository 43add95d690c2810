//! Which system calls a seccomp filter leaves open, and which of them are dangerous.

use crate::context::SeccompAllow;

/// A system call that a container seldom needs and an attacker likes.
pub(super) struct Dangerous {
    pub(super) name: &'static str,
    /// Native number.
    pub(super) number: u32,
    /// Denied by every runtime's default profile, whatever capabilities the container was given.
    pub(super) never_by_default: bool,
}

#[cfg(target_arch = "x86_64")]
macro_rules! number {
    ($x86_64:literal $generic:literal) => {
        $x86_64
    };
}
#[cfg(not(target_arch = "x86_64"))]
macro_rules! number {
    ($x86_64:literal $generic:literal) => {
        $generic
    };
}

macro_rules! dangerous {
    ($($name:ident $x86_64:literal $generic:literal $never:literal,)*) => {
        &[$(Dangerous {
            name: stringify!($name),
            number: number!($x86_64 $generic),
            never_by_default: $never,
        },)*]
    };
}

/// Name, number on x86-64, number on the generic table (arm64), and whether default profiles deny
/// it to everyone. Order is that of the bits of [`Reach::open`]: append only.
pub(super) const DANGEROUS: &[Dangerous] = dangerous![
    // New kernel code.
    bpf 321 280 false,
    init_module 175 105 false,
    finit_module 313 273 false,
    delete_module 176 106 false,
    kexec_load 246 104 false,
    kexec_file_load 320 294 false,
    // Another view of the file system.
    mount 165 40 false,
    umount2 166 39 false,
    pivot_root 155 41 true,
    move_mount 429 429 false,
    open_tree 428 428 false,
    fsopen 430 430 false,
    mount_setattr 442 442 false,
    open_by_handle_at 304 265 false,
    // Another container, or the host.
    setns 308 268 false,
    unshare 272 97 false,
    // Other processes.
    ptrace 101 117 false,
    process_vm_readv 310 270 false,
    process_vm_writev 311 271 false,
    // Wide kernel attack surface.
    perf_event_open 298 241 false,
    userfaultfd 323 282 true,
    io_uring_setup 425 425 false,
    keyctl 250 219 true,
    add_key 248 217 true,
    request_key 249 218 true,
    // The whole node.
    reboot 169 142 false,
    swapon 167 224 true,
    swapoff 168 225 true,
    settimeofday 170 170 false,
    acct 163 89 false,
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
