//! What a detection says of itself: how urgent it is, and which techniques of MITRE ATT&CK it names.

use crate::v1::{Detection, Priority, Severity};

/// Tactics of ATT&CK for enterprises.
const TACTICS: [&str; 14] = [
    "reconnaissance",
    "resource development",
    "initial access",
    "execution",
    "persistence",
    "privilege escalation",
    "defense evasion",
    "credential access",
    "discovery",
    "lateral movement",
    "collection",
    "command and control",
    "exfiltration",
    "impact",
];

/// How urgent a detection is: as its rule says, and without a rule by its severity.
#[must_use]
pub fn urgency(detection: &Detection) -> Priority {
    match (detection.priority(), detection.severity()) {
        (Priority::Unspecified, Severity::Critical) => Priority::Critical,
        (Priority::Unspecified, Severity::High) => Priority::Error,
        (Priority::Unspecified, Severity::Medium) => Priority::Warning,
        (Priority::Unspecified, Severity::Low) => Priority::Notice,
        (Priority::Unspecified, Severity::Info | Severity::Unspecified) => Priority::Informational,
        (priority, _) => priority,
    }
}

/// How bad that is.
#[must_use]
pub const fn severity_of(priority: Priority) -> Severity {
    match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => Severity::Critical,
        Priority::Error => Severity::High,
        Priority::Warning => Severity::Medium,
        Priority::Notice => Severity::Low,
        Priority::Informational | Priority::Debug | Priority::Unspecified => Severity::Info,
    }
}

/// As Falco calls it, in lower case.
#[must_use]
pub const fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::Unspecified => "unspecified",
        Priority::Debug => "debug",
        Priority::Informational => "informational",
        Priority::Notice => "notice",
        Priority::Warning => "warning",
        Priority::Error => "error",
        Priority::Critical => "critical",
        Priority::Alert => "alert",
        Priority::Emergency => "emergency",
    }
}

/// A priority by its name, in any case; `info` is short for `informational`.
#[must_use]
pub fn priority_named(name: &str) -> Option<Priority> {
    let name = name.to_ascii_lowercase();
    let all =
        (Priority::Debug as i32..=Priority::Emergency as i32).filter_map(|it| Priority::try_from(it).ok());
    let name = if name == "info" { "informational" } else { &name };
    all.into_iter().find(|&priority| priority_name(priority) == name)
}

/// The techniques among tags, such as `T1059` and `T1552.001`.
pub fn techniques(tags: &[String]) -> impl Iterator<Item = &str> {
    tags.iter().map(String::as_str).filter(|tag| is_technique(tag))
}

/// Where ATT&CK describes a technique.
#[must_use]
pub fn technique_url(technique: &str) -> String {
    format!("https://attack.mitre.org/techniques/{}/", technique.replace('.', "/"))
}

/// The tactics among tags, such as `mitre_credential_access` and `defense-evasion`.
pub fn tactics(tags: &[String]) -> impl Iterator<Item = &'static str> {
    tags.iter().filter_map(|tag| {
        let words = tag.strip_prefix("mitre_").unwrap_or(tag).replace(['_', '-'], " ");
        TACTICS.into_iter().find(|&tactic| tactic == words)
    })
}

fn is_technique(tag: &str) -> bool {
    let is_number =
        |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = tag.strip_prefix('T') else { return false };
    match rest.split_once('.') {
        Some((technique, part)) => is_number(technique, 4) && is_number(part, 3),
        None => is_number(rest, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_how_urgent_it_is_else_the_severity_does() {
        let detection = |priority: Priority, severity: Severity| Detection {
            priority: priority.into(),
            severity: severity.into(),
            ..Detection::default()
        };
        assert_eq!(urgency(&detection(Priority::Debug, Severity::Critical)), Priority::Debug);
        assert_eq!(urgency(&detection(Priority::Unspecified, Severity::High)), Priority::Error);
        for number in 1..=8 {
            let priority = Priority::try_from(number).unwrap();
            assert_eq!(priority_named(&priority_name(priority).to_uppercase()), Some(priority));
        }
        assert_eq!(priority_named("Info"), Some(Priority::Informational));
        assert_eq!(priority_named("unspecified"), None);
    }

    #[test]
    fn techniques_and_tactics_are_what_attack_has() {
        let tags = [
            "T1059",
            "T1552.001",
            "T1552.01",
            "T105",
            "t1059",
            "T1059/../../x",
            "T1059.001.1",
            "mitre_credential_access",
            "defense-evasion",
            "mitre_x",
            "host",
        ]
        .map(str::to_owned);
        assert_eq!(techniques(&tags).collect::<Vec<_>>(), ["T1059", "T1552.001"]);
        assert_eq!(tactics(&tags).collect::<Vec<_>>(), ["credential access", "defense evasion"]);
        assert_eq!(technique_url("T1552.001"), "https://attack.mitre.org/techniques/T1552/001/");
        assert_eq!(technique_url("T1059"), "https://attack.mitre.org/techniques/T1059/");
    }
}
