use std::time::Duration;

use controls::{CONTROLS, ControlId, Profile, Severity};
use proptest::prelude::*;

use super::{raw::RawPolicy, *};

fn parse(text: &str) -> Result<Loaded, ConfigError> {
    Loaded::parse(Path::new("p.yaml"), text)
}

fn judged(policy: &Policy) -> Vec<&'static str> {
    let judged = CONTROLS.iter().filter(|control| policy.judges(control.id));
    judged.map(|control| control.slug).collect()
}

fn of(profiles: &[Profile]) -> Vec<&'static str> {
    let has = |control: &&controls::Control| profiles.iter().any(|profile| profile.has(control));
    CONTROLS.iter().filter(has).map(|control| control.slug).collect()
}

#[test]
fn without_a_file_the_standards_and_the_checklists_hold() {
    let loaded = Policy::load(None).unwrap();
    let expected = of(&[Profile::Restricted, Profile::ChecklistA, Profile::ChecklistB]);
    assert_eq!(judged(&loaded.policy), expected);
    assert!(!loaded.policy.judges(ControlId::HostUsers), "neither asks for it");
    assert_eq!(loaded.policy.severities, Policy::default().severities);
    assert_eq!(Policy { enabled: Policy::default().enabled, ..loaded.policy }, Policy::default());
    for text in ["# nothing\n", "{}\n", "allow:\n", "custom: {}\n"] {
        assert_eq!(parse(text).unwrap(), Policy::load(None).unwrap(), "{text:?}");
    }
}

#[test]
fn the_example_is_the_defaults_and_names_every_key() {
    let example = include_str!("../../../deploy/policy.yaml");
    assert_eq!(parse(example).unwrap(), Policy::load(None).unwrap());
    let raw: RawPolicy = yaml::parse(Path::new("p.yaml"), example).unwrap();
    let shown = format!("{raw:?}");
    assert!(!shown.contains("None"), "a key is missing: {shown}");

    // What its comments show.
    for (key, none) in [("custom", "{}"), ("controls", "{}"), ("exemptions", "[]")] {
        let before = example.split(&format!("\n{key}: {none}\n")).next().unwrap();
        let comment = before.rsplit("As an entry:\n").next().unwrap();
        let entry: String = comment.lines().map(|line| line.replacen('#', " ", 1) + "\n").collect();
        let used = if key == "custom" { "profiles: [team-x]\n" } else { "" };
        let text = format!("{key}:\n{entry}{used}");
        assert_ne!(parse(&text).unwrap(), Policy::load(None).unwrap(), "{text}");
    }
}

#[test]
fn every_key_is_read() {
    let loaded = parse(
        "profiles: [team-x, restricted]\n\
         custom:\n  team-x:\n    inherits: [baseline]\n    controls: {seccomp: {severity: high}, image-age: off}\n\
         controls:\n  host-users: on\n  admin-tools: off\n\
         allow:\n  capabilities: [NET_BIND_SERVICE, CAP_CHOWN]\n  \
         registries: [registry.example.com/team/*, 'localhost:5000']\n  ports: [8080, 53, 8080]\n  \
         image_age: 90d\n  open_files: 4096\n\
         exemptions:\n- {namespace: shop, control: seccomp, owner: a, reason: b, expires: 2999-01-01}\n\
         default_exemptions: off\n",
    )
    .unwrap();
    let policy = loaded.policy;
    let mut expected = of(&[Profile::Restricted]);
    expected.retain(|slug| *slug != "admin-tools");
    expected.insert(expected.iter().position(|slug| *slug == "entered").unwrap(), "host-users");
    assert_eq!(judged(&policy), expected);
    assert_eq!(policy.severity(ControlId::Seccomp), Severity::High);
    assert_eq!(policy.severity(ControlId::HostUsers), Severity::Low);
    assert_eq!(policy.capabilities, 1 << 10 | 1);
    assert_eq!(policy.registries, ["registry.example.com/team", "localhost:5000"]);
    assert_eq!(policy.ports, [53, 8080]);
    assert_eq!(policy.image_age, Some(Duration::from_hours(90 * 24)));
    assert_eq!(policy.open_files, 4096);
    let one =
        "exemptions:\n- {namespace: shop, control: seccomp, owner: a, reason: b, expires: 2999-01-01}\n";
    assert_eq!(loaded.exemptions.configured().count(), 1);
    assert_ne!(loaded.exemptions, parse(one).unwrap().exemptions, "without those of the agent");
}

#[test]
fn who_inherits_decides() {
    let severity = |text: &str, control| {
        let policy = parse(text).unwrap().policy;
        policy.judges(control).then(|| policy.severity(control))
    };
    let teams = "custom:\n  a: {controls: {seccomp: {severity: low}}}\n  b: {inherits: [restricted], controls: {seccomp: off}}\n";
    for (rest, expected) in [
        ("profiles: [a]", Some(Severity::Low)),
        ("profiles: [b]", None),
        // A built-in profile asks, and leaves open how severe it is.
        ("profiles: [restricted, a]", Some(Severity::Low)),
        ("profiles: [a, restricted]", Some(Severity::Low)),
        ("profiles: [restricted]", Some(Severity::Medium)),
        ("profiles: [a, b]\ncontrols: {seccomp: {severity: critical}}", Some(Severity::Critical)),
        ("profiles: [a, b]\ncontrols: {seccomp: on}", Some(Severity::Medium)),
        ("profiles: [a, b]\ncontrols: {seccomp: off}", None),
        ("profiles: [b, b]", None),
        ("profiles: []", None),
    ] {
        assert_eq!(severity(&format!("{teams}{rest}\n"), ControlId::Seccomp), expected, "{rest}");
    }
    assert_eq!(judged(&parse("profiles: []\n").unwrap().policy), Vec::<&str>::new());
    // The same by two ways is no contradiction.
    let diamond = "custom:\n  a: {controls: {seccomp: off}}\n  b: {inherits: [a]}\n  c: {inherits: [a]}\nprofiles: [b, c]\n";
    assert_eq!(severity(diamond, ControlId::Seccomp), None);
}

#[test]
fn each_mistake_is_one_sentence_with_its_place() {
    for (text, message) in [
        (
            "x: 1\n",
            "1:1: unknown key `x`, known here: profiles, custom, controls, allow, exemptions, default_exemptions",
        ),
        ("profile: [all]\n", "1:1: unknown key `profile`, did you mean profiles?"),
        ("[]\n", "1:1: expected a mapping of keys"),
        // Controls.
        ("controls: {secomp: on}\n", "1:20: controls.secomp: no control `secomp`, did you mean seccomp?"),
        ("controls: {\"\\e[1m\": on}\n", "1:21: controls.\\u{1b}[1m: no control `\\u{1b}[1m`"),
        (
            "controls:\n  seccomp: maybe\n",
            "2:12: controls.seccomp: expected on, off or {severity: …}, got \"maybe\"",
        ),
        (
            "controls:\n  seccomp: true\n",
            "2:12: controls.seccomp: expected on, off or {severity: …}, got \"true\"",
        ),
        (
            "controls:\n  seccomp: {severity: bad}\n",
            "2:23: controls.seccomp.severity: expected low, medium, high or critical, got \"bad\"",
        ),
        ("controls:\n  seccomp: {}\n", "2:12: controls.seccomp: missing key `severity`"),
        (
            "controls:\n  seccomp: {sevrity: low}\n",
            "2:13: controls.seccomp: unknown key `sevrity`, did you mean severity?",
        ),
        ("controls:\n  seccomp: on\n  seccomp: off\n", "3:3: controls: duplicate key `seccomp`"),
        // Profiles.
        ("profiles: [restrictd]\n", "1:12: profiles[0]: no profile `restrictd`, did you mean restricted?"),
        ("profiles: restricted\n", "1:11: profiles: expected a list"),
        ("custom: {all: {}}\n", "1:15: custom.all: `all` is a built-in profile: take another name"),
        ("custom: {a b: {}}\n", "1:15: custom.a b: expected a name of 1 to 63 of a-z, 0-9 and '-'"),
        ("custom: {a: {inherit: []}}\n", "1:14: custom.a: unknown key `inherit`, did you mean inherits?"),
        ("custom: {a: {inherits: [b]}}\n", "1:25: custom.a.inherits[0]: no profile `b`"),
        ("custom: {a: {inherits: [a]}}\n", "1:25: custom.a.inherits[0]: `a` inherits itself"),
        (
            "custom:\n  a: {inherits: [b]}\n  b: {inherits: [all, c]}\n  c: {inherits: [a]}\n",
            "4:18: custom.c.inherits[0]: `a` inherits itself",
        ),
        ("custom:\n  a: {controls: {nope: on}}\n", "2:24: custom.a.controls.nope: no control `nope`"),
        // Contradictions.
        (
            "custom:\n  a: {controls: {seccomp: off}}\nprofiles: [restricted, a]\n",
            "3:24: profiles[1]: `restricted` has `seccomp` on, and `a` off: decide in controls",
        ),
        (
            "custom:\n  a: {controls: {seccomp: {severity: low}}}\n  b: {controls: {seccomp: on}}\n  c: {inherits: [a, b]}\n",
            "4:21: custom.c.inherits[1]: `a` has `seccomp` low, and `b` medium: decide in controls",
        ),
        // What is allowed.
        (
            "allow: {capabilities: [CHOWN, NET_ADMN]}\n",
            "1:31: allow.capabilities[1]: no capability `NET_ADMN`, did you mean NET_ADMIN?",
        ),
        (
            "allow: {capabilities: [ALL]}\n",
            "1:24: allow.capabilities[0]: ALL would allow everything: name capabilities, or switch the controls off",
        ),
        ("allow: {ports: [0]}\n", "1:17: allow.ports[0]: expected 1 to 65535, got 0"),
        ("allow: {ports: [80, 65536]}\n", "1:21: allow.ports[1]: expected 1 to 65535, got 65536"),
        ("allow: {ports: [http]}\n", "1:17: allow.ports[0]: expected a whole number"),
        (
            "allow:\n  image_age: 90\n",
            "2:14: allow.image_age: expected any or a number of days from 1d to 3650d, got \"90\"",
        ),
        (
            "allow:\n  image_age: 0d\n",
            "2:14: allow.image_age: expected any or a number of days from 1d to 3650d, got \"0d\"",
        ),
        ("allow:\n  open_files: 0\n", "2:15: allow.open_files: expected 1 to 2147483648, got 0"),
        (
            "allow:\n  registries: ['https://r.example.com']\n",
            "2:16: allow.registries[0]: expected a registry, or a folder in one, such as \
             registry.example.com/team/*, got \"https://r.example.com\"",
        ),
        // Exemptions.
        (
            "exemptions:\n- {namespace: a, control: nope, owner: a, reason: b, expires: 2999-01-01}\n",
            "2:3: exemptions[0]: no control `nope`",
        ),
        ("exemptions:\n- {namespace: a}\n", "2:4: exemptions[0]: missing key `control`"),
        ("default_exemptions: maybe\n", "1:21: default_exemptions: expected on or off, got \"maybe\""),
    ] {
        assert_eq!(parse(text).expect_err(text).to_string(), format!("p.yaml:{message}"), "{text:?}");
    }
    for wrong in
        ["team", "r.example.com/*/x", "r.example.com//x", "R.example.com", "r.example.com/x@sha256:0", ""]
    {
        assert!(parse(&format!("allow: {{registries: ['{wrong}']}}\n")).is_err(), "{wrong}");
    }
}

#[test]
fn a_chain_of_profiles_has_an_end() {
    let chain = |count: usize| -> String {
        let links = (1..count).map(|index| format!("  p{index}: {{inherits: [p{}]}}\n", index - 1));
        format!("custom:\n  p0: {{}}\n{}", links.rev().collect::<String>())
    };
    assert!(parse(&chain(64)).is_ok());
    let message = parse(&chain(65)).unwrap_err().to_string();
    assert_eq!(message, "p.yaml:2:3: custom: expected at most 64 profiles, got 65");
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    let today = Date::parse("2026-06-30").unwrap();
    let loaded = parse(
        "controls: {seccomp: off}\n\
         exemptions:\n\
         - {namespace: a, control: seccomp, owner: a, reason: b, expires: 2020-02-29}\n\
         - {service_account: a, control: seccomp, owner: a, reason: b, expires: 2999-01-01}\n\
         - {image: a, control: seccomp, owner: a, reason: b, expires: 2999-01-01}\n",
    )
    .unwrap();
    let warnings: Vec<_> = loaded.warnings(today).iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "p.yaml:3:3: exemptions[0]: expired on 2020-02-29 and counts as absent",
            "p.yaml:4:3: exemptions[1]: matches nothing: container runtimes do not tell the service account"
        ]
    );
}

#[test]
fn a_file_may_be_loaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    let missing = Policy::load(Some(&file)).unwrap_err().to_string();
    assert_eq!(missing, format!("cannot read configuration file {}", file.display()));
    for (text, files) in [("allow: {open_files: 7}\n", 7), ("allow: {open_files: 8}\n", 8)] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(Policy::load(Some(&file)).unwrap().policy.open_files, files);
    }
}

const WORDS: &[&str] = &[
    "profiles",
    "custom",
    "controls",
    "allow",
    "exemptions",
    "default_exemptions",
    "inherits",
    "capabilities",
    "registries",
    "ports",
    "image_age",
    "open_files",
    "seccomp",
    "image-age",
    "restricted",
    "baseline",
    "all",
    "on",
    "off",
    "severity",
    "high",
    "90d",
    "8080",
    "CHOWN",
    "a",
    "b",
    "r.example.com/x/*",
    "-1",
    "namespace",
    "control",
    "owner",
    "reason",
    "expires",
    "2026-01-01",
    "\u{e4}",
    "\u{1b}",
    ": ",
    ": ",
    ": ",
    ":\n  ",
    ":\n    ",
    "\n",
    "\n",
    "\n- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "'",
    "\"",
    "&",
    "*",
    "#",
    "\t",
];

proptest! {
    #[test]
    fn any_text_is_a_policy_or_one_line(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        let text: String = words.concat();
        if let Err(error) = parse(&text) {
            let message = error.to_string();
            prop_assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }

    #[test]
    fn any_bytes_are_a_policy_or_one_line(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            let message = error.to_string();
            prop_assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }

    /// Profiles that inherit each other at random end.
    #[test]
    fn any_graph_of_profiles_is_followed(
        edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..30),
        set in prop::collection::vec((0..12_usize, prop::sample::select(&["on", "off", "{severity: low}"][..])), 0..12),
    ) {
        let mut text = "custom:\n".to_owned();
        for profile in 0..12 {
            let inherits: Vec<_> =
                edges.iter().filter(|(from, _)| *from == profile).map(|(_, to)| format!("p{to}")).collect();
            let own = set.iter().find(|(of, _)| *of == profile).map(|(_, word)| format!("seccomp: {word}"));
            let own = own.unwrap_or_default();
            text += &format!("  p{profile}: {{inherits: [{}], controls: {{{own}}}}}\n", inherits.join(", "));
        }
        if let Err(error) = parse(&text) {
            let message = error.to_string();
            prop_assert!(message.contains("inherits itself") || message.contains("decide in controls"), "{message}");
        }
    }
}
