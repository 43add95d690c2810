//! What is remembered, and for how long.

use rules::temporal::{Limits, Why};
use serde_json::json;

use super::Held;

const COUNTED: &str = "
- kestrel_rule: counted
  desc: d
  condition: evt.type = connect
  count: {at_least: 3, within: 10s, by: container.id}
  output: o
  priority: INFO
";

#[test]
fn so_many_within_the_time_match_once() {
    let mut held = Held::new(COUNTED, Limits::default());
    let mut at =
        |second, container| held.take(second, json!({"evt.type": "connect", "container.id": container}));
    assert_eq!(at(0, "a"), []);
    assert_eq!(at(4, "a"), []);
    assert_eq!(at(5, "b"), [], "another container");
    let fired = at(9, "a");
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].why, Why::Count { count: 3, since_ns: 0 });
    // It counts anew.
    assert_eq!(at(9, "a"), []);
    assert_eq!(at(10, "a"), []);
    // The first of b is out of time.
    assert_eq!(at(14, "b"), []);
    assert_eq!(at(15, "b"), []);
    assert_eq!(at(16, "b").len(), 1);
}

#[test]
fn what_was_seen_of_a_rule_outlasts_other_rules() {
    let other = COUNTED.replace("counted", "other").replace("at_least: 3", "at_least: 4");
    let event = || json!({"evt.type": "connect", "container.id": "a"});
    let mut held = Held::new(COUNTED, Limits::default());
    assert_eq!((held.take(0, event()), held.take(1, event())), (vec![], vec![]));
    // One before it and one changed beside it: it has another place, and is the same.
    held.reload(&format!("{other}{COUNTED}"));
    let fired = held.take(2, event());
    assert_eq!(fired.iter().map(|it| it.place).collect::<Vec<_>>(), [1]);
    // The other one has seen one of four; changed, it begins anew.
    held.reload(&other.replace("within: 10s", "within: 9s"));
    assert_eq!((3..6).map(|second| held.take(second, event()).len()).sum::<usize>(), 0);
    assert_eq!(held.take(6, event()).len(), 1);
}

#[test]
fn who_lacks_a_field_is_not_counted() {
    let mut held = Held::new(COUNTED, Limits::default());
    for second in 0..9 {
        assert_eq!(held.take(second, json!({"evt.type": "connect"})), []);
    }
    assert_eq!(held.tracker.marks(), 0);
}

#[test]
fn different_values_are_counted_and_not_the_same_again() {
    let text = COUNTED.replace("by: container.id", "distinct: fd.name");
    let mut held = Held::new(&text, Limits::default());
    let mut at = |second, name| held.take(second, json!({"evt.type": "connect", "fd.name": name}));
    assert_eq!(at(0, "x"), []);
    assert_eq!(at(1, "x"), []);
    assert_eq!(at(2, "y"), []);
    assert_eq!(at(9, "y"), []);
    // x was last seen at 1.
    assert_eq!(at(11, "z"), []);
    let fired = at(12, "x");
    assert_eq!(fired[0].why, Why::Count { count: 3, since_ns: 9_000_000_000 });
}

const SEQUENCE: &str = "
- kestrel_rule: fetched and run
  desc: d
  condition: evt.type = execve and proc.name = x
  after:
    within: 60s
    steps:
      - evt.type = connect
      - evt.type in (chmod, fchmodat)
  output: o
  priority: INFO
";

#[test]
fn steps_follow_each_other_in_what_descends_from_the_first() {
    let mut held = Held::new(SEQUENCE, Limits::default());
    let event = |kind: &str, name: &str, pid: u64, of: &[u64]| json!({"evt.type": kind, "proc.name": name, "proc.pid": pid, "proc.apid": of});
    assert_eq!(held.take(0, event("connect", "sh", 10, &[1])), []);
    assert_eq!(held.take(1, event("chmod", "chmod", 20, &[2, 1])), [], "another tree");
    assert_eq!(held.take(2, event("execve", "x", 11, &[10, 1])), [], "the second step is missing");
    assert_eq!(held.take(3, event("chmod", "chmod", 12, &[10, 1])), []);
    assert_eq!(held.take(4, event("execve", "y", 13, &[10, 1])), []);
    let fired = held.take(5, event("execve", "x", 14, &[13, 10, 1]));
    let [fired] = &fired[..] else { panic!("{fired:?}") };
    let Why::Steps(marks) = &fired.why else { panic!("{fired:?}") };
    let told: Vec<_> = marks.iter().map(|mark| (mark.at_ns / 1_000_000_000, &*mark.by)).collect();
    assert_eq!(told, [(0, "sh 10 connect"), (3, "chmod 12 chmod"), (5, "x 14 execve")]);
    assert_eq!(held.take(6, event("execve", "x", 15, &[13, 10, 1])), [], "it begins anew");
    assert_eq!(held.tracker.marks(), 0);
}

#[test]
fn a_sequence_that_takes_too_long_is_none_and_a_later_beginning_is_enough() {
    let text = SEQUENCE.replace("within: 60s", "within: 60s\n    by: container.id");
    let mut held = Held::new(&text, Limits::default());
    let event = |kind: &str| json!({"evt.type": kind, "proc.name": "x", "container.id": "c"});
    for (second, kind) in [(0, "connect"), (10, "chmod"), (30, "connect"), (40, "chmod")] {
        assert_eq!(held.take(second, event(kind)), []);
    }
    assert_eq!(held.take(70, event("execve")).len(), 1);
    for (second, kind) in [(100, "connect"), (110, "chmod"), (160, "execve")] {
        assert_eq!(held.take(second, event(kind)), []);
    }
}

#[test]
fn one_event_is_one_step() {
    let text = SEQUENCE.replace("- evt.type = connect\n", "- evt.type in (chmod, fchmodat)\n");
    let mut held = Held::new(&text, Limits::default());
    let event = |kind: &str| json!({"evt.type": kind, "proc.name": "x", "proc.pid": 7});
    assert_eq!(held.take(0, event("chmod")), []);
    assert_eq!(held.take(1, event("execve")), []);
    assert_eq!(held.take(2, event("chmod")), []);
    assert_eq!(held.take(3, event("execve")).len(), 1);
}

#[test]
fn a_flood_of_keys_stays_in_its_bounds_and_is_counted() {
    let limits = Limits { marks: 1000 };
    let mut held = Held::new(COUNTED, limits);
    for number in 0..100_000_u64 {
        held.take(0, json!({"evt.type": "connect", "container.id": number.to_string()}));
        assert!(held.tracker.marks() <= limits.marks);
    }
    assert_eq!(held.tracker.marks(), limits.marks);
    assert_eq!(held.tracker.evicted(), 100_000 - limits.marks as u64);
    // What is out of time is no loss.
    held.take(1000, json!({"evt.type": "connect", "container.id": "late"}));
    assert_eq!((held.tracker.marks(), held.tracker.evicted()), (1, 100_000 - limits.marks as u64));
}

#[test]
fn one_key_that_needs_more_than_there_is_room_for_is_forgotten() {
    let text = COUNTED.replace("at_least: 3", "at_least: 500");
    let mut held = Held::new(&text, Limits { marks: 100 });
    for _ in 0..1000 {
        assert_eq!(held.take(0, json!({"evt.type": "connect", "container.id": "a"})), []);
        assert!(held.tracker.marks() <= 100);
    }
    assert!(held.tracker.evicted() > 0);
}
