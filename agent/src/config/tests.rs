use std::path::Path;

use proptest::prelude::*;

use ::rules::{
    compile::Matching,
    load::{Addition, Priority, Selection, Which},
};

use super::*;
use crate::filter::{Limit, PathPrefix};

/// Any mapping: what an exemption is made of is tested where it is defined.
type Item = serde_json::Map<String, serde_json::Value>;

fn parse(text: &str) -> Result<Config<Item>, ConfigError> {
    Config::parse(Path::new("a.yaml"), text)
}

#[test]
fn an_empty_file_is_the_defaults() {
    for text in ["", "# nothing\n", "cri:\n", "{}\n", "exemptions: []\n"] {
        assert_eq!(parse(text).unwrap(), Config::defaults(node_name()), "{text:?}");
    }
}

#[test]
fn the_example_is_the_defaults_and_names_every_key() {
    let example = include_str!("../../../deploy/agent.yaml");
    assert_eq!(parse(example).unwrap(), Config::defaults(node_name()));

    // The keys that have no default that could be written down.
    let mut all = example.replace("# node_name:", "node_name:");
    all = all.replace("# policy:", "policy:");
    for key in ["file", "endpoint", "server_name", "ca", "certificate", "key"] {
        all = all.replace(&format!("  # {key}: "), &format!("  {key}: "));
    }
    let raw: RawConfig<Item> = yaml::parse(Path::new("a.yaml"), &all).unwrap();
    let shown = format!("{raw:?}");
    assert!(!shown.contains("None"), "a key is missing: {shown}");
}

#[test]
fn every_key_is_read() {
    let config = parse(
        "cluster: c1\nnode_name: n1\nstate_dir: /s\npin_dir: /p\nhooks: enhanced\ncri: {socket: 'unix:///run/c.sock', timeout: 3s}\n\
         http: {listen: off}\nfindings: {file: /f, quiet_time: 1h, name_wait: 500ms}\n\
         rings: {critical_bytes: 64KiB, bulk_bytes: 1GiB}\nrules: {builtin: on, files: [/r, /d/], interval: 1m, matching: all, \
         min_priority: notice, disable: ['*'], enable: ['tag:T1003', 'A *'], append: [{tags: [x], extra_output: '%fd.name', \
         extra_fields: [proc.pid], extra_tags: [y]}], peer_names: off, rate: 0, burst: 7, repeat_after: 0s}\nstreams: {processes: all, files: containers, files_only: writes, files_below: [/etc, '!/etc/ssl'], \
         network: all, system: off, signals: all, rate: 7, burst: 8}\n\
         mute: {executables: [/usr/bin/backup], cgroups: [/system.slice/]}\nscan: {interval: 1m}\ninspect: {interval: 5s}\n\
         limits: {processes: 64, containers: 65, cgroups: 66, findings: 67}\n\
         uplink: {endpoint: 'https://c:1', tls: on, server_name: n, ca: /ca, certificate: /c, key: /k, \
         drain_timeout: 0s}\n\
         outbox: {findings_bytes: 1MiB, detections_bytes: 2MiB, bulk_bytes: 64GiB}\n\
         inventory: {interval: 10s}\nheartbeat: {interval: 1s}\ncanary: {interval: 1h}\n\
         log: {level: trace, format: json}\npolicy: /policy\nexemptions:\n- {control: x}\n",
    )
    .unwrap();
    let mut entry = Item::new();
    entry.insert("control".to_owned(), "x".into());
    let material =
        kestrel_tls::Material { ca: "/ca".into(), certificate: "/c".into(), key: "/k".into(), revoked: None };
    let expected = Config {
        cluster: "c1".to_owned(),
        node_name: "n1".to_owned(),
        state_dir: "/s".into(),
        pin_dir: "/p".into(),
        hooks: Hooks::Enhanced,
        cri: Cri { socket: CriSocket::Path("/run/c.sock".into()), timeout: Duration::from_secs(3) },
        http: Http { listen: Listen::Off },
        findings: Findings {
            file: Some("/f".into()),
            quiet_time: Duration::from_hours(1),
            name_wait: Duration::from_millis(500),
        },
        rings: Rings { critical_bytes: 64 << 10, bulk_bytes: 1 << 30 },
        rules: Rules {
            builtin: true,
            files: vec!["/r".into(), "/d/".into()],
            interval: Duration::from_mins(1),
            matching: Matching::All,
            min_priority: Priority::Notice,
            selections: vec![
                Selection { enable: false, which: Which::Name("*".to_owned()) },
                Selection { enable: true, which: Which::Tag("T1003".to_owned()) },
                Selection { enable: true, which: Which::Name("A *".to_owned()) },
            ],
            additions: vec![Addition {
                tags: ["x".to_owned()].into(),
                output: Some("%fd.name".to_owned()),
                fields: vec![("proc.pid".to_owned(), "%proc.pid".to_owned())],
                extra_tags: ["y".to_owned()].into(),
                ..Addition::default()
            }],
            peer_names: false,
            rate: 0,
            burst: 7,
            repeat_after: Duration::ZERO,
        },
        streams: Streams {
            processes: Scope::All,
            files: Scope::Containers,
            files_only: FilesOnly::Writes,
            files_below: ["/etc", "!/etc/ssl"].map(|text| PathPrefix::parse(text).unwrap()).to_vec(),
            network: Scope::All,
            system: Scope::Off,
            signals: Scope::All,
            limit: Some(Limit { rate: 7.try_into().unwrap(), burst: 8.try_into().unwrap() }),
        },
        mute: Mute { executables: vec!["/usr/bin/backup".into()], cgroups: vec![b"/system.slice".to_vec()] },
        scan: Every { interval: Duration::from_mins(1) },
        inspect: Every { interval: Duration::from_secs(5) },
        limits: Limits { processes: 64, containers: 65, cgroups: 66, findings: 67 },
        uplink: Some(Uplink {
            endpoint: "https://c:1".parse().unwrap(),
            tls: Some(Tls { material, server_name: Some("n".to_owned()) }),
            drain_timeout: Duration::ZERO,
        }),
        outbox: Outbox { findings_bytes: 1 << 20, detections_bytes: 2 << 20, bulk_bytes: 64 << 30 },
        inventory: Every { interval: Duration::from_secs(10) },
        heartbeat: Every { interval: Duration::from_secs(1) },
        canary: Every { interval: Duration::from_hours(1) },
        log: Log { level: LogLevel::Trace, format: LogFormat::Json },
        policy: Some("/policy".into()),
        exemptions: vec![Located { value: entry, file: "a.yaml".into(), line: 24, column: 3 }],
    };
    assert_eq!(config, expected);
}

#[test]
fn each_mistake_is_one_sentence_with_its_place() {
    let top = "cluster, node_name, state_dir, pin_dir, hooks, cri, http, findings, rings, rules, streams, mute, scan, inspect, limits, \
               uplink, outbox, inventory, heartbeat, canary, log, policy, exemptions";
    let unknown = |key: &str| format!("a.yaml:1:1: unknown key `{key}`, known here: {top}");
    let expected = [
        // Unknown keys.
        ("x: 1\n", unknown("x")),
        ("\"\\e[31m\": 1\n", unknown("\\u{1b}[31m")),
        ("ring: {}\n", "a.yaml:1:1: unknown key `ring`, did you mean rings?".to_owned()),
        ("http:\n  listn: x\n", "a.yaml:2:3: http: unknown key `listn`, did you mean listen?".to_owned()),
        ("http:\n  socket: x\n", "a.yaml:2:3: http: unknown key `socket`, known here: listen".to_owned()),
        // Types.
        ("x", "a.yaml:1:1: expected a mapping of keys".to_owned()),
        ("http: []\n", "a.yaml:1:7: http: expected a mapping of keys".to_owned()),
        (
            "http:\n  listen: [1]\n",
            "a.yaml:2:11: http.listen: expected one value, not a list or mapping".to_owned(),
        ),
        ("streams:\n  rate: fast\n", "a.yaml:2:9: streams.rate: expected a whole number".to_owned()),
        ("streams:\n  files_below: /etc\n", "a.yaml:2:16: streams.files_below: expected a list".to_owned()),
        ("limits:\n  processes: -1\n", "a.yaml:2:14: limits.processes: expected a whole number".to_owned()),
        ("limits:\n  processes: many\n", "a.yaml:2:14: limits.processes: expected a whole number".to_owned()),
        ("exemptions: 3\n", "a.yaml:1:13: exemptions: expected a list".to_owned()),
        ("exemptions:\n- 3\n", "a.yaml:2:3: exemptions[0]: expected a mapping of keys".to_owned()),
        // Values and ranges.
        (
            "http:\n  listen: 127.0.0.1\n",
            "a.yaml:2:11: http.listen: expected off or an address with a port such as 127.0.0.1:9470, got \
             \"127.0.0.1\""
                .to_owned(),
        ),
        (
            "limits:\n  processes: 3\n",
            "a.yaml:2:14: limits.processes: expected 64 to 1048576, got 3".to_owned(),
        ),
        (
            "cri:\n  timeout: 10\n",
            "a.yaml:2:12: cri.timeout: expected a duration such as 500ms, 10s, 5m or 1h, got \"10\"".to_owned(),
        ),
        ("cri:\n  timeout: 10h\n", "a.yaml:2:12: cri.timeout: expected 100ms to 1m, got 10h".to_owned()),
        (
            "rings:\n  bulk_bytes: 3MiB\n",
            "a.yaml:2:15: rings.bulk_bytes: expected a power of two from 64KiB to 1GiB, got 3MiB".to_owned(),
        ),
        (
            "rings:\n  critical_bytes: 16GiB\n",
            "a.yaml:2:19: rings.critical_bytes: expected a power of two from 64KiB to 1GiB, got 16GiB".to_owned(),
        ),
        ("state_dir: var\n", "a.yaml:1:12: state_dir: expected an absolute path, got \"var\"".to_owned()),
        (
            "log:\n  level: loud\n",
            "a.yaml:2:10: log.level: expected error, warn, info, debug or trace, got \"loud\"".to_owned(),
        ),
        (
            "node_name: \"\\e[31m\"\n",
            "a.yaml:1:12: node_name: expected 1 to 253 letters, digits, '-', '.' or '_', got \"\\u{1b}[31m\""
                .to_owned(),
        ),
        (
            "streams:\n  processes: some\n",
            "a.yaml:2:14: streams.processes: expected off, containers or all, got \"some\"".to_owned(),
        ),
        (
            "streams:\n  files_only: reads\n",
            "a.yaml:2:15: streams.files_only: expected all or writes, got \"reads\"".to_owned(),
        ),
        (
            "streams:\n  rate: 1000001\n",
            "a.yaml:2:9: streams.rate: expected 0 to 1000000, got 1000001".to_owned(),
        ),
        ("streams:\n  burst: 0\n", "a.yaml:2:10: streams.burst: expected 1 to 10000000, got 0".to_owned()),
        (
            "streams:\n  files_below:\n  - /etc\n  - etc\n",
            "a.yaml:4:5: streams.files_below[1]: expected an absolute path without . or .., got \"etc\"".to_owned(),
        ),
        (
            "streams:\n  files_below: [/etc, '!/etc/']\n",
            "a.yaml:2:23: streams.files_below[1]: \"!/etc/\" is listed twice".to_owned(),
        ),
        (
            "mute:\n  executables: [sh]\n",
            "a.yaml:2:17: mute.executables[0]: expected an absolute path, got \"sh\"".to_owned(),
        ),
        (
            "mute:\n  cgroups: [/]\n",
            "a.yaml:2:13: mute.cgroups[0]: expected the path of a cgroup below the root, such as /system.slice, \
             got \"/\""
                .to_owned(),
        ),
        (
            "canary:\n  interval: 5s\n",
            "a.yaml:2:13: canary.interval: expected 10s to 1h, got 5s".to_owned(),
        ),
        (
            "outbox:\n  bulk_bytes: 1KiB\n",
            "a.yaml:2:15: outbox.bulk_bytes: expected 1MiB to 64GiB, got 1KiB".to_owned(),
        ),
        // The way to the collector.
        (
            "uplink:\n  endpoint: collector\n",
            "a.yaml:2:13: uplink.endpoint: expected https://HOST:PORT, http://HOST:PORT or unix:///PATH, got \
             \"collector\""
                .to_owned(),
        ),
        (
            "uplink:\n  endpoint: https://c:1\n  ca: /ca\n",
            "a.yaml:2:13: uplink.endpoint: https needs uplink.ca, uplink.certificate and uplink.key".to_owned(),
        ),
        (
            "uplink:\n  endpoint: https://c:1\n  tls: off\n",
            "a.yaml:2:13: uplink.endpoint: https contradicts uplink.tls: off".to_owned(),
        ),
        (
            "uplink:\n  endpoint: http://10.0.0.1:1\n",
            "a.yaml:2:13: uplink.endpoint: plain text to another machine: say https, or uplink.tls: off where \
             the network is to be trusted"
                .to_owned(),
        ),
        ("uplink:\n  tls: maybe\n", "a.yaml:2:8: uplink.tls: expected on or off, got \"maybe\"".to_owned()),
        // Twice.
        ("node_name: a\nnode_name: b\n", "a.yaml:2:1: duplicate key `node_name`".to_owned()),
        ("http:\n  listen: off\n  listen: off\n", "a.yaml:3:3: http: duplicate key `listen`".to_owned()),
        // Not YAML, or too clever.
        (
            "node_name: \"a\n",
            "a.yaml:2:1: not valid YAML: invalid indentation in multiline quoted scalar".to_owned(),
        ),
        ("node_name: *a\n", "a.yaml:1:12: not valid YAML: reference to unknown value".to_owned()),
        ("node_name: !x a\n", "a.yaml:1:15: not valid YAML: unsupported tag `!x`".to_owned()),
        (
            "node_name: &a x\n",
            "a.yaml:1:15: not valid YAML: anchors, a second document, or more nesting than a configuration needs"
                .to_owned(),
        ),
        (
            "node_name: a\n---\nnode_name: b\n",
            "a.yaml:2:1: not valid YAML: anchors, a second document, or more nesting than a configuration needs"
                .to_owned(),
        ),
        ("<<: {node_name: a}\n", "a.yaml:1:1: not valid YAML: merge key not allowed here".to_owned()),
    ];
    for (text, message) in expected {
        assert_eq!(parse(text).expect_err(text).to_string(), message, "{text:?}");
    }
}

#[test]
fn plain_text_stays_here_unless_it_is_said_aloud() {
    for text in [
        "uplink: {endpoint: 'http://127.0.0.1:1'}\n",
        "uplink: {endpoint: 'http://[::1]:1'}\n",
        "uplink: {endpoint: 'unix:///run/c.sock'}\n",
        "uplink: {endpoint: 'http://collector:1', tls: off}\n",
    ] {
        let uplink = parse(text).unwrap().uplink.unwrap();
        assert_eq!((uplink.tls, uplink.drain_timeout), (None, Duration::from_secs(10)), "{text}");
    }
    // Without an endpoint there is nobody to deliver to.
    assert_eq!(parse("uplink: {ca: /ca, tls: off}\n").unwrap().uplink, None);
}

#[test]
fn a_bomb_is_refused() {
    let deep = format!("exemptions: [{}1{}]\n", "{a: ".repeat(50_000), "}".repeat(50_000));
    let laughs = "exemptions:\n- {a: &a [x, x, x, x]}\n- {b: &b [*a, *a, *a, *a]}\n- {c: [*b, *b, *b, *b]}\n";
    for text in [deep.as_str(), laughs] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains("not valid YAML"), "{message}");
        assert!(!message.contains('\n') && message.len() < 200, "{message}");
    }
}

#[test]
fn flags_override_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.yaml");
    std::fs::write(&file, "node_name: from-file\npin_dir: /from-file\nlog: {level: warn}\n").unwrap();
    let overrides = Overrides {
        node_name: Some("from-flag".to_owned()),
        log_level: Some(LogLevel::Debug),
        ..Overrides::default()
    };
    let config: Config<Item> = Config::load(Some(file), overrides).unwrap();
    assert_eq!(config.node_name, "from-flag");
    assert_eq!(config.pin_dir, PathBuf::from("/from-file"));
    assert_eq!(config.log.level, LogLevel::Debug);
}

#[test]
fn a_named_file_must_be_there_and_of_a_sane_length() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.yaml");
    let missing = Config::<Item>::load(Some(file.clone()), Overrides::default()).unwrap_err();
    assert_eq!(missing.to_string(), format!("cannot read configuration file {}", file.display()));

    std::fs::write(&file, "#".repeat(2 << 20)).unwrap();
    let long = Config::<Item>::load(Some(file.clone()), Overrides::default()).unwrap_err();
    let expected = format!("configuration file {} is longer than 1048576 bytes", file.display());
    assert_eq!(long.to_string(), expected);
}

#[test]
fn units_show_as_they_are_written() {
    for text in ["500ms", "10s", "5m", "1h", "0ms"] {
        assert_eq!(unit::show_duration(parse_duration(text).unwrap()), text);
    }
    for text in ["1B", "64KiB", "4MiB", "1GiB"] {
        assert_eq!(unit::show_bytes(parse_bytes(text).unwrap()), text);
    }
    for text in ["", "s", "-1s", "1.5s", "1 day", "99999999999999999999s", "18446744073709551615h"] {
        assert!(parse_duration(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_mistake_in_an_exemption_is_named_by_its_place_in_the_list() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[expect(dead_code, reason = "only parsed")]
        owner: String,
    }
    for (text, message) in [
        (
            "exemptions:\n- owner: a\n- owner: b\n  ownr: c\n",
            "a.yaml:4:3: exemptions[1]: unknown key `ownr`, did you mean owner?",
        ),
        ("exemptions:\n- {}\n", "a.yaml:2:3: exemptions[0]: missing key `owner`"),
        (
            "exemptions:\n- owner: [a]\n",
            "a.yaml:2:10: exemptions[0].owner: expected one value, not a list or mapping",
        ),
    ] {
        let error = Config::<Strict>::parse(Path::new("a.yaml"), text).unwrap_err();
        assert_eq!(error.to_string(), message, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_one_line(text in r#"([a-z_]{1,9}(:|: |\n|  |- |\{|\[|"|'|&|\*|\t|#)?){0,40}"#) {
        if let Err(error) = parse(&text) {
            let message = error.to_string();
            prop_assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }
}

#[test]
fn a_rate_of_nothing_is_no_limit() {
    assert_eq!(parse("streams: {rate: 0}\n").unwrap().streams.limit, None);
    let limit = parse("streams: {burst: 1}\n").unwrap().streams.limit.unwrap();
    assert_eq!((limit.rate.get(), limit.burst.get()), (1000, 1));
}
