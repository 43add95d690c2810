//! Exceptions of rules: whether they are in order, and the condition they amount to.

use std::sync::Arc;

use super::{
    item::{Entry, Exception},
    report::{ErrorCode, Failure},
    script::Script,
    source::Scalar,
};
use crate::{
    condition::{MAX_LENGTH, Modifier, Operator, Shape, parse_operand},
    eval::Expression,
};

/// The most exceptions a rule may have. Falco has no limit; official rules have had a dozen.
pub(super) const MAX_EXCEPTIONS: usize = 1000;

/// What a rule with more is told.
pub(super) const TOO_MANY: &str = "a rule has no more than 1000 exceptions";

/// An operator as an exception names it.
struct Comparator {
    /// Whether it takes a list: one of lists, or any with a modifier.
    takes_list: bool,
}

impl Comparator {
    /// None when there is no such operator, or it does not go with the modifier.
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (word, modifier, rest) = (words.next()?, words.next(), words.next());
        let operator = match word {
            "==" => Operator::Equal,
            // Unary, and so never right in an exception; it fails when the condition is read.
            "exists" if modifier.is_none() => return Some(Self { takes_list: false }),
            _ => *Operator::ALL.iter().find(|operator| operator.word() == word)?,
        };
        let Some(modifier) = modifier else {
            return Some(Self { takes_list: operator.shape() == Shape::List });
        };
        let is_modifier = Modifier::ALL.iter().any(|known| known.word() == modifier);
        (is_modifier && rest.is_none() && operator.shape() == Shape::Text)
            .then_some(Self { takes_list: true })
    }
}

/// Checks exceptions that are a rule's own. What fields there are is known only for a known source.
pub(super) fn check_all(exceptions: &[Exception], is_source_known: bool) -> Result<(), Failure> {
    for exception in exceptions {
        if exception.fields.is_none() {
            let message = "Rule exception item must have fields property with a list of fields";
            return Err(Failure::item(message, &exception.trail));
        }
        check(exception, is_source_known)?;
    }
    Ok(())
}

/// Checks an exception that has fields.
pub(super) fn check(exception: &Exception, is_source_known: bool) -> Result<(), Failure> {
    let fail = |message: &str| Err(Failure::item(message, &exception.trail));
    let fields: Vec<&Arc<Scalar>> = match (&exception.fields, &exception.comparisons) {
        (None, _) => return Ok(()),
        (Some(Entry::One(_)), Some(Entry::Many(_))) => return fail("Fields and comps must both be strings"),
        (Some(Entry::One(field)), comparisons) => {
            if let Some(Entry::One(comparison)) = comparisons
                && !["in", "pmatch", "intersects"].contains(&comparison.value.as_str())
            {
                return fail("When fields is a single value, comps must be one of (in, pmatch, intersects)");
            }
            vec![field]
        }
        (Some(Entry::Many(fields)), comparisons) => {
            let comparisons = match comparisons {
                None => None,
                Some(Entry::Many(comparisons)) => Some(comparisons),
                Some(Entry::One(_)) => return fail("Fields and comps lists must have equal length"),
            };
            if fields.is_empty() || comparisons.is_some_and(|comparisons| comparisons.len() != fields.len()) {
                return fail("Fields and comps lists must have equal length");
            }
            for comparison in comparisons.into_iter().flatten() {
                let Entry::One(word) = comparison else { return fail("Exception comps must be strings") };
                if Comparator::read(&word.value).is_none() {
                    return fail(&format!("'{}' is not a supported comparison operator", word.value));
                }
            }
            match fields.iter().map(Entry::one).collect::<Option<_>>() {
                Some(fields) => fields,
                None => return fail("Exception fields must be strings"),
            }
        }
    };
    for field in fields.into_iter().filter(|_| is_source_known) {
        let is_supported = parse_operand(&field.value).is_ok_and(|(operand, length)| {
            length == field.value.len() && Expression::check(&operand).is_ok()
        });
        if !is_supported {
            return fail(&format!("'{}' is not a supported filter field", field.value));
        }
    }
    Ok(())
}

/// `(condition) and not ((field = value and …) or …)`, for every exception that has values.
pub(super) fn compile(condition: &Script, exceptions: &[Exception]) -> Result<Script, Failure> {
    let mut script = Script::default();
    if exceptions.is_empty() {
        script.append(condition);
        return Ok(script);
    }
    script.push_filler("(");
    script.append(condition);
    script.push_filler(")");
    for exception in exceptions.iter().filter(|exception| !exception.values.is_empty()) {
        script.push_filler(" and not (");
        match &exception.fields {
            Some(Entry::One(field)) => one_field(&mut script, exception, field)?,
            Some(Entry::Many(fields)) => many_fields(&mut script, exception, fields)?,
            None => {}
        }
        script.push_filler(")");
    }
    Ok(script)
}

fn one_field(script: &mut Script, exception: &Exception, field: &Arc<Scalar>) -> Result<(), Failure> {
    script.push_verbatim(&field.value, field, 0);
    script.push_filler(" ");
    match &exception.comparisons {
        Some(Entry::One(word)) => script.push_verbatim(&word.value, word, 0),
        _ => script.push_filler("in"),
    }
    script.push_filler(" (");
    for (i, value) in exception.values.iter().enumerate() {
        let Entry::One(value) = value else {
            let message = "Expected values array to contain a list of strings";
            return Err(Failure::item(message, &exception.trail));
        };
        if i > 0 {
            script.push_filler(", ");
        }
        push_quoted(script, value);
        bounded(script, exception)?;
    }
    script.push_filler(")");
    Ok(())
}

fn many_fields(script: &mut Script, exception: &Exception, fields: &[Entry]) -> Result<(), Failure> {
    for (i, row) in exception.values.iter().enumerate() {
        let values = match row {
            Entry::Many(values) if values.len() == fields.len() => values,
            _ => {
                return Err(Failure::item(
                    "Fields and values lists must have equal length",
                    &exception.trail,
                ));
            }
        };
        script.push_filler(if i > 0 { " or (" } else { "(" });
        for (k, (field, value)) in fields.iter().zip(values).enumerate() {
            if k > 0 {
                script.push_filler(" and ");
            }
            let Entry::One(field) = field else { continue };
            script.push_verbatim(&field.value, field, 0);
            let word = match &exception.comparisons {
                Some(Entry::Many(words)) => words.get(k),
                _ => None,
            };
            comparison(script, word, value);
            bounded(script, exception)?;
        }
        script.push_filler(")");
    }
    Ok(())
}

/// Fields are repeated for each row of values, and so can become more text than there was.
fn bounded(script: &Script, exception: &Exception) -> Result<(), Failure> {
    if script.text().len() > MAX_LENGTH {
        let message = format!("the condition has more than {MAX_LENGTH} bytes with its exceptions");
        return Err(Failure::new(ErrorCode::CompileCondition, message, &exception.trail));
    }
    Ok(())
}

/// An operator and what it compares with.
fn comparison(script: &mut Script, word: Option<&Entry>, value: &Entry) {
    script.push_filler(" ");
    let mut takes_list = false;
    if let Some(Entry::One(word)) = word {
        script.push_verbatim(&word.value, word, 0);
        takes_list = Comparator::read(&word.value).is_some_and(|comparator| comparator.takes_list);
    } else {
        script.push_filler("=");
    }
    script.push_filler(" ");
    match value {
        Entry::Many(values) => {
            script.push_filler("(");
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    script.push_filler(", ");
                }
                if let Entry::One(value) = value {
                    push_quoted(script, value);
                }
            }
            script.push_filler(")");
        }
        Entry::One(value) if takes_list && !value.value.starts_with('(') => {
            script.push_filler("(");
            script.push_verbatim(&value.value, value, 0);
            script.push_filler(")");
        }
        Entry::One(value) if takes_list => script.push_verbatim(&value.value, value, 0),
        Entry::One(value) => push_quoted(script, value),
    }
}

/// A value, in quotes when it has a blank and no quotes of its own.
pub(super) fn push_quoted(script: &mut Script, value: &Arc<Scalar>) {
    if needs_quotes(&value.value) {
        script.push_for("\"", value);
        script.push_verbatim(&value.value, value, 0);
        script.push_filler("\"");
    } else {
        script.push_verbatim(&value.value, value, 0);
    }
}

/// Whether a value is put in quotes where it becomes part of a condition.
fn needs_quotes(value: &str) -> bool {
    value.contains(' ') && !value.starts_with(['"', '\''])
}
