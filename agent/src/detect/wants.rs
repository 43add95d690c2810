//! What the rules in force need the kernel to send.

use std::collections::BTreeSet;

use agent_abi::hook::Hook;
use rules::{
    compile::{Files, Needs},
    field::Field,
};

use super::{RuleSet, kind};
use crate::{
    filter::{Landmarks, PathPrefix},
    syscall::{Beside, Only, Wants, all},
};

/// Calls whose flags the kernel programs know, also of one that failed.
const OPENS: [&str; 3] = ["open", "openat", "creat"];

/// Which files rules need that do not need all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeededFiles {
    /// Those below.
    pub prefixes: Vec<PathPrefix>,
    /// Those with such names.
    pub landmarks: Landmarks,
}

/// Adds the calls that any rule can match, and of each no more than its rules need. Gives the files that they
/// need, by `room` prefixes at most.
pub fn add_to(wants: &mut Wants, rules: &RuleSet, room: usize) -> NeededFiles {
    let needed = opened(rules).and_then(|files| needed(&files, room));
    for call in all() {
        let Some(event) = kind::of_name(call.name).filter(|event| rules.wants(*event)) else { continue };
        let needs = rules.needs(event);
        let needs_all = |what: fn(&Needs) -> bool| needs.as_ref().is_some_and(what);
        let is_open = OPENS.contains(&call.name);
        let files = needs.as_ref().and_then(|needs| needs.files.as_ref());
        let files = files.filter(|_| is_open && needed.is_some());
        let writes = is_open && needs_all(|needs| needs.write_opens_only);
        // Where all must be written, those that are need not be asked for beside the others.
        let files = files.filter(|files| !(writes && files.written));
        // A call that failed matches too, where no rule needs what only one that succeeded has.
        let failed = needs.as_ref().and_then(|needs| needs.failed.as_ref()).filter(|_| is_open);
        // Of these no path is known that would not be the caller's.
        let failed = failed.filter(|failed| failed.prefixes.is_empty() && failed.landmarks.is_empty());
        let failed = failed.map(beside).filter(|failed| !(writes && failed.writes));
        let only = Only {
            ok: failed == Some(Beside::NONE),
            failed_beside: failed.filter(|failed| *failed != Beside::NONE),
            containers: needs_all(|needs| needs.container_only),
            writes,
            below: files.map(beside),
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
    needed.unwrap_or_default()
}

fn beside(files: &Files) -> Beside {
    Beside { writes: files.written, dotted: files.dotted, landmarks: !files.landmarks.is_empty() }
}

/// What the opens need of their files that need anything of them. The kernel has one table for all.
fn opened(rules: &RuleSet) -> Option<Vec<Files>> {
    let kinds = OPENS.iter().filter_map(|name| kind::of_name(name));
    let all: Vec<_> = kinds.filter_map(|kind| rules.needs(kind)?.files).collect();
    (!all.is_empty()).then_some(all)
}

/// `None` where one is not such that the kernel knows it, or there are too many.
fn needed(files: &[Files], room: usize) -> Option<NeededFiles> {
    let starts: BTreeSet<_> = files.iter().flat_map(|files| &files.prefixes).collect();
    if starts.len() > room {
        return None;
    }
    let groups: BTreeSet<_> = files.iter().flat_map(|files| &files.landmarks).collect();
    Some(NeededFiles {
        prefixes: starts.into_iter().map(|start| PathPrefix::beginning(start)).collect::<Option<_>>()?,
        landmarks: Landmarks::new(groups.into_iter().map(|group| &**group))?,
    })
}

#[cfg(test)]
mod tests {
    use agent_abi::interest::{ABI_NATIVE, NONE, beside, predicate};
    use rules::{compile::Matching, load::Config};

    use super::*;
    use crate::{detect::Text, syscall::by_name};

    fn with_files(conditions: &[&str]) -> (Wants, NeededFiles) {
        let rule = |(number, condition): (usize, &&str)| {
            format!("- {{rule: r{number}, desc: d, condition: '{condition}', output: o, priority: INFO}}\n")
        };
        let text: String = conditions.iter().enumerate().map(rule).collect();
        let set = RuleSet::load(&[Text::new("r.yaml", &text)], &Config::default(), Matching::All).unwrap();
        let mut wants = Wants::default();
        let files = add_to(&mut wants, &set, 3);
        (wants, files)
    }

    fn wants(conditions: &[&str]) -> Wants {
        with_files(conditions).0
    }

    fn predicates(wants: &Wants, call: &str) -> Option<u8> {
        let slot = wants.table()[by_name(call).unwrap().native.unwrap() as usize];
        (slot.wanted >> ABI_NATIVE & 1 != 0).then(|| slot.wants[usize::from(ABI_NATIVE)].predicates)
    }

    fn beside(wants: &Wants) -> u8 {
        let slot = wants.table()[by_name("openat").unwrap().native.unwrap() as usize];
        slot.wants[usize::from(ABI_NATIVE)].beside
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
        let shadow = "evt.type in (open, openat) and fd.name in (/etc/shadow, /etc/gshadow)";
        let written = "evt.type = openat and evt.is_open_write = true and fd.name endswith .log";
        let up = "evt.type = openat and fd.nameraw contains ../";
        let start = |text: &str| PathPrefix::beginning(text.as_bytes()).unwrap();

        let (of_all, files) = with_files(&[shadow, written, up]);
        assert_eq!(files.prefixes, [start("/etc/gshadow"), start("/etc/shadow")]);
        assert_eq!(predicates(&of_all, "openat"), Some(predicate::PREFIXES | predicate::BULK));
        assert_eq!(beside(&of_all), beside::WRITES | beside::DOTTED);
        assert_eq!(beside(&with_files(&[shadow]).0), 0);

        let landmark = "evt.type = openat and fd.name contains /.ssh/";
        let (with_names, files) = with_files(&[shadow, landmark]);
        assert_eq!(beside(&with_names), beside::LANDMARKS);
        assert_eq!(files.prefixes, [start("/etc/gshadow"), start("/etc/shadow")]);
        assert_eq!(Some(files.landmarks), Landmarks::new([[b".ssh".as_slice().into()].as_slice()]));

        // Too many, unknown to the kernel, or of any file: then all are sent.
        for other in [
            "fd.name in (/a, /b)",
            "fd.name startswith pipe:",
            "fd.name exists",
            "proc.name = x",
            "fd.name = /",
        ] {
            let (all, _) = with_files(&[shadow, &format!("evt.type = openat and {other}")]);
            assert_eq!(predicates(&all, "openat"), Some(predicate::BULK), "{other}");
        }
        let other_call = "evt.type = unlinkat and fs.path.name = /x";
        assert_eq!(predicates(&with_files(&[shadow, other_call]).0, "unlinkat"), Some(predicate::BULK));
    }

    #[test]
    fn opens_that_fail_are_wanted_where_a_rule_asks_for_them() {
        let opened = "evt.type in (open, openat) and fd.num >= 0 and proc.name = x";
        let up = "evt.type = openat and fd.nameraw contains ../";
        assert_eq!(predicates(&wants(&[opened]), "openat"), Some(predicate::BULK | predicate::OK));
        let both = wants(&[opened, up]);
        assert_eq!(predicates(&both, "openat"), Some(predicate::BULK | predicate::FAILED_BESIDE));
        assert_eq!(
            predicates(&both, "open"),
            Some(predicate::BULK | predicate::OK),
            "the other is not for it"
        );
        assert_eq!(beside(&both), beside::FAILED_DOTTED);
        let written = "evt.type = openat and evt.is_open_write = true and proc.name = x";
        assert_eq!(beside(&wants(&[opened, written, up])), beside::FAILED_DOTTED | beside::FAILED_WRITES);
        let any = wants(&[opened, "evt.type = openat and proc.name = y"]);
        assert_eq!(predicates(&any, "openat"), Some(predicate::BULK));
        // Of other calls nothing is known.
        assert_eq!(
            predicates(&wants(&["evt.type = unlinkat and fd.num >= 0"]), "unlinkat"),
            Some(predicate::BULK)
        );
    }

    /// An agent with the rules that come along does not hear of each file that is opened.
    #[test]
    fn the_rules_that_come_along_need_some_files() {
        let texts: Vec<_> = rules::default::FILES.iter().map(|(name, text)| Text::new(name, text)).collect();
        let set = RuleSet::load(&texts, &Config::default(), Matching::All).unwrap();
        let mut of_rules = Wants::default();
        let files = add_to(&mut of_rules, &set, 512);
        for call in OPENS {
            let found = predicates(&of_rules, call).unwrap();
            assert_ne!(found & predicate::PREFIXES, 0, "{call}");
            assert_ne!(found & (predicate::OK | predicate::FAILED_BESIDE), 0, "{call}");
        }
        assert!(!files.prefixes.is_empty());
        assert_ne!(files.landmarks, Landmarks::default());
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
