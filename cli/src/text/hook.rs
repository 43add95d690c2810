//! What the hooks of each node counted, and whether it adds up.

use inert::inert;
use kestrel_proto::v1;

use crate::look::{Cell, Paint, Table};

/// Runs that are in none of the sums. Of a kernel at work some are under way; less than none is no
/// account.
fn open(hook: &v1::HookCounters) -> i128 {
    let v1::HookCounters {
        seen, submitted, lost, filtered, handed_on, tail_failed, throttled, errors, ..
    } = hook;
    let known = [submitted, lost, filtered, throttled, errors, handed_on, tail_failed];
    i128::from(*seen) - known.into_iter().map(|count| i128::from(*count)).sum::<i128>()
}

/// A line for each hook that ran; `is_wide`: for all.
#[must_use]
pub fn table(nodes: &[v1::Node], is_wide: bool) -> Table {
    let mut table = Table::new(&[
        "NODE",
        "HOOK",
        "SEEN",
        "SUBMITTED",
        "FILTERED",
        "THROTTLED",
        "LOST",
        "ERRORS",
        "HANDED ON",
        "TAIL FAILED",
        "OPEN",
        "SHRUNK",
        "RECURSION",
    ]);
    let number = |count: u64, paint: Paint| {
        Cell::painted(count.to_string(), if count > 0 { paint } else { Paint::Plain })
    };
    for node in nodes {
        for hook in node.heartbeat.iter().flat_map(|heartbeat| &heartbeat.hooks) {
            if hook.seen == 0 && hook.recursion_misses == 0 && !is_wide {
                continue;
            }
            let open = open(hook);
            table.row(vec![
                inert(&node.name).into(),
                inert(&hook.hook).into(),
                hook.seen.to_string().into(),
                hook.submitted.to_string().into(),
                hook.filtered.to_string().into(),
                number(hook.throttled, Paint::Warn),
                number(hook.lost, Paint::Worst),
                number(hook.errors, Paint::Bad),
                hook.handed_on.to_string().into(),
                number(hook.tail_failed, Paint::Worst),
                Cell::painted(open.to_string(), if open < 0 { Paint::Worst } else { Paint::Plain }),
                number(hook.shrunk, Paint::Warn),
                number(hook.recursion_misses, Paint::Worst),
            ]);
        }
    }
    table
}
