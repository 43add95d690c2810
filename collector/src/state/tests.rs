//! The fold: the same from every snapshot, and right when inventories and events race.

use std::{sync::Arc, time::Duration};

use kestrel_proto::v1::{
    AgentStop, Batch, Container, ContainerGone, ContainerPosture, ContainerStarted, Epoch, Finding,
    FindingState, Gap, Hello, Inventory, Lane, NodeCondition, NodeStatus, Record, Resolution, Severity,
    Verdict, Watermark, record::Event,
};
use proptest::prelude::*;

use super::*;
use FindingState::{Open, Resolved, Updated};

use crate::log::{FrameBody, Log, Options, Source};

fn source() -> Source {
    Source { cluster: "c".into(), node: "n".into(), boot_id: "boot".into() }
}

fn frame(number: u64, content: Content) -> Frame {
    let received_unix_ns = i64::try_from(number).unwrap() * 1_000_000_000;
    Frame { number, body: FrameBody { source: source(), received_unix_ns, content } }
}

fn finding(id: u64, state: FindingState) -> Finding {
    let mut finding = Finding { id: id.to_string(), alert: true, ..Finding::default() };
    finding.set_state(state);
    finding.set_verdict(Verdict::Fail);
    finding.set_severity(Severity::High);
    finding
}

fn batch(epoch: u64, lane: Lane, first_sequence: u64, events: Vec<Event>) -> Content {
    let record = |event| Record { boottime_ns: first_sequence, wall_unix_ns: 0, event: Some(event) };
    let records = events.into_iter().map(record).collect();
    Content::Batch(Batch { epoch, lane: lane.into(), first_sequence, records, ..Batch::default() })
}

fn hello(epochs: &[u64]) -> Content {
    let epochs = epochs.iter().map(|&epoch| Epoch { epoch, boot_id: "boot".to_owned() }).collect();
    Content::Hello(Hello { boot_id: "boot".to_owned(), epochs, ..Hello::default() })
}

fn inventory(epoch: u64, after: u64, open: &[u64], containers: &[&str], boottime_ns: u64) -> Content {
    let container = |id: &&str| ContainerPosture {
        container: Some(Container { id: (*id).to_owned(), ..Container::default() }),
        ..ContainerPosture::default()
    };
    Content::Inventory(Inventory {
        number: boottime_ns,
        parts: 1,
        after: Some(Watermark { epoch, lane: Lane::Findings.into(), sequence: after }),
        boottime_ns,
        findings: open.iter().map(|&id| finding(id, Open)).collect(),
        containers: containers.iter().map(container).collect(),
        ..Inventory::default()
    })
}

/// A state that knows one healthy node.
pub(crate) fn empty() -> State {
    let mut fold = Fold::default();
    fold.apply(&frame(1, hello(&[1])));
    State { fold: Arc::new(RwLock::new(fold)), presences: Presences::default(), dir: Arc::default() }
}

/// One finding of node n of cluster c.
pub(crate) fn put(fold: &mut Fold, number: u64, finding: &Finding) {
    fold.apply(&frame(number, batch(1, Lane::Findings, number, vec![Event::Finding(finding.clone())])));
}

fn open(fold: &Fold) -> Vec<String> {
    let node = fold.node("c", "n").unwrap();
    let mut open: Vec<_> =
        node.findings.iter().filter(|entry| entry.is_open()).map(|entry| entry.finding.id.clone()).collect();
    open.sort();
    open
}

fn told(transitions: &[Transition]) -> Vec<String> {
    transitions
        .iter()
        .map(|transition| match &transition.change {
            Change::Opened(finding) => format!("+{}", finding.id),
            Change::Updated(finding) => format!("~{}", finding.id),
            Change::Resolved(finding) => format!("-{}", finding.id),
            Change::Detected(detected) => format!("!{}", detected.detection.rule),
            Change::Node(status) => status.condition().as_str_name().to_owned(),
        })
        .collect()
}

/// Applies contents in turn; what was told.
fn run(fold: &mut Fold, contents: Vec<Content>) -> Vec<String> {
    let mut all = Vec::new();
    for content in contents {
        let number = fold.next_frame;
        all.extend(told(&fold.apply(&frame(number, content))));
    }
    all
}

fn event(id: u64, state: FindingState) -> Event {
    Event::Finding(finding(id, state))
}

#[test]
fn inventories_and_events_race() {
    let findings = Lane::Findings;
    for (name, contents, expected_open, expected_told) in [
        (
            "a lost end is made up for",
            vec![
                hello(&[7]),
                batch(7, findings, 1, vec![event(1, Open), event(2, Open)]),
                inventory(7, 5, &[2], &[], 9),
                batch(7, findings, 4, vec![event(3, Open), event(3, Updated)]),
            ],
            vec!["2"],
            // The inventory waits for number 5, and then says that 1 and 3 are over.
            vec!["+1", "+2", "+3", "-1", "-3"],
        ),
        (
            "an event after the inventory's moment wins",
            vec![
                hello(&[7]),
                batch(7, findings, 1, vec![event(1, Open)]),
                batch(7, findings, 2, vec![event(2, Open), event(1, Resolved)]),
                inventory(7, 1, &[1], &[], 9),
            ],
            vec!["2"],
            vec!["+1", "+2", "-1"],
        ),
        (
            "what is listed and not known opens",
            vec![
                hello(&[7]),
                inventory(7, 0, &[4, 5], &[], 9),
                batch(7, findings, 1, vec![event(4, Resolved)]),
            ],
            vec!["5"],
            vec!["+4", "+5", "-4"],
        ),
        (
            "a later outbox is later than any number of an earlier one",
            vec![
                hello(&[7, 8]),
                inventory(8, 0, &[1], &[], 9),
                batch(7, findings, 50, vec![event(1, Resolved), event(2, Open)]),
                batch(8, findings, 1, vec![event(2, Resolved)]),
            ],
            vec!["1"],
            vec!["+1", "+2", "-2"],
        ),
        (
            "what was taken before is not taken again",
            vec![
                hello(&[7]),
                batch(7, findings, 1, vec![event(1, Open), event(1, Resolved)]),
                batch(7, findings, 1, vec![event(1, Open), event(1, Resolved), event(1, Open)]),
            ],
            vec!["1"],
            vec!["+1", "-1", "+1"],
        ),
        (
            "a node's condition is told when it changes",
            vec![
                hello(&[7]),
                Content::Node(status(NodeCondition::Silent)),
                Content::Node(status(NodeCondition::Silent)),
                hello(&[7]),
                Content::Node(status(NodeCondition::Healthy)),
            ],
            vec![],
            vec!["NODE_CONDITION_SILENT", "NODE_CONDITION_HEALTHY"],
        ),
    ] {
        let mut fold = Fold::default();
        let told = run(&mut fold, contents);
        assert_eq!(told, expected_told, "{name}");
        assert_eq!(open(&fold), expected_open, "{name}");
    }
}

fn status(condition: NodeCondition) -> NodeStatus {
    let mut status = NodeStatus::default();
    status.set_condition(condition);
    status
}

#[test]
fn an_end_that_only_the_inventory_knows_says_so() {
    let mut fold = Fold::default();
    run(
        &mut fold,
        vec![hello(&[7]), batch(7, Lane::Findings, 1, vec![event(1, Open)]), inventory(7, 1, &[], &[], 9)],
    );
    let entry = fold.node("c", "n").unwrap().findings.get("1").unwrap().clone();
    assert_eq!((entry.finding.state(), entry.finding.resolution()), (Resolved, Resolution::NotInInventory));
}

#[test]
fn containers_come_and_go_around_an_inventory() {
    let started =
        |id: &str| Event::ContainerStarted(ContainerStarted { container_id: id.to_owned(), found: false });
    let gone = |id: &str| Event::ContainerGone(ContainerGone { container_id: id.to_owned() });
    let mut fold = Fold::default();
    // Records happen at the boottime of their first number.
    run(
        &mut fold,
        vec![
            hello(&[7]),
            batch(7, Lane::Detections, 10, vec![started("old")]),
            batch(7, Lane::Detections, 20, vec![started("kept")]),
            batch(7, Lane::Detections, 40, vec![started("new"), gone("late")]),
            inventory(7, 0, &[], &["kept", "late", "listed"], 30),
            batch(7, Lane::Detections, 50, vec![gone("listed")]),
        ],
    );
    let node = fold.node("c", "n").unwrap();
    let mut ids: Vec<_> =
        node.containers.iter().map(|posture| posture.container.as_ref().unwrap().id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["kept", "new"]);
}

#[test]
fn an_inventory_in_parts_counts_when_it_is_whole() {
    let part = |number, part, parts, id| {
        Content::Inventory(Inventory {
            number,
            part,
            parts,
            findings: vec![finding(id, Open)],
            ..Inventory::default()
        })
    };
    let mut fold = Fold::default();
    let told = run(
        &mut fold,
        vec![
            hello(&[7]),
            part(1, 0, 2, 1),
            // The connection ended here.
            hello(&[7]),
            part(1, 1, 2, 2),
            part(2, 0, 2, 3),
            part(2, 1, 2, 4),
        ],
    );
    assert_eq!(told, ["+3", "+4"]);
}

#[test]
fn holes_are_counted_until_a_gap_explains_them() {
    let gap = |from_sequence, to_sequence| {
        Event::Gap(Gap {
            epoch: 7,
            lane: Lane::Detections.into(),
            from_sequence,
            to_sequence,
            ..Gap::default()
        })
    };
    let mut fold = Fold::default();
    run(&mut fold, vec![hello(&[7]), batch(7, Lane::Detections, 11, Vec::new())]);
    run(&mut fold, vec![batch(7, Lane::Detections, 11, vec![gap(90, 91)])]);
    assert_eq!(fold.node("c", "n").unwrap().unexplained(), 10);
    run(&mut fold, vec![batch(7, Lane::Findings, 1, vec![gap(1, 8)])]);
    let node = fold.node("c", "n").unwrap();
    assert_eq!((node.unexplained(), node.gap_events), (2, 10));
    // The outbox is no more, and what explains the rest comes in the next one.
    run(&mut fold, vec![hello(&[9])]);
    assert_eq!(fold.node("c", "n").unwrap().unexplained(), 2);
    run(&mut fold, vec![batch(9, Lane::Findings, 1, vec![gap(9, 10)]), hello(&[9])]);
    let node = fold.node("c", "n").unwrap();
    assert_eq!((node.unexplained(), node.gap_events, node.watermarks(&[7]).len()), (0, 12, 0));
}

#[test]
fn a_stop_counts_until_the_agent_is_back() {
    let stop = || Event::Stop(AgentStop { reason: "upgrade".to_owned() });
    let condition = |fold: &Fold| fold.node("c", "n").unwrap().status.condition();
    let mut fold = Fold::default();
    run(&mut fold, vec![hello(&[7]), batch(7, Lane::Findings, 1, vec![stop()])]);
    assert_eq!(condition(&fold), NodeCondition::Stopped);
    assert!(fold.node("c", "n").unwrap().is_stale());
    run(&mut fold, vec![hello(&[7, 8])]);
    assert_eq!(condition(&fold), NodeCondition::Healthy);
    // What the earlier one said last may come after the later one's begin.
    run(&mut fold, vec![batch(7, Lane::Findings, 2, vec![stop()])]);
    assert_eq!(condition(&fold), NodeCondition::Healthy);
}

#[tokio::test]
async fn a_node_that_falls_silent_is_said_once_and_so_is_its_return() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path(), Options::default()).unwrap();
    let state = empty();
    let mut feed = log.feed(4);
    log.append(frame(1, hello(&[1])).body).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let patience =
        monitor::Patience { silent_after: Duration::from_millis(150), look: Duration::from_millis(10) };
    let watching = tokio::spawn(monitor::watch(state.clone(), log.clone(), patience, stop.clone()));
    let mut told = Vec::new();
    let mut connection = None;
    while told.len() < 3 {
        let frame = tokio::time::timeout(Duration::from_secs(20), feed.recv()).await.unwrap().unwrap();
        for transition in state.apply(&frame) {
            let Change::Node(status) = transition.change else { panic!("a node's condition") };
            told.push(status.condition());
            // It comes when it was missed, and then says nothing more.
            connection = (status.condition() == NodeCondition::Silent).then(|| state.connect("c", "n"));
        }
    }
    drop(connection);
    assert_eq!(told, [NodeCondition::Silent, NodeCondition::Healthy, NodeCondition::Silent]);
    stop.cancel();
    watching.await.unwrap();
}

fn content() -> impl Strategy<Value = Content> {
    let lane = || prop_oneof![Just(Lane::Findings), Just(Lane::Detections)];
    let events = prop::collection::vec((0..5_u64, 0..6_u8), 1..4).prop_map(|events| {
        let event = |(id, what): (u64, u8)| match what {
            0 | 1 => event(id, Open),
            2 => event(id, Resolved),
            3 => Event::ContainerStarted(ContainerStarted { container_id: id.to_string(), found: false }),
            4 => Event::ContainerGone(ContainerGone { container_id: id.to_string() }),
            _ => Event::Gap(Gap {
                epoch: 1,
                lane: Lane::Detections.into(),
                from_sequence: id + 1,
                to_sequence: id + 3,
                ..Gap::default()
            }),
        };
        events.into_iter().map(event).collect::<Vec<_>>()
    });
    prop_oneof![
        4 => (1..3_u64, lane(), 1..30_u64, events).prop_map(|(epoch, lane, first, events)| batch(epoch, lane, first, events)),
        1 => Just(hello(&[1])),
        1 => Just(hello(&[1, 2])),
        2 => (1..3_u64, 0..30_u64, prop::collection::vec(0..5_u64, 0..4), 1..30_u64)
            .prop_map(|(epoch, after, open, at)| inventory(epoch, after, &open, &["1", "2"], at)),
        1 => prop_oneof![Just(NodeCondition::Silent), Just(NodeCondition::Healthy)]
            .prop_map(|condition| Content::Node(status(condition))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_replay_from_any_snapshot_is_the_whole_replay(contents in prop::collection::vec(content(), 1..30), cut in any::<prop::sample::Index>()) {
        let dir = tempfile::tempdir().unwrap();
        let cut = cut.index(contents.len() + 1);
        let (mut whole, mut transitions) = (Fold::default(), Vec::new());
        for (number, content) in (1..).zip(contents.clone()) {
            if number as usize == cut + 1 {
                snapshot::write(dir.path(), &snapshot::pack(&whole).unwrap()).unwrap();
                transitions.clear();
            }
            transitions.extend(whole.apply(&frame(number, content)));
        }
        if cut == contents.len() {
            snapshot::write(dir.path(), &snapshot::pack(&whole).unwrap()).unwrap();
            transitions.clear();
        }
        let mut resumed = snapshot::read(dir.path()).unwrap().unwrap();
        let mut again = Vec::new();
        // Frames that it knows change nothing.
        for (number, content) in (1..).zip(contents) {
            again.extend(resumed.apply(&frame(number, content)));
        }
        prop_assert_eq!(&resumed, &whole);
        prop_assert_eq!(again, transitions);
    }
}

#[test]
fn a_detection_is_a_transition_once_however_often_it_comes() {
    let match_of =
        |rule: &str| Event::Detection(v1::Detection { rule: rule.to_owned(), ..Default::default() });
    let mut fold = Fold::default();
    let contents = vec![
        hello(&[1]),
        batch(1, Lane::Detections, 1, vec![match_of("a"), match_of("b")]),
        // The first two again.
        batch(1, Lane::Detections, 1, vec![match_of("a"), match_of("b"), match_of("c")]),
    ];
    assert_eq!(run(&mut fold, contents), ["!a", "!b", "!c"]);
    assert_eq!(fold.last(), Some(Place { frame: 3, index: 0 }));
}

#[test]
fn of_a_long_replay_the_first_detections_are_told_and_the_others_counted() {
    let mut replayed = Replayed::default();
    for number in 0..20_007 {
        let mut detection = v1::Detection::default();
        detection.set_priority(if number % 2 == 0 { v1::Priority::Alert } else { v1::Priority::Debug });
        let detected = Detected { detection, ..Detected::default() };
        let (cluster, node) = ("c".into(), "n".into());
        let change = Change::Detected(detected.into());
        replayed.push(Transition { frame: number, index: 0, at_unix_ns: 0, cluster, node, change });
    }
    assert_eq!(replayed.transitions.len(), 20_000);
    assert_eq!(replayed.left_out(|_| true), 7);
    assert_eq!(replayed.left_out(|priority| priority == v1::Priority::Alert), 4);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_used_is_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(&dir.path().join("log"), Options::default()).unwrap();
    for content in [hello(&[7]), batch(7, Lane::Findings, 1, vec![event(1, Open)])] {
        log.append(frame(1, content).body).await.unwrap();
    }
    let open_state = |taken| State::open(dir.path(), &log, taken);
    let fresh = open_state(None);
    assert_eq!((fresh.problems.len(), fresh.replayed.transitions.len()), (0, 0));
    // Nobody took the first of them.
    let untold = open_state(Some(Place { frame: 1, index: 0 }));
    assert_eq!(told(&untold.replayed.transitions), ["+1"]);
    let whole = fresh.state.read().clone();
    let image = snapshot::pack(&whole).unwrap();
    snapshot::write(dir.path(), &image).unwrap();
    assert_eq!(*open_state(Some(Place { frame: 2, index: 0 })).state.read(), whole);
    // Newer than the alerts.
    let untold = open_state(Some(Place { frame: 1, index: 0 }));
    assert_eq!((told(&untold.replayed.transitions), untold.problems.len()), (vec!["+1".to_owned()], 1));
    // Newer than the log.
    let (other, _) = Log::open(&dir.path().join("other"), Options::default()).unwrap();
    let opened = State::open(dir.path(), &other, None);
    assert_eq!((opened.problems.len(), opened.state.read().next_frame()), (1, 1));
    // Damaged, of another version, empty.
    let path = dir.path().join("state.snapshot");
    let bytes = std::fs::read(&path).unwrap();
    for place in [0, 7, 9, 20, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        let opened = open_state(None);
        assert_eq!((opened.problems.len(), &*opened.state.read()), (1, &whole), "byte {place}");
    }
    std::fs::write(&path, b"").unwrap();
    assert_eq!(open_state(None).problems.len(), 1);
}
