//! All containers and open findings at one moment, in parts.

use kestrel_proto::v1;
use prost::Message;

use super::{INVENTORY_PART_BYTES, container, finding, wall};
use crate::{
    context::ContainerId,
    pipeline::{ContainerSnapshot, InventorySnapshot},
    posture::{ControlPosture, Level},
};

/// Room for what is not a container or finding.
const HEAD_BYTES: usize = 128;
/// Field number and length before each element.
const ELEMENT_BYTES: usize = 8;

pub(super) fn parts(snapshot: &InventorySnapshot, number: u64, after: v1::Watermark) -> Vec<v1::Inventory> {
    let InventorySnapshot { at, containers, node, findings } = snapshot;
    let empty = || v1::Inventory {
        number,
        part: 0,
        parts: 0,
        after: Some(after),
        boottime_ns: at.boottime_ns,
        wall_unix_ns: wall(*at),
        containers: Vec::new(),
        findings: Vec::new(),
        node_controls: Vec::new(),
    };
    let mut parts = vec![empty()];
    let mut bytes = HEAD_BYTES;
    let mut place = |parts: &mut Vec<v1::Inventory>, more: usize| {
        if bytes + more > INVENTORY_PART_BYTES && bytes > HEAD_BYTES {
            parts.push(empty());
            bytes = HEAD_BYTES;
        }
        bytes += more;
        parts.len() - 1
    };
    for container in containers {
        let posture = of_container(container);
        let at = place(&mut parts, posture.encoded_len() + ELEMENT_BYTES);
        parts[at].containers.push(posture);
    }
    for report in findings {
        let finding = finding::of_open(report);
        let at = place(&mut parts, finding.encoded_len() + ELEMENT_BYTES);
        parts[at].findings.push(finding);
    }
    // Some twenty, each bounded: beside the head of a part there is room for them.
    parts[0].node_controls = node.iter().map(of_control).collect();
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    for (index, part) in (0..).zip(&mut parts) {
        (part.part, part.parts) = (index, count);
    }
    parts
}

fn of_container(snapshot: &ContainerSnapshot) -> v1::ContainerPosture {
    let id: ContainerId = snapshot.container.id;
    let container = container::of(snapshot.container.key.cgroup, id, &snapshot.container.names);
    v1::ContainerPosture {
        container: Some(container),
        controls: snapshot.controls.iter().map(of_control).collect(),
        observed_level: level(snapshot.observed).into(),
        declared_level: level(snapshot.declared).into(),
    }
}

fn of_control(posture: &ControlPosture) -> v1::ControlPosture {
    let ControlPosture { control, verdict, severity, unknown, exemption, explanation } = posture;
    v1::ControlPosture {
        control: control.slug().to_owned(),
        verdict: finding::verdict(*verdict).into(),
        unknown_reason: unknown.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        exemption: exemption.as_deref().map(finding::exemption),
        observed: explanation.as_ref().map(|explanation| explanation.observed.clone()),
        declared: explanation.as_ref().and_then(|explanation| explanation.declared.clone()),
        severity: finding::severity(*severity).into(),
    }
}

const fn level(level: Option<Level>) -> v1::PodSecurity {
    match level {
        None => v1::PodSecurity::Unspecified,
        Some(Level::Privileged) => v1::PodSecurity::Privileged,
        Some(Level::Baseline) => v1::PodSecurity::Baseline,
        Some(Level::Restricted) => v1::PodSecurity::Restricted,
    }
}
