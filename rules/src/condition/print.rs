//! Syntax tree to text that reads as the same tree.

use std::fmt::{self, Display, Formatter};

use super::{
    Shape,
    ast::{Argument, Call, Comparison, Expr, ExprKind, Field, List, Operand, Right},
    lexer::is_bare,
};

/// As libsinsp prints conditions (`ast.cpp`), so that compiled rules can be compared; but two negations in a row,
/// which would be read as none, have parentheses between them.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::And(parts) => connected(f, parts, " and "),
            ExprKind::Or(parts) => connected(f, parts, " or "),
            ExprKind::Not(inner) if matches!(inner.kind, ExprKind::Not(_)) => write!(f, "not ({inner})"),
            ExprKind::Not(inner) => write!(f, "not {inner}"),
            ExprKind::Macro(name) => f.write_str(name),
            ExprKind::Exists(operand) => write!(f, "{operand} exists"),
            ExprKind::Compare(comparison) => comparison.fmt(f),
        }
    }
}

fn connected(f: &mut Formatter<'_>, parts: &[Expr], word: &str) -> fmt::Result {
    f.write_str("(")?;
    for (i, part) in parts.iter().enumerate() {
        f.write_str(if i > 0 { word } else { "" })?;
        part.fmt(f)?;
    }
    f.write_str(")")
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.left, self.operator)?;
        if let Some(modifier) = self.modifier {
            write!(f, "{modifier} ")?;
        }
        match &self.right {
            // Numbers and names of lists are not read in quotes.
            Right::Value(text) if self.operator.shape() != Shape::Text || self.modifier.is_some() => {
                f.write_str(&text.value)
            }
            Right::Value(text) => value(f, &text.value),
            Right::List(list) => list.fmt(f),
            Right::Operand(Operand::Field(field)) => write!(f, "val({field})"),
            Right::Operand(Operand::Call(call)) => call.fmt(f),
        }
    }
}

impl Display for List {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            value(f, &item.value)?;
        }
        f.write_str(")")
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => field.fmt(f),
            Self::Call(call) => call.fmt(f),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.argument {
            None => Ok(()),
            Some(argument) if is_bare(argument) && !argument.contains(['[', ']']) => {
                write!(f, "[{argument}]")
            }
            Some(argument) => {
                f.write_str("[")?;
                quoted(f, argument)?;
                f.write_str("]")
            }
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.transformer)?;
        arguments(f, &self.arguments)?;
        f.write_str(")")
    }
}

fn arguments(f: &mut Formatter<'_>, all: &[Argument]) -> fmt::Result {
    for (i, argument) in all.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        match argument {
            Argument::Operand(operand) => operand.fmt(f)?,
            Argument::Literal(text) => quoted(f, &text.value)?,
            Argument::List(items) => {
                f.write_str("(")?;
                arguments(f, items)?;
                f.write_str(")")?;
            }
        }
    }
    Ok(())
}

/// A value, in quotes where it would be read as something else without.
fn value(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    if is_bare(text) { f.write_str(text) } else { quoted(f, text) }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\\' => f.write_str("\\\\")?,
            '"' => f.write_str("\\\"")?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}
