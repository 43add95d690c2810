//! Loaders with something in them, and what they say.

use rules::load::{Config, Loader, Report};

/// What loading one file says.
pub(crate) fn report(content: &str) -> Report {
    Loader::new(Config::default()).load("rules.yaml", content)
}

/// The loader after a file that is taken.
pub(crate) fn loaded(config: Config, content: &str) -> Loader {
    let mut loader = Loader::new(config);
    let report = loader.load("rules.yaml", content);
    assert!(report.successful, "{report}");
    loader
}

/// A rule of this name and condition, with further lines.
pub(crate) fn rule(name: &str, condition: &str, more: &str) -> String {
    format!(
        "- rule: {name}\n  desc: about {name}\n  condition: {condition}\n  output: out %proc.name\n  priority: INFO\n{more}"
    )
}

/// The condition of the only rule of a file that is taken.
pub(crate) fn condition(content: &str) -> String {
    let loader = loaded(Config::default(), content);
    let [rule] = loader.rules().rules() else { panic!("not one rule") };
    rule.expr.to_string()
}

/// Code and message of the error of a file that is refused.
pub(crate) fn error(content: &str) -> (&'static str, String) {
    let report = report(content);
    assert!(!report.successful, "{report}");
    let [error] = &report.errors[..] else { panic!("not one error: {report}") };
    (error.code.code(), error.message.clone())
}

/// Codes of the warnings of a file that is taken.
pub(crate) fn warnings(content: &str) -> Vec<&'static str> {
    let report = report(content);
    assert!(report.successful, "{report}");
    report.warnings.iter().map(|warning| warning.code.code()).collect()
}
