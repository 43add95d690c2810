//! Where a side of a comparison gets its values.

use std::borrow::Cow;

use super::Fields;
use crate::{
    field::{Kind, Reference},
    value::{Scalar, Value, transform},
};

/// What gives values for an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A field.
    Field(Reference),
    /// A text of the rule.
    Text(Box<[u8]>),
    /// Several, as a list.
    List(Vec<Source>),
    /// What a transformer makes of each value.
    Each(Each, Box<Source>),
    /// How long a text is.
    Length(Box<Source>),
    /// How many values there are.
    Count(Box<Source>),
    /// The words of a text.
    Words(Box<Source>),
    /// Values with a separator between.
    Join(Box<Source>, Box<Source>),
    /// Values one after the other.
    Concat(Vec<Source>),
    /// Options among words, by an option string.
    Options(Box<Source>, Box<Source>),
}

/// A transformer of single texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Each {
    Lower,
    Upper,
    Base64,
    Basename,
}

/// What the values of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) list: bool,
}

impl Source {
    /// The values for an event.
    pub(crate) fn value<'v, F: Fields + ?Sized>(&'v self, event: &'v F) -> Value<'v> {
        match self {
            Self::Field(reference) => event.field(reference),
            Self::Text(text) => Value::text(text),
            Self::List(items) => all(items.iter().map(|item| item.value(event))),
            Self::Each(transformer, inner) => each(inner.value(event), |text| transformer.apply(text)),
            Self::Length(inner) => match inner.value(event) {
                Value::One(scalar) => Value::One(Scalar::UInt(scalar.to_text().len() as u64)),
                Value::Many(scalars) => {
                    scalars.into_iter().next().map(|it| Scalar::UInt(it.to_text().len() as u64)).into()
                }
                absent => absent,
            },
            Self::Count(inner) => match inner.value(event) {
                Value::One(_) => Value::One(Scalar::UInt(1)),
                Value::Many(scalars) => Value::One(Scalar::UInt(scalars.len() as u64)),
                absent => absent,
            },
            Self::Words(inner) => match inner.value(event) {
                Value::One(Scalar::Text(text)) => Value::Many(words(text)),
                given => given,
            },
            Self::Join(separator, items) => joined(separator.value(event), items.value(event)),
            Self::Concat(items) => match all(items.iter().map(|item| item.value(event))) {
                Value::Many(scalars) => Value::One(Scalar::owned(join(&scalars, b""))),
                absent => absent,
            },
            Self::Options(words, options) => chosen(words.value(event), options.value(event)),
        }
    }
}

impl Each {
    fn apply(self, text: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Lower => Some(transform::to_lower(text)),
            Self::Upper => Some(transform::to_upper(text)),
            Self::Base64 => transform::from_base64(&text).map(Cow::Owned),
            Self::Basename => Some(transform::basename(text)),
        }
    }
}

/// What a transformer makes of every text; nothing when it makes nothing of one.
fn each<'v>(value: Value<'v>, apply: impl Fn(Cow<'v, [u8]>) -> Option<Cow<'v, [u8]>>) -> Value<'v> {
    let one = |scalar| match scalar {
        Scalar::Text(text) => apply(text).map(Scalar::Text),
        other => Some(other),
    };
    match value {
        Value::One(scalar) => one(scalar).into(),
        Value::Many(scalars) => {
            scalars.into_iter().map(one).collect::<Option<_>>().map_or(Value::Missing, Value::Many)
        }
        absent => absent,
    }
}

/// All values as one list; missing when one is, pending when one is.
fn all<'v>(values: impl Iterator<Item = Value<'v>>) -> Value<'v> {
    let mut scalars = Vec::new();
    let mut pending = false;
    for value in values {
        match value {
            Value::Missing => return Value::Missing,
            Value::Pending => pending = true,
            Value::One(scalar) => scalars.push(scalar),
            Value::Many(more) => scalars.extend(more),
        }
    }
    if pending { Value::Pending } else { Value::Many(scalars) }
}

fn joined<'v>(separator: Value<'v>, items: Value<'v>) -> Value<'v> {
    match (separator, items) {
        (Value::Missing, _) | (_, Value::Missing) => Value::Missing,
        (Value::Pending, _) | (_, Value::Pending) => Value::Pending,
        (separator, items) => {
            let separator = separator.scalars().first().map(Scalar::to_text).unwrap_or_default();
            Value::One(Scalar::owned(join(items.scalars(), &separator)))
        }
    }
}

fn join(scalars: &[Scalar<'_>], separator: &[u8]) -> Vec<u8> {
    scalars.iter().map(Scalar::to_text).collect::<Vec<_>>().join(separator)
}

fn words(text: Cow<'_, [u8]>) -> Vec<Scalar<'_>> {
    let is_word = |word: &&[u8]| !word.is_empty();
    match text {
        Cow::Borrowed(text) => text.split(|byte| *byte == b' ').filter(is_word).map(Scalar::text).collect(),
        Cow::Owned(text) => text.split(|byte| *byte == b' ').filter(is_word).map(Scalar::owned).collect(),
    }
}

fn chosen<'v>(words: Value<'v>, options: Value<'v>) -> Value<'v> {
    match (words, options) {
        (Value::Missing, _) | (_, Value::Missing) => Value::Missing,
        (Value::Pending, _) | (_, Value::Pending) => Value::Pending,
        (words, options) => {
            let texts: Vec<_> = words.scalars().iter().map(Scalar::to_text).collect();
            let texts: Vec<&[u8]> = texts.iter().map(|text| &**text).collect();
            let options = options.scalars().first().map(Scalar::to_text).unwrap_or_default();
            let found = transform::getopt(&texts, &options);
            Value::Many(found.into_iter().map(|text| Scalar::owned(text.into_owned())).collect())
        }
    }
}
