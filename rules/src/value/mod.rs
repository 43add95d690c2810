//! Values of events, and what it means to compare one with what a rule says.

mod addresses;
mod around;
mod expression;
mod glob;
mod literal;
mod operators;
mod paths;
mod pattern;
mod posix;
mod service;
mod test;
pub mod transform;
mod truth;

use std::{borrow::Cow, net::IpAddr};

pub use expression::PatternError;
pub use glob::is_glob_match;
pub use literal::{Literal, LiteralError};
pub use operators::{Unsupported, compare, supported};
pub(crate) use pattern::Pattern;
pub use test::{Test, TestError};
pub use truth::Truth;

pub(crate) use around::is_around;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'e> {
    /// Text, or bytes that need not be text.
    Text(Cow<'e, [u8]>),
    /// True or false.
    Bool(bool),
    /// A signed number.
    Int(i64),
    /// An unsigned number, a port, a time.
    UInt(u64),
    /// A number with a fraction.
    Double(f64),
    /// An address.
    Address(IpAddr),
}

impl<'e> Scalar<'e> {
    /// A text.
    pub fn text(text: &'e (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    /// A text that was made for this.
    #[must_use]
    pub fn owned(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// How it reads in an output.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bool(value) => Cow::Borrowed(if *value { b"true".as_slice() } else { b"false" }),
            Self::Int(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::UInt(number) => Cow::Owned(number.to_string().into_bytes()),
            // One digit after the point, as libsinsp prints it.
            Self::Double(number) => Cow::Owned(format!("{number:.1}").into_bytes()),
            Self::Address(address) => Cow::Owned(address.to_string().into_bytes()),
        }
    }
}

impl<'e> From<&'e str> for Scalar<'e> {
    fn from(text: &'e str) -> Self {
        Self::text(text)
    }
}

/// What an event has for a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'e> {
    /// Nothing: every comparison is false.
    Missing,
    /// Not yet known: every comparison is unknown.
    Pending,
    /// A value.
    One(Scalar<'e>),
    /// Several: a list's members, the ancestors, the ends of a connection. It may be empty.
    Many(Vec<Scalar<'e>>),
}

impl<'e> Value<'e> {
    /// A text.
    pub fn text(text: &'e (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::One(Scalar::text(text))
    }

    /// Its values, however many.
    #[must_use]
    pub fn scalars(&self) -> &[Scalar<'e>] {
        match self {
            Self::Missing | Self::Pending => &[],
            Self::One(scalar) => std::slice::from_ref(scalar),
            Self::Many(scalars) => scalars,
        }
    }
}

impl<'e> From<Option<Scalar<'e>>> for Value<'e> {
    fn from(scalar: Option<Scalar<'e>>) -> Self {
        scalar.map_or(Self::Missing, Self::One)
    }
}
