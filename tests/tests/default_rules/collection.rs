//! Gathered before it leaves.

use kestrel_proto::v1::Priority::{Notice, Warning};

use super::act::{
    Act,
    Place::{Pod, Terminal},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "Sensitive folder packed",
        Warning,
        Pod,
        "/bin/tar cf /tmp/keys.tar /root/.ssh",
        &["process=tar exe=/bin/busybox command=tar cf /tmp/keys.tar /root/.ssh"],
    ),
    Act::new(
        "Archive put into shared memory",
        Notice,
        Pod,
        "mkdir -p /dev/shm; /bin/tar cf /dev/shm/loot.tar /etc/group",
        &["file=/dev/shm/loot.tar process=tar"],
    ),
    Act::new(
        "Database dumped at a terminal",
        Warning,
        Terminal,
        "nothing pg_dump shop",
        &["process=pg_dump exe=/bin/nothing command=pg_dump shop"],
    ),
    Act::new(
        "Keyboard read",
        Warning,
        Pod,
        "mkdir -p /dev/input; /bin/mknod /dev/input/event9 c 1 3; /bin/cat /dev/input/event9",
        &["device=/dev/input/event9 process=cat"],
    ),
    Act::new(
        "Mail spool read",
        Notice,
        Pod,
        "mkdir -p /var/mail; echo x > /var/mail/app; /bin/cat /var/mail/app",
        &["file=/var/mail/app process=cat"],
    ),
];
