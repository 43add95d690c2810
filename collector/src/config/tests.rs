use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("c.yaml"), text)
}

#[test]
fn an_empty_file_is_the_defaults() {
    for text in ["", "# nothing\n", "grpc:\n", "{}\n", "clusters: []\n"] {
        assert_eq!(parse(text).unwrap(), Config::default(), "{text:?}");
    }
}

#[test]
fn the_example_is_the_defaults_and_names_every_key() {
    let example = include_str!("../../../deploy/collector.yaml");
    assert_eq!(parse(example).unwrap(), Config::default());

    // Those that have no default that could be written down.
    let mut all = example.to_owned();
    for key in [
        "tls",
        "ca",
        "certificate",
        "key",
        "crl",
        "slack",
        "webhook",
        "receiver",
        "url_file",
        "url_env",
        "min_severity",
        "min_priority",
        "resolved",
        "plain_http",
        "interval",
        "method",
        "ca_file",
    ] {
        all = all.replace(&format!("# {key}:"), &format!("{key}:"));
    }
    let raw: RawConfig = yaml::parse(Path::new("c.yaml"), &all).unwrap();
    let shown = format!("{raw:?}");
    assert!(!shown.contains("None"), "a key is missing: {shown}");
}

#[test]
fn every_key_is_read() {
    let config = parse(
        "data_dir: /d\nclusters: [a, b]\n\
         grpc: {listen: '0.0.0.0:1', tls: on, ca: /ca, certificate: /crt, key: /key, crl: /crl}\n\
         http: {listen: off}\nlog_store: {segment_bytes: 1MiB, max_bytes: 16MiB, max_age: 2h}\n\
         quota: {events_per_second: 100, bytes_per_second: 64KiB}\nnodes: {silent_after: 5s}\n\
         alerts: {timeout: 3s}\nlog: {level: trace, format: json}\n",
    )
    .unwrap();
    let material = Material {
        ca: "/ca".into(),
        certificate: "/crt".into(),
        key: "/key".into(),
        revoked: Some("/crl".into()),
    };
    let expected = Config {
        data_dir: "/d".into(),
        clusters: vec!["a".to_owned(), "b".to_owned()],
        grpc: Grpc {
            listen: ListenAddress::Tcp("0.0.0.0:1".parse().unwrap()),
            security: Security::Tls(material),
        },
        http: Http { listen: None },
        log_store: log::Options {
            segment_bytes: 1 << 20,
            max_bytes: 16 << 20,
            max_age: Duration::from_hours(2),
        },
        quota: Quota { events_per_second: 100, bytes_per_second: 64 << 10 },
        nodes: Nodes { silent_after: Duration::from_secs(5) },
        alerts: AlertsConfig { timeout: Duration::from_secs(3), ..AlertsConfig::default() },
        log: Log { level: LogLevel::Trace, format: LogFormat::Json },
    };
    assert_eq!(config, expected);
}

#[test]
fn each_mistake_is_one_sentence_with_its_place() {
    for (text, message) in [
        ("x: 1\n", "c.yaml:1:1: unknown key `x`"),
        ("data_dir: d\n", "c.yaml:1:11: data_dir: expected an absolute path, got \"d\""),
        ("clusters: ['a b']\n", "c.yaml:1:12: clusters[0]: expected 1 to 253 letters"),
        ("grpc: {tls: yes}\n", "c.yaml:1:13: grpc.tls: expected on or off, got \"yes\""),
        ("grpc: {ca: /a}\n", "c.yaml: grpc: ca, certificate and key are needed together"),
        ("grpc: {crl: /a}\n", "c.yaml: grpc: ca, certificate and key are needed together"),
        ("grpc: {tls: on}\n", "c.yaml: grpc: ca, certificate and key are needed together"),
        ("grpc: {tls: off, ca: /a}\n", "c.yaml: grpc.tls: off, and there are files for it"),
        ("grpc: {listen: '0.0.0.0:9480'}\n", "c.yaml: grpc.listen: other machines can reach it"),
        ("http: {listen: here}\n", "c.yaml:1:16: http.listen: expected off or an address"),
        (
            "log_store: {segment_bytes: 1KiB}\n",
            "c.yaml:1:28: log_store.segment_bytes: expected 1MiB to 1GiB, got 1KiB",
        ),
        ("log_store: {max_bytes: 64MiB}\n", "c.yaml: log_store.max_bytes: expected at least two segments"),
        (
            "quota: {events_per_second: 1}\n",
            "c.yaml:1:28: quota.events_per_second: expected 100 to 10000000, got 1",
        ),
        ("nodes: {silent_after: 1s}\n", "c.yaml:1:23: nodes.silent_after: expected 5s to 24h, got 1s"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
}

#[test]
fn plain_text_for_others_has_to_be_said_aloud() {
    let config = parse("grpc: {listen: '0.0.0.0:9480', tls: off}\n").unwrap();
    assert_eq!(config.grpc.security, Security::Off);
    assert_eq!(parse("grpc: {listen: 'unix:///run/k.sock'}\n").unwrap().grpc.security, Security::Local);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    std::fs::write(&file, "nodes: {silent_after: 2m}\n").unwrap();
    let overrides = Overrides {
        grpc_listen: Some(ListenAddress::Tcp("0.0.0.0:1".parse().unwrap())),
        ..Overrides::default()
    };
    let error = Config::load(Some(file.clone()), overrides).unwrap_err().to_string();
    assert!(error.contains("other machines can reach it"), "{error}");
    let overrides = Overrides { data_dir: Some("/x".into()), ..Overrides::default() };
    let config = Config::load(Some(file), overrides).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/x"));
    assert_eq!(config.nodes.silent_after, Duration::from_mins(2));
}
