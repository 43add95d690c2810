//! What is known of a control beside what is said by it: its place, its severity, and what a mistyped
//! one may have meant.

use controls::{CONTROL_COUNT, CONTROLS, Control, ControlId};
use kestrel_proto::v1;

/// The catalogue's own; `None`: the agent is newer than this program.
#[must_use]
pub fn of_slug(slug: &str) -> Option<&'static Control> {
    ControlId::from_slug(slug).map(ControlId::control)
}

/// The catalogue's order, with what it does not know behind it by name.
#[must_use]
pub fn rank(slug: &str) -> (usize, &str) {
    match ControlId::from_slug(slug) {
        Some(id) => (id as usize, ""),
        None => (CONTROL_COUNT, slug),
    }
}

/// How bad it is that a control says what it says: by the policy in force, or by the catalogue where
/// nobody told; DRIFT is a step worse than FAIL.
#[must_use]
pub fn severity(said: &v1::ControlPosture) -> v1::Severity {
    let fail = match said.severity() {
        v1::Severity::Unspecified => match of_slug(&said.control).map(|control| control.severity) {
            None => v1::Severity::Unspecified,
            Some(controls::Severity::Low) => v1::Severity::Low,
            Some(controls::Severity::Medium) => v1::Severity::Medium,
            Some(controls::Severity::High) => v1::Severity::High,
            Some(controls::Severity::Critical) => v1::Severity::Critical,
        },
        told => told,
    };
    match (said.verdict(), fail) {
        (v1::Verdict::Drift, v1::Severity::Info) => v1::Severity::Low,
        (v1::Verdict::Drift, v1::Severity::Low) => v1::Severity::Medium,
        (v1::Verdict::Drift, v1::Severity::Medium) => v1::Severity::High,
        (v1::Verdict::Drift, v1::Severity::High) => v1::Severity::Critical,
        (_, as_told) => as_told,
    }
}

/// Whether a text is what was asked for; `*` stands for any text.
#[must_use]
pub(super) fn takes(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return text.is_empty() };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// That there is no such control, and which were near. `seen` are those that agents told of.
#[must_use]
pub(super) fn unknown(typed: &str, seen: &[&str]) -> String {
    let names = CONTROLS.iter().map(|control| control.slug).chain(seen.iter().copied());
    let mut near: Vec<_> = names
        .filter_map(|name| {
            let distance = strsim::osa_distance(typed, name);
            // Two edits turn any short word into any other.
            let is_near = distance <= 2 && distance < name.len().min(typed.len());
            let is_part = typed.len() >= 4 && name.contains(typed);
            (is_near || is_part).then_some((!is_near, distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    let near: Vec<_> = near.iter().take(3).map(|(_, _, name)| format!("`{name}`")).collect();
    if near.is_empty() {
        format!("there is no control `{typed}`; `kestrel posture -o wide` names them")
    } else {
        format!("there is no control `{typed}`; did you mean {}?", near.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text) in
            [("cart", "cart"), ("*", ""), ("c*t", "cart"), ("*ar*", "cart"), ("a*a", "aa"), ("", "")]
        {
            assert!(takes(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("cart", "carts"), ("a*a", "a"), ("c*x*t", "cart"), ("*art", "carts"), ("", "a")]
        {
            assert!(!takes(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_was_meant() {
        assert_eq!(unknown("secomp", &[]), "there is no control `secomp`; did you mean `seccomp`?");
        assert_eq!(
            unknown("from-elsewhere", &["from-elsewhere-too"]),
            "there is no control `from-elsewhere`; did you mean `from-elsewhere-too`?"
        );
        assert!(unknown("non-root", &[]).contains("`run-as-non-root`"));
        assert!(unknown("xyz", &[]).contains("-o wide"));
    }

    #[test]
    fn drift_is_a_step_worse() {
        let said = |verdict: v1::Verdict, severity: v1::Severity| v1::ControlPosture {
            control: "seccomp".to_owned(),
            verdict: verdict.into(),
            severity: severity.into(),
            ..Default::default()
        };
        assert_eq!(severity(&said(v1::Verdict::Fail, v1::Severity::Low)), v1::Severity::Low);
        assert_eq!(severity(&said(v1::Verdict::Drift, v1::Severity::Low)), v1::Severity::Medium);
        assert_eq!(severity(&said(v1::Verdict::Drift, v1::Severity::Critical)), v1::Severity::Critical);
        assert_eq!(severity(&said(v1::Verdict::Fail, v1::Severity::Unspecified)), v1::Severity::Medium);
    }
}
