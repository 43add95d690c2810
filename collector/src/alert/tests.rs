//! Channels against a server that behaves as Slack does.

use std::{sync::Arc, time::Duration};

use kestrel_proto::v1::{
    Container, ContainerNames, Control, Detection, Finding, FindingState, NodeCondition, NodeStatus,
    Priority, Resolution, Severity, Verdict, Workload,
};
use kestrel_tests::lab::slack::{Answer, Received, Slack};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::state::{Change, Detected, Fold};

mod detections;

const LIMIT: Duration = Duration::from_secs(20);

fn fast() -> Pace {
    let ms = Duration::from_millis;
    Pace {
        interval: ms(20),
        backoff: (ms(10), ms(50)),
        revoked: ms(60_000),
        look: ms(20),
        grace: ms(50),
        window: ms(300),
    }
}

pub(super) fn finding(id: &str, verdict: Verdict) -> Finding {
    let control =
        Control { slug: format!("control-{id}"), title: format!("Title of {id}"), ..Control::default() };
    let mut finding =
        Finding { id: id.to_owned(), alert: true, control: Some(control), ..Finding::default() };
    finding.set_verdict(verdict);
    finding.set_severity(Severity::High);
    finding.set_state(FindingState::Open);
    finding
}

pub(super) fn opened(id: &str) -> Change {
    Change::Opened(Arc::new(finding(id, Verdict::Fail)))
}

pub(super) fn resolved(id: &str) -> Change {
    let mut finding = finding(id, Verdict::Fail);
    finding.set_state(FindingState::Resolved);
    finding.set_resolution(Resolution::Gone);
    Change::Resolved(Arc::new(finding))
}

/// Of a rule, in a container of a deployment.
pub(super) fn detected(rule: &str, priority: Priority) -> Detected {
    let mut detection = Detection {
        rule: rule.to_owned(),
        output: format!("{rule} happened"),
        held_back: 2,
        ..Detection::default()
    };
    detection.set_priority(priority);
    let names = ContainerNames {
        namespace: "shop".to_owned(),
        pod: "cart-1".to_owned(),
        container: "app".to_owned(),
        workload: Some(Workload {
            kind: "Deployment".to_owned(),
            name: "cart".to_owned(),
            namespace: "shop".to_owned(),
        }),
        ..ContainerNames::default()
    };
    let container = Some(Container { id: "ab".to_owned(), names: Some(names), ..Container::default() });
    Detected { wall_unix_ns: 1, detection, process: None, container }
}

pub(super) fn matched(rule: &str) -> Change {
    Change::Detected(Arc::new(detected(rule, Priority::Warning)))
}

pub(super) fn at(frame: u64, change: Change) -> Transition {
    Transition { frame, index: 0, at_unix_ns: 1, cluster: "c".into(), node: "n".into(), change }
}

fn node(condition: NodeCondition) -> Change {
    let mut status = NodeStatus::default();
    status.set_condition(condition);
    Change::Node(status)
}

/// A collector's alerts, and where they go.
struct Bench {
    slack: Slack,
    dir: TempDir,
    config: AlertsConfig,
    pace: Pace,
    frame: u64,
}

struct Running {
    alerts: Alerts,
    transitions: mpsc::Sender<Transition>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), AlertError>>,
}

impl Bench {
    fn new() -> Self {
        let slack = Slack::start().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let url = dir.path().join("url");
        fs::write(&url, slack.url()).unwrap();
        let channel = ChannelConfig {
            url: secret::UrlSource::File(url),
            min_severity: Severity::Low,
            min_priority: Priority::Notice,
            resolved: true,
            plain_http: false,
        };
        let config = AlertsConfig {
            slack: Some(channel),
            timeout: Duration::from_millis(1500),
            ..AlertsConfig::default()
        };
        Self { slack, dir, config, pace: fast(), frame: 0 }
    }

    fn start(&self) -> Running {
        let alerts = Alerts::open(&self.config, &self.dir.path().join("alerts"), self.pace).unwrap();
        let (transitions, receiver) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let task = tokio::spawn(alerts.clone().run(receiver, stop.clone()));
        Running { alerts, transitions, stop, task }
    }

    async fn tell(&mut self, running: &Running, change: Change) {
        self.frame += 1;
        running.transitions.send(at(self.frame, change)).await.unwrap();
    }

    async fn posted(&self, count: usize) -> Vec<Received> {
        until("messages", || self.slack.posted().len() >= count).await;
        self.slack.posted()
    }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        drop(self.transitions);
        self.task.await.unwrap().unwrap();
    }

    /// As a kill does: nothing is awaited.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn settled(&self, delivered: u64) -> ChannelStatus {
        let status = || self.alerts.status().remove(0);
        until("delivered", || status().delivered >= delivered && status().pending == 0).await;
        status()
    }
}

async fn until(what: &str, probe: impl Fn() -> bool) {
    let waited = tokio::time::timeout(LIMIT, async {
        while !probe() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for {what}");
}

fn repeats(received: &[Received]) -> Vec<bool> {
    received.iter().map(|one| one.text().contains("(repeat)")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_when_it_opens_and_one_when_it_is_over() {
    let mut bench = Bench::new();
    let running = bench.start();
    bench.tell(&running, opened("a")).await;
    bench.posted(1).await;
    // Nothing new, then worse.
    bench.tell(&running, Change::Updated(Arc::new(finding("a", Verdict::Fail)))).await;
    bench.tell(&running, Change::Updated(Arc::new(finding("a", Verdict::Drift)))).await;
    bench.posted(2).await;
    bench.tell(&running, Change::Updated(Arc::new(finding("a", Verdict::Fail)))).await;
    // Nobody is to be told of these.
    bench.tell(&running, Change::Opened(Arc::new(finding("exempt", Verdict::Exempt)))).await;
    bench.tell(&running, resolved("never told")).await;
    bench.tell(&running, resolved("a")).await;
    bench.posted(3).await;
    bench.tell(&running, node(NodeCondition::Silent)).await;
    bench.posted(4).await;
    bench.tell(&running, node(NodeCondition::Healthy)).await;
    let status = running.settled(5).await;
    let texts: Vec<_> = bench.slack.received().iter().map(Received::text).collect();
    for (text, said) in
        texts.iter().zip(["FAIL · Title of a", "now DRIFT", "Resolved", "Node is silent", "well again"])
    {
        assert!(text.contains(said), "{said} in {text}");
    }
    assert_eq!((texts.len(), status.requests, status.repeats, status.failed), (5, 5, 0, 0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_before_it_was_told_is_one_message() {
    let mut bench = Bench::new();
    bench.slack.script([Answer::TooMany(1)]);
    let running = bench.start();
    bench.tell(&running, opened("first")).await;
    until("the first try", || bench.slack.received().len() == 1).await;
    for _ in 0..2 {
        bench.tell(&running, opened("short")).await;
        bench.tell(&running, resolved("short")).await;
    }
    let status = running.settled(2).await;
    assert_eq!(status.delivered, 2);
    let posted = bench.slack.posted();
    assert_eq!(posted.len(), 2);
    assert!(posted[1].text().contains("Opened and resolved") && posted[1].text().contains("2 times"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_a_message() {
    let mut bench = Bench::new();
    bench.slack.script([Answer::TooMany(1)]);
    let running = bench.start();
    for number in 0..30 {
        bench.tell(&running, opened(&format!("f{number:02}"))).await;
    }
    let status = running.settled(30).await;
    assert_eq!(status.delivered, 30);
    let posted = bench.slack.posted();
    assert!(posted.len() <= 3, "{}", posted.len());
    for number in 0..30 {
        let named = |message: &&Received| message.text().contains(&format!("Title of f{number:02}"));
        assert_eq!(posted.iter().filter(named).count(), 1, "{number}");
    }
    running.stop().await;
}

/// What the server does, and what has to come of it: requests, messages that people see, and
/// which requests say "repeat".
#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_slack_fails() {
    use Answer::{Cut, Hang, InvalidPayload, Status, Take, TooMany};
    for (script, seen, said) in [
        (vec![Take], 1, vec![false]),
        (vec![Status(500, "rollup_error"), Status(503, "x")], 1, vec![false, false, false]),
        (vec![TooMany(0)], 1, vec![false, false]),
        (vec![Cut], 2, vec![false, true]),
        (vec![Hang], 2, vec![false, true]),
        // Whether the first arrived is still not known.
        (vec![Cut, Status(500, "x"), TooMany(0)], 2, vec![false, true, true, true]),
        (vec![Cut, Cut], 3, vec![false, true, true]),
        // The plain form is taken.
        (vec![InvalidPayload], 1, vec![false, false]),
    ] {
        let mut bench = Bench::new();
        bench.slack.script(script.clone());
        let running = bench.start();
        bench.tell(&running, opened("a")).await;
        let status = running.settled(1).await;
        let received = bench.slack.received();
        assert_eq!(repeats(&received), said, "{script:?}");
        assert_eq!(bench.slack.posted().len(), seen, "{script:?}");
        assert_eq!(status.repeats, said.iter().filter(|&&said| said).count() as u64);
        assert!(!format!("{status:?}").contains("s3cr3t"));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_in_every_form_is_given_up_and_counted() {
    let mut bench = Bench::new();
    bench.slack.script([Answer::InvalidPayload, Answer::InvalidPayload]);
    let running = bench.start();
    bench.tell(&running, opened("a")).await;
    until("given up", || running.alerts.status()[0].failed == 1).await;
    let status = &running.alerts.status()[0];
    assert_eq!((status.pending, status.delivered), (0, 0));
    assert_eq!(status.last_error.as_deref(), Some("status 400, invalid_payload"));
    bench.tell(&running, opened("b")).await;
    let status = running.settled(1).await;
    assert_eq!(status.last_error, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_url_keeps_alerts_until_another_is_there() {
    let mut bench = Bench::new();
    let running = bench.start();
    bench.slack.script([Answer::Status(404, "no_service")]);
    bench.tell(&running, opened("a")).await;
    until("the refusal", || running.alerts.status()[0].last_error.is_some()).await;
    assert_eq!(running.alerts.status()[0].pending, 1);
    let other = Slack::start().unwrap();
    fs::write(bench.dir.path().join("url"), other.url()).unwrap();
    running.settled(1).await;
    assert_eq!((bench.slack.received().len(), other.posted().len()), (1, 1));
    assert_eq!(repeats(&other.received()), [false]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_told_twice_by_a_restart() {
    let mut bench = Bench::new();
    let address = bench.slack.address();
    let running = bench.start();
    bench.tell(&running, opened("before")).await;
    running.settled(1).await;
    // Slack is away, and the collector stops.
    let old = std::mem::replace(&mut bench.slack, Slack::start().unwrap());
    let before = old.received().len();
    drop(old);
    bench.tell(&running, opened("while away")).await;
    until("a failed try", || running.alerts.status()[0].last_error.is_some()).await;
    running.kill().await;
    bench.slack = loop {
        if let Ok(slack) = Slack::start_at(address) {
            break slack;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let running = bench.start();
    running.settled(2).await;
    // The log is read again from before.
    for (frame, id) in [(1, "before"), (2, "while away")] {
        running.transitions.send(at(frame, opened(id))).await.unwrap();
    }
    bench.tell(&running, resolved("before")).await;
    running.settled(3).await;
    let received = bench.slack.received();
    assert_eq!((before, received.len()), (1, 2));
    assert_eq!(repeats(&received), [false, false]);
    assert!(received[0].text().contains("while away") && received[1].text().contains("Resolved"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_receipt_and_record_makes_a_repeat_and_only_that() {
    let mut bench = Bench::new();
    bench.slack.script([Answer::Hang]);
    let running = bench.start();
    bench.tell(&running, opened("a")).await;
    until("receipt", || bench.slack.received().len() == 1).await;
    bench.tell(&running, opened("b")).await;
    until("taken", || running.alerts.taken() == Some(Place { frame: 2, index: 0 })).await;
    running.kill().await;
    let running = bench.start();
    running.settled(2).await;
    let received = bench.slack.received();
    assert_eq!(repeats(&received), [false, true, false]);
    assert!(received[1].text().contains("Title of a") && received[2].text().contains("Title of b"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_a_second() {
    let mut bench = Bench::new();
    bench.pace = Pace::default();
    let running = bench.start();
    for id in ["a", "b", "c"] {
        bench.tell(&running, opened(id)).await;
    }
    running.settled(3).await;
    let received = bench.slack.received();
    for pair in received.windows(2) {
        let apart = pair[1].at.duration_since(pair[0].at);
        assert!(apart >= Duration::from_millis(950), "{apart:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_stops_no_alert() {
    let mut bench = Bench::new();
    // A folder where the journal should be: it cannot be written by anybody, root included.
    let blocked = bench.dir.path().join("alerts").join("slack.journal");
    fs::create_dir_all(blocked.join("x")).unwrap();
    let running = bench.start();
    bench.tell(&running, opened("a")).await;
    let status = running.settled(1).await;
    assert!(status.memory_only.is_some() && status.taken.is_none());
    fs::remove_dir_all(&blocked).unwrap();
    bench.tell(&running, opened("b")).await;
    let status = running.settled(2).await;
    assert_eq!((status.memory_only, status.taken), (None, Some(Place { frame: 2, index: 0 })));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_is_made_up_for_and_says_so() {
    let mut bench = Bench::new();
    let running = bench.start();
    bench.tell(&running, opened("a")).await;
    running.settled(1).await;
    running.stop().await;
    fs::write(bench.dir.path().join("alerts").join("slack.journal"), b"not a journal").unwrap();
    let running = bench.start();
    let mut fold = Fold::default();
    crate::state::tests::put(&mut fold, 1, &finding("a", Verdict::Fail));
    running.alerts.heal(Replayed::default(), Standing::new(&fold), 2, 5).await.unwrap();
    running.settled(1).await;
    // Told now, so not a third time.
    running.alerts.heal(Replayed::default(), Standing::new(&fold), 2, 5).await.unwrap();
    bench.tell(&running, node(NodeCondition::Healthy)).await;
    assert_eq!(running.settled(1).await.delivered, 1);
    assert_eq!(repeats(&bench.slack.received()), [false, true]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_stop_when_the_collector_is_not_well() {
    let receiver = Slack::start().unwrap().lenient();
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("url");
    fs::write(&url, receiver.url()).unwrap();
    let config = config::ReceiverConfig {
        url: secret::UrlSource::File(url),
        interval: Duration::from_millis(30),
        method: config::Method::Get,
        plain_http: false,
    };
    let poster = Poster::new(None, Duration::from_secs(2)).unwrap();
    let well = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (stop, asked) = (CancellationToken::new(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let task = tokio::spawn({
        let (stop, well, asked) = (stop.clone(), Arc::clone(&well), Arc::clone(&asked));
        async move {
            let healthy = move || {
                asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                if well.load(std::sync::atomic::Ordering::SeqCst) { Ok(()) } else { Err("ill".to_owned()) }
            };
            receiver::run(&config, &poster, healthy, &stop).await;
        }
    });
    until("signs", || receiver.received().len() >= 3).await;
    assert!(receiver.received().iter().all(|received| received.method == "GET"));
    well.store(false, std::sync::atomic::Ordering::SeqCst);
    let mark = asked.load(std::sync::atomic::Ordering::SeqCst);
    until("a look", || asked.load(std::sync::atomic::Ordering::SeqCst) >= mark + 2).await;
    let count = receiver.received().len();
    until("more looks", || asked.load(std::sync::atomic::Ordering::SeqCst) >= mark + 5).await;
    assert_eq!(receiver.received().len(), count);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_begins_anew_is_told_of_too() {
    let mut bench = Bench::new();
    let running = bench.start();
    bench.frame = 1000;
    bench.tell(&running, opened("a")).await;
    running.settled(1).await;
    running.stop().await;
    let running = bench.start();
    running.alerts.heal(Replayed::default(), Standing::new(&Fold::default()), 1, 5).await.unwrap();
    bench.frame = 0;
    // It was told, so it is not told again; the other is new.
    bench.tell(&running, opened("a")).await;
    bench.tell(&running, opened("b")).await;
    running.settled(2).await;
    assert_eq!(repeats(&bench.slack.received()), [false, false]);
    running.stop().await;
}
