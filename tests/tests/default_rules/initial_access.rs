//! How somebody gets in.

use kestrel_proto::v1::Priority::{Critical, Error, Warning};

use super::act::{Act, Place::Pod};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "Web server started a shell",
        Critical,
        Pod,
        "as nginx start /bin/sh -c true",
        &["process=sh exe=/bin/busybox command=sh -c true parent=nginx"],
    ),
    Act::new(
        "Web server started a tool",
        Warning,
        Pod,
        "as nginx start /bin/id",
        &["process=id exe=/bin/busybox command=id parent=nginx"],
    ),
    Act::new(
        "Database started another program",
        Error,
        Pod,
        "as postgres start /bin/true",
        &["process=true exe=/bin/busybox command=true parent=postgres"],
    ),
    Act::new(
        "Java contacted a naming service on the internet",
        Critical,
        Pod,
        "as java knock 203.0.113.7:1389",
        &["port=1389 process=java"],
    ),
    Act::new(
        "Java server started a shell",
        Warning,
        Pod,
        "as java start /bin/sh -c true",
        &["server=java start /bin/sh -c true process=sh"],
    ),
    Act::new(
        "Network tool started by a package installation",
        Warning,
        Pod,
        "as npm start /bin/wget --spider http://203.0.113.7:9/",
        &["process=wget", "parent=npm"],
    ),
    Act::new(
        "Credentials read by a package installation",
        Critical,
        Pod,
        "as npm start /bin/cat /root/.ssh/id_ed25519",
        &["file=/root/.ssh/id_ed25519 process=cat", "parent=npm"],
    ),
    Act::new(
        "SSH server opened a library with a back door",
        Critical,
        Pod,
        ": > /tmp/liblzma.so.5.6.1; as sshd read /tmp/liblzma.so.5.6.1",
        &["file=/tmp/liblzma.so.5.6.1 process=sshd"],
    ),
    Act::new(
        "Package source changed",
        Warning,
        Pod,
        "mkdir -p /etc/apk; : > /etc/apk/repositories",
        &["file=/etc/apk/repositories process=sh"],
    ),
    Act::new(
        "Shell of a server talked to the internet",
        Critical,
        Pod,
        "as nginx start /bin/sh -c '/bin/suspect connect 203.0.113.7:4444; true'",
        &["203.0.113.7:4444 process=suspect exe=/bin/suspect", "parent=sh"],
    ),
];
