//! What is told of the machines at the end.

use std::fmt::Write as _;

use super::{TAIL, console::Console, qemu::Boot, results::Results};

const HEADING: [&str; 8] = ["KERNEL", "MACHINE", "AGENT", "HOOKS", "CONTROLS", "READY", "TESTS", "SECONDS"];

/// One machine.
#[derive(Debug)]
pub(super) struct Row {
    kernel: String,
    /// Which of those with this kernel.
    machine: String,
    pub(super) hooks: String,
    pub(super) controls: String,
    agent: &'static str,
    ready: String,
    tests: String,
    seconds: String,
    /// What is not as it should be.
    problems: Vec<String>,
    /// What was not tested.
    skipped: Vec<String>,
}

impl Row {
    /// Of a machine, by the kernel it says it runs.
    pub(super) fn new(console: &Console<'_>, boot: &Boot, series: &str, machine: &str) -> Self {
        let ready = console.seconds("machine", "start", "ready");
        let mut row = Self {
            kernel: console.release().unwrap_or(series).to_owned(),
            machine: machine.to_owned(),
            hooks: "-".to_owned(),
            controls: "-".to_owned(),
            agent: "-",
            ready: ready.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s")),
            tests: "-".to_owned(),
            seconds: boot.took.as_secs().to_string(),
            problems: Vec::new(),
            skipped: Vec::new(),
        };
        if !console.is_whole() {
            let lines = boot.report.lines().chain(boot.console.lines()).collect::<Vec<_>>();
            let tail = indented(&lines[lines.len().saturating_sub(TAIL)..]);
            row.problems.push(format!("the machine did not come to its end:{tail}"));
        }
        row
    }

    /// The agent's part.
    pub(super) fn judge(&mut self, problems: Vec<String>) {
        self.agent = if problems.is_empty() { "good" } else { "FAILED" };
        self.problems.extend(problems);
    }

    /// The results of a run of the kernel tests.
    pub(super) fn add(&mut self, results: Results) {
        self.tests = results.summary();
        let Results { passed: _, failed, skipped, unfinished, verified: _ } = results;
        for (name, lines) in failed {
            self.problems.push(format!("test {name}:{}", indented(&lines)));
        }
        let unfinished =
            unfinished.map(|reason| format!("the kernel tests did not come to their end: {reason}"));
        self.problems.extend(unfinished);
        self.skipped.extend(skipped.into_iter().map(|(name, reason)| format!("{name}: {reason}")));
    }

    fn cells(&self) -> [String; 8] {
        let Self { kernel, machine, hooks, controls, agent, ready, tests, seconds, problems: _, skipped: _ } =
            self;
        [kernel, machine, *agent, hooks, controls, ready, tests, seconds].map(str::to_owned)
    }

    /// Which one it is.
    fn name(&self) -> String {
        format!("{} {}", self.kernel, self.machine)
    }
}

/// All machines.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// Series, and why there is no kernel of them.
    missing: Vec<(String, String)>,
}

impl Table {
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// A series that is not to be had.
    pub(super) fn skip(&mut self, series: &str, reason: &str) {
        self.missing.push((series.to_owned(), reason.to_owned()));
    }

    /// Nothing run is nothing proved.
    pub(super) fn is_good(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.problems.is_empty())
    }

    /// The table, and below it what it has no room for.
    pub(super) fn render(&self) -> String {
        let mut cells = vec![HEADING.map(str::to_owned)];
        cells.extend(self.rows.iter().map(Row::cells));
        let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let mut text = String::new();
        for row in &cells {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                // Writing to a String does not fail.
                let _ = write!(line, "{cell:<width$}  ", width = width(column));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for (series, reason) in &self.missing {
            let _ = writeln!(text, "{series}: SKIPPED: {reason}");
        }
        for row in &self.rows {
            for skipped in &row.skipped {
                let _ = writeln!(text, "{}: skipped {skipped}", row.name());
            }
        }
        for row in &self.rows {
            for problem in &row.problems {
                let _ = writeln!(text, "{}: FAILED: {problem}", row.name());
            }
        }
        text
    }
}

fn indented(lines: &[impl AsRef<str>]) -> String {
    lines.iter().map(|line| format!("\n    {}", line.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(report: &str) -> Row {
        let boot =
            Boot { report: report.to_owned(), console: "Oops".to_owned(), took: Duration::from_secs(34) };
        Row::new(&Console::parse(report), &boot, "6.1", "portable")
    }

    const GOOD: &str = "@@ machine\nrelease 6.1.0-56\nstart 1.0\nready 3.75\n@@ end\n";

    #[test]
    fn a_good_machine_is_one_line() {
        let mut good = row(GOOD);
        good.judge(Vec::new());
        good.add(Results { passed: 21, ..Results::default() });
        let mut table = Table::default();
        table.push(good);
        assert!(table.is_good());
        assert_eq!(
            table.render(),
            "KERNEL    MACHINE   AGENT  HOOKS  CONTROLS  READY  TESTS      SECONDS\n\
             6.1.0-56  portable  good   -      -         2.8 s  21 passed  34\n"
        );
    }

    #[test]
    fn what_failed_and_what_did_not_run_is_named() {
        let mut bad = row(GOOD);
        bad.judge(vec!["no FAIL of seccomp".to_owned()]);
        bad.add(Results {
            failed: vec![("exec::life".to_owned(), vec!["panicked at exec.rs".to_owned()])],
            skipped: vec![("net::vsock".to_owned(), "no vsock".to_owned())],
            unfinished: Some("out of time in exec::flood".to_owned()),
            ..Results::default()
        });
        let mut table = Table::default();
        table.push(bad);
        table.skip("5.10", "no mirror");
        assert!(!table.is_good());
        let text = table.render();
        for line in [
            "5.10: SKIPPED: no mirror",
            "6.1.0-56 portable: skipped net::vsock: no vsock",
            "6.1.0-56 portable: FAILED: no FAIL of seccomp",
            "6.1.0-56 portable: FAILED: test exec::life:",
            "    panicked at exec.rs",
            "6.1.0-56 portable: FAILED: the kernel tests did not come to their end: out of time in exec::flood",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_machine_that_stopped_shows_its_last_words() {
        let mut table = Table::default();
        table.push(row("@@ machine\nrelease 6.1.0-56\n"));
        assert!(
            table
                .render()
                .ends_with("did not come to its end:\n    @@ machine\n    release 6.1.0-56\n    Oops\n")
        );
    }

    #[test]
    fn nothing_run_is_nothing_proved() {
        let mut table = Table::default();
        table.skip("5.10", "no mirror");
        assert!(!table.is_good());
    }
}
