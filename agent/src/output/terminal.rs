//! The live view: one line a change of a finding.

use std::fmt::Write as _;

use crate::posture::{Change, ChangeKind, FindingReport, Subject, Verdict};
use inert::{columns_of, fit, inert, push_inert};

/// Columns of the line; place and evidence share what is left.
const TIME: usize = 8;
const VERDICT: usize = 8;
const CONTROL: usize = 17;
const GAP: &str = "  ";
const MOST_PLACE: usize = 44;

/// How the view looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub color: bool,
    /// Columns of the terminal; lines end there. `None`: as long as they are, up to
    /// [`Look::WIDEST`].
    pub columns: Option<usize>,
}

impl Look {
    /// Longest line where there is no terminal that bounds it.
    pub const WIDEST: usize = 400;

    /// As the environment asks for: colours only on a terminal, and never under `NO_COLOR`.
    #[must_use]
    pub fn of_environment(is_terminal: bool, columns: Option<usize>) -> Self {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { color: is_terminal && !is_plain, columns: columns.filter(|_| is_terminal) }
    }

    /// Columns for the place and for the evidence.
    fn shares(self) -> (usize, usize) {
        let taken = TIME + VERDICT + CONTROL + 4 * GAP.len();
        let left = self.columns.unwrap_or(Self::WIDEST).saturating_sub(taken);
        let place = (left * 2 / 5).min(MOST_PLACE);
        (place, left - place)
    }
}

/// Names of the columns.
#[must_use]
pub fn header(look: Look) -> String {
    let (place_columns, evidence_columns) = look.shares();
    let mut line = String::new();
    cell(&mut line, "TIME", TIME);
    cell(&mut line, "VERDICT", VERDICT);
    cell(&mut line, "CONTROL", CONTROL);
    cell(&mut line, "NAMESPACE/POD/CONTAINER", place_columns);
    line.push_str(&fit("EVIDENCE", evidence_columns));
    line
}

/// A change as one line, without its newline. Nothing in it can move the cursor.
#[must_use]
pub fn line(change: &Change, look: Look) -> String {
    let finding = &change.finding;
    let (place_columns, evidence_columns) = look.shares();
    let (word, color) = match change.kind {
        ChangeKind::Resolved(_) => ("RESOLVED", "\x1b[32m"),
        ChangeKind::Open | ChangeKind::Updated => (finding.verdict.as_str(), color_of(finding.verdict)),
    };
    let mut line = String::new();
    cell(&mut line, change.at.rfc3339().get(11..19).unwrap_or_default(), TIME);
    if look.color {
        line.push_str(color);
        line.push_str(&fit(word, VERDICT));
        line.push_str("\x1b[0m");
        pad(&mut line, word, VERDICT);
    } else {
        cell(&mut line, word, VERDICT);
    }
    cell(&mut line, finding.control.slug(), CONTROL);
    cell(&mut line, &place(finding, place_columns), place_columns);
    line.push_str(&fit(&evidence(change), evidence_columns));
    line
}

const fn color_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Drift => "\x1b[1;31m",
        Verdict::Fail => "\x1b[31m",
        Verdict::Unknown => "\x1b[33m",
        Verdict::Exempt => "\x1b[36m",
        Verdict::Pass => "\x1b[32m",
    }
}

fn cell(line: &mut String, text: &str, columns: usize) {
    let fitted = fit(text, columns);
    line.push_str(&fitted);
    pad(line, &fitted, columns);
}

fn pad(line: &mut String, text: &str, columns: usize) {
    let used = text.chars().map(columns_of).sum();
    line.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    line.push_str(GAP);
}

/// A name longer than its share of the column gives way to the others.
fn place(finding: &FindingReport, columns: usize) -> String {
    match (&finding.subject, finding.names.as_deref()) {
        (Subject::Node, _) => "(the node)".to_owned(),
        (Subject::Container(id), _) => {
            format!("container {} (name PENDING)", inert(id.get(..12).unwrap_or(id)))
        }
        (Subject::Workload { namespace, name, container, .. }, names) => {
            // The pod of one replica, or the workload's name where it is not known.
            let pod = names.map_or(name, |names| &names.pod);
            let mut parts = [namespace, pod, container].map(inert);
            let width = |text: &String| text.chars().map(columns_of).sum::<usize>();
            while parts.iter().map(width).sum::<usize>() + 2 > columns {
                let Some(widest) = parts.iter_mut().max_by_key(|part| width(part)) else { break };
                if width(widest) <= 1 {
                    break;
                }
                *widest = fit(widest, width(widest) - 1);
            }
            parts.join("/")
        }
    }
}

fn evidence(change: &Change) -> String {
    let finding = &change.finding;
    let mut text = String::new();
    // Writing to a string does not fail.
    if let ChangeKind::Resolved(resolution) = change.kind {
        let _ = write!(text, "{}: was {}, ", resolution.as_str(), finding.verdict);
    }
    let Some(first) = finding.instances.first() else {
        text.push_str("no task left");
        return text;
    };
    if let Some(reason) = first.unknown.filter(|_| finding.verdict == Verdict::Unknown) {
        let _ = write!(text, "{}: ", reason.as_str());
    }
    push_inert(&mut text, first.explanation.observed.as_bytes());
    if let Some(declared) = &first.explanation.declared {
        text.push_str(" (declared ");
        push_inert(&mut text, declared.as_bytes());
        text.push(')');
    }
    if first.container.is_some() {
        text.push_str(", ");
        push_inert(&mut text, &first.exe);
        let _ = write!(text, " pid {}", first.process.tgid);
    }
    let more = finding.more_instances + finding.instances.len() as u64 - 1;
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    if let Some(exemption) = &finding.exemption {
        text.push_str(", exempt: ");
        push_inert(&mut text, exemption.owner.as_bytes());
        text.push_str(", ");
        push_inert(&mut text, exemption.reason.as_bytes());
        if let Some(expires) = exemption.expires {
            let _ = write!(text, ", until {expires}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::testing::{hostile_change, plain_change};
    use inert::is_hostile;

    const PLAIN: Look = Look { color: false, columns: None };

    #[test]
    fn reads_like_a_table() {
        let shown = format!("{}\n{}\n", header(PLAIN), line(&plain_change(), PLAIN));
        assert_eq!(
            shown,
            "\
TIME      VERDICT   CONTROL            NAMESPACE/POD/CONTAINER                       EVIDENCE
12:34:56  DRIFT     run-as-non-root    shop/web-abc/main                             uid 0 (declared runAsUser 101), /usr/bin/server pid 100
"
        );
    }

    #[test]
    fn hostile_names_do_nothing() {
        let shown = line(&hostile_change(), PLAIN);
        assert!(!shown.chars().any(is_hostile), "{shown:?}");
        assert_eq!(
            shown,
            "12:34:56  DRIFT     run-as-non-root    \
             s\\x1b[2J/web\\u{202e}cba-abc/m\\x0a12:00  PASS  uid 0 (declared runAsUser 101), \
             /tmp/\\x1b]0;owned\\x07\\xff pid 100"
        );
    }

    #[test]
    fn never_wider_than_the_terminal() {
        for columns in [60, 80, 120, 200] {
            let look = Look { color: false, columns: Some(columns) };
            for change in [plain_change(), hostile_change()] {
                let shown = line(&change, look);
                assert!(shown.chars().map(columns_of).sum::<usize>() <= columns, "{shown}");
            }
        }
    }

    #[test]
    fn colour_is_the_only_escape() {
        let shown = line(&hostile_change(), Look { color: true, columns: None });
        assert_eq!(shown.matches('\x1b').count(), 2);
        assert!(shown.contains("\x1b[1;31mDRIFT\x1b[0m     run-as-non-root"));
        assert!(!Look::of_environment(false, Some(80)).color);
    }
}
