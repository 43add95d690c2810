//! The right side of a comparison, compiled.

use std::cmp::Ordering;

use hashbrown::HashSet;
use memchr::memmem::Finder;

use super::{
    Literal, LiteralError, PatternError, Scalar, Unsupported, addresses::Addresses, expression::Expression,
    glob::Glob, literal::whole, paths::Paths, supported,
};
use crate::{
    condition::{Modifier, Operator},
    field::Kind,
};

/// What a value is held against: an operator and the values of the rule.
#[derive(Debug, Clone)]
pub struct Test(pub(super) Form);

#[derive(Debug, Clone)]
pub(super) enum Form {
    One(Matcher),
    Over(Modifier, Vec<Matcher>),
    Among(Set),
    Below(Paths),
}

/// One value of the rule.
#[derive(Debug, Clone)]
pub(super) enum Matcher {
    Equal(Literal),
    NotEqual(Literal),
    Order(Operator, Literal),
    Contains(Box<Finder<'static>>),
    /// The value in small letters.
    IContains(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Glob(Glob),
    Regex(Expression),
}

/// The values of `in`.
#[derive(Debug, Clone)]
pub(super) enum Set {
    Texts(HashSet<Box<[u8]>>),
    Numbers(HashSet<i128>),
    Addresses(Addresses),
    Others(Vec<Literal>),
}

/// Why a comparison is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    /// The kind does not take the operator.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A value is none of the kind.
    #[error(transparent)]
    Literal(#[from] LiteralError),
    /// A pattern is no regular expression.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Test {
    /// Compiles an operator, its modifier and the values of a rule for fields of a kind. An operator that is
    /// given several values without a modifier takes the first, as the grammar allows no other.
    ///
    /// # Errors
    ///
    /// When the kind does not take the operator, or a value is none of the kind.
    pub fn new<'v>(
        operator: Operator,
        modifier: Option<Modifier>,
        kind: Kind,
        list: bool,
        values: impl IntoIterator<Item = &'v str>,
    ) -> Result<Self, TestError> {
        supported(operator, kind, list)?;
        let mut values = values.into_iter();
        Ok(Self(match (operator, modifier) {
            (Operator::In | Operator::Intersects, _) => Form::Among(Set::new(values, kind)?),
            (Operator::PMatch, _) => Form::Below(Paths::new(values.map(str::as_bytes))),
            (_, Some(modifier)) => Form::Over(
                modifier,
                values.map(|value| Matcher::new(operator, kind, value)).collect::<Result<_, _>>()?,
            ),
            (_, None) => Form::One(Matcher::new(operator, kind, values.next().unwrap_or_default())?),
        }))
    }

    /// Whether a value passes.
    #[must_use]
    pub fn holds(&self, scalar: &Scalar<'_>) -> bool {
        match &self.0 {
            Form::One(matcher) => matcher.matches(scalar),
            // Over no values nothing holds, not even `allof`, as in libsinsp.
            Form::Over(_, matchers) if matchers.is_empty() => false,
            Form::Over(Modifier::AnyOf, matchers) => matchers.iter().any(|it| it.matches(scalar)),
            Form::Over(Modifier::AllOf, matchers) => matchers.iter().all(|it| it.matches(scalar)),
            Form::Over(Modifier::OneOf, matchers) => {
                matchers.iter().filter(|it| it.matches(scalar)).take(2).count() == 1
            }
            Form::Among(set) => set.contains(scalar),
            Form::Below(paths) => matches!(scalar, Scalar::Text(path) if paths.contain(path)),
        }
    }

    /// How many bytes its expressions of `regex` take at most.
    #[must_use]
    pub fn cost(&self) -> usize {
        let one = |matcher: &Matcher| match matcher {
            Matcher::Regex(expression) => expression.size(),
            _ => 0,
        };
        match &self.0 {
            Form::One(matcher) => one(matcher),
            Form::Over(_, matchers) => matchers.iter().map(one).sum(),
            Form::Among(_) | Form::Below(_) => 0,
        }
    }

    /// Whether no value at all passes: the rule gave none.
    #[must_use]
    pub fn is_never(&self) -> bool {
        match &self.0 {
            Form::Over(_, matchers) => matchers.is_empty(),
            Form::Among(set) => set.is_empty(),
            Form::One(_) | Form::Below(_) => false,
        }
    }
}

impl Matcher {
    fn new(operator: Operator, kind: Kind, value: &str) -> Result<Self, TestError> {
        let bytes = || Box::from(value.as_bytes());
        let hex = || match Literal::parse_hex(value) {
            Ok(Literal::Text(bytes)) => Ok(bytes),
            Ok(_) => Err(LiteralError::Hex),
            Err(error) => Err(error),
        };
        Ok(match operator {
            Operator::Equal | Operator::In | Operator::Intersects | Operator::PMatch => {
                Self::Equal(Literal::parse(value, kind)?)
            }
            Operator::NotEqual => Self::NotEqual(Literal::parse(value, kind)?),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                Self::Order(operator, Literal::parse(value, kind)?)
            }
            Operator::Contains => Self::Contains(Box::new(Finder::new(value).into_owned())),
            Operator::BContains => Self::Contains(Box::new(Finder::new(&hex()?).into_owned())),
            Operator::IContains => Self::IContains(value.to_ascii_lowercase().into_bytes().into()),
            Operator::StartsWith => Self::StartsWith(bytes()),
            Operator::BStartsWith => Self::StartsWith(hex()?),
            Operator::EndsWith => Self::EndsWith(bytes()),
            Operator::Glob => Self::Glob(Glob::new(value.as_bytes(), false)),
            Operator::IGlob => Self::Glob(Glob::new(value.as_bytes(), true)),
            Operator::Regex => Self::Regex(Expression::new(value)?),
        })
    }

    fn matches(&self, scalar: &Scalar<'_>) -> bool {
        let text = match (self, scalar) {
            (Self::Equal(literal), _) => return literal.is(scalar),
            (Self::NotEqual(literal), _) => return !literal.is(scalar),
            (Self::Order(operator, literal), _) => return ordered(*operator, scalar, literal),
            (_, Scalar::Text(text)) => text,
            _ => return false,
        };
        match self {
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::IContains(small) => contains_folded(text, small),
            Self::StartsWith(start) => text.starts_with(start),
            Self::EndsWith(end) => text.ends_with(end),
            Self::Glob(glob) => glob.matches(text),
            Self::Regex(expression) => expression.matches(text),
            Self::Equal(_) | Self::NotEqual(_) | Self::Order(..) => false,
        }
    }
}

impl Set {
    fn new<'v>(values: impl Iterator<Item = &'v str>, kind: Kind) -> Result<Self, LiteralError> {
        let literals = values.map(|value| Literal::parse(value, kind));
        let mut texts = HashSet::new();
        let mut numbers = HashSet::new();
        let (mut addresses, mut networks) = (HashSet::new(), Vec::new());
        let mut others = Vec::new();
        for literal in literals {
            match literal? {
                Literal::Text(text) => drop(texts.insert(text)),
                Literal::Number(number) => drop(numbers.insert(number)),
                Literal::Address(address) => drop(addresses.insert(address)),
                Literal::Network(network) => networks.push(network),
                other => others.push(other),
            }
        }
        // A kind has literals of one sort.
        Ok(if !texts.is_empty() {
            Self::Texts(texts)
        } else if !numbers.is_empty() {
            Self::Numbers(numbers)
        } else if !addresses.is_empty() || !networks.is_empty() {
            Self::Addresses(Addresses::new(addresses, &networks))
        } else {
            Self::Others(others)
        })
    }

    fn contains(&self, scalar: &Scalar<'_>) -> bool {
        match self {
            Self::Texts(texts) => matches!(scalar, Scalar::Text(text) if texts.contains(&**text)),
            Self::Numbers(numbers) => whole(scalar).is_some_and(|number| numbers.contains(&number)),
            Self::Addresses(addresses) => {
                matches!(scalar, Scalar::Address(address) if addresses.contain(address))
            }
            Self::Others(literals) => literals.iter().any(|literal| literal.is(scalar)),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Others(literals) if literals.is_empty())
    }
}

fn ordered(operator: Operator, scalar: &Scalar<'_>, literal: &Literal) -> bool {
    match (scalar, literal) {
        (Scalar::Text(text), Literal::Text(literal)) => numbers(operator, &**text, &**literal),
        (Scalar::Double(number), Literal::Double(literal)) => numbers(operator, number, literal),
        (scalar, Literal::Number(literal)) => {
            whole(scalar).is_some_and(|number| numbers(operator, &number, literal))
        }
        _ => false,
    }
}

/// Two values with an order, by an operator that asks for it or for equality.
pub(super) fn numbers<T: PartialOrd + ?Sized>(operator: Operator, left: &T, right: &T) -> bool {
    let order = left.partial_cmp(right);
    match operator {
        Operator::Equal | Operator::In | Operator::Intersects => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        _ => false,
    }
}

/// Whether a text contains another, that is in small letters, without regard to ASCII case.
pub(super) fn contains_folded(text: &[u8], small: &[u8]) -> bool {
    let Some((first, rest)) = small.split_first() else {
        return true;
    };
    let upper = first.to_ascii_uppercase();
    memchr::memchr2_iter(*first, upper, text).any(|place| {
        let candidate = text.get(place + 1..).and_then(|after| after.get(..rest.len()));
        candidate.is_some_and(|candidate| candidate.eq_ignore_ascii_case(rest))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(operator: Operator, modifier: Option<Modifier>, text: &str, values: &[&str]) -> bool {
        let test = Test::new(operator, modifier, Kind::Text, false, values.iter().copied()).unwrap();
        test.holds(&Scalar::from(text))
    }

    #[test]
    fn modifiers_go_over_the_values() {
        use {Modifier as M, Operator as O};
        let cases = [
            (O::Equal, M::OneOf, ["myexe", "bash"], true),
            (O::Equal, M::OneOf, ["myexe", "myexe"], false),
            (O::Equal, M::AnyOf, ["myexe", "myexe"], true),
            (O::Equal, M::AllOf, ["myexe", "bash"], false),
            (O::Equal, M::AllOf, ["myexe", "myexe"], true),
            (O::NotEqual, M::OneOf, ["myexe", "bash"], true),
            (O::NotEqual, M::OneOf, ["sh", "bash"], false),
            (O::NotEqual, M::AllOf, ["sh", "bash"], true),
            (O::NotEqual, M::AllOf, ["sh", "myexe"], false),
            (O::Contains, M::OneOf, ["my", "exe"], false),
            (O::Contains, M::AllOf, ["my", "exe"], true),
            (O::IContains, M::AllOf, ["MY", "EXE"], true),
            (O::StartsWith, M::AllOf, ["my", "mye"], true),
            (O::EndsWith, M::OneOf, ["exe", "yexe"], false),
            (O::Glob, M::AllOf, ["my*", "*exe"], true),
            (O::IGlob, M::AnyOf, ["MY*", "X"], true),
            (O::Regex, M::OneOf, ["my.*", "b.*"], true),
            (O::Regex, M::OneOf, ["my.*", ".*exe"], false),
        ];
        for (operator, modifier, values, expected) in cases {
            assert_eq!(
                holds(operator, Some(modifier), "myexe", &values),
                expected,
                "{operator} {modifier} {values:?}"
            );
        }
        for modifier in M::ALL {
            assert!(!holds(O::Equal, Some(*modifier), "myexe", &[]), "{modifier}");
            assert!(!holds(O::NotEqual, Some(*modifier), "myexe", &[]), "{modifier}");
        }
    }

    #[test]
    fn bytes_are_found_by_their_hex() {
        let test = |operator, value| Test::new(operator, None, Kind::Bytes, false, [value]);
        let hello = Scalar::text("hello");
        for (operator, value, expected) in [
            (Operator::BContains, "656c6C", true),
            (Operator::BContains, "656c6cAA", false),
            (Operator::BStartsWith, "68656c", true),
            (Operator::BStartsWith, "65", false),
        ] {
            assert_eq!(test(operator, value).unwrap().holds(&hello), expected, "{operator} {value}");
        }
        assert_eq!(test(Operator::BContains, "2g").unwrap_err(), TestError::Literal(LiteralError::Hex));
    }

    #[test]
    fn sets_take_every_kind() {
        let among = |kind, values: &[&str], scalar: Scalar<'_>| {
            Test::new(Operator::In, None, kind, false, values.iter().copied()).unwrap().holds(&scalar)
        };
        assert!(among(Kind::Text, &["a", "b"], "b".into()) && !among(Kind::Text, &["a"], "b".into()));
        assert!(among(Kind::Port, &["53", "https"], Scalar::UInt(443)));
        assert!(among(Kind::Int64, &["-1", "2"], Scalar::Int(-1)));
        assert!(among(Kind::Bool, &["true"], Scalar::Bool(true)));
        let address = || Scalar::Address("127.0.0.1".parse().unwrap());
        assert!(among(Kind::Network, &["11.0.0.0/8", "127.0.0.0/8"], address()));
        assert!(!among(Kind::Network, &["11.0.0.0/8"], address()));
        assert!(!among(Kind::Text, &[], "".into()));
    }

    #[test]
    fn never_means_never() {
        let never = |operator, modifier, values: &[&str]| {
            Test::new(operator, modifier, Kind::Text, false, values.iter().copied()).unwrap().is_never()
        };
        assert!(never(Operator::In, None, &[]) && !never(Operator::In, None, &["a"]));
        assert!(never(Operator::NotEqual, Some(Modifier::AllOf), &[]));
        assert!(!never(Operator::Equal, None, &[""]));
    }

    proptest! {
        #[test]
        fn texts_are_compared_as_the_words_say(text in "[abAB]{0,6}", value in "[abAB]{0,3}") {
            use Operator as O;
            let given = [value.as_str()];
            prop_assert_eq!(holds(O::Contains, None, &text, &given), text.contains(&value));
            let (small, small_value) = (text.to_lowercase(), value.to_lowercase());
            prop_assert_eq!(holds(O::IContains, None, &text, &given), small.contains(&small_value));
            prop_assert_eq!(holds(O::StartsWith, None, &text, &given), text.starts_with(&value));
            prop_assert_eq!(holds(O::EndsWith, None, &text, &given), text.ends_with(&value));
            prop_assert_eq!(holds(O::Equal, None, &text, &given), text == value);
            prop_assert_eq!(holds(O::NotEqual, None, &text, &given), text != value);
            prop_assert_eq!(holds(O::In, None, &text, &given), text == value);
            prop_assert_eq!(holds(O::Less, None, &text, &given), text < value);
            prop_assert_eq!(holds(O::GreaterOrEqual, None, &text, &given), text >= value);
        }

        #[test]
        fn numbers_are_compared_as_such(left: i64, right: i64) {
            use Operator as O;
            let text = right.to_string();
            let holds = |operator| {
                let test = Test::new(operator, None, Kind::Int64, false, [text.as_str()]).unwrap();
                test.holds(&Scalar::Int(left))
            };
            prop_assert_eq!(holds(O::Less), left < right);
            prop_assert_eq!(holds(O::LessOrEqual), left <= right);
            prop_assert_eq!(holds(O::Greater), left > right);
            prop_assert_eq!(holds(O::GreaterOrEqual), left >= right);
            prop_assert_eq!(holds(O::Equal), left == right);
            prop_assert_eq!(holds(O::NotEqual), left != right);
        }

        #[test]
        fn a_literal_right_is_as_one_of_the_event(text in "[ab*?]{0,5}", value in "[ab*?]{0,4}") {
            for operator in Operator::ALL {
                use Operator::{BContains, BStartsWith, PMatch, Regex};
                if !matches!(operator, Regex | PMatch | BContains | BStartsWith) {
                    let (left, right) = (Scalar::from(text.as_str()), Scalar::from(value.as_str()));
                    let of_two = crate::value::compare(*operator, &left, &right);
                    prop_assert_eq!(holds(*operator, None, &text, &[&value]), of_two, "{}", operator);
                }
            }
        }
    }
}
