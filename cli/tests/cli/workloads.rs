//! Containers, nodes and findings for `posture`.

use controls::CONTROLS;
use kestrel_proto::v1::{self, PodSecurity, Verdict};

use crate::data;

/// Every control of the catalogue that speaks of containers says PASS, but for these.
pub(crate) fn controls(others: &[(&str, Verdict)]) -> Vec<v1::ControlPosture> {
    let of_containers = CONTROLS.iter().filter(|control| control.scope != controls::Scope::Node);
    of_containers
        .map(|control| {
            let other = others.iter().find(|(slug, _)| *slug == control.slug);
            let verdict = other.map_or(Verdict::Pass, |(_, verdict)| *verdict);
            let exemption = v1::Exemption {
                owner: "platform".to_owned(),
                reason: "it tunes the kernel".to_owned(),
                expires: Some("2027-12-31".to_owned()),
            };
            v1::ControlPosture {
                control: control.slug.to_owned(),
                verdict: verdict.into(),
                unknown_reason: match verdict {
                    Verdict::Unknown => "the container was not looked into yet".to_owned(),
                    _ => String::new(),
                },
                exemption: (verdict == Verdict::Exempt).then_some(exemption),
                observed: (verdict != Verdict::Unknown).then(|| format!("what {} is", control.slug)),
                declared: (verdict == Verdict::Drift).then(|| "runAsUser 101".to_owned()),
                // Of a FAIL.
                severity: v1::Severity::Medium.into(),
            }
        })
        .collect()
}

/// A container of a pod, the owner before the pod's first dash.
pub(crate) fn container(
    id: char,
    place: [&str; 3],
    levels: [PodSecurity; 2],
    controls: Vec<v1::ControlPosture>,
) -> v1::ContainerPosture {
    let [namespace, pod, container] = place;
    let names = v1::ContainerNames {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        image: "registry.example/shop:1".to_owned(),
        workload: pod.split_once('-').map(|(owner, _)| v1::Workload {
            kind: "Deployment".to_owned(),
            name: owner.to_owned(),
            namespace: namespace.to_owned(),
        }),
        sandbox: container.is_empty(),
        ..Default::default()
    };
    v1::ContainerPosture {
        container: Some(v1::Container {
            id: id.to_string().repeat(64),
            names: Some(names),
            ..Default::default()
        }),
        controls,
        observed_level: levels[0].into(),
        declared_level: levels[1].into(),
    }
}

pub(crate) fn on(node: &str, stale: bool, container: v1::ContainerPosture) -> v1::InventoryResponse {
    v1::InventoryResponse {
        cluster: "lab".to_owned(),
        node: node.to_owned(),
        container: Some(container),
        stale,
    }
}

pub(crate) fn inventory() -> Vec<v1::InventoryResponse> {
    use PodSecurity::{Baseline, Privileged, Restricted, Unspecified};
    let cart = ["shop", "cart-7c9d6b5f4d-mk8vq", "app"];
    let bad = [
        ("run-as-non-root", Verdict::Drift),
        ("seccomp", Verdict::Fail),
        ("memory-limit", Verdict::Unknown),
        ("host-path", Verdict::Exempt),
    ];
    let unnamed = v1::ContainerPosture {
        container: Some(v1::Container { id: "d".repeat(64), ..Default::default() }),
        controls: controls(&[]),
        ..Default::default()
    };
    let mut newer = controls(&[("privileged", Verdict::Fail)]);
    newer.push(v1::ControlPosture {
        control: data::HOSTILE.to_owned(),
        verdict: Verdict::Fail.into(),
        observed: Some(data::HOSTILE.to_owned()),
        severity: v1::Severity::Low.into(),
        ..Default::default()
    });
    vec![
        on("worker-1", false, container('c', cart, [Baseline, Restricted], controls(&bad))),
        on(
            "worker-2",
            true,
            container(
                'e',
                ["shop", "cart-7c9d6b5f4d-x2x4z", "app"],
                [Restricted; 2],
                controls(&[("seccomp", Verdict::Fail)]),
            ),
        ),
        on(
            "worker-1",
            false,
            container('f', ["shop", "cart-7c9d6b5f4d-mk8vq", ""], [Unspecified; 2], controls(&[])),
        ),
        on(
            "worker-1",
            false,
            container('a', ["kube-system", "proxy", "proxy"], [Privileged; 2], controls(&[])),
        ),
        on(
            "worker-1",
            false,
            container('b', [data::HOSTILE, data::HOSTILE, data::HOSTILE], [Unspecified; 2], newer),
        ),
        on("worker-1", false, unnamed),
    ]
}

pub(crate) fn nodes() -> Vec<v1::Node> {
    let said = |slug: &str, verdict: Verdict, severity: v1::Severity| v1::ControlPosture {
        control: slug.to_owned(),
        verdict: verdict.into(),
        observed: Some("--anonymous-auth=true".to_owned()),
        severity: severity.into(),
        ..Default::default()
    };
    let mut nodes = data::nodes();
    let first = nodes.iter_mut().find(|node| node.name == "worker-1").unwrap();
    first.controls = vec![
        said("future-apiserver", Verdict::Fail, v1::Severity::High),
        said("future-modules", Verdict::Pass, v1::Severity::Medium),
    ];
    nodes
}

pub(crate) fn findings() -> Vec<v1::FindingsResponse> {
    let on = |node: &str, finding| v1::FindingsResponse {
        cluster: "lab".to_owned(),
        node: node.to_owned(),
        finding: Some(finding),
        stale: false,
    };
    let instance = |container: char, tgid: u32, exe: &[u8]| v1::FindingInstance {
        verdict: Verdict::Drift.into(),
        container_id: container.to_string().repeat(64),
        process: Some(v1::ProcessId { start_ticks: 5, tgid, exec_id: None }),
        tid: tgid,
        ns_tgid: tgid - 99,
        exe: exe.to_vec().into(),
        uid: 0,
        euid: 100_000,
        ns_euid: Some(0),
        observed: "uid 0".to_owned(),
        declared: Some("runAsUser 101".to_owned()),
        since_unix_ns: data::AT,
        ..Default::default()
    };
    let tasks = v1::Finding {
        instances: vec![
            instance('c', 100, b"/usr/bin/server"),
            instance('c', 101, data::HOSTILE.as_bytes()),
            instance('e', 102, b"/another/replica"),
        ],
        reopened: 1,
        first_seen_unix_ns: data::AT,
        ..data::finding("run-as-non-root", "cart-7c9d6b5f4d-mk8vq", Verdict::Drift, v1::Severity::High)
    };
    let of_node = v1::Finding {
        workload: None,
        pod: String::new(),
        container: String::new(),
        container_id: String::new(),
        instances: vec![v1::FindingInstance {
            verdict: Verdict::Fail.into(),
            observed: "--anonymous-auth=true".to_owned(),
            ..Default::default()
        }],
        more_instances: 0,
        first_seen_unix_ns: data::AT,
        ..data::finding("future-apiserver", "x-", Verdict::Fail, v1::Severity::High)
    };
    vec![on("worker-1", tasks), on("worker-1", of_node)]
}
