//! The compiled form, held against the trees it was compiled from.

use std::collections::HashMap;

use proptest::prelude::*;
use rules::{
    compile::{Files, Match, Matching, Programs, Scratch},
    condition::parse,
    eval::{Condition, Fields},
    field::{EventType, Kind, Reference},
    load::{Config, Loader},
    value::{Scalar, Truth, Value},
};

use crate::{reference, session};

/// What the trees say, one by one: what [`Programs`] must say.
fn by_trees<F: Fields>(
    conditions: &[Condition],
    event_type: Option<EventType>,
    event: &F,
    matching: Matching,
) -> Vec<Match> {
    let mut found = Vec::new();
    for (place, condition) in conditions.iter().enumerate() {
        if event_type.is_some_and(|event_type| !condition.events().contains(event_type)) {
            continue;
        }
        let truth = condition.evaluate(event);
        if truth != Truth::False {
            found.push(Match { place, truth });
        }
        if truth.is_true() && matching == Matching::First {
            break;
        }
    }
    found
}

fn by_programs<F: Fields>(
    programs: &Programs,
    scratch: &mut Scratch,
    event_type: Option<EventType>,
    event: &F,
    matching: Matching,
) -> Vec<Match> {
    let mut found = Vec::new();
    programs.matches(scratch, event_type, event, matching, |one| found.push(one));
    found
}

fn checked(texts: &[String]) -> Vec<Condition> {
    let mut checker = rules::eval::Checker::default();
    let check = |text: &String| {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        checker.check(&expr).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    texts.iter().map(check).collect()
}

/// An event with a type. A name that is not there is missing, one without values is pending.
#[derive(Debug, Clone)]
struct Event {
    event_type: &'static str,
    fields: HashMap<&'static str, Option<Vec<String>>>,
}

impl Event {
    fn event_type(&self) -> Option<EventType> {
        EventType::find(self.event_type)
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.fields.insert(name, Some(vec![value.to_owned()]));
    }
}

impl Fields for Event {
    fn field(&self, reference: &Reference) -> Value<'_> {
        let scalar = |text: &'_ String| match reference.kind() {
            Kind::Bool => Scalar::Bool(text.contains('a')),
            Kind::Int64 => Scalar::Int(text.len() as i64 - 1),
            Kind::Address | Kind::Network => Scalar::Address([10, text.len() as u8, 0, 1].into()),
            Kind::UInt64 => Scalar::UInt(text.len() as u64 + 1),
            _ => Scalar::owned(text.as_str()),
        };
        match (reference.text(), self.fields.get(reference.text())) {
            ("evt.type", _) => Value::text(self.event_type),
            ("evt.dir", _) => Value::text("<"),
            ("evt.type.is.open", _) => Value::One(Scalar::UInt(u64::from(self.event_type == "open"))),
            (_, None) => Value::Missing,
            (_, Some(None)) => Value::Pending,
            (name, Some(Some(texts))) if SEVERAL.contains(&name) => {
                Value::Many(texts.iter().map(scalar).collect())
            }
            (_, Some(Some(texts))) => texts.first().map(scalar).into(),
        }
    }
}

const TYPES: [&str; 4] = ["open", "openat", "close", "execve"];
const SEVERAL: [&str; 3] = ["proc.aname", "fd.types", "fd.ip"];
const NAMES: [&str; 16] = [
    "proc.name",
    "proc.pname",
    "fd.name",
    "fd.nameraw",
    "fd.directory",
    "fd.filename",
    "fd.num",
    "evt.via_io_uring",
    "container.id",
    "proc.aname",
    "fd.types",
    "fd.ip",
    "evt.is_open_write",
    "evt.rawres",
    "fd.sip",
    "evt.num",
];
const TEXTS: [&str; 5] = ["proc.name", "fd.name", "fd.nameraw", "container.id", "proc.aname"];

fn text_of(event: &Event, name: &str) -> Option<String> {
    match event.field(&Reference::parse(name, None).unwrap()) {
        Value::One(Scalar::Text(text)) => String::from_utf8(text.into_owned()).ok(),
        _ => None,
    }
}

/// Whether it is one of these files that an event is about.
fn is_of(files: &Files, event: &Event) -> bool {
    let path = text_of(event, "fd.name").unwrap_or_default();
    let has = |name: &[u8]| path.as_bytes().split(|byte| *byte == b'/').any(|part| part == name);
    let name = text_of(event, "fd.nameraw").unwrap_or_default();
    let write = event.field(&Reference::parse("evt.is_open_write", None).unwrap());
    files.prefixes.iter().any(|prefix| path.as_bytes().starts_with(prefix))
        || files.landmarks.iter().any(|names| names.iter().all(|name| has(name)))
        || files.written && matches!(write, Value::One(Scalar::Bool(true)))
        || files.dotted && name.contains("..")
}

fn some_event() -> impl Strategy<Value = Event> {
    let text = prop_oneof![4 => "[ab]{0,3}".boxed(), 1 => Just("host".to_owned()).boxed(), 2 => "/[ab]{1,2}/[ab]{0,2}".boxed(),
        2 => "(/[ab]{1,2}){1,4}".boxed(),
        1 => "[ab]{0,1}(../){1,2}[ab]".boxed()];
    let value = prop_oneof![
        1 => Just(None),
        1 => Just(Some(None)),
        5 => prop::collection::vec(text, 0..3).prop_map(|texts| Some(Some(texts))),
    ];
    (prop::sample::select(&TYPES[..]), prop::collection::vec(value, NAMES.len())).prop_map(
        |(event_type, values)| {
            let fields = NAMES.iter().zip(values).filter_map(|(name, value)| Some((*name, value?)));
            // Events are numbered.
            let fields = fields.filter(|(name, value)| *name != "evt.num" || value.is_some()).collect();
            Event { event_type, fields }
        },
    )
}

fn leaf() -> impl Strategy<Value = String> {
    let text = "[ab]{1,2}";
    let of_type = prop_oneof![
        3 => prop::sample::select(&TYPES[..]).prop_map(|name| format!("evt.type = {name}")),
        2 => prop::sample::select(&TYPES[..]).prop_map(|name| format!("evt.type in (openat, {name})")),
        1 => prop::sample::select(&["evt.type startswith open", "evt.dir = <", "evt.dir = >", "evt.num = 0",
            "evt.num < 1", "evt.type.is.open = 1", "evt.type exists", "evt.type != close",
            "evt.type = anyof (open, close)", "evt.num in (0, 2)"][..]).prop_map(str::to_owned),
    ];
    let of_text =
        (prop::sample::select(&TEXTS[..]), 0..16_u8, text, text).prop_map(|(name, shape, text, other)| {
            match shape {
                0 => format!("{name} exists"),
                1 => format!("{name} != {text}"),
                2 => format!("{name} contains {text}"),
                3 => format!("{name} in ({text}, {other})"),
                4 => format!("{name} startswith {text}"),
                5 => format!("{name} endswith {text}"),
                6 => format!("{name} glob '{text}*{other}'"),
                7 => format!("{name} glob '*{text}*'"),
                8 => format!("{name} regex '{text}.*'"),
                9 => format!("{name} contains anyof ({text}, {other}, bb)"),
                10 => format!("{name} startswith anyof ({text}, {other})"),
                11 => format!("{name} = oneof ({text}, {other})"),
                12 => format!("{name} != anyof ({text}, {other})"),
                13 => format!("{name} pmatch (/{text}, {other})"),
                14 => format!("{name} startswith /{text}/"),
                _ => format!("{name} = {text}"),
            }
        });
    let of_paths = (0..9_u8, text, text).prop_map(|(shape, text, other)| match shape {
        0 => format!("fd.name contains /{text}/"),
        1 => format!("fd.name contains /{text}/{other}/"),
        2 => format!("fd.name contains {text}/{other}"),
        3 => format!("fd.name endswith /{text}"),
        4 => format!("fd.name endswith {text}/{other}"),
        5 => format!("fd.directory endswith /{text}"),
        6 => format!("fd.directory contains /{text}/{other}"),
        7 => format!("fd.filename in ({text}, {other})"),
        _ => format!("fd.filename = {text}"),
    });
    let of_others = (0..24_u8, text).prop_map(|(shape, text)| match shape {
        0 => "evt.is_open_write = true".to_owned(),
        1 => "evt.rawres >= 0".to_owned(),
        2 => "evt.rawres in (0, 1)".to_owned(),
        3 => "fd.types in (a, b, ab)".to_owned(),
        4 => format!("fd.types intersects ({text}, a)"),
        5 => "fd.types in ()".to_owned(),
        6 => "proc.aname in ()".to_owned(),
        7 => "fd.ip != 10.1.0.1".to_owned(),
        8 => "fd.sip in (10.0.0.0/16, 10.2.0.0/15, 10.5.0.1)".to_owned(),
        9 => "container.id != host".to_owned(),
        10 => format!("tolower(proc.name) = {text}"),
        11 => format!("toupper(proc.name) startswith {}", text.to_uppercase()),
        12 => "proc.name = val(proc.pname)".to_owned(),
        13 => format!("fd.directory in (/{text}, /)"),
        14 => format!("basename(fd.name) in ({text}, a)"),
        15 => "fd.types exists".to_owned(),
        16 => "fd.ip exists".to_owned(),
        17 => "not evt.is_open_write = false".to_owned(),
        18 => "not container.id = host".to_owned(),
        19 => "fd.nameraw contains ../".to_owned(),
        20 => "fd.num >= 0".to_owned(),
        21 => "fd.num < 0".to_owned(),
        22 => "(fd.num >= 0 or evt.via_io_uring = true)".to_owned(),
        _ => "len(proc.name) > 1".to_owned(),
    });
    prop_oneof![2 => of_type, 5 => of_text, 2 => of_paths, 2 => of_others]
}

fn condition() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..5).prop_map(|all| format!("({})", all.join(" and "))),
            2 => prop::collection::vec(inner.clone(), 2..5).prop_map(|all| format!("({})", all.join(" or "))),
            1 => inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

/// Conditions, some of which have parts in common.
fn conditions() -> impl Strategy<Value = Vec<String>> {
    let part = prop::collection::vec(leaf(), 1..4);
    (part, prop::collection::vec((condition(), any::<prop::sample::Index>(), any::<bool>()), 1..12)).prop_map(
        |(parts, all)| {
            let with = |(text, index, has): (String, prop::sample::Index, bool)| {
                if has { format!("{} and ({text})", index.get(&parts)) } else { text }
            };
            all.into_iter().map(with).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn programs_say_what_the_trees_say(
        texts in conditions(), events in prop::collection::vec(some_event(), 1..6)
    ) {
        let conditions = checked(&texts);
        let programs = Programs::new(conditions.iter().enumerate());
        let mut scratch = Scratch::default();
        for event in &events {
            for event_type in [event.event_type(), None] {
                for matching in [Matching::All, Matching::First] {
                    let said = by_programs(&programs, &mut scratch, event_type, event, matching);
                    // Conditions for events that are never numbered so are not asked at all.
                    let expected = by_trees(&conditions, event_type, event, matching);
                    prop_assert_eq!(&said, &expected, "{:#?} of {:?}", texts, event);
                    if let (Some(event_type), false) = (event_type, said.is_empty()) {
                        prop_assert!(programs.wanted_events().contains(event_type));
                    }
                }
            }
        }
    }

    #[test]
    fn what_programs_need_no_matching_event_lacks(texts in conditions(), event in some_event(), way in 0..6_u8) {
        let conditions = checked(&texts);
        let programs = Programs::new(conditions.iter().enumerate());
        let event_type = event.event_type().unwrap();
        let mut event = event;
        // Folder and name are those of the path, and what is pending will be something.
        event.fields.retain(|_, value| value.is_some());
        let path = text_of(&event, "fd.name");
        event.fields.remove("fd.directory");
        event.fields.remove("fd.filename");
        if let Some((folder, name)) = path.as_deref().and_then(|path| path.rsplit_once('/')) {
            event.set("fd.directory", if folder.is_empty() { "/" } else { folder });
            event.set("fd.filename", name);
        }
        match way {
            0 => event.set("container.id", "host"),
            1 => event.set("evt.is_open_write", "b"),
            2 => drop(event.fields.remove("evt.is_open_write")),
            // It failed.
            3 | 4 => {
                event.set("fd.num", "");
                event.set("evt.via_io_uring", "b");
            }
            _ => {}
        }
        let holds = !by_trees(&conditions, Some(event_type), &event, Matching::All).is_empty();
        match programs.needs(event_type) {
            None => prop_assert!(!holds),
            Some(needs) if holds => {
                prop_assert!(!(needs.container_only && way == 0));
                prop_assert!(!(needs.write_opens_only && matches!(way, 1 | 2)));
                let files = [needs.files.as_ref(), needs.failed.as_ref().filter(|_| matches!(way, 3 | 4))];
                for files in files.into_iter().flatten() {
                    prop_assert!(is_of(files, &event), "{files:?} of {event:?}");
                }
            }
            Some(_) => {}
        }
    }
}

#[test]
fn programs_say_what_the_trees_say_of_recorded_events() {
    let (Some(events), Some(cases), Some(text)) =
        (session::events(), reference::json("conditions.json"), reference::text("falco_rules.yaml"))
    else {
        return;
    };
    let mut loader = Loader::new(Config::default());
    assert!(loader.load("falco_rules.yaml", &text).successful);
    let mut conditions: Vec<Condition> =
        loader.rules().rules().iter().map(|rule| rule.condition.clone()).collect();
    let texts: Vec<String> =
        cases.as_array().unwrap().iter().map(|case| case["condition"].as_str().unwrap().to_owned()).collect();
    conditions.extend(checked(&texts));
    let programs = Programs::new(conditions.iter().enumerate());
    let mut scratch = Scratch::default();
    for recorded in &events {
        let event = &recorded.event;
        for event_type in [event.event_type(), None] {
            for matching in [Matching::All, Matching::First] {
                assert_eq!(
                    by_programs(&programs, &mut scratch, event_type, event, matching),
                    by_trees(&conditions, event_type, event, matching),
                    "event {}",
                    recorded.number
                );
            }
        }
    }
}

#[test]
fn needs_are_what_the_conditions_have_in_common() {
    let needs = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let conditions = checked(&texts);
        Programs::new(conditions.iter().enumerate()).needs(EventType::find("openat").unwrap()).cloned()
    };
    let write = "evt.type = openat and evt.is_open_write = true and fd.name startswith /etc/";
    let inside = "evt.type in (open, openat) and container.id != host and evt.is_open_write = true";
    assert_eq!(needs(&["evt.type = close"]), None);
    let one = needs(&[write]).unwrap();
    assert!(one.write_opens_only && !one.container_only);
    let below =
        |prefixes: &[&str]| prefixes.iter().map(|prefix| prefix.as_bytes().into()).collect::<Vec<_>>();
    let etc = Files { prefixes: below(&["/etc/"]), ..Files::default() };
    assert_eq!(one.files, Some(etc.clone()));
    let both = needs(&[write, inside]).unwrap();
    assert!(both.write_opens_only && !both.container_only);
    assert_eq!(both.files, Some(Files { written: true, ..Files::default() }), "the other wants all writes");
    let up = "evt.type = openat and fd.nameraw contains ../ and (fd.name startswith /etc/ or fd.name contains id_rsa)";
    let with_up = needs(&[write, up]).unwrap();
    assert_eq!(with_up.files, Some(Files { dotted: true, ..etc }));
    assert_eq!(needs(&[write, "evt.type = openat and fd.nameraw contains ./"]).unwrap().files, None);
    assert!(needs(&[inside]).unwrap().container_only);
    let not_read = needs(&["evt.type = openat and not evt.is_open_write = false"]).unwrap();
    assert!(!not_read.write_opens_only, "it holds where the field is missing");
    let folders =
        "evt.type = openat and (fd.directory in (/etc, /bin) or fd.name = /etc/x or fd.name glob /usr/*)";
    let files = needs(&[folders]).unwrap().files.unwrap();
    assert_eq!(files, Files { prefixes: below(&["/bin/", "/etc/", "/usr/"]), ..Files::default() });
    // Below the root is everything, and less is written.
    let library = "evt.type = openat and evt.is_open_write = true and fd.name glob /*lib*/security/pam_*.so";
    let read = "evt.type = openat and fd.name = /etc/shadow";
    let files = needs(&[library, read]).unwrap().files.unwrap();
    assert_eq!(files, Files { prefixes: below(&["/etc/shadow"]), written: true, ..Files::default() });
}

#[test]
fn paths_are_needed_by_the_whole_names_that_they_must_have() {
    let landmarks = |condition: &str| {
        let conditions = checked(&[format!("evt.type = openat and {condition}")]);
        let programs = Programs::new(conditions.iter().enumerate());
        let files = programs.needs(EventType::find("openat").unwrap()).unwrap().files.clone()?;
        assert_eq!(Files { landmarks: Vec::new(), ..files.clone() }, Files::default());
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        let group = |names: &[Box<[u8]>]| names.iter().map(|name| text(name)).collect::<Vec<_>>().join("+");
        Some(files.landmarks.iter().map(|names| group(names)).collect::<Vec<_>>().join(" "))
    };
    for (condition, expected) in [
        ("fd.name contains /.ssh/id_", Some(".ssh")),
        ("fd.name contains .ssh/id_", None),
        ("fd.name endswith .ssh/id_rsa", Some("id_rsa")),
        // One with a dot is enough.
        ("fd.name endswith /.aws/credentials", Some(".aws")),
        // Two of the rarest.
        ("fd.name contains /var/lib/kubelet/pki/", Some("kubelet+pki")),
        ("fd.name endswith rsa", None),
        ("fd.name contains /", None),
        ("fd.filename in (b, a)", Some("a b")),
        ("fd.filename = id_rsa", Some("id_rsa")),
        ("fd.filename startswith id_", None),
        ("fd.directory endswith /.ssh", Some(".ssh")),
        ("fd.directory contains /.ssh", None),
        // What has both has the one.
        ("(fd.name contains /.ssh/ or fd.name contains /.ssh/keys/)", Some(".ssh")),
        ("(fd.name contains /.ssh/ or proc.name = x)", None),
        ("(fd.name contains /etc/ and fd.name endswith /rarely)", Some("rarely")),
        ("not fd.name contains /.ssh/", None),
    ] {
        assert_eq!(landmarks(condition).as_deref(), expected, "{condition}");
    }
    let many = (0..100).map(|number| format!("n{number}")).collect::<Vec<_>>().join(", ");
    assert_eq!(landmarks(&format!("fd.filename in ({many})")), None);
}

#[test]
fn an_open_that_failed_is_needed_where_a_rule_asks_for_one() {
    let failed = |condition: &str| {
        let conditions = checked(&[format!("evt.type = openat and {condition}")]);
        let programs = Programs::new(conditions.iter().enumerate());
        programs.needs(EventType::find("openat").unwrap()).unwrap().failed.clone()
    };
    let none = Some(Files::default());
    assert_eq!(failed("fd.num >= 0 and proc.name = x"), none);
    assert_eq!(failed("(fd.num >= 0 or evt.via_io_uring = true) and proc.name = x"), none);
    assert_eq!(failed("proc.name = x"), None);
    let dotted = Some(Files { dotted: true, ..Files::default() });
    assert_eq!(failed("(fd.num >= 0 or evt.res startswith E) and fd.nameraw contains ../"), dotted);
    assert_eq!(failed("(fd.num >= 0 or fd.nameraw contains ../) and proc.name = x"), dotted);
}

#[test]
fn many_patterns_of_one_field_are_told_apart() {
    let texts: Vec<String> = (0..200)
        .flat_map(|number| {
            [
                format!("proc.name = n{number}"),
                format!("proc.name != n{number}"),
                format!("proc.name startswith n{number}"),
                format!("proc.name endswith {number}"),
                format!("proc.name contains {number}"),
                format!("proc.name in (n{number}, n{})", number + 1),
            ]
        })
        .collect();
    let conditions = checked(&texts);
    let programs = Programs::new(conditions.iter().enumerate());
    let mut scratch = Scratch::default();
    for name in (0..220).map(|number| format!("n{number}")).chain(["".to_owned(), "no such name".to_owned()])
    {
        let mut event = Event { event_type: "open", fields: HashMap::new() };
        event.set("proc.name", &name);
        assert_eq!(
            by_programs(&programs, &mut scratch, event.event_type(), &event, Matching::All),
            by_trees(&conditions, event.event_type(), &event, Matching::All),
            "{name}"
        );
    }
}

#[test]
fn a_condition_of_many_pending_parts_needs_no_deep_stack() {
    let parts: Vec<String> = (0..20_000).map(|number| format!("proc.env[V{number}] regex 'x'")).collect();
    let mut texts = vec![parts.join(" and "), parts.join(" or ")];
    texts.push(texts[0].clone());
    let conditions = checked(&texts);
    let programs = Programs::new(conditions.iter().enumerate());
    struct Pending;
    impl Fields for Pending {
        fn field(&self, _: &Reference) -> Value<'_> {
            Value::Pending
        }
    }
    let found =
        by_programs(&programs, &mut Scratch::default(), EventType::find("open"), &Pending, Matching::All);
    let unknown = [0, 1, 2].map(|place| Match { place, truth: Truth::Unknown });
    assert_eq!(found, unknown);
}
