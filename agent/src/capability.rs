//! Names of capabilities.

/// In the order of their numbers.
pub(crate) const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What runtimes give to a container unless told otherwise, and what Baseline lets a pod add: CHOWN,
/// DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD,
/// AUDIT_WRITE, SETFCAP (the Pod Security Standards; containerd's and Docker's default sets).
pub(crate) const RUNTIME_DEFAULT: u64 = 1
    | 1 << 1
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | 1 << 10
    | 1 << 13
    | 1 << 18
    | 1 << 27
    | 1 << 29
    | 1 << 31;

/// `CAP_NET_BIND_SERVICE`, the only one that the Restricted standard lets a container keep.
pub(crate) const NET_BIND_SERVICE: u64 = 1 << 10;

/// Every capability that has a name here.
#[cfg(test)]
pub(crate) const ALL: u64 = (1 << NAMES.len()) - 1;

/// The names of a set, `none` for an empty one. A capability newer than the table goes by its
/// number.
pub(crate) fn names(set: u64) -> String {
    if set == 0 {
        return "none".into();
    }
    let known = (1_u64 << NAMES.len()) - 1;
    if set & known == known {
        return "ALL".into();
    }
    let mut text = String::new();
    for bit in (0..64).filter(|bit| set & (1 << bit) != 0) {
        if !text.is_empty() {
            text.push(',');
        }
        match NAMES.get(bit) {
            Some(name) => text.push_str(name),
            None => text.push_str(&bit.to_string()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_named() {
        assert_eq!(names(0), "none");
        assert_eq!(names(NET_BIND_SERVICE | 1), "CHOWN,NET_BIND_SERVICE");
        assert_eq!(names(1 << 21 | 1 << 40), "SYS_ADMIN,CHECKPOINT_RESTORE");
        assert_eq!(names(1 << 45), "45");
        assert_eq!(names(ALL), "ALL");
    }
}
