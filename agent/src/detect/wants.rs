//! What the rules in force need the kernel to send.

use std::collections::BTreeSet;

use agent_abi::hook::Hook;
use rules::{
    compile::{Files, Needs},
    field::Field,
};

use super::{RuleSet, kind};
use crate::{
    filter::PathPrefix,
    syscall::{Beside, Only, Wants, all},
};

/// Calls whose flags the kernel programs know, also of one that failed.
const OPENS: [&str; 3] = ["open", "openat", "creat"];

/// Adds the calls that any rule can match, and of each no more than its rules need. Gives the prefixes below
/// which they need files, `room` at most.
pub fn add_to(wants: &mut Wants, rules: &RuleSet, room: usize) -> Vec<PathPrefix> {
    let prefixes = opened(rules).and_then(|files| prefixes(&files, room));
    for call in all() {
        let Some(event) = kind::of_name(call.name).filter(|event| rules.wants(*event)) else { continue };
        let needs = rules.needs(event);
        let needs_all = |what: fn(&Needs) -> bool| needs.as_ref().is_some_and(what);
        let is_open = OPENS.contains(&call.name);
        let files = needs.as_ref().and_then(|needs| needs.files.as_ref());
        let files = files.filter(|_| is_open && prefixes.is_some());
        let writes = is_open && needs_all(|needs| needs.write_opens_only);
        // Where all must be written, those that are need not be asked for beside the others.
        let files = files.filter(|files| !(writes && files.written));
        // A failed call matches too: its result is a field.
        let only = Only {
            containers: needs_all(|needs| needs.container_only),
            writes,
            below: files.map(|files| Beside { writes: files.written, dotted: files.dotted }),
            ..Only::default()
        };
        wants.add(call, only);
    }
    if rules.asks_for(Field::FdNameraw) || rules.asks_for(Field::FsPathNameraw) {
        wants.add_names();
    }
    if rules.hears_peer_names() {
        wants.add_hook(Hook::Packet);
    }
    prefixes.unwrap_or_default()
}

/// What the opens need of their files that need anything of them. The kernel has one table of prefixes for all.
fn opened(rules: &RuleSet) -> Option<Vec<Files>> {
    let kinds = OPENS.iter().filter_map(|name| kind::of_name(name));
    let all: Vec<_> = kinds.filter_map(|kind| rules.needs(kind)?.files).collect();
    (!all.is_empty()).then_some(all)
}

/// `None` where one is not such that the kernel knows it, or there are too many.
fn prefixes(files: &[Files], room: usize) -> Option<Vec<PathPrefix>> {
    let starts: BTreeSet<_> = files.iter().flat_map(|files| &files.prefixes).collect();
    if starts.len() > room {
        return None;
    }
    starts.into_iter().map(|start| PathPrefix::beginning(start)).collect()
}

#[cfg(test)]
mod tests {
    use agent_abi::interest::{ABI_NATIVE, NONE, beside, predicate};
    use rules::{compile::Matching, load::Config};

    use super::*;
    use crate::{detect::Text, syscall::by_name};

    fn with_prefixes(conditions: &[&str]) -> (Wants, Vec<PathPrefix>) {
        let rule = |(number, condition): (usize, &&str)| {
            format!("- {{rule: r{number}, desc: d, condition: '{condition}', output: o, priority: INFO}}\n")
        };
        let text: String = conditions.iter().enumerate().map(rule).collect();
        let set = RuleSet::load(&[Text::new("r.yaml", &text)], &Config::default(), Matching::All).unwrap();
        let mut wants = Wants::default();
        let prefixes = add_to(&mut wants, &set, 3);
        (wants, prefixes)
    }

    fn wants(conditions: &[&str]) -> Wants {
        with_prefixes(conditions).0
    }

    fn predicates(wants: &Wants, call: &str) -> Option<u8> {
        let slot = wants.table()[by_name(call).unwrap().native.unwrap() as usize];
        (slot.wanted >> ABI_NATIVE & 1 != 0).then(|| slot.wants[usize::from(ABI_NATIVE)].predicates)
    }

    #[test]
    fn the_kernel_sends_what_some_rule_can_match() {
        let writes =
            wants(&["evt.type in (open, openat) and evt.is_open_write=true and container.id != host"]);
        let all = predicate::CONTAINERS | predicate::WRITES | predicate::BULK;
        assert_eq!(predicates(&writes, "openat"), Some(all));
        assert_eq!(predicates(&writes, "connect"), None, "no rule is for it");

        let reads_too = wants(&[
            "evt.type in (open, openat) and evt.is_open_write=true and container.id != host",
            "evt.type = openat and fd.name contains shadow",
        ]);
        assert_eq!(predicates(&reads_too, "openat"), Some(predicate::BULK));
        assert_eq!(predicates(&reads_too, "open"), Some(all), "the other rule is not for it");
    }

    #[test]
    fn files_are_chosen_by_what_all_rules_need_of_them() {
        let beside = |wants: &Wants| {
            let slot = wants.table()[by_name("openat").unwrap().native.unwrap() as usize];
            slot.wants[usize::from(ABI_NATIVE)].beside
        };
        let shadow = "evt.type in (open, openat) and fd.name in (/etc/shadow, /etc/gshadow)";
        let written = "evt.type = openat and evt.is_open_write = true and fd.name endswith .log";
        let up = "evt.type = openat and fd.nameraw contains ../";
        let start = |text: &str| PathPrefix::beginning(text.as_bytes()).unwrap();

        let (of_all, prefixes) = with_prefixes(&[shadow, written, up]);
        assert_eq!(prefixes, [start("/etc/gshadow"), start("/etc/shadow")]);
        assert_eq!(predicates(&of_all, "openat"), Some(predicate::PREFIXES | predicate::BULK));
        assert_eq!(beside(&of_all), beside::WRITES | beside::DOTTED);
        assert_eq!(beside(&with_prefixes(&[shadow]).0), 0);

        // Too many, unknown to the kernel, or of any file: then all are sent.
        for other in [
            "fd.name in (/a, /b)",
            "fd.name startswith pipe:",
            "fd.name exists",
            "proc.name = x",
            "fd.name = /",
        ] {
            let (all, _) = with_prefixes(&[shadow, &format!("evt.type = openat and {other}")]);
            assert_eq!(predicates(&all, "openat"), Some(predicate::BULK), "{other}");
        }
        let other_call = "evt.type = unlinkat and fs.path.name = /x";
        assert_eq!(predicates(&with_prefixes(&[shadow, other_call]).0, "unlinkat"), Some(predicate::BULK));
    }

    #[test]
    fn packets_are_wanted_where_a_rule_compares_names_of_peers() {
        let hears = |condition: &str| wants(&[condition]).hooks().contains(Hook::Packet);
        assert!(hears("evt.type = connect and fd.rip.name endswith .example"));
        assert!(hears("evt.type = connect and fd.sip.name = a.example"));
        assert!(!hears("evt.type = connect and fd.rip = 192.0.2.1"));
    }

    /// A connection may not be judged before the answer that it follows: both come by one ring.
    #[test]
    fn calls_that_have_peers_come_by_the_ring_of_packets() {
        for call in ["connect", "accept", "accept4", "sendto", "sendmsg", "sendmmsg"] {
            let slot = wants(&[&format!("evt.type = {call}")]).table()
                [by_name(call).unwrap().native.unwrap() as usize];
            let ring = slot.wants[usize::from(ABI_NATIVE)].ring;
            assert_eq!(u32::from(ring), agent_abi::map::RING_BULK, "{call}");
        }
    }

    #[test]
    fn names_are_captured_where_a_rule_asks_for_them() {
        let text = |wants: &Wants| {
            let slot = wants.table()[by_name("openat").unwrap().native.unwrap() as usize];
            slot.wants[usize::from(ABI_NATIVE)].text
        };
        assert_eq!(text(&wants(&["evt.type = openat and fd.name = /x"])), NONE);
        assert_eq!(text(&wants(&["evt.type = openat and fd.nameraw contains ../"])), 1);
    }
}
