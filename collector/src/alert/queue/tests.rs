//! What is joined, what is told, and that the journal gives it back.

use proptest::prelude::*;

use super::*;
use crate::alert::{
    journal::Journal,
    tests::{at, finding, matched, opened, resolved},
};

mod detections;

fn policy() -> Policy {
    Policy { min_severity: Severity::Low, resolved: true, min_priority: Priority::Notice, window_ns: 100 }
}

fn take(queue: &mut Queue, frame: u64, change: Change) {
    let entry = queue.decide(&at(frame, change), policy());
    queue.apply(entry.unwrap());
}

fn kinds(queue: &Queue) -> Vec<(Kind, u32)> {
    queue.waiting().iter().map(|notice| (notice.kind(), notice.times)).collect()
}

#[test]
fn what_was_not_sent_yet_is_joined() {
    let mut queue = Queue::default();
    take(&mut queue, 1, opened("a"));
    take(&mut queue, 2, Change::Updated(finding("a", Verdict::Drift).into()));
    assert_eq!(kinds(&queue), [(Kind::Opened, 0)]);
    take(&mut queue, 3, resolved("a"));
    take(&mut queue, 4, opened("a"));
    assert_eq!(kinds(&queue), [(Kind::Passed, 1), (Kind::Opened, 0)]);
    take(&mut queue, 5, resolved("a"));
    assert_eq!(kinds(&queue), [(Kind::Passed, 2)]);
    // What may have arrived is left alone.
    take(&mut queue, 6, opened("b"));
    queue.apply(Entry { attempt: Some(2), ..Entry::default() });
    take(&mut queue, 7, resolved("b"));
    assert_eq!(kinds(&queue), [(Kind::Passed, 2), (Kind::Opened, 0), (Kind::Resolved, 0)]);
    // And is joined again when it surely did not.
    queue.apply(Entry { result: Some(Result::Sent.into()), ..Entry::default() });
    assert_eq!((kinds(&queue), queue.totals()), (vec![(Kind::Resolved, 0)], (2, 0)));
}

#[test]
fn a_finding_that_got_its_name_is_not_told_as_over() {
    let mut queue = Queue::default();
    take(&mut queue, 1, opened("unnamed"));
    let mut over = finding("unnamed", Verdict::Fail);
    over.set_state(FindingState::Resolved);
    over.set_resolution(Resolution::Superseded);
    take(&mut queue, 2, Change::Resolved(over.into()));
    assert!(queue.waiting().is_empty() && queue.open().next().is_none());
}

#[test]
fn severity_and_alert_decide() {
    let high = Policy { min_severity: Severity::Critical, ..policy() };
    let queue = Queue::default();
    assert_eq!(queue.decide(&at(1, opened("a")), high).unwrap().add, None);
    let mut listed = finding("a", Verdict::Fail);
    listed.alert = false;
    assert_eq!(queue.decide(&at(1, Change::Opened(listed.into())), policy()).unwrap().add, None);
    for verdict in [Verdict::Unknown, Verdict::Exempt, Verdict::Pass] {
        let change = Change::Opened(finding("a", verdict).into());
        assert_eq!(queue.decide(&at(1, change), policy()).unwrap().add, None);
    }
}

#[test]
fn too_many_are_counted() {
    let mut queue = Queue::default();
    for number in 0..WAITING as u64 + 7 {
        // Distinct, and without a search through all.
        let entry = queue.decide(&at(number + 1, opened(&number.to_string())), policy()).unwrap();
        if number < 100 || number >= WAITING as u64 {
            queue.apply(entry);
        } else {
            queue.waiting.push_back(entry.add.unwrap());
        }
    }
    assert_eq!((queue.waiting().len(), queue.overflow()), (WAITING, 7));
    queue.apply(Entry { attempt: Some(10), ..Entry::default() });
    take(&mut queue, 999_999, opened("one more"));
    assert_eq!(queue.overflow(), 7);
    queue.apply(Entry { result: Some(Result::Sent.into()), ..Entry::default() });
    assert_eq!(queue.overflow(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    Over(u8),
    Match(u8),
    Release,
    Attempt(u64),
    End(Result),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4_u8).prop_map(Step::Open),
        2 => (0..4_u8).prop_map(Step::Over),
        4 => (0..3_u8).prop_map(Step::Match),
        1 => Just(Step::Release),
        2 => (1..4_u64).prop_map(Step::Attempt),
        2 => (0..3_i32).prop_map(|result| Step::End(Result::try_from(result).unwrap())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Wherever the file is cut, what is left is a queue as it was at some moment.
    #[test]
    fn a_journal_gives_back_the_queue(steps in prop::collection::vec(step(), 0..24), cut in any::<prop::sample::Index>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slack.journal");
        let opened_journal = Journal::open(&path);
        let (mut journal, mut queue) = (opened_journal.journal, opened_journal.queue);
        let mut moments = vec![queue.base()];
        for (frame, step) in steps.into_iter().enumerate() {
            let frame = frame as u64 + 1;
            let entry = match step {
                Step::Open(id) => queue.decide(&at(frame, opened(&id.to_string())), policy()),
                Step::Over(id) => queue.decide(&at(frame, resolved(&id.to_string())), policy()),
                Step::Match(id) => {
                    let at_unix_ns = 40 * frame.cast_signed();
                    let transition = Transition { at_unix_ns, ..at(frame, matched(&id.to_string())) };
                    queue.decide(&transition, policy())
                }
                Step::Release => {
                    let now_unix_ns = 40 * frame.cast_signed();
                    let release = Release { before_unix_ns: now_unix_ns - policy().window_ns, now_unix_ns };
                    Some(Entry { release: Some(release), ..Entry::default() })
                }
                Step::Attempt(count) => Some(Entry { attempt: Some(count), ..Entry::default() }),
                Step::End(result) => Some(Entry { result: Some(result.into()), ..Entry::default() }),
            };
            let entry = entry.unwrap();
            queue.apply(entry.clone());
            journal.append(&[entry], &queue);
            moments.push(queue.base());
            prop_assert!(detections::balances(&queue), "{:?}", queue.tally());
        }
        drop(journal);
        let sorted = |entry: &Entry| {
            let mut base = entry.base.clone().unwrap();
            base.open.sort_by(|one, other| one.finding.cmp(&other.finding));
            base
        };
        let bytes = std::fs::read(&path).unwrap();
        let whole = Journal::open(&path);
        prop_assert_eq!(sorted(&whole.queue.base()), sorted(&queue.base()));
        prop_assert!(!whole.damaged);
        std::fs::write(&path, &bytes[..cut.index(bytes.len() + 1)]).unwrap();
        let torn = sorted(&Journal::open(&path).queue.base());
        prop_assert!(moments.iter().any(|moment| sorted(moment) == torn));
    }
}
