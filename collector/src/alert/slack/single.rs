//! One notice, one message: what, where, since when, evidence, how to fix.

use kestrel_proto::v1;

use super::{
    REPEAT,
    block::{Block, Message, Run, bold, code, context, header, line, list, literal, run},
    detection, emoji, headline, severity, summary, verdict, why_over,
};
use crate::alert::{
    batch::Batch,
    notice::{Kind, Notice},
    text::{cut, shown, utc},
};

/// Longest name that is shown whole.
pub(super) const NAME: usize = 253;
/// Longest evidence of one instance.
const EVIDENCE: usize = 300;

pub(super) fn message(batch: &Batch<'_>, notice: &Notice) -> Message {
    let repeat = if batch.is_repeat() { " (repeat)" } else { "" };
    let times = if notice.count > 1 { format!(" ({} times)", notice.count) } else { String::new() };
    let mut blocks = vec![header(&format!("{} {}{times}{repeat}", emoji(notice), headline(notice)))];
    if let Some(finding) = &notice.finding {
        of_finding(notice, finding, &mut blocks);
    } else if let Some(status) = &notice.status {
        of_node(notice, status, &mut blocks);
    } else if let Some(detected) = &notice.detected {
        detection::blocks(notice, detected, &mut blocks);
    }
    if batch.is_repeat() {
        blocks.push(context(&[REPEAT.to_owned()]));
    }
    Message::new(summary(batch), blocks)
}

fn of_finding(notice: &Notice, finding: &v1::Finding, blocks: &mut Vec<Block>) {
    let mut lines = vec![what(notice, finding)];
    if let Some(workload) = &finding.workload {
        let owner = format!("{}/{}", workload.namespace, workload.name);
        lines.push(vec![
            bold("Workload: "),
            code(&shown(owner, NAME * 2)),
            run(&format!(" ({})", shown(&workload.kind, 63))),
        ]);
    }
    for (label, value) in [
        ("Pod: ", &finding.pod),
        ("Container: ", &finding.container),
        ("Image: ", &finding.image),
        ("Container id: ", &finding.container_id),
    ] {
        if !value.is_empty() {
            lines.push(vec![bold(label), code(&shown(value, NAME))]);
        }
    }
    lines.push(node(notice));
    lines.push(vec![bold("Since: "), run(&utc(finding.first_seen_unix_ns)), run(&seen(finding))]);
    if notice.times > 1 {
        lines.push(vec![bold("Came and went: "), run(&format!("{} times", notice.times))]);
    }
    if let Some(why) = why_over(notice) {
        let over = format!("{}, {why}", utc(notice.at_unix_ns));
        lines.push(vec![bold("Over: "), run(&over)]);
    }
    if finding.workload.is_none() {
        lines.push(vec![run("The container runtime has not named this container.")]);
    }
    if let Some(first) = finding.completes.first() {
        lines.push(vec![run("Told before without a name, as "), code(&shown(first, 64))]);
    }
    let mut elements = vec![list(lines)];
    if notice.kind() != Kind::Resolved {
        let evidence: Vec<String> = finding.instances.iter().take(3).map(evidence).collect();
        if !evidence.is_empty() {
            elements.push(line(vec![bold("Evidence")]));
            elements.push(literal(&evidence.join("\n")));
        }
        if !finding.fix.is_empty() {
            elements.push(line(vec![bold("How to fix: "), run(&shown(&finding.fix, 1000))]));
        }
    }
    blocks.push(Block::RichText { elements });
    blocks.push(context(&[format!("finding {}", shown(&finding.id, 64))]));
}

fn what(notice: &Notice, finding: &v1::Finding) -> Vec<Run> {
    let mut runs =
        vec![bold("What: "), run(&format!("{}, severity {}, control ", verdict(notice), severity(notice)))];
    let Some(control) = &finding.control else { return runs };
    runs.push(code(&shown(&control.slug, 63)));
    if let Some(pss) = &control.pss {
        runs.push(run(&format!(", Pod Security Standards {}", shown(pss, 20))));
    }
    if let Some(cis) = &control.cis {
        runs.push(run(&format!(", CIS {}", shown(cis, 20))));
    }
    runs
}

pub(super) fn node(notice: &Notice) -> Vec<Run> {
    let mut runs = vec![bold("Node: "), code(&shown(&notice.node, NAME))];
    if !notice.cluster.is_empty() {
        runs.extend([run(" of cluster "), code(&shown(&notice.cluster, NAME))]);
    }
    runs
}

fn seen(finding: &v1::Finding) -> String {
    let count = if finding.count > 1 { format!(", seen {} times", finding.count) } else { String::new() };
    let back = if finding.reopened > 0 {
        format!(", back for the {}. time", finding.reopened)
    } else {
        String::new()
    };
    format!("{count}{back}")
}

fn evidence(instance: &v1::FindingInstance) -> String {
    let mut text = format!("observed: {}", shown(&instance.observed, EVIDENCE));
    if let Some(declared) = &instance.declared {
        text += &format!("\ndeclared: {}", shown(declared, EVIDENCE));
    }
    let tgid = instance.process.as_ref().map_or(0, |process| process.tgid);
    text += &format!(
        "\nprocess:  {} ({}), pid {tgid}, uid {}, euid {}",
        shown(&instance.exe, EVIDENCE),
        shown(&instance.comm, 64),
        instance.uid,
        instance.euid
    );
    text
}

fn of_node(notice: &Notice, status: &v1::NodeStatus, blocks: &mut Vec<Block>) {
    let mut lines = vec![node(notice), vec![bold("Since: "), run(&utc(status.since_unix_ns))]];
    if !status.detail.is_empty() {
        lines.push(vec![bold("Why: "), run(&shown(&status.detail, 600))]);
    }
    let mut elements = vec![list(lines)];
    if matches!(notice.kind(), Kind::Opened | Kind::Worse) {
        let fix = "look at the agent's pod on that node, then run: kestrel doctor";
        elements.push(line(vec![
            run("While this lasts, nothing that happens on the node may be seen. "),
            bold("How to fix: "),
            run(&cut(fix, 200)),
        ]));
    }
    blocks.push(Block::RichText { elements });
}
