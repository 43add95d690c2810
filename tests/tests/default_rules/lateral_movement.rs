//! From one machine to the next.

use kestrel_proto::v1::Priority::{Notice, Warning};

use super::act::{Act, Place::Pod};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "SSH client started in a container",
        Notice,
        Pod,
        "nothing ssh gate",
        &["process=ssh exe=/bin/nothing command=ssh gate"],
    ),
    Act::new(
        "Agent of an SSH session used by another program",
        Notice,
        Pod,
        "mkdir -p /tmp/ssh-XXXX; as thief knock-unix /tmp/ssh-XXXX/agent.7",
        &["/tmp/ssh-XXXX/agent.7 process=thief"],
    ),
    Act::new(
        "Kubelet reached from a container",
        Warning,
        Pod,
        "as client knock 203.0.113.7:10250",
        &["203.0.113.7:10250 process=client"],
    ),
    Act::new(
        "Store of the cluster reached from a container",
        Warning,
        Pod,
        "as client knock 203.0.113.7:2379",
        &["port=2379 process=client"],
    ),
];
