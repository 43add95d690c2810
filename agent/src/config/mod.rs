//! The agent's configuration: a YAML file and the flags that override it, checked as a whole.
//!
//! [`RawConfig`] is the file as written (every key optional, unknown keys refused), [`Config`] is what
//! the agent runs with. Every default is in [`Config::defaults`] and nowhere else.

mod check;
mod delivery;
mod located;
mod raw;
mod rules;
mod streams;
pub mod value;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    kernel::Hooks,
    posture::{Exemptions, RawExemption},
    time::Date,
};

pub use self::rules::Rules;
pub use delivery::{Every, Outbox, Tls, Uplink};
pub use located::Located;
pub use raw::RawConfig;
pub use settings::{
    ConfigError, Mistake, Problem,
    log::{Log, LogFormat, LogLevel},
    unit::{parse_bytes, parse_duration},
};
use settings::{unit, yaml};
pub use streams::{FilesOnly, Mute, Scope, Streams};

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "/etc/kestrel/agent.yaml";

/// One entry of `exemptions`; code that does not care is generic over it.
pub type ExemptionItem = RawExemption;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config<E = ExemptionItem> {
    /// Name of the cluster that the node belongs to.
    pub cluster: String,
    /// Name this node goes by in findings.
    pub node_name: String,
    /// Where the agent keeps what outlives it.
    pub state_dir: PathBuf,
    /// Where links, rings and counters are pinned; on a bpf file system.
    pub pin_dir: PathBuf,
    /// Which hooks system calls are seen by.
    pub hooks: Hooks,
    /// The container runtime.
    pub cri: Cri,
    /// Metrics, health and status.
    pub http: Http,
    /// Findings.
    pub findings: Findings,
    /// The rings.
    pub rings: Rings,
    /// Rules that are held against events.
    pub rules: Rules,
    /// Raw event streams.
    pub streams: Streams,
    /// What is left out of them.
    pub mute: Mute,
    /// The periodic rescan.
    pub scan: Every,
    /// How often containers are looked into.
    pub inspect: Every,
    /// Upper bounds of what is kept in memory.
    pub limits: Limits,
    /// The way to the collector; without one nothing is kept for it.
    pub uplink: Option<Uplink>,
    /// What waits for the collector.
    pub outbox: Outbox,
    /// How often the whole state of the node is sent.
    pub inventory: Every,
    /// How often the agent says how it is.
    pub heartbeat: Every,
    /// How often the agent runs a program of its own, to see whether it sees it.
    pub canary: Every,
    /// The agent's own log.
    pub log: Log,
    /// The policy file; without one the built-in policy holds.
    pub policy: Option<PathBuf>,
    /// Exemptions from controls, each with its place in the file.
    pub exemptions: Vec<Located<E>>,
}

/// The container runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cri {
    /// Its socket.
    pub socket: CriSocket,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Where the container runtime listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CriSocket {
    /// The well-known sockets are tried in turn.
    Auto,
    /// This one.
    Path(PathBuf),
}

/// Metrics, health and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    /// Address.
    pub listen: Listen,
}

/// Whether and where the HTTP server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Not at all.
    Off,
    /// Here.
    At(SocketAddr),
}

/// Findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// File that they are appended to, beside standard output.
    pub file: Option<PathBuf>,
    /// A finding not seen for this long is resolved.
    pub quiet_time: Duration,
    /// How long a finding, and what a new container does, waits for the container's name before it goes
    /// out marked as pending.
    pub name_wait: Duration,
}

/// Sizes of the rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    /// Exec, exit, cgroup and credential records.
    pub critical_bytes: u32,
    /// File records.
    pub bulk_bytes: u32,
}

/// Upper bounds of what is kept in memory; beyond them entries are evicted and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes.
    pub processes: usize,
    /// Containers.
    pub containers: usize,
    /// Cgroups.
    pub cgroups: usize,
    /// Findings.
    pub findings: usize,
}

impl<E> Config<E> {
    /// What the agent does when nobody says otherwise.
    #[must_use]
    pub fn defaults(node_name: String) -> Self {
        Self {
            cluster: "default".to_owned(),
            node_name,
            state_dir: PathBuf::from("/var/lib/kestrel"),
            pin_dir: PathBuf::from("/sys/fs/bpf/kestrel"),
            hooks: Hooks::Portable,
            cri: Cri { socket: CriSocket::Auto, timeout: Duration::from_secs(2) },
            http: Http { listen: Listen::At(SocketAddr::from(([127, 0, 0, 1], 9470))) },
            findings: Findings {
                file: None,
                quiet_time: Duration::from_mins(5),
                name_wait: Duration::from_secs(2),
            },
            rings: Rings { critical_bytes: 4 << 20, bulk_bytes: 8 << 20 },
            rules: Rules::default(),
            streams: Streams {
                processes: Scope::Containers,
                files: Scope::Off,
                files_only: FilesOnly::All,
                files_below: Vec::new(),
                network: Scope::Off,
                system: Scope::Containers,
                signals: Scope::Off,
                limit: Some(streams::LIMIT),
            },
            mute: Mute::default(),
            scan: Every { interval: Duration::from_mins(10) },
            inspect: Every { interval: Duration::from_mins(1) },
            limits: Limits { processes: 32_768, containers: 4096, cgroups: 16_384, findings: 8192 },
            uplink: None,
            outbox: Outbox { findings_bytes: 64 << 20, detections_bytes: 256 << 20, bulk_bytes: 16 << 20 },
            inventory: Every { interval: Duration::from_mins(5) },
            heartbeat: Every { interval: Duration::from_secs(10) },
            canary: Every { interval: Duration::from_secs(30) },
            log: Log { level: LogLevel::Info, format: LogFormat::Text },
            policy: None,
            exemptions: Vec::new(),
        }
    }
}

/// What flags say; each overrides its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `node_name`.
    pub node_name: Option<String>,
    /// `state_dir`.
    pub state_dir: Option<PathBuf>,
    /// `pin_dir`.
    pub pin_dir: Option<PathBuf>,
    /// `hooks`.
    pub hooks: Option<Hooks>,
    /// `findings.file`.
    pub findings_file: Option<PathBuf>,
    /// `cri.socket`.
    pub cri_socket: Option<CriSocket>,
    /// `http.listen`.
    pub listen: Option<Listen>,
    /// `log.level`.
    pub log_level: Option<LogLevel>,
    /// `policy`.
    pub policy: Option<PathBuf>,
}

impl Config {
    /// The exemptions, checked.
    ///
    /// # Errors
    /// The first that cannot hold, and its place.
    pub fn exemptions(&self) -> Result<Exemptions, ConfigError> {
        Located::exemptions(&self.exemptions)
    }

    /// What of the exemptions holds and yet is hardly meant: those whose day is over.
    #[must_use]
    pub fn warnings(&self, exemptions: &Exemptions, today: Date) -> Vec<Mistake> {
        Located::warnings(&self.exemptions, exemptions, today)
    }
}

impl<E: DeserializeOwned> Config<E> {
    /// Reads `file`, or [`DEFAULT_FILE`] where none is named and it exists, and applies the flags.
    ///
    /// # Errors
    /// A file that cannot be read, or the first thing that is wrong in it.
    pub fn load(file: Option<PathBuf>, overrides: Overrides) -> Result<Self, ConfigError> {
        let (path, must_exist) = match file {
            Some(path) => (path, true),
            None => (PathBuf::from(DEFAULT_FILE), false),
        };
        let mut config = match yaml::read(&path, must_exist)? {
            Some(text) => Self::parse(&path, &text)?,
            None => Self::defaults(node_name()),
        };
        config.apply(overrides);
        Ok(config)
    }

    /// Checks the text of a file; `path` is only named in errors.
    ///
    /// # Errors
    /// The first thing that is wrong in it.
    pub fn parse(path: &std::path::Path, text: &str) -> Result<Self, ConfigError> {
        let raw = yaml::parse(path, text)?;
        check::check(path, raw, Self::defaults(node_name()))
    }

    fn apply(&mut self, overrides: Overrides) {
        let Overrides {
            node_name,
            state_dir,
            pin_dir,
            hooks,
            findings_file,
            cri_socket,
            listen,
            log_level,
            policy,
        } = overrides;
        if let Some(name) = node_name {
            self.node_name = name;
        }
        if let Some(dir) = state_dir {
            self.state_dir = dir;
        }
        if let Some(dir) = pin_dir {
            self.pin_dir = dir;
        }
        if let Some(hooks) = hooks {
            self.hooks = hooks;
        }
        if let Some(file) = findings_file {
            self.findings.file = Some(file);
        }
        if let Some(socket) = cri_socket {
            self.cri.socket = socket;
        }
        if let Some(listen) = listen {
            self.http.listen = listen;
        }
        if let Some(level) = log_level {
            self.log.level = level;
        }
        if policy.is_some() {
            self.policy = policy;
        }
    }
}

/// The node's name where nobody gives one: `$NODE_NAME` (the downward API), else the host name.
fn node_name() -> String {
    let given = std::env::var("NODE_NAME").ok().filter(|name| unit::parse_node_name(name).is_ok());
    given
        .or_else(|| {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            unit::parse_node_name(name.trim_end()).ok()
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests;
