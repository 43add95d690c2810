//! What destroys, stops or earns.

use kestrel_proto::v1::Priority::{Critical, Error, Notice, Warning};

use super::act::{
    Act,
    Place::{HostTerminal, Pod, Terminal},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "Data destroyed in bulk",
        Warning,
        Pod,
        "nothing shred -u /srv/report",
        &["process=shred exe=/bin/nothing"],
    ),
    Act::new(
        "Miner speaks Stratum",
        Critical,
        Pod,
        "nothing worker -o stratum+tcp://pool.example:3333",
        &["process=worker exe=/bin/nothing"],
    ),
    Act::new(
        "Connection to a pool of miners",
        Critical,
        Pod,
        "as worker look-up xmr-eu1.nanopool.org 203.0.113.7:4444",
        &["name=xmr-eu1.nanopool.org", "203.0.113.7:4444 process=worker"],
    ),
    Act::new("Known miner started", Critical, Pod, "nothing xmrig", &["process=xmrig exe=/bin/nothing"]),
    Act::new(
        "Registers of the processor written",
        Warning,
        Pod,
        "mkdir -p /dev/cpu/9; : > /dev/cpu/9/msr",
        &["device=/dev/cpu/9/msr process=sh"],
    ),
    Act::new(
        "Machine restarted from a container",
        Critical,
        Pod,
        "nothing reboot -f",
        &["process=reboot exe=/bin/nothing"],
    ),
    Act::new(
        "Fork bomb in the arguments",
        Error,
        Pod,
        r#"/bin/sh -c 'echo ":(){ :|:& };:"'"#,
        &["process=sh"],
    ),
    Act::new(
        "Recovery made impossible",
        Warning,
        Terminal,
        "nothing lvremove vg/snapshot",
        &["process=lvremove exe=/bin/nothing"],
    ),
    Act::new(
        "Files encrypted at a shell",
        Notice,
        Pod,
        "nothing openssl enc -aes-256-cbc -in /srv/report -out /srv/report.enc",
        &["process=openssl exe=/bin/nothing"],
    ),
    Act::new(
        "Account taken away",
        Notice,
        HostTerminal,
        "nothing userdel nobody-of-that-name",
        &["process=userdel"],
    ),
    Act::new(
        "Database of packages changed",
        Error,
        Pod,
        "mkdir -p /var/lib/dpkg; : > /var/lib/dpkg/status",
        &["file=/var/lib/dpkg/status process=sh"],
    ),
    Act::new(
        "Files renamed in bulk in a container",
        Warning,
        Pod,
        "echo x > /srv/a; for n in $(seq 100); do /bin/mv /srv/a /srv/b; /bin/mv /srv/b /srv/a; done",
        &["last=/srv/a process=mv"],
    ),
];
