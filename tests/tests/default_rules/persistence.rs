//! What stays.

use kestrel_proto::v1::Priority::{Critical, Error, Notice, Warning};

use super::act::{
    Act,
    Place::{Host, Pod},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "Shell startup file changed",
        Warning,
        Pod,
        ": > /root/.bashrc",
        &["file=/root/.bashrc process=sh"],
    ),
    Act::new(
        "Scheduled job changed",
        Notice,
        Pod,
        "mkdir -p /etc/cron.d; : > /etc/cron.d/job",
        &["file=/etc/cron.d/job process=sh"],
    ),
    Act::new(
        "Service unit changed",
        Warning,
        Pod,
        "mkdir -p /etc/systemd/system; : > /etc/systemd/system/job.service",
        &["file=/etc/systemd/system/job.service process=sh"],
    ),
    Act::new("Boot script changed", Warning, Pod, ": > /etc/rc.local", &["file=/etc/rc.local process=sh"]),
    Act::new(
        "Authorized keys changed",
        Warning,
        Pod,
        ": > /root/.ssh/authorized_keys",
        &["file=/root/.ssh/authorized_keys process=sh"],
    ),
    Act::new(
        "Account managed on the host",
        Notice,
        Host,
        "nothing useradd nobody-of-that-name",
        &["process=useradd"],
    ),
    Act::new(
        "Account file changed past its tools",
        Error,
        Pod,
        ": >> /etc/group",
        &["file=/etc/group process=sh"],
    ),
    Act::new(
        "Library preloaded into every program",
        Critical,
        Pod,
        ": > /etc/ld.so.preload",
        &["file=/etc/ld.so.preload process=sh"],
    ),
    Act::new(
        "Authentication module changed",
        Error,
        Pod,
        "mkdir -p /etc/pam.d; : > /etc/pam.d/login",
        &["file=/etc/pam.d/login process=sh"],
    ),
    Act::new(
        "SSH server configuration changed",
        Notice,
        Pod,
        "mkdir -p /etc/ssh; : > /etc/ssh/sshd_config",
        &["file=/etc/ssh/sshd_config process=sh"],
    ),
    Act::new(
        "Kernel module loaded from a container",
        Critical,
        Pod,
        "/bin/insmod /etc/group",
        &["process=insmod"],
    ),
    Act::new(
        "Kernel module loaded by an unusual program",
        Warning,
        Host,
        r#"echo x > "$DIR/module"; as loader load-module "$DIR/module""#,
        &["process=loader"],
    ),
    Act::new(
        "Program changed in a folder of programs",
        Error,
        Pod,
        "mkdir -p /usr/bin; : > /usr/bin/tool",
        &["file=/usr/bin/tool", "process=sh"],
    ),
    Act::new(
        "Folder made among programs",
        Warning,
        Pod,
        "mkdir -p /usr/bin; /bin/mkdir /usr/bin/.x",
        &["folder=/usr/bin/.x process=mkdir"],
    ),
    Act::new(
        "Script put where a web server serves",
        Error,
        Pod,
        "mkdir -p /var/www; as nginx write /var/www/page.php",
        &["file=/var/www/page.php process=nginx"],
    ),
    Act::new(
        "Static pod changed",
        Error,
        Pod,
        "mkdir -p /etc/kubernetes/manifests; : > /etc/kubernetes/manifests/job.yaml",
        &["file=/etc/kubernetes/manifests/job.yaml process=sh"],
    ),
    Act::new(
        "Startup code of an interpreter changed",
        Warning,
        Pod,
        "mkdir -p /usr/lib; : > /usr/lib/sitecustomize.py",
        &["file=/usr/lib/sitecustomize.py process=sh"],
    ),
];
