//! What the agent must say in a machine.

use super::{Tier, console::Console};

/// What the container of the virtual machine does wrong.
const FAILING: [&str; 5] = ["privileged", "run-as-non-root", "no-new-privileges", "seccomp", "capabilities"];

/// What is not as it should be where the agent can see; nothing of a good run.
pub(super) fn problems(console: &Console<'_>, tier: Tier, container: &str) -> Vec<String> {
    let mut problems = Vec::new();
    // Behind it stands what it means on this kernel.
    let told = console.value("status", "Tier").and_then(|told| told.trim().split(':').next());
    if told != Some(&tier.to_string()) {
        // The reason why it cannot be had is among them.
        let said = console.lines("log").iter().filter(|line| line.contains("hooks: "));
        let said: String = said.map(|line| format!(": {line}")).collect();
        problems.push(format!("the agent does not have the {tier} tier{said}"));
    }
    let is_healthy = console.lines("status").contains(&"Health    healthy, ready");
    if !is_healthy || console.exit("status") != Some(0) {
        problems.push("the agent is not healthy and ready".to_owned());
    }
    if console.exit("agent") != Some(0) {
        problems.push("the agent did not end well when told to".to_owned());
    }
    let (hooks, controls) = (states(console, "Hooks"), states(console, "Controls"));
    if hooks.is_empty() || controls.is_empty() {
        problems.push("no hooks or no controls".to_owned());
    }
    for (name, state) in hooks.into_iter().chain(controls) {
        // Before 5.11 the kernel does not keep what a filter allows, its types do not say what many calls are
        // given, and those of modules (overlayfs) are not told.
        let is_poorer = ["seccomp", "runtime-drift", "fexit"].contains(&name) && console.version() < (5, 11);
        let expected = if is_poorer { "DEGRADED" } else { "SUPPORTED" };
        if state != expected {
            problems.push(format!("{name} is {state}"));
        }
    }
    if !console.lines("log").iter().any(|line| line.contains("offset table proved against /proc")) {
        problems.push("offsets not proved".to_owned());
    }
    for control in FAILING {
        let slug = format!("\"slug\":\"{control}\"");
        let container = format!("\"container_id\":\"{container}\"");
        let is_it =
            |line: &&str| [&slug, "\"verdict\":\"FAIL\"", &container].iter().all(|part| line.contains(part));
        if !console.lines("findings").iter().any(is_it) {
            problems.push(format!("no FAIL of {control}"));
        }
    }
    problems
}

/// The same for a kernel that lets no program read its memory: the agent must say so, and not look well.
pub(super) fn problems_when_blind(console: &Console<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    if !console.value("machine", "lockdown").is_some_and(|mode| mode.contains("[confidentiality]")) {
        problems.push("the kernel is not locked down".to_owned());
    }
    if !matches!(console.exit("status"), Some(1..)) {
        problems.push("the agent looks healthy while it is blind".to_owned());
    }
    if !console.lines("findings").is_empty() {
        problems.push("the agent judges what it cannot see".to_owned());
    }
    if !console.lines("log").iter().any(|line| line.contains("lockdown")) {
        problems.push("the agent does not say that the lockdown blinds it".to_owned());
    }
    problems
}

/// `10 of 10`: how many of a table of the agent's coverage are supported.
pub(super) fn supported(console: &Console<'_>, title: &str) -> String {
    let states = states(console, title);
    if states.is_empty() {
        return "-".to_owned();
    }
    let supported = states.iter().filter(|(_, state)| *state == "SUPPORTED").count();
    format!("{supported} of {}", states.len())
}

/// Names and states of such a table: the indented lines under a title.
fn states<'a>(console: &Console<'a>, title: &str) -> Vec<(&'a str, &'a str)> {
    let lines = console.lines("status").iter().skip_while(|line| first(line) != Some(title)).skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect()
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
            "@@ machine\nrelease {release}\n@@ status\nNode      unknown\nHealth    healthy, ready\n\
             Tier      enhanced: 77 functions have a program\n\
             Hooks     2 of 2 supported\n  sys_exit   SUPPORTED\n  iter/task  SUPPORTED\n\
             Controls  1 of 2 supported\n  entered  SUPPORTED\n  seccomp  {seccomp}\nMissing kernel fields\n  \
             ovl_inode.vfs_inode\n@@ end of status\nexit 0\n@@ findings\n{}\n@@ end of agent\nexit 0\n\
             @@ log\nINFO offset table proved against /proc\n@@ end\n",
            findings.join("\n")
        )
    }

    fn problems_of(text: &str) -> String {
        problems(&Console::parse(text), Tier::Enhanced, "c0ffee").join(", ")
    }

    #[test]
    fn a_good_console_has_no_problems() {
        let text = console("6.12.117+deb12", "SUPPORTED");
        assert_eq!(problems_of(&text), "");
        let console = Console::parse(&text);
        assert_eq!(supported(&console, "Hooks"), "2 of 2");
        assert_eq!(supported(&console, "Rings"), "-");
    }

    #[test]
    fn seccomp_is_degraded_before_5_11_and_only_there() {
        let degraded = "DEGRADED  kernel has no seccomp_filter_allow";
        assert_eq!(problems_of(&console("5.10.0-46", degraded)), "");
        assert_eq!(problems_of(&console("5.10.0-46", "SUPPORTED")), "seccomp is SUPPORTED");
        assert_eq!(problems_of(&console("6.1.0-53", degraded)), "seccomp is DEGRADED");
    }

    #[test]
    fn each_lack_is_named() {
        let good = console("6.1.0-53", "SUPPORTED");
        let problems = |text: &str, instead: &str| problems_of(&good.replace(text, instead));
        assert_eq!(problems("healthy, ready", "healthy, NOT READY"), "the agent is not healthy and ready");
        assert_eq!(problems("status\nexit 0", "status\nexit 1"), "the agent is not healthy and ready");
        assert_eq!(problems("agent\nexit 0", "agent\nexit 101"), "the agent did not end well when told to");
        assert_eq!(problems("sys_exit   SUPPORTED", "sys_exit   UNSUPPORTED"), "sys_exit is UNSUPPORTED");
        assert_eq!(problems("proved", "differs"), "offsets not proved");
        assert_eq!(problems("\"slug\":\"privileged\"", ""), "no FAIL of privileged");
        assert_eq!(problems("Hooks ", "Hook "), "no hooks or no controls");
        assert_eq!(
            problems("enhanced: 77 functions have a program", "portable"),
            "the agent does not have the enhanced tier"
        );
        assert!(problems("c0ffee", "another").starts_with("no FAIL of privileged, no FAIL of"));
    }

    #[test]
    fn a_tier_that_cannot_be_had_comes_with_its_reason() {
        let text =
            "@@ log\nkestrel-agent: hooks: enhanced is configured, and this kernel has no fexit\n@@ end";
        assert!(problems_of(text).starts_with(
            "the agent does not have the enhanced tier: kestrel-agent: hooks: enhanced is configured, and this \
             kernel has no fexit, the agent is not healthy and ready"
        ));
    }

    #[test]
    fn a_blind_agent_says_so_and_does_not_look_well() {
        let blind = "@@ machine\nlockdown none integrity [confidentiality]\n@@ end of status\nexit 2\n\
                     @@ log\nkestrel-agent: the kernel's lockdown hides its memory\n@@ end\n";
        let problems = |text: &str, instead: &str| {
            problems_when_blind(&Console::parse(&blind.replace(text, instead))).join(", ")
        };
        assert_eq!(problems("", ""), "");
        assert_eq!(problems("[confidentiality]", "confidentiality"), "the kernel is not locked down");
        assert_eq!(problems("exit 2", "exit 0"), "the agent looks healthy while it is blind");
        assert_eq!(problems("exit 2", ""), "the agent looks healthy while it is blind");
        assert_eq!(problems("'s lockdown", ""), "the agent does not say that the lockdown blinds it");
        assert_eq!(problems("@@ log", "@@ findings\n{}\n@@ log"), "the agent judges what it cannot see");
    }
}
