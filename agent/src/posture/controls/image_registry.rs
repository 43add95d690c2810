//! The image is from a registry that the policy names.

use super::{
    reference::{Reference, repository},
    text::bounded,
};
use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::ImageRegistry, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let registries = &facts.policy.registries;
    if registries.is_empty() {
        return Judgement::new(Outcome::NotApplicable, "the policy names no registries");
    }
    let Some(image) = facts.names.and_then(|names| Reference::parse(&names.image)) else {
        return Judgement::unknown(UnknownReason::NotTold);
    };
    let is_allowed = registries.iter().any(|pattern| matches(pattern, &image.repository));
    let outcome = if is_allowed { Outcome::Pass } else { Outcome::Fail };
    Judgement::new(outcome, bounded(image.repository))
}

/// Whether a pattern of the policy allows a repository: `registry.example` and what is below it,
/// `registry.example/team/*` what is below that, `*.example/…` any registry of that domain.
fn matches(pattern: &str, image: &str) -> bool {
    let (pattern, is_below_only) = match pattern.strip_suffix("/*") {
        Some(above) => (above, true),
        None => (pattern.trim_end_matches('/'), false),
    };
    if pattern == "*" {
        return true;
    }
    if let Some(domain) = pattern.strip_prefix("*.") {
        let (host, path) = image.split_once('/').unwrap_or((image, ""));
        let (domain, wanted) = domain.split_once('/').unwrap_or((domain, ""));
        let domain = domain.to_ascii_lowercase();
        let is_host =
            host.strip_suffix(domain.as_str()).is_some_and(|above| above.len() > 1 && above.ends_with('.'));
        return is_host && is_within(wanted, path, is_below_only);
    }
    let is_host = !pattern.contains('/') && (pattern.contains(['.', ':']) || pattern == "localhost");
    if is_host {
        return is_within(&pattern.to_ascii_lowercase(), image, true);
    }
    let wanted = match pattern.split_once('/') {
        // `docker.io/team` names a team, not an image of the library.
        Some((host, path)) if host.eq_ignore_ascii_case("docker.io") => format!("docker.io/{path}"),
        None if is_below_only => format!("docker.io/{pattern}"),
        _ => repository(pattern),
    };
    is_within(&wanted, image, is_below_only)
}

fn is_within(above: &str, path: &str, is_below_only: bool) -> bool {
    if above.is_empty() {
        return true;
    }
    match path.strip_prefix(above) {
        Some("") => !is_below_only,
        Some(rest) => rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::case::ContainerCase;

    fn case(registries: &[&str], image: &str) -> ContainerCase {
        let mut case = ContainerCase::new(ControlId::ImageRegistry);
        case.policy.registries = registries.iter().map(|&registry| registry.to_owned()).collect();
        case.named(|names| names.image = image.to_owned())
    }

    #[test]
    fn verdicts() {
        case(&[], "nginx").gives(Outcome::NotApplicable, "the policy names no registries");
        case(&["registry.example"], "registry.example/web:1").gives(Outcome::Pass, "registry.example/web");
        case(&["registry.example"], "nginx:1").gives(Outcome::Fail, "docker.io/library/nginx");
        let unknown = Outcome::Unknown(UnknownReason::NotTold);
        case(&["registry.example"], "").is(unknown);
        case(&["registry.example"], &format!("sha256:{}", "a".repeat(64))).is(unknown);
        let mut unnamed = case(&["registry.example"], "");
        unnamed.names = None;
        unnamed.is(unknown);
        case(&["registry.example"], &format!("registry.example/{}", "ä".repeat(500))).is(Outcome::Pass);
    }

    #[test]
    fn patterns() {
        for (pattern, image) in [
            ("registry.example", "registry.example/a/b:1"),
            ("Registry.Example/", "registry.example/a"),
            ("registry.example:5000", "registry.example:5000/a"),
            ("registry.example/team", "registry.example/team"),
            ("registry.example/team", "registry.example/team/app"),
            ("registry.example/team/*", "registry.example/team/app@sha256:x"),
            ("registry.example/*", "registry.example/app"),
            ("*.example", "eu.registry.example/app"),
            ("*.example/team/*", "eu.example/team/app"),
            ("nginx", "docker.io/library/nginx:1"),
            ("library/*", "nginx"),
            ("docker.io", "nginx"),
            ("docker.io/team", "team/app"),
            ("docker.io/library/*", "nginx"),
            ("localhost", "localhost/app"),
            ("*", "nginx"),
        ] {
            case(&["other.example", pattern], image).is(Outcome::Pass);
        }
        for (pattern, image) in [
            ("registry.example", "registry.example.evil.com/app"),
            ("registry.example", "evil.com/registry.example/app"),
            ("registry.example/team", "registry.example/teams/app"),
            ("registry.example/team/*", "registry.example/team"),
            ("*.example", "example/app"),
            ("*.example", "evilexample/app"),
            ("*.example", "badexample:5000/app"),
            ("*.example/team", "eu.example/other/app"),
            ("nginx", "nginx2"),
            ("nginx", "team/nginx"),
            ("docker.io/team", "team2/app"),
            ("docker.io", "quay.io/docker.io/app"),
            ("", "nginx"),
        ] {
            case(&[pattern], image).is(Outcome::Fail);
        }
    }
}
