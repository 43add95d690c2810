//! Tails that miss nothing and get nothing twice, and lists.

use std::{sync::Arc, time::Duration};

use kestrel_proto::v1::{
    self, Batch, Container, ContainerNames, Control, Cursor, Detection, EventKind, Exec, Exit, Finding, Lane,
    MissedReason, Process, ProcessId, Record, Severity, TailRequest, TailResponse, Verdict, Workload,
    record::Event, tail_request::Start, tail_response::Response as Answer,
};
use kestrel_tls::{Identity, Peer, PeerAddress};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::StreamExt;
use tonic::Code;

use super::*;
use crate::{
    alert::{AlertsConfig, Pace},
    live::Window,
    log::{Content, FrameBody, Options, Source},
    state::follow::{Cadence, follow},
};

const LIMIT: Duration = Duration::from_secs(20);

/// A log, followed by state and live, with a watch service.
struct Bench {
    log: Log,
    state: State,
    service: WatchService,
    follower: JoinHandle<Result<(), crate::state::follow::FollowError>>,
    dir: TempDir,
}

impl Bench {
    fn new(window: Window, options: Options) -> Self {
        Self::open(tempfile::tempdir().unwrap(), window, options)
    }

    fn open(dir: TempDir, window: Window, options: Options) -> Self {
        let (log, _) = Log::open(&dir.path().join("log"), options).unwrap();
        let alerts = Alerts::open(&AlertsConfig::default(), dir.path(), Pace::default()).unwrap();
        let state = State::open(dir.path(), &log, alerts.resume()).state;
        let next = state.read().next_frame();
        let live = Live::new(next, window);
        let feed = log.feed(16);
        let (transitions, mut told) = mpsc::channel(16);
        tokio::spawn(async move { while told.recv().await.is_some() {} });
        let follower = tokio::spawn(follow(
            feed,
            log.clone(),
            state.clone(),
            live.clone(),
            alerts.clone(),
            transitions,
            Cadence::default(),
        ));
        let health: Health = Arc::new(Vec::new);
        let service = WatchService::new(
            log.clone(),
            state.clone(),
            live,
            alerts,
            health,
            Limits { tails: 3, lists: 2 },
            CancellationToken::new(),
        );
        Self { log, state, service, follower, dir }
    }

    async fn append(&self, events: Vec<Event>) -> u64 {
        self.log.append(body("n1", events)).await.unwrap()
    }

    async fn tail(&self, start: Start, follow: bool, filter: v1::Filter) -> Tailed {
        let request = TailRequest { filter: Some(filter), start: Some(start), follow };
        Tailed(self.service.tail(viewer(request)).await.unwrap().into_inner())
    }
}

struct Tailed(ReceiverStream<Result<TailResponse, Status>>);

impl Tailed {
    async fn next(&mut self) -> Option<Answer> {
        let next = tokio::time::timeout(LIMIT, self.0.next()).await.expect("an answer in time");
        next.map(|answer| answer.unwrap().response.unwrap())
    }

    /// Status numbers of the next exits, with their places.
    async fn exits(&mut self, count: usize) -> Vec<(u32, Cursor)> {
        let mut exits = Vec::new();
        while exits.len() < count {
            match self.next().await {
                Some(Answer::Event(event)) => {
                    let Some(Event::Exit(exit)) = event.record.unwrap().event else { panic!("no exit") };
                    exits.push((exit.status, event.cursor.unwrap()));
                }
                Some(Answer::Reached(_)) => {}
                other => panic!("{other:?} after {}", exits.len()),
            }
        }
        exits
    }

    /// What is left of a tail that does not follow.
    async fn rest(mut self) -> Vec<Answer> {
        let mut rest = Vec::new();
        while let Some(answer) = self.next().await {
            rest.push(answer);
        }
        rest
    }
}

fn viewer<T>(message: T) -> Request<T> {
    with_identity(message, None)
}

fn with_identity<T>(message: T, identity: Option<Identity>) -> Request<T> {
    let mut request = Request::new(message);
    let peer = Peer { address: PeerAddress::Unix { uid: None }, identity: identity.map(Arc::new) };
    request.extensions_mut().insert(peer);
    request
}

fn process_id(tgid: u32) -> ProcessId {
    ProcessId { start_ticks: 1, tgid, exec_id: Some(2) }
}

fn body(node: &str, events: Vec<Event>) -> FrameBody {
    let process = |tgid: u32, container: Option<&str>| Process {
        id: Some(process_id(tgid)),
        container_id: container.map(str::to_owned),
        ..Process::default()
    };
    let names = ContainerNames {
        namespace: "shop".to_owned(),
        pod: "cart-1".to_owned(),
        container: "app".to_owned(),
        image: "registry.example/cart:1".to_owned(),
        ..ContainerNames::default()
    };
    let container = Container { id: "c1".to_owned(), names: Some(names), ..Container::default() };
    let records = events
        .into_iter()
        .map(|event| Record { boottime_ns: 1, wall_unix_ns: 2, event: Some(event) })
        .collect();
    FrameBody {
        source: Source { cluster: "c".into(), node: node.into(), boot_id: "b".into() },
        received_unix_ns: 7,
        content: Content::Batch(Batch {
            epoch: 5,
            lane: Lane::Detections.into(),
            first_sequence: 1,
            processes: vec![process(10, Some("c1")), process(11, None)],
            containers: vec![container],
            records,
            ..Batch::default()
        }),
    }
}

fn exit(status: u32) -> Event {
    Event::Exit(Exit { process: Some(process_id(10)), status })
}

fn finding(id: &str, severity: Severity) -> Finding {
    let mut finding = Finding {
        id: id.to_owned(),
        pod: "cart-1".to_owned(),
        workload: Some(Workload { namespace: "shop".to_owned(), ..Workload::default() }),
        control: Some(Control { slug: "run-as-non-root".to_owned(), ..Control::default() }),
        ..Finding::default()
    };
    finding.set_severity(severity);
    finding.set_verdict(Verdict::Fail);
    finding.set_state(v1::FindingState::Open);
    finding
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_once_while_more_are_written() {
    // A window so small that the log and memory have to be joined again and again.
    let bench = Bench::new(Window { frames: 3, bytes: 2000 }, Options::default());
    let writer = tokio::spawn({
        let log = bench.log.clone();
        async move {
            for frame in 0..150_u32 {
                let events = (0..frame % 5).map(|place| exit(frame * 5 + place)).collect();
                log.append(body("n1", events)).await.unwrap();
            }
        }
    });
    let expected: Vec<u32> =
        (0..150).flat_map(|frame| (0..frame % 5).map(move |place| frame * 5 + place)).collect();
    // Connects anew after each few, from the last cursor.
    let mut seen = Vec::new();
    let mut start = Start::Oldest(v1::Oldest {});
    while seen.len() < expected.len() {
        let mut tail = bench.tail(start, true, v1::Filter::default()).await;
        let exits = tail.exits(17.min(expected.len() - seen.len())).await;
        start = Start::After(exits.last().unwrap().1);
        seen.extend(exits.into_iter().map(|(status, _)| status));
    }
    assert_eq!(seen, expected);
    writer.await.unwrap();
    let whole = bench.tail(Start::Oldest(v1::Oldest {}), false, v1::Filter::default()).await.rest().await;
    assert_eq!(whole.iter().filter(|answer| matches!(answer, Answer::Event(_))).count(), expected.len());
    let Some(Answer::Reached(end)) = whole.last() else { panic!("{:?}", whole.last()) };
    // From there nothing comes again.
    bench.append(vec![exit(9999)]).await;
    assert_eq!(bench.tail(Start::After(*end), true, v1::Filter::default()).await.exits(1).await[0].0, 9999);
    let code = bench.service.tail(viewer(TailRequest {
        start: Some(Start::After(Cursor { frame: 1 << 40, index: 0 })),
        ..TailRequest::default()
    }));
    assert_eq!(code.await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_of_what_comes_now_learns_what_it_missed() {
    let bench = Bench::new(Window { frames: 4, bytes: 1 << 20 }, Options::default());
    let mut tail = bench.tail(Start::Now(v1::Now {}), true, v1::Filter::default()).await;
    for frame in 0..300 {
        bench.append(vec![exit(frame * 2), exit(frame * 2 + 1)]).await;
    }
    let (mut got, mut missed, mut last) = (0, 0, None);
    while last != Some(599) {
        match tail.next().await.unwrap() {
            Answer::Event(event) => {
                let Some(Event::Exit(exit)) = event.record.unwrap().event else { panic!("no exit") };
                assert_eq!(u64::from(exit.status), got + missed);
                got += 1;
                last = Some(exit.status);
            }
            Answer::Missed(gap) => {
                assert_eq!(gap.reason(), MissedReason::Slow);
                missed += gap.records.unwrap();
                // What was missed can still be asked for.
                let from = Cursor { frame: gap.from.unwrap().frame - 1, index: u32::MAX };
                let first = bench.tail(Start::After(from), true, v1::Filter::default()).await.exits(1).await;
                assert_eq!(u64::from(first[0].0), got + missed - gap.records.unwrap());
                if got + missed == 600 {
                    break;
                }
            }
            Answer::Reached(_) => {}
        }
    }
    assert!(missed > 0);
    assert_eq!(got + missed, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_does_not_hold_any_more_is_said() {
    let small = Options { segment_bytes: 2048, max_bytes: 4096, ..Options::default() };
    let bench = Bench::new(Window { frames: 1, bytes: 1 }, small);
    for status in 0..200 {
        bench.append(vec![exit(status)]).await;
    }
    // The snapshot that is not there yet holds the log back; here that is not wanted.
    bench.log.hold("state", u64::MAX);
    let dropped = async {
        while bench.log.oldest() == 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, dropped).await.unwrap();
    let rest = bench.tail(Start::After(Cursor { frame: 1, index: 0 }), false, v1::Filter::default()).await;
    let rest = rest.rest().await;
    // More than one piece where segments went while it was read; between them nothing is left out.
    let mut next = 1;
    let mut pieces = 0;
    for answer in rest {
        match answer {
            Answer::Missed(missed) => {
                assert_eq!((missed.reason(), missed.records), (MissedReason::Expired, None));
                assert!(missed.from.unwrap().frame <= next.max(2));
                next = missed.to.unwrap().frame + 1;
                pieces += 1;
            }
            Answer::Event(event) => {
                assert_eq!(event.cursor.unwrap().frame, next);
                next += 1;
            }
            Answer::Reached(_) => {}
        }
    }
    assert!(pieces > 0);
    assert_eq!(next, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters() {
    let bench = Bench::new(Window::default(), Options::default());
    let exec = Event::Exec(Exec { process: Some(process_id(11)), filename: "/bin/sh".into() });
    let mut detection = Detection {
        rule: "Shell in a container".to_owned(),
        process: Some(process_id(10)),
        ..Detection::default()
    };
    detection.set_severity(Severity::Low);
    detection.tags = vec!["container".to_owned(), "T1059.004".to_owned()];
    let node = v1::NodeStatus::default();
    bench
        .append(vec![
            exit(1),
            exec,
            Event::Detection(detection),
            Event::Finding(finding("f", Severity::High)),
            Event::Gap(v1::Gap::default()),
        ])
        .await;
    let source = Source { cluster: "c".into(), node: "n2".into(), boot_id: "b".into() };
    let status = FrameBody { source, received_unix_ns: 9, content: Content::Node(node) };
    bench.log.append(status).await.unwrap();
    let filter = v1::Filter::default;
    let texts = |text: &str| vec![text.to_owned()];
    for (filter, expected) in [
        (filter(), "exit exec detection finding gap node"),
        (v1::Filter { kinds: vec![EventKind::Exec.into(), EventKind::Loss.into()], ..filter() }, "exec gap"),
        (v1::Filter { min_severity: Severity::Low.into(), ..filter() }, "detection finding"),
        (v1::Filter { min_severity: Severity::Medium.into(), ..filter() }, "finding"),
        (v1::Filter { namespaces: texts("sh*"), ..filter() }, "exit detection finding"),
        (v1::Filter { namespaces: texts("other"), ..filter() }, ""),
        (v1::Filter { pods: texts("cart-*"), containers: texts("app"), ..filter() }, "exit detection"),
        (v1::Filter { images: texts("*/cart:*"), ..filter() }, "exit detection"),
        (v1::Filter { controls: texts("run-as-*"), ..filter() }, "finding"),
        (v1::Filter { verdicts: vec![Verdict::Fail.into()], ..filter() }, "finding"),
        (v1::Filter { verdicts: vec![Verdict::Drift.into()], ..filter() }, ""),
        (v1::Filter { rules: texts("Shell*"), ..filter() }, "detection"),
        (v1::Filter { min_priority: v1::Priority::Notice.into(), ..filter() }, "detection"),
        (v1::Filter { min_priority: v1::Priority::Warning.into(), ..filter() }, ""),
        (v1::Filter { tags: texts("T1059*"), ..filter() }, "detection"),
        (v1::Filter { tags: texts("T1059"), ..filter() }, ""),
        (v1::Filter { nodes: texts("n2"), ..filter() }, "node"),
        (v1::Filter { nodes: texts("n*"), kinds: vec![EventKind::Exit.into()], ..filter() }, "exit"),
    ] {
        let rest = bench.tail(Start::Oldest(v1::Oldest {}), false, filter.clone()).await.rest().await;
        let names: Vec<_> = rest
            .iter()
            .filter_map(|answer| match answer {
                Answer::Event(event) => event.record.as_ref()?.event.as_ref().map(name),
                _ => None,
            })
            .collect();
        assert_eq!(names.join(" "), expected, "{filter:?}");
    }
    let too_many = v1::Filter { pods: vec!["x".to_owned(); 65], ..filter() };
    let request = TailRequest { filter: Some(too_many), ..TailRequest::default() };
    assert_eq!(bench.service.tail(viewer(request)).await.unwrap_err().code(), Code::InvalidArgument);
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Exit(_) => "exit",
        Event::Exec(_) => "exec",
        Event::Detection(_) => "detection",
        Event::Finding(_) => "finding",
        Event::Gap(_) => "gap",
        Event::Node(_) => "node",
        _ => "other",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_all_that_it_refers_to() {
    let bench = Bench::new(Window::default(), Options::default());
    let mut tail = bench.tail(Start::Now(v1::Now {}), true, v1::Filter::default()).await;
    bench.append(vec![exit(1), exit(2)]).await;
    let Some(Answer::Event(_)) = tail.next().await else { panic!("no event") };
    let Some(Answer::Event(event)) = tail.next().await else { panic!("no event") };
    assert_eq!((event.epoch, event.lane(), event.sequence), (5, Lane::Detections, 2));
    assert_eq!((event.cluster.as_str(), event.node.as_str(), event.boot_id.as_str()), ("c", "n1", "b"));
    assert_eq!(event.process.unwrap().id, Some(process_id(10)));
    assert_eq!(event.container.unwrap().id, "c1");
    assert_eq!(event.cursor, Some(Cursor { frame: 1, index: 1 }));
    // Nothing more: how far it got is said all the same, once a filter lets nothing through.
    let filter = v1::Filter { nodes: vec!["none".to_owned()], ..v1::Filter::default() };
    let mut tail = bench.tail(Start::Now(v1::Now {}), true, filter).await;
    bench.append(vec![exit(3)]).await;
    let Some(Answer::Reached(reached)) = tail.next().await else { panic!("no cursor") };
    let first = bench.tail(Start::After(reached), true, v1::Filter::default()).await;
    bench.append(vec![exit(4)]).await;
    assert_eq!({ first }.exits(1).await[0].0, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn since_a_time() {
    let bench = Bench::new(Window { frames: 1, bytes: 1 }, Options::default());
    for number in 1..=40_u32 {
        let mut body = body("n1", vec![exit(number)]);
        body.received_unix_ns = i64::from(number) * 10;
        bench.log.append(body).await.unwrap();
    }
    for (since, first) in [(0, 1), (10, 1), (11, 2), (255, 26), (400, 40)] {
        let mut tail = bench.tail(Start::SinceUnixNs(since), false, v1::Filter::default()).await;
        assert_eq!(tail.exits(1).await[0].0, first, "since {since}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_watch_and_how_many() {
    let bench = Bench::new(Window::default(), Options::default());
    let identity = |viewer| Identity { nodes: Vec::new(), viewer, subject: "CN=x".to_owned() };
    let status = |request| bench.service.status(request);
    let none = status(Request::new(StatusRequest {})).await.unwrap_err();
    assert_eq!(none.code(), Code::Unauthenticated);
    let agent = status(with_identity(StatusRequest {}, Some(identity(false)))).await.unwrap_err();
    assert_eq!(agent.code(), Code::PermissionDenied);
    let report = status(with_identity(StatusRequest {}, Some(identity(true)))).await.unwrap().into_inner();
    assert!(report.healthy);
    let mut tails = Vec::new();
    for _ in 0..3 {
        tails.push(bench.tail(Start::Now(v1::Now {}), true, v1::Filter::default()).await);
    }
    let full = bench.service.tail(viewer(TailRequest::default())).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    // A client that goes leaves room.
    tails.pop();
    let permit = tokio::time::timeout(LIMIT, bench.service.tails().acquire());
    assert!(permit.await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_and_stale_where_the_node_is_silent() {
    let bench = Bench::new(Window::default(), Options::default());
    let mut late = finding("late", Severity::High);
    late.first_seen_unix_ns = 9;
    let findings =
        [finding("low", Severity::Low), finding("b", Severity::High), late, finding("a", Severity::High)];
    bench.append(findings.into_iter().map(Event::Finding).collect()).await;
    let mut silent = v1::NodeStatus::default();
    silent.set_condition(v1::NodeCondition::Silent);
    let source = Source { cluster: "c".into(), node: "n1".into(), boot_id: "b".into() };
    let silent = FrameBody { source, received_unix_ns: 9, content: Content::Node(silent) };
    let last = bench.log.append(silent).await.unwrap();
    let applied = async {
        while bench.state.read().next_frame() <= last {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, applied).await.unwrap();
    let request = FindingsRequest::default();
    let listed: Vec<_> = bench.service.findings(viewer(request)).await.unwrap().into_inner().collect().await;
    let listed: Vec<_> = listed.into_iter().map(Result::unwrap).collect();
    let ids: Vec<_> = listed.iter().map(|listed| listed.finding.as_ref().unwrap().id.as_str()).collect();
    assert_eq!(ids, ["late", "a", "b", "low"]);
    assert!(listed.iter().all(|listed| listed.stale));
    let nodes = bench.service.nodes(viewer(NodesRequest::default())).await.unwrap().into_inner().nodes;
    assert_eq!((nodes.len(), nodes[0].open_findings, nodes[0].connected), (1, 4, false));
    let status = bench.service.report();
    assert_eq!((status.healthy, status.open_findings, status.nodes), (false, 4, 1));

    // What was so is so after a restart, from the snapshot that the end makes.
    let Bench { log, follower, service, state, dir } = bench;
    let before = state.read().clone();
    log.close().await;
    drop((log, service));
    follower.await.unwrap().unwrap();
    assert!(dir.path().join("state.snapshot").exists());
    let again = Bench::open(dir, Window::default(), Options::default());
    assert_eq!(*again.state.read(), before);
}
