use rules::condition::{
    Modifier, Operator,
    ast::{Argument, Comparison, ExprKind, Operand, Right},
    parse,
};

fn comparison(text: &str) -> Comparison {
    match parse(text).unwrap().kind {
        ExprKind::Compare(comparison) => *comparison,
        other => panic!("{text}: {other:?}"),
    }
}

fn right_text(comparison: &Comparison) -> &str {
    match &comparison.right {
        Right::Value(text) => &text.value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn and_binds_over_or_and_not_over_both() {
    let tree = parse("a or not b and c or d").unwrap();
    assert_eq!(tree.to_string(), "(a or (not b and c) or d)");
    let ExprKind::Or(parts) = &tree.kind else { panic!("{tree:?}") };
    assert_eq!(parts.len(), 3);
    assert_eq!((parts[1].span.start, parts[1].span.end), (5, 16));
}

#[test]
fn a_modifier_is_one_only_before_a_list() {
    let listed = comparison("proc.name endswith oneof (a, b)");
    assert_eq!((listed.operator, listed.modifier), (Operator::EndsWith, Some(Modifier::OneOf)));
    let named = comparison("proc.name = allof names");
    assert_eq!((named.modifier, right_text(&named)), (Some(Modifier::AllOf), "names"));
    let value = comparison("proc.name = allof");
    assert_eq!((value.modifier, right_text(&value)), (None, "allof"));
}

#[test]
fn escapes_are_resolved() {
    let escaped = comparison(r#"fd.name = "a\"\\\n\t\/ \ b""#);
    assert_eq!(right_text(&escaped), "a\"\\\n\t/ \\b");
    assert_eq!(right_text(&comparison("fd.name = 'say \"x\"'")), "say \"x\"");
    assert!(parse(r#"fd.name = "it\'s""#).is_err());
}

#[test]
fn the_right_side_is_a_field_only_in_val() {
    assert_eq!(right_text(&comparison("proc.name = proc.pname")), "proc.pname");
    let Right::Operand(Operand::Field(field)) = comparison("proc.name = val(proc.aname[2])").right else {
        panic!("not a field")
    };
    assert_eq!((field.name.as_str(), field.argument.as_deref()), ("proc.aname", Some("2")));
}

#[test]
fn transformers_take_texts_numbers_and_lists() {
    let joined = comparison("join('-', (fd.name, tolower(proc.name), 12)) = x");
    let Operand::Call(call) = &joined.left else { panic!("{joined:?}") };
    assert_eq!(call.arguments.len(), 2);
    let Argument::List(items) = &call.arguments[1] else { panic!("{call:?}") };
    assert_eq!(items.len(), 3);
    assert_eq!(joined.left.span().end, 44);
}

#[test]
fn every_operator_is_read() {
    for operator in Operator::ALL {
        let right = match operator.shape() {
            rules::condition::Shape::List => "(1)",
            _ => "1",
        };
        assert_eq!(comparison(&format!("a.b {operator} {right}")).operator, *operator);
    }
    assert_eq!(comparison("a.b == 1").operator, Operator::Equal);
}
