//! What nodes do all day, by both sets of rules at once: Kestrel's say nothing of it, and Falco's are counted beside.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![allow(clippy::print_stderr, reason = "the numbers are what one wants to see")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use kestrel_proto::v1::{self, Envelope, EventKind, Filter, record::Event};
use kestrel_tests::{
    lab::{
        Lab,
        collector::{Collector, Options},
        cri::Pod,
        delivery::{Delivering, wait_delivered},
        image, poll,
        spec::{ContainerSpec, PodSpec},
        watch::Watcher,
    },
    ordinary::{host, pods},
};

const LIMIT: Duration = Duration::from_secs(60);
/// The namespace of what is not ordinary.
const MARKER: &str = "marker";
/// How often all of it is done.
const ROUNDS: usize = 3;

/// Work on the node beside that of [`host::JOBS`], which needs no network: what it is called, and how a shell does it.
const JOBS: &[(&str, &str)] = &[
    (
        "host: job of cron",
        "printf '#!/bin/sh\\nsh -c \"date >> $DIR/job.log\"\\ntrue\\n' > $DIR/cron; chmod 755 $DIR/cron; $DIR/cron",
    ),
    ("host: page fetched", "curl -sf -o $DIR/page http://127.0.0.1:18080/ && grep -q shop $DIR/page"),
    (
        "host: package unpacked into a root of its own",
        "mkdir -p $DIR/root/var/lib/dpkg/info $DIR/root/var/lib/dpkg/updates $DIR/pack/DEBIAN $DIR/pack/usr/share/doc; \
         : > $DIR/root/var/lib/dpkg/status; echo x > $DIR/pack/usr/share/doc/ordinary; \
         printf 'Package: ordinary\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: x\\n' \
         > $DIR/pack/DEBIAN/control; dpkg-deb -b $DIR/pack $DIR/ordinary.deb >/dev/null && \
         dpkg --root=$DIR/root -i $DIR/ordinary.deb >/dev/null && dpkg --root=$DIR/root -r ordinary >/dev/null",
    ),
];

/// A package of the distribution, where its servers can be reached.
const PACKAGE: (&str, &str) = (
    "host: package of the distribution unpacked into a root of its own",
    "mkdir -p $DIR/root/var/lib/dpkg/info $DIR/root/var/lib/dpkg/updates; : > $DIR/root/var/lib/dpkg/status; \
     cd $DIR && apt-get download -qq tree >/dev/null && \
     dpkg --root=$DIR/root --force-depends -i tree_*.deb >/dev/null 2>&1",
);

/// What a kubelet and people ask the runtime to run: the pod's name begins so, the container, the program.
const EXECS: &[(&str, &str, &[&str])] = &[
    ("web", "server", &["/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:18080/"]),
    ("web", "server", &["/bin/cat", "/tmp/www/index.html"]),
    ("checkout", "app", &["/bin/test", "-e", "/etc/passwd"]),
    ("checkout", "app", &["/bin/sh", "-c", "date; df -h; cat /proc/meminfo | head -3"]),
    ("checkout", "app", &["/bin/ps", "aux"]),
    ("checkout", "app", &["/bin/env"]),
];

fn official() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/falco");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    files.iter().map(|path| path.canonicalize().unwrap()).collect()
}

/// Names of Kestrel's rules.
fn ours() -> BTreeSet<String> {
    let mut loader = rules::load::Loader::new(rules::load::Config::default());
    for (name, text) in rules::default::FILES {
        loader.load(name, text);
    }
    loader.rules().rules().iter().map(|rule| rule.name.clone()).collect()
}

fn detection(envelope: &Envelope) -> &v1::Detection {
    match envelope.record.as_ref().and_then(|record| record.event.as_ref()) {
        Some(Event::Detection(detection)) => detection,
        other => panic!("no detection: {other:?}"),
    }
}

fn detections(watcher: &mut Watcher) -> Vec<Envelope> {
    let filter = Filter { kinds: vec![EventKind::Detection.into()], ..Filter::default() };
    watcher.past(filter).unwrap().events
}

/// Whether it is of what is not ordinary.
fn is_marker(envelope: &Envelope) -> bool {
    let names = envelope.container.as_ref().and_then(|container| container.names.as_ref());
    names.is_some_and(|names| names.namespace == MARKER)
}

/// All of it, some times. Gives how much was done.
fn work(lab: &Lab, pods: &[Pod]) -> usize {
    let ssh = lab.dir().join("ssh");
    let mut sshd = host::sshd(&ssh).unwrap();
    let listens =
        poll::until("sshd to listen", LIMIT, || Ok(std::net::TcpStream::connect("127.0.0.1:10022").is_ok()));
    let mut done = 0;
    for round in 0..ROUNDS {
        for (number, (name, script)) in host::JOBS.iter().chain(JOBS).enumerate() {
            // It changes what is installed on the node, which is for whoever records an hour of it.
            if *name == "host: package installed and removed" {
                continue;
            }
            let dir = lab.dir().join(format!("host-{round}-{number}"));
            host::run(script, &dir, &ssh).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            done += 1;
        }
        let (name, script) = PACKAGE;
        match host::run(script, &lab.dir().join(format!("host-{round}-package")), &ssh) {
            Ok(()) => done += 1,
            Err(error) => eprintln!("not done: {name}: {error:#}"),
        }
        for (pod, container, command) in EXECS {
            let pod = pods.iter().find(|it| it.spec.name.starts_with(pod)).unwrap();
            let container = pod.containers.iter().find(|it| it.name == *container).unwrap();
            let out = lab.cri().exec(&container.id, command.iter().copied()).unwrap();
            assert_eq!(out.code, 0, "{command:?}: {}", out.stderr);
            done += 1;
        }
        let app = ContainerSpec::restricted("app", ["/bin/sh", "-c", "date; exec sleep 1000"]);
        let rollout = lab.run(&PodSpec::of_deployment("shop", "search", "66b8f7d5c", "9tz4w").container(app));
        lab.cri().remove_pod(&rollout.unwrap().sandbox).unwrap();
        done += 1;
    }
    sshd.kill().unwrap();
    sshd.wait().unwrap();
    listens.unwrap();
    done
}

#[test]
fn of_ordinary_work_nothing_is_said() {
    let lab = Lab::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&Options::default()).unwrap();
    let endpoint = collector.endpoint();
    let config = format!("rules: {{builtin: on, files: {:?}, matching: all, rate: 0}}\n", official());
    let delivering = Delivering {
        processes: "containers",
        cri_socket: Some(lab.socket()),
        config: &config,
        ..Delivering::to(&endpoint)
    };
    let agent = delivering.start(dir.path()).unwrap();
    let mut watcher = Watcher::new(&endpoint).unwrap();
    let in_force = poll::until_some("the node to say which rules are in force", LIMIT, || {
        Ok(watcher.nodes()?.into_iter().find_map(|node| node.heartbeat?.rules))
    })
    .unwrap();
    assert_eq!(in_force.failed, 0, "{in_force:?}");

    // Of the pods those that need no other image.
    let specs = pods::all(image::APP).into_iter().filter(|spec| spec.labels.contains_key("app"));
    let specs = specs.filter(|spec| spec.name.starts_with("web") || spec.name.starts_with("checkout"));
    let pods: Vec<_> = specs.map(|spec| lab.run(&spec).unwrap()).collect();
    assert_eq!(pods.len(), 2);
    let listens = |address: &str| std::net::TcpStream::connect(address).is_ok();
    poll::until("the shop to be open", LIMIT, || Ok(listens("127.0.0.1:18080"))).unwrap();
    let done = work(&lab, &pods);

    // What is not ordinary, last: when both sets have told of it, all before it was judged.
    let ours = ours();
    let is_told = |found: &[Envelope], is_ours: bool| {
        found.iter().any(|it| is_marker(it) && ours.contains(&detection(it).rule) == is_ours)
    };
    let marker = ContainerSpec {
        read_only_root: false,
        ..ContainerSpec::privileged(
            "app",
            ["/bin/sh", "-c", "cp /bin/nothing /tmp/tool; /tmp/tool; exec sleep 1000"],
        )
    };
    lab.run(&PodSpec::new(MARKER, "marker-1").container(marker)).unwrap();
    let told = poll::until("both sets to tell of the marker", LIMIT, || {
        let found = detections(&mut watcher);
        Ok(is_told(&found, true) && is_told(&found, false))
    });
    wait_delivered(&agent, LIMIT).unwrap();
    let found = detections(&mut watcher);
    assert!(told.is_ok(), "{found:#?}\n{}", agent.stderr());

    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    let mut wrong = Vec::new();
    for it in found.iter().filter(|it| !is_marker(it)).map(detection) {
        let is_ours = ours.contains(&it.rule);
        *counts[usize::from(is_ours)].entry(it.rule.as_str()).or_insert(0_u64) += 1 + it.held_back;
        if is_ours {
            wrong.push(format!("{}: {}", it.rule, it.output));
        }
    }
    let [falco, kestrel] = counts;
    let total = |counts: &BTreeMap<&str, u64>| counts.values().sum::<u64>();
    eprintln!("{done} pieces of work; Falco's rules: {} {falco:#?}", total(&falco));
    eprintln!("Kestrel's: {} {kestrel:#?}", total(&kestrel));
    assert_eq!(wrong, Vec::<String>::new(), "ordinary work is told as something else");
}
