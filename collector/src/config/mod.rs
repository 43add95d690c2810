//! The collector's configuration: a YAML file and the flags that override it, checked as a whole.
//!
//! [`RawConfig`] is the file as written (every key optional, unknown keys refused), [`Config`] is what
//! the collector runs with. Every default is in [`Config::default`] and nowhere else.

mod check;
mod raw;
pub mod value;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use kestrel_tls::{ListenAddress, Material};
use settings::yaml;

pub use raw::RawConfig;
pub use settings::{
    ConfigError,
    log::{Log, LogFormat, LogLevel},
};

use crate::{alert::config::AlertsConfig, ingest::Quota, log};

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "/etc/kestrel/collector.yaml";

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the log, the state and what is still to be told are kept.
    pub data_dir: PathBuf,
    /// Clusters whose nodes are served; all where it is empty.
    pub clusters: Vec<String>,
    /// For agents and clients.
    pub grpc: Grpc,
    /// Metrics, health and status.
    pub http: Http,
    /// How much the log keeps.
    pub log_store: log::Options,
    /// How fast one node may deliver.
    pub quota: Quota,
    /// Nodes.
    pub nodes: Nodes,
    /// Who is told of findings.
    pub alerts: AlertsConfig,
    /// The collector's own log.
    pub log: Log,
}

/// For agents and clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grpc {
    /// Address.
    pub listen: ListenAddress,
    /// Who is let in.
    pub security: Security,
}

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nothing is said of it: everybody, as only this machine can come.
    Local,
    /// Everybody, and somebody said so aloud.
    Off,
    /// Who has a certificate of the authority.
    Tls(Material),
}

/// Metrics, health and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    /// Address; `None`: not at all.
    pub listen: Option<SocketAddr>,
}

/// Nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// A node of which nothing was heard for this long is silent.
    pub silent_after: Duration,
}

impl Default for Config {
    /// What the collector does when nobody says otherwise.
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/kestrel-collector"),
            clusters: Vec::new(),
            grpc: Grpc {
                listen: ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9480))),
                security: Security::Local,
            },
            http: Http { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9481))) },
            log_store: log::Options::default(),
            quota: Quota { events_per_second: 50_000, bytes_per_second: 64 << 20 },
            nodes: Nodes { silent_after: Duration::from_mins(1) },
            alerts: AlertsConfig::default(),
            log: Log { level: LogLevel::Info, format: LogFormat::Text },
        }
    }
}

/// What flags say; each overrides its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `data_dir`.
    pub data_dir: Option<PathBuf>,
    /// `grpc.listen`.
    pub grpc_listen: Option<ListenAddress>,
    /// `http.listen`.
    pub http_listen: Option<Option<SocketAddr>>,
    /// `log.level`.
    pub log_level: Option<LogLevel>,
}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] where none is named and it exists, and applies the flags.
    ///
    /// # Errors
    /// A file that cannot be read, or the first thing that is wrong in it or with both together.
    pub fn load(file: Option<PathBuf>, overrides: Overrides) -> Result<Self, ConfigError> {
        let (path, must_exist) = match file {
            Some(path) => (path, true),
            None => (PathBuf::from(DEFAULT_FILE), false),
        };
        let mut config = match yaml::read(&path, must_exist)? {
            Some(text) => check::check(&path, yaml::parse(&path, &text)?)?,
            None => Self::default(),
        };
        config.apply(overrides);
        check::reachable(&path, &config)?;
        Ok(config)
    }

    /// Checks the text of a file; `path` is only named in errors.
    ///
    /// # Errors
    /// The first thing that is wrong in it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config = check::check(path, yaml::parse(path, text)?)?;
        check::reachable(path, &config)?;
        Ok(config)
    }

    fn apply(&mut self, overrides: Overrides) {
        let Overrides { data_dir, grpc_listen, http_listen, log_level } = overrides;
        if let Some(dir) = data_dir {
            self.data_dir = dir;
        }
        if let Some(listen) = grpc_listen {
            self.grpc.listen = listen;
        }
        if let Some(listen) = http_listen {
            self.http.listen = listen;
        }
        if let Some(level) = log_level {
            self.log.level = level;
        }
    }
}

#[cfg(test)]
mod tests;
