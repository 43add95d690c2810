//! Which detections are told at once and which as a number, and that the sums balance.

use super::*;
use crate::alert::tests::detected;

/// Takes a match of that rule at that time.
fn matches(queue: &mut Queue, frame: u64, rule: &str, at_unix_ns: i64) {
    let transition = Transition { at_unix_ns, ..at(frame, matched(rule)) };
    let entry = queue.decide(&transition, policy()).unwrap();
    queue.apply(entry);
}

fn release(queue: &mut Queue, now_unix_ns: i64) {
    let before_unix_ns = now_unix_ns - policy().window_ns;
    queue.apply(Entry { release: Some(Release { before_unix_ns, now_unix_ns }), ..Entry::default() });
}

fn deliver(queue: &mut Queue, count: u64, result: Result) {
    queue.apply(Entry { attempt: Some(count), ..Entry::default() });
    queue.apply(Entry { result: Some(result.into()), ..Entry::default() });
}

fn counts(queue: &Queue) -> Vec<(u64, u64, bool)> {
    queue.waiting().iter().map(|notice| (notice.count, notice.held_back, notice.follows)).collect()
}

/// Detections that wait, in whatever way.
fn wait(queue: &Queue) -> u64 {
    let waiting: u64 = queue.waiting().iter().map(|notice| notice.count).sum();
    waiting + queue.groups().untold() + queue.overflow_detections
}

pub(super) fn balances(queue: &Queue) -> bool {
    let Tally { wanted, told, counted, refused } = queue.tally();
    wanted == told + counted + refused + wait(queue)
}

#[test]
fn the_first_of_a_rule_and_place_is_told_and_those_after_it_as_a_number() {
    let mut queue = Queue::default();
    matches(&mut queue, 1, "a", 1000);
    assert_eq!((counts(&queue), queue.groups().next(1000, 100)), (vec![(1, 2, false)], None));
    for frame in 2..5 {
        matches(&mut queue, frame, "a", 1000 + frame.cast_signed());
    }
    // Another rule, and the same elsewhere.
    matches(&mut queue, 5, "b", 1005);
    let mut other = detected("a", Priority::Warning);
    other.container = None;
    let transition = Transition { at_unix_ns: 1006, ..at(6, Change::Detected(other.into())) };
    queue.apply(queue.decide(&transition, policy()).unwrap());
    assert_eq!((queue.waiting().len(), queue.groups().untold()), (3, 3));
    assert_eq!(queue.groups().next(1050, 100), Some(50));
    release(&mut queue, 1099);
    assert_eq!(queue.waiting().len(), 3);
    release(&mut queue, 1100);
    assert_eq!(counts(&queue)[3], (3, 6, true));
    // A new window has begun; nothing more came, so it ends without a word.
    matches(&mut queue, 7, "a", 1150);
    assert_eq!(queue.groups().untold(), 1);
    release(&mut queue, 1200);
    release(&mut queue, 1300);
    assert_eq!((queue.waiting().len(), queue.groups().all().len()), (5, 0));
    matches(&mut queue, 8, "a", 1301);
    assert_eq!(counts(&queue)[5], (1, 2, false));
    assert!(balances(&queue));
    deliver(&mut queue, 6, Result::Sent);
    assert_eq!(queue.tally(), Tally { wanted: 8, told: 8, counted: 0, refused: 0 });
}

#[test]
fn a_clock_that_was_set_back_keeps_nothing_waiting() {
    let mut queue = Queue::default();
    matches(&mut queue, 1, "a", 9000);
    matches(&mut queue, 2, "a", 10);
    assert_eq!(queue.groups().next(11, 100), Some(0));
    release(&mut queue, 11);
    assert_eq!(queue.waiting().len(), 2);
}

#[test]
fn priority_decides_and_severity_where_there_is_none() {
    let queue = Queue::default();
    let told = |detected: Detected| {
        let change = Change::Detected(detected.into());
        queue.decide(&at(1, change), policy()).unwrap().add.is_some()
    };
    assert!(!told(detected("a", Priority::Informational)));
    assert!(told(detected("a", Priority::Notice)) && told(detected("a", Priority::Emergency)));
    let mut own = detected("a", Priority::Unspecified);
    own.detection.set_severity(Severity::Info);
    assert!(!told(own.clone()));
    own.detection.set_severity(Severity::Low);
    assert!(told(own));
}

#[test]
fn a_full_table_tells_early_and_a_full_queue_counts() {
    let mut queue = Queue::default();
    let most = crate::alert::group::GROUPS;
    for number in 0..most {
        let frame = 2 * number as u64 + 1;
        let at_unix_ns = frame.cast_signed();
        matches(&mut queue, frame, &number.to_string(), at_unix_ns);
        matches(&mut queue, frame + 1, &number.to_string(), at_unix_ns);
    }
    assert_eq!((queue.groups().untold(), queue.groups().early()), (most as u64, 0));
    let next = 2 * most as u64 + 1;
    matches(&mut queue, next, "one more", next.cast_signed());
    assert_eq!(queue.groups().early(), most as u64 / 4);
    assert_eq!(queue.groups().all().len(), most - most / 4 + 1);
    // Early, and in the order in which they came.
    assert_eq!(queue.waiting()[most].detected.as_ref().unwrap().detection.rule, "0");
    assert!(balances(&queue));
    for number in 0..WAITING as u64 {
        matches(&mut queue, next + 1 + number, &format!("r{number}"), next.cast_signed());
    }
    assert_eq!(queue.waiting().len(), WAITING);
    assert!(queue.overflow() > 0 && queue.overflow() == queue.overflow_detections);
    assert!(balances(&queue));
    let overflow = queue.overflow();
    deliver(&mut queue, WAITING as u64, Result::Sent);
    assert_eq!(queue.tally().counted, overflow);
    assert!(balances(&queue));
    queue.apply(Entry { left_out: 5, ..Entry::default() });
    assert!(balances(&queue) && queue.overflow() == 5);
}

#[test]
fn entries_of_a_flood_are_one() {
    let mut queue = Queue::default();
    let mut entries: Vec<Entry> = Vec::new();
    for frame in 1..1000 {
        let rule = if frame % 2 == 0 { "a" } else { "told by nobody" };
        let priority = if frame % 2 == 0 { Priority::Warning } else { Priority::Debug };
        let change = Change::Detected(detected(rule, priority).into());
        let entry = queue.decide(&at(frame, change), policy()).unwrap();
        queue.apply(entry.clone());
        if !entries.last_mut().is_some_and(|last| last.absorb(&entry)) {
            entries.push(entry);
        }
    }
    assert_eq!(entries.len(), 3, "nothing, the first, the others");
    let mut again = Queue::default();
    entries.into_iter().for_each(|entry| again.apply(entry));
    assert_eq!(again.base(), queue.base());
}
