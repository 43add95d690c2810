//! A detection, or the first of several: what, where, who, on what, and what the rule says of it.

use std::fmt::Write as _;

use kestrel_proto::{
    detection::{priority_name, tactics, technique_url, techniques},
    v1::{self, detection::Object},
};

use super::{
    block::{Block, Rich, Run, bold, code, context, line, link, list, literal, run},
    single::{NAME, node},
};
use crate::{
    alert::{
        notice::Notice,
        text::{address, cut, shown, utc},
    },
    state::Detected,
};

/// Longest value of a field, and longest executable or argument.
const VALUE: usize = 200;
/// All fields together.
const FIELDS: usize = 1900;
/// The rule's output.
const OUTPUT: usize = 1900;

pub(super) fn blocks(notice: &Notice, detected: &Detected, blocks: &mut Vec<Block>) {
    let detection = &detected.detection;
    let mut lines = vec![what(detected)];
    lines.extend(attack(detection));
    lines.extend(place(detected));
    lines.push(node(notice));
    lines.push(when(notice, detected));
    if let Some(process) = &detected.process {
        lines.push(doer(process));
    }
    if !detection.ancestors.is_empty() {
        lines.push(ancestry(&detection.ancestors));
    }
    match &detection.object {
        Some(Object::Path(path)) => lines.push(vec![bold("File: "), code(&shown(path, 600))]),
        Some(Object::Peer(peer)) => lines.push(vec![bold("Peer: "), code(&shown(address(peer), 300))]),
        None => {}
    }
    if notice.held_back > 0 {
        let held_back = format!("{} before, by the node", notice.held_back);
        lines.push(vec![bold("Held back: "), run(&held_back)]);
    }
    if detection.pending_names {
        lines.push(vec![run("The container had no name yet when the rule was judged.")]);
    }
    let mut elements: Vec<Rich> = vec![list(lines)];
    if !detection.output.is_empty() {
        elements.push(line(vec![bold("Output")]));
        elements.push(literal(&shown(&detection.output, OUTPUT)));
    }
    if !detection.fields.is_empty() {
        elements.push(line(vec![bold("Fields")]));
        elements.push(literal(&cut(&fields(&detection.fields), FIELDS)));
    }
    blocks.push(Block::RichText { elements });
    if notice.count > 1 {
        let first = format!("Shown is the first of {}. kestrel tail --kind detection has all.", notice.count);
        blocks.push(context(&[first]));
    }
}

fn what(detected: &Detected) -> Vec<Run> {
    let priority = priority_name(detected.urgency());
    let mut runs = vec![
        bold("What: "),
        run(&format!("priority {priority}, rule ")),
        code(&shown(&detected.detection.rule, NAME)),
    ];
    if !detected.detection.event_type.is_empty() {
        runs.extend([run(", event "), code(&shown(&detected.detection.event_type, 63))]);
    }
    runs
}

/// Techniques, each with a link that is made of its digits alone, and tactics.
fn attack(detection: &v1::Detection) -> Option<Vec<Run>> {
    let mut runs = vec![bold("ATT&CK: ")];
    for technique in techniques(&detection.tags) {
        if runs.len() > 1 {
            runs.push(run(", "));
        }
        runs.push(link(&technique_url(technique), technique));
    }
    let tactics: Vec<_> = tactics(&detection.tags).collect();
    if !tactics.is_empty() {
        let separator = if runs.len() > 1 { " · " } else { "" };
        runs.push(run(&format!("{separator}{}", tactics.join(", "))));
    }
    (runs.len() > 1).then_some(runs)
}

fn place(detected: &Detected) -> Vec<Vec<Run>> {
    let mut lines = Vec::new();
    let Some(container) = &detected.container else { return lines };
    let names = detected.names().cloned().unwrap_or_default();
    if let Some(owner) = &names.workload {
        lines.push(vec![
            bold("Workload: "),
            code(&shown(format!("{}/{}", owner.namespace, owner.name), NAME * 2)),
            run(&format!(" ({})", shown(&owner.kind, 63))),
        ]);
    }
    for (label, value) in [
        ("Namespace: ", &names.namespace),
        ("Pod: ", &names.pod),
        ("Container: ", &names.container),
        ("Image: ", &names.image),
        ("Container id: ", &container.id),
    ] {
        if !value.is_empty() {
            lines.push(vec![bold(label), code(&shown(value, NAME))]);
        }
    }
    lines
}

fn when(notice: &Notice, detected: &Detected) -> Vec<Run> {
    let mut text = utc(detected.wall_unix_ns);
    if notice.count > 1 {
        let _ = write!(text, " to {}, {} times", utc(notice.until_unix_ns), notice.count);
    }
    if notice.follows {
        text += ", after one that was told before";
    }
    vec![bold("When: "), run(&text)]
}

fn doer(process: &v1::Process) -> Vec<Run> {
    let mut runs = vec![bold("Process: "), code(&shown(&process.comm, 64))];
    if let Some(id) = &process.id {
        runs.push(run(&format!(" pid {}", id.tgid)));
    }
    if let Some(state) = &process.state {
        runs.push(run(&format!(", uid {}, euid {}", state.uid, state.euid)));
    }
    if !process.exe.is_empty() {
        runs.extend([run(", "), code(&shown(&process.exe, VALUE))]);
    }
    if !process.argv.is_empty() {
        let cut = if process.argv_truncated { " …" } else { "" };
        let words: Vec<_> = process.argv.iter().map(|word| shown(word, VALUE)).collect();
        runs.extend([run(", run as "), code(&shown(words.join(" ") + cut, 600))]);
    }
    runs
}

fn ancestry(ancestors: &[v1::Ancestor]) -> Vec<Run> {
    let named = |ancestor: &v1::Ancestor| format!("{} ({})", shown(&ancestor.comm, 64), ancestor.pid);
    let names: Vec<_> = ancestors.iter().map(named).collect();
    vec![bold("Started by: "), code(&names.join(" ← "))]
}

fn fields(fields: &[v1::DetectionField]) -> String {
    let mut text = String::new();
    for field in fields {
        let value = field.value.as_ref().map_or_else(|| "(none)".to_owned(), |value| shown(value, VALUE));
        let _ = writeln!(text, "{} = {value}", shown(&field.name, 100));
    }
    text.truncate(text.trim_end().len());
    text
}
