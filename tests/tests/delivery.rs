//! From pods that are wrong to the store, the command line and Slack: the right messages, the right
//! number of them, and hostile text inert.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output, Stdio},
    time::Duration,
};

use kestrel_proto::v1::{EventKind, Filter, FindingState, FindingsResponse, NodeCondition, record::Event};
use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    artifact,
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    pods, poll,
    slack::{Answer, Received, Slack},
    spec::{ContainerSpec, PodSpec},
    watch::Watcher,
};
use serde_json::Value;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
/// Mentions a channel, links, colours, reverses, and leaves its line.
const HOSTILE: &str = "<!channel> <http://evil.example|ok> \u{1b}[31m \u{202e}*bold* `x`\n@here";

/// A lab with an agent, a collector and a Slack.
struct Delivery {
    lab: Lab,
    dir: TempDir,
    slack: Slack,
    collector: Collector,
    agent: Agent,
}

impl Delivery {
    fn start(answers: &[Answer]) -> Self {
        let lab = Lab::start().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let slack = Slack::start().unwrap();
        slack.script(answers.iter().copied());
        let url = dir.path().join("slack-url");
        fs::write(&url, slack.url()).unwrap();
        let config = format!(
            "nodes:\n  silent_after: 5s\nalerts:\n  timeout: 2s\n  slack:\n    url_file: {}\n",
            url.display()
        );
        let collector = Collector::start(&Options { config, ..Options::default() }).unwrap();
        let endpoint = collector.endpoint();
        let delivering = Delivering {
            processes: "containers",
            cri_socket: Some(lab.socket()),
            config: "findings:\n  quiet_time: 1s\nheartbeat:\n  interval: 1s\n",
            ..Delivering::to(&endpoint)
        };
        let agent = delivering.start(dir.path()).unwrap();
        Self { lab, dir, slack, collector, agent }
    }

    fn watcher(&self) -> Watcher {
        Watcher::new(&self.collector.endpoint()).unwrap()
    }

    fn cli(&self, args: &[&str]) -> Output {
        Command::new(artifact::binary("kestrel").unwrap())
            .args(["--server", &self.collector.endpoint()])
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn cli_lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.cli(&[args, &["-o", "json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Control and pod of what is open and alerts.
fn open(findings: &[FindingsResponse]) -> BTreeSet<(String, String)> {
    let findings = findings.iter().filter_map(|response| response.finding.as_ref());
    findings
        .filter(|finding| finding.alert && finding.state() != FindingState::Resolved)
        .map(|finding| (finding.control.clone().unwrap_or_default().slug, finding.pod.clone()))
        .collect()
}

/// How many findings the messages speak of, as their summaries say.
fn announced(posted: &[Received], what: &str) -> usize {
    let of = |message: &Received| -> usize {
        let text = message.body["text"].as_str().unwrap();
        let counts = text.split([':', ',']).filter_map(|part| {
            let (count, noun) = part.trim().split_once(' ')?;
            let is_it = [format!("finding {what}"), format!("findings {what}")].contains(&noun.to_owned());
            is_it.then(|| count.parse::<usize>().ok()).flatten()
        });
        let grouped: usize = counts.sum();
        let single = match what {
            "opened" => text.contains(": FAIL ·") || text.contains(": DRIFT ·"),
            _ => text.contains(": Resolved ·"),
        };
        grouped + usize::from(single)
    };
    posted.iter().map(of).sum()
}

#[test]
fn demo_pods_reach_the_store_the_command_line_and_slack() {
    let trouble =
        [Answer::TooMany(1), Answer::Status(500, "fatal_error"), Answer::Take, Answer::Cut, Answer::Hang];
    let delivery = Delivery::start(&trouble);
    let mut expected = BTreeSet::new();
    let mut pods = Vec::new();
    for demo in pods::demo(delivery.lab.dir()).unwrap() {
        pods.push(delivery.lab.run(&demo.spec).unwrap());
        expected.extend(demo.fails.iter().map(|control| ((*control).to_owned(), demo.spec.name.clone())));
    }
    let mut watcher = delivery.watcher();
    let mut stored = BTreeSet::new();
    let complete = poll::until("the findings in the store", LIMIT, || {
        stored = open(&watcher.findings()?);
        Ok(stored == expected)
    });
    assert!(complete.is_ok(), "expected {expected:#?}, stored {stored:#?}, {}", delivery.collector.stderr());

    let lines = delivery.cli_lines(&["findings"]);
    let shown: BTreeSet<_> = lines
        .iter()
        .map(|line| &line["finding"])
        .filter(|finding| finding["alert"] == true)
        .map(|finding| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&finding["control"]["slug"]), text(&finding["pod"]))
        })
        .collect();
    assert_eq!(shown, expected, "kestrel findings");
    let table = String::from_utf8(delivery.cli(&["findings"]).stdout).unwrap();
    assert!(expected.iter().all(|(control, _)| table.contains(control)), "{table}");
    assert_eq!(delivery.cli(&["findings", "--exit-code"]).status.code(), Some(1));
    let nodes = delivery.cli_lines(&["nodes"]);
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0]["name"], "node-1");

    // One of a workload's findings can be replaced by a worse one, so at least as many.
    let told = poll::until("Slack to have all", LIMIT, || {
        let posted = delivery.slack.posted();
        let unique: Vec<_> =
            posted.into_iter().filter(|message| !message.text().contains("repeat")).collect();
        Ok(announced(&unique, "opened") >= expected.len())
    });
    let texts = || delivery.slack.posted().iter().map(Received::text).collect::<Vec<_>>();
    assert!(told.is_ok(), "{} findings: {:#?}", expected.len(), texts());
    let posted = delivery.slack.posted();
    let repeats = posted.iter().filter(|message| message.text().contains("repeat")).count();
    assert!(repeats <= 2, "one for the cut connection, one for the answer that never came: {:#?}", texts());

    for pod in &pods {
        delivery.lab.cri().remove_pod(&pod.sandbox).unwrap();
    }
    poll::until("everything to be resolved", LIMIT, || Ok(open(&watcher.findings()?).is_empty())).unwrap();
    let told = poll::until("Slack to hear of it", LIMIT, || {
        let posted = delivery.slack.posted();
        Ok(announced(&posted, "resolved") >= expected.len())
    });
    assert!(told.is_ok(), "{} findings: {:#?}", expected.len(), texts());
    assert!(!delivery.collector.stderr().contains("s3cr3t"), "the URL is a secret");
}

#[test]
fn a_node_that_goes_silent_is_told_and_so_is_its_return() {
    let mut delivery = Delivery::start(&[]);
    let mut watcher = delivery.watcher();
    let condition = |watcher: &mut Watcher| {
        let nodes = watcher.nodes()?;
        Ok::<_, anyhow::Error>(nodes.first().and_then(|node| node.status.as_ref()?.condition().into()))
    };
    let mut wait = |wanted: NodeCondition| {
        let what = format!("the node to be {wanted:?}");
        poll::until(&what, LIMIT, || Ok(condition(&mut watcher)? == Some(wanted))).unwrap();
    };
    wait(NodeCondition::Healthy);
    delivery.agent.kill().unwrap();
    wait(NodeCondition::Silent);
    let posted = delivery.slack.wait_posted(1, LIMIT).unwrap();
    assert!(posted[0].text().contains("Node is silent"), "{}", posted[0].text());
    delivery.agent.launch().unwrap();
    wait(NodeCondition::Healthy);
    let posted = delivery.slack.wait_posted(2, LIMIT).unwrap();
    assert!(posted[1].text().contains("Node is well again"), "{}", posted[1].text());
    let filter = Filter { kinds: vec![EventKind::Node.into()], ..Filter::default() };
    let events = delivery.watcher().past(filter).unwrap().events;
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| match event.record.as_ref()?.event.as_ref()? {
            Event::Node(status) => Some(status.condition()),
            _ => None,
        })
        .collect();
    assert!(told.contains(&NodeCondition::Silent), "an event of its own: {told:?}");
}

#[test]
fn a_new_data_folder_heals_from_inventories() {
    let mut delivery = Delivery::start(&[]);
    let app = ContainerSpec {
        run_as_user: Some(0),
        ..ContainerSpec::restricted("app", ["/bin/sleep", "2147483647"])
    };
    let pod = delivery.lab.run(&PodSpec::new("shop", "root-1").container(app)).unwrap();
    let mut watcher = delivery.watcher();
    poll::until("the finding", LIMIT, || Ok(!open(&watcher.findings()?).is_empty())).unwrap();
    let before = open(&watcher.findings().unwrap());
    wait_delivered(&delivery.agent, LIMIT).unwrap();
    delivery.collector.kill().unwrap();
    fs::remove_dir_all(delivery.collector.dir().join("data")).unwrap();
    delivery.collector.launch().unwrap();
    let healed = poll::until("the finding from the inventory", LIMIT, || {
        Ok(watcher.findings().is_ok_and(|findings| open(&findings) == before))
    });
    assert!(healed.is_ok(), "{before:?}: {:?}", watcher.findings());
    let containers = watcher.inventory().unwrap();
    let id = &pod.containers[0].id;
    let is_listed = containers.iter().any(|response| {
        let posture = response.container.as_ref();
        posture.and_then(|posture| posture.container.as_ref()).is_some_and(|container| container.id == *id)
    });
    assert!(is_listed, "{containers:?}");
}

#[test]
fn hostile_text_is_inert_everywhere() {
    let delivery = Delivery::start(&[]);
    let script = "cp /bin/busybox \"/tmp/$0\"; exec \"/tmp/$0\" sleep 2147483647";
    let command = ["/bin/sh", "-c", script, "sleep\u{202e}<!channel>"];
    let app = ContainerSpec {
        run_as_user: Some(0),
        read_only_root: false,
        ..ContainerSpec::restricted("app", command)
    };
    let pod = PodSpec::new("shop", HOSTILE).container(app);
    delivery.lab.run(&pod).unwrap();
    let mut watcher = delivery.watcher();
    poll::until("the finding", LIMIT, || Ok(!open(&watcher.findings()?).is_empty())).unwrap();
    wait_delivered(&delivery.agent, LIMIT).unwrap();
    let finding = watcher.findings().unwrap().into_iter().find_map(|response| response.finding).unwrap();
    assert_eq!(finding.pod, HOSTILE, "the store has it as it is");
    let posted = delivery.slack.wait_posted(1, LIMIT).unwrap();
    for message in &posted {
        let whole = message.body.to_string();
        let text = message.text();
        assert!(
            !text.chars().any(|char| char.is_control() && char != '\n' || char == '\u{202e}'),
            "{text:?}"
        );
        for forbidden in ["<!channel>", "<http", "<@"] {
            for value in mrkdwn(&message.body) {
                assert!(!value.contains(forbidden), "{forbidden} in {whole}");
            }
        }
    }
    for args in [&["findings"][..], &["inventory"], &["tail", "--oldest", "--no-follow"], &["nodes"]] {
        let output = String::from_utf8(delivery.cli(args).stdout).unwrap();
        assert!(!output.chars().any(|char| char == '\u{1b}' || char == '\u{202e}'), "{args:?}: {output:?}");
        let json = String::from_utf8(delivery.cli(&[args, &["-o", "json"]].concat()).stdout).unwrap();
        assert!(!json.chars().any(|char| char == '\u{1b}' || char == '\u{202e}'), "{args:?}: {json:?}");
    }
    let execs = Filter { kinds: vec![EventKind::Exec.into()], ..Filter::default() };
    let execs = watcher.past(execs).unwrap().events;
    let named = execs.iter().any(|event| {
        matches!(event.record.as_ref().and_then(|record| record.event.as_ref()), Some(Event::Exec(_)))
            && event.process.as_ref().is_some_and(|process| process.exe.ends_with("<!channel>".as_bytes()))
    });
    assert!(named, "the exec is in the store: {execs:#?}");
    drop(delivery.dir);
}

/// Texts that Slack would interpret.
fn mrkdwn(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) if object.get("type").is_some_and(|kind| kind == "mrkdwn") => {
            vec![object["text"].as_str().unwrap_or_default().to_owned()]
        }
        Value::Object(object) => {
            let inner = object.iter().filter(|(key, _)| *key != "text" || object["text"].is_object());
            let mut texts: Vec<_> = inner.flat_map(|(_, value)| mrkdwn(value)).collect();
            // The text of the message itself is interpreted, too.
            if object.contains_key("blocks") {
                texts.extend(object.get("text").and_then(Value::as_str).map(str::to_owned));
            }
            texts
        }
        Value::Array(array) => array.iter().flat_map(mrkdwn).collect(),
        _ => Vec::new(),
    }
}
