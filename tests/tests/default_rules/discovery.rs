//! Looking around.

use kestrel_proto::v1::Priority::{Critical, Informational, Notice, Warning};

use super::act::{
    Act,
    Place::{HostTerminal, Offline, Pod, Terminal},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "API server of Kubernetes reached from a container",
        Notice,
        Pod,
        "as kubectl knock 198.51.100.10:443",
        &["198.51.100.10:443 process=kubectl"],
    ),
    Act::new("Scanner started", Warning, Pod, "nothing nmap 10.0.0.0/8", &["process=nmap"]),
    Act::new(
        "Network tool started in a container",
        Notice,
        Pod,
        "nothing tcpdump -i lo",
        &["process=tcpdump"],
    ),
    Act::new(
        "Network tool started on a host",
        Informational,
        HostTerminal,
        "nothing tcpdump -i lo",
        &["process=tcpdump"],
    ),
    Act::new(
        "Questions of somebody new at a terminal",
        Notice,
        Terminal,
        "/bin/whoami",
        &["process=whoami exe=/bin/busybox"],
    ),
    Act::new("Tool for breaking out started", Critical, Pod, "nothing linpeas", &["process=linpeas"]),
    Act::new(
        "Setuid programs searched for",
        Warning,
        Pod,
        "/bin/find /bin -perm -4000",
        &["process=find exe=/bin/busybox command=find /bin -perm -4000"],
    ),
    Act::new(
        "Walls of a container examined",
        Notice,
        Pod,
        "/bin/cat /proc/1/cgroup",
        &["file=/proc/1/cgroup process=cat"],
    ),
    Act::new(
        "Connection out of a namespace that has none",
        Warning,
        Offline,
        "as client knock 203.0.113.7:443",
        &["203.0.113.7:443 process=client"],
    ),
    Act::new(
        "Many ports of one host tried",
        Warning,
        Pod,
        "for port in $(seq 2001 2020); do as prober knock 203.0.113.7:$port || true; done",
        &["->203.0.113.7:20", "process=prober"],
    ),
];
