use rules::condition::{MAX_DEPTH, MAX_LENGTH, ParseErrorKind, parse};

/// Where and why `text` is refused.
fn refused(text: &str) -> (usize, String) {
    let error = parse(text).unwrap_err();
    (error.at, error.to_string())
}

#[test]
fn an_error_points_at_its_place() {
    assert_eq!(refused("proc.name = cat and"), (19, "expected a blank or '(' after 'and'".into()));
    assert_eq!(refused("(proc.name = cat"), (16, "expected a ')' token".into()));
    assert_eq!(refused("proc.name = 'cat"), (12, "missing end quote".into()));
    assert_eq!(refused(r"proc.name = 'a\q'"), (14, r"unsupported string escape sequence: \q".into()));
    assert_eq!(refused("evt.arg[] = 1").0, 8);
    assert_eq!(
        refused("proc.name = cat dog"),
        (16, "unexpected token after 'cat', expecting 'or', 'and'".into())
    );
    assert_eq!(refused("  \n "), (0, "the condition is empty".into()));
}

#[test]
fn an_unknown_operator_is_told_the_known_ones() {
    let (at, message) = refused("proc.name like cat");
    assert_eq!(at, 10);
    for word in ["'exists'", "'=='", "'pmatch'", "'regex'", "'bstartswith'"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&nested(MAX_DEPTH + 1)).unwrap_err().kind, ParseErrorKind::Depth(MAX_DEPTH));
    assert!(parse(&nested(100_000)).is_err());
    assert!(parse(&"not(".repeat(100_000)).is_err());
    let called = format!("{}proc.name{} = a", "tolower(".repeat(50_000), ")".repeat(50_000));
    assert_eq!(parse(&called).unwrap_err().kind, ParseErrorKind::Depth(MAX_DEPTH));
}

#[test]
fn negations_in_a_row_take_no_depth() {
    assert_eq!(parse(&format!("{}a", "not ".repeat(10_001))).unwrap().to_string(), "not a");
    assert_eq!(parse(&format!("{}a", "not ".repeat(10_000))).unwrap().to_string(), "a");
}

#[test]
fn length_is_bounded() {
    let long = format!("proc.name in ({})", "a,".repeat(MAX_LENGTH));
    assert!(matches!(parse(&long).unwrap_err().kind, ParseErrorKind::Length(..)));
}
