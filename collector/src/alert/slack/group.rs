//! Many notices in one message: by what they say, with counts, the worst first.

use std::collections::BTreeMap;

use kestrel_proto::detection::techniques;

use super::{
    REPEAT,
    block::{Block, Message, bold, code, context, header, line, list, run},
    counts, emoji, headline, place, severity, summary,
};
use crate::alert::{batch::Batch, notice::Notice, text::shown};

/// Most kinds of things that have a block of their own.
const GROUPS: usize = 46;
/// Most places that are named in a message.
const PLACES: usize = 60;
/// Most nodes that are named beside a place.
const NODES: usize = 3;

/// Most techniques of ATT&CK beside a rule.
const TECHNIQUES: usize = 4;

/// What is said of a place.
#[derive(Default)]
struct Place<'a> {
    nodes: Vec<&'a str>,
    notices: u64,
    observed: &'a str,
}

pub(super) fn message(batch: &Batch<'_>) -> Message {
    // Worst first; of the same severity the kinds in the order in which they are declared.
    let mut groups: BTreeMap<_, BTreeMap<(String, &str), Place<'_>>> = BTreeMap::new();
    let mut heads = BTreeMap::new();
    for notice in batch.notices {
        let key = (notice.kind, -(notice.severity() as i32), headline(notice));
        heads.entry(key.clone()).or_insert(notice);
        let place = groups.entry(key).or_default().entry((place(notice), &notice.cluster)).or_default();
        place.notices += notice.weight();
        if !place.nodes.contains(&notice.node.as_str()) && place.nodes.len() <= NODES {
            place.nodes.push(&notice.node);
        }
        if let Some(instance) = notice.finding.as_ref().and_then(|finding| finding.instances.first()) {
            place.observed = &instance.observed;
        }
        if let Some(detected) = &notice.detected {
            place.observed = &detected.detection.output;
        }
    }
    let worst = batch.notices.iter().min_by_key(|one| (one.kind, -(one.severity() as i32)));
    let repeat = if batch.is_repeat() { " (repeat)" } else { "" };
    let mut blocks = vec![header(&format!("{} {}{repeat}", worst.map_or("🔵", emoji), counts(batch)))];
    let mut room = PLACES;
    let mut left_out = 0_u64;
    for (number, (key, places)) in groups.iter().enumerate() {
        let total: u64 = places.values().map(|place| place.notices).sum();
        if number >= GROUPS {
            left_out += total;
            continue;
        }
        let title = title(heads[key], total);
        let mut lines: Vec<_> =
            places.iter().take(room).map(|((name, _), place)| named(name, place)).collect();
        room -= lines.len();
        let named: u64 = places.values().take(lines.len()).map(|place| place.notices).sum();
        if named < total {
            lines.push(vec![run(&format!("and {} more", total - named))]);
        }
        blocks.push(Block::RichText { elements: vec![line(vec![bold(&title)]), list(lines)] });
    }
    let mut notes =
        vec!["To see all of it: kestrel findings, kestrel nodes, kestrel tail --kind detection".to_owned()];
    left_out += batch.overflow;
    if left_out > 0 {
        notes.push(format!("{left_out} more changes are not listed here."));
    }
    if batch.is_repeat() {
        notes.push(REPEAT.to_owned());
    }
    blocks.push(context(&notes));
    Message::new(summary(batch), blocks)
}

fn title(head: &Notice, total: u64) -> String {
    let severity = if head.finding.is_some() { format!(", {}", severity(head)) } else { String::new() };
    let attack = head.detected.as_ref().map(|detected| {
        let named: Vec<_> = techniques(&detected.detection.tags).take(TECHNIQUES).collect();
        if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
    });
    format!("{} {}{severity}{}: {total}", emoji(head), headline(head), attack.unwrap_or_default())
}

fn named(name: &str, place: &Place<'_>) -> Vec<super::block::Run> {
    let mut nodes =
        place.nodes.iter().take(NODES).map(|node| shown(node, 100)).collect::<Vec<_>>().join(", ");
    if place.notices > place.nodes.len().min(NODES) as u64 {
        nodes = format!("{nodes} ({} in all)", place.notices);
    }
    let mut runs = vec![code(&shown(name, 300)), run(" on "), code(&nodes)];
    if !place.observed.is_empty() {
        runs.push(run(&format!(": {}", shown(place.observed, 120))));
    }
    runs
}
