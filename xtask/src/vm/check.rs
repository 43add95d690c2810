//! What a console must show.

use std::collections::HashMap;

/// Over [`Report::row`].
pub(super) const HEADING: &str = "KERNEL                     HOOKS     CONTROLS  READY    VERDICT";

/// What the container of the virtual machine does wrong.
const FAILING: [&str; 5] = ["privileged", "run-as-non-root", "no-new-privileges", "seccomp", "capabilities"];

/// A console, taken apart by the marks that the machine's script prints.
#[derive(Debug)]
pub(super) struct Report<'a> {
    sections: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Report<'a> {
    /// Whatever came before the first mark is the firmware's and the kernel's.
    pub(super) fn parse(console: &'a str) -> Self {
        let mut sections: HashMap<_, Vec<_>> = HashMap::new();
        let mut section = "boot";
        for line in console.lines().map(str::trim_end) {
            section = line.strip_prefix("@@ ").unwrap_or(section);
            sections.entry(section).or_default().push(line);
        }
        Self { sections }
    }

    /// What is not as it should be; nothing of a good run.
    pub(super) fn problems(&self, container: &str) -> Vec<String> {
        if !self.sections.contains_key("end") {
            return vec!["the machine did not come to its end".to_owned()];
        }
        let mut problems = Vec::new();
        if !self.lines("status").contains(&"Health    healthy, ready") {
            problems.push("not healthy and ready".to_owned());
        }
        let (hooks, controls) = (self.states("Hooks"), self.states("Controls"));
        if hooks.is_empty() || controls.is_empty() {
            problems.push("no hooks or no controls".to_owned());
        }
        for (name, state) in hooks.into_iter().chain(controls) {
            // Before 5.11 the kernel does not keep what a filter allows.
            let expected =
                if name == "seccomp" && self.version() < (5, 11) { "DEGRADED" } else { "SUPPORTED" };
            if state != expected {
                problems.push(format!("{name} is {state}"));
            }
        }
        if !self.lines("log").iter().any(|line| line.contains("offset table proved against /proc")) {
            problems.push("offsets not proved".to_owned());
        }
        for control in FAILING {
            let slug = format!("\"slug\":\"{control}\"");
            let container = format!("\"container_id\":\"{container}\"");
            let is_it = |line: &&&str| {
                [slug.as_str(), "\"verdict\":\"FAIL\"", &container].iter().all(|part| line.contains(part))
            };
            if self.lines("findings").iter().find(is_it).is_none() {
                problems.push(format!("no FAIL of {control}"));
            }
        }
        problems
    }

    /// For people.
    pub(super) fn row(&self, series: &str, problems: &[String]) -> String {
        let release = self.machine("release").unwrap_or(series);
        let verdict =
            if problems.is_empty() { "good".to_owned() } else { format!("FAILED: {}", problems.join(", ")) };
        let (hooks, controls) = (self.count("Hooks"), self.count("Controls"));
        let ready =
            self.seconds_to_ready().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"));
        format!("{release:<26} {hooks:<9} {controls:<9} {ready:<8} {verdict}")
    }

    fn lines(&self, section: &str) -> &[&'a str] {
        self.sections.get(section).map_or(&[], Vec::as_slice)
    }

    fn machine(&self, key: &str) -> Option<&'a str> {
        self.lines("machine").iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
    }

    fn version(&self) -> (u32, u32) {
        let mut parts = self.machine("release").unwrap_or_default().split('.').map(|part| part.parse().ok());
        let mut part = || parts.next().flatten().unwrap_or(0);
        (part(), part())
    }

    fn seconds_to_ready(&self) -> Option<f64> {
        let at = |key| self.machine(key)?.parse::<f64>().ok();
        Some(at("ready")? - at("start")?)
    }

    /// Names and states of a table of the agent's coverage: the indented lines under a title.
    fn states(&self, title: &str) -> Vec<(&'a str, &'a str)> {
        let lines = self.lines("status").iter().skip_while(|line| first(line) != Some(title)).skip(1);
        lines
            .take_while(|line| line.starts_with("  "))
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?, words.next()?))
            })
            .collect()
    }

    fn count(&self, title: &str) -> String {
        let states = self.states(title);
        let supported = states.iter().filter(|(_, state)| *state == "SUPPORTED").count();
        format!("{supported} of {}", states.len())
    }
}

fn first(line: &str) -> Option<&str> {
    if line.starts_with(' ') { None } else { line.split_whitespace().next() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(release: &str, seccomp: &str) -> String {
        let findings: Vec<_> = FAILING
            .iter()
            .map(|slug| {
                format!(r#"{{"verdict":"FAIL","control":{{"slug":"{slug}"}},"container_id":"c0ffee"}}"#)
            })
            .collect();
        format!(
            "SeaBIOS\n@@ machine\nrelease {release}\nstart 2.10\nready 5.35\n@@ status\nNode      unknown\n\
             Health    healthy, ready\nHooks     2 of 2 supported\n  sys_exit   SUPPORTED\n  iter/task  SUPPORTED\n\
             Controls  1 of 2 supported\n  entered  SUPPORTED\n  seccomp  {seccomp}\nMissing kernel fields\n  \
             ovl_inode.vfs_inode\n@@ findings\n{}\n@@ log\nINFO offset table proved against /proc\n@@ end\n",
            findings.join("\n")
        )
    }

    #[test]
    fn a_good_console_has_no_problems() {
        let console = console("6.12.117+deb12", "SUPPORTED");
        let report = Report::parse(&console);
        assert_eq!(report.problems("c0ffee"), [""; 0]);
        assert_eq!(report.row("6.12", &[]), "6.12.117+deb12             2 of 2    2 of 2    3.2 s    good");
    }

    #[test]
    fn seccomp_is_degraded_before_5_11_and_only_there() {
        let degraded = "DEGRADED  kernel has no seccomp_filter_allow";
        assert_eq!(Report::parse(&console("5.10.0-46", degraded)).problems("c0ffee"), [""; 0]);
        assert_eq!(
            Report::parse(&console("5.10.0-46", "SUPPORTED")).problems("c0ffee"),
            ["seccomp is SUPPORTED"]
        );
        assert_eq!(Report::parse(&console("6.1.0-53", degraded)).problems("c0ffee"), ["seccomp is DEGRADED"]);
    }

    #[test]
    fn each_lack_is_named() {
        let good = console("6.1.0-53", "SUPPORTED");
        let problems = |text: &str, instead: &str| {
            let console = good.replace(text, instead);
            Report::parse(&console).problems("c0ffee").join(", ")
        };
        assert_eq!(problems("healthy, ready", "healthy, NOT READY"), "not healthy and ready");
        assert_eq!(problems("sys_exit   SUPPORTED", "sys_exit   UNSUPPORTED"), "sys_exit is UNSUPPORTED");
        assert_eq!(problems("proved", "differs"), "offsets not proved");
        assert_eq!(problems("\"slug\":\"privileged\"", ""), "no FAIL of privileged");
        assert_eq!(problems("Hooks ", "Hook "), "no hooks or no controls");
        assert!(problems("c0ffee", "another").starts_with("no FAIL of privileged, no FAIL of"));
    }

    #[test]
    fn a_machine_that_hangs_or_panics_is_not_good() {
        for console in ["", "SeaBIOS\nKernel panic - not syncing", "@@ machine\nrelease 6.1.0-53\n"] {
            assert_eq!(Report::parse(console).problems("c0ffee"), ["the machine did not come to its end"]);
        }
    }
}
