//! `alerts:` of the collector's configuration, raw and checked.

use std::{path::PathBuf, time::Duration};

use kestrel_proto::{
    detection::priority_named,
    v1::{Priority, Severity},
};
use serde::Deserialize;
use settings::{
    ConfigError, Key,
    check::{Checker, duration},
    sections,
    unit::parse_path,
};

use super::secret::UrlSource;

/// `alerts`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of configuration keys")]
#[expect(missing_docs, reason = "the keys are those of AlertsConfig")]
pub struct RawAlerts {
    pub slack: Option<RawChannel>,
    pub webhook: Option<RawChannel>,
    pub receiver: Option<RawReceiver>,
    pub ca_file: Key<String>,
    pub timeout: Key<String>,
}

sections! {
    /// `alerts.slack`, `alerts.webhook`.
    RawChannel {
        url_file: String,
        url_env: String,
        min_severity: String,
        min_priority: String,
        resolved: bool,
        plain_http: bool
    }
    /// `alerts.receiver`.
    RawReceiver { url_file: String, url_env: String, interval: String, method: String, plain_http: bool }
}

/// Who is told, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertsConfig {
    /// Slack's incoming webhook.
    pub slack: Option<ChannelConfig>,
    /// A plain JSON webhook.
    pub webhook: Option<ChannelConfig>,
    /// Who notices that the collector is dead.
    pub receiver: Option<ReceiverConfig>,
    /// Certificates trusted beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Where its URL stands.
    pub url: UrlSource,
    /// Findings below it are not told.
    pub min_severity: Severity,
    /// Detections that are less urgent are not told.
    pub min_priority: Priority,
    /// Whether it is told that something is over.
    pub resolved: bool,
    /// Whether the URL may be http on another machine.
    pub plain_http: bool,
}

/// The receiver of heartbeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// Where its URL stands.
    pub url: UrlSource,
    /// From one heartbeat to the next.
    pub interval: Duration,
    /// How it is asked.
    pub method: Method,
    /// Whether the URL may be http on another machine.
    pub plain_http: bool,
}

/// How a heartbeat is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With a small JSON body.
    Post,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self { slack: None, webhook: None, receiver: None, ca_file: None, timeout: Duration::from_secs(10) }
    }
}

impl RawAlerts {
    /// Checks all of it.
    ///
    /// # Errors
    /// The first value that is wrong, with its place.
    pub fn check(self, checker: Checker<'_>) -> Result<AlertsConfig, ConfigError> {
        let Self { slack, webhook, receiver, ca_file, timeout } = self;
        let mut config = AlertsConfig::default();
        let second = Duration::from_secs(1);
        checker.text("alerts.timeout", timeout, duration(second..=second * 60), &mut config.timeout)?;
        checker.text("alerts.ca_file", ca_file, |text| parse_path(text).map(Some), &mut config.ca_file)?;
        config.slack = slack.map(|raw| raw.check(checker, "alerts.slack")).transpose()?;
        config.webhook = webhook.map(|raw| raw.check(checker, "alerts.webhook")).transpose()?;
        config.receiver = receiver.map(|raw| raw.check(checker, "alerts.receiver")).transpose()?;
        Ok(config)
    }
}

impl RawChannel {
    fn check(self, checker: Checker<'_>, section: &str) -> Result<ChannelConfig, ConfigError> {
        let Self { url_file, url_env, min_severity, min_priority, resolved, plain_http } = self;
        let url = source(checker, section, url_file, url_env)?;
        let mut config = ChannelConfig {
            url,
            min_severity: Severity::Info,
            min_priority: Priority::Debug,
            resolved: true,
            plain_http: false,
        };
        let key = |name: &str| format!("{section}.{name}");
        checker.text(&key("min_severity"), min_severity, parse_severity, &mut config.min_severity)?;
        checker.text(&key("min_priority"), min_priority, parse_priority, &mut config.min_priority)?;
        checker.field(&key("resolved"), resolved, Ok, &mut config.resolved)?;
        checker.field(&key("plain_http"), plain_http, Ok, &mut config.plain_http)?;
        Ok(config)
    }
}

impl RawReceiver {
    fn check(self, checker: Checker<'_>, section: &str) -> Result<ReceiverConfig, ConfigError> {
        let Self { url_file, url_env, interval, method, plain_http } = self;
        let url = source(checker, section, url_file, url_env)?;
        let minute = Duration::from_secs(60);
        let mut config = ReceiverConfig { url, interval: minute, method: Method::Get, plain_http: false };
        let key = |name: &str| format!("{section}.{name}");
        let range = Duration::from_secs(1)..=minute * 60;
        checker.text(&key("interval"), interval, duration(range), &mut config.interval)?;
        checker.text(&key("method"), method, parse_method, &mut config.method)?;
        checker.field(&key("plain_http"), plain_http, Ok, &mut config.plain_http)?;
        Ok(config)
    }
}

/// One of the two keys must be there.
fn source(
    checker: Checker<'_>,
    section: &str,
    url_file: Key<String>,
    url_env: Key<String>,
) -> Result<UrlSource, ConfigError> {
    let both = url_file.is_some() && url_env.is_some();
    let (mut file, mut env) = (None, None);
    let place = format!("{section}.url_file");
    // A URL may have been pasted here: it is not repeated.
    let path = |text: &str| parse_path(text).map(Some).map_err(|_| "expected an absolute path".to_owned());
    checker.text(&place, url_file, path, &mut file)?;
    let parse = |text: &str| {
        if both { Err("give url_file or url_env, not both".to_owned()) } else { parse_env(text).map(Some) }
    };
    checker.text(&format!("{section}.url_env"), url_env, parse, &mut env)?;
    match (file, env) {
        (Some(file), _) => Ok(UrlSource::File(file)),
        (None, Some(name)) => Ok(UrlSource::Env(name)),
        (None, None) => Err(settings::Mistake {
            file: checker.file.to_owned(),
            line: 0,
            column: 0,
            key: section.to_owned(),
            problem: settings::Problem::Value("url_file or url_env is needed".to_owned()),
        }
        .into()),
    }
}

fn parse_env(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of an environment variable".to_owned())
    }
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    match text {
        "info" => Ok(Severity::Info),
        "low" => Ok(Severity::Low),
        "medium" => Ok(Severity::Medium),
        "high" => Ok(Severity::High),
        "critical" => Ok(Severity::Critical),
        _ => Err(format!("expected info, low, medium, high or critical, got {text:?}")),
    }
}

/// As Falco names them.
fn parse_priority(text: &str) -> Result<Priority, String> {
    priority_named(text).ok_or_else(|| {
        format!(
            "expected debug, informational, notice, warning, error, critical, alert or emergency, got {text:?}"
        )
    })
}

fn parse_method(text: &str) -> Result<Method, String> {
    match text {
        "get" => Ok(Method::Get),
        "post" => Ok(Method::Post),
        _ => Err(format!("expected get or post, got {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn check(yaml: &str) -> Result<AlertsConfig, String> {
        let file = Path::new("collector.yaml");
        let raw: RawAlerts = settings::yaml::parse(file, yaml).map_err(|error| error.to_string())?;
        raw.check(Checker { file }).map_err(|error| error.to_string())
    }

    #[test]
    fn all_keys() {
        let config = check(
            "slack: {url_file: /etc/kestrel/slack, min_severity: high, min_priority: Warning, resolved: false}\n\
             webhook: {url_env: HOOK, plain_http: true}\n\
             receiver: {url_env: ALIVE, interval: 30s, method: post}\n\
             ca_file: /etc/ca.pem\ntimeout: 5s\n",
        )
        .unwrap();
        let slack = config.slack.unwrap();
        assert_eq!(slack.url, UrlSource::File("/etc/kestrel/slack".into()));
        assert_eq!((slack.min_severity, slack.resolved), (Severity::High, false));
        assert_eq!(slack.min_priority, Priority::Warning);
        let webhook = config.webhook.unwrap();
        assert!(webhook.plain_http && webhook.min_priority == Priority::Debug);
        assert_eq!(config.receiver.unwrap().method, Method::Post);
        assert_eq!(config.timeout, Duration::from_secs(5));
        assert_eq!(check("").unwrap(), AlertsConfig::default());
    }

    #[test]
    fn what_is_wrong_is_said_and_no_secret_repeated() {
        for (yaml, said) in [
            ("slack: {}", "alerts.slack: url_file or url_env is needed"),
            ("slack: {url_file: /a, url_env: B}", "not both"),
            ("slack: {url_env: 'https://hooks.example/secret'}", "name of an environment variable"),
            ("slack: {url_file: 'https://hooks.example/secret'}", "expected an absolute path"),
            ("slack: {url: 'https://hooks.example/secret'}", "unknown key `url`"),
            ("slack: {url_env: A, min_severity: worst}", "expected info, low"),
            ("slack: {url_env: A, min_priority: high}", "expected debug, informational, notice, warning"),
            ("receiver: {url_env: A, interval: 1ms}", "expected 1s to 1h"),
        ] {
            let error = check(yaml).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
