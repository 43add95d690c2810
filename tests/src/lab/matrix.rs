//! Pods that each violate one control, as far as one can be violated alone, and such as violate none.

use std::{fs, path::PathBuf};

use anyhow::Result;

use super::{
    Lab, image,
    spec::{ContainerSpec, Limits, PodSpec, Port, Propagation, Seccomp, VolumeMount},
};

/// A pod with one container, and what is to be found wrong with it.
#[derive(Clone, Debug)]
pub struct Case {
    /// A short name, which the pod's has in it.
    pub slug: &'static str,
    /// What is wrong, in words.
    pub wrong: &'static str,
    /// The controls that it violates, of those that not only the profile `all` asks for. All others it meets.
    pub expected: &'static [&'static str],
    /// Those of the profile `all` that it violates and [`COMPLIANT`] does not.
    pub also: &'static [&'static str],
    /// The pod.
    pub pod: PodSpec,
}

/// The slug of the pod with which nothing is wrong.
pub const COMPLIANT: &str = "compliant";

/// The slug of the pod whose program has a capability by its file.
pub const FILE_CAPABILITY: &str = "file-capability";

/// The slug of the pod that has rights until its program gets SIGUSR1.
pub const GAIN_AND_LOSE: &str = "gain-and-lose";

const SLEEP: [&str; 2] = ["/bin/sleep", "2147483647"];

/// All cases. They need the lab's images and a folder of its machine.
pub fn cases(lab: &Lab) -> Result<Vec<Case>> {
    let mut all = rights();
    all.extend(namespaces());
    all.extend(mounts(lab)?);
    all.extend(limits());
    all.extend(what_it_shows(&image::install_by_digest(lab.containerd(), lab.cri())?));
    all.extend(what_it_does());
    Ok(all)
}

fn rights() -> Vec<Case> {
    vec![
        case(COMPLIANT, "nothing", &[], app()),
        case(
            "privileged",
            "privileged; the other controls follow from it and from uid 0",
            &[
                "privileged",
                "run-as-non-root",
                "no-new-privileges",
                "seccomp",
                "capabilities",
                "added-capabilities",
                "proc-mount",
                "host-devices",
            ],
            ContainerSpec::privileged("app", SLEEP),
        ),
        case("root", "runs as root", &["run-as-non-root"], ContainerSpec { run_as_user: Some(0), ..app() }),
        case(
            "escalation",
            "may gain privileges",
            &["no-new-privileges"],
            ContainerSpec { no_new_privs: false, ..app() },
        ),
        case(
            "unconfined",
            "no seccomp filter",
            &["seccomp"],
            ContainerSpec { seccomp: Seccomp::Unconfined, ..app() },
        ),
        case(
            "capabilities",
            "the capabilities that a runtime gives to who asks for nothing",
            &["capabilities"],
            ContainerSpec { drop: Vec::new(), ..app() },
        ),
        case(
            "added-capabilities",
            "SYS_PTRACE; more than the default is more than none, too",
            &["capabilities", "added-capabilities"],
            ContainerSpec { add: vec!["SYS_PTRACE".to_owned()], ..app() },
        ),
        case(
            "bind-service",
            "nothing: NET_BIND_SERVICE may be added",
            &[],
            ContainerSpec { add: vec!["NET_BIND_SERVICE".to_owned()], ..app() },
        ),
    ]
}

fn namespaces() -> Vec<Case> {
    let host = |slug, wrong, expected, change: fn(&mut PodSpec)| {
        let mut case = case(slug, wrong, expected, app());
        change(&mut case.pod);
        case
    };
    vec![
        host("host-pid", "the host's pid namespace", &["host-pid"], |pod| pod.host_pid = true),
        Case {
            also: &["host-uts"],
            ..host("host-network", "the host's network, and with it its name", &["host-network"], |pod| {
                pod.host_network = true;
            })
        },
        host("host-ipc", "the host's IPC namespace", &["host-ipc"], |pod| pod.host_ipc = true),
        host("sysctls", "a kernel parameter that is not among the safe ones", &["sysctls"], |pod| {
            pod.sysctls.insert("kernel.msgmax".to_owned(), "4096".to_owned());
        }),
        host("safe-sysctls", "nothing: a safe kernel parameter", &[], |pod| {
            pod.sysctls.insert("net.ipv4.tcp_syncookies".to_owned(), "0".to_owned());
        }),
    ]
}

fn mounts(lab: &Lab) -> Result<Vec<Case>> {
    const WRITABLE: &[&str] = &["writable-executable-mounts"];
    let volume = |volume| ContainerSpec { volumes: vec![volume], ..app() };
    let host = |path: PathBuf, inside: &str| ContainerSpec {
        read_only_mounts: vec![(path, inside.into())],
        ..app()
    };
    let data = lab.dir().join("data");
    fs::create_dir_all(&data)?;
    let bidirectional = VolumeMount {
        propagation: Propagation::Bidirectional,
        ..VolumeMount::empty_dir("mounts", "/mounts")
    };
    Ok(vec![
        case(
            "writable-root",
            "the root file system can be written",
            &["read-only-root"],
            ContainerSpec { read_only_root: false, ..app() },
        ),
        Case {
            also: WRITABLE,
            ..case(
                "empty-dir",
                "a volume that can be written",
                &[],
                volume(VolumeMount::empty_dir("data", "/data")),
            )
        },
        case("host-path", "a folder of the host", &["host-path"], host(data, "/data")),
        case(
            "sensitive-mounts",
            "/etc of the host, which is a path of the host, too",
            &["host-path", "sensitive-mounts"],
            host("/etc".into(), "/host/etc"),
        ),
        case(
            "runtime-socket",
            "the runtime's socket, which is a path of the host, too",
            &["host-path", "sensitive-mounts"],
            host(lab.socket(), "/run/containerd/containerd.sock"),
        ),
        Case {
            also: WRITABLE,
            ..case(
                "propagation",
                "mounts propagate to the host",
                &["sensitive-mounts"],
                volume(bidirectional),
            )
        },
        case("proc-mount", "procMount: Unmasked", &["proc-mount"], ContainerSpec { unmasked: true, ..app() }),
        case(
            "host-devices",
            "/dev/fuse",
            &["host-devices"],
            ContainerSpec { devices: vec!["/dev/fuse".into()], ..app() },
        ),
        case(
            "service-account-token",
            "a token of its service account",
            &["service-account-token"],
            volume(VolumeMount::token()),
        ),
    ])
}

fn limits() -> Vec<Case> {
    let limited = |limits| ContainerSpec { limits, ..app() };
    let mut no_pids = case("pids-limit", "no limit of processes", &["pids-limit"], app());
    no_pids.pod.pids_limit = None;
    vec![
        case(
            "memory-limit",
            "no memory limit",
            &["memory-limit"],
            limited(Limits { memory: None, ..Limits::GENEROUS }),
        ),
        case(
            "cpu-limit",
            "no CPU limit",
            &["cpu-limit"],
            limited(Limits { cpu_milli: None, ..Limits::GENEROUS }),
        ),
        no_pids,
    ]
}

/// Ports, secrets and images.
fn what_it_shows(by_digest: &str) -> Vec<Case> {
    let listens = |address| ContainerSpec::restricted("app", ["/bin/listen", address]);
    let of_image = |image: &str| ContainerSpec { image: Some(image.to_owned()), ..app() };
    vec![
        case(
            "undeclared-ports",
            "listens on a port that it does not declare",
            &["undeclared-ports"],
            listens("0.0.0.0:8080"),
        ),
        case(
            "declared-ports",
            "nothing: listens on a port that it declares",
            &[],
            ContainerSpec { ports: vec![Port::tcp(8080)], ..listens("0.0.0.0:8080") },
        ),
        case("local-ports", "nothing: listens for itself", &[], listens("127.0.0.1:8080")),
        case(
            "host-ports",
            "a port of the node leads to it",
            &["host-ports"],
            ContainerSpec { ports: vec![Port { host: Some(18_080), ..Port::tcp(8080) }], ..app() },
        ),
        case(
            "secrets-in-environment",
            "a password in the environment",
            &["secrets-in-environment"],
            ContainerSpec {
                env: vec![("DATABASE_PASSWORD".to_owned(), "qV7#tR2m!xL9wZ4b".to_owned())],
                ..app()
            },
        ),
        case(
            "secrets-in-arguments",
            "a password among the arguments",
            &["secrets-in-arguments"],
            ContainerSpec::restricted("app", ["/bin/pause", "--password=qV7#tR2m!xL9wZ4b"]),
        ),
        case("image-tag", "an image known as latest", &["image-tag"], of_image(image::LATEST)),
        case("image-digest", "nothing: an image known by its digest", &[], of_image(by_digest)),
    ]
}

/// What is seen of programs, not of how the container was made.
fn what_it_does() -> Vec<Case> {
    let shell = |script| ContainerSpec::restricted("app", ["/bin/sh", "-c", script]);
    // The shell is seen with the container's rights before the program has others.
    let gains = |script| ContainerSpec { no_new_privs: false, ..shell(script) };
    vec![
        case(
            "drift-in-layer",
            "a program in the writable layer, which has to be one",
            &["read-only-root", "runtime-drift"],
            ContainerSpec { read_only_root: false, ..shell("cp /bin/pause /tmp/copy && exec /tmp/copy") },
        ),
        Case {
            also: &["writable-executable-mounts"],
            ..case(
                "drift-in-volume",
                "a program in a volume",
                &["runtime-drift"],
                ContainerSpec {
                    volumes: vec![VolumeMount::empty_dir("data", "/data")],
                    ..shell("cp /bin/pause /data/copy && exec /data/copy")
                },
            )
        },
        case(
            "drift-in-memory",
            "a program in memory only",
            &["runtime-drift"],
            ContainerSpec::restricted("app", ["/bin/memfd-exec", "/bin/pause"]),
        ),
        case(
            "set-uid",
            "becomes root through a set-uid program, which no_new_privs would not let it",
            &["gained-privileges", "no-new-privileges", "run-as-non-root"],
            gains("sleep 1; exec /bin/setuid-sleep"),
        ),
        case(
            FILE_CAPABILITY,
            "gains NET_BIND_SERVICE through a file, which no_new_privs would not let it",
            &["gained-privileges", "no-new-privileges"],
            ContainerSpec {
                add: vec!["NET_BIND_SERVICE".to_owned()],
                ..gains("sleep 1; exec /bin/capable-pause")
            },
        ),
        case(
            GAIN_AND_LOSE,
            "becomes root through a set-uid program, until SIGUSR1",
            &["gained-privileges", "no-new-privileges", "run-as-non-root"],
            gains("sleep 1; exec /bin/gain-and-lose"),
        ),
        case(
            "threads-differ",
            "a thread with a seccomp filter of its own",
            &["threads-differ"],
            ContainerSpec::restricted("app", ["/bin/thread-differs"]),
        ),
    ]
}

fn app() -> ContainerSpec {
    ContainerSpec::restricted("app", SLEEP)
}

fn case(
    slug: &'static str,
    wrong: &'static str,
    expected: &'static [&'static str],
    container: ContainerSpec,
) -> Case {
    let pod = PodSpec::of_deployment("matrix", slug, "5d4f8c7b9", "x2x7k").container(container);
    Case { slug, wrong, expected, also: &[], pod }
}
