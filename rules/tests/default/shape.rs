//! What every file and every rule looks like.

use std::{fs, path::Path};

use rules::load::WarningCode;

use crate::set;

/// The tactics of ATT&CK that calls to the kernel show; each has a file.
const TACTICS: &[&str] = &[
    "collection",
    "command_and_control",
    "credential_access",
    "defense_evasion",
    "discovery",
    "execution",
    "exfiltration",
    "impact",
    "initial_access",
    "lateral_movement",
    "persistence",
    "privilege_escalation",
];

#[test]
fn all_files_load_in_order() {
    let (reports, _) = set::load();
    let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
    let expected: Vec<String> =
        ["00_common"].iter().chain(TACTICS).map(|name| format!("{name}.yaml")).collect();
    assert_eq!(names, expected);
    for report in &reports {
        assert!(report.successful, "{report}");
        // What is shared is used by files that come later; the last one has nothing left to say.
        let is_later = |code| matches!(code, WarningCode::UnusedMacro | WarningCode::UnusedList);
        let doubts: Vec<_> = report.warnings.iter().filter(|warning| !is_later(warning.code)).collect();
        assert!(doubts.is_empty(), "{report}");
    }
    let last = reports.last().unwrap();
    assert!(last.warnings.is_empty(), "{last}");
}

#[test]
fn every_rule_says_what_it_is_about() {
    let is_technique = |tag: &str| {
        let digits =
            |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        tag.strip_prefix('T').is_some_and(|rest| match rest.split_once('.') {
            Some((technique, part)) => digits(technique, 4) && digits(part, 3),
            None => digits(rest, 4),
        })
    };
    let is_tactic = |tag: &str| tag.strip_prefix("mitre_").is_some_and(|tactic| TACTICS.contains(&tactic));
    let maturities = ["maturity_stable", "maturity_incubating", "maturity_sandbox"];
    for rule in set::rules() {
        let count = |is: &dyn Fn(&str) -> bool| rule.tags.iter().filter(|tag| is(tag.as_str())).count();
        let name = &rule.name;
        let workloads = count(&|tag| ["host", "container"].contains(&tag));
        assert_eq!(count(&|tag| maturities.contains(&tag)), 1, "{name}: maturity");
        assert_eq!(count(&is_tactic), 1, "{name}: tactic");
        assert!(count(&is_technique) >= 1, "{name}: technique");
        assert!(workloads >= 1, "{name}: host or container");
        assert_eq!(count(&is_technique) + workloads + 2, rule.tags.len(), "{name}: {:?}", rule.tags);
        assert!(rule.description.split_whitespace().count() >= 12, "{name}: {}", rule.description);
        for field in ["%proc.name", "%proc.cmdline", "%user.uid"] {
            assert!(rule.output.text().contains(field), "{name}: no {field}");
        }
        let of_container = rule.tags.contains("container");
        assert_eq!(rule.output.text().contains("%container.id"), of_container, "{name}");
        assert!(rule.events().len() <= 16, "{name}: {:?}", rule.events());
    }
}

#[test]
fn the_table_of_coverage_has_every_rule_by_its_techniques() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules/coverage.md");
    let table = fs::read_to_string(&path).unwrap();
    let rows: Vec<(&str, Vec<&str>)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .map(|(first, rest)| (first, rest.split(" | ").flat_map(|cell| cell.split("; ")).collect()))
        .collect();
    for rule in set::rules() {
        for technique in set::techniques(&rule) {
            let row = rows.iter().find(|(first, _)| first.starts_with(&format!("[{technique}]")));
            let is_there = row.is_some_and(|(_, rules)| rules.contains(&rule.name.as_str()));
            assert!(is_there, "{}: {technique} is not in the table", rule.name);
        }
    }
    let of_falco = table.split("## By rule of Falco").nth(1).unwrap().split("## Beyond").next().unwrap();
    let covered = of_falco.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Falco"));
    assert_eq!(covered.count(), 93, "rules of Falco 0.44 in the table");
}
