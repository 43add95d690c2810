//! What the rules in force need the kernel to send.

use rules::{compile::Needs, field::Field};

use super::{RuleSet, kind};
use crate::syscall::{Only, Wants, all};

/// Calls whose flags the kernel programs know, also of one that failed.
const OPENS: [&str; 3] = ["open", "openat", "creat"];

/// Adds the calls that any rule can match, and of each no more than its rules need.
pub fn add_to(wants: &mut Wants, rules: &RuleSet) {
    for call in all() {
        let Some(event) = kind::of_name(call.name).filter(|event| rules.wants(*event)) else { continue };
        let needs = rules.needs(event);
        let needs_all = |what: fn(&Needs) -> bool| needs.is_some_and(what);
        // A failed call matches too: its result is a field.
        let only = Only {
            containers: needs_all(|needs| needs.container_only),
            writes: OPENS.contains(&call.name) && needs_all(|needs| needs.write_opens_only),
            ..Only::default()
        };
        wants.add(call, only);
    }
    if rules.asks_for(Field::FdNameraw) || rules.asks_for(Field::FsPathNameraw) {
        wants.add_names();
    }
}

#[cfg(test)]
mod tests {
    use agent_abi::interest::{ABI_NATIVE, NONE, predicate};
    use rules::{compile::Matching, load::Config};

    use super::*;
    use crate::{detect::Text, syscall::by_name};

    fn wants(conditions: &[&str]) -> Wants {
        let rule = |(number, condition): (usize, &&str)| {
            format!("- {{rule: r{number}, desc: d, condition: '{condition}', output: o, priority: INFO}}\n")
        };
        let text: String = conditions.iter().enumerate().map(rule).collect();
        let set = RuleSet::load(&[Text::new("r.yaml", &text)], &Config::default(), Matching::All).unwrap();
        let mut wants = Wants::default();
        add_to(&mut wants, &set);
        wants
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
            "evt.type = openat and fd.name = /etc/shadow",
        ]);
        assert_eq!(predicates(&reads_too, "openat"), Some(predicate::BULK));
        assert_eq!(predicates(&reads_too, "open"), Some(all), "the other rule is not for it");
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
