//! To root, and out to the node.

use kestrel_proto::v1::Priority::{Critical, Error, Notice, Warning};

use super::act::{
    Act,
    Place::{Host, Pod, User},
};

pub(crate) const ACTS: &[Act] = &[
    Act::new(
        "File given the setuid or setgid bit",
        Warning,
        Pod,
        "cp /bin/nothing /tmp/suid; /bin/chmod u+s /tmp/suid",
        &["file=/tmp/suid", "process=chmod"],
    ),
    Act::new(
        "File given capabilities",
        Warning,
        Pod,
        "nothing setcap cap_net_raw+ep /tmp/suid",
        &["process=setcap"],
    ),
    Act::new(
        "User changed to root by an unusual program",
        Notice,
        Pod,
        "as helper become-root",
        &["to=0", "process=helper"],
    ),
    Act::new("Sudo rules changed", Error, Pod, ": > /etc/sudoers", &["file=/etc/sudoers process=sh"]),
    Act::new(
        "Sudo called as its overflow is used",
        Critical,
        User,
        r#"nothing sudoedit -s 'aaaa\'"#,
        &["process=sudoedit"],
    ),
    Act::new("Polkit called without arguments", Critical, User, "nothing pkexec", &["process=pkexec"]),
    Act::new(
        "Code put into another process by ptrace",
        Warning,
        Pod,
        "/bin/suspect attach",
        &["request=PTRACE_SEIZE process=suspect"],
    ),
    Act::new(
        "Memory of another process written",
        Error,
        Pod,
        "as injector write-memory",
        &["process=injector"],
    ),
    Act::new(
        "Namespace joined from a container",
        Warning,
        Pod,
        "as joiner join-own-namespace",
        &["kind=CLONE_NEWUTS process=joiner"],
    ),
    Act::new(
        "Namespace joined on a host",
        Notice,
        Host,
        "as joiner join-own-namespace",
        &["kind=CLONE_NEWUTS process=joiner"],
    ),
    Act::new(
        "User namespace made in a container",
        Notice,
        User,
        "/bin/unshare -U /bin/nothing",
        &["CLONE_NEWUSER process=unshare"],
    ),
    Act::new(
        "File system mounted in a container",
        Warning,
        Pod,
        "mkdir -p /tmp/proc; /bin/mount -t proc proc /tmp/proc; /bin/umount /tmp/proc",
        &["folder=/tmp/proc type=proc process=mount"],
    ),
    Act::new(
        "File system debugger in a container",
        Warning,
        Pod,
        "nothing debugfs /dev/sdq",
        &["process=debugfs"],
    ),
    Act::new(
        "Kernel hook written from a container",
        Critical,
        Pod,
        "mkdir -p /tmp/cgroup; : > /tmp/cgroup/release_agent",
        &["file=/tmp/cgroup/release_agent process=sh"],
    ),
    Act::new(
        "Container runtime reached from a container",
        Warning,
        Pod,
        "as client knock-unix /tmp/docker.sock",
        &["/tmp/docker.sock process=client"],
    ),
    Act::new(
        "Disk or memory of the node opened in a container",
        Critical,
        Pod,
        "/bin/mknod /dev/sdq c 1 3; /bin/cat /dev/sdq",
        &["device=/dev/sdq process=cat"],
    ),
    Act::new(
        "File of the node changed from a container",
        Warning,
        Pod,
        "mkdir -p /host/etc; : > /host/etc/job",
        &["file=/host/etc/job process=sh"],
    ),
    Act::new(
        "Container runtime overwritten from a container",
        Critical,
        Pod,
        "as worker write /proc/self/exe",
        &["given=/proc/self/exe process=worker"],
    ),
    Act::new(
        "File opened by handle in a container",
        Critical,
        Pod,
        "mkdir -p /dev/shm; echo x > /dev/shm/aim; as shocker by-handle /dev/shm /dev/shm/aim",
        &["file=/dev/shm/aim process=shocker"],
    ),
    Act::new(
        "Page faults handled by an ordinary user",
        Warning,
        User,
        "as racer page-faults",
        &["process=racer"],
    ),
];
