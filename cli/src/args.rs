//! What can be asked on the command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use crate::{
    posture::{ExplainArgs, LevelsArgs, PlaceArgs, PostureArgs, PostureCommand},
    rules::{ReplayArgs, RulesArgs, RulesCommand},
};

/// Where a collector listens unless told otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:9480";

const EXAMPLES: &str = "\
Examples:
  kestrel tail                                 what happens from now on
  kestrel tail --since 10m -n shop             the last ten minutes of a namespace, and what follows
  kestrel findings --severity high             what is open and at least high
  kestrel findings -o json | jq -r .finding.fix
  kestrel posture -n shop                      what each control says of each workload
  kestrel posture levels cart                  its Pod Security level, as declared and as observed
  kestrel posture explain cart seccomp         why, task by task, and how to fix it
  kestrel nodes                                which agents are there, and how they are
  kestrel rules check rules.d                  what is wrong or doubtful in rules
  kestrel doctor                               what is not as it should be, and what to do

Exit codes: 0 fine, 1 something was found (findings --exit-code, doctor), 2 wrong usage or no
collector. Settings: --server and the certificates are also read from KESTREL_SERVER, KESTREL_CA,
KESTREL_CERT, KESTREL_KEY and KESTREL_SERVER_NAME.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "kestrel",
    version,
    about = "What Kestrel's collector knows: events, findings, containers and nodes",
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection and output")]
pub struct Global {
    /// The collector: http://host:port (no TLS), https://host:port, or unix:///path
    #[arg(long, global = true, env = "KESTREL_SERVER", value_name = "URL", default_value = DEFAULT_SERVER)]
    pub server: String,
    /// Certificate of the authority that signed the collector's (PEM)
    #[arg(long, global = true, env = "KESTREL_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Own certificate (PEM), which a collector may ask for; needs --key
    #[arg(long, global = true, env = "KESTREL_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Key of the certificate (PEM); needs --cert
    #[arg(long, global = true, env = "KESTREL_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Name that the collector's certificate must have; else the host of --server
    #[arg(long, global = true, env = "KESTREL_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<String>,
    /// For people (also `table`), for people with more columns, or for programs: one JSON object a line,
    /// or the same as YAML documents
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// How the output looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns.
    #[default]
    #[value(alias = "table")]
    Text,
    /// One JSON object a line.
    Json,
    /// More columns.
    Wide,
    /// A YAML document for each JSON object.
    Yaml,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show events as they come, or past ones
    Tail(TailArgs),
    /// Show the findings that are open now
    Findings(FindingsArgs),
    /// Show the containers that run now, and what each control says of them
    Inventory(InventoryArgs),
    /// Show what each control says of each workload, and how much of it passes
    Posture(PostureArgs),
    /// Show the nodes, and how their agents are
    Nodes(NodesArgs),
    /// Check files of rules, show rules, and hold them against events; no collector is asked
    Rules(RulesArgs),
    /// Hold rules against a recording that `kestrel-agent record` made, and print the matches as JSON lines
    Replay(ReplayArgs),
    /// Say what is not as it should be, and what to do about it
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  kestrel completion bash > /etc/bash_completion.d/kestrel
  kestrel completion zsh > ~/.zfunc/_kestrel
  kestrel completion fish > ~/.config/fish/completions/kestrel.fish")]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which events, findings, containers.
#[derive(Clone, Debug, Default, Args)]
#[command(
    next_help_heading = "Filter (all must hold; repeat a flag or use commas for any of several; * is any text)"
)]
pub struct FilterArgs {
    /// Kubernetes namespace
    #[arg(short, long, value_delimiter = ',', value_name = "NAME")]
    pub namespace: Vec<String>,
    /// Pod
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub pod: Vec<String>,
    /// Container in the pod
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub container: Vec<String>,
    /// Image as asked for
    #[arg(long, value_delimiter = ',', value_name = "IMAGE")]
    pub image: Vec<String>,
    /// Control: run-as-non-root, no-new-privileges, seccomp, …
    #[arg(long, value_delimiter = ',', value_name = "CONTROL")]
    pub control: Vec<String>,
    /// Verdict
    #[arg(long, value_delimiter = ',', value_enum, ignore_case = true)]
    pub verdict: Vec<Verdict>,
    /// At least this severity
    #[arg(long, value_enum, ignore_case = true)]
    pub severity: Option<Severity>,
    /// Rule of a detection
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    pub rule: Vec<String>,
    /// Of detections: at least this urgent
    #[arg(long, value_enum, ignore_case = true)]
    pub priority: Option<Priority>,
    /// Of detections: a tag of the rule, such as T1059 or T1059.*
    #[arg(long, value_delimiter = ',', value_name = "TAG")]
    pub tag: Vec<String>,
    /// Node
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub node: Vec<String>,
}

/// How urgent a rule says its matches are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Priority {
    /// Debug.
    Debug,
    /// Informational.
    #[value(alias = "info")]
    Informational,
    /// Notice.
    Notice,
    /// Warning.
    Warning,
    /// Error.
    Error,
    /// Critical.
    Critical,
    /// Alert.
    Alert,
    /// Emergency.
    Emergency,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Not as it should be, and somebody answers for it.
    Exempt,
    /// Cannot be told.
    Unknown,
    /// Not as it should be.
    Fail,
    /// Declared one way, observed another.
    Drift,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Findings: opened, updated, resolved
    Finding,
    /// Rules that matched
    Detection,
    /// Programs that were run
    Exec,
    /// Processes that ended
    Exit,
    /// Changes of ids, capabilities, seccomp
    Credentials,
    /// Containers: started, named, gone
    Container,
    /// Calls on files and mounts
    File,
    /// Calls on sockets, their states, first bytes of connections, DNS
    Network,
    /// Other calls, kills for memory, signals for the agent, kernel parameters
    System,
    /// What was not seen: gaps, losses, blind times
    Loss,
    /// What agents and the collector say of nodes
    Node,
}

/// Arguments of `tail`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  kestrel tail
  kestrel tail --kind finding,detection --severity high
  kestrel tail --kind detection --priority warning --tag 'T1552*'
  kestrel tail --since 1h --no-follow -o json > last-hour.jsonl
  kestrel tail --kind exec -n shop --pod 'cart-*'
  kestrel tail --kind file,network --pod 'cart-*'    where the node's agent streams them
  kestrel tail --after 1042:7            go on where an earlier tail ended (.cursor in JSON)

A connection that breaks is made again, and the events go on where they ended: none is lost or shown
twice. What the collector could not give is shown as MISSED.")]
pub struct TailArgs {
    /// Begin so long ago (10m, 2h, 1d) or at a time (2026-11-21T12:00:00Z), by the collector's clock
    #[arg(long, value_name = "TIME", conflicts_with_all = ["oldest", "after"])]
    pub since: Option<String>,
    /// Begin with the oldest event there is
    #[arg(long, conflicts_with = "after")]
    pub oldest: bool,
    /// Begin behind this cursor
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// End when there is nothing more, instead of waiting
    #[arg(long)]
    pub no_follow: bool,
    /// Of findings only those that somebody is to be told of: not EXEMPT, not UNKNOWN
    #[arg(long)]
    pub alerts: bool,
    /// Kind of event
    #[arg(long, value_delimiter = ',', value_enum, ignore_case = true)]
    pub kind: Vec<Kind>,
    /// Which events.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Arguments of `findings`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  kestrel findings
  kestrel findings -n shop --control seccomp -o wide
  kestrel findings --exit-code --severity high      in a pipeline: 1 if something is open
  kestrel findings --verdict exempt                 what somebody answers for")]
pub struct FindingsArgs {
    /// Also those that are resolved
    #[arg(long)]
    pub resolved: bool,
    /// Exit with 1 if an open one says FAIL or DRIFT
    #[arg(long)]
    pub exit_code: bool,
    /// Which findings.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Arguments of `inventory`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  kestrel inventory -n kube-system
  kestrel inventory --control seccomp --verdict fail,drift
  kestrel inventory -o json | jq -r .container.container.names.image | sort -u")]
pub struct InventoryArgs {
    /// Which containers.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Arguments of `nodes`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  kestrel nodes
  kestrel nodes --node worker-1 --hooks    what its hooks saw, and what became of it
  kestrel nodes -o json | jq 'select(.status.condition != \"healthy\")'")]
pub struct NodesArgs {
    /// Node
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub node: Vec<String>,
    /// Show what each hook counted instead; hooks that never ran only with -o wide
    #[arg(long)]
    pub hooks: bool,
}

/// Arguments of `doctor`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  kestrel doctor                     the collector, the way to it, and every node
  kestrel doctor --node worker-1     the collector and one node
  kestrel doctor --node-local        this machine: its kernel, and the agent on it

Exit codes: 0 nothing fails, 1 something does, 2 the collector (or agent) is not reached.")]
pub struct DoctorArgs {
    /// Node
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub node: Vec<String>,
    /// Check this machine and the agent on it, not the collector
    #[arg(long, conflicts_with = "node")]
    pub node_local: bool,
    /// Where the agent on this machine serves its status
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9470")]
    pub agent: SocketAddr,
}
