//! What the kernel tests have printed: libtest's form, with what tests that passed had to say.

use std::collections::BTreeMap;

use super::console::Console;

/// Lines that are shown of a failed test: the end, where the panic is.
const SHOWN: usize = 20;
/// Exit codes of a program that was ended because its time was over.
const OUT_OF_TIME: [i32; 3] = [124, 137, 143];

/// The results of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Results {
    /// Tests that ran through.
    pub(super) passed: usize,
    /// Names, and what they printed last.
    pub(super) failed: Vec<(String, Vec<String>)>,
    /// Names and reasons: by attribute, or a line `skipped: REASON`.
    pub(super) skipped: Vec<(String, String)>,
    /// Why these are not all.
    pub(super) unfinished: Option<String>,
    /// Instructions that the verifier walked, by program: a line `verified PROGRAM COUNT`.
    pub(super) verified: BTreeMap<String, u32>,
}

impl Results {
    /// Of a section of a console.
    pub(super) fn of(console: &Console<'_>, section: &str) -> Self {
        let output = Output::parse(console.lines(section));
        let mut results = Self::default();
        for &(name, state) in &output.started {
            if let Some(reason) = state.strip_prefix("ignored") {
                results.skipped.push((name.to_owned(), reason.trim_start_matches(", ").to_owned()));
            }
        }
        let mut skips = 0;
        for (&name, lines) in &output.printed {
            if output.failed.contains(&name) {
                let shown = &lines[lines.len().saturating_sub(SHOWN)..];
                results.failed.push((name.to_owned(), shown.iter().map(|&line| line.to_owned()).collect()));
                continue;
            }
            for line in lines {
                if let Some(reason) = line.strip_prefix("skipped: ") {
                    results.skipped.push((name.to_owned(), reason.to_owned()));
                    skips += 1;
                }
                if let Some((program, count)) = verified(line) {
                    results.verified.insert(program.to_owned(), count);
                }
            }
        }
        results.passed = output.passed.unwrap_or(0).saturating_sub(skips);
        results.unfinished = output.unfinished(console.exit(section));
        if results == Self::default() {
            results.unfinished = Some("there is none of that name".to_owned());
        }
        results
    }

    /// For people.
    pub(super) fn summary(&self) -> String {
        let counts =
            [(self.passed, "passed"), (self.failed.len(), "failed"), (self.skipped.len(), "skipped")];
        let mut parts: Vec<_> = counts
            .iter()
            .filter(|(count, what)| *count > 0 || *what == "passed")
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        parts.extend(self.unfinished.is_some().then(|| "unfinished".to_owned()));
        parts.join(", ")
    }
}

/// libtest's lines by their meaning.
#[derive(Default)]
struct Output<'a> {
    /// Names, and what follows on their line.
    started: Vec<(&'a str, &'a str)>,
    printed: BTreeMap<&'a str, Vec<&'a str>>,
    failed: Vec<&'a str>,
    /// Of the last line, which counts those that skipped themselves too.
    passed: Option<usize>,
}

impl<'a> Output<'a> {
    fn parse(lines: &[&'a str]) -> Self {
        let mut output = Self::default();
        let (mut test, mut in_failures) = (None, false);
        for &line in lines {
            let heading = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"));
            if let Some(name) = heading {
                test = Some(name);
                output.printed.entry(name).or_default();
            } else if line == "successes:" || line == "failures:" {
                test = None;
                in_failures = line == "failures:";
            } else if let Some(result) = line.strip_prefix("test result: ") {
                test = None;
                output.passed = result
                    .split_whitespace()
                    .zip(result.split_whitespace().skip(1))
                    .find(|(_, what)| *what == "passed;")
                    .and_then(|(count, _)| count.parse().ok());
            } else if let Some(name) = test {
                if !line.is_empty() && !line.starts_with("note: run with") {
                    output.printed.entry(name).or_default().push(line);
                }
            } else if let Some(name) = line.strip_prefix("    ").filter(|_| in_failures) {
                output.failed.push(name);
            } else if let Some(started) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... "))
            {
                output.started.push(started);
            } else if let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ...")) {
                output.started.push((name, ""));
            }
        }
        output
    }

    fn unfinished(&self, exit: Option<i32>) -> Option<String> {
        if self.passed.is_some() {
            return None;
        }
        let place = match self.started.last() {
            Some((name, _)) => format!("in {name}"),
            None => "before the first test".to_owned(),
        };
        Some(match exit {
            Some(code) if OUT_OF_TIME.contains(&code) => format!("out of time {place}"),
            Some(code) => format!("ended {place} with exit code {code}"),
            None => format!("the machine stopped {place}"),
        })
    }
}

fn verified(line: &str) -> Option<(&str, u32)> {
    let (program, count) = line.strip_prefix("verified ")?.split_once(' ')?;
    Some((program, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "@@ tests

running 5 tests
test exec::life ... ok
test exec::never ... ignored, needs two machines
test net::vsock ... ok
test restart::adopts ... stray output of a child
FAILED
test verified::each ... ok

successes:

---- net::vsock stdout ----
skipped: no vsock here

---- verified::each stdout ----
verified sys_exit 812
verified sys_exit_files 70123
verified odd


successes:
    exec::life
    net::vsock
    verified::each

failures:

---- restart::adopts stdout ----

thread 'restart::adopts' (61) panicked at agent/tests/kernel/restart.rs:33:5:
assertion `left == right` failed
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    restart::adopts

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 3.10s
@@ end of tests
exit 101
@@ end
";

    fn results(text: &str) -> Results {
        Results::of(&Console::parse(text), "tests")
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn results_are_told_apart() {
        let results = results(OUTPUT);
        assert_eq!(results.passed, 2);
        let skipped = [pair("exec::never", "needs two machines"), pair("net::vsock", "no vsock here")];
        assert_eq!(results.skipped, skipped);
        assert_eq!(results.unfinished, None);
        let verified = [("sys_exit".to_owned(), 812), ("sys_exit_files".to_owned(), 70_123)];
        assert_eq!(results.verified, verified.into());
        assert_eq!(results.summary(), "2 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_failure_comes_with_its_panic() {
        let results = results(OUTPUT);
        let [(name, lines)] = &results.failed[..] else { panic!("one failure") };
        assert_eq!(name, "restart::adopts");
        assert!(lines[0].contains("panicked at agent/tests/kernel/restart.rs:33:5"));
        assert_eq!(lines[1..], ["assertion `left == right` failed", "  left: 1", " right: 2"]);
    }

    #[test]
    fn an_end_before_the_end_is_told() {
        let cut = &OUTPUT[..OUTPUT.find("stray").unwrap()];
        let unfinished = |end: &str| results(&format!("{cut}\n{end}")).unfinished.unwrap();
        assert_eq!(unfinished("@@ end of tests\nexit 143"), "out of time in restart::adopts");
        assert_eq!(unfinished("@@ end of tests\nexit 139"), "ended in restart::adopts with exit code 139");
        assert_eq!(unfinished(""), "the machine stopped in restart::adopts");
        let results = results("@@ tests\nsh: kernel-tests: not found\n@@ end of tests\nexit 127");
        assert_eq!(results.unfinished.as_deref(), Some("ended before the first test with exit code 127"));
        assert_eq!(results.summary(), "0 passed, unfinished");
    }

    #[test]
    fn no_test_is_no_success() {
        let results = results(
            "@@ tests\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed\n@@ end of tests\nexit 0",
        );
        assert_eq!(results.unfinished.as_deref(), Some("there is none of that name"));
    }
}
