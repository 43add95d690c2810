//! The lab proves itself, so that a failure elsewhere is not the lab's.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use kestrel_tests::lab::{
    Lab,
    artifact::trigger,
    foreign::{self, Engine, Foreign},
    identity::Identity,
    ledger::Ledger,
    lock::KernelLock,
    pods, poll,
    proc::{self, Credentials},
    spec::{ContainerSpec, PodSpec, Propagation, Volume, VolumeMount},
    sweep::cgroup_roots,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procfs::process::Process;

const LIMIT: Duration = Duration::from_secs(20);
const SLEEP: [&str; 2] = ["/bin/sleep", "2147483647"];

#[test]
fn every_demo_pod_runs_as_asked() {
    let lab = Lab::start().unwrap();
    let demo = pods::demo(lab.dir()).unwrap();
    // The runtime gives no more than it has itself.
    let all = Credentials::of(std::process::id()).unwrap().cap_bounding;
    for pod in &demo {
        let container = lab.run(&pod.spec).unwrap().containers.remove(0);
        let seen = Credentials::of(container.pid).unwrap();
        let asked = &pod.spec.containers[0];
        let uid = u32::try_from(asked.run_as_user.unwrap()).unwrap();
        assert_eq!(seen.uid, [uid; 4], "{}", pod.slug);
        assert_eq!(seen.no_new_privs, asked.no_new_privs, "{}", pod.slug);
        let filter = !matches!(pod.slug, "no-seccomp" | "privileged");
        assert_eq!(seen.seccomp, if filter { 2 } else { 0 }, "{}", pod.slug);
        let caps = if asked.privileged { all } else { 0 };
        assert_eq!([seen.cap_effective, seen.cap_permitted, seen.cap_bounding], [caps; 3], "{}", pod.slug);
        assert_eq!(seen.ns_pid, [container.pid.cast_signed(), 1], "{}", pod.slug);
        assert_eq!(proc::unified_cgroup(container.pid).unwrap(), container.cgroup, "{}", pod.slug);

        let info = lab.cri().info(&container.id).unwrap();
        assert!(info.running, "{}", pod.slug);
        assert_eq!(info.oci["process"]["noNewPrivileges"].as_bool().unwrap_or(false), asked.no_new_privs);
        if pod.slug == "setuid" {
            poll::until("the set-uid program", LIMIT, || Ok(Credentials::of(container.pid)?.uid[1] == 0))
                .unwrap();
            assert_eq!(Credentials::of(container.pid).unwrap().uid, [1000, 0, 0, 0]);
            assert_eq!(proc::comm(container.pid).unwrap(), "setuid-sleep");
            poll::until("its output", LIMIT, || {
                Ok(lab.logs(&pod.spec, "app")?.contains("stdout F uid 1000 euid 0"))
            })
            .unwrap();
        }
    }
    assert_eq!(lab.cri().sandboxes().unwrap().len(), demo.len());
}

#[test]
fn a_program_run_in_a_container_has_its_credentials() {
    let lab = Lab::start().unwrap();
    let spec = PodSpec::new("test", "exec").container(ContainerSpec::restricted("app", SLEEP));
    let pod = lab.run(&spec).unwrap();
    let app = &pod.containers[0];

    let out = lab.cri().exec(&app.id, ["/bin/sh", "-c", "id -u; grep NoNewPrivs /proc/self/status; exit 3"]);
    let out = out.unwrap();
    assert_eq!((out.code, out.stdout.as_str()), (3, "1000\nNoNewPrivs:\t1\n"));
    assert_eq!(lab.cri().exec(&app.id, ["/bin/short-life"]).unwrap().code, 0);

    lab.cri().remove_container(&app.id).unwrap();
    assert!(Credentials::of(app.pid).is_err());
    lab.cri().remove_pod(&pod.sandbox).unwrap();
    assert!(lab.cri().sandboxes().unwrap().is_empty());
}

#[test]
fn a_restarted_container_is_another_in_the_same_pod() {
    let lab = Lab::start().unwrap();
    let spec = PodSpec::new("test", "again").container(ContainerSpec::restricted("app", SLEEP));
    let mut pod = lab.run(&spec).unwrap();
    let first = pod.containers[0].clone();
    lab.restart(&mut pod, "app").unwrap();
    let second = &pod.containers[0];
    assert_eq!((first.attempt, second.attempt), (0, 1));
    assert_ne!(first.id, second.id);
    assert!(Credentials::of(first.pid).is_err());
    assert_eq!(proc::unified_cgroup(second.pid).unwrap(), spec.cgroup(&second.id));
}

#[test]
fn no_new_privs_disarms_a_set_uid_program() {
    let lab = Lab::start().unwrap();
    let spec = PodSpec::new("test", "nnp").container(ContainerSpec::restricted("app", ["/bin/setuid-sleep"]));
    let app = lab.run(&spec).unwrap().containers.remove(0);
    assert_eq!(Credentials::of(app.pid).unwrap().uid, [1000; 4]);
}

#[test]
fn a_host_pid_pod_has_one_pid() {
    let lab = Lab::start().unwrap();
    let spec = PodSpec::new("test", "hostpid").host_pid().container(ContainerSpec::restricted("app", SLEEP));
    let app = lab.run(&spec).unwrap().containers.remove(0);
    assert_eq!(Credentials::of(app.pid).unwrap().ns_pid, [app.pid.cast_signed()]);
}

#[test]
fn containers_outlive_a_restart_of_the_daemon() {
    let mut lab = Lab::start().unwrap();
    let spec = PodSpec::new("test", "restart").container(ContainerSpec::restricted("app", SLEEP));
    let app = lab.run(&spec).unwrap().containers.remove(0);
    let before = lab.containerd().pid();

    lab.stop_daemon().unwrap();
    lab.start_daemon().unwrap();
    assert_ne!(lab.containerd().pid(), before);
    let info = lab.cri().info(&app.id).unwrap();
    assert_eq!((info.running, info.pid), (true, app.pid));

    lab.kill_daemon().unwrap();
    assert!(Credentials::of(app.pid).is_ok());
    lab.start_daemon().unwrap();
    assert_eq!(lab.cri().info(&app.id).unwrap().pid, app.pid);
}

#[test]
fn calls_through_the_32_bit_table_work_here() {
    let _lock = KernelLock::acquire().unwrap();
    let mut child =
        Command::new(trigger("creds32").unwrap()).stdout(Stdio::piped()).spawn().map(Reaped).unwrap();
    assert_eq!(child.line(), "uid 1000");
    let seen = Credentials::of(child.0.id()).unwrap();
    assert_eq!((seen.uid, seen.no_new_privs), ([1000; 4], true));
}

#[test]
fn a_process_can_be_born_in_a_control_group() {
    let _lock = KernelLock::acquire().unwrap();
    let unified = cgroup_roots().into_iter().find(|root| root.join("cgroup.controllers").exists()).unwrap();
    let group = Group(unified.join(format!("kestrel-lab-test-{}", std::process::id())));
    fs::create_dir(&group.0).unwrap();
    let mut parent = Command::new(trigger("clone-into-cgroup").unwrap())
        .arg(&group.0)
        .args(SLEEP)
        .stdout(Stdio::piped())
        .spawn()
        .map(Reaped)
        .unwrap();
    let child: u32 = parent.line().parse().unwrap();
    let name = format!("/{}", group.0.file_name().unwrap().to_str().unwrap());
    assert_eq!(proc::unified_cgroup(child).unwrap(), name);
    kill(Pid::from_raw(child.cast_signed()), Signal::SIGKILL).unwrap();
    parent.0.wait().unwrap();
}

#[test]
fn nothing_is_left_after_a_lab() {
    let lab = Lab::start().unwrap();
    let dir = lab.dir().to_owned();
    let shared = VolumeMount {
        propagation: Propagation::Bidirectional,
        ..VolumeMount::empty_dir("shared", "/shared")
    };
    let memory =
        VolumeMount { volume: Volume::Memory("memory".to_owned()), ..VolumeMount::empty_dir("", "/memory") };
    let app = ContainerSpec {
        volumes: vec![VolumeMount::token(), shared, memory],
        ..ContainerSpec::restricted("app", SLEEP)
    };
    let spec = PodSpec::new("test", "drop").container(app);
    lab.run(&spec).unwrap();
    let command = SLEEP.map(str::to_owned).to_vec();
    let foreign = Foreign { engine: Engine::Podman, command, user_namespace: Some(100_000) };
    let foreign = foreign::run(&lab, &foreign).unwrap();
    let process = Identity::of(foreign.pid).unwrap();
    assert!(
        remains(&dir, &spec.uid).iter().any(|left| left.contains("/netns/")),
        "network namespaces go, too"
    );
    drop(lab);
    assert_eq!(remains(&dir, &spec.uid), BTreeSet::new());
    assert!(!process.is_alive());
    for root in cgroup_roots() {
        assert!(!root.join(foreign.cgroup.trim_start_matches('/')).exists());
    }
}

#[test]
fn a_pod_has_its_volumes_limits_and_a_network_of_its_own() {
    let lab = Lab::start().unwrap();
    let app = ContainerSpec {
        volumes: vec![VolumeMount::token(), VolumeMount::empty_dir("data", "/data")],
        ..ContainerSpec::restricted("app", ["/bin/plain-text", "0.0.0.0:8080"])
    };
    let spec = PodSpec { pids_limit: Some(77), ..PodSpec::new("test", "volumes").container(app) };
    let app = lab.run(&spec).unwrap().containers.remove(0);
    let sh = |script: &str| lab.cri().exec(&app.id, ["/bin/sh", "-c", script]).unwrap();
    assert_eq!(sh("cat /var/run/secrets/kubernetes.io/serviceaccount/namespace").stdout, "lab");
    assert_eq!(sh("echo x > /data/x && cat /data/x").stdout, "x\n");
    assert_ne!(sh("echo x > /tmp/x").code, 0, "the root file system is read-only");
    let limits: Vec<_> = cgroup_roots()
        .iter()
        .filter_map(|root| fs::read_to_string(root.join(&spec.cgroup_parent()[1..]).join("pids.max")).ok())
        .collect();
    assert!(limits.iter().any(|limit| limit == "77\n"), "{limits:?}");
    assert_eq!(sh("ls /sys/class/net").stdout, "lo\n");
    poll::until("the server's answer", LIMIT, || {
        let answer = lab.cri().exec(&app.id, ["/bin/wget", "-q", "-O-", "http://127.0.0.1:8080/"])?;
        Ok(answer.stdout == "plain\n")
    })
    .unwrap();
}

#[test]
fn nothing_is_left_after_a_killed_lab_is_swept() {
    let _lock = KernelLock::acquire().unwrap();
    for daemon_dies_too in [false, true] {
        let dir = PathBuf::from(format!("/var/lib/kestrel-lab-test-{}", std::process::id()));
        let mut demo = Command::new(env!("CARGO_BIN_EXE_kestrel-lab"))
            .args(["demo", "--die-with-parent", "--dir"])
            .arg(&dir)
            .stdout(Stdio::piped())
            .spawn()
            .map(Reaped)
            .unwrap();
        let lines: Vec<_> = BufReader::new(demo.0.stdout.take().unwrap()).lines().take(3).collect();
        let first = lines[0].as_ref().unwrap();
        assert_eq!(*first, format!("cri socket: {}/containerd.sock", dir.display()));
        demo.0.kill().unwrap();
        demo.0.wait().unwrap();

        let uids: Vec<_> = fs::read_dir(dir.join("pods"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(uids.len() >= 2);
        if daemon_dies_too {
            let daemon = fs::read_to_string(dir.join("daemon")).unwrap();
            let pid = daemon.split(' ').next().unwrap().parse().unwrap();
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        Ledger::sweep(Some(&dir)).unwrap();
        for uid in uids {
            assert_eq!(remains(&dir, &uid), BTreeSet::new());
        }
    }
}

/// What there is of a lab: files, mounts, control groups, processes.
fn remains(dir: &Path, pod_uid: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if dir.exists() {
        found.insert(format!("folder {}", dir.display()));
    }
    for mount in Process::myself().unwrap().mountinfo().unwrap() {
        if mount.mount_point.starts_with(dir) {
            found.insert(format!("mount {}", mount.mount_point.display()));
        }
    }
    for root in cgroup_roots() {
        let group = root.join(format!("kubepods/besteffort/pod{pod_uid}"));
        if group.exists() {
            found.insert(format!("control group {}", group.display()));
        }
    }
    for process in procfs::process::all_processes().unwrap().flatten() {
        // A killed orphan is a zombie until init gets to it.
        if process.stat().is_ok_and(|stat| matches!(stat.state, 'Z' | 'X')) {
            continue;
        }
        let args = process.cmdline().unwrap_or_default().join(" ");
        let groups = process.cgroups().map(|groups| groups.0).unwrap_or_default();
        if args.contains(dir.to_str().unwrap()) || groups.iter().any(|group| group.pathname.contains(pod_uid))
        {
            found.insert(format!("process {} {args}", process.pid()));
        }
    }
    found
}

/// A child that does not outlive the test.
struct Reaped(Child);

impl Reaped {
    fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A control group that does not outlive the test.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
