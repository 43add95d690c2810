//! The page of operators.

use super::MADE;
use crate::{
    condition::{Modifier, Operator, Shape},
    field::Kind,
    value::supported,
};

/// Kinds that take the same operators, by one of them.
const KINDS: &[(&str, Kind)] = &[
    ("text", Kind::Text),
    ("bytes", Kind::Bytes),
    ("numbers", Kind::Int64),
    ("BOOL", Kind::Bool),
    ("addresses", Kind::Address),
];

pub(super) fn page() -> String {
    let mut text = format!(
        "{MADE}\n# Operators\n\n`exists` stands alone after a field and asks whether the event has it. The others:\n\n\
         | operator | right side | for | holds when |\n|---|---|---|---|\n"
    );
    for operator in Operator::ALL {
        let right = match operator.shape() {
            Shape::Number => "a number",
            Shape::Text => "a value",
            Shape::List => "a list",
        };
        let mut kinds: Vec<&str> = KINDS
            .iter()
            .filter(|(_, kind)| supported(*operator, *kind, false).is_ok())
            .map(|(name, _)| *name)
            .collect();
        if supported(*operator, Kind::Text, true).is_ok() {
            kinds.push("lists");
        }
        text.push_str(&format!(
            "| `{operator}` | {right} | {} | {} |\n",
            kinds.join(", "),
            meaning(*operator)
        ));
    }
    text.push_str(
        "\nOn the right of any of them but `regex` and `pmatch` a field of the event can stand: `val(field)`, or a \
         [transformer](transformers.md).\nBoth sides are of one type then.\n\n## Modifiers\n\nBetween an operator that \
         takes a value and a list of values. Over an empty list none of them holds.\n\n| modifier | holds when \
         |\n|---|---|\n",
    );
    for modifier in Modifier::ALL {
        text.push_str(&format!("| `{modifier}` | {} |\n", over(*modifier)));
    }
    text.push_str(VALUES);
    text
}

/// How values are written.
const VALUES: &str = "\n## Values\n\n\
    - Numbers are decimal, or hex after `0x`; a leading zero means nothing. A negative number compared with an \
    unsigned\n  field is taken round, as Falco does: `user.uid = -1` asks for 4294967295.\n\
    - Truth is `true` or `false`.\n\
    - Ports are numbers or well-known services: `fd.sport = https`.\n\
    - Addresses are IPv4 or IPv6; address fields take networks too (`fd.sip in (10.0.0.0/8)`), network fields \
    nothing else.\n\
    - `fd.ip`, `fd.port`, `fd.proto` and `fd.net` hold when they do for either end; `!=` when it does for both.\n\
    - Globs know `*`, `?`, `[…]` and `\\`; `*` and `?` match slashes, too.\n\
    - Expressions of `regex` have POSIX syntax and fit the whole text, in time linear in it.\n\
    - `bcontains` and `bstartswith` take bytes in hex.\n";

const fn meaning(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "both are the same; for a network, the address is in it. `==` is the same",
        Operator::NotEqual => "they are not; a field that is missing makes it false, too",
        Operator::Less => "the field is smaller; texts by their bytes",
        Operator::LessOrEqual => "the field is not greater",
        Operator::Greater => "the field is greater",
        Operator::GreaterOrEqual => "the field is not smaller",
        Operator::Contains => "the value is anywhere in the field",
        Operator::IContains => "the same without regard to case",
        Operator::BContains => "the bytes are anywhere in the field",
        Operator::StartsWith => "the field begins with the value",
        Operator::BStartsWith => "the field begins with the bytes",
        Operator::EndsWith => "the field ends with the value",
        Operator::Glob => "the whole field fits the pattern",
        Operator::IGlob => "the same without regard to case",
        Operator::Regex => "the whole field fits the expression",
        Operator::In => "the field is in the list; of a field that is a list, all members are",
        Operator::Intersects => "the field is in the list; of a field that is a list, one member is",
        Operator::PMatch => "a path of the list, whose parts can be globs, is the field or a folder above it",
    }
}

const fn over(modifier: Modifier) -> &'static str {
    match modifier {
        Modifier::OneOf => "the operator holds for exactly one of them",
        Modifier::AnyOf => "it holds for one of them or more",
        Modifier::AllOf => "it holds for each of them",
    }
}
