//! Nodes and how their agents are.

use inert::inert;
use kestrel_proto::v1;

use crate::{
    look::{Cell, Paint, Table},
    text::bytes,
    time,
};

/// A condition as a word.
#[must_use]
pub const fn condition(condition: v1::NodeCondition) -> (&'static str, Paint) {
    match condition {
        v1::NodeCondition::Unspecified => ("-", Paint::Plain),
        v1::NodeCondition::Healthy => ("HEALTHY", Paint::Good),
        v1::NodeCondition::Silent => ("SILENT", Paint::Worst),
        v1::NodeCondition::Blind => ("BLIND", Paint::Worst),
        v1::NodeCondition::Stopped => ("STOPPED", Paint::Warn),
    }
}

/// What the node's outbox holds and the collector does not have yet.
#[must_use]
pub fn backlog(node: &v1::Node) -> (u64, u64) {
    let lanes = node.heartbeat.iter().flat_map(|heartbeat| &heartbeat.lanes);
    lanes.fold((0, 0), |(events, bytes), lane| {
        (events.saturating_add(lane.events), bytes.saturating_add(lane.bytes))
    })
}

/// The container runtime.
fn runtime(node: &v1::Node) -> String {
    match node.heartbeat.as_ref().and_then(|heartbeat| heartbeat.runtime.as_ref()) {
        Some(runtime) => inert(format!("{} {}", runtime.name, runtime.version).trim_end()),
        None => "-".to_owned(),
    }
}

fn rules_of(node: &v1::Node) -> Option<&v1::Rules> {
    node.heartbeat.as_ref()?.rules.as_ref()
}

/// How many rules are in force, and which.
fn rules(node: &v1::Node, is_wide: bool) -> Vec<Cell> {
    let Some(rules) = rules_of(node) else {
        return vec![Cell::from("-"); if is_wide { 4 } else { 1 }];
    };
    let paint = if rules.error.is_some() { Paint::Bad } else { Paint::Plain };
    let number = format!("{}/{}", rules.active, rules.defined);
    let hash = inert(&rules.hash);
    if !is_wide {
        let short = hash.get(..8).unwrap_or(&hash);
        return vec![Cell::painted(format!("{number} {short}").trim_end(), paint)];
    }
    let loaded = match rules.loaded_unix_ns {
        0 => "never".to_owned(),
        loaded => time::rfc3339(loaded),
    };
    let failed = Cell::painted(rules.failed.to_string(), paint);
    let hash = if hash.is_empty() { "-".to_owned() } else { hash };
    vec![Cell::painted(number, paint), hash.into(), loaded.into(), failed]
}

/// All as lines.
#[must_use]
pub fn table(nodes: &[v1::Node], is_wide: bool, now_unix_ns: i64) -> Table {
    let mut table = Table::new(if is_wide {
        &[
            "NODE",
            "CLUSTER",
            "CONDITION",
            "CONNECTED",
            "HEARD",
            "AGENT",
            "KERNEL",
            "RUNTIME",
            "RULES",
            "HASH",
            "LOADED",
            "REFUSED",
            "CONTAINERS",
            "FINDINGS",
            "BACKLOG",
            "GAPS",
            "UNEXPLAINED",
            "BOOT",
            "DETAIL",
        ]
    } else {
        &[
            "NODE",
            "CONDITION",
            "HEARD",
            "AGENT",
            "KERNEL",
            "RULES",
            "CONTAINERS",
            "FINDINGS",
            "BACKLOG",
            "GAPS",
            "DETAIL",
        ]
    });
    for node in nodes {
        let status = node.status.clone().unwrap_or_default();
        let (word, paint) = condition(status.condition());
        let (events, held) = backlog(node);
        let backlog = if events == 0 { "-".to_owned() } else { format!("{events} ({})", bytes(held)) };
        let heard = match node.last_heard_unix_ns {
            0 => "never".to_owned(),
            heard => format!("{} ago", time::ago(heard, now_unix_ns)),
        };
        let lost = node.gap_events.saturating_add(node.unexplained_events);
        let lost_paint = if lost > 0 { Paint::Warn } else { Paint::Plain };
        let connected = if node.connected { Cell::from("yes") } else { Cell::painted("no", Paint::Warn) };
        let mut detail = inert(&status.detail);
        if !node.connected && status.condition() == v1::NodeCondition::Healthy {
            detail.insert_str(0, "not connected; ");
        }
        if let Some(error) = rules_of(node).and_then(|rules| rules.error.as_ref()) {
            let separator = if detail.is_empty() { "" } else { "; " };
            let said = if is_wide { format!(": {}", inert(error)) } else { String::new() };
            detail.insert_str(0, &format!("newest rules REFUSED{said}{separator}"));
        }
        let name: Cell = inert(&node.name).into();
        let mut row = vec![name];
        if is_wide {
            row.push(inert(&node.cluster).into());
        }
        row.push(Cell::painted(word, paint));
        if is_wide {
            row.push(connected);
        }
        row.push(heard.into());
        row.extend([inert(&node.agent_version).into(), inert(&node.kernel).into()]);
        if is_wide {
            row.push(runtime(node).into());
        }
        row.extend(rules(node, is_wide));
        row.extend([node.containers.to_string().into(), node.open_findings.to_string().into()]);
        row.push(backlog.into());
        row.push(Cell::painted(if is_wide { node.gap_events } else { lost }.to_string(), lost_paint));
        if is_wide {
            row.push(Cell::painted(node.unexplained_events.to_string(), lost_paint));
            row.push(inert(node.boot_id.get(..8).unwrap_or(&node.boot_id)).into());
        }
        row.push(detail.into());
        table.row(row);
    }
    table
}
