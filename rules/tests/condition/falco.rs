use rules::condition::parse;

use crate::reference;

/// `expression` with its blanks, outside of quotes, replaced.
fn with_blanks(expression: &str, blank: char) -> String {
    let mut quote = None;
    expression
        .chars()
        .map(|c| match (quote, c) {
            (None, ' ') => blank,
            (None, '"' | '\'') => {
                quote = Some(c);
                c
            }
            (Some(open), _) if open == c => {
                quote = None;
                c
            }
            _ => c,
        })
        .collect()
}

#[test]
fn what_falco_accepts_and_refuses() {
    let Some(cases) = reference::json("parser_cases.json") else { return };
    let mut differing = Vec::new();
    for case in cases.as_array().unwrap() {
        let expression = case["expr"].as_str().unwrap();
        let expected = case["expect"] == "accept";
        let mut forms = vec![expression.to_owned()];
        if expected {
            forms.extend(['\n', '\t', '\r'].map(|blank| with_blanks(expression, blank)));
        }
        for form in forms {
            let parsed = parse(&form);
            if parsed.is_ok() != expected {
                differing.push(format!("{form:?}: expected {}, got {parsed:?}", case["expect"]));
            }
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn conditions_falco_has_evaluated_are_read() {
    let Some(cases) = reference::json("conditions.json") else { return };
    for case in cases.as_array().unwrap() {
        let condition = case["condition"].as_str().unwrap();
        let printed = parse(condition).unwrap_or_else(|e| panic!("{condition}: {e} at {}", e.at)).to_string();
        assert_eq!(parse(&printed).unwrap().to_string(), printed, "{condition}");
    }
}
