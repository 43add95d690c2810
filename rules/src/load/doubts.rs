//! What of a rule is doubtful though it compiles.

use std::collections::BTreeSet;

use super::{
    Config,
    macros::{Macros, Written},
    report::{Report, Trail, WarningCode},
};
use crate::{
    condition::{
        Operator, Transformer,
        ast::{Argument, Comparison, Expr, ExprKind, Field, Operand, Right, Text},
        parse_operand,
    },
    field::Reference,
};

/// Fields without a value, or with always the same, since events have no beginning any more (Falco 0.44,
/// `falco_load_result.cpp`).
const DEPRECATED: &[&str] =
    &["evt.dir", "evt.latency", "evt.latency.s", "evt.latency.ns", "evt.latency.human", "evt.wait_latency"];

/// Sources whose absent values could be compared with `<NA>` once (Falco 0.44, `filter_warning_resolver.cpp`).
const UNSAFE: &[&str] = &["ka.", "jevt."];

/// What is doubtful about one rule.
pub(super) struct Doubts<'a> {
    pub(super) config: &'a Config,
    pub(super) report: &'a mut Report,
    /// Fields that this rule has been warned of.
    warned: BTreeSet<String>,
}

impl<'a> Doubts<'a> {
    pub(super) fn new(config: &'a Config, report: &'a mut Report) -> Self {
        Self { config, report, warned: BTreeSet::new() }
    }

    /// Goes through a condition and the macros it names.
    pub(super) fn condition(&mut self, expr: &Expr, within: &Written, macros: &Macros<'_>) {
        match &expr.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                parts.iter().for_each(|part| self.condition(part, within, macros));
            }
            ExprKind::Not(inner) => self.condition(inner, within, macros),
            ExprKind::Macro(name) => {
                if let Some(named) = macros.written(name) {
                    self.condition(&named.expr, named, macros);
                }
            }
            ExprKind::Exists(operand) => self.operand(operand, within),
            ExprKind::Compare(comparison) => {
                self.operand(&comparison.left, within);
                if let Right::Operand(right) = &comparison.right {
                    self.operand(right, within);
                }
                self.absent_value(comparison, within);
                for text in texts(&comparison.right) {
                    self.value(comparison.operator, text, within);
                }
            }
        }
    }

    fn operand(&mut self, operand: &Operand, within: &Written) {
        each_field(operand, &mut |field| {
            if let Ok(reference) = Reference::parse(&field.name, field.argument.as_deref()) {
                self.field(&reference, "condition", &|| within.trail_to(field.span));
            }
        });
    }

    /// Warns once of a field that never has a value.
    pub(super) fn field(&mut self, reference: &Reference, place: &str, trail: &dyn Fn() -> Trail) {
        let name = reference.definition().name;
        if DEPRECATED.contains(&name) && self.warned.insert(format!("{name} {place}")) {
            let message = format!("usage of deprecated field '{name}' has been detected in the rule {place}");
            self.report.warn(WarningCode::DeprecatedItem, message, &trail());
        }
        if let Some(reason) = self.config.unanswered.get(name)
            && self.warned.insert(name.to_owned())
        {
            let message = format!("field '{name}' never has a value here: {reason}");
            self.report.warn(WarningCode::CompileCondition, message, &trail());
        }
    }

    /// Warns of a value that says something else than was meant, perhaps (libsinsp `filter.cpp`).
    fn value(&mut self, operator: Operator, text: &Text, within: &Written) {
        if self.report.is_full() {
            return;
        }
        let value = &text.value;
        let mut warn = |message| {
            self.report.warn(WarningCode::CompileCondition, message, &within.trail_to(text.span));
        };
        if operator == Operator::Regex && is_plain(value.as_bytes()) {
            warn(format!(
                "regex check with '{value}' may be optimized with simpler operators such as '=', 'contains', \
                 'startswith', 'endswith'"
            ));
        }
        let solid: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        if is_field(&solid) {
            warn(format!("'{value}' may be a valid field misused as a const string value"));
        }
        if is_call(&solid) {
            warn(format!("'{value}' may be a valid field transformer misused as a const string value"));
        }
    }

    /// Warns of a comparison with the text that stands for what is missing.
    fn absent_value(&mut self, comparison: &Comparison, within: &Written) {
        let Operand::Field(left) = &comparison.left else { return };
        let is_unsafe = UNSAFE.iter().any(|source| left.name.starts_with(source))
            && matches!(
                comparison.operator,
                Operator::Equal | Operator::NotEqual | Operator::In | Operator::Intersects | Operator::PMatch
            );
        if is_unsafe && texts(&comparison.right).iter().any(|text| text.value == "<NA>") {
            let message =
                "comparing a field value with <NA> is unsafe: to ask whether it is there, use 'exists'";
            self.report.warn(WarningCode::UnsafeNaCheck, message, &within.trail_to(left.span));
        }
    }
}

/// Calls `visit` with each field of an operand.
fn each_field<'a>(operand: &'a Operand, visit: &mut dyn FnMut(&'a Field)) {
    match operand {
        Operand::Field(field) => visit(field),
        Operand::Call(call) => call.arguments.iter().for_each(|argument| each_field_of(argument, visit)),
    }
}

fn each_field_of<'a>(argument: &'a Argument, visit: &mut dyn FnMut(&'a Field)) {
    match argument {
        Argument::Operand(operand) => each_field(operand, visit),
        Argument::Literal(_) => {}
        Argument::List(items) => items.iter().for_each(|item| each_field_of(item, visit)),
    }
}

/// The texts on the right.
fn texts(right: &Right) -> &[Text] {
    match right {
        Right::Value(text) => std::slice::from_ref(text),
        Right::List(list) => &list.items,
        Right::Operand(_) => &[],
    }
}

/// Whether a text is the name of a field that exists.
fn is_field(text: &str) -> bool {
    match parse_operand(text) {
        Ok((Operand::Field(field), length)) if length == text.len() => {
            Reference::parse(&field.name, field.argument.as_deref()).is_ok()
        }
        _ => false,
    }
}

/// Whether a text looks like a transformer.
fn is_call(text: &str) -> bool {
    let words = Transformer::ALL.iter().map(|transformer| transformer.word()).chain(["val"]);
    text.ends_with(')')
        && words.into_iter().any(|word| text.strip_prefix(word).is_some_and(|rest| rest.starts_with('(')))
}

/// Whether a regular expression says no more than a text with anything before or after it.
fn is_plain(mut pattern: &[u8]) -> bool {
    let is_any = |pair: &[u8]| matches!(pair, [b'.', b'+' | b'*' | b'?']);
    match pattern {
        [b'^', rest @ ..] => pattern = rest,
        [first, second, rest @ ..] if is_any(&[*first, *second]) => pattern = rest,
        _ => {}
    }
    match pattern {
        [rest @ .., b'$'] => pattern = rest,
        [rest @ .., first, second] if is_any(&[*first, *second]) => pattern = rest,
        _ => {}
    }
    !pattern.iter().any(|byte| b".+*?^$()[]{}|\\".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_patterns() {
        for pattern in ["abc", "^abc$", ".*abc", "abc.*", ".*abc.+", ""] {
            assert!(is_plain(pattern.as_bytes()), "{pattern}");
        }
        for pattern in ["a.c", "a|b", "[ab]", ".*a.*b", "abc.", "a{2}", "\\."] {
            assert!(!is_plain(pattern.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn fields_and_calls() {
        assert!(
            is_field("proc.name") && is_field("proc.aname[2]") && !is_field("proc.nam") && !is_field("a")
        );
        assert!(is_call("tolower(x)") && is_call("val()") && !is_call("tolower") && !is_call("lower(x)"));
    }
}
