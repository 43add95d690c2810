//! Text to an output.

use thiserror::Error;

use super::{Format, Part};
use crate::{
    condition::{ast::Operand, parse_operand},
    eval::{CheckError, Expression},
};

/// The longest name of a field. Falco's own stay below 40 characters.
const MAX_NAME: usize = 256;

/// The widest a value may be asked to be.
const MAX_WIDTH: usize = 4096;

/// An output that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{problem}")]
pub struct FormatError {
    /// The byte of the `%`.
    pub at: usize,
    /// What is wrong.
    #[source]
    pub problem: FormatProblem,
}

/// What is wrong with an output.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FormatProblem {
    /// Nothing follows a `%`, or the width after it.
    #[error("invalid formatting syntax: formatting cannot end with a %{}", if *after_width { " and a number" } else { "" })]
    End {
        /// Whether there is a width.
        after_width: bool,
    },
    /// No field follows a `%`.
    #[error("invalid formatting syntax: no field follows a %")]
    Nothing,
    /// A width is too large.
    #[error("invalid formatting syntax: a width of more than {MAX_WIDTH}")]
    Width,
    /// What follows a `%` is no field. The wording is that of libsinsp, for rules are found by it.
    #[error("unknown filter: {0}")]
    Unknown(String),
    /// The value cannot be: its argument or its transformer does not fit.
    #[error("unknown filter: {0}: {1}")]
    Check(String, CheckError),
}

impl Format {
    /// Reads an output. Text that follows a field without a blank belongs to its name only if there is such
    /// a field.
    ///
    /// # Errors
    /// When no value that exists follows a `%`, or a width is too large.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        // Falco prints only complete outputs but for this prefix, and puts it before every rule's output.
        let start = usize::from(text.starts_with('*'));
        let mut parts = Vec::new();
        let mut at = start;
        while let Some(found) = text[at..].find('%') {
            let percent = at + found;
            if percent > at {
                parts.push(Part::Text(text[at..percent].to_owned()));
            }
            let after = &text[percent + 1..];
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let fail = |problem| FormatError { at: percent, problem };
            let width = width(&after[..digits]).map_err(fail)?;
            if digits == after.len() {
                return Err(fail(FormatProblem::End { after_width: digits > 0 }));
            }
            let (value, length) = expression(&after[digits..]).map_err(fail)?;
            let name = percent + 1 + digits;
            parts.push(Part::Value { value, width, at: name });
            at = name + length;
        }
        if at < text.len() {
            parts.push(Part::Text(text[at..].to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

/// The width before a field; zero is none.
fn width(digits: &str) -> Result<Option<usize>, FormatProblem> {
    match digits.parse() {
        Ok(0) => Ok(None),
        Ok(width) if width <= MAX_WIDTH => Ok(Some(width)),
        _ if digits.is_empty() => Ok(None),
        _ => Err(FormatProblem::Width),
    }
}

/// The longest value that exists at the beginning of `text`, and its length.
fn expression(text: &str) -> Result<(Expression, usize), FormatProblem> {
    let (length, is_field, error) = match parse_operand(text) {
        Ok((operand, length)) => match Expression::check(&operand) {
            Ok(value) => return Ok((value, length)),
            Err(error) => (length, matches!(operand, Operand::Field(_)), Some(error)),
        },
        // A bracket that does not close belongs to the text.
        Err(_) => (text.find('[').map_or(0, |bracket| bracket + 1), true, None),
    };
    if is_field {
        let ends: Vec<_> =
            text.char_indices().map(|(i, _)| i).take_while(|i| *i < length.min(MAX_NAME)).collect();
        let shorter = ends.into_iter().rev().find_map(|end| {
            let (operand, length) = parse_operand(&text[..end]).ok()?;
            let value = Expression::check(&operand).ok()?;
            (length == end).then_some((value, length))
        });
        if let Some(found) = shorter {
            return Ok(found);
        }
    }
    let token: String = text.chars().take_while(|c| !c.is_whitespace()).take(MAX_NAME).collect();
    Err(match (token.is_empty(), error) {
        (true, _) => FormatProblem::Nothing,
        (false, None) => FormatProblem::Unknown(token),
        (false, Some(error)) => FormatProblem::Check(token, error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        eval::Fields,
        field::Reference,
        value::{Scalar, Value},
    };

    /// An event that has a name and nothing else.
    struct Named;

    impl Fields for Named {
        fn field(&self, reference: &Reference) -> Value<'_> {
            match reference.text() {
                "proc.name" => Value::One(Scalar::text("cat")),
                "proc.pname" | "proc.aname[2]" => Value::One(Scalar::text("sh")),
                _ => Value::Missing,
            }
        }
    }

    fn rendered(text: &str) -> String {
        Format::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).render(&Named)
    }

    #[test]
    fn values_stand_within_text() {
        assert_eq!(rendered("a=%proc.name b=%proc.aname[2]."), "a=cat b=sh.");
        assert_eq!(rendered("%toupper(proc.name)%proc.name"), "CATcat");
        assert_eq!(rendered("%join('-', (proc.name, proc.pname))!"), "cat-sh!");
        assert_eq!(rendered("none"), "none");
    }

    #[test]
    fn a_missing_value_is_said() {
        assert_eq!(rendered("file=%fd.name"), "file=<NA>");
        assert_eq!(rendered("*file=%fd.name"), "file=<NA>");
    }

    #[test]
    fn the_longest_known_name_is_taken() {
        assert_eq!(rendered("%proc.named"), "catd");
        assert_eq!(rendered("%proc.name.x"), "cat.x");
        assert_eq!(rendered("%proc.name[unclosed"), "cat[unclosed");
    }

    #[test]
    fn a_width_cuts_and_fills() {
        assert_eq!(rendered("%2proc.name|%5proc.name|"), "ca|cat  |");
        assert!(Format::parse("%99999999999999999999proc.name").is_err());
    }

    #[test]
    fn what_is_unknown_is_named() {
        let error = Format::parse("x %no.such y").unwrap_err();
        assert_eq!(error.at, 2);
        assert!(error.to_string().starts_with("unknown filter: no.such"), "{error}");
        assert_eq!(Format::parse("100%").unwrap_err().problem, FormatProblem::End { after_width: false });
        assert_eq!(Format::parse("%5").unwrap_err().problem, FormatProblem::End { after_width: true });
        assert_eq!(Format::parse("100% of").unwrap_err().problem, FormatProblem::Nothing);
        assert!(Format::parse("%%").is_err());
        assert!(Format::parse("%tolower(no.such)").is_err());
    }
}
