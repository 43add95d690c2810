use proptest::{collection::vec, option, prelude::*, sample::select};
use rules::condition::{
    Modifier, Operator, Shape, Transformer,
    ast::{Argument, Call, Comparison, Expr, ExprKind, Field, List, Operand, Right, Span, Text},
    parse,
};

const NOWHERE: Span = Span::new(0, 0);

fn text(value: String) -> Text {
    Text { value, span: NOWHERE }
}

fn identifier() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_]{0,6}"
        .prop_filter("a connective", |name| !["and", "or", "not", "exists"].contains(&name.as_str()))
}

fn value() -> impl Strategy<Value = Text> {
    prop_oneof![
        "[a-z0-9/._*?|-]{1,8}",
        "\\PC{0,6}",
        r#"[\\"' ()=,\t\n\r]{0,6}"#,
        select(vec!["oneof", "anyof", "allof", "and", "or", "not", "exists", "b64", "val", "<NA>", ""])
            .prop_map(str::to_owned),
    ]
    .prop_map(text)
}

fn number() -> impl Strategy<Value = Text> {
    prop_oneof!["[+-]?[0-9]{1,5}(\\.[0-9]{0,3})?([eE][+-][0-9]{1,2})?", "0[xX][0-9a-fA-F]{1,6}"]
        .prop_map(text)
}

fn field() -> impl Strategy<Value = Field> {
    let argument = option::of(prop_oneof!["[a-z0-9.:]{1,5}", r#"[a-z\\"' \[\]]{0,4}"#]);
    ("[a-z]{1,4}(\\.[a-z_]{2,5}){1,2}", argument).prop_map(|(name, argument)| Field {
        name: name.replace("._", ".u"),
        argument,
        span: NOWHERE,
    })
}

fn operand() -> impl Strategy<Value = Operand> {
    field().prop_map(Operand::Field).prop_recursive(3, 12, 3, |inner| {
        let single = prop_oneof![
            inner.prop_map(Argument::Operand),
            value().prop_map(Argument::Literal),
            number().prop_map(Argument::Literal),
        ]
        .boxed();
        let argument = prop_oneof![3 => single.clone(), 1 => vec(single, 0..3).prop_map(Argument::List)];
        (select(Transformer::ALL), vec(argument, 1..4)).prop_map(|(transformer, arguments)| {
            Operand::Call(Call { transformer, arguments, span: NOWHERE })
        })
    })
}

fn list() -> impl Strategy<Value = Right> {
    vec(value(), 0..4).prop_map(|items| Right::List(List { items, span: NOWHERE }))
}

fn right(shape: Shape, modified: bool) -> BoxedStrategy<Right> {
    let listed = || prop_oneof![list(), identifier().prop_map(|name| Right::Value(text(name)))];
    match (shape, modified) {
        (Shape::Number, _) => {
            prop_oneof![number().prop_map(Right::Value), operand().prop_map(Right::Operand)].boxed()
        }
        (Shape::Text, false) => {
            prop_oneof![value().prop_map(Right::Value), operand().prop_map(Right::Operand)].boxed()
        }
        (Shape::Text, true) => listed().boxed(),
        (Shape::List, _) => prop_oneof![listed(), operand().prop_map(Right::Operand)].boxed(),
    }
}

fn comparison() -> impl Strategy<Value = ExprKind> {
    (operand(), select(Operator::ALL), option::of(select(Modifier::ALL))).prop_flat_map(
        |(left, operator, modifier)| {
            let modifier = modifier.filter(|_| operator.shape() == Shape::Text);
            right(operator.shape(), modifier.is_some()).prop_map(move |right| {
                let left = left.clone();
                let comparison = Comparison { left, operator, modifier, right, operator_span: NOWHERE };
                ExprKind::Compare(Box::new(comparison))
            })
        },
    )
}

fn expression() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        identifier().prop_map(ExprKind::Macro),
        operand().prop_map(ExprKind::Exists),
        comparison(),
    ];
    let at = |kind| Expr { kind, span: NOWHERE };
    leaf.prop_map(at).prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(ExprKind::And),
            vec(inner.clone(), 2..4).prop_map(ExprKind::Or),
            inner.prop_map(|inner| ExprKind::Not(Box::new(inner))),
        ]
        .prop_map(at)
    })
}

/// The tree without its places.
fn placeless(mut expr: Expr) -> Expr {
    fn operand(it: &mut Operand) {
        match it {
            Operand::Field(field) => field.span = NOWHERE,
            Operand::Call(call) => {
                call.span = NOWHERE;
                call.arguments.iter_mut().for_each(argument);
            }
        }
    }
    fn argument(it: &mut Argument) {
        match it {
            Argument::Operand(inner) => operand(inner),
            Argument::Literal(text) => text.span = NOWHERE,
            Argument::List(items) => items.iter_mut().for_each(argument),
        }
    }
    fn clear(expr: &mut Expr) {
        expr.span = NOWHERE;
        match &mut expr.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => parts.iter_mut().for_each(clear),
            ExprKind::Not(inner) => clear(inner),
            ExprKind::Macro(_) => {}
            ExprKind::Exists(left) => operand(left),
            ExprKind::Compare(comparison) => {
                comparison.operator_span = NOWHERE;
                operand(&mut comparison.left);
                match &mut comparison.right {
                    Right::Value(text) => text.span = NOWHERE,
                    Right::List(list) => {
                        list.span = NOWHERE;
                        list.items.iter_mut().for_each(|item| item.span = NOWHERE);
                    }
                    Right::Operand(right) => operand(right),
                }
            }
        }
    }
    clear(&mut expr);
    expr
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_printed_reads_as_the_same(tree in expression()) {
        let printed = tree.to_string();
        let read = parse(&printed).map_err(|e| TestCaseError::fail(format!("{printed}: {e} at {}", e.at)))?;
        prop_assert_eq!(placeless(read), tree, "{}", printed);
    }

    #[test]
    fn any_text_is_read_or_refused(text in r#"[a-z.()'"=<>!,\[\] \\0-9]{0,60}"#) {
        match parse(&text) {
            Ok(tree) => prop_assert_eq!(parse(&tree.to_string()).unwrap().to_string(), tree.to_string()),
            Err(error) => prop_assert!(error.at <= text.len()),
        }
    }
}
