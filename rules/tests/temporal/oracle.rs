//! The tracker against the whole past, looked through anew for each event.

use proptest::prelude::*;
use rules::temporal::Limits;
use serde_json::json;

use super::Held;

/// An event: second, which kind, process, its parent's process, what it names.
type Event = (u64, usize, u64, u64, u8);

const KINDS: [&str; 4] = ["connect", "chmod", "execve", "openat"];
const WITHIN: u64 = 10;

/// Events in the order of time.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (0..4_u64, 0..KINDS.len(), 1..6_u64, 1..6_u64, 0..4_u8);
    prop::collection::vec(one, 1..60).prop_map(|mut all| {
        let mut now = 0;
        for event in &mut all {
            now += event.0;
            event.0 = now;
        }
        all
    })
}

fn fields(&(_, kind, pid, parent, name): &Event) -> serde_json::Value {
    json!({"evt.type": KINDS[kind], "proc.pid": pid, "proc.apid": [parent], "container.id": (pid % 2).to_string(),
        "fd.name": name.to_string()})
}

/// Whether the last of these events is the third of as many within the time, all since the last match.
fn counted(past: &[Event], is_distinct: bool) -> bool {
    let Some(last) = past.last() else { return false };
    let of_key = |event: &&Event| KINDS[event.1] == "openat" && event.2 % 2 == last.2 % 2;
    let in_time: Vec<_> =
        past.iter().filter(of_key).filter(|event| last.0 - event.0 < WITHIN).map(|event| event.4).collect();
    let values: std::collections::BTreeSet<_> = in_time.iter().collect();
    (if is_distinct { values.len() } else { in_time.len() }) >= 3
}

/// Whether the last of these events ends a sequence that began in its process or its parent.
fn chained(past: &[Event]) -> Vec<u64> {
    let Some((last, before)) = past.split_last() else { return Vec::new() };
    let roots = [last.2, last.3];
    let is_in = |event: &Event, root: u64| event.2 == root || event.3 == root;
    let ends = |root: u64| {
        before.iter().enumerate().any(|(at, first)| {
            KINDS[first.1] == "connect"
                && first.2 == root
                && last.0 - first.0 < WITHIN
                && before[at + 1..].iter().any(|second| KINDS[second.1] == "chmod" && is_in(second, root))
        })
    };
    roots.into_iter().filter(|&root| ends(root)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn counts_are_those_of_the_whole_past(events in events(), is_distinct in any::<bool>()) {
        let distinct = if is_distinct { ", distinct: fd.name" } else { "" };
        let text = format!(
            "- {{kestrel_rule: r, desc: d, condition: evt.type = openat, output: o, priority: INFO,\n   \
             count: {{at_least: 3, within: {WITHIN}s, by: container.id{distinct}}}}}\n"
        );
        let mut held = Held::new(&text, Limits::default());
        // Of each container since its last match.
        let mut past = [Vec::new(), Vec::new()];
        for event in &events {
            let fired = !held.take(event.0, fields(event)).is_empty();
            let own = &mut past[(event.2 % 2) as usize];
            own.push(*event);
            let expected = KINDS[event.1] == "openat" && counted(own, is_distinct);
            prop_assert_eq!(fired, expected, "{:?}", event);
            if fired {
                own.clear();
            }
        }
    }

    #[test]
    fn sequences_are_those_of_the_whole_past(events in events()) {
        let text = format!(
            "- {{kestrel_rule: r, desc: d, condition: evt.type = execve, output: o, priority: INFO,\n   \
             after: {{within: {WITHIN}s, steps: [evt.type = connect, evt.type = chmod]}}}}\n"
        );
        let mut held = Held::new(&text, Limits::default());
        let mut past: Vec<Event> = Vec::new();
        // A match ends what began in these processes.
        for event in &events {
            let fired = !held.take(event.0, fields(event)).is_empty();
            past.push(*event);
            let roots = if KINDS[event.1] == "execve" { chained(&past) } else { Vec::new() };
            prop_assert_eq!(fired, !roots.is_empty(), "{:?} of {:?}", event, past);
            past.retain(|before| KINDS[before.1] != "connect" || !roots.contains(&before.2));
        }
    }
}
