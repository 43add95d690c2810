//! What a test asks of a text, for whoever looks for many texts at once.

use hashbrown::HashSet;

use super::{
    Literal, Scalar, Test,
    test::{Form, Matcher, Set},
};
use crate::condition::{Modifier, Operator};

/// What one text is asked for. Nothing but a text passes, but for `NotEqual`, which any other value passes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pattern<'t> {
    /// To be this.
    Equal(&'t [u8]),
    /// Not to be this.
    NotEqual(&'t [u8]),
    /// To be one of these.
    Among(&'t HashSet<Box<[u8]>>),
    /// To begin so.
    StartsWith(&'t [u8]),
    /// To end so.
    EndsWith(&'t [u8]),
    /// To have this somewhere.
    Contains(&'t [u8]),
}

impl Test {
    /// The patterns of which a value must pass one, if that is all the test asks for. There is at least one.
    pub(crate) fn patterns(&self) -> Option<Vec<Pattern<'_>>> {
        match &self.0 {
            Form::One(matcher) => Some(vec![matcher.pattern()?]),
            Form::Over(Modifier::AnyOf, matchers) if !matchers.is_empty() => {
                matchers.iter().map(Matcher::pattern).collect()
            }
            Form::Among(Set::Texts(texts)) => Some(vec![Pattern::Among(texts)]),
            _ => None,
        }
    }

    /// Patterns that every text has to pass that passes this test, which asks for more.
    pub(crate) fn implied(&self) -> Vec<Pattern<'_>> {
        match &self.0 {
            Form::One(Matcher::Glob(glob)) => {
                let (start, end) = (glob.start(), glob.end());
                let mut patterns = Vec::new();
                if !start.is_empty() {
                    patterns.push(Pattern::StartsWith(start));
                }
                if !end.is_empty() {
                    patterns.push(Pattern::EndsWith(end));
                }
                if patterns.is_empty() && !glob.longest().is_empty() {
                    patterns.push(Pattern::Contains(glob.longest()));
                }
                patterns
            }
            _ => Vec::new(),
        }
    }

    /// Whether no number from 1 on passes.
    pub(crate) fn is_never_of_counts(&self) -> bool {
        match &self.0 {
            Form::One(Matcher::Equal(Literal::Number(number))) => *number < 1,
            Form::One(Matcher::Order(Operator::Less, Literal::Number(number))) => *number <= 1,
            Form::One(Matcher::Order(Operator::LessOrEqual, Literal::Number(number))) => *number < 1,
            Form::Among(Set::Numbers(numbers)) => numbers.iter().all(|number| *number < 1),
            _ => false,
        }
    }

    /// Whether it asks for a number that is not negative: of a result, whether the call did not fail.
    pub(crate) fn is_not_negative(&self) -> bool {
        let passes = |number| self.holds(&Scalar::Int(number));
        passes(0) && passes(1) && !passes(-1)
    }

    /// Whether it is a regular expression, or some.
    pub(crate) fn is_costly(&self) -> bool {
        self.cost() > 0
    }
}

impl Matcher {
    /// The pattern, where it is one. An empty one says nothing of a text.
    fn pattern(&self) -> Option<Pattern<'_>> {
        match self {
            Self::Equal(Literal::Text(text)) => Some(Pattern::Equal(text)),
            Self::NotEqual(Literal::Text(text)) => Some(Pattern::NotEqual(text)),
            Self::StartsWith(start) if !start.is_empty() => Some(Pattern::StartsWith(start)),
            Self::EndsWith(end) if !end.is_empty() => Some(Pattern::EndsWith(end)),
            Self::Contains(finder) if !finder.needle().is_empty() => Some(Pattern::Contains(finder.needle())),
            _ => None,
        }
    }
}
