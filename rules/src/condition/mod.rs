//! Conditions: from text to a syntax tree and back.

pub mod ast;
mod error;
mod lexer;
mod operator;
mod parser;
mod print;

pub use error::{ParseError, ParseErrorKind};
pub use lexer::{is_bare, is_identifier};
pub use operator::{Modifier, Operator, Shape, Transformer};
pub use parser::{MAX_DEPTH, MAX_LENGTH, parse, parse_operand};
