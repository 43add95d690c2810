//! Outputs: text with values of the event in it, `%field`, `%field[argument]` and `%transformer(field)`.

mod parse;

pub use parse::{FormatError, FormatProblem};

use crate::eval::{Expression, Fields};

/// What stands for a value that the event does not have.
pub const MISSING: &str = "<NA>";

/// A parsed output.
#[derive(Debug, Clone)]
pub struct Format {
    text: String,
    parts: Vec<Part>,
}

/// A piece of an output.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// A value of the event.
    Value {
        /// Which one.
        value: Expression,
        /// How many characters it is cut or filled up to: `%5proc.name`.
        width: Option<usize>,
        /// The byte of the output at which its name begins.
        at: usize,
    },
}

impl Format {
    /// The text it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its pieces.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The values it wants, in their order.
    pub fn values(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value { value, .. } => Some(value),
        })
    }

    /// The text for an event. A value that it does not have prints [`MISSING`].
    pub fn render<F: Fields + ?Sized>(&self, event: &F) -> String {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Value { value, width, .. } => {
                    let printed = value.print(event).unwrap_or_else(|| MISSING.to_owned());
                    match width {
                        None => rendered.push_str(&printed),
                        Some(width) => {
                            rendered.extend(printed.chars().chain(std::iter::repeat(' ')).take(*width));
                        }
                    }
                }
            }
        }
        rendered
    }
}
