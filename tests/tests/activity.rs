//! From what a container does to files, mounts and sockets to the store and the command line: with the
//! pod's name, and how well each path is known.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use k8s_cri::v1::ContainerStatusResponse;
use kestrel_proto::v1::{self, Envelope, EventKind, Filter, Grade, Lane, record::Event};
use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    artifact,
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    liar::Liar,
    poll,
    spec::{ContainerSpec, PodSpec},
    watch::Watcher,
};
use serde_json::Value;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const POD: &str = "files-1";
/// Colours, reverses, and says that it is better known than it is.
const HOSTILE: &str = "\u{1b}[31m\u{202e} (object)";

/// A lab whose agent streams raw events to a collector.
struct Streaming {
    lab: Lab,
    collector: Collector,
    agent: Agent,
    _dir: TempDir,
}

impl Streaming {
    fn start() -> Self {
        let lab = Lab::start().unwrap();
        let socket = lab.socket();
        Self::asking(lab, &socket, "")
    }

    /// Its agent asks at this socket for names, and has these lines in its configuration too.
    fn asking(lab: Lab, socket: &Path, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start(&Options::default()).unwrap();
        let endpoint = collector.endpoint();
        let delivering = Delivering {
            processes: "containers",
            cri_socket: Some(socket.to_owned()),
            config: &format!("  files: all\n  network: containers\n{config}"),
            ..Delivering::to(&endpoint)
        };
        let agent = delivering.start(dir.path()).unwrap();
        Self { lab, collector, agent, _dir: dir }
    }

    /// Runs a script in a pod, and gives what came of it once an event `is_last`.
    fn run(&self, script: &str, kinds: &[EventKind], is_last: impl Fn(&Event) -> bool) -> Vec<Envelope> {
        self.begin(script);
        self.end(kinds, is_last)
    }

    /// Runs a script in a pod.
    fn begin(&self, script: &str) {
        let script = format!("{script}; exec sleep 2147483647");
        let app = ContainerSpec {
            read_only_root: false,
            ..ContainerSpec::restricted("app", ["/bin/sh", "-c", &script, HOSTILE])
        };
        self.lab.run(&PodSpec::new("shop", POD).host_network().container(app)).unwrap();
    }

    /// The pod's events of these kinds, once one `is_last`.
    fn end(&self, kinds: &[EventKind], is_last: impl Fn(&Event) -> bool) -> Vec<Envelope> {
        let mut watcher = Watcher::new(&self.collector.endpoint()).unwrap();
        let kinds = kinds.iter().map(|&kind| kind.into()).collect();
        let filter = Filter { kinds, pods: vec![POD.into()], ..Filter::default() };
        let mut events = Vec::new();
        let complete = poll::until("the last event", LIMIT, || {
            events = watcher.past(filter.clone())?.events;
            Ok(events.iter().filter_map(event).any(&is_last))
        });
        wait_delivered(&self.agent, LIMIT).unwrap();
        assert!(complete.is_ok(), "{events:#?}, {}, {}", self.agent.stderr(), self.collector.stderr());
        watcher.past(filter).unwrap().events
    }

    fn tail(&self, kind: &str, format: &str) -> String {
        let output = Command::new(artifact::binary("kestrel").unwrap())
            .args(["--server", &self.collector.endpoint(), "tail", "--oldest", "--no-follow"])
            .args(["--pod", POD, "--kind", kind, "-o", format])
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn event(envelope: &Envelope) -> Option<&Event> {
    envelope.record.as_ref()?.event.as_ref()
}

fn name(call: Option<&v1::Call>) -> &str {
    call.map_or("", |call| &call.name)
}

/// The event of the call on this path.
fn of<'a>(events: &'a [Envelope], call: &str, path: &str) -> &'a Envelope {
    let is_it = |envelope: &&Envelope| match event(envelope) {
        Some(Event::File(file)) => name(file.call.as_ref()).starts_with(call) && file.path == path.as_bytes(),
        Some(Event::Path(paths)) => {
            let from = paths.from.as_ref().map_or(&[][..], |from| &from.path);
            name(paths.call.as_ref()).starts_with(call) && from == path.as_bytes()
        }
        _ => false,
    };
    events.iter().find(is_it).unwrap_or_else(|| panic!("{call} {path}: {events:#?}"))
}

fn file(envelope: &Envelope) -> &v1::FileEvent {
    let Some(Event::File(file)) = event(envelope) else { panic!("no call on a file: {envelope:#?}") };
    file
}

fn paths(envelope: &Envelope) -> &v1::PathEvent {
    let Some(Event::Path(paths)) = event(envelope) else { panic!("no call on paths: {envelope:#?}") };
    paths
}

#[test]
fn what_a_container_does_to_files_is_in_the_store_and_on_the_terminal() {
    let streaming = Streaming::start();
    let script = "echo x > /tmp/made; cd /tmp; cat ./made; : > \"/tmp/$0\"; mv made moved; \
                  mount -t tmpfs none /tmp; rm moved; cat /etc/passwd";
    let events = streaming.run(
        script,
        &[EventKind::File],
        |event| matches!(event, Event::File(file) if file.path == b"/etc/passwd"[..]),
    );

    let made = of(&events, "open", "/tmp/made");
    let names = made.container.as_ref().unwrap().names.as_ref().unwrap();
    assert_eq!(
        (names.namespace.as_str(), names.pod.as_str(), names.container.as_str()),
        ("shop", POD, "app")
    );
    assert_eq!(made.process.as_ref().unwrap().exe, b"/bin/busybox"[..]);
    assert_eq!(made.lane(), Lane::Bulk);
    let opened = file(made);
    assert_eq!(opened.grade(), Grade::Fd, "one thread, so nobody can have changed the descriptor");
    let on_disk = opened.file.as_ref().unwrap();
    assert_eq!((on_disk.uid, on_disk.upper_layer), (1000, Some(true)));
    assert!(on_disk.inode != 0 && !opened.path_incomplete && !opened.other_mount_namespace);
    let intent = opened.open.unwrap();
    assert_eq!((intent.read, intent.write, intent.execute), (false, true, false));

    // From a relative name the path is that of the open file, from its root on.
    let reads = events.iter().filter(|envelope| match event(envelope) {
        Some(Event::File(file)) => {
            file.path == b"/tmp/made"[..] && file.open.is_some_and(|open| open.read && !open.write)
        }
        _ => false,
    });
    assert_eq!(reads.count(), 1);
    let passwd = file(of(&events, "open", "/etc/passwd"));
    assert_eq!(passwd.file.as_ref().unwrap().upper_layer, Some(false), "it is the image's");

    let moved = paths(of(&events, "rename", "/tmp/made"));
    let (from, to) = (moved.from.as_ref().unwrap(), moved.to.as_ref().unwrap());
    assert_eq!((from.grade(), from.name.as_ref()), (Grade::User, &b"made"[..]));
    assert_eq!((to.grade(), to.path.as_ref()), (Grade::User, &b"/tmp/moved"[..]));
    assert_eq!(moved.call.as_ref().unwrap().result, Some(0));
    of(&events, "unlink", "/tmp/moved");

    let mount = events.iter().find(|envelope| match event(envelope) {
        Some(Event::Path(paths)) => name(paths.call.as_ref()) == "mount",
        _ => false,
    });
    let mount = mount.unwrap_or_else(|| panic!("a mount that failed: {events:#?}"));
    assert_eq!(mount.lane(), Lane::Detections, "opens must not push it out");
    let call = paths(mount).call.as_ref().unwrap();
    assert!(call.result.is_some_and(|result| result < 0), "{call:?}");
    assert_eq!(paths(mount).to.as_ref().unwrap().path, b"/tmp"[..]);
    assert_eq!(paths(mount).text, b"tmpfs"[..]);

    let text = streaming.tail("file", "text");
    assert!(!text.chars().any(|char| char == '\u{1b}' || char == '\u{202e}'), "{text:?}");
    let line = |what: &str| {
        let line = text.lines().find(|line| line.contains(what));
        line.unwrap_or_else(|| panic!("{what}: {text}")).to_owned()
    };
    let made = line("/tmp/made (fd, not of the image) write");
    assert!(made.contains("FILE") && made.contains(&format!("shop/{POD}/app")), "{made}");
    line("/tmp/made (user) → /tmp/moved (user)");
    line("/etc/passwd (fd) read");
    // What a file is called is no grade.
    line("\"/tmp/\\x1b[31m\\u{202e} (object)\" (fd, not of the image) write");
    assert!(line("  mount  ").contains("none (user) → /tmp (user) flags 0x8000 \"tmpfs\" = EPERM"), "{text}");
    for json in streaming.tail("file", "json").lines() {
        let json: Value = serde_json::from_str(json).unwrap();
        let kind = json["type"].as_str().unwrap();
        assert!(matches!(kind, "file" | "path"), "{json}");
        assert_eq!(json["container"]["names"]["pod"], POD);
        assert!(json[kind]["call"]["name"].is_string() && json[kind]["actor"]["tid"].is_u64(), "{json}");
    }
}

#[test]
fn where_a_container_connects_to_is_known_by_the_socket() {
    let streaming = Streaming::start();
    // The pod is on the host's network.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("echo x | nc 127.0.0.1 {port}");
    let is_connect =
        |event: &Event| matches!(event, Event::Socket(it) if name(it.call.as_ref()) == "connect");
    let events = streaming.run(&script, &[EventKind::Network], is_connect);
    let connects = events.iter().filter_map(event).filter_map(|event| match event {
        Event::Socket(it) if name(it.call.as_ref()) == "connect" => Some(it),
        _ => None,
    });
    let to_port = |it: &&v1::SocketEvent| {
        let peer = it.socket.as_ref().and_then(|socket| socket.peer.as_ref());
        peer.is_some_and(|peer| (peer.ip.as_str(), peer.port) == ("127.0.0.1", u32::from(port)))
    };
    let connects: Vec<_> = connects.filter(to_port).collect();
    assert_eq!(connects.len(), 1, "{events:#?}");
    assert!(matches!(connects[0].grade(), Grade::Object | Grade::Fd));
    let text = streaming.tail("network", "text");
    assert!(text.contains(&format!("→ 127.0.0.1:{port} (")), "{text}");
}

/// The script of a pod whose first events are looked for, and its last.
const FIRST: &str = "echo x > /tmp/first; cat /etc/passwd";

fn is_last_of_first(event: &Event) -> bool {
    matches!(event, Event::File(file) if file.path == b"/etc/passwd"[..])
}

/// The pod's shell is there from its exec on, and its first write.
fn assert_first(events: &[Envelope]) {
    let is_shell = |envelope: &&Envelope| matches!(event(envelope), Some(Event::Exec(exec)) if exec.filename == b"/bin/sh"[..]);
    let shell = events.iter().find(is_shell).unwrap_or_else(|| panic!("the first exec: {events:#?}"));
    let made = of(events, "open", "/tmp/first");
    assert!(file(made).open.unwrap().write);
    assert!(shell.record.as_ref().unwrap().boottime_ns < made.record.as_ref().unwrap().boottime_ns);
    for envelope in [shell, made] {
        let names = envelope.container.as_ref().unwrap().names.as_ref().unwrap();
        assert_eq!((names.namespace.as_str(), names.pod.as_str()), ("shop", POD));
    }
}

#[test]
fn the_first_that_a_container_does_is_found_by_its_pod() {
    let streaming = Streaming::start();
    assert_first(&streaming.run(FIRST, &[EventKind::Exec, EventKind::File], is_last_of_first));
}

/// Whether names may be told.
static MAY_TELL: Mutex<bool> = Mutex::new(false);
static TOLD: Condvar = Condvar::new();

fn later(_: &mut ContainerStatusResponse) {
    let may_tell = MAY_TELL.lock().unwrap_or_else(PoisonError::into_inner);
    drop(TOLD.wait_while(may_tell, |may_tell| !*may_tell));
}

#[test]
fn what_a_container_does_before_the_runtime_answers_waits_for_its_names() {
    let lab = Lab::start().unwrap();
    let liar = Liar::start(&lab.dir().join("later.sock"), &lab.socket(), later).unwrap();
    let streaming = Streaming::asking(lab, liar.socket(), "findings: {name_wait: 1m}\ncri: {timeout: 1m}\n");
    streaming.begin(FIRST);
    let agent = &streaming.agent;
    // Of the shell: its exec, its write, and the execs of what it runs.
    poll::until("events to wait for names", LIMIT, || Ok(agent.metric("kestrel_name_wait_events")? >= 4.0))
        .unwrap();
    assert!(wait_delivered(agent, Duration::ZERO).is_err(), "what waits is not delivered");
    *MAY_TELL.lock().unwrap() = true;
    TOLD.notify_all();
    assert_first(&streaming.end(&[EventKind::Exec, EventKind::File], is_last_of_first));
    let ended = |reason: &str| {
        agent.metric_of("kestrel_name_wait_ended_events_total", &format!("reason=\"{reason}\"")).unwrap()
    };
    assert!(ended("named") >= 4.0);
    assert_eq!((ended("deadline"), ended("room"), ended("gone")), (0.0, 0.0, 0.0));
    assert_eq!(agent.metric("kestrel_name_wait_events").unwrap(), 0.0);
}
