//! What comes out, decoded again.

use std::sync::Arc;

use agent_abi::record::{FileRef, Ids, TaskState, UNMAPPED, file_flag, task_flag};
use bytes::Bytes;
use kestrel_proto::v1::record::Event;
use zerocopy::IntoBytes as _;

use super::*;
use crate::{
    context::{
        ContainerId, ContainerKey, ContainerRole, Declared, Enrichment, Names, Origin, Owner, PendingReason,
        ProcessId,
    },
    outbox::DefinitionKey,
    pipeline::{
        ContainerSnapshot, Detected, THROTTLED, Throttled,
        lifecycle::{Activity, ContainerEntry, Entry, ProcessEntry},
    },
    posture::{
        CONTROLS, ChangeKind, FindingId, Level, Policy, Resolution, Severity, Subject, not_judged,
        testing::{hostile_change, plain_change},
    },
};

const AT: Clock = Clock { boottime_ns: 5_000, wall_ns: 1_709_210_096_000_000_123 };
const HOSTILE: &[u8] = b"/tmp/\x1b]0;\xff\xfe";

fn event(item: &Item) -> Event {
    let record = v1::Record::decode(item.record.clone()).unwrap();
    assert_eq!((record.boottime_ns, record.wall_unix_ns), (item.at.boottime_ns, wall(item.at)));
    record.event.unwrap()
}

fn finding(item: &Item) -> v1::Finding {
    let Event::Finding(finding) = event(item) else { panic!("a finding") };
    finding
}

fn container(names: Enrichment) -> ContainerEntry {
    let id = ContainerId::parse(format!("{:064x}", 42).as_bytes()).unwrap();
    ContainerEntry { key: ContainerKey { hierarchy: 0, cgroup: 42 }, id, names }
}

fn names(pod: &str) -> Enrichment {
    Enrichment::Complete(Arc::new(Names {
        role: ContainerRole::Workload,
        pod: pod.into(),
        namespace: "shop\u{202e}".into(),
        pod_uid: "uid".into(),
        labels: Default::default(),
        container: "main".into(),
        owner: Owner { kind: "Deployment", name: "web".into() },
        image: "web:1".into(),
        image_digest: None,
        init_pid: None,
        service_account: None,
        sandboxed_runtime: false,
        image_created: None,
        declared: Declared::default(),
    }))
}

fn batch() -> LifecycleBatch {
    LifecycleBatch::with_room(16, 1 << 16)
}

/// A process whose every text is an attack.
fn process(batch: &mut LifecycleBatch, exec_id: u64) -> ProcessEntry {
    let state = TaskState {
        ids: Ids { euid: 7, ns_uid: 0, ns_euid: UNMAPPED, ..Ids::default() },
        seccomp_mode: 2,
        login_uid: UNMAPPED,
        comm: *b"\x1b[31m\xff\0\0\0\0\0\0\0\0\0\0",
        ..TaskState::default()
    };
    ProcessEntry {
        id: ProcessId { start_ticks: 11, tgid: 100 },
        exec_id,
        parent: Some(ProcessId { start_ticks: 10, tgid: 1 }),
        state,
        file: FileRef { inode: 9, flags: file_flag::OVERLAY, ..FileRef::default() },
        exe: batch.add(HOSTILE),
        argv: batch.add(b"sh\0\0--password=hunter2\0\xff\xfe\0"),
        argv_truncated: false,
        cwd: batch.add(b"/"),
        container: Some(container(names("web"))),
        origin: Origin::Entered,
        exec_ns: 4_000,
    }
}

fn exec(batch: &mut LifecycleBatch, exec_id: u64) {
    let process = process(batch, exec_id);
    let filename = batch.add(HOSTILE);
    batch.push(Entry { at: AT, activity: Activity::Exec { process, filename } });
}

fn exit(batch: &mut LifecycleBatch, exec_id: u64) {
    let process = process(batch, exec_id);
    batch.push(Entry { at: AT, activity: Activity::Exit { process, status: 256 } });
}

fn items(exporter: &mut Exporter, batch: &LifecycleBatch) -> Vec<Item> {
    let mut events = Vec::new();
    exporter.lifecycle(batch, &mut events);
    events.into_iter().map(|exported| exported.item).collect()
}

fn process_of(item: &Item) -> v1::Process {
    v1::Process::decode(item.refers[0].body.clone()).unwrap()
}

#[test]
fn an_exec_refers_to_its_process_and_container() {
    let mut batch = batch();
    exec(&mut batch, 3);
    let items = items(&mut Exporter::new(), &batch);
    let [item] = &items[..] else { panic!("one item") };
    assert_eq!((item.lane, item.at), (Lane::Detections, AT));
    let id = v1::ProcessId { start_ticks: 11, tgid: 100, exec_id: Some(3) };
    let expected = v1::Exec { process: Some(id), filename: Bytes::from_static(HOSTILE) };
    assert_eq!(event(item), Event::Exec(expected));

    let key = DefinitionKey::Process { start_ticks: 11, tgid: 100, exec_id: 3 };
    assert_eq!(item.refers[0].key, key);
    let process = process_of(item);
    assert_eq!(process.id, Some(id));
    assert_eq!(process.parent, Some(v1::ProcessId { start_ticks: 10, tgid: 1, exec_id: None }));
    assert_eq!(process.exe, HOSTILE);
    let argv: Vec<&[u8]> = process.argv.iter().map(|argument| &argument[..]).collect();
    assert_eq!(argv, [&b"sh"[..], b"", b"--password=[redacted]", b"\xff\xfe"]);
    assert_eq!((process.argv_redacted, process.argv_truncated), (1, false));
    assert_eq!(&process.comm[..], b"\x1b[31m\xff");
    assert_eq!(process.membership(), v1::Membership::Entered);
    assert_eq!(process.container_id.as_deref(), Some(&*format!("{:064x}", 42)));
    assert_eq!(process.exec_boottime_ns, Some(4_000));

    let DefinitionKey::Container { id, version } = item.refers[1].key else { panic!("a container") };
    assert!(version > 0);
    let container = v1::Container::decode(item.refers[1].body.clone()).unwrap();
    assert_eq!((container.id, container.cgroup), (id.to_string(), 42));
    assert_eq!(container.pending, v1::Pending::Unspecified as i32);
    let names = container.names.unwrap();
    assert_eq!((names.namespace.as_str(), names.image_digest), ("shop\u{202e}", None));
}

#[test]
fn no_secret_is_anywhere_in_what_leaves() {
    let mut batch = batch();
    exec(&mut batch, 3);
    exit(&mut batch, 4);
    for item in items(&mut Exporter::new(), &batch) {
        let bodies = item.refers.iter().map(|definition| &definition.body);
        for bytes in bodies.chain([&item.record]) {
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
        }
    }
}

#[test]
fn an_exit_uses_what_the_exec_gave_out_and_a_new_image_does_not() {
    let mut exporter = Exporter::new();
    let mut batch = batch();
    exec(&mut batch, 3);
    exit(&mut batch, 3);
    exit(&mut batch, 3);
    exec(&mut batch, 4);
    let items = items(&mut exporter, &batch);
    let pointer = |index: usize| items[index].refers[0].body.as_ptr();
    assert_eq!(pointer(0), pointer(1));
    // After its exit it is forgotten; whoever needs it again has it whole.
    assert_ne!(pointer(1), pointer(2));
    assert_eq!(process_of(&items[2]), process_of(&items[0]));
    assert_ne!(items[3].refers[0].key, items[0].refers[0].key);
    assert_eq!(items[0].refers[1], items[3].refers[1]);
    assert_eq!(event(&items[1]), Event::Exit(v1::Exit { process: Some(id(3)), status: 256 }));
}

fn id(exec_id: u64) -> v1::ProcessId {
    v1::ProcessId { start_ticks: 11, tgid: 100, exec_id: Some(exec_id) }
}

#[test]
fn a_call_has_the_state_of_its_thread() {
    let mut batch = batch();
    let process = process(&mut batch, 3);
    let changed = TaskState { no_new_privs: 1, tty: 3, flags: task_flag::NS_IDS_NOT_READ, ..process.state };
    let state = batch.add(changed.as_bytes());
    let activity = Activity::Credentials { process, tid: 101, syscall: 105, compat: true, state };
    batch.push(Entry { at: AT, activity });
    let items = items(&mut Exporter::new(), &batch);
    let Event::Credentials(change) = event(&items[0]) else { panic!("a change") };
    assert_eq!((change.tid, change.syscall, change.compat), (101, 105, true));
    let state = change.state.unwrap();
    assert!(state.no_new_privs);
    assert_eq!((state.tty, state.ns_uid, state.ns_euid), (Some(3), None, None));
    assert!(!process_of(&items[0]).state.unwrap().no_new_privs);
}

#[test]
fn zero_is_not_unknown() {
    let mut batch = batch();
    let known = process(&mut batch, 3);
    let state = process::of(batch.texts(), &known).state.unwrap();
    // Root in its namespace; its effective id is not mapped there.
    assert_eq!((state.ns_uid, state.ns_euid), (Some(0), None));
    // Under filters that the kernel does not count.
    assert_eq!((state.seccomp_mode, state.seccomp_filters), (2, None));
    assert_eq!((state.login_uid, state.tty), (None, None));
    let root = TaskState { login_uid: 0, ..TaskState::default() };
    let state = process::state(&root);
    assert_eq!((state.login_uid, state.seccomp_filters), (Some(0), Some(0)));

    let unknown = ProcessEntry {
        exec_id: 0,
        parent: None,
        file: FileRef { flags: file_flag::NOT_READ, ..FileRef::default() },
        container: None,
        exec_ns: 0,
        argv: batch.add(b""),
        cwd: batch.add(b""),
        ..known
    };
    let process = process::of(batch.texts(), &unknown);
    assert_eq!(process.id.unwrap().exec_id, None);
    assert_eq!((process.parent, process.file, &process.container_id), (None, None, &None));
    assert_eq!((process.exec_boottime_ns, process.membership()), (None, v1::Membership::Unspecified));
    assert!(process.argv.is_empty() && process.cwd.is_empty());

    let upper = |flags: u32| {
        let entry =
            ProcessEntry { file: FileRef { inode: 1, flags, ..FileRef::default() }, ..unknown.clone() };
        process::of(batch.texts(), &entry).file.unwrap().upper_layer
    };
    assert_eq!(upper(0), None);
    assert_eq!(upper(file_flag::OVERLAY), Some(false));
    assert_eq!(upper(file_flag::OVERLAY | file_flag::UPPER_LAYER), Some(true));
}

#[test]
fn a_container_is_given_out_anew_when_its_names_come() {
    let mut exporter = Exporter::new();
    let mut batch = batch();
    let pending = || container(Enrichment::Pending(PendingReason::Asked));
    let push = |batch: &mut LifecycleBatch, activity| batch.push(Entry { at: AT, activity });
    push(&mut batch, Activity::Started { container: pending(), found: true });
    push(&mut batch, Activity::Started { container: pending(), found: false });
    push(&mut batch, Activity::Named { container: container(names("web")) });
    push(&mut batch, Activity::Named { container: container(names("web")) });
    push(&mut batch, Activity::Gone { container: container(names("web")) });
    let items = items(&mut exporter, &batch);
    let version = |index: usize| match items[index].refers[..] {
        [Definition { key: DefinitionKey::Container { version, .. }, .. }] => version,
        _ => panic!("a container"),
    };
    assert_eq!(version(0), version(1));
    assert!(version(2) > version(1));
    assert_eq!((version(3), version(4)), (version(2), version(2)));
    let first = v1::Container::decode(items[0].refers[0].body.clone()).unwrap();
    assert_eq!((first.names, first.pending), (None, v1::Pending::Asked as i32));
    let container_id = format!("{:064x}", 42);
    let started = v1::ContainerStarted { container_id: container_id.clone(), found: true };
    assert_eq!(event(&items[0]), Event::ContainerStarted(started));
    assert_eq!(event(&items[4]), Event::ContainerGone(v1::ContainerGone { container_id }));
}

#[test]
fn what_was_said_before_an_answer_does_not_undo_it() {
    let mut exporter = Exporter::new();
    let mut naming = |activity| {
        let mut batch = batch();
        batch.push(Entry { at: AT, activity });
        let mut events = Vec::new();
        exporter.lifecycle(&batch, &mut events);
        let [Exported { item, names }] = &events[..] else { panic!("one event") };
        let container = v1::Container::decode(item.refers.last().unwrap().body.clone()).unwrap();
        (*names, container.names.is_some(), container.pending())
    };
    let exit = |names: Enrichment| {
        let process = ProcessEntry { container: Some(container(names)), ..process(&mut batch(), 3) };
        Activity::Exit { process, status: 0 }
    };
    let pending = |reason| exit(Enrichment::Pending(reason));
    let id = container(names("web")).id;
    let started =
        Activity::Started { container: container(Enrichment::Pending(PendingReason::Asked)), found: false };
    assert_eq!(naming(started).0, Naming::None, "it tells at once that the container is there");
    let asked = naming(pending(PendingReason::Asked));
    assert_eq!(asked, (Naming::Asked(id), false, v1::Pending::Asked));
    assert_eq!(naming(pending(PendingReason::QueueFull)).0, Naming::Asked(id));
    let refused = (Naming::Refused(id), false, v1::Pending::NotKnown);
    assert_eq!(naming(pending(PendingReason::NotKnown)), refused);
    assert_eq!(naming(pending(PendingReason::Asked)), refused);
    let named = (Naming::Named(id), true, v1::Pending::Unspecified);
    assert_eq!(naming(Activity::Named { container: container(names("web")) }), named);
    for reason in [PendingReason::Asked, PendingReason::NoRuntime] {
        assert_eq!(naming(pending(reason)), named);
    }
    assert_eq!(naming(Activity::Gone { container: container(names("web")) }), named);
    assert_eq!(naming(pending(PendingReason::Asked)), named, "late, by another way");

    let mut batch = batch();
    batch.push(Entry {
        at: AT,
        activity: Activity::Gone { container: container(Enrichment::Pending(PendingReason::Asked)) },
    });
    let mut events = Vec::new();
    Exporter::new().lifecycle(&batch, &mut events);
    assert_eq!(events[0].names, Naming::Gone(id));
}

#[test]
fn versions_of_containers_rise_over_restarts() {
    let version = |at: Clock| match Containers::default().define(&container(names("web")), at).key {
        DefinitionKey::Container { version, .. } => version,
        DefinitionKey::Process { .. } => panic!("a container"),
    };
    assert!(version(Clock { wall_ns: AT.wall_ns + crate::time::SECOND, ..AT }) > version(AT));
}

#[test]
fn a_finding_says_all_by_itself() {
    let change = plain_change();
    let item = Exporter::new().change(&change);
    assert_eq!((item.lane, item.refers.len()), (Lane::Findings, 0));
    let finding = finding(&item);
    let report = &change.finding;
    assert_eq!(finding.id, report.id.to_string());
    assert_eq!(finding.state(), v1::FindingState::Open);
    assert_eq!(finding.resolution(), v1::Resolution::Unspecified);
    assert!(finding.alert);
    assert_eq!(finding.verdict(), v1::Verdict::Drift);
    assert_eq!(finding.control.unwrap().slug, report.control.slug());
    let workload = finding.workload.unwrap();
    assert_eq!((workload.kind.as_str(), workload.name.as_str()), ("Deployment", "web"));
    assert_eq!((finding.pod.as_str(), finding.container.as_str()), ("web-abc", "main"));
    assert_eq!(finding.container_id, format!("{:064x}", 42));
    assert_eq!((finding.image.as_str(), finding.image_digest), ("registry.example/web:1", None));
    assert_eq!(finding.pending, v1::Pending::Unspecified as i32);
    assert_eq!(finding.first_seen_unix_ns, wall(report.first_seen));
    assert_eq!((finding.count, finding.reopened), (1, 0));
    assert_eq!(finding.fix, report.control.control().fix);
    let [instance] = &finding.instances[..] else { panic!("one instance") };
    assert_eq!((instance.uid, instance.ns_euid), (0, Some(0)));
    assert_eq!(instance.process.as_ref().unwrap().tgid, 100);
    assert!(instance.declared.is_some() && !instance.observed.is_empty());
}

#[test]
fn hostile_bytes_of_a_finding_go_out_as_they_are() {
    let finding = finding(&Exporter::new().change(&hostile_change()));
    assert_eq!(&finding.instances[0].exe[..], b"/tmp/\x1b]0;owned\x07\xff");
    assert_eq!(&finding.instances[0].comm[..], b"\x1b[31mevil");
    assert_eq!(finding.workload.unwrap().namespace, "s\x1b[2J");
}

#[test]
fn what_is_missing_of_a_finding_is_missing() {
    let mut change = plain_change();
    change.kind = ChangeKind::Resolved(Resolution::Superseded);
    change.finding.subject = Subject::Container("abc".into());
    change.finding.names = None;
    change.finding.pending = Some(PendingReason::NoRuntime);
    change.finding.instances[0].ns_euid = UNMAPPED;
    change.finding.instances[0].explanation.declared = None;
    change.finding.completes = vec![change.finding.id];
    change.finding.superseded_by = Some(change.finding.id);
    let finding = finding(&Exporter::new().change(&change));
    assert_eq!(finding.state(), v1::FindingState::Resolved);
    assert_eq!(finding.resolution(), v1::Resolution::Superseded);
    assert_eq!((finding.workload.clone(), finding.pod.as_str(), finding.container.as_str()), (None, "", ""));
    assert_eq!((finding.container_id.as_str(), finding.pending()), ("abc", v1::Pending::NoRuntime));
    assert_eq!(finding.instances[0].ns_euid, None);
    assert_eq!(finding.instances[0].declared, None);
    let id = change.finding.id.to_string();
    assert_eq!((finding.completes, finding.superseded_by), (vec![id.clone()], Some(id)));

    change.finding.instances.clear();
    change.finding.subject = Subject::Workload {
        namespace: "n".into(),
        kind: "Pod".into(),
        name: "p".into(),
        container: "c".into(),
    };
    assert_eq!(self::finding(&Exporter::new().change(&change)).container_id, "");
}

#[test]
fn every_resolution_has_its_own_word() {
    let mut words: Vec<_> = [
        Resolution::Quiet,
        Resolution::Gone,
        Resolution::NotThereAfterRestart,
        Resolution::Superseded,
        Resolution::Evicted,
    ]
    .into_iter()
    .map(|why| {
        let change = Change { kind: ChangeKind::Resolved(why), ..plain_change() };
        finding(&Exporter::new().change(&change)).resolution
    })
    .collect();
    words.dedup();
    assert_eq!(words.len(), 5);
    assert!(!words.contains(&0));
}

#[test]
fn notices_go_with_the_findings() {
    let mut exporter = Exporter::new();
    let later = Clock { boottime_ns: 9, wall_ns: 99 };
    let earlier = Clock { boottime_ns: 4, wall_ns: 94 };
    let mut notice = |body: Body| {
        let item = exporter.notice(AT, &body).unwrap();
        assert_eq!((item.lane, item.refers.len()), (Lane::Findings, 0));
        event(&item)
    };
    let interval = v1::Interval { from_boottime_ns: 4, to_boottime_ns: 9, from_unix_ns: 94, to_unix_ns: 99 };
    let loss =
        v1::Loss { at: "critical".into(), lost: 7, reason: "ring full".into(), interval: Some(interval) };
    assert_eq!(notice(Body::loss("critical", 7, "ring full", earlier, later)), Event::Loss(loss));
    let blind = v1::Blind { reason: "killed".into(), interval: Some(interval) };
    assert_eq!(notice(Body::blind("killed", earlier, later)), Event::Blind(blind));
    for (at, kind) in [
        (CONTROLS[0].slug, v1::CoverageKind::Control),
        (agent_abi::hook::Hook::Exec.name(), v1::CoverageKind::Hook),
    ] {
        let body = Body::Coverage { at: at.into(), state: "DEGRADED".into(), reason: Some("why".into()) };
        let coverage = v1::Coverage {
            at: at.into(),
            kind: kind.into(),
            support: v1::Support::Degraded.into(),
            reason: "why".into(),
        };
        assert_eq!(notice(body), Event::Coverage(coverage));
    }
    let ready = v1::AgentReady { containers: 1, processes: 2 };
    assert_eq!(notice(Body::Ready { containers: 1, processes: 2 }), Event::Ready(ready));
    let stop = v1::AgentStop { reason: "terminated".into() };
    assert_eq!(notice(Body::Stop { reason: "terminated".into() }), Event::Stop(stop));
}

fn snapshot(containers: u64, findings: u32) -> InventorySnapshot {
    let containers = (0..containers).map(|number| ContainerSnapshot {
        container: ContainerEntry {
            id: ContainerId::parse(format!("{number:064x}").as_bytes()).unwrap(),
            ..container(names("web"))
        },
        controls: not_judged(&Policy::default()),
        observed: None,
        declared: Some(Level::Restricted),
    });
    let report = |number: u32| {
        let mut report = plain_change().finding;
        report.subject = Subject::Container(number.to_string());
        report.id = FindingId::of("node", &report.subject, report.control);
        report
    };
    InventorySnapshot {
        at: AT,
        containers: containers.collect(),
        node: Vec::new(),
        findings: (0..findings).map(report).collect(),
    }
}

const AFTER: v1::Watermark = v1::Watermark { epoch: 7, lane: v1::Lane::Findings as i32, sequence: 12 };

#[test]
fn an_empty_node_has_an_inventory_too() {
    let parts = Exporter::new().inventory(&snapshot(0, 0), AFTER);
    let [part] = &parts[..] else { panic!("one part") };
    assert_eq!((part.number, part.part, part.parts), (1, 0, 1));
    assert_eq!((part.after, part.boottime_ns), (Some(AFTER), AT.boottime_ns));
}

#[test]
fn a_large_inventory_comes_in_parts_that_fit() {
    let mut exporter = Exporter::new();
    let snapshot = snapshot(6000, 2500);
    let _ = exporter.inventory(&snapshot, AFTER);
    let parts = exporter.inventory(&snapshot, AFTER);
    assert!(parts.len() > 2);
    for (number, part) in (0..).zip(&parts) {
        assert!(part.encoded_len() <= INVENTORY_PART_BYTES, "{}", part.encoded_len());
        assert_eq!((part.number, part.part, part.parts as usize), (2, number, parts.len()));
        assert_eq!(part.after, Some(AFTER));
    }
    let containers: Vec<_> = parts.iter().flat_map(|part| &part.containers).collect();
    assert_eq!(containers.len(), 6000);
    assert_eq!(containers[1].container.as_ref().unwrap().id, format!("{:064x}", 1));
    assert_eq!(containers[1].controls.len(), Policy::default().judged());
    assert!(containers[1].controls.iter().all(|control| {
        control.verdict() == v1::Verdict::Unknown
            && !control.unknown_reason.is_empty()
            && control.observed.is_none()
    }));
    let findings: Vec<_> = parts.iter().flat_map(|part| &part.findings).collect();
    assert_eq!(findings.len(), 2500);
    assert!(findings.iter().all(|finding| finding.state() == v1::FindingState::Open));
    assert!(findings.iter().all(|finding| {
        finding.alert == matches!(finding.verdict(), v1::Verdict::Fail | v1::Verdict::Drift)
    }));
}

#[test]
fn what_is_held_back_and_detected_refers_to_its_container() {
    let mut exporter = Exporter::new();
    let id = format!("{:064x}", 5);
    let container = ContainerEntry {
        key: ContainerKey { hierarchy: 0, cgroup: 5 },
        id: ContainerId::parse(id.as_bytes()).unwrap(),
        names: Enrichment::Pending(PendingReason::Asked),
    };
    let throttled = Throttled {
        container: Some(container.clone()),
        cgroup: 5,
        events: 18_204,
        from: AT,
        to: AT,
        begins: true,
    };
    let item = exporter.throttled(&throttled);
    assert_eq!((item.lane, item.refers.len()), (Lane::Findings, 1));
    let Event::Throttled(told) = event(&item) else { panic!("{item:?}") };
    assert_eq!((told.container_id.as_deref(), told.cgroup, told.events), (Some(id.as_str()), 5, 18_204));

    let detected = Detected {
        at: AT,
        rule: THROTTLED,
        severity: Severity::Medium,
        tags: &["a"],
        output: "x".into(),
        container: Some(container),
    };
    let item = exporter.detected(&detected);
    assert_eq!((item.lane, item.refers.len()), (Lane::Detections, 1));
    let Event::Detection(told) = event(&item) else { panic!("{item:?}") };
    assert_eq!((told.rule.as_str(), told.severity()), (THROTTLED, v1::Severity::Medium));
    assert_eq!(told.container_id, Some(id));
    // The host's refer to nothing.
    let throttled = Throttled { container: None, ..throttled };
    assert_eq!(exporter.throttled(&throttled).refers.len(), 0);
}
