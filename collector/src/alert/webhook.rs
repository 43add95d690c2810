//! The plain JSON webhook. The shape is a contract: fields are added, never changed.
//!
//! ```json
//! {
//!   "version": 1,
//!   "source": "kestrel",
//!   "repeat": false,
//!   "not_listed": 0,
//!   "alerts": [{
//!     "kind": "finding.opened",
//!     "at": "2026-05-01T12:00:00.000Z",
//!     "severity": "high",
//!     "cluster": "prod", "node": "n1",
//!     "finding": {"id": "…", "control": "run-as-non-root", "verdict": "DRIFT", "…": "…"}
//!   }]
//! }
//! ```
//!
//! `kind` is `detection`, with what is known of it in `detection`, or `finding.` or `node.` and
//! `opened`, `worse`, `resolved` or `passed` (opened and over before it could be told). `repeat`: an
//! earlier try may have arrived. `not_listed`: changes that are only counted. A detection's `count` is
//! of how many it speaks; shown is the first. Texts are inert: control and bidi characters are escaped.

mod detection;

use kestrel_proto::v1;
use serde::Serialize;

use super::{
    batch::{Batch, Form},
    notice::{Kind, Notice},
    text::{rfc3339, shown},
};

/// Longest text.
const TEXT: usize = 1000;

#[derive(Serialize)]
struct Message {
    version: u32,
    source: &'static str,
    repeat: bool,
    not_listed: u64,
    alerts: Vec<Alert>,
}

#[derive(Serialize)]
struct Alert {
    kind: &'static str,
    at: String,
    severity: String,
    cluster: String,
    node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detection: Option<detection::Detection>,
}

#[derive(Serialize)]
struct Finding {
    id: String,
    control: String,
    title: String,
    verdict: String,
    resolution: Option<String>,
    namespace: Option<String>,
    workload_kind: Option<String>,
    workload: Option<String>,
    pod: String,
    container: String,
    container_id: String,
    image: String,
    first_seen: String,
    last_seen: String,
    count: u64,
    reopened: u32,
    times: u32,
    completes: Vec<String>,
    instances: Vec<Instance>,
    more_instances: u64,
    fix: String,
}

#[derive(Serialize)]
struct Instance {
    pid: u32,
    exe: String,
    comm: String,
    uid: u32,
    euid: u32,
    observed: String,
    declared: Option<String>,
    since: String,
}

#[derive(Serialize)]
struct Condition {
    condition: String,
    since: String,
    detail: String,
}

/// The message for a batch.
#[must_use]
pub fn body(batch: &Batch<'_>, form: Form) -> Vec<u8> {
    let alerts: Vec<_> = match form {
        Form::Full => batch.notices.iter().map(alert).collect(),
        // A receiver that refuses what we list may take the number.
        Form::Plain => Vec::new(),
    };
    let weight = |notices: &[Notice]| notices.iter().map(Notice::weight).sum::<u64>();
    let not_listed = batch.overflow + weight(batch.notices.get(alerts.len()..).unwrap_or_default());
    let message = Message { version: 1, source: "kestrel", repeat: batch.is_repeat(), not_listed, alerts };
    // Strings and numbers: nothing in it can fail.
    serde_json::to_vec(&message).unwrap_or_default()
}

fn alert(notice: &Notice) -> Alert {
    let kind = match (notice.kind(), notice.finding.is_some()) {
        (Kind::Detected, _) => "detection",
        (Kind::Opened, true) => "finding.opened",
        (Kind::Worse, true) => "finding.worse",
        (Kind::Resolved, true) => "finding.resolved",
        (Kind::Passed, true) => "finding.passed",
        (Kind::Opened, false) => "node.opened",
        (Kind::Worse, false) => "node.worse",
        (Kind::Resolved, false) => "node.resolved",
        (Kind::Passed, false) => "node.passed",
    };
    Alert {
        kind,
        at: rfc3339(notice.at_unix_ns),
        severity: name(notice.severity().as_str_name(), "SEVERITY_").to_lowercase(),
        cluster: shown(&notice.cluster, TEXT),
        node: shown(&notice.node, TEXT),
        finding: notice.finding.as_ref().map(|body| finding(body, notice.times)),
        condition: notice.status.as_ref().map(|status| Condition {
            condition: name(status.condition().as_str_name(), "NODE_CONDITION_").to_lowercase(),
            since: rfc3339(status.since_unix_ns),
            detail: shown(&status.detail, TEXT),
        }),
        detection: notice.detected.as_ref().map(|detected| detection::of(notice, detected)),
    }
}

fn finding(body: &v1::Finding, times: u32) -> Finding {
    let control = body.control.clone().unwrap_or_default();
    let workload = body.workload.as_ref();
    let resolution = match body.resolution() {
        v1::Resolution::Unspecified => None,
        other => Some(name(other.as_str_name(), "RESOLUTION_").to_lowercase()),
    };
    Finding {
        id: shown(&body.id, TEXT),
        control: shown(control.slug, TEXT),
        title: shown(control.title, TEXT),
        verdict: name(body.verdict().as_str_name(), "VERDICT_").to_owned(),
        resolution,
        namespace: workload.map(|workload| shown(&workload.namespace, TEXT)),
        workload_kind: workload.map(|workload| shown(&workload.kind, TEXT)),
        workload: workload.map(|workload| shown(&workload.name, TEXT)),
        pod: shown(&body.pod, TEXT),
        container: shown(&body.container, TEXT),
        container_id: shown(&body.container_id, TEXT),
        image: shown(&body.image, TEXT),
        first_seen: rfc3339(body.first_seen_unix_ns),
        last_seen: rfc3339(body.last_seen_unix_ns),
        count: body.count,
        reopened: body.reopened,
        times: times.max(1),
        completes: body.completes.iter().map(|id| shown(id, TEXT)).collect(),
        instances: body.instances.iter().map(instance).collect(),
        more_instances: body.more_instances,
        fix: shown(&body.fix, TEXT),
    }
}

fn instance(body: &v1::FindingInstance) -> Instance {
    Instance {
        pid: body.process.as_ref().map_or(0, |process| process.tgid),
        exe: shown(&body.exe, TEXT),
        comm: shown(&body.comm, TEXT),
        uid: body.uid,
        euid: body.euid,
        observed: shown(&body.observed, TEXT),
        declared: body.declared.as_ref().map(|declared| shown(declared, TEXT)),
        since: rfc3339(body.since_unix_ns),
    }
}

fn name<'a>(whole: &'a str, prefix: &str) -> &'a str {
    whole.strip_prefix(prefix).unwrap_or(whole)
}
