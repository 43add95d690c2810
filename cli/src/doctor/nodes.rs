//! Each node, as the collector knows it.

use inert::inert;
use kestrel_proto::v1;

use super::Report;
use crate::{
    text::{bytes, count, lane},
    time,
};

/// An outbox that is fuller than this (percent) is close to losing events.
const FULL: u64 = 80;
/// A backlog whose oldest event is older than this is not just on its way.
const OLD_NS: u64 = 60_000_000_000;
/// Clocks that differ by more make times hard to read.
const DRIFT_NS: u64 = 2_000_000_000;

pub(super) fn check(mut nodes: Vec<v1::Node>, wanted: &[String], now_unix_ns: i64, report: &mut Report) {
    nodes.sort_by(|one, other| (&one.cluster, &one.name).cmp(&(&other.cluster, &other.name)));
    for name in wanted.iter().filter(|name| !name.contains('*')) {
        if !nodes.iter().any(|node| node.name == **name) {
            let subject = format!("node {}", inert(name));
            report.fail(
                &subject,
                "the collector never heard of it",
                "does an agent run there, and does it reach the collector?",
            );
        }
    }
    if nodes.is_empty() && wanted.is_empty() {
        report.fail(
            "nodes",
            "no agent has ever reported",
            "check uplink.endpoint of the agents, and their logs",
        );
    }
    for node in &nodes {
        one(node, now_unix_ns, report);
    }
}

fn one(node: &v1::Node, now_unix_ns: i64, report: &mut Report) {
    let subject = format!("node {}", inert(&node.name));
    let subject = subject.as_str();
    let before = report.lines().len();
    condition(node, now_unix_ns, subject, report);
    if let Some(heartbeat) = &node.heartbeat {
        agent(heartbeat, subject, report);
        outbox(heartbeat, subject, report);
        rules(heartbeat, subject, report);
    } else if node.connected {
        report.warn(
            subject,
            "no heartbeat since the collector started",
            "wait a minute, then look into the agent's log",
        );
    }
    if node.gap_events > 0 {
        let what = format!("{} never arrived, as the node said", count(node.gap_events, "event"));
        report.warn(subject, what, "`kestrel tail --oldest --kind loss` says which and why");
    }
    if node.unexplained_events > 0 {
        let what = format!("{} missing, and nothing explains it", count(node.unexplained_events, "event"));
        report.fail(subject, what, "please report this: it should not be possible");
    }
    if node.inventory_unix_ns.is_none() && node.connected {
        report.warn(subject, "no inventory yet", "it comes within minutes of a connection");
    }
    if report.lines().len() == before {
        let containers = count(node.containers, "container");
        let what = format!("healthy, {containers}, {}", count(node.open_findings, "open finding"));
        report.ok(subject, what);
    }
}

fn condition(node: &v1::Node, now_unix_ns: i64, subject: &str, report: &mut Report) {
    let status = node.status.clone().unwrap_or_default();
    let since = time::ago(status.since_unix_ns, now_unix_ns);
    let detail =
        if status.detail.is_empty() { String::new() } else { format!(": {}", inert(&status.detail)) };
    match status.condition() {
        v1::NodeCondition::Silent => report.fail(
            subject,
            format!("silent for {since}{detail}"),
            "is the node up, does the agent run, does it reach the collector? `kestrel doctor --node-local` there says more",
        ),
        v1::NodeCondition::Blind => report.fail(
            subject,
            format!("its agent does not see, for {since}{detail}"),
            "`kestrel doctor --node-local` on the node says more; restart the agent",
        ),
        v1::NodeCondition::Stopped => report.warn(
            subject,
            format!("its agent stopped {since} ago{detail}"),
            "start it again, or remove the node",
        ),
        v1::NodeCondition::Healthy if !node.connected => {
            report.warn(subject, "not connected right now", "it connects again by itself; else look into the agent's log");
        }
        v1::NodeCondition::Healthy | v1::NodeCondition::Unspecified => {}
    }
}

fn agent(heartbeat: &v1::Heartbeat, subject: &str, report: &mut Report) {
    for problem in &heartbeat.problems {
        report.fail(subject, inert(problem), "`kestrel-agent status` on the node says more");
    }
    if !heartbeat.ready {
        report.warn(subject, "its agent is not ready yet", "the first scan takes some seconds");
    }
    if heartbeat.canary.as_ref().is_some_and(|canary| canary.failing) {
        report.fail(
            subject,
            "its agent does not see the program that it runs itself",
            "hooks were taken away or are overloaded: `kestrel-agent status` on the node says more",
        );
    }
    for coverage in &heartbeat.coverage {
        let reason = inert(&coverage.reason);
        let kind = match coverage.kind() {
            v1::CoverageKind::Hook => "hook",
            _ => "control",
        };
        match coverage.support() {
            v1::Support::Degraded => {
                let what = format!("{kind} {} is degraded: {reason}", inert(&coverage.at));
                report.warn(
                    subject,
                    what,
                    "a newer kernel, or more rights for the agent: the reason says which",
                );
            }
            v1::Support::Unsupported => {
                let what = format!("{kind} {} does not work here: {reason}", inert(&coverage.at));
                report.fail(
                    subject,
                    what,
                    "a newer kernel, or more rights for the agent: the reason says which",
                );
            }
            v1::Support::Supported | v1::Support::Unspecified => {}
        }
    }
    let lost: u64 = heartbeat.hooks.iter().map(|hook| hook.lost.saturating_add(hook.tail_failed)).sum();
    if lost > 0 {
        report.warn(
            subject,
            format!("{} lost in the kernel", count(lost, "record")),
            "larger rings: rings.critical_bytes, rings.bulk_bytes",
        );
    }
    for queue in heartbeat.queues.iter().filter(|queue| queue.dropped > 0) {
        let what = format!("queue {} dropped {}", inert(&queue.queue), count(queue.dropped, "item"));
        report.warn(subject, what, "the node is busier than its agent may be: raise the agent's CPU limit");
    }
    if let Some(drift) = heartbeat.clock_drift_ns.filter(|drift| drift.unsigned_abs() > DRIFT_NS) {
        let what = format!("its clock is {} off the collector's", time::span(drift.unsigned_abs()));
        report.warn(subject, what, "let NTP set the node's clock");
    }
}

fn rules(heartbeat: &v1::Heartbeat, subject: &str, report: &mut Report) {
    let Some(rules) = &heartbeat.rules else { return };
    if let Some(error) = &rules.error {
        report.fail(
            subject,
            format!("its newest rules are refused, {} in force: {}", refused(rules), inert(error)),
            "`kestrel rules check` on the files says where; the agent takes them when they are good",
        );
    }
    for warning in &rules.warnings {
        report.warn(subject, format!("rules: {}", inert(warning)), "`kestrel rules check` says more");
    }
}

/// What is in force instead.
fn refused(rules: &v1::Rules) -> &'static str {
    if rules.hash.is_empty() { "none are" } else { "those before are" }
}

fn outbox(heartbeat: &v1::Heartbeat, subject: &str, report: &mut Report) {
    if let Some(reason) = &heartbeat.memory_only {
        let what = format!("its outbox is in memory only: {}", inert(reason));
        report.fail(
            subject,
            what,
            "what is not delivered is lost with the agent: make state_dir writable, free its disk",
        );
    }
    for state in &heartbeat.lanes {
        let name = lane(state.lane());
        if state.evicted > 0 {
            let what =
                format!("its outbox was full: {} of lane {name} left it", count(state.evicted, "event"));
            report.warn(subject, what, "larger outbox, or find out why the collector does not take them");
        }
        let age = state.oldest_boottime_ns.map_or(0, |oldest| heartbeat.boottime_ns.saturating_sub(oldest));
        let is_full =
            state.capacity_bytes > 0 && state.bytes.saturating_mul(100) / state.capacity_bytes >= FULL;
        if is_full || (state.events > 0 && age > OLD_NS) {
            let what = format!(
                "backlog of {} ({}) in lane {name}, the oldest {} old",
                count(state.events, "event"),
                bytes(state.bytes),
                time::span(age)
            );
            report.warn(
                subject,
                what,
                "is the collector reached, is its disk full, does the node have a quota?",
            );
        }
    }
}
