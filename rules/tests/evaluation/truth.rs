//! The laws of three values, over conditions of every shape and events that lack or await some fields.

use std::collections::HashMap;

use proptest::prelude::*;
use rules::{
    condition::parse,
    eval::{Condition, Fields},
    field::Reference,
    value::{Scalar, Truth, Value},
};

/// An event of texts: a name that is not there is missing, one without a text is pending.
#[derive(Debug, Clone, Default)]
struct Event(HashMap<String, Option<Vec<String>>>);

impl Fields for Event {
    fn field(&self, reference: &Reference) -> Value<'_> {
        match self.0.get(reference.text()) {
            None => Value::Missing,
            Some(None) => Value::Pending,
            Some(Some(texts)) if reference.is_each_ancestor() || reference.is_list() => {
                Value::Many(texts.iter().map(|text| Scalar::from(text.as_str())).collect())
            }
            Some(Some(texts)) => texts.first().map(|text| Scalar::from(text.as_str())).into(),
        }
    }
}

fn event(fields: &[(&str, &[&str])], pending: &[&str]) -> Event {
    let known = fields.iter().map(|(name, texts)| {
        ((*name).to_owned(), Some(texts.iter().map(|text| (*text).to_owned()).collect()))
    });
    let awaited = pending.iter().map(|name| ((*name).to_owned(), None));
    Event(known.chain(awaited).collect())
}

fn truth(text: &str, event: &Event) -> Truth {
    Condition::check(&parse(text).unwrap()).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(event)
}

#[test]
fn what_is_missing_makes_every_comparison_false() {
    let empty = event(&[], &[]);
    for text in [
        "proc.name = a",
        "proc.name != a",
        "proc.name in (a)",
        "proc.name contains ''",
        "proc.name != allof (a)",
        "proc.name exists",
        "proc.pid < 5",
        "proc.aname != a",
        "fd.ip != 10.0.0.1",
        "proc.name = val(proc.pname)",
        "len(proc.name) >= 0",
    ] {
        assert_eq!(truth(text, &empty), Truth::False, "{text}");
        assert_eq!(truth(&format!("not {text}"), &empty), Truth::True, "{text}");
    }
}

#[test]
fn what_is_pending_makes_a_comparison_unknown() {
    let late = event(&[("proc.name", &["cat"])], &["container.name"]);
    for text in [
        "container.name = a",
        "container.name != a",
        "not container.name = a",
        "container.name exists",
        "tolower(container.name) = a",
        "proc.name = val(container.name)",
        "concat(proc.name, container.name) = a",
        "container.name = a and proc.name = cat",
        "container.name = a or proc.name = dog",
    ] {
        assert_eq!(truth(text, &late), Truth::Unknown, "{text}");
    }
    assert_eq!(truth("container.name = a and proc.name = dog", &late), Truth::False);
    assert_eq!(truth("container.name = a or proc.name = cat", &late), Truth::True);
    assert_eq!(truth("container.name in ()", &late), Truth::False, "nothing is in an empty list");
    assert_eq!(truth("proc.pname = val(container.name)", &late), Truth::False, "one side is missing");
}

#[test]
fn ancestors_match_when_one_does() {
    let process = event(&[("proc.aname", &["sh", "bash"])], &[]);
    for (text, expected) in [
        ("proc.aname = bash", true),
        ("proc.aname != bash", true),
        ("proc.aname in (zsh)", false),
        ("proc.aname startswith ba", true),
        ("proc.aname exists", true),
    ] {
        assert_eq!(truth(text, &process), expected.into(), "{text}");
    }
    let orphan = event(&[("proc.aname", &[])], &[]);
    assert_eq!(truth("proc.aname exists", &orphan), Truth::False);
    assert_eq!(truth("proc.aname != bash", &orphan), Truth::False);
}

#[test]
fn a_list_is_in_a_set_as_a_whole_and_intersects_by_one() {
    let files = event(&[("fd.types", &["file", "ipv4"])], &[]);
    for (text, expected) in [
        ("fd.types in (file, ipv4, pipe)", true),
        ("fd.types in (file)", false),
        ("fd.types intersects (ipv4, pipe)", true),
        ("fd.types intersects (pipe)", false),
        ("len(fd.types) = 2", true),
        ("toupper(fd.types) in (FILE, IPV4)", true),
        ("join('-', fd.types) = file-ipv4", true),
    ] {
        assert_eq!(truth(text, &files), expected.into(), "{text}");
    }
    let none = event(&[("fd.types", &[])], &[]);
    assert_eq!(truth("fd.types in (file)", &none), Truth::True, "no member is outside");
    assert_eq!(truth("fd.types intersects (file)", &none), Truth::False);
    assert_eq!(truth("len(fd.types) = 0 and fd.types exists", &none), Truth::True);
}

#[test]
fn transformers_stand_on_either_side() {
    let process = event(
        &[
            ("proc.name", &["Cat"]),
            ("proc.pname", &["cat"]),
            ("proc.exepath", &["/usr/bin/cat"]),
            ("proc.args", &["-nt 5 aGVsbG8="]),
            ("proc.exe", &["aGVsbG8="]),
            ("proc.cwd", &["!!!"]),
        ],
        &[],
    );
    for (text, expected) in [
        ("tolower(proc.name) = val(proc.pname)", true),
        ("tolower(proc.name) = basename(proc.exepath)", true),
        ("toupper(tolower(proc.name)) = CAT", true),
        ("proc.name = val(proc.pname)", false),
        ("b64(proc.exe) = hello", true),
        ("b64(proc.cwd) exists", false),
        ("len(proc.name) = 3", true),
        ("concat(proc.name, ':', proc.pname) = 'Cat:cat'", true),
        ("join('-', (proc.name, 5)) = 'Cat-5'", true),
        ("getopt(proc.args, 'nt:') in (n, t, 5)", true),
        ("getopt(proc.args, 'nt:') intersects (t)", true),
        ("getopt(proc.args, 'n') intersects (t)", false),
        ("proc.pname = proc.pname", false),
    ] {
        assert_eq!(truth(text, &process), expected.into(), "{text}");
    }
}

const NAMES: [&str; 4] = ["proc.name", "proc.pname", "fd.name", "container.name"];

fn some_event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        1 => Just(None),
        1 => Just(Some(None)),
        3 => "[ab]{0,2}".prop_map(|text| Some(Some(vec![text]))),
    ];
    prop::collection::vec(value, NAMES.len()).prop_map(|values| {
        let fields = NAMES.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Event(fields.collect())
    })
}

fn condition() -> impl Strategy<Value = String> {
    let leaf =
        (prop::sample::select(&NAMES[..]), 0..7_u8, "[ab]{1,2}").prop_map(
            |(name, shape, text)| match shape {
                0 => format!("{name} exists"),
                1 => format!("{name} != {text}"),
                2 => format!("{name} contains {text}"),
                3 => format!("{name} in ({text}, b)"),
                4 => format!("toupper({name}) = {}", text.to_uppercase()),
                5 => format!("{name} = val(proc.name)"),
                _ => format!("{name} = {text}"),
            },
        );
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

/// Whether knowing more can only settle what was unknown.
fn settles(before: Truth, after: Truth) -> bool {
    before == Truth::Unknown || before == after
}

proptest! {
    #[test]
    fn the_laws_hold(a in condition(), b in condition(), event in some_event()) {
        let of = |text: &str| truth(text, &event);
        let (left, right) = (of(&a), of(&b));
        prop_assert_eq!(of(&format!("not not ({a})")), left);
        prop_assert_eq!(of(&format!("({a}) and ({b})")), left.and(right));
        prop_assert_eq!(of(&format!("({a}) or ({b})")), left.or(right));
        prop_assert_eq!(of(&format!("not (({a}) and ({b}))")), of(&format!("not ({a}) or not ({b})")));
        prop_assert_eq!(of(&format!("not (({a}) or ({b}))")), of(&format!("not ({a}) and not ({b})")));
    }

    #[test]
    fn what_comes_late_settles_the_unknown_and_nothing_else(
        a in condition(), event in some_event(), late in prop::collection::vec(prop::option::of("[ab]{0,2}"), NAMES.len())
    ) {
        let before = truth(&a, &event);
        let mut settled = event.clone();
        for (name, text) in NAMES.iter().zip(late) {
            if settled.0.get(*name) == Some(&None) {
                match text {
                    Some(text) => settled.0.insert((*name).to_owned(), Some(vec![text])),
                    None => settled.0.remove(*name),
                };
            }
        }
        let after = truth(&a, &settled);
        prop_assert!(after != Truth::Unknown, "nothing is pending any more");
        prop_assert!(settles(before, after), "{a}: {before:?}, then {after:?}");
    }
}
