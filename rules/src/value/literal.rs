//! Values that stand in rules, read as the kind of the field they are compared with.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Scalar, service};
use crate::field::Kind;

/// A value of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text or bytes.
    Text(Box<[u8]>),
    /// True or false.
    Bool(bool),
    /// A whole number; wide enough for signed and unsigned ones of 64 bits.
    Number(i128),
    /// A number with a fraction.
    Double(f64),
    /// An address.
    Address(IpAddr),
    /// A network.
    Network(IpNet),
}

/// Why a text is no value of a kind. The wordings are those of libsinsp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    /// Not a number, or none the kind has room for.
    #[error("{0} is not a valid number")]
    Number(String),
    /// Neither `true` nor `false`.
    #[error("filter error: unrecognized boolean value {0}")]
    Bool(String),
    /// Neither a port nor a known service.
    #[error("unrecognized protocol {0}")]
    Port(String),
    /// Not an address.
    #[error("unrecognized IP address {0}")]
    Address(String),
    /// Not a network.
    #[error("unrecognized IP network {0}")]
    Network(String),
    /// Not bytes in hex.
    #[error("filter error: bcontains and bstartswith operator support hex strings only")]
    Hex,
}

impl Literal {
    /// Reads a text as a value of a kind.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, LiteralError> {
        match kind {
            Kind::Text | Kind::Bytes | Kind::Dynamic => Ok(Self::Text(text.as_bytes().into())),
            Kind::Bool => match text {
                "true" => Ok(Self::Bool(true)),
                "false" => Ok(Self::Bool(false)),
                _ => Err(LiteralError::Bool(text.to_owned())),
            },
            Kind::Double => {
                text.trim_start().parse().map(Self::Double).map_err(|_| LiteralError::Number(text.to_owned()))
            }
            Kind::Port => port(text).map(Self::Number),
            Kind::Address if !text.contains('/') => {
                text.parse().map(Self::Address).map_err(|_| LiteralError::Address(text.to_owned()))
            }
            Kind::Address | Kind::Network => {
                text.parse().map(Self::Network).map_err(|_| LiteralError::Network(text.to_owned()))
            }
            Kind::Int16 => signed(text, 16),
            Kind::Int32 => signed(text, 32),
            Kind::Int64 => signed(text, 64),
            Kind::UInt32 => unsigned(text, 32),
            Kind::UInt64 | Kind::RelTime | Kind::AbsTime => unsigned(text, 64),
        }
    }

    /// Reads bytes in hex.
    ///
    /// # Errors
    ///
    /// When digits are missing or are none.
    pub fn parse_hex(text: &str) -> Result<Self, LiteralError> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let bytes: Option<Box<[u8]>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.filter(|bytes| !bytes.is_empty()).map(Self::Text).ok_or(LiteralError::Hex)
    }

    /// Whether an event's value is this one; for a network, whether it lies in it.
    #[must_use]
    pub fn is(&self, scalar: &Scalar<'_>) -> bool {
        match (self, scalar) {
            (Self::Text(text), Scalar::Text(found)) => **text == **found,
            (Self::Bool(value), Scalar::Bool(found)) => value == found,
            (Self::Number(number), found) => whole(found).is_some_and(|found| *number == found),
            (Self::Double(number), Scalar::Double(found)) => number == found,
            (Self::Address(address), Scalar::Address(found)) => address == found,
            (Self::Network(network), Scalar::Address(found)) => network.contains(found),
            _ => false,
        }
    }
}

/// A whole number of an event.
pub(super) fn whole(scalar: &Scalar<'_>) -> Option<i128> {
    match scalar {
        Scalar::Int(number) => Some(i128::from(*number)),
        Scalar::UInt(number) => Some(i128::from(*number)),
        Scalar::Text(_) | Scalar::Bool(_) | Scalar::Double(_) | Scalar::Address(_) => None,
    }
}

/// Digits after a sign; `0x` means hex. A leading zero means nothing, as with `scanf(3)`'s `%d`, which Falco
/// reads numbers with.
fn number(text: &str) -> Option<i128> {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let number = match hex {
        Some(digits) if digits.starts_with(['+', '-']) => return None,
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let number = i128::from(number.ok()?);
    Some(if negative { -number } else { number })
}

fn signed(text: &str, bits: u32) -> Result<Literal, LiteralError> {
    let limit = 1_i128 << (bits - 1);
    let fits = number(text).filter(|number| (-limit..limit).contains(number));
    fits.map(Literal::Number).ok_or_else(|| LiteralError::Number(text.to_owned()))
}

/// A negative number is taken round, as `scanf(3)`'s `%u` does: `user.uid = -1` asks for 4294967295.
fn unsigned(text: &str, bits: u32) -> Result<Literal, LiteralError> {
    let limit = 1_i128 << bits;
    let fits = number(text).filter(|number| (-limit / 2..limit).contains(number));
    fits.map(|number| Literal::Number(number.rem_euclid(limit)))
        .ok_or_else(|| LiteralError::Number(text.to_owned()))
}

fn port(text: &str) -> Result<i128, LiteralError> {
    let known = match text {
        "" => Some(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        name => service::port(name),
    };
    known.map(i128::from).ok_or_else(|| LiteralError::Port(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_of(text: &str, kind: Kind) -> Option<i128> {
        match Literal::parse(text, kind) {
            Ok(Literal::Number(number)) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn numbers_are_read_as_falco_reads_them() {
        let cases = [
            ("12", Kind::Int64, Some(12)),
            ("-1", Kind::Int64, Some(-1)),
            ("+7", Kind::Int64, Some(7)),
            ("010", Kind::Int64, Some(10)),
            ("0x1F", Kind::Int64, Some(31)),
            ("0x", Kind::Int64, None),
            ("1.5", Kind::Int64, None),
            ("12a", Kind::Int64, None),
            ("", Kind::Int64, None),
            ("--1", Kind::Int64, None),
            ("-1", Kind::UInt32, Some(4_294_967_295)),
            ("4294967296", Kind::UInt32, None),
            ("32768", Kind::Int16, None),
            ("-32768", Kind::Int16, Some(-32768)),
            ("18446744073709551615", Kind::UInt64, Some(i128::from(u64::MAX))),
            ("9223372036854775808", Kind::Int64, None),
            ("443", Kind::Port, Some(443)),
            ("https", Kind::Port, Some(443)),
            ("65536", Kind::Port, None),
            ("nosuch", Kind::Port, None),
            ("", Kind::Port, Some(0)),
        ];
        for (text, kind, expected) in cases {
            assert_eq!(number_of(text, kind), expected, "{text} {kind}");
        }
        assert_eq!(Literal::parse("-1.5", Kind::Double), Ok(Literal::Double(-1.5)));
    }

    #[test]
    fn only_two_words_are_truth() {
        assert_eq!(Literal::parse("true", Kind::Bool), Ok(Literal::Bool(true)));
        assert_eq!(Literal::parse("True", Kind::Bool), Err(LiteralError::Bool("True".into())));
        assert_eq!(Literal::parse("1", Kind::Bool), Err(LiteralError::Bool("1".into())));
    }

    #[test]
    fn addresses_and_networks_are_told_apart() {
        let is = |text, kind, address: &str| {
            Literal::parse(text, kind).unwrap().is(&Scalar::Address(address.parse().unwrap()))
        };
        assert!(is("10.0.0.1", Kind::Address, "10.0.0.1"));
        assert!(!is("10.0.0.1", Kind::Address, "::1"));
        assert!(is("10.0.0.0/8", Kind::Address, "10.9.9.9"));
        assert!(is("142.251.0.0/8", Kind::Network, "142.1.1.1"), "bits after the mask do not count");
        assert!(is("2001:db8::/32", Kind::Network, "2001:db8::1"));
        assert!(!is("2001:db8::/32", Kind::Network, "10.0.0.1"));
        assert!(Literal::parse("10.0.0.1", Kind::Network).is_err());
        assert!(Literal::parse("10.0.0.0/33", Kind::Network).is_err());
        assert!(Literal::parse("10.0.0", Kind::Address).is_err());
    }

    #[test]
    fn hex_comes_in_pairs() {
        assert_eq!(Literal::parse_hex("656c6C"), Ok(Literal::Text((*b"ell").into())));
        for text in ["", "2", "2g", "123"] {
            assert_eq!(Literal::parse_hex(text), Err(LiteralError::Hex), "{text}");
        }
    }
}
