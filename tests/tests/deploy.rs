//! The agent in a container, with exactly the rights that its manifest asks for.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kestrel_tests::lab::{
    Lab, artifact,
    cri::Pod,
    findings::{LIMIT, is_of, is_on, is_violation},
    image, manifest,
    manifest::Volumes,
    pods, poll,
    proc::Credentials,
    spec::{PodSpec, Seccomp},
};
use serde_json::Value;

/// A debug machine that is busy; the agent itself needs a second.
const READY: Duration = Duration::from_secs(60);
/// `terminationGracePeriodSeconds`; a call to the runtime takes at most 30.
const GRACE: i64 = 20;
/// BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH.
const RIGHTS: u64 = 1 << 39 | 1 << 38 | 1 << 19 | 1 << 2;

#[test]
fn it_sees_and_judges_and_passes_its_own_checks() {
    let deployed = Deployed::new();
    let mut agent = deployed.spec("7h2vd");
    let listen = deployed.overrides(&mut agent);
    check(&deployed, &agent, listen);
}

#[test]
fn it_does_so_under_its_own_seccomp_profile() {
    let deployed = Deployed::new();
    let mut agent = deployed.spec("7h2vd");
    let listen = deployed.overrides(&mut agent);
    agent.containers[0].seccomp = Seccomp::Localhost(deploy().join("seccomp/agent.json"));
    check(&deployed, &agent, listen);
}

fn check(deployed: &Deployed, agent: &PodSpec, listen: SocketAddr) {
    let lab = &deployed.lab;
    let mut pod = lab.run(agent).unwrap();
    let before = lab.run(&demo(lab, "no-nnp").spec).unwrap();
    deployed.wait_ready(&pod, listen);

    // Its rights are those of the manifest, and no others.
    let seen = Credentials::of(pod.containers[0].pid).unwrap();
    assert_eq!((seen.uid, seen.gid), ([65532; 4], [65532; 4]));
    assert_eq!((seen.no_new_privs, seen.seccomp), (true, 2));
    assert_eq!([seen.cap_effective, seen.cap_permitted, seen.cap_bounding], [RIGHTS; 3], "{seen:x?}");
    assert_eq!([seen.cap_inheritable, seen.cap_ambient], [0; 2]);

    // It sees and judges: what was there before it, and what comes.
    let after = lab.run(&demo(lab, "root").spec).unwrap();
    for (pod, control) in [(&before, "no-new-privileges"), (&after, "run-as-non-root")] {
        let found = deployed.wait(control, |finding| is_on(finding, control) && is_of(finding, pod));
        assert_eq!(
            (&found["verdict"], &found["enrichment"]),
            (&"FAIL".into(), &"COMPLETE".into()),
            "{found:#}"
        );
        assert_eq!(found["node"], "lab-node");
    }

    // The container that prepares it, seen from the agent's side, and the agent itself.
    let mut again = deployed.spec("second");
    again.containers.clear();
    let again = lab.run(&again).unwrap();
    let exempt = |pod: &Pod, container: &str, control: &str| {
        let found = deployed.wait(&format!("{control} of {container}"), |finding| {
            is_of(finding, pod) && finding["container"] == container && is_on(finding, control)
        });
        assert_eq!(found["verdict"], "EXEMPT", "{found:#}");
        assert!(!found["exemption"]["reason"].as_str().unwrap().is_empty(), "{found:#}");
    };
    exempt(&pod, "agent", "capabilities");
    exempt(&again, "prepare", "capabilities");
    exempt(&again, "prepare", "run-as-non-root");
    // Its sandbox has its name too: what waits for one is told at the agent's end.
    deployed.wait("the sandbox's name", |finding| {
        finding["container_id"] == *again.sandbox && finding["enrichment"] == "COMPLETE"
    });

    // Another one adopts what it left in the kernel, and nobody was blind.
    lab.cri().stop_container(&pod.containers[0].id, GRACE).unwrap();
    lab.restart(&mut pod, "agent").unwrap();
    deployed.wait_ready(&pod, listen);
    let marker = lab.run(&demo(lab, "no-seccomp").spec).unwrap();
    deployed.wait("a finding of the second agent", |finding| {
        is_on(finding, "seccomp") && is_of(finding, &marker)
    });

    let findings = deployed.events();
    let own: Vec<_> = findings
        .iter()
        .filter(|finding| finding["type"] == "finding" && (is_of(finding, &pod) || is_of(finding, &again)))
        .collect();
    assert!(!own.is_empty());
    // The lab has no network but the host's for it; the manifest does not ask for that one.
    let bad: Vec<_> = own
        .iter()
        .filter(|finding| is_violation(finding) || finding["verdict"] == "UNKNOWN")
        .filter(|finding| !is_on(finding, "host-network"))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    // Nothing is degraded for want of a right.
    let degraded: BTreeSet<_> = findings
        .iter()
        .filter(|event| event["type"] == "coverage" && event["state"] != "SUPPORTED")
        .map(|event| event["at"].as_str().unwrap().to_owned())
        .collect();
    assert!(degraded.is_empty(), "{degraded:?}");
    let blind: Vec<_> = findings.iter().filter(|event| event["type"] == "blind").collect();
    assert!(blind.is_empty(), "{blind:#?}");
}

/// On top of those that come along.
const TEAM_RULES: &str = "
- rule: Anything starts in the shop
  desc: an example
  condition: evt.type = execve and container.id != host and k8s.ns.name = shop
  output: started %proc.cmdline
  priority: NOTICE
";

/// The manifests and a lab to try them in.
struct Deployed {
    lab: Lab,
    objects: Vec<Value>,
    config: PathBuf,
    certificates: PathBuf,
    rules: PathBuf,
    state: PathBuf,
    pins: PathBuf,
}

impl Deployed {
    fn new() -> Self {
        let lab = Lab::start().unwrap();
        let objects = manifest::objects(&deploy().join("kubernetes")).unwrap();
        let daemon_set = manifest::object(&objects, "DaemonSet", "kestrel-agent").unwrap();
        let tag = daemon_set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
        let binary = artifact::static_binary("kestrel-agent").unwrap();
        image::install_agent(lab.containerd(), lab.cri(), tag, &binary).unwrap();

        let config = lab.dir().join("config");
        fs::create_dir_all(&config).unwrap();
        let map = manifest::object(&objects, "ConfigMap", "kestrel-agent").unwrap();
        for (file, text) in map["data"].as_object().unwrap() {
            fs::write(config.join(file), text.as_str().unwrap()).unwrap();
        }
        // As a ConfigMap that a team made.
        let rules = lab.dir().join("rules");
        fs::create_dir_all(&rules).unwrap();
        fs::write(rules.join("team.yaml"), TEAM_RULES).unwrap();
        let certificates = lab.dir().join("certificates");
        let made = Command::new(deploy().join("certificates.sh")).arg(&certificates).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pins = PathBuf::from(format!("/sys/fs/bpf/kestrel-deploy-{}", std::process::id()));
        Self { state: lab.dir().join("agent-state"), lab, objects, config, certificates, rules, pins }
    }

    /// As the manifest has it, but for where this machine keeps its runtime and the agent its files.
    fn spec(&self, suffix: &str) -> PodSpec {
        // Others have folders of their own: a node runs one agent.
        let own = |path: &Path| {
            path.with_file_name(format!("{}-{suffix}", path.file_name().unwrap().to_str().unwrap()))
        };
        let moved = BTreeMap::from([
            ("/var/lib/kestrel".into(), own(&self.state)),
            ("/sys/fs/bpf/kestrel".into(), own(&self.pins)),
            ("/run/containerd".into(), self.lab.socket().parent().unwrap().to_owned()),
        ]);
        let files = BTreeMap::from([
            ("config".to_owned(), self.config.clone()),
            ("tls".to_owned(), self.certificates.join("agent")),
            ("rules".to_owned(), self.rules.clone()),
        ]);
        let daemon_set = manifest::object(&self.objects, "DaemonSet", "kestrel-agent").unwrap();
        manifest::pod(daemon_set, suffix, &Volumes { files, moved }).unwrap()
    }

    /// The lab's pods are on the host's network, where another may have the port; and the test reads findings.
    fn overrides(&self, agent: &mut PodSpec) -> SocketAddr {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = ["--findings-file", "/var/lib/kestrel/findings.jsonl"].map(str::to_owned);
        let command = &mut agent.containers[0].command;
        command.extend(file);
        command.extend(["--listen".to_owned(), listen.to_string()]);
        listen
    }

    fn wait_ready(&self, pod: &Pod, listen: SocketAddr) {
        let log = || self.lab.logs(&pod.spec, "agent").unwrap_or_default();
        poll::until("the agent to be ready", READY, || {
            let info = self.lab.cri().info(&pod.containers[0].id)?;
            anyhow::ensure!(info.running, "the agent ended with {}", info.exit_code);
            Ok(is_ready(listen))
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}", log()));
    }

    fn events(&self) -> Vec<Value> {
        let mut name = self.state.file_name().unwrap().to_owned();
        name.push("-7h2vd");
        let text =
            fs::read_to_string(self.state.with_file_name(name).join("findings.jsonl")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn wait(&self, what: &str, mut fits: impl FnMut(&Value) -> bool) -> Value {
        poll::until_some(what, LIMIT, || Ok(self.events().into_iter().find(&mut fits)))
            .unwrap_or_else(|error| panic!("{error}; there are {:#?}", self.events()))
    }
}

impl Drop for Deployed {
    fn drop(&mut self) {
        // The pods' agents go with the lab; what they pinned does not.
        let _ = self.lab.cri().remove_all_pods();
        for suffix in ["7h2vd", "second"] {
            let mut pins = self.pins.clone().into_os_string();
            pins.push(format!("-{suffix}"));
            let _ = fs::remove_dir_all(pins);
        }
    }
}

fn is_ready(listen: SocketAddr) -> bool {
    let reply = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&listen, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /readyz HTTP/1.0\r\nHost: {listen}\r\n\r\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    };
    reply().is_ok_and(|reply| reply.split(' ').nth(1) == Some("200"))
}

fn demo(lab: &Lab, slug: &str) -> pods::DemoPod {
    pods::by_slug(&pods::demo(lab.dir()).unwrap(), slug).unwrap().clone()
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy")
}
