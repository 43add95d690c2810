//! Findings, containers, nodes and events for the tests.

use std::time::{SystemTime, UNIX_EPOCH};

use kestrel_proto::v1::{self, record::Event};

use crate::raw;

/// 2027-01-15T08:00:00Z.
pub(crate) const AT: i64 = 1_800_000_000_000_000_000;
pub(crate) const HOUR: i64 = 3_600_000_000_000;
/// Clears the screen, sets the title, turns the text around, and begins a line of its own.
pub(crate) const HOSTILE: &str = "\x1b[2J\x1b]0;x\x07\u{202e}cba\r\n12:00:00  PASS";

pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

pub(crate) fn finding(control: &str, pod: &str, verdict: v1::Verdict, severity: v1::Severity) -> v1::Finding {
    v1::Finding {
        id: "b50fa1dc6cdfd3641e1c751809982b6e".to_owned(),
        state: v1::FindingState::Open.into(),
        alert: true,
        verdict: verdict.into(),
        severity: severity.into(),
        control: Some(v1::Control {
            slug: control.to_owned(),
            title: "Title".to_owned(),
            ..Default::default()
        }),
        workload: Some(v1::Workload {
            kind: "Deployment".to_owned(),
            name: pod.split('-').next().unwrap().to_owned(),
            namespace: "shop".to_owned(),
        }),
        pod: pod.to_owned(),
        container: "app".to_owned(),
        container_id: "c".repeat(64),
        image: "registry.example/shop:1".to_owned(),
        // Half an hour more, so that the test may be slow.
        first_seen_unix_ns: now() - 3 * HOUR - HOUR / 2,
        last_seen_unix_ns: AT,
        count: 2,
        instances: vec![v1::FindingInstance {
            verdict: verdict.into(),
            process: Some(v1::ProcessId { start_ticks: 5, tgid: 100, exec_id: Some(2) }),
            exe: b"/usr/bin/server".to_vec().into(),
            observed: "uid 0".to_owned(),
            declared: Some("runAsUser 101".to_owned()),
            ..Default::default()
        }],
        more_instances: 2,
        fix: "Set securityContext.runAsNonRoot: true.".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn findings() -> Vec<v1::FindingsResponse> {
    let on = |node: &str, stale, finding| v1::FindingsResponse {
        cluster: "lab".to_owned(),
        node: node.to_owned(),
        finding: Some(finding),
        stale,
    };
    let exempt = v1::Finding {
        exemption: Some(v1::Exemption {
            owner: "platform".to_owned(),
            reason: "it tunes the kernel".to_owned(),
            expires: Some("2027-12-31".to_owned()),
        }),
        ..finding("privileged", "tuner-7h2vd", v1::Verdict::Exempt, v1::Severity::Critical)
    };
    let hostile = v1::Finding {
        pod: HOSTILE.to_owned(),
        image: HOSTILE.to_owned(),
        instances: vec![v1::FindingInstance {
            exe: HOSTILE.as_bytes().to_vec().into(),
            observed: HOSTILE.to_owned(),
            ..Default::default()
        }],
        ..finding("seccomp", "evil-1", v1::Verdict::Fail, v1::Severity::Medium)
    };
    vec![
        on(
            "worker-2",
            true,
            finding("seccomp", "search-66b8f7d5c-9tz4w", v1::Verdict::Fail, v1::Severity::Medium),
        ),
        on("worker-1", false, hostile),
        on(
            "worker-1",
            false,
            finding("run-as-non-root", "cart-7c9d6b5f4d-mk8vq", v1::Verdict::Drift, v1::Severity::High),
        ),
        on("worker-1", false, exempt),
    ]
}

pub(crate) fn container() -> v1::Container {
    v1::Container {
        id: "c".repeat(64),
        names: Some(v1::ContainerNames {
            namespace: "shop".to_owned(),
            pod: "cart-7c9d6b5f4d-mk8vq".to_owned(),
            container: "app".to_owned(),
            image: "registry.example/shop:1".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn process() -> v1::Process {
    v1::Process {
        id: Some(v1::ProcessId { start_ticks: 5, tgid: 100, exec_id: Some(2) }),
        exe: b"/usr/bin/curl".to_vec().into(),
        argv: [&b"curl"[..], b"-o", HOSTILE.as_bytes(), b"http://x"].map(|arg| arg.to_vec().into()).to_vec(),
        comm: b"curl".to_vec().into(),
        container_id: Some("c".repeat(64)),
        state: Some(v1::TaskState { uid: 1000, euid: 1000, ..Default::default() }),
        ..Default::default()
    }
}

/// An event at a place, an hour into the day for each.
pub(crate) fn envelope(frame: u64, event: Event) -> v1::Envelope {
    v1::Envelope {
        schema: 1,
        cluster: "lab".to_owned(),
        node: "worker-1".to_owned(),
        boot_id: "6d18f6c9-0000-4000-8000-000000000000".to_owned(),
        epoch: 0x1234_5678_9abc_def0,
        lane: v1::Lane::Detections.into(),
        sequence: frame,
        received_unix_ns: AT,
        record: Some(v1::Record {
            boottime_ns: 1,
            wall_unix_ns: AT + frame.cast_signed() * 1_000_000_000,
            event: Some(event),
        }),
        process: Some(process()),
        container: Some(container()),
        cursor: Some(v1::Cursor { frame, index: 1 }),
    }
}

/// One of each kind.
pub(crate) fn events() -> Vec<v1::Envelope> {
    let id = || Some(v1::ProcessId { start_ticks: 5, tgid: 100, exec_id: Some(2) });
    let interval = Some(v1::Interval { from_unix_ns: AT, to_unix_ns: AT + HOUR, ..Default::default() });
    let resolved = v1::Finding {
        state: v1::FindingState::Resolved.into(),
        resolution: v1::Resolution::Gone.into(),
        ..finding("seccomp", "search-66b8f7d5c-9tz4w", v1::Verdict::Fail, v1::Severity::Medium)
    };
    [
        Event::Finding(finding(
            "run-as-non-root",
            "cart-7c9d6b5f4d-mk8vq",
            v1::Verdict::Drift,
            v1::Severity::High,
        )),
        Event::Finding(resolved),
        Event::Exec(v1::Exec { process: id(), filename: b"/usr/bin/curl".to_vec().into() }),
        Event::Exit(v1::Exit { process: id(), status: 3 << 8 }),
        Event::Credentials(v1::CredentialChange {
            process: id(),
            tid: 100,
            syscall: 105,
            state: Some(v1::TaskState { uid: 1000, ..Default::default() }),
            ..Default::default()
        }),
        Event::Detection(v1::Detection {
            rule: "Shell in a container".to_owned(),
            severity: v1::Severity::High.into(),
            output: HOSTILE.to_owned(),
            ..Default::default()
        }),
        Event::Detection(v1::Detection {
            rule: HOSTILE.to_owned(),
            priority: v1::Priority::Critical.into(),
            tags: vec!["T1552.001".to_owned(), HOSTILE.to_owned()],
            output: "a secret was read".to_owned(),
            process: id(),
            event_type: "openat".to_owned(),
            fields: vec![
                v1::DetectionField { name: "fd.name".to_owned(), value: Some(HOSTILE.to_owned()) },
                v1::DetectionField { name: "proc.tty".to_owned(), value: None },
            ],
            ancestors: vec![v1::Ancestor {
                pid: 12,
                comm: HOSTILE.as_bytes().to_vec().into(),
                exe: b"/bin/sh".to_vec().into(),
            }],
            object: Some(v1::detection::Object::Path(HOSTILE.as_bytes().to_vec().into())),
            held_back: 7,
            pending_names: true,
            ..Default::default()
        }),
        Event::Detection(v1::Detection {
            rule: "Connection to a peer".to_owned(),
            priority: v1::Priority::Notice.into(),
            output: "it connected".to_owned(),
            object: Some(v1::detection::Object::Peer(v1::Address {
                ip: "203.0.113.9".to_owned(),
                port: 4444,
                ..Default::default()
            })),
            ..Default::default()
        }),
        Event::ContainerStarted(v1::ContainerStarted { container_id: "c".repeat(64), found: true }),
        Event::ContainerGone(v1::ContainerGone { container_id: "c".repeat(64) }),
        Event::Gap(v1::Gap {
            lane: v1::Lane::Detections.into(),
            from_sequence: 5,
            to_sequence: 9,
            reason: v1::GapReason::OutboxFull.into(),
            ..Default::default()
        }),
        Event::Loss(v1::Loss {
            at: "ring critical".to_owned(),
            lost: 1,
            reason: "full".to_owned(),
            interval,
        }),
        Event::Blind(v1::Blind { reason: "no agent ran".to_owned(), interval }),
        Event::Coverage(v1::Coverage {
            at: "seccomp".to_owned(),
            kind: v1::CoverageKind::Control.into(),
            support: v1::Support::Degraded.into(),
            reason: "the kernel has no bitmap".to_owned(),
        }),
        raw::opened(),
        raw::renamed(),
        raw::traced(),
        raw::loaded(),
        raw::connected(),
        raw::state(),
        raw::hello(),
        raw::resolved(),
        raw::done(),
        Event::OomKill(v1::OomKill { victim: raw::actor() }),
        Event::AgentSignal(v1::AgentSignal { actor: raw::actor(), signal: 9, code: 0 }),
        Event::Sysctl(v1::SysctlWrite {
            actor: raw::actor(),
            name: b"kernel/core_pattern".to_vec().into(),
            value: HOSTILE.as_bytes().to_vec().into(),
        }),
        Event::Ready(v1::AgentReady { containers: 12, processes: 340 }),
        Event::Stop(v1::AgentStop { reason: "terminated".to_owned() }),
        Event::Node(v1::NodeStatus {
            condition: v1::NodeCondition::Silent.into(),
            since_unix_ns: AT,
            detail: "not heard of for 45 s".to_owned(),
        }),
    ]
    .into_iter()
    .zip(1..)
    .map(|(event, frame)| envelope(frame, event))
    .collect()
}

pub(crate) fn nodes() -> Vec<v1::Node> {
    let healthy = v1::Node {
        cluster: "lab".to_owned(),
        name: "worker-1".to_owned(),
        boot_id: "6d18f6c9-0000-4000-8000-000000000000".to_owned(),
        agent_version: "0.1.0".to_owned(),
        kernel: "6.1.0".to_owned(),
        status: Some(v1::NodeStatus { condition: v1::NodeCondition::Healthy.into(), ..Default::default() }),
        connected: true,
        last_heard_unix_ns: now() - 2 * HOUR - HOUR / 2,
        heartbeat: Some(v1::Heartbeat {
            healthy: true,
            ready: true,
            runtime: Some(v1::Runtime { name: "containerd".to_owned(), version: "2.0.1".to_owned() }),
            rules: Some(v1::Rules {
                hash: "3f2a9c1d".repeat(8),
                active: 118,
                defined: 123,
                loaded_unix_ns: AT,
                ..Default::default()
            }),
            ..Default::default()
        }),
        inventory_unix_ns: Some(AT),
        containers: 12,
        open_findings: 3,
        ..Default::default()
    };
    let bad = v1::Node {
        name: "worker-2".to_owned(),
        status: Some(v1::NodeStatus {
            condition: v1::NodeCondition::Silent.into(),
            since_unix_ns: now() - 2 * HOUR - HOUR / 2,
            detail: HOSTILE.to_owned(),
        }),
        connected: false,
        gap_events: 4,
        unexplained_events: 1,
        heartbeat: Some(v1::Heartbeat {
            ready: true,
            memory_only: Some("the disk is full".to_owned()),
            rules: Some(v1::Rules {
                hash: "0b".repeat(32),
                active: 2,
                defined: 2,
                loaded_unix_ns: AT,
                error: Some(format!("/etc/kestrel/rules.d/local.yaml:3:34: {HOSTILE}")),
                failed: 3,
                warnings: vec![format!("local.yaml: rule `x` is never answered {HOSTILE}")],
            }),
            canary: Some(v1::Canary { failing: true, ..Default::default() }),
            lanes: vec![v1::LaneState {
                lane: v1::Lane::Findings.into(),
                events: 7,
                bytes: 9 << 20,
                capacity_bytes: 10 << 20,
                oldest_boottime_ns: Some(0),
                evicted: 2,
                ..Default::default()
            }],
            coverage: vec![v1::Coverage {
                at: "seccomp".to_owned(),
                kind: v1::CoverageKind::Control.into(),
                support: v1::Support::Unsupported.into(),
                reason: "no field".to_owned(),
            }],
            clock_drift_ns: Some(-5_000_000_000),
            boottime_ns: 120_000_000_000,
            ..Default::default()
        }),
        ..healthy.clone()
    };
    vec![bad, healthy]
}

/// The nodes with what their hooks counted.
pub(crate) fn counted_nodes() -> Vec<v1::Node> {
    let mut nodes = nodes();
    for heartbeat in nodes.iter_mut().filter_map(|node| node.heartbeat.as_mut()) {
        heartbeat.hooks = hooks();
    }
    nodes
}

fn hooks() -> Vec<v1::HookCounters> {
    let exec = v1::HookCounters {
        hook: "sched_process_exec".to_owned(),
        seen: 120,
        submitted: 119,
        shrunk: 3,
        ..Default::default()
    };
    let file = v1::HookCounters {
        hook: "sys_exit/file".to_owned(),
        seen: 30_000,
        submitted: 10_000,
        filtered: 1500,
        throttled: 18_204,
        lost: 290,
        errors: 6,
        ..Default::default()
    };
    let never = v1::HookCounters { hook: "mark_victim".to_owned(), ..Default::default() };
    vec![exec, file, never]
}

pub(crate) fn inventory() -> Vec<v1::InventoryResponse> {
    let control = |slug: &str, verdict: v1::Verdict| v1::ControlPosture {
        control: slug.to_owned(),
        verdict: verdict.into(),
        ..Default::default()
    };
    let posture = v1::ContainerPosture {
        container: Some(container()),
        controls: vec![
            control("seccomp", v1::Verdict::Pass),
            control("run-as-non-root", v1::Verdict::Drift),
            control("privileged", v1::Verdict::Pass),
            control("capabilities", v1::Verdict::Exempt),
        ],
        ..Default::default()
    };
    let unnamed = v1::ContainerPosture {
        container: Some(v1::Container { id: "d".repeat(64), ..Default::default() }),
        controls: vec![control("seccomp", v1::Verdict::Pass)],
        ..Default::default()
    };
    [posture, unnamed]
        .map(|container| v1::InventoryResponse {
            cluster: "lab".to_owned(),
            node: "worker-1".to_owned(),
            container: Some(container),
            stale: false,
        })
        .to_vec()
}

pub(crate) fn healthy() -> v1::StatusResponse {
    v1::StatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall_unix_ns: now(),
        uptime_ms: 7_200_000,
        healthy: true,
        oldest: Some(v1::Cursor { frame: 1, index: 0 }),
        next: Some(v1::Cursor { frame: 41, index: 0 }),
        log_bytes: 3 << 20,
        nodes: 1,
        alerts: vec![v1::AlertChannel { name: "slack".to_owned(), delivered: 5, ..Default::default() }],
        ..Default::default()
    }
}
