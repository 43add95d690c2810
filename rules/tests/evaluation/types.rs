//! Which types of events a condition can hold for.

use rules::{
    compile::Programs,
    condition::parse,
    eval::Condition,
    field::{EventSet, EventType},
};

fn condition(text: &str) -> Condition {
    Condition::check(&parse(text).unwrap()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn set(names: &[&str]) -> EventSet {
    names.iter().map(|name| EventType::find(name).unwrap()).collect()
}

fn all_but(names: &[&str]) -> EventSet {
    EventType::all().filter(|event| !names.contains(&event.name())).collect()
}

#[test]
fn types_follow_the_algebra_of_sets() {
    let cases = [
        ("evt.type=openat", set(&["openat"])),
        ("not evt.type != openat", set(&["openat"])),
        ("not not evt.type = openat", set(&["openat"])),
        ("evt.type in (openat)", set(&["openat"])),
        ("evt.type=openat and not proc.name=nginx", set(&["openat"])),
        ("evt.type=openat and not (evt.type=close and proc.name=nginx)", set(&["openat"])),
        ("evt.type!=openat", all_but(&["openat"])),
        ("not evt.type=openat", all_but(&["openat"])),
        ("evt.type=close or evt.type!=openat", all_but(&["openat"])),
        ("evt.type in (openat, close)", set(&["openat", "close"])),
        ("evt.type=openat or (evt.type=close and proc.name=nginx)", set(&["openat", "close"])),
        ("not evt.type in (openat, close)", all_but(&["openat", "close"])),
        ("evt.type!=openat and evt.type!=close", all_but(&["openat", "close"])),
        ("evt.type!=openat or evt.type!=close", EventSet::all()),
        ("proc.name=nginx", EventSet::all()),
        ("evt.type=openat or proc.name=nginx", EventSet::all()),
        ("evt.type=close or not (evt.type=openat and proc.name=nginx)", EventSet::all()),
        ("evt.type=close and evt.type=openat", EventSet::EMPTY),
        ("evt.type=mmap and not evt.type=mmap", EventSet::EMPTY),
        (
            "evt.type in (connect, execve, accept, mmap, container) and not (proc.name=cat and evt.type=mmap)",
            set(&["accept", "connect", "container", "execve", "mmap"]),
        ),
        ("evt.type in ()", EventSet::EMPTY),
        ("not evt.type in ()", EventSet::all()),
        ("evt.type exists", EventSet::all()),
        ("not evt.type exists", EventSet::EMPTY),
        ("evt.type startswith open", EventSet::all()),
        ("not evt.type startswith open", EventSet::all()),
        ("evt.type = anyof (open, close)", set(&["open", "close"])),
        ("evt.type != allof (open, close)", all_but(&["open", "close"])),
        ("evt.type = allof (open, close)", EventSet::EMPTY),
    ];
    for (text, expected) in cases {
        let found = *condition(text).events();
        let names: Vec<&str> = found.iter().map(EventType::name).take(8).collect();
        assert!(found == expected, "{text}: {} of them, {names:?}", found.len());
    }
}

#[test]
fn programs_say_which_types_are_wanted() {
    let wanted = |texts: &[&str]| {
        let conditions: Vec<Condition> = texts.iter().map(|text| condition(text)).collect();
        Programs::new(conditions.iter().enumerate()).wanted_events()
    };
    assert_eq!(wanted(&["evt.type = open", "evt.type in (open, close)"]), set(&["open", "close"]));
    assert_eq!(wanted(&["evt.type = open", "proc.name = cat"]), EventSet::all());
    assert_eq!(wanted(&["evt.type = open and evt.dir = >"]), EventSet::EMPTY, "events are ends of calls");
    assert_eq!(wanted(&["evt.type.is.open = 1 and evt.type startswith open"]), set(&["open"]));
    assert_eq!(wanted(&["evt.type = open and evt.num = 0 or evt.type = close"]), set(&["close"]));
    assert_eq!(wanted(&[]), EventSet::EMPTY);
}
