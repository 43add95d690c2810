//! The official stable rules against a real kernel and real containers: what each looks for is done, and
//! found.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use kestrel_proto::v1::{self, Envelope, EventKind, Filter, Priority, detection::Object, record::Event};
use kestrel_tests::lab::{
    Lab,
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    poll,
    slack::{Received, Slack},
    spec::{ContainerSpec, PodSpec},
    watch::Watcher,
};

const LIMIT: Duration = Duration::from_secs(60);
const POD: &str = "suspect-1";

/// Programs by their paths: the shell would run itself in their place, and the kernel calls that `exe`.
/// Not on the node's network: of rules on connections only what the pod itself has can be reached.
const ACTS: &str = "
mkdir -p /var/log /tmp/a /run/app; echo root:x > /etc/shadow; : > /etc/sudoers
[ -e /var/run ] || ln -s /run /var/run
: > /run/app/..data; ln -s ..data /run/app/token; /bin/cat /var/run/app/token /proc/self/environ > /dev/null
script() { printf '#!/bin/sh\\n%s\\n' \"$2\" > \"/tmp/$1\"; chmod 755 \"/tmp/$1\"; }
script nginx 'sleep 6; read line < /etc/shadow; /bin/sh -c true; true'
script shred true; script debugfs true; script shm.sh true
/tmp/nginx &
/bin/cat /etc/shadow
echo /srv/../../etc/shadow | /bin/xargs /bin/cat
echo /tmp/../../etc/sudoers | /bin/xargs /bin/cat
/bin/nc -e /bin/true 127.0.0.1 1
/bin/find /root -name id_rsa
/bin/find /root -name .aws/credentials
: > /var/log/auth.log
/tmp/shred
ln -s /etc/shadow /tmp/a/soft
ln /etc/shadow /tmp/a/hard
suspect packet-socket
insmod /etc/passwd
/tmp/debugfs
echo > /tmp/a/release_agent
suspect attach
suspect traceme
mkdir -p /dev/shm; cp /tmp/shm.sh /dev/shm/x; /bin/sh /dev/shm/x
cp /bin/busybox /usr/local-binary; /usr/local-binary true
memfd-exec /bin/pause &
ip link set lo up; ip addr add 198.51.100.7/32 dev lo
nc -l -p 4444 & nc -l -p 8443 &
cp /bin/suspect /tmp/ssh
until suspect stdio 127.0.0.1:4444; do usleep 50000; done
until /tmp/ssh connect 198.51.100.7:8443; do usleep 50000; done
wait %1
echo done > /tmp/acts-are-done
";

/// What is to be found: the rule, its priority, and the file or peer that it is about; empty: any.
const EXPECTED: &[(&str, Priority, &str)] = &[
    ("Directory traversal monitored file read", Priority::Warning, "/etc/shadow"),
    ("Directory traversal monitored file read", Priority::Warning, "/etc/sudoers"),
    ("Read sensitive file trusted after startup", Priority::Warning, "/etc/shadow"),
    ("Read sensitive file untrusted", Priority::Warning, "/etc/shadow"),
    ("Run shell untrusted", Priority::Notice, ""),
    ("Terminal shell in container", Priority::Notice, ""),
    ("Contact K8S API Server From Container", Priority::Notice, "127.0.0.1:4444"),
    ("Netcat Remote Code Execution in Container", Priority::Warning, ""),
    ("Search Private Keys or Passwords", Priority::Warning, ""),
    ("Clear Log Activities", Priority::Warning, "/var/log/auth.log"),
    ("Remove Bulk Data from Disk", Priority::Warning, ""),
    ("Create Symlink Over Sensitive Files", Priority::Warning, "/tmp/a/soft"),
    ("Create Hardlink Over Sensitive Files", Priority::Warning, "/tmp/a/hard"),
    ("Packet socket created in container", Priority::Notice, ""),
    ("Redirect STDOUT/STDIN to Network Connection in Container", Priority::Notice, "127.0.0.1:4444"),
    ("Linux Kernel Module Injection Detected", Priority::Warning, ""),
    ("Debugfs Launched in Privileged Container", Priority::Warning, ""),
    ("Detect release_agent File Container Escapes", Priority::Critical, "/tmp/a/release_agent"),
    ("PTRACE attached to process", Priority::Warning, ""),
    ("PTRACE anti-debug attempt", Priority::Notice, ""),
    ("Find AWS Credentials", Priority::Warning, ""),
    ("Execution from /dev/shm", Priority::Warning, ""),
    ("Drop and execute new binary in container", Priority::Critical, ""),
    ("Disallowed SSH Connection Non Standard Port", Priority::Notice, "198.51.100.7:8443"),
    ("Fileless execution via memfd_create", Priority::Critical, ""),
    ("Token read", Priority::Notice, "/run/app/..data"),
    ("Environment read", Priority::Notice, ""),
];

/// On the node: a user that logs in does not run programs as one of the system's.
const ON_THE_NODE: &str = "System user interactive";

/// On a machine without a cluster the server's name is another, as a team would say it. Names of files that are links,
/// as teams know them.
const LOCAL: &str = "
- macro: k8s_api_server
  condition: (fd.sip.name = localhost)
  override: {condition: replace}
- rule: Token read
  desc: d
  condition: open_read and fd.name = /var/run/app/token
  output: read (file=%fd.name)
  priority: NOTICE
  tags: [T1552]
- rule: Environment read
  desc: d
  condition: open_read and fd.name = /proc/self/environ and proc.name = cat
  output: read (file=%fd.name)
  priority: NOTICE
  tags: [T1552]
";

fn official() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/falco/falco_rules.yaml")
}

fn detections(watcher: &mut Watcher) -> Vec<Envelope> {
    let filter = Filter { kinds: vec![EventKind::Detection.into()], ..Filter::default() };
    watcher.past(filter).unwrap().events
}

fn detection(envelope: &Envelope) -> &v1::Detection {
    match envelope.record.as_ref().and_then(|record| record.event.as_ref()) {
        Some(Event::Detection(detection)) => detection,
        other => panic!("no detection: {other:?}"),
    }
}

fn object(detection: &v1::Detection) -> String {
    match &detection.object {
        Some(Object::Path(path)) => String::from_utf8_lossy(path).into_owned(),
        Some(Object::Peer(peer)) => format!("{}:{}", peer.ip, peer.port),
        None => String::new(),
    }
}

/// As a login: `sshd` runs a program as `daemon`.
fn run_as_a_system_user(dir: &Path) {
    let sshd = dir.join("sshd");
    fs::write(&sshd, "#!/bin/sh\nsetpriv --reuid=daemon --clear-groups id\ntrue\n").unwrap();
    fs::set_permissions(&sshd, fs::Permissions::from_mode(0o755)).unwrap();
    let status = Command::new(sshd).stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
}

#[test]
fn what_the_official_rules_look_for_is_found_where_it_is_done() {
    let lab = Lab::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let slack = Slack::start().unwrap();
    let url = dir.path().join("slack-url");
    fs::write(&url, slack.url()).unwrap();
    let config =
        format!("alerts: {{slack: {{url_file: {url:?}, min_severity: critical, min_priority: critical}}}}\n");
    let collector = Collector::start(&Options { config, ..Options::default() }).unwrap();
    let endpoint = collector.endpoint();
    let rules = official().canonicalize().unwrap();
    let local = dir.path().join("local.yaml");
    fs::write(&local, LOCAL).unwrap();
    let config = format!("rules: {{files: [{rules:?}, {local:?}], matching: all, rate: 0}}\n");
    let delivering = Delivering {
        processes: "containers",
        cri_socket: Some(lab.socket()),
        config: &config,
        ..Delivering::to(&endpoint)
    };
    let agent = delivering.start(dir.path()).unwrap();
    let mut nodes = Watcher::new(&endpoint).unwrap();
    let in_force = poll::until_some("the node to say which rules are in force", LIMIT, || {
        Ok(nodes.nodes()?.into_iter().find_map(|node| node.heartbeat?.rules))
    })
    .unwrap();
    assert_eq!((in_force.active, in_force.defined, in_force.failed), (27, 27, 0));
    assert!(in_force.warnings.iter().any(|warning| warning.contains("proc.cwd")), "{in_force:?}");

    let script = format!("{ACTS}\nexec sleep 2147483647");
    let app = ContainerSpec {
        read_only_root: false,
        ..ContainerSpec::privileged("app", ["/bin/sh", "-c", &script])
    };
    let terminal = ContainerSpec {
        tty: true,
        ..ContainerSpec::privileged("terminal", ["/bin/sh", "-c", "exec sleep 2147483647"])
    };
    lab.run(&PodSpec::new("shop", POD).container(app).container(terminal)).unwrap();
    run_as_a_system_user(dir.path());

    let mut watcher = Watcher::new(&endpoint).unwrap();
    let mut found = Vec::new();
    let is_there = |found: &[Envelope], rule: &str| found.iter().any(|it| detection(it).rule == rule);
    let complete = poll::until("every rule to match", LIMIT, || {
        found = detections(&mut watcher);
        Ok(EXPECTED.iter().all(|(rule, ..)| is_there(&found, rule)) && is_there(&found, ON_THE_NODE))
    });
    wait_delivered(&agent, LIMIT).unwrap();
    let found = detections(&mut watcher);

    let mut wrong = Vec::new();
    for (rule, priority, about) in EXPECTED {
        let in_pod = |it: &&Envelope| {
            let names = it.container.as_ref().and_then(|container| container.names.as_ref());
            names.is_some_and(|names| names.pod == POD && names.namespace == "shop")
        };
        let of_rule: Vec<_> = found.iter().filter(|it| detection(it).rule == *rule).collect();
        let fits = |it: &&&Envelope| {
            let told = detection(it);
            in_pod(it)
                && told.priority() == *priority
                && (about.is_empty() || object(told) == *about)
                && !told.pending_names
                && it.process.as_ref().is_some_and(|process| !process.exe.is_empty())
                && told.tags.iter().any(|tag| tag.starts_with("mitre_") || tag.starts_with('T'))
                && !told.output.is_empty()
        };
        if !of_rule.iter().any(|it| fits(&it)) {
            let told: Vec<_> = of_rule.iter().map(|it| (detection(it), object(detection(it)))).collect();
            wrong.push(format!("{rule}: {told:#?}"));
        }
    }
    assert!(complete.is_ok() && wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.stderr());

    // So do calls that failed, of the program that looked for it along its path.
    let is_it = |it: &&Envelope| {
        let fields = &detection(it).fields;
        let is = |name: &str, value: &str| {
            fields.iter().any(|field| field.name == name && field.value.as_deref() == Some(value))
        };
        detection(it).rule == ON_THE_NODE && is("user.name", "daemon") && is("proc.name", "id")
    };
    let on_the_node = found.iter().find(is_it).unwrap_or_else(|| panic!("{ON_THE_NODE}: {found:#?}"));
    assert_eq!(detection(on_the_node).event_type, "execve");
    assert!(on_the_node.container.is_none());

    assert_told_by_priority(&slack);
}

/// What is critical is told with its technique of ATT&CK and its pod, and nothing less urgent is.
fn assert_told_by_priority(slack: &Slack) {
    let texts = || slack.posted().iter().map(Received::text).collect::<Vec<_>>();
    let critical = || EXPECTED.iter().filter(|(_, priority, _)| *priority == Priority::Critical);
    let told = poll::until("Slack to hear of what is critical", LIMIT, || {
        let texts = texts();
        Ok(critical().all(|(rule, ..)| texts.iter().any(|text| text.contains(rule))))
    });
    let texts = texts();
    assert!(told.is_ok(), "{texts:#?}");
    for (rule, ..) in critical() {
        let text = texts.iter().find(|text| text.contains(rule)).unwrap();
        assert!(text.contains(POD), "{text}");
    }
    let fileless = texts.iter().find(|text| text.contains("Fileless execution via memfd_create")).unwrap();
    assert!(fileless.contains("T1620"), "{fileless}");
    for (rule, ..) in EXPECTED.iter().filter(|(_, priority, _)| *priority != Priority::Critical) {
        assert!(!texts.iter().any(|text| text.contains(rule)), "{rule} is less urgent: {texts:#?}");
    }
}

#[test]
fn rules_that_change_are_read_again_and_bad_ones_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&Options::default()).unwrap();
    let endpoint = collector.endpoint();
    let folder = dir.path().join("rules");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("a.yaml");
    let rule = |name: &str, program: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: evt.type = execve and proc.name = {program}\n  \
             output: ran %proc.cmdline\n  priority: ERROR\n"
        )
    };
    fs::write(&file, rule("First", "first-program")).unwrap();
    let config = format!("rules: {{files: [{folder:?}], interval: 1s}}\nheartbeat: {{interval: 1s}}\n");
    let delivering = Delivering { config: &config, ..Delivering::to(&endpoint) };
    let agent = delivering.start(dir.path()).unwrap();
    let mut watcher = Watcher::new(&endpoint).unwrap();
    let run = |program: &str| {
        let path = dir.path().join(program);
        fs::write(&path, "#!/bin/sh\ntrue\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Command::new(path).status().unwrap().success());
    };
    let mut until_found = |rule: &str, program: &str| {
        poll::until(&format!("{rule} to match"), LIMIT, || {
            run(program);
            Ok(detections(&mut watcher).iter().any(|it| detection(it).rule == rule))
        })
        .unwrap();
    };
    until_found("First", "first-program");

    fs::write(
        &file,
        "- rule: Second\n  desc: d\n  condition: evt.type = execv\n  output: o\n  priority: ERROR\n",
    )
    .unwrap();
    let mut nodes = Watcher::new(&endpoint).unwrap();
    let mut rules = || {
        poll::until_some("the node's rules", LIMIT, || {
            Ok(nodes.nodes()?.into_iter().find_map(|node| node.heartbeat?.rules))
        })
        .unwrap()
    };
    poll::until("the bad rules to be refused", LIMIT, || Ok(rules().error.is_some())).unwrap();
    let refused = rules();
    let place = format!("{}:3:25: ", file.display());
    assert!(refused.error.as_ref().unwrap().starts_with(&place), "{refused:?}");
    assert_eq!((refused.active, refused.failed), (1, 1), "those before are in force");
    until_found("First", "first-program");

    fs::write(&file, rule("Second", "second-program")).unwrap();
    until_found("Second", "second-program");
    poll::until("the good rules to be in force", LIMIT, || Ok(rules().error.is_none())).unwrap();
    assert_ne!(rules().hash, refused.hash);
    drop(agent);
}
