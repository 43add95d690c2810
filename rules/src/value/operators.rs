//! Which kinds an operator takes, and what it means between two values of an event.

use super::{
    Scalar,
    glob::Glob,
    literal::whole,
    test::{contains_folded, numbers},
};
use crate::{condition::Operator, field::Kind};

/// An operator that a kind does not take. The wordings are those of libsinsp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Numbers, times, ports and truth.
    #[error("'{0}' operator not supported for numeric filters")]
    Number(Operator),
    /// Texts.
    #[error("'{0}' operator not supported for string filters")]
    Text(Operator),
    /// Bytes.
    #[error("'{0}' operator not supported for buffer filters")]
    Bytes(Operator),
    /// Addresses and networks.
    #[error("'{0}' operator not supported for ip address and network filters")]
    Address(Operator),
    /// Lists.
    #[error("'{0}' operator not supported list filters")]
    List(Operator),
}

/// Whether values of a kind, or lists of them, take an operator.
///
/// # Errors
///
/// When they do not.
pub const fn supported(operator: Operator, kind: Kind, list: bool) -> Result<(), Unsupported> {
    use Operator as O;
    if list {
        return if matches!(operator, O::In | O::Intersects) {
            Ok(())
        } else {
            Err(Unsupported::List(operator))
        };
    }
    let is_equality = matches!(operator, O::Equal | O::NotEqual | O::In | O::Intersects);
    let is_order = matches!(operator, O::Less | O::LessOrEqual | O::Greater | O::GreaterOrEqual);
    let binary = matches!(operator, O::BContains | O::BStartsWith);
    match kind {
        Kind::Text if !binary => Ok(()),
        Kind::Text => Err(Unsupported::Text(operator)),
        Kind::Bytes if is_equality || binary => Ok(()),
        Kind::Bytes if matches!(operator, O::Contains | O::StartsWith | O::EndsWith) => Ok(()),
        Kind::Bytes => Err(Unsupported::Bytes(operator)),
        Kind::Address | Kind::Network if is_equality => Ok(()),
        Kind::Address | Kind::Network => Err(Unsupported::Address(operator)),
        _ if is_equality || (is_order && !matches!(kind, Kind::Bool)) => Ok(()),
        _ => Err(Unsupported::Number(operator)),
    }
}

/// Whether two values of an event stand so. `regex` and `pmatch` take no value of an event on their right;
/// they never hold here.
#[must_use]
pub fn compare(operator: Operator, left: &Scalar<'_>, right: &Scalar<'_>) -> bool {
    match (left, right) {
        (Scalar::Text(left), Scalar::Text(right)) => texts(operator, left, right),
        (Scalar::Bool(left), Scalar::Bool(right)) => equality(operator, left == right),
        (Scalar::Address(left), Scalar::Address(right)) => equality(operator, left == right),
        (Scalar::Double(left), Scalar::Double(right)) => numbers(operator, left, right),
        (left, right) => match (whole(left), whole(right)) {
            (Some(left), Some(right)) => numbers(operator, &left, &right),
            _ => false,
        },
    }
}

const fn equality(operator: Operator, same: bool) -> bool {
    match operator {
        Operator::Equal | Operator::In | Operator::Intersects => same,
        Operator::NotEqual => !same,
        _ => false,
    }
}

fn texts(operator: Operator, left: &[u8], right: &[u8]) -> bool {
    match operator {
        Operator::Equal | Operator::In | Operator::Intersects => left == right,
        Operator::NotEqual => left != right,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            numbers(operator, left, right)
        }
        Operator::Contains | Operator::BContains => memchr::memmem::find(left, right).is_some(),
        Operator::IContains => contains_folded(left, &right.to_ascii_lowercase()),
        Operator::StartsWith | Operator::BStartsWith => left.starts_with(right),
        Operator::EndsWith => left.ends_with(right),
        Operator::Glob => Glob::new(right, false).matches(left),
        Operator::IGlob => Glob::new(right, true).matches(left),
        Operator::Regex | Operator::PMatch => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_take_what_fits_them() {
        use Operator as O;
        assert_eq!(supported(O::Contains, Kind::Int64, false), Err(Unsupported::Number(O::Contains)));
        assert_eq!(supported(O::Less, Kind::Bool, false), Err(Unsupported::Number(O::Less)));
        assert_eq!(supported(O::BContains, Kind::Text, false), Err(Unsupported::Text(O::BContains)));
        assert_eq!(supported(O::Regex, Kind::Bytes, false), Err(Unsupported::Bytes(O::Regex)));
        assert_eq!(supported(O::Less, Kind::Network, false), Err(Unsupported::Address(O::Less)));
        assert_eq!(supported(O::Equal, Kind::Text, true), Err(Unsupported::List(O::Equal)));
        assert_eq!(supported(O::Intersects, Kind::Text, true), Ok(()));
        for operator in O::ALL {
            let binary = matches!(operator, O::BContains | O::BStartsWith);
            assert_eq!(supported(*operator, Kind::Text, false).is_ok(), !binary, "{operator}");
        }
    }

    #[test]
    fn values_of_an_event_are_compared() {
        use Operator as O;
        let name = Scalar::from("script");
        for (operator, right, expected) in [
            (O::Equal, "script", true),
            (O::NotEqual, "script", false),
            (O::Contains, "rip", true),
            (O::IContains, "RIP", true),
            (O::StartsWith, "scr", true),
            (O::EndsWith, "ipt", true),
            (O::Glob, "s*t", true),
            (O::IGlob, "S*T", true),
            (O::Less, "t", true),
            (O::GreaterOrEqual, "t", false),
        ] {
            assert_eq!(compare(operator, &name, &Scalar::from(right)), expected, "{operator}");
        }
        assert!(compare(O::Equal, &Scalar::Int(3), &Scalar::UInt(3)));
        assert!(compare(O::Less, &Scalar::Int(-1), &Scalar::UInt(0)));
        assert!(!compare(O::Equal, &Scalar::Int(3), &Scalar::from("3")));
    }
}
