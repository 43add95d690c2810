//! What hides.

use kestrel_proto::v1::Priority::{Critical, Error, Informational, Notice, Warning};

use super::act::{Act, Place::Pod};

pub(crate) const ACTS: &[Act] = &[
    Act::new("Log cleared", Warning, Pod, ": > /var/log/auth.log", &["file=/var/log/auth.log", "process=sh"]),
    Act::new(
        "Log cleared",
        Warning,
        Pod,
        ": > /var/log/wtmp; /bin/rm /var/log/wtmp",
        &["path=/var/log/wtmp process=rm"],
    ),
    Act::new(
        "Shell history removed",
        Warning,
        Pod,
        ": > /root/.ash_history; /bin/rm /root/.ash_history",
        &["path=/root/.ash_history", "process=rm"],
    ),
    Act::new("Program run from memory", Critical, Pod, "/bin/memfd-exec /bin/nothing", &["exe=memfd:copy"]),
    Act::new(
        "Program run whose file is gone",
        Warning,
        Pod,
        "cp /bin/nothing /tmp/gone; exec 9< /tmp/gone; /bin/rm /tmp/gone; /proc/self/fd/9",
        &["exe=/tmp/gone (deleted)"],
    ),
    Act::new(
        "Library preloaded from a writable folder",
        Warning,
        Pod,
        "LD_PRELOAD=/tmp/none.so /bin/sleep 2",
        &["process=sleep"],
    ),
    Act::new("Process keeps debuggers away", Notice, Pod, "/bin/suspect traceme", &["process=suspect"]),
    Act::new("File made below dev", Error, Pod, ": > /dev/hidden", &["file=/dev/hidden process=sh"]),
    Act::new(
        "Program run from a hidden folder",
        Warning,
        Pod,
        "mkdir -p /tmp/.x; cp /bin/nothing /tmp/.x/job; /tmp/.x/job",
        &["process=job exe=/tmp/.x/job"],
    ),
    Act::new(
        "Encoded text decoded in a container",
        Informational,
        Pod,
        "echo Cg== | /bin/base64 -d",
        &["process=base64 exe=/bin/busybox command=base64 -d"],
    ),
    Act::new(
        "Process named as a thread of the kernel",
        Critical,
        Pod,
        "exec -a '[kworker/0:1]' /bin/nothing",
        &["name=[kworker/0:1] process=nothing"],
    ),
    Act::new(
        "Watcher of the machine stopped",
        Critical,
        Pod,
        "nothing pkill -f falco",
        &["process=pkill exe=/bin/nothing command=pkill -f falco"],
    ),
    Act::new(
        "Packet filter emptied",
        Warning,
        Pod,
        "nothing iptables -F",
        &["process=iptables exe=/bin/nothing command=iptables -F"],
    ),
    Act::new(
        "Mandatory access control turned off",
        Error,
        Pod,
        "nothing setenforce 0",
        &["process=setenforce"],
    ),
    Act::new(
        "Audit log of the kernel turned off",
        Critical,
        Pod,
        "nothing auditctl -e 0",
        &["process=auditctl"],
    ),
    Act::new(
        "BPF loaded by an unusual program",
        Notice,
        Pod,
        "as loader load-bpf",
        &["process=loader exe=/bin/suspect"],
    ),
    Act::new(
        "Sensitive file opened through io_uring",
        Critical,
        Pod,
        "as ringer ring-open /etc/shadow",
        &["file=/etc/shadow process=ringer"],
    ),
    Act::new(
        "Connection through io_uring in a container",
        Warning,
        Pod,
        "as ringer ring-connect 203.0.113.7:4444",
        &["203.0.113.7:4444 process=ringer"],
    ),
    Act::new(
        "Process hidden by a mount",
        Critical,
        Pod,
        r#"/bin/sleep 60 & /bin/mount -t tmpfs none "/proc/$!"; /bin/umount "/proc/$!"; kill "$!""#,
        &["folder=/proc/", "process=mount"],
    ),
    Act::new("File made immutable", Notice, Pod, "nothing chattr +i /tmp/keys", &["process=chattr"]),
];
