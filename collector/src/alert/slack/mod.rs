//! Messages for Slack's incoming webhook.

pub mod block;
mod detection;
mod group;
mod single;

use kestrel_proto::v1::{FindingState, NodeCondition, Priority, Resolution, Severity, Verdict};

use self::block::Message;
use super::{
    batch::{Batch, Form},
    notice::{Kind, Notice},
    text::word,
};
use crate::state::Detected;

/// The message for a batch, as JSON.
#[must_use]
pub fn body(batch: &Batch<'_>, form: Form) -> Vec<u8> {
    let message = match (form, batch.notices) {
        (Form::Plain, _) => Message::new(format!("{}. {HOW}", summary(batch)), Vec::new()),
        (Form::Full, [notice]) if batch.overflow == 0 => single::message(batch, notice),
        (Form::Full, _) => group::message(batch),
    };
    // Strings and flags: nothing in it can fail.
    serde_json::to_vec(&message).unwrap_or_default()
}

const HOW: &str = "Slack did not take the full message. To see what it was: kestrel findings, kestrel nodes, kestrel tail --kind detection";

/// What the collector says below a message that may be the second.
const REPEAT: &str = "Repeat: whether an earlier try arrived is not known, so you may have read this before.";

/// One line that a notification shows.
fn summary(batch: &Batch<'_>) -> String {
    let repeat = if batch.is_repeat() { " (repeat)" } else { "" };
    let text = match batch.notices {
        [notice] if batch.overflow == 0 => {
            let times = if notice.count > 1 { format!(" ({} times)", notice.count) } else { String::new() };
            let (place, node) = (word(place(notice), 200), word(&notice.node, 253));
            format!("{}{times}: {place} on {node}", headline(notice))
        }
        _ => counts(batch),
    };
    format!("Kestrel{repeat}: {text}")
}

/// How many of each kind, in words.
fn counts(batch: &Batch<'_>) -> String {
    let of = |kind: Kind, is_node: bool| {
        batch.notices.iter().filter(|one| one.kind() == kind && one.finding.is_none() == is_node).count()
    };
    let mut parts = Vec::new();
    for (kind, finding, node) in [
        (Kind::Opened, "opened", "not seen"),
        (Kind::Worse, "got worse", "in another bad condition"),
        (Kind::Resolved, "resolved", "well again"),
        (Kind::Passed, "opened and resolved", "not seen for a while"),
    ] {
        for (count, noun, what) in [(of(kind, false), "finding", finding), (of(kind, true), "node", node)] {
            if count > 0 {
                parts.push(format!("{count} {noun}{} {what}", if count == 1 { "" } else { "s" }));
            }
        }
    }
    let detections: u64 = batch.notices.iter().map(|notice| notice.count).sum();
    if detections > 0 {
        parts.push(format!("{detections} detection{}", if detections == 1 { "" } else { "s" }));
    }
    if batch.overflow > 0 {
        parts.push(format!("{} more changes that did not fit", batch.overflow));
    }
    parts.join(", ")
}

/// What it is about, for a headline: made of our own words and the control's title.
fn headline(notice: &Notice) -> String {
    match (&notice.finding, &notice.detected) {
        (Some(finding), _) => {
            let control = finding.control.as_ref();
            let title = control.map_or("a control", |control| {
                if control.title.is_empty() { &control.slug } else { &control.title }
            });
            format!("{} · {}", state(notice), word(title, 100))
        }
        (None, Some(detected)) => format!("{} · {}", state(notice), word(&detected.detection.rule, 100)),
        (None, None) => state(notice).to_owned(),
    }
}

/// In a word or three.
fn state(notice: &Notice) -> &'static str {
    let condition = notice.status.as_ref().map(|status| status.condition());
    match (notice.kind(), condition) {
        (Kind::Detected, _) => priority(notice),
        (Kind::Opened, None) => verdict(notice),
        (Kind::Worse, None) if verdict(notice) == "DRIFT" => "WORSE, now DRIFT",
        (Kind::Worse, None) => "WORSE",
        (Kind::Resolved, None) => "Resolved",
        (Kind::Passed, None) => "Opened and resolved",
        (Kind::Resolved, Some(_)) => "Node is well again",
        (Kind::Passed, Some(_)) => "Node was not seen for a while",
        (_, Some(NodeCondition::Silent)) => "Node is silent",
        (_, Some(NodeCondition::Blind)) => "Node is blind",
        (_, Some(_)) => "Node is not well",
    }
}

fn verdict(notice: &Notice) -> &'static str {
    match notice.finding.as_ref().map(|finding| finding.verdict()) {
        Some(Verdict::Drift) => "DRIFT",
        Some(Verdict::Fail) => "FAIL",
        Some(Verdict::Exempt) => "EXEMPT",
        Some(Verdict::Pass) => "PASS",
        _ => "UNKNOWN",
    }
}

fn priority(notice: &Notice) -> &'static str {
    match notice.detected.as_ref().map(Detected::urgency) {
        Some(Priority::Emergency) => "EMERGENCY",
        Some(Priority::Alert) => "ALERT",
        Some(Priority::Critical) => "CRITICAL",
        Some(Priority::Error) => "ERROR",
        Some(Priority::Warning) => "WARNING",
        Some(Priority::Notice) => "NOTICE",
        Some(Priority::Informational) => "INFO",
        Some(Priority::Debug) => "DEBUG",
        Some(Priority::Unspecified) | None => "DETECTED",
    }
}

fn emoji(notice: &Notice) -> &'static str {
    match (notice.kind(), notice.severity()) {
        (Kind::Resolved | Kind::Passed, _) => "✅",
        (_, Severity::Critical) => "🚨",
        (_, Severity::High) => "🔴",
        (_, Severity::Medium) => "🟠",
        (_, Severity::Low) => "🟡",
        (_, Severity::Info | Severity::Unspecified) => "🔵",
    }
}

fn severity(notice: &Notice) -> &'static str {
    match notice.severity() {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Info | Severity::Unspecified => "info",
    }
}

/// The workload and its container, in foreign words; not inert yet.
fn place(notice: &Notice) -> String {
    let (workload, pod, container, id) = match (&notice.finding, &notice.detected) {
        (Some(finding), _) => {
            (finding.workload.as_ref(), finding.pod.clone(), &*finding.container, &finding.container_id)
        }
        (None, Some(Detected { container: Some(container), .. })) => match &container.names {
            Some(names) => {
                let pod = format!("{}/{}", names.namespace, names.pod);
                (names.workload.as_ref(), pod, &*names.container, &container.id)
            }
            None => (None, String::new(), "", &container.id),
        },
        (None, _) => return "the node".to_owned(),
    };
    let owner = match workload {
        Some(workload) => format!("{}/{} {}", workload.namespace, workload.name, workload.kind),
        None if !pod.is_empty() => pod,
        None => format!("container {}", id.get(..12).unwrap_or(id)),
    };
    if container.is_empty() { owner } else { format!("{owner}, container {container}") }
}

/// Why a finding is over.
fn why_over(notice: &Notice) -> Option<&'static str> {
    let finding = notice.finding.as_ref().filter(|finding| finding.state() == FindingState::Resolved)?;
    Some(match (finding.verdict(), finding.resolution()) {
        (Verdict::Exempt, Resolution::Unspecified) => "it is exempt now",
        (Verdict::Pass, Resolution::Unspecified) => "the control passes now",
        (_, Resolution::Quiet) => "not seen any more",
        (_, Resolution::Gone) => "the container is gone",
        (_, Resolution::NotThereAfterRestart) => "not there any more after a restart of the agent",
        (_, Resolution::Superseded) => "told under another id",
        (_, Resolution::Evicted) => "the agent had no room to follow it any longer; it may still be true",
        (_, Resolution::NotInInventory) => "the node's inventory does not list it any more",
        (_, Resolution::Unspecified) => "no reason was given",
    })
}

#[cfg(test)]
mod tests;
