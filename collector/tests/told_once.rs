//! From the log to the receiver, with the collector's parts cut off at any moment: each change is told
//! once, and told again only with the mark.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use kestrel_collector::{
    alert::{Alerts, AlertsConfig, Pace, config::ChannelConfig, secret::UrlSource},
    live::{Live, Window},
    log::{Content, FrameBody, Log, Options, Source},
    state::{
        Standing, State,
        follow::{Cadence, follow},
    },
};
use kestrel_proto::v1::{
    Batch, Detection, Epoch, Finding, FindingState, Hello, Lane, Priority, Record, Resolution, Severity,
    Verdict, record::Event,
};
use kestrel_tests::lab::slack::{Answer, Slack};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);
const ROUNDS: u64 = 14;
/// Matches of one rule each round.
const FLOOD: u64 = 50;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// All parts between log and receiver, as the collector runs them.
struct Collector {
    log: Log,
    alerts: Alerts,
    tasks: Vec<JoinHandle<()>>,
}

impl Collector {
    async fn start(dir: &Path, config: &AlertsConfig) -> Result<Self> {
        let (log, _) = Log::open(&dir.join("log"), Options::default())?;
        let pace = Pace {
            interval: ms(5),
            backoff: (ms(5), ms(20)),
            revoked: ms(500),
            look: ms(20),
            grace: ms(50),
            window: Duration::from_hours(1),
        };
        let alerts = Alerts::open(config, &dir.join("alerts"), pace)?;
        let opened = State::open(dir, &log, alerts.resume());
        ensure!(opened.problems.is_empty(), "{:?}", opened.problems);
        let state = opened.state;
        let feed = log.feed(4);
        let (next, standing) = (state.read().next_frame(), Standing::new(&state.read()));
        alerts.heal(opened.replayed, standing, next, 1).await?;
        let live = Live::new(next, Window::default());
        let (transitions, receiver) = mpsc::channel(4);
        let cadence = Cadence { interval: ms(7), patience: ms(500) };
        let following = follow(feed, log.clone(), state, live, alerts.clone(), transitions, cadence);
        let telling = alerts.clone().run(receiver, CancellationToken::new());
        let tasks = vec![
            tokio::spawn(async move { following.await.expect("following goes on") }),
            tokio::spawn(async move { telling.await.expect("telling goes on") }),
        ];
        Ok(Self { log, alerts, tasks })
    }

    /// Whatever is going on ends where it is.
    async fn cut(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // Aborted, as it should be.
            let _ = task.await;
        }
        self.log.close().await;
    }
}

fn frame(content: Content) -> FrameBody {
    let source = Source { cluster: "c".into(), node: "n".into(), boot_id: "b".into() };
    // Windows are of the collector's clock.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    FrameBody { source, received_unix_ns: i64::try_from(now.as_nanos()).expect("it fits"), content }
}

fn finding(id: u64, state: FindingState) -> Finding {
    let mut finding = Finding { id: format!("f{id}"), alert: true, ..Finding::default() };
    finding.set_state(state);
    finding.set_verdict(Verdict::Fail);
    finding.set_severity(Severity::High);
    if state == FindingState::Resolved {
        finding.set_resolution(Resolution::Gone);
    }
    finding
}

fn batch(sequence: &mut u64, findings: Vec<Finding>) -> FrameBody {
    let first_sequence = *sequence;
    *sequence += findings.len() as u64;
    let record = |finding| Record { event: Some(Event::Finding(finding)), ..Record::default() };
    let records = findings.into_iter().map(record).collect();
    let lane = Lane::Findings.into();
    frame(Content::Batch(Batch { epoch: 1, lane, first_sequence, records, ..Batch::default() }))
}

/// Matches of two rules: one that is there once a round, one that floods.
fn matches(sequence: &mut u64, round: u64) -> FrameBody {
    let first_sequence = *sequence;
    let matched = |rule: String| {
        let mut detection = Detection { rule, ..Detection::default() };
        detection.set_priority(Priority::Warning);
        Record { event: Some(Event::Detection(detection)), ..Record::default() }
    };
    let mut records: Vec<_> = (0..FLOOD).map(|_| matched("flood".to_owned())).collect();
    records.push(matched(format!("r{round}")));
    *sequence += records.len() as u64;
    let lane = Lane::Detections.into();
    frame(Content::Batch(Batch { epoch: 1, lane, first_sequence, records, ..Batch::default() }))
}

/// What was told, from all messages: (kind, finding) → (without the mark, with it).
fn told(receiver: &Slack) -> Result<BTreeMap<(String, String), (u32, u32)>> {
    let mut told: BTreeMap<_, (u32, u32)> = BTreeMap::new();
    for message in receiver.posted() {
        for alert in message.body["alerts"].as_array().context("alerts")? {
            let kind = alert["kind"].as_str().context("kind")?.to_owned();
            let (body, id) = if kind == "detection" { ("detection", "rule") } else { ("finding", "id") };
            let id = alert[body][id].as_str().context("id")?.to_owned();
            let count = told.entry((kind, id)).or_default();
            if message.body["repeat"] == true { count.1 += 1 } else { count.0 += 1 }
        }
        ensure!(message.body["not_listed"] == 0, "everything is listed");
    }
    Ok(told)
}

async fn until(what: &str, probe: impl Fn() -> bool) -> Result<()> {
    let waited = tokio::time::timeout(LIMIT, async {
        while !probe() {
            tokio::time::sleep(ms(1)).await;
        }
    });
    waited.await.with_context(|| format!("waited for {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_told_once_whenever_the_collector_is_cut_off() -> Result<()> {
    let receiver = Slack::start()?.lenient();
    let dir = tempfile::tempdir()?;
    let url = dir.path().join("url");
    fs::write(&url, receiver.url())?;
    let channel = ChannelConfig {
        url: UrlSource::File(url),
        min_severity: Severity::Info,
        min_priority: Priority::Debug,
        resolved: true,
        plain_http: false,
    };
    let config = AlertsConfig { webhook: Some(channel), timeout: ms(300), ..AlertsConfig::default() };
    let (mut sequence, mut detections, mut opened) = (1, 1, 0);
    for round in 0..ROUNDS {
        let before = receiver.received().len();
        let collector = Collector::start(dir.path(), &config).await?;
        match round % 5 {
            1 => receiver.script([Answer::Cut]),
            2 => receiver.script([Answer::Take, Answer::Hang]),
            3 => receiver.script([Answer::Status(500, "x"), Answer::Cut]),
            _ => {}
        }
        if round == 0 {
            let epochs = vec![Epoch { epoch: 1, boot_id: "b".to_owned() }];
            let hello = Hello { boot_id: "b".to_owned(), epochs, ..Hello::default() };
            collector.log.append(frame(Content::Hello(hello))).await?;
        }
        // Five open, and of those of the round before two are over.
        let mut changes: Vec<_> = (0..5).map(|place| finding(opened + place, FindingState::Open)).collect();
        if round > 0 {
            changes.extend([1, 3].map(|place| finding(opened - place, FindingState::Resolved)));
        }
        opened += 5;
        let (first, second) = changes.split_at(round as usize % changes.len());
        for part in [first, second] {
            if !part.is_empty() {
                collector.log.append(batch(&mut sequence, part.to_vec())).await?;
            }
        }
        collector.log.append(matches(&mut detections, round)).await?;
        // Cut off somewhere in the middle of telling it, each time a little later.
        let requests = before + round as usize % 4;
        until("requests", || {
            let is_told = collector.alerts.status()[0].pending == 0;
            receiver.received().len() >= requests || receiver.received().len() > before && is_told
        })
        .await?;
        collector.cut().await;
    }
    let collector = Collector::start(dir.path(), &config).await?;
    until("all told", || collector.alerts.status()[0].pending == 0).await?;
    // None is lost, and none counted twice.
    let status = collector.alerts.status().remove(0);
    assert_eq!(status.detections.wanted, ROUNDS * (FLOOD + 1));
    assert_eq!((status.detections.told, status.grouped), (ROUNDS + 1, ROUNDS * FLOOD - 1));
    collector.cut().await;

    let told = told(&receiver)?;
    let over: BTreeSet<_> = (1..ROUNDS).flat_map(|round| [round * 5 - 1, round * 5 - 3]).collect();
    for id in 0..opened {
        let count = |kind: &str| told.get(&(format!("finding.{kind}"), format!("f{id}"))).copied();
        let seen = |kind: &str| count(kind).is_some();
        for kind in ["opened", "resolved", "passed"] {
            // One that was cut off before its receipt has the mark and is the first all the same.
            let (plain, _) = count(kind).unwrap_or_default();
            assert!(plain <= 1, "f{id} {kind} was told {plain} times without a mark");
        }
        if over.contains(&id) {
            assert!(seen("passed") != (seen("opened") && seen("resolved")), "f{id}: {told:?}");
        } else {
            assert!(seen("opened") && !seen("resolved") && !seen("passed"), "f{id}: {told:?}");
        }
    }
    for rule in (0..ROUNDS).map(|round| format!("r{round}")).chain(["flood".to_owned()]) {
        let (plain, repeats) = told.get(&("detection".to_owned(), rule.clone())).copied().unwrap_or_default();
        assert!(plain <= 1 && plain + repeats >= 1, "{rule} was told {plain} times, {repeats} with a mark");
    }
    assert!(told.values().any(|&(_, repeats)| repeats > 0), "no try was cut off after its receipt");
    Ok(())
}
