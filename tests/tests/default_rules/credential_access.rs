//! Passwords, keys and tokens.

use kestrel_proto::v1::Priority::{Error, Notice, Warning};

use super::act::{Act, Place::Pod};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "Credential file read by an unusual program",
        Warning,
        Pod,
        "/bin/cat /etc/shadow",
        &["file=/etc/shadow process=cat"],
    ),
    Act::new(
        "Credential file read by a server after its start",
        Warning,
        Pod,
        "as nginx read-late /etc/shadow &",
        &["file=/etc/shadow age=6", "process=nginx"],
    ),
    Act::new(
        "Sensitive file reached by climbing folders",
        Warning,
        Pod,
        "mkdir -p /srv/www/html; as worker start /bin/cat /srv/www/html/../../../etc/passwd",
        &["file=/etc/passwd given=/srv/www/html/../../../etc/passwd result=SUCCESS process=cat"],
    ),
    Act::new(
        "Private keys or passwords searched for",
        Warning,
        Pod,
        "/bin/find /root -name id_rsa",
        &["process=find"],
    ),
    Act::new(
        "Cloud credentials searched for",
        Warning,
        Pod,
        "/bin/grep -r aws_secret /root",
        &["process=grep"],
    ),
    Act::new(
        "Credential file linked to another name",
        Warning,
        Pod,
        "/bin/ln -s /etc/shadow /tmp/soft",
        &["target=/etc/shadow link=/tmp/soft", "process=ln"],
    ),
    Act::new(
        "Credential file linked to another name",
        Warning,
        Pod,
        "/bin/ln /etc/shadow /tmp/hard",
        &["old=/etc/shadow new=/tmp/hard process=ln"],
    ),
    Act::new(
        "Private key read by an unusual program",
        Warning,
        Pod,
        "/bin/cat /root/.ssh/id_ed25519",
        &["file=/root/.ssh/id_ed25519 process=cat"],
    ),
    Act::new(
        "Cloud credential read at a shell",
        Warning,
        Pod,
        "mkdir -p /root/.aws; echo x > /root/.aws/credentials; /bin/cat /root/.aws/credentials",
        &["file=/root/.aws/credentials process=cat"],
    ),
    Act::new(
        "Metadata service reached from a container",
        Notice,
        Pod,
        "as client knock 169.254.169.254:80",
        &["169.254.169.254:80 process=client"],
    ),
    Act::new(
        "Environment of a process read in a container",
        Warning,
        Pod,
        "/bin/cat /proc/1/environ",
        &["file=/proc/1/environ process=cat"],
    ),
    Act::new(
        "Service account token read at a shell",
        Warning,
        Pod,
        "/bin/cat /var/run/secrets/kubernetes.io/serviceaccount/token",
        &["token process=cat"],
    ),
    Act::new(
        "Credentials of the node read from a container",
        Error,
        Pod,
        "mkdir -p /etc/kubernetes/pki; echo x > /etc/kubernetes/pki/ca.key; /bin/cat /etc/kubernetes/pki/ca.key",
        &["file=/etc/kubernetes/pki/ca.key process=cat"],
    ),
    Act::new("Memory of another process read", Warning, Pod, "as spy read-memory", &["process=spy"]),
    Act::new(
        "Memory of another process read",
        Warning,
        Pod,
        "/bin/cat /proc/1/mem",
        &["target=/proc/1/mem process=cat"],
    ),
    Act::new(
        "Memory of a process dumped",
        Warning,
        Pod,
        "nothing gcore 1",
        &["process=gcore exe=/bin/nothing command=gcore 1"],
    ),
    Act::new(
        "Packet socket made in a container",
        Notice,
        Pod,
        "/bin/suspect packet-socket",
        &["result=SUCCESS process=suspect"],
    ),
    Act::new(
        "Password asked for by a changed SSH server",
        Error,
        Pod,
        "as sshd write /tmp/.pw",
        &["file=/tmp/.pw process=sshd"],
    ),
];
